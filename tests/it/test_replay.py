"""`byunique replay`: what is repeated is the same to the byte, what is sent again is what was sent, what is adopted goes on;
and nothing happens beside running workers, unasked, or in a dry run."""

import json
import os
import pty
import re
import signal
import subprocess

import pytest

from lib import byunique, check, gen, processes, schemas, servers, wire
from lib.client import Sender
from lib.gen import Message
from lib.site import new_id
from lib.wire import Command
from test_registry import HEADER, confluent, registered, registry  # noqa: F401, two of them fixtures
from test_start import dump, restore


def phone(text="x", number="1", **changes):
    attributes = (("PhoneNumber", "string", number), ("description", "string", text))
    return Command(new_id(), "alice", "Phone", attributes, "a batch", 1261161000000).but(**changes)


def call(site, *options, code=0, **settings):
    done = byunique.run(dict(site.settings, **settings), "replay", *options, timeout_s=120)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def replay(site, *options, **settings):
    """Do it, unasked → what --json says."""
    said = json.loads(call(site, *options, "--json", "--yes", **settings).stdout)
    assert (said["replay"], said["dry_run"]) == (options[0], False)
    return said


def look(site, *options, **settings):
    """A dry run changes nothing → what --json says."""
    before = state(site)
    said = look_beside_workers(site, *options, **settings)
    assert state(site) == before
    return said


def look_beside_workers(site, *options, **settings):
    done = call(site, *options, "--json", "--dry-run", **settings)
    said = json.loads(done.stdout)
    assert (said["replay"], said["dry_run"], said["done"]) == (options[0], True, False) and done.stderr != ""
    return said


def state(site):
    """All that a replay might change."""
    tables = [site.db.execute("SELECT * FROM %s ORDER BY 1, 2" % name).fetchall()
              for name in ("position", "outcome", "refusal", "ext_phone")]
    return tables, site.admin.committed(site.group, site.commands), site.admin.log_ends(site.commands)


def positions(site):
    return dict(site.db.execute("SELECT partition, next_offset FROM position ORDER BY 1").fetchall())


def forecast(site, *options, **settings):
    """`replay apply` → {partition: (refused, start, repeated, applied, lost)}."""
    said = json.loads(call(site, "apply", "--json", *options, **settings).stdout)
    assert said["replay"] == "apply" and not said["done"]
    return {each["partition"]: (each["refused"] is not None, each["start"], each["repeated"], each["applied"], each["lost"])
            for each in said["partitions"]}


def by_source(results):
    return {each.source: (each.key, each.value, each.headers) for each in results}


def description(site):
    return site.db.execute("SELECT description FROM ext_phone WHERE customer_id = 'alice'").fetchone()[0]


@pytest.fixture
def phones(site):
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    return site


@pytest.fixture
def answered(phones):
    """Ten messages of partition 1 and three of partition 2, all answered; the worker has ended."""
    phones.running(**{"batch.max.commands": 4})
    first = [phone("%d" % number) for number in range(7)]
    messages = [phones.message(each, 1, headers=[("h", b"\x00\xff")]) for each in
                first + [phone(number="2"), first[0]]] + [Message(1, b"k", b"broken", [("x", None)])]
    messages += [phones.message(phone("p%d" % number), 2) for number in range(3)]
    phones.sent = phones.send(*messages)
    phones.answers_read = phones.results_of(phones.sent)
    phones.stop()
    assert [each.status for each in phones.answers_read] == [204] * 7 + [404, 204, 400] + [204] * 3
    return phones


# results


def test_results_again(answered):
    """From a place on, the very same bytes, and nothing else."""
    before = state(answered)[0][3], positions(answered)
    seen = look(answered, "results", "--from", "offset:4")
    assert (seen["repeated"], seen["expired"], seen["applied"], seen["gone"], seen["refused"]) == (6, 0, 0, 0, 0)
    [one] = seen["partitions"]
    assert (one["partition"], one["from"], one["position"], one["committed"], one["log_end"]) == (1, 4, 10, 10, 10)
    assert replay(answered, "results", "--from", "offset:4")["done"]
    assert answered.admin.committed(answered.group, answered.commands) == {1: 4, 2: 3}
    answered.worker()
    again = answered.wait_results(13 + 6)[13:]
    answered.stop()
    assert by_source(again) == {record.at: by_source(answered.answers_read)[record.at] for record in answered.sent[4:10]}
    check.order(again)
    assert (state(answered)[0][3], positions(answered)) == before
    assert byunique.run(answered.settings, "audit").returncode == 0


