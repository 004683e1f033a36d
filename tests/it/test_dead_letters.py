"""`byunique dead-letters`: what is listed and shown is what lies in the topic, and what is put back is what was sent."""

import json
import os
import pty
import subprocess

import pytest

from lib import byunique, processes, schemas, wire
from lib.client import Sender
from lib.gen import Message
from lib.site import new_id
from lib.wire import Command

ADDED = ["__connect.errors.topic", "__connect.errors.partition", "__connect.errors.offset", "byunique.code",
         "byunique.detail"]
REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.description = 'refused' THEN RAISE EXCEPTION 'not this one'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON ext_phone FOR EACH ROW EXECUTE FUNCTION refuse()"""


def phone(text="x", **changes):
    attributes = (("PhoneNumber", "string", "1"), ("description", "string", text))
    return Command(new_id(), "alice", "Phone", attributes, "a batch", 1261161000000).but(**changes)


def call(site, *options, code=0):
    done = byunique.run(site.settings, "dead-letters", *options)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def listed(site, *options, code=0):
    return [json.loads(line) for line in call(site, "list", "--json", *options, code=code).stdout.splitlines()]


def resubmit(site, *options, code=0):
    return json.loads(call(site, "resubmit", "--yes", "--json", *options, code=code).stdout)


def summary(sent=0, would_send=0, **others):
    counts = {"selected": sent + would_send, "sent": sent, "would_send": would_send, "repeated": 0, "truncated": 0,
              "foreign": 0}
    return dict(counts, **others)


def spot(record):
    return "%d:%d" % record.at


@pytest.fixture
def letters(site):
    """Five messages that became dead letters, one that did not, in partitions 1 and 2; the worker has ended."""
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    site.insert("Phone", "bob", PhoneNumber="1")
    site.db.execute(REFUSE)
    site.running()
    headers = [("traceparent", b"\x00\xff"), ("none", None), ("byunique.code", b"the producer's own"), ("empty", b""),
               ("byunique.truncated", b"value"), ("traceparent", b"again")]
    site.messages = [
        Message(1, b"alice", wire.encode(phone("refused")), headers), Message(1, None, b"broken", []),
        Message(2, b"", b"\x00\x1b[31m \xe2\x82\xac", headers[:1]), Message(2, b"k", None, headers),
        Message(2, b"k", b"", []), site.message(phone("good", customer_id="bob"), 2)]
    site.sent = site.send(*site.messages)
    site.results_of(site.sent)
    site.stop()
    site.letter_records = {(int(each.header(ADDED[1])), int(each.header(ADDED[2]))): each
                           for each in site.reader(site.dead_letters).to_end()}
    assert len(site.letter_records) == 5
    return site


def letter_of(site, number):
    return site.letter_records[site.sent[number].at]


# list and show


def test_list(letters):
    all_of_them = listed(letters)
    assert all(each.pop("timestamp") > 1600000000000 for each in all_of_them)
    expected = [{"partition": letter.partition, "offset": letter.offset, "code": letter.header("byunique.code").decode(),
                 "detail": letter.header("byunique.detail").decode(),
                 "source": {"topic": letters.commands, "partition": at[0], "offset": at[1]},
                 "bytes": len(letter.value or b""), "truncated": False} for at, letter in letters.letter_records.items()]

    def place(each):
        return each["partition"], each["offset"]
    assert sorted(all_of_them, key=place) == sorted(expected, key=place)
    assert len(listed(letters, "--code", "malformedmessage")) == 4
    [refused] = listed(letters, "--code", "InternalError")
    assert refused["source"]["offset"] == 0
    assert len(listed(letters, "--limit", "2")) == 2
    assert listed(letters, "--from", "end") == [] and len(listed(letters, "--from", "beginning")) == 5
    assert listed(letters, "--from", "time:2120-01-01T00:00:00Z") == []
    for wrong in (["--code", "RecordNotFound"], ["--code", "x"], ["--from", "x"], ["--limit", "0"], ["extra"]):
        call(letters, "list", *wrong, code=2)


def test_list_as_text(letters):
    lines = call(letters, "list").stdout.splitlines()
    assert len(lines) == 5 and all(line.isprintable() for line in lines)
    [line] = [line for line in lines if "InternalError" in line]
    letter = letter_of(letters, 0)
    words = line.split(None, 6)
    assert words[:4] == [spot(letter), "InternalError", letters.commands, "1:0"]
    assert words[5:] == [str(len(letter.value)), letter.header("byunique.detail").decode()]


def test_show_a_command(letters):
    letter = letter_of(letters, 0)
    shown = json.loads(call(letters, "show", spot(letter), "--json").stdout)
    command, _ = wire.decode(letter.value)
    assert shown["command"] == {
        "command_id": command.command_id, "customer_id": "alice", "ext_name": "Phone", "batch_id": "a batch",
        "issued_at": 1261161000000, "attributes": {"PhoneNumber": "1", "description": "refused"}}
    own = letters.messages[0].headers
    assert [(each["name"], each["value"] and bytes.fromhex(each["value"]["hex"])) for each in shown["headers"]] == own
    assert shown["key"] == {"text": "alice", "hex": b"alice".hex()}
    assert bytes.fromhex(shown["value"]["hex"]) == letter.value
    text = call(letters, "show", "--source", "1:0").stdout
    assert text.startswith("letter     %s, 20" % spot(letter))
    assert "\nmessage    %s 1:0\n" % letters.commands in text
    assert '"description": "refused"' in text and "\nkey        5 bytes\nalice\n" in text
    assert "\nheaders    6\n  traceparent: \\x00\\xff\n  none: (null)\n" in text


def test_show_what_is_no_command(letters):
    text = call(letters, "show", "--source", "2:0").stdout
    assert "\ncode       MalformedMessage\n" in text and "command    can't be decoded" in text
    assert "\nkey        0 bytes\n" in text
    assert "00000000  00 1b 5b 33 31 6d 20 e2  82 ac                    |..[31m ...|" in text
    assert "\nvalue      6 bytes\nbroken\n" in call(letters, "show", spot(letter_of(letters, 1))).stdout
    assert "\nvalue      null\n" in call(letters, "show", spot(letter_of(letters, 3))).stdout


def test_show_raw(letters):
    for number in range(5):
        argv = [byunique.PROGRAM] + byunique.options(letters.settings) + ["dead-letters", "show", "--raw", "--source",
                                                                         spot(letters.sent[number])]
        done = subprocess.run(argv, stdout=subprocess.PIPE, timeout=60, env=processes.environment())
        assert (done.returncode, done.stdout) == (0, letters.messages[number].value or b"")


def test_show_what_is_not_there(letters):
    assert "there is no dead letter at 0:999" in call(letters, "show", "0:999", code=1).stderr
    call(letters, "show", "77:0", code=1)
    assert "no such dead letter" in call(letters, "show", "--source", spot(letters.sent[5]), code=1).stderr
    for wrong in ([], ["0:1", "--source", "0:1"], ["0"], ["0:x"], ["-1:0"], ["0:0", "--raw", "--json"]):
        call(letters, "show", *wrong, code=2)


# resubmit


def bytes_of(record):
    return record.partition, record.key, record.value, record.headers


def test_resubmit_byte_for_byte(letters):
    before = len(letters.reader(letters.commands).to_end())
    assert resubmit(letters, "--all") == summary(5)
    everything = letters.reader(letters.commands).to_end()
    again = [each for each in everything if each.at not in {record.at for record in letters.sent}]
    assert before == 6 and len(again) == 5

    def order(each):
        return repr(each)
    assert sorted(map(bytes_of, again), key=order) == sorted(map(bytes_of, letters.sent[:5]), key=order)


def test_resubmit_after_the_cause_is_mended(letters):
    letters.db.execute("DROP TRIGGER refuse ON ext_phone")
    assert resubmit(letters, "--code", "InternalError") == summary(1)
    letters.worker()
    result = letters.wait_results(7)[-1]
    assert (result.status, result.source) == (204, (1, 2))
    assert letters.db.execute("SELECT description FROM ext_phone WHERE customer_id = 'alice'").fetchone() == ("refused",)
    assert resubmit(letters, "--code", "InternalError") == summary(1)
    assert letters.wait_results(8)[-1].body["duplicate"]
    letters.stop()
    assert byunique.run(letters.settings, "audit").returncode == 0


def test_what_fails_again_is_not_sent_for_ever(letters):
    letters.running()
    assert resubmit(letters, "--all") == summary(5)
    letters.wait_results(11)
    letters.stop()
    assert len(listed(letters)) == 10
    assert len(letters.result_reader.to_end()) == 11


def test_choice(letters):
    first, second = letter_of(letters, 1), letter_of(letters, 4)
    assert resubmit(letters, spot(first), spot(second), "--dry-run") == summary(would_send=2)
    assert resubmit(letters, spot(first), spot(first), spot(second), "--code", "MalformedMessage",
                    code=1) == summary(2)  # one named twice
    assert resubmit(letters, "--from", "time:2120-01-01T00:00:00Z") == summary()
    assert resubmit(letters, "--from", "time:2020-01-01T00:00:00Z", "--code", "MalformedMessage") == summary(4)
    done = call(letters, "resubmit", spot(first), "--code", "InternalError", "--yes", code=1)
    assert "1 of the letters named" in done.stderr
    call(letters, "resubmit", "0:999", "--yes", code=1)
    for wrong in ([], ["--all", "--code", "InternalError"], ["x"], ["--code", "x"]):
        call(letters, "resubmit", "--yes", *wrong, code=2)
    assert sum(letters.admin.log_ends(letters.commands).values()) == 6 + 2 + 4


def test_published_twice_is_sent_once(letters):
    letters.admin.commit(letters.group, letters.commands, {1: 0, 2: 0})
    letters.worker()
    letters.wait_results(12)
    letters.stop()
    assert len(listed(letters)) == 10
    assert resubmit(letters, "--all") == summary(5, selected=10, repeated=5)


def test_passed_over(letters):
    """What is not whole, not ours, or no letter at all."""
    sender = Sender(letters.kafka.servers, letters.dead_letters)

    def added(topic=letters.commands, partition=b"1"):
        return [(ADDED[0], topic.encode()), (ADDED[1], partition), (ADDED[2], b"77"), (ADDED[3], b"InternalError"),
                (ADDED[4], b"x")]
    cut = [("byunique.truncated", b"value"), ("byunique.truncated", b"headers")]
    sender.send([Message(0, b"k", None, cut + added()), Message(0, None, b"v", [("byunique.truncated", b"key")] + added()),
                 Message(0, b"k", b"v", added("another")), Message(0, b"k", b"v", added(partition=b"99")),
                 Message(0, b"k", b"junk", [("h", b"1")]), Message(0, b"k", b"junk", added(partition=b"-1"))])
    ends = letters.admin.log_ends(letters.commands)
    done = call(letters, "resubmit", "--all", "--dry-run", "--json", code=1)
    assert json.loads(done.stdout) == summary(would_send=5, selected=9, truncated=2, foreign=2)
    assert done.stderr.count("passed over") == 4 and done.stderr.count("no dead letter") == 2
    assert letters.admin.log_ends(letters.commands) == ends
    done = call(letters, "resubmit", "--all", "--yes", "--json", code=1)
    assert json.loads(done.stdout) == summary(5, selected=9, truncated=2, foreign=2)
    assert done.stderr.count("passed over") == 4 and done.stderr.count("no dead letter") == 2
    assert sum(each["truncated"] for each in listed(letters, code=1)) == 2


def test_asks(letters):
    """On a terminal only; what is not agreed to is not done."""
    assert "no terminal" in call(letters, "resubmit", "--all", code=2).stderr
    ends = letters.admin.log_ends(letters.commands)
    for answer, code in ((b"n\n", 1), (b"\n", 1), (b"y\n", 0)):
        assert letters.admin.log_ends(letters.commands) == ends
        ours, theirs = pty.openpty()
        argv = [byunique.PROGRAM] + byunique.options(letters.settings) + ["dead-letters", "resubmit", "--all"]
        process = subprocess.Popen(argv, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE,
                                   env=dict(processes.environment(), TERM="dumb"))
        os.close(theirs)
        seen = b""
        while b"[y/N]" not in seen:
            seen += os.read(ours, 1000)
        assert b"Send 5 messages to %s again?" % letters.commands.encode() in seen
        os.write(ours, answer)
        out, _ = process.communicate(timeout=60)
        os.close(ours)
        assert process.returncode == code
        assert out == (b"5 messages sent\n" if code == 0 else b"")
    assert sum(letters.admin.log_ends(letters.commands).values()) == 11


def test_no_topic(sites, letters):
    without = dict(letters.settings, **{"dead.letter.topic": ""})
    for command in (["list"], ["show", "0:0"], ["resubmit", "--all", "--yes"]):
        done = byunique.run(without, "dead-letters", *command)
        assert done.returncode == 2 and "dead.letter.topic is empty" in done.stderr
        assert byunique.run(sites().settings, "dead-letters", *command).returncode == 1


def test_too_large_for_the_broker(letters):
    """A command within the commands topic's limit, whose dead letter is cut: it is told, and not put back."""
    letters.admin.alter_topic(letters.dead_letters, max_message_bytes=4000)
    letters.worker()
    [sent] = letters.send(Message(1, b"k", os.urandom(20000), [("h", b"1")]))
    letters.results_of([sent])
    letters.stop()
    [cut] = [each for each in listed(letters) if each["source"]["offset"] == sent.offset and
             each["source"]["partition"] == 1]
    assert cut["truncated"] and cut["bytes"] == 0
    done = call(letters, "resubmit", "%d:%d" % (cut["partition"], cut["offset"]), "--yes", "--json", code=1)
    assert json.loads(done.stdout) == summary(selected=1, truncated=1)
    assert "not whole" in done.stderr
    assert "\ntruncated  " in call(letters, "show", "--source", spot(sent)).stdout
