"""`byunique results` beside what an independent client reads from the same topic."""

import json
import signal
import subprocess

import pytest
from confluent_kafka import Producer

from lib import byunique, processes, schemas
from lib.client import Sender
from lib.gen import Message
from lib.site import new_id
from lib.wire import Command

CUSTOMER = "c1"


def phone(number, batch_id=None, customer=CUSTOMER, **changes):
    attributes = (("PhoneNumber", "string", number), ("prefix", "string", "+1"))
    return Command(new_id(), customer, "Phone", attributes, batch_id).but(**changes)


@pytest.fixture
def answered(site):
    """A site with answers of all kinds, in two batches and none; the worker has ended."""
    site.init(schemas.PHONE)
    site.insert("Phone", CUSTOMER, PhoneNumber="1")
    site.insert("Phone", "c2", PhoneNumber="1")
    site.worker()
    first = phone("1", "day one", issued_at=1261161000000)
    site.commands_sent = [first, first, phone("2", "day one"), phone("1", "day one", customer="c2"),
                          phone("1", "day two"), phone("1", ext_name="Nothing"),
                          phone("1", command_id="no\tUUID\\\x1b[31m\u009b1")]
    site.results_read = site.answers(*site.commands_sent)
    site.stop()
    return site


def lines(site, *options, code=0):
    done = byunique.run(site.settings, "results", *options)
    assert done.returncode == code, done.stderr
    return done.stdout.splitlines()


def objects(site, *options, code=0):
    return [json.loads(line) for line in lines(site, "--json", *options, code=code)]


def key(body):
    return body["source"]["partition"], body["source"]["offset"]


def test_json_is_what_the_topic_holds(answered):
    expected = []
    for result in answered.results_read:
        record = answered.result_reader.seen[[each.source for each in answered.result_reader.seen].index(result.source)]
        expected.append(dict(result.body, result={"partition": record.partition, "offset": record.offset}))
    printed = objects(answered)
    timestamps = [each["result"].pop("timestamp") for each in printed]
    assert sorted(printed, key=key) == sorted(expected, key=key)
    assert all(timestamp > 1600000000000 for timestamp in timestamps)
    own = [each for each in printed if each["customer_id"] == CUSTOMER]
    assert own == sorted(own, key=key)  # one customer's in the commands' order
    assert list(printed[0]) == ["status", "command_id", "customer_id", "ext_name", "batch_id", "error", "duplicate",
                                "source", "issued_at", "processed_at", "result"]


def test_columns(answered):
    out = lines(answered, "--batch", "day one", code=3)
    first = answered.commands_sent[0].command_id
    assert len(out) == 4
    [done, duplicate] = [line for line in out if first in line]
    assert done.split() == ["204", "-", first, CUSTOMER, "Phone", "-"]
    assert duplicate.split() == ["204", "(duplicate)", first, CUSTOMER, "Phone", "-"]
    assert done.index(first) == duplicate.index(first)
    [error] = [line for line in out if line.startswith("404")]
    assert error.split(None, 6)[:2] == ["404", "RecordNotFound"]
    assert error.endswith("No record of this customer has these values of the unique attributes.")


def test_control_characters(answered):
    [line] = lines(answered, "--status", "400")
    assert "no\\x09UUID\\\\\\x1b[31m\\u009b1" in line
    assert line.isprintable()
    [body] = objects(answered, "--status", "400")
    assert body["command_id"] == "no\tUUID\\\x1b[31m\u009b1"


def test_status(answered):
    def statuses(text):
        return sorted(each["status"] for each in objects(answered, "--status", text))

    assert statuses("404") == [404, 404]
    assert statuses("4xx") == statuses("error") == [400, 404, 404]
    assert statuses("2xx") == statuses("204") == [204] * 4
    assert statuses("500") == []
    for wrong in ("40", "4x", "xxx", "ok", "-1", ""):
        assert byunique.run(answered.settings, "results", "--status", wrong).returncode == 2, wrong