def test_results_of_one_partition_and_by_time(answered):
    assert look(answered, "results", "--from", "beginning")["repeated"] == 13
    assert look(answered, "results", "--from", "beginning", "--partition", "2")["repeated"] == 3
    assert look(answered, "results", "--from", "time:2020-01-01T00:00:00Z", "--partition", "1")["repeated"] == 10
    assert look(answered, "results", "--from", "time:2120-01-01T00:00:00Z")["repeated"] == 0
    assert look(answered, "results", "--from", "end")["repeated"] == 0
    answered.send(*[phone() for _ in range(5)], partition=0)
    assert look(answered, "results", "--from", "beginning")["applied"] == 5
    assert not replay(answered, "results", "--from", "end")["done"]
    replay(answered, "results", "--from", "beginning", "--partition", "2")
    assert answered.admin.committed(answered.group, answered.commands) == {1: 10, 2: 0}


def test_results_with_a_group_that_is_gone(answered):
    """Its offsets have expired, or were deleted: the worker would start from what is known to be published."""
    answered.admin.delete_group(answered.group)
    assert replay(answered, "results", "--from", "offset:2", "--partition", "2")["repeated"] == 1
    assert answered.admin.committed(answered.group, answered.commands) == {2: 2}
    start = forecast(answered)
    assert start[2] == (False, 2, 1, 0, 0) and start[1][1] <= 10
    answered.worker()
    answered.wait_results(13 + 1 + start[1][2])
    answered.stop()
    assert byunique.run(answered.settings, "audit").returncode == 0


def test_plain_replay_is_about_results(answered):
    said = json.loads(call(answered, "--from", "beginning", "--dry-run", "--json").stdout)
    assert (said["replay"], said["repeated"]) == ("results", 13)
    text = call(answered, "--from", "offset:9", "--dry-run")
    assert "1 message will be answered again" in text.stderr and text.stdout == ""


def test_results_whose_answers_are_gone(answered):
    """Deleted, or about to be: 410. What was never published is not counted as that."""
    short = {"outcome.retention": "1s", "idempotency.retention": "1s"}
    answered.db.execute("DELETE FROM outcome WHERE last_offset < 4 AND position_id = "
                        "(SELECT id FROM position WHERE partition = 1)")
    [first] = answered.db.execute("SELECT min(first_offset) FROM outcome JOIN position ON id = position_id "
                                  "WHERE partition = 1").fetchone()
    assert first > 0
    seen = look(answered, "results", "--from", "beginning", "--partition", "1")
    assert (seen["expired"], seen["repeated"]) == (first, 10 - first)
    processes.wait_for(lambda: look(answered, "results", "--from", "beginning", "--partition", "2", **short)["expired"] > 0,
                       "the answers to be old")
    published = dict(answered.db.execute("SELECT partition, published_offset FROM position").fetchall())
    assert look(answered, "results", "--from", "beginning", "--partition", "2", **short)["expired"] == published[2]
    replay(answered, "results", "--from", "beginning", "--partition", "1")
    answered.worker()
    again = answered.wait_results(23)[13:]
    answered.stop()
    assert sum(each.code == "OutcomeExpired" for each in again) == first


def test_results_no_longer_in_the_topic(answered):
    answered.admin.delete_records(answered.commands, 1, 6)
    seen = look(answered, "results", "--from", "offset:2", "--partition", "1")
    assert (seen["repeated"], seen["gone"]) == (4, 4)
    assert "4 asked for are no longer in the topic" in call(answered, "results", "--from", "offset:2", "--partition", "1",
                                                            "--dry-run").stderr


def test_results_refuses_while_a_worker_runs(answered):
    worker = answered.running()
    assert look_beside_workers(answered, "results", "--from", "beginning")["members"] == 1
    assert "stop the workers" in call(answered, "results", "--from", "beginning", "--dry-run").stderr
    refused = call(answered, "results", "--from", "beginning", "--yes", code=1)
    assert "has 1 member" in refused.stderr and "Stop the group's workers first" in refused.stderr
    assert answered.admin.committed(answered.group, answered.commands) == {1: 10, 2: 3}
    worker.kill()
    processes.wait_for(lambda: not answered.admin.assigned(answered.group), "the group to be empty")
    assert replay(answered, "results", "--from", "beginning")["done"]


def test_results_of_a_recreated_topic(answered):
    """A partition that is refused is left out; one that holds other messages than it seems is found out."""
    answered.db.execute("UPDATE outcome SET entries = set_byte(entries, 1, get_byte(entries, 1) # 1) WHERE first_offset = 0 "
                        "AND position_id = (SELECT id FROM position WHERE partition = 1)")
    found = call(answered, "results", "--from", "beginning", "--dry-run", code=1).stderr
    assert "partition 1 does not hold the messages that were processed" in found
    answered.db.execute("UPDATE position SET next_offset = 11 WHERE partition = 1")
    seen = look(answered, "results", "--from", "beginning")
    assert (seen["repeated"], seen["refused"]) == (3, 1)
    assert "partition 1 is refused" in call(answered, "results", "--from", "beginning", "--dry-run").stderr


