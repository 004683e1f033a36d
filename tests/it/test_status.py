"""byunique status: agrees with Kafka and PostgreSQL, with and without workers, and tells nothing of a command."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest

from lib import byunique, gen, processes, schemas
from lib.site import new_id
from lib.wire import Command

USAGE = 2


def phone(text, number="1", customer="alice", command_id=None):
    return Command(command_id or new_id(), customer, "Phone",
                   (("PhoneNumber", "string", number), ("description", "string", text)))


@pytest.fixture
def phones(site):
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    return site


def status(site, **settings):
    return json.loads(byunique.must(dict(site.settings, **settings), "status", "--json"))


def codes(report):
    return {each["code"]: each["count"] for each in report["outcomes"]["codes"]}


def test_before_anything_was_done(phones):
    report = status(phones)
    assert (report["topic"], report["group"], report["members"]) == (phones.commands, phones.group, 0)
    assert [each["partition"] for each in report["partitions"]] == list(range(phones.partitions))
    for each in report["partitions"]:
        assert each["owner"] is each["position"] is each["committed"] is each["refused"] is None
        assert each["lag"] == each["log_end"] == 0
    assert report["outcomes"]["messages"] == report["lag"] == report["rate"] == 0
    assert report["last_errors"] == []
    phones.send(phone("waits"), partition=2)
    report = status(phones)
    assert [each["lag"] for each in report["partitions"]] == [0, 0, 1, 0]
    assert report["lag"] == 1


def test_agrees_with_kafka_and_postgres(phones):
    worker = phones.running()
    again = phone("same")
    sent = phones.send(*[phone("d%d" % number) for number in range(30)], *[
        phone("x", customer="nobody%d" % number) for number in range(9)], again, again,
        gen.Message(1, b"k", b"nonsense", []))
    results = phones.results_of(sent)
    positions = dict(phones.db.execute("SELECT partition, next_offset FROM position").fetchall())
    processes.wait_for(lambda: sum(phones.admin.committed(phones.group, phones.commands).values()) == len(sent), "the offsets")
    committed = phones.admin.committed(phones.group, phones.commands)
    report = status(phones)
    ends = phones.admin.log_ends(phones.commands)
    assert report["members"] == 1
    for each in report["partitions"]:
        assert each["owner"]["client_id"] == "byunique" and each["owner"]["host"] == "127.0.0.1"
        assert each["position"] == positions[each["partition"]]
        assert each["committed"] == committed.get(each["partition"])
        assert each["log_end"] == ends[each["partition"]]
        assert each["lag"] == each["unpublished"] == each["log_start"] == 0
    expected = {}
    for result in results:
        code = result.code or ("Duplicate" if result.body["duplicate"] else "Done")
        expected[code] = expected.get(code, 0) + 1
    assert codes(report) == expected
    assert report["outcomes"]["messages"] == len(sent)
    assert report["rate"] == pytest.approx(len(sent) / 60)
    wrong = {(result.source, result.code, result.body["processed_at"]) for result in results if result.code}
    assert len(report["last_errors"]) == 10 == len(wrong)
    assert {((each["partition"], each["offset"]), each["code"], each["time"])
            for each in report["last_errors"]} == wrong
    times = [each["time"] for each in report["last_errors"]]
    assert times == sorted(times, reverse=True)
    assert worker.alive


def test_lag_and_what_is_not_published(phones):
    phones.running()
    phones.answers(*[phone("d%d" % number) for number in range(10)], partition=1)
    phones.stop()
    report = status(phones)
    assert report["members"] == 0 and report["partitions"][1]["owner"] is None
    assert report["partitions"][1]["position"] == 10 and report["lag"] == 0
    phones.send(*[phone("more%d" % number) for number in range(7)], partition=1)
    phones.admin.commit(phones.group, phones.commands, {1: 4})
    report = status(phones)
    assert report["partitions"][1]["lag"] == report["lag"] == 7
    assert report["partitions"][1]["unpublished"] == report["unpublished"] == 6
    assert report["partitions"][1]["refused"] is None


def test_says_why_a_partition_is_refused(phones):
    phones.running()
    phones.answers(*[phone("d%d" % number) for number in range(10)], partition=1)
    phones.answers(*[phone("d%d" % number) for number in range(10)], partition=2)
    phones.stop()
    assert "another consumer group" in status(phones, **{"kafka.group.id": "strangers"})["partitions"][1]["refused"]
    phones.db.execute("UPDATE position SET next_offset = 4, published_offset = 4 WHERE partition = 1")
    phones.send(*[phone("d%d" % number) for number in range(4)], partition=2)
    phones.admin.delete_records(phones.commands, 2, 12)
    report = status(phones)
    assert report["partitions"][0]["refused"] is report["partitions"][0]["warning"] is None
    assert "catching up" in report["partitions"][1]["warning"]
    assert "no longer holds" in report["partitions"][2]["refused"]
    text = byunique.must(phones.settings, "status")
    assert re.search(r"^partition 2 is refused: the topic no longer holds all that is needed$", text, re.MULTILINE)
    phones.db.execute("UPDATE position SET cluster_id = 'elsewhere' WHERE partition = 3")
    assert "another Kafka cluster" in status(phones)["partitions"][3]["refused"]


def test_text(phones):
    phones.running()
    phones.answers(*[phone("d%d" % number) for number in range(10)], phone("x", customer="bob"))
    text = byunique.must(phones.settings, "status")
    assert "\033" not in text
    assert phones.commands in text and phones.group in text
    assert len(re.findall(r"^ +\d +0 .* byunique@127\.0\.0\.1/\S{4}$", text, re.MULTILINE)) == phones.partitions
    assert re.search(r"10 +90\.9 % +204 Done$", text, re.MULTILINE)
    assert re.search(r"^  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  404 CustomerNotFound +partition \d, offset \d+$", text, re.MULTILINE)


def test_read_only_role(phones):
    phones.running()
    phones.answers(phone("one"), phone("x", customer="bob"))
    phones.db.execute("DROP ROLE IF EXISTS looker")
    phones.db.execute("CREATE ROLE looker LOGIN")
    phones.db.execute("ALTER ROLE looker SET default_transaction_read_only = on")
    phones.db.execute("GRANT USAGE ON SCHEMA %s TO looker" % phones.schema)
    for table in "position", "outcome", "refusal", "migration":
        phones.db.execute("GRANT SELECT ON %s.%s TO looker" % (phones.schema, table))
    report = status(phones, postgres=phones.postgres.conninfo(user="looker"))
    assert codes(report) == {"Done": 1, "CustomerNotFound": 1}


def test_waits_for_nobody(phones):
    """A batch's transaction that stands still holds the position rows."""
    phones.running()
    phones.answers(phone("one"))
    holder = phones.second_connection()
    holder.execute("BEGIN")
    holder.execute("SELECT * FROM position FOR UPDATE")
    holder.execute("LOCK TABLE outcome, refusal IN EXCLUSIVE MODE")
    assert codes(status(phones)) == {"Done": 1}
    holder.execute("ROLLBACK")