def test_batch_decides_the_exit_code(answered):
    assert len(lines(answered, "--batch", "day one", code=3)) == 4
    assert len(lines(answered, "--batch", "day one", "--status", "204", code=3)) == 3
    assert len(lines(answered, "--batch", "day two")) == 1
    assert len(lines(answered, "--status", "error")) == 3  # no batch: nobody's success is asked for
    done = byunique.run(answered.settings, "results", "--batch", "day three")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no answer to a command of batch day three" in done.stderr


def test_limit(answered):
    assert len(lines(answered, "--limit", "3")) == 3
    assert byunique.run(answered.settings, "results", "--limit", "0").returncode == 2


def test_what_is_no_answer(answered):
    """It is told and passed over, and does not go unnoticed."""
    nonsense = [Message(0, b"k", b"nonsense", []), Message(1, None, None, [])]
    Sender(answered.kafka.servers, answered.results).send(nonsense)
    done = byunique.run(answered.settings, "results")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 7
    assert "byunique: no answer: partition 0, offset " in done.stderr
    assert "byunique: no answer: partition 1, offset " in done.stderr
    assert "2 records could not be read" in done.stderr


def follow(site, log_path, *options):
    argv = [byunique.PROGRAM] + byunique.options(site.settings) + ["results", "--follow", *options]
    return processes.start(argv, log_path, cwd="/", env=processes.environment())


def test_follow(answered, tmp_path):
    """What comes later is printed as it comes, until it is told to end."""
    log = tmp_path / "followed"
    process = follow(answered, log, "--json", "--limit", "100")
    processes.wait_for(lambda: log.read_text().count("\n") == 7, "what is there", alive=process)
    answered.worker()
    answered.answers(phone("1", "later"))
    processes.wait_for(lambda: log.read_text().count("\n") == 8, "the answer", alive=process)
    assert json.loads(log.read_text().splitlines()[-1])["batch_id"] == "later"
    assert processes.stop(process, signal.SIGTERM) == 0


def test_follow_from_the_end(answered, tmp_path):
    log = tmp_path / "followed"
    process = follow(answered, log, "--json", "--from", "end", "--limit", "1")
    answered.worker()
    # When it begins to follow can't be seen from outside: answers come until it has one.
    while process.poll() is None:
        answered.answers(phone("1", "later"))
    assert process.wait() == 0
    [line] = log.read_text().splitlines()
    assert json.loads(line)["batch_id"] == "later"
    assert byunique.run(answered.settings, "results", "--from", "end").returncode == 2


def test_reader_goes_away(answered):
    """`byunique results --follow | head -1` ends."""
    argv = [byunique.PROGRAM] + byunique.options(answered.settings) + ["results", "--follow"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=processes.environment())
    assert process.stdout.readline().startswith(b"204")
    process.stdout.close()
    answered.worker()
    answered.answers(phone("1"))
    assert process.wait(20) == 1
    assert process.stderr.read() == b""


def test_no_topic(sites):
    """It is said at once, and nothing is created by asking."""
    site = sites()
    done = byunique.run(site.settings, "results")
    assert done.returncode == 1
    assert 'there is no topic "%s"' % site.results in done.stderr
    assert "byunique init" in done.stderr
    assert site.results not in site.admin.client.list_topics(timeout=20).topics


def test_joins_no_group(answered):
    """Reading results never disturbs the workers, whose group id is in the configuration."""
    before = answered.admin.committed(answered.group, answered.commands)
    lines(answered)
    assert answered.admin.committed(answered.group, answered.commands) == before
    assert answered.admin.committed(answered.group, answered.results) == {}


def test_transactions(answered):
    """What is not committed is not printed, and is not waited for."""
    producer = Producer({"bootstrap.servers": answered.kafka.servers, "transactional.id": "other"})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(answered.results, value=answered.results_read[0].value, partition=0)
    producer.flush(20)
    assert len(lines(answered)) == 7
    producer.abort_transaction(20)
    assert len(lines(answered)) == 7
    producer.begin_transaction()
    producer.produce(answered.results, value=answered.results_read[0].value, partition=0)
    producer.commit_transaction(20)
    assert len(lines(answered)) == 8