def test_wrong_usage(answered):
    for wrong in ([], ["results"], ["--from"], ["--from", "5"], ["--from", "time:x"], ["--from", "end", "--to", "end"],
                  ["results", "--from", "end", "--partition", "9"], ["reslts", "--from", "end"], ["--from", "end", "results"],
                  ["apply", "--partition", "9"], ["again"], ["again", "--from", "end"], ["again", "--to", "end"],
                  ["again", "--from", "end", "--to", "end", "--label", ""], ["failed"], ["failed", "--all", "--batch", "x"],
                  ["failed", "--code", "Nope"], ["failed", "--code", "OutcomeExpired"], ["adopt"],
                  ["adopt", "--forget", "--cluster"], ["adopt", "--skip"]):
        done = call(answered, *wrong, *([] if "apply" in wrong else ["--dry-run"]), code=2)
        assert "HINT" in done.stderr or "DETAIL" in done.stderr or "--label" in done.stderr, wrong
    assert "replay results" in call(answered, "reslts", code=2).stderr
    mistyped = call(answered, "failed", "--code", "CustomerNotFound,RecordNotFoud", "--dry-run", code=2).stderr
    assert 'there is no code "RecordNotFoud"' in mistyped and "Did you mean RecordNotFound?" in mistyped
    assert "Say `byunique replay results`" in call(answered, "--from", "end", "results", code=2).stderr


@pytest.mark.parametrize("form, prompt", [
    (["results", "--from", "beginning"], b"Set the group's offsets back?"),
    (["again", "--from", "beginning", "--to", "end"], b"Send them?"),
    (["failed", "--all"], b"Send them?"),
    (["adopt", "--forget", "--partition", "1"], b"Forget what is known of them?")])
def test_asks(answered, form, prompt):
    """On a terminal only; what is not agreed to is not done."""
    before = state(answered)
    assert "no terminal" in call(answered, *form, code=2).stderr
    for answer, code in ((b"n\n", 1), (b"\n", 1), (b"y\n", 0)):
        assert state(answered) == before
        ours, theirs = pty.openpty()
        argv = [byunique.PROGRAM] + byunique.options(answered.settings) + ["replay"] + form
        process = subprocess.Popen(argv, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE,
                                   env=dict(processes.environment(), TERM="dumb"))
        os.close(theirs)
        seen = b""
        while b"[y/N]" not in seen:
            seen += os.read(ours, 1000)
        assert prompt in seen
        os.write(ours, answer)
        process.communicate(timeout=60)
        os.close(ours)
        assert process.returncode == code
    assert state(answered) != before


# apply


def test_apply_with_nothing_to_do(answered):
    assert forecast(answered) == {0: (False, 0, 0, 0, 0), 1: (False, 10, 0, 0, 0), 2: (False, 3, 0, 0, 0),
                                  3: (False, 0, 0, 0, 0)}
    assert "Nothing is lost" in call(answered, "apply").stdout
    answered.send(phone("new"), partition=2)
    answered.admin.commit(answered.group, answered.commands, {1: 4})
    assert forecast(answered, "--partition", "1") == {1: (False, 4, 6, 0, 0)}
    assert forecast(answered, "--partition", "2") == {2: (False, 3, 0, 1, 0)}


def test_apply_after_a_restored_backup(answered):
    backup = dump(answered)
    answered.running()
    answered.answers(*[phone("late%d" % number) for number in range(5)], partition=1)
    answered.stop()
    restore(answered, backup)
    assert forecast(answered, "--partition", "1") == {1: (False, 10, 0, 5, 5)}
    text = call(answered, "apply").stdout
    assert "PostgreSQL lost 5 messages" in text
    answered.worker()
    answered.wait_results(13 + 5 + 5)
    answered.stop()
    assert description(answered) == "late4"
    assert forecast(answered, "--partition", "1") == {1: (False, 15, 0, 0, 0)}


def test_apply_agrees_with_the_worker(answered):
    """What it foresees is what the worker says that it does."""
    answered.send(*[phone() for _ in range(3)], partition=1)
    answered.admin.commit(answered.group, answered.commands, {1: 7, 2: 1})
    seen = forecast(answered)
    worker = answered.worker()
    started = worker.wait_log(r"event=partitions_started .*partitions=(\S+)|partitions_started.*partitions=(\S+)")
    starts = dict(map(int, each.split("@")) for each in (started.group(1) or started.group(2)).split(","))
    assert {number: each[1] for number, each in seen.items()} == starts
    answered.wait_results(13 + 3 + 3 + 2)
    answered.stop()
    assert len(answered.result_reader.to_end()) == 13 + sum(each[2] + each[3] for each in seen.values())


# again