def test_nothing_of_a_command_is_told(phones):
    phones.running()
    phones.answers(phone("kilimanjaro"), phone("x", customer="kilimanjaro"), phone("x", "kilimanjaro"),
                   phone("x", command_id="kilimanjaro"))
    for arguments in ["status"], ["status", "--json"]:
        done = byunique.run(phones.settings, *arguments)
        assert done.returncode == 0 and "kilimanjaro" not in done.stdout + done.stderr


def test_very_many_batches_are_not_all_read(phones):
    """An hour with a million batches: the answer covers less of it, says so, and stays right about that."""
    phones.running()
    phones.answers(phone("one"), partition=0)
    phones.stop()
    [position] = phones.db.execute("SELECT id FROM position WHERE partition = 0").fetchone()
    now_ms = int(time.time() * 1000)
    phones.db.execute("DELETE FROM outcome")
    phones.db.execute(
        "INSERT INTO outcome SELECT %s, 2 * n + 1, 2 * n, %s - 10 * (100000 - n), 1, '\\x0011223344' || '\\x0111223344'::bytea, ''"
        " FROM generate_series(0, 100000) n", [position, now_ms])
    phones.db.execute("INSERT INTO refusal SELECT %s, 2 * n, 16 FROM generate_series(0, 100000) n", [position])
    report = status(phones)
    assert report["outcomes"]["messages"] == 40000
    assert codes(report) == {"Done": 20000, "RecordNotFound": 20000}
    assert report["outcomes"]["since"] == now_ms - 10 * 19999
    assert [each["offset"] for each in report["last_errors"]] == [2 * (100000 - n) for n in range(10)]