def test_again(answered):
    """Records that were damaged by other hands."""
    answered.db.execute("UPDATE ext_phone SET description = 'damaged'")
    seen = look(answered, "again", "--from", "offset:0", "--to", "offset:10", "--partition", "1", "--label", "L")
    assert (seen["would_send"], seen["sent"], seen["unreadable"], seen["answered_204"], seen["answered_error"]) == (9, 0, 1, 8, 1)
    done = replay(answered, "again", "--from", "offset:0", "--to", "offset:10", "--partition", "1", "--label", "L")
    assert (done["sent"], done["would_send"], done["label"]) == (9, 0, "L")
    copies = [each for each in answered.reader(answered.commands).to_end() if each.partition == 1 and each.offset >= 10]
    assert sum(answered.admin.log_ends(answered.commands).values()) == 13 + 9
    ids = set()
    for copy, original in zip(sorted(copies, key=lambda each: each.offset), answered.sent[:9]):
        assert copy.key == original.key
        assert copy.headers == original.headers + [("byunique.replay", b"L"), ("byunique.replayed", b"1:%d" % original.offset)]
        was, now = wire.decode(original.value)[0], wire.decode(copy.value)[0]
        assert now.but(command_id=was.command_id) == was and now.command_id != was.command_id
        ids.add(now.command_id)
    assert len(ids) == 8  # the one that repeated the first still does
    answered.worker()
    results = answered.wait_results(13 + 9)[13:]
    assert description(answered) == "6"
    assert [each.status for each in results] == [204] * 7 + [404, 204] and results[8].body["duplicate"]
    assert results[0].header("byunique.replayed") == b"1:0"
    answered.stop()
    assert byunique.run(answered.settings, "audit").returncode == 0


def test_again_with_the_same_label_takes_effect_once(answered):
    """As after an interruption; its own copies are left out, and another label is another run."""
    options = ["again", "--from", "beginning", "--to", "end", "--label", "L"]
    assert replay(answered, *options)["sent"] == 12
    answered.running()
    answered.wait_results(13 + 12)
    assert look_beside_workers(answered, *options)["sent_before"] == 12
    assert replay(answered, *options)["sent"] == 12
    results = answered.wait_results(13 + 24)[13 + 12:]
    assert all(each.body["duplicate"] for each in results if each.status == 204)
    assert replay(answered, "again", "--from", "offset:0", "--to", "offset:3", "--partition", "2")["sent"] == 3
    results = answered.wait_results(13 + 27)[13 + 24:]
    assert [(each.status, each.body["duplicate"]) for each in results] == [(204, False)] * 3
    copies = answered.reader(answered.commands).to_end()
    assert all(sum(name == "byunique.replay" for name, _ in each.headers) <= 1 for each in copies)
    answered.stop()


def test_again_leaves_out_what_is_still_to_come(answered):
    answered.send(*[phone() for _ in range(4)], partition=2)
    seen = look(answered, "again", "--from", "offset:1", "--to", "end", "--partition", "2")
    assert (seen["would_send"], seen["pending"]) == (2, 4)
    assert look(answered, "again", "--from", "beginning", "--to", "end", "--partition", "0")["would_send"] == 0
    answered.admin.delete_records(answered.commands, 1, 5)
    seen = look(answered, "again", "--from", "offset:2", "--to", "offset:8", "--partition", "1")
    assert (seen["would_send"], seen["gone"]) == (3, 3)
    assert not replay(answered, "again", "--from", "end", "--to", "end")["done"]


def test_again_interrupted(phones):
    """Killed wherever it is, and repeated: every command takes effect once more, and no more than once."""
    messages = [phones.message(phone("%d" % number), 1) for number in range(6000)]
    phones.running()
    phones.send(*messages)
    phones.wait_results(6000)
    phones.stop()
    options = ["again", "--from", "offset:0", "--to", "offset:6000", "--partition", "1", "--label", "L", "--yes"]
    argv = [byunique.PROGRAM] + byunique.options(phones.settings) + ["replay"] + options
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=processes.environment())
    processes.wait_for(lambda: phones.admin.log_ends(phones.commands)[1] > 6000, "the first copies")
    process.kill()
    process.wait(30)
    call(phones, *options)
    end = phones.admin.log_ends(phones.commands)[1]
    assert 12000 <= end <= 18000  # however far it came
    phones.worker()
    results = phones.wait_results(end)[6000:]
    phones.stop()
    effective = [each for each in results if not each.body["duplicate"]]
    assert {each.status for each in results} == {204}
    assert sorted(int(each.header("byunique.replayed")[2:]) for each in effective) == list(range(6000))


# failed


def test_failed_after_the_data_was_mended(answered):
    """Sent as they were; nothing that did not fail; and not again once they are answered 204."""
    seen = look(answered, "failed", "--code", "RecordNotFound")
    assert (seen["would_send"], seen["by_code"], seen["superseded"]) == (1, {"RecordNotFound": 1}, 0)
    answered.insert("Phone", "alice", PhoneNumber="2")
    answered.running()
    assert replay(answered, "failed", "--code", "recordnotfound")["sent"] == 1
    result = answered.wait_results(14)[-1]
    assert (result.status, result.source) == (204, (1, 10))
    copy = [each for each in answered.reader(answered.commands).to_end() if each.at == (1, 10)][0]
    original = answered.sent[7]
    assert (copy.key, copy.value, copy.headers) == (original.key, original.value, original.headers)
    again = replay(answered, "failed", "--code", "RecordNotFound")
    assert (again["sent"], again["superseded"], again["done"]) == (0, 1, False)
    answered.stop()
    assert byunique.run(answered.settings, "audit").returncode == 0


def test_failed_again_is_sent_once_each_time(answered):
    """Whatever stands there repeatedly: the result published again, the id that failed again, the unreadable message."""
    answered.running()
    for sent in range(3):
        done = replay(answered, "failed", "--all")
        assert (done["sent"], done["by_code"]) == (2, {"MalformedMessage": 1, "RecordNotFound": 1})
        assert done["repeated"] == sent
        answered.wait_results(13 + 2 * (sent + 1))
    answered.stop()
    replay(answered, "results", "--from", "beginning")
    answered.worker()
    answered.wait_results(2 * (13 + 6))
    answered.stop()
    assert look(answered, "failed", "--all")["would_send"] == 2


def test_failed_choice(answered):
    answered.running()
    later = phone(number="3", batch_id="another")
    answered.answers(later, partition=2)
    answered.stop()
    assert look(answered, "failed", "--all")["would_send"] == 3
    assert look(answered, "failed", "--code", "MalformedMessage,RecordNotFound")["would_send"] == 3
    assert look(answered, "failed", "--code", "CustomerNotFound")["would_send"] == 0
    assert look(answered, "failed", "--batch", "another")["would_send"] == 1
    assert look(answered, "failed", "--batch", "a batch")["by_code"] == {"RecordNotFound": 1}
    assert look(answered, "failed", "--batch", "none")["would_send"] == 0
    assert look(answered, "failed", "--all", "--partition", "2")["would_send"] == 1
    assert look(answered, "failed", "--from", "offset:8")["by_code"] == {"MalformedMessage": 1}
    assert look(answered, "failed", "--from", "offset:3", "--to", "offset:9")["by_code"] == {"RecordNotFound": 2}
    assert look(answered, "failed", "--from", "time:2120-01-01T00:00:00Z")["would_send"] == 0
    assert look(answered, "failed", "--to", "time:2120-01-01T00:00:00Z")["would_send"] == 3


def test_failed_with_another_answer_since(answered):
    """The last word on an id counts, also when it is another error, and other content."""
    answered.running()
    failed = phone("first", number="7")
    answered.answers(failed, partition=3)
    answered.answers(failed.but(ext_name="Nope"), partition=3)
    assert look_beside_workers(answered, "failed", "--code", "RecordNotFound", "--partition", "3")["would_send"] == 0
    assert look_beside_workers(answered, "failed", "--code", "ExtensionNotFound")["would_send"] == 1
    answered.answers(failed.but(command_id=failed.command_id.upper(), attributes=phone("good").attributes), partition=3)
    seen = look_beside_workers(answered, "failed", "--code", "ExtensionNotFound")
    assert (seen["would_send"], seen["superseded"]) == (0, 1)
    answered.stop()


def test_failed_that_is_no_longer_there(answered):
    answered.admin.delete_records(answered.commands, 1, 8)
    seen = look(answered, "failed", "--all")
    assert (seen["would_send"], seen["gone"], seen["by_code"]) == (1, 1, {"MalformedMessage": 1})
    assert look(answered, "failed", "--from", "offset:8")["gone"] == 0


def test_failed_of_another_topic_life(answered):
    """Results of a topic that was recreated: what stands at these places now is not sent."""
    recreate(answered, 4)
    answered.running_after = replay(answered, "adopt", "--forget")
    answered.send(*[phone("n%d" % number) for number in range(12)], partition=1)
    answered.running()
    answered.wait_results(13 + 12)
    answered.stop()
    seen = look(answered, "failed", "--all")
    assert (seen["would_send"], seen["other"]) == (0, 2)


def identity(record, result):
    """A UUID is told without case, another id by its text, what can't be read by its content."""
    if result.code == "MalformedMessage":
        return record.partition, record.key, record.value
    text = wire.decode(record.value)[0].command_id
    return record.partition, text if result.code == "InvalidCommandId" else text.lower()