# Errors


def test_wrong_usage(phones):
    assert byunique.run(phones.settings, "status", "extra").returncode == USAGE
    assert byunique.run(phones.settings, "status", "--wach").returncode == USAGE


def test_not_initialised(site):
    done = byunique.run(site.settings, "status")
    assert done.returncode == 1 and "byunique init" in done.stderr


def test_no_topic(phones):
    done = byunique.run(phones.settings | {"commands.topic": "no.such.topic"}, "status")
    assert done.returncode == 1 and "no.such.topic" in done.stderr


def test_kafka_away(phones):
    done = byunique.run(phones.settings | {"kafka.bootstrap.servers": "127.0.0.1:%d" % processes.free_port()}, "status")
    assert done.returncode == 1 and "Kafka" in done.stderr


def test_postgres_away(phones):
    phones.postgres.stop(signal.SIGQUIT)
    try:
        done = byunique.run(phones.settings, "status", "--json")
        assert done.returncode == 1 and "PostgreSQL" in done.stderr and done.stdout == ""
    finally:
        phones.postgres.start()


# Watching


@contextmanager
def watching(site, *arguments, **options):
    options.setdefault("env", processes.environment())
    process = subprocess.Popen(
        [byunique.PROGRAM] + byunique.options(site.settings) + ["status", "--watch"] + list(arguments),
        stdin=subprocess.DEVNULL, text=True, **options)
    with process:  # waits for its end
        try:
            yield process
        finally:
            process.kill()


def test_watch_json(phones):
    phones.running()
    with watching(phones, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline())["lag"] == 0
        phones.answers(*[phone("d%d" % number) for number in range(10)])
        rates = []
        while not any(rates):
            rates.append(json.loads(process.stdout.readline())["rate"])
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 0


def test_watch_goes_on_when_the_database_comes_back(phones):
    with watching(phones, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        phones.postgres.stop(signal.SIGQUIT)
        try:
            while "PostgreSQL" not in process.stderr.readline():
                assert process.poll() is None
        finally:
            phones.postgres.start()
        while "partitions" not in json.loads(process.stdout.readline()):
            pass
        process.terminate()
        process.communicate(timeout=30)
        assert process.returncode == 0


def read_terminal(terminal, until, timeout_s=60):
    """What the program draws, until all of this was there."""
    seen, deadline = b"", time.monotonic() + timeout_s
    drawn = select.poll()
    drawn.register(terminal, select.POLLIN)
    while not all(word in seen for word in until):
        assert time.monotonic() < deadline, seen[-2000:]
        if drawn.poll(1000):
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # the program has gone
                assert all(word in seen for word in until), seen[-2000:]
                break
    return seen


@pytest.mark.parametrize("no_color", [False, True])
def test_watch_on_a_terminal(phones, no_color):
    phones.send(phone("waits"), partition=0)
    terminal, end = pty.openpty()
    environment = dict(processes.environment(), TERM="xterm", **({"NO_COLOR": "1"} if no_color else {}))
    with watching(phones, stdout=end, stderr=end, env=environment) as process:
        os.close(end)
        seen = read_terminal(terminal, [b"\033[?1049h", b"partition", b"lag 1"])
        assert (b"\033[1m" in seen) != no_color
        process.send_signal(signal.SIGINT)
        seen = read_terminal(terminal, [b"\033[?25h\033[?1049l"])
        assert process.wait(30) == 0
    os.close(terminal)