def test_failed_random(site):
    """Random messages: exactly those whose last answer is an error are sent again, once."""
    world = gen.World(7, site.partitions)
    site.init(*schemas.ALL)
    site.fill(world.model)
    site.running()
    sent = site.send(*world.messages(1500))
    last = {}
    for record, result in sorted(zip(sent, site.results_of(sent)), key=lambda pair: pair[0].at):
        if result.code != "MalformedMessage" or identity(record, result) not in last:  # of these, the first is as good
            last[identity(record, result)] = result.status, record
    site.stop()
    failed = [record for status, record in last.values() if status != 204]
    assert replay(site, "failed", "--all")["sent"] == len(failed) > 100
    known = {record.at for record in sent}
    copies = [each for each in site.reader(site.commands).to_end() if each.at not in known]
    assert sorted(map(bytes_of, copies), key=repr) == sorted(map(bytes_of, failed), key=repr)


def bytes_of(record):
    return record.partition, record.key, record.value, record.headers


# adopt


def recreate(site, partitions):
    site.admin.delete_topic(site.commands)
    site.admin.create_topic(site.commands, partitions)
    site.sender = Sender(site.kafka.servers, site.commands)


def refused(site):
    """A worker that has nothing but refused partitions, or at least one → what it says."""
    worker = site.worker()
    worker.wait_log("partition_refused")
    if worker.alive:
        worker.signal(signal.SIGTERM)
    worker.wait()
    return worker.log


def test_adopt_a_recreated_topic(answered):
    recreate(answered, 4)
    new = answered.send(*[phone("new%d" % number) for number in range(4)], partition=1)
    assert "recreated" in refused(answered)
    before = positions(answered)
    assert before[1] == 10 and before[2] == 3
    found = call(answered, "adopt", "--forget", "--dry-run").stderr
    assert "partition 1: begins at offset 0, 4 messages will be applied" in found
    assert look(answered, "adopt", "--forget")["partitions"] == [1, 2]
    assert look(answered, "adopt", "--accept-loss")["partitions"] == []
    assert look(answered, "adopt", "--cluster")["partitions"] == []
    assert replay(answered, "adopt", "--forget")["done"]
    assert set(positions(answered)) & {1, 2} == set()
    assert answered.db.execute("SELECT count(*) FROM outcome").fetchone() == (0,)
    assert answered.db.execute("SELECT count(*) FROM refusal").fetchone() == (0,)
    answered.worker()
    results = answered.wait_results(13 + 4)[13:]
    answered.stop()
    assert [(each.source, each.status) for each in results] == [(record.at, 204) for record in new]
    assert description(answered) == "new3"


def test_adopt_a_smaller_topic(answered):
    """Partitions that are no more are forgotten with the rest."""
    recreate(answered, 2)
    assert "partition 2: the database knows it" in call(answered, "apply").stderr
    assert look(answered, "adopt", "--forget")["partitions"] == [1, 2] + [
        number for number in positions(answered) if number == 3]
    replay(answered, "adopt", "--forget")
    assert {number for number in positions(answered)} <= {0}


def test_adopt_refuses_while_a_worker_runs(answered):
    answered.db.execute("UPDATE position SET next_offset = 11 WHERE partition = 1")
    worker = answered.running()
    before = positions(answered), answered.admin.committed(answered.group, answered.commands)
    forget = ["adopt", "--forget", "--partition", "1", "--yes"]
    assert "has 1 member" in call(answered, *forget, code=1).stderr
    worker.freeze()  # out of the group, but its session in the database lives
    processes.wait_for(lambda: not answered.admin.assigned(answered.group), "the frozen worker to be expelled", timeout_s=60)
    assert "worker of this database is running" in call(answered, *forget, code=1).stderr
    assert (positions(answered), answered.admin.committed(answered.group, answered.commands)) == before
    worker.thaw()
    worker.signal(signal.SIGTERM)
    worker.wait()
    assert replay(answered, "adopt", "--forget", "--partition", "1")["partitions"] == [1]


def test_adopt_a_healthy_partition_on_purpose(answered):
    """Only by its number, and it is told what that means: all takes effect again."""
    assert look(answered, "adopt", "--forget")["partitions"] == []
    found = call(answered, "adopt", "--forget", "--partition", "2", "--dry-run").stderr
    assert "3 messages will be applied, also those that took effect before" in found
    replay(answered, "adopt", "--forget", "--partition", "2")
    assert answered.admin.committed(answered.group, answered.commands) == {1: 10, 2: 0}
    answered.db.execute("UPDATE ext_phone SET description = 'damaged'")
    answered.worker()
    answered.wait_results(16)
    answered.stop()
    assert description(answered) == "p2"


def test_adopt_what_is_left_of_a_topic(answered):
    """A new database behind a group that has worked, and the beginning of the log is gone."""
    answered.db.execute("DELETE FROM position")
    answered.admin.delete_records(answered.commands, 1, 4)
    assert "this database knows nothing of it" in refused(answered)
    assert forecast(answered)[1][0]
    assert look(answered, "adopt", "--forget")["partitions"] == [1]
    replay(answered, "adopt", "--forget")
    assert answered.admin.committed(answered.group, answered.commands)[1] == 4
    assert forecast(answered)[1] == (False, 4, 0, 6, 0)
    seen = len(answered.result_reader.to_end())
    answered.worker()
    answered.wait_results(seen + 6)
    answered.stop()


def test_adopt_a_renamed_group(answered):
    renamed = {"kafka.group.id": answered.group + "-new"}
    answered.send(phone("renamed"), partition=1)
    assert forecast(answered, **renamed)[1][0]
    assert look(answered, "adopt", "--group", **renamed)["partitions"] == sorted(positions(answered))
    old = answered.running()
    assert "Stop the group's workers" in call(answered, "adopt", "--group", "--yes", code=1, **renamed).stderr
    answered.wait_results(14)
    old.stop()
    replay(answered, "adopt", "--group", **renamed)
    answered.send(phone("new name"), partition=1)
    answered.worker(**renamed)
    processes.wait_for(lambda: description(answered) == "new name", "the new command")
    answered.stop()
    assert call(answered, "adopt", "--group", "--yes").stderr  # the old name is another group now
    assert answered.db.execute("SELECT DISTINCT group_id FROM position").fetchall() == [(answered.group,)]


def test_adopt_another_cluster(answered):
    """The topic is the same to the byte, as a mirror would be; what is not is not adopted as such."""
    answered.db.execute("UPDATE position SET cluster_id = 'the old one'")
    assert "another Kafka cluster" in refused(answered)
    assert look(answered, "adopt", "--cluster")["partitions"] == sorted(positions(answered))
    answered.db.execute("UPDATE position SET last_hash = last_hash + 1 WHERE partition = 1")
    done = call(answered, "adopt", "--cluster", "--yes", code=1)
    assert "It would still be refused" in done.stderr
    answered.db.execute("UPDATE position SET last_hash = last_hash - 1 WHERE partition = 1")
    replay(answered, "adopt", "--cluster")
    answered.worker()
    [sent] = answered.send(phone("moved"), partition=1)
    assert answered.results_of([sent])[0].status == 204
    answered.stop()


def test_adopt_a_loss(answered):
    """What the database needs is no longer in the topic."""
    backup = dump(answered)
    answered.running()
    answered.answers(*[phone("late%d" % number) for number in range(8)], partition=1)
    answered.stop()
    answered.admin.delete_records(answered.commands, 1, 15)
    restore(answered, backup)
    assert "no longer holds all that is needed" in refused(answered)
    found = call(answered, "adopt", "--accept-loss", "--dry-run").stderr
    assert "5 commands are given up, begins at offset 15, 3 messages will be applied" in found
    assert replay(answered, "adopt", "--accept-loss")["partitions"] == [1]
    assert forecast(answered)[1] == (False, 15, 0, 3, 3)
    seen = len(answered.result_reader.to_end())
    answered.worker()
    again = answered.wait_results(seen + 3)[seen:]
    answered.stop()
    assert [each.source for each in again] == [(1, 15), (1, 16), (1, 17)]
    assert description(answered) == "late7"


def test_adopt_lost_results(answered):
    """Processed, but never known to be published, and gone from the topic: the position stays."""
    answered.db.execute("UPDATE position SET published_offset = 3 WHERE partition = 1")
    answered.admin.delete_group(answered.group)
    answered.admin.delete_records(answered.commands, 1, 6)
    assert forecast(answered)[1][0]
    assert "the results of 3 messages are given up" in call(answered, "adopt", "--accept-loss", "--dry-run").stderr
    replay(answered, "adopt", "--accept-loss")
    assert positions(answered)[1] == 10
    assert forecast(answered)[1] == (False, 6, 4, 0, 0)


# Elsewhere


def test_with_a_registry(registered, registry):
    """Commands framed in each way: what is sent again is read by the worker, whatever named its schema before."""
    site = registered()
    number, _ = registry.store.register("writers", wire.COMMAND_SCHEMA)
    by_id = (HEADER, b"\0" + number.to_bytes(4, "big"))
    site.insert("Phone", "carol", PhoneNumber="1")
    site.running()
    failing_one = phone(number="9", customer_id="carol")
    messages = [confluent(number, phone("one")), Message(0, b"alice", wire.body_of(phone("two")), [("h", b"1"), by_id]),
                site.message(phone("three"), 0), Message(0, b"carol", wire.body_of(failing_one), [by_id])]
    sent = site.send(*messages)
    assert [each.status for each in site.results_of(sent)] == [204] * 3 + [404]
    assert replay(site, "again", "--from", "offset:0", "--to", "offset:3")["sent"] == 3
    again = site.wait_results(7)[4:]
    assert [(each.status, each.body["duplicate"]) for each in again] == [(204, False)] * 3
    assert [name for name, _ in again[1].headers if name.startswith("_") or name == "h"] == ["h"]
    site.insert("Phone", "carol", PhoneNumber="9")
    assert replay(site, "failed", "--all")["sent"] == 1
    assert site.wait_results(8)[-1].status == 204
    copy = [each for each in site.reader(site.commands).to_end() if each.at == (0, 7)][0]
    assert (copy.key, copy.value, copy.headers) == (sent[3].key, sent[3].value, sent[3].headers)
    registry.stop()
    assert replay(site, "results", "--from", "end")["repeated"] == 0  # needs no schema
    call(site, "failed", "--all", "--dry-run", code=1)
    site.stop()


def test_without_what_it_needs(sites, answered):
    """No database objects, no topic: an error that says so."""
    for form in (["results", "--from", "beginning"], ["apply"], ["again", "--from", "beginning", "--to", "end"],
                 ["failed", "--all"], ["adopt", "--forget"]):
        options = form + ([] if form == ["apply"] else ["--dry-run"])
        call(sites(), *options, code=1)
        assert "byunique init" in call(answered, *options, code=1, **{"postgres.schema": "elsewhere"}).stderr




# docs/recovery.md


def page():
    return (servers.ROOT / "docs" / "recovery.md").read_text()


def quoted(text):
    """Every `byunique …` of the page, in a line or as a block → lists of words."""
    flat = re.sub(r"[ \n]+", " ", text)
    commands = re.findall(r"`(byunique [^`]+)`", flat) + re.findall(r"^    (byunique .+)$", text, re.MULTILINE)
    return [command.split()[1:] for command in dict.fromkeys(commands)]


def forms():
    """What there is, by --help → {name: its options, those with an argument marked by =}."""
    overview = byunique.must({}, "help").split("Commands:\n")[1].split("\n\n")[0]
    names = [re.match(r"  (\S+(?: \S+)*)  ", line).group(1) for line in overview.splitlines()]
    return {name: {option + ("=" if argument else "") for option, argument in re.findall(
        r"^  (--[a-z-]+)( [A-Z]\S*| [a-z|]+\|\S+)?  ", byunique.must({}, "help", *name.split()), re.MULTILINE)}
        for name in names}


def test_every_command_of_the_page_exists():
    known, commands = forms(), quoted(page())
    assert len(commands) > 20 and len({tuple(each[:2]) for each in commands}) >= 10
    for words in commands:
        name = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        assert name in known, "docs/recovery.md: byunique %s" % " ".join(words)
        rest = words[len(name.split()):]
        for at, word in enumerate(rest):
            if word.startswith("--"):
                takes = word + "=" in known[name]
                assert takes or word in known[name], "docs/recovery.md: %s has no %s" % (name, word)
                assert takes == (at + 1 < len(rest) and not rest[at + 1].startswith("--")), words


def test_every_anchor_of_the_page_exists():
    text = page()
    headings = {re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-")
                for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


def runnable(words, site):
    """A command of the page with what it names replaced by what is there."""
    letter = next(iter(site.letters))
    names = {"ID": "a batch", "0:17": "%d:%d" % letter.at, "3:120041": "1:9",
             "/var/lib/byunique/archive": str(site.folder / "archive")}
    out = [names.get(word, word) for word in words]
    out = [re.sub(r"offset:\d+", "offset:1", word) for word in out]
    if "--to" in out and "offset:1" in out:
        out[out.index("--to") + 1] = "offset:9"
    if words[0] == "replay" and words[1:2] not in (["apply"],) or words[:2] == ["dead-letters", "resubmit"]:
        out += [] if "--dry-run" in out else ["--dry-run"]
    return out


def test_every_command_of_the_page_runs(answered):
    """On a set-up with failures, dead letters and refused partitions; what would change something as a dry run."""
    answered.letters = answered.reader(answered.dead_letters).to_end()
    byunique.must(answered.settings, "archive", str(answered.folder / "archive"))
    answered.db.execute("UPDATE position SET next_offset = 99 WHERE partition = 2")  # as if it was recreated
    ran = 0
    for words in quoted(page()):
        words = runnable(words, answered)
        if words[0] in ("run",) or words[-1] in ("list", "resubmit", "show"):
            continue
        done = byunique.run(answered.settings, *words)
        assert done.returncode in (0, 3), (words, done.stderr)
        assert done.returncode == 0 or words[0] in ("audit", "results"), (words, done.stderr)
        ran += 1
    assert ran > 18
