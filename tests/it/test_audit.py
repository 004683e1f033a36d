"""`byunique audit`: silent about what is well, also while workers run, and right about every kind of fault."""

import collections
import json
import random
import threading

import psycopg
import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from psycopg import sql

from lib import byunique, gen, processes, schemas
from lib.client import Sender
from lib.gen import Message
from lib.site import SOON_GONE, new_id
from lib.wire import Command


def phone(text="x", customer="alice", number="1", **changes):
    attributes = (("PhoneNumber", "string", number), ("description", "string", text))
    return Command(new_id(), customer, "Phone", attributes).but(**changes)


def audit(site, *options, code=None, **settings):
    """Run it → (findings, summary)."""
    done = byunique.run(dict(site.settings, **settings), "audit", "--json", *options, timeout_s=120)
    assert done.returncode in (0, 3), done.stderr
    *found, last = [json.loads(line) for line in done.stdout.splitlines()]
    summary = last["summary"]
    assert done.returncode == (3 if summary["findings"] else 0) and done.stderr == ""
    assert code is None or done.returncode == code, done.stdout
    if "--limit" not in options:
        assert summary["by_kind"] == dict(collections.Counter(each["finding"] for each in found))
    return found, summary


def clean(site, *options, **settings):
    found, summary = audit(site, *options, **settings)
    assert found == []
    return summary


def at(place):
    return {"partition": place[0], "offset": place[1]}


def by_message(found):
    return sorted((each["finding"], each["message"]["partition"], each["message"]["offset"]) for each in found)


def kinds(*places):
    return sorted((kind, *place) for kind, place in places)


def forge(site, result, value=None, partition=None):
    """One more record in the results topic."""
    sender = Sender(site.kafka.servers, site.results)
    partition = result.partition if partition is None else partition
    return sender.send([Message(partition, result.key, result.value if value is None else value, result.headers)])[0]


@pytest.fixture
def phones(site):
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    return site


@pytest.fixture
def answered(phones):
    """Ten messages of partition 1, answered 204 but for three; the worker has ended."""
    phones.running(**{"batch.max.commands": 4})
    commands = [phone("%d" % number) for number in range(7)]
    messages = [phones.message(each, 1) for each in
                commands + [phone(number="2"), commands[0]]] + [Message(1, b"k", b"broken", [])]
    phones.sent = phones.send(*messages)
    phones.results_read = phones.results_of(phones.sent)
    phones.stop()
    assert [each.status for each in phones.results_read] == [204] * 7 + [404, 204, 400]
    return phones


def position_of(site, partition=1):
    return site.db.execute("SELECT id FROM position WHERE topic = %s AND partition = %s",
                           [site.commands, partition]).fetchone()[0]


# What is well


def test_nothing_there(site):
    site.init()
    assert clean(site) == {"messages": 0, "answered": 0, "pending": 0, "no_longer_kept": 0, "results": 0, "repeated": 0,
                           "unknown": 0, "outside": 0, "findings": 0, "by_kind": {}}


def test_clean_after_random_messages_and_kills(site):
    site.settings.update(SOON_GONE)
    world = gen.World(4711, site.partitions)
    site.init(*schemas.ALL)
    site.fill(world.model)
    assert clean(site)["messages"] == 0
    sent = site.send(*world.messages(3000))
    assert clean(site)["pending"] == 3000
    for seen in (1, 900):
        worker = site.worker(**{"batch.max.commands": 50})
        site.wait_results(seen)
        worker.kill()
        clean(site)
    site.worker()
    site.wait_results(len(sent))
    site.stop()
    summary = clean(site, "--strict")
    assert (summary["messages"], summary["answered"], summary["results"]) == (3000, 3000, 3000)
    assert (summary["pending"], summary["repeated"], summary["unknown"]) == (0, 0, 0)


def test_no_false_finding_under_load(site):
    """Again and again while two workers run and one of them is killed and started again."""
    site.settings.update(SOON_GONE)
    world = gen.World(99, site.partitions)
    site.init(*schemas.ALL)
    site.fill(world.model)
    over = threading.Event()
    sender = Sender(site.kafka.servers, site.commands)
    sent = []

    def load():
        while not over.wait(0.1):
            sent.extend(sender.send(world.messages(200)))

    def in_the_middle():
        """An audit, with messages answered before it and others being processed meanwhile."""
        summary = clean(site)
        return summary["answered"] > 0 and summary["pending"] > 0

    thread = threading.Thread(target=load)
    thread.start()
    try:
        first = site.worker(**{"batch.max.commands": 60})
        for _ in range(3):
            second = site.worker(**{"batch.max.commands": 200})
            for _ in range(4):
                processes.wait_for(in_the_middle, "an audit in the middle", timeout_s=120, alive=second.process)
            second.kill()
            clean(site)
    finally:
        over.set()
        thread.join()
    site.result_reader.wait(len(sent), 120, first)
    site.stop()
    assert clean(site, "--strict")["answered"] == len(sent)


def test_an_open_transaction_is_no_fault(answered):
    """Results that are written, but not yet shown: they are waited for, and one that is not committed is none."""
    from confluent_kafka import Producer
    producer = Producer({"bootstrap.servers": answered.kafka.servers, "transactional.id": "other"})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(answered.results, value=b"nonsense", partition=answered.results_read[0].partition)
    producer.flush(20)
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(clean(answered)))
    thread.start()
    thread.join(2)
    assert outcome == []
    producer.abort_transaction(20)
    thread.join(60)
    assert outcome[0]["answered"] == 10


def test_after_a_reset(answered):
    """The very same results again are counted, and reported only when asked for."""
    answered.admin.commit(answered.group, answered.commands, {1: 3})
    answered.worker()
    answered.wait_results(17)
    answered.stop()
    summary = clean(answered)
    assert (summary["results"], summary["repeated"], summary["answered"]) == (17, 7, 10)
    found, summary = audit(answered, "--strict", code=3)
    assert by_message(found) == kinds(*[("repeated", record.at) for record in answered.sent[3:]])
    assert summary["findings"] == 7


def test_after_a_reset_and_with_another_limit(phones):
    """Results are cut to what their topic takes at the moment: the same ones, cut otherwise, are no finding."""
    phones.running()
    commands = [phone(batch_id="b" * length) for length in (9000, 10)]
    phones.answers(*commands, partition=1)
    phones.stop()
    resource = ConfigResource(ResourceType.TOPIC, phones.results, incremental_configs=[
        ConfigEntry("max.message.bytes", "2000", incremental_operation=AlterConfigOpType.SET)])
    phones.admin.client.incremental_alter_configs([resource])[resource].result()
    phones.admin.commit(phones.group, phones.commands, {1: 0})
    phones.worker()
    phones.wait_results(4)
    phones.stop()
    assert [value for name, value in phones.result_reader.seen[2].headers if name == "byunique.truncated"] == [b"texts"]
    summary = clean(phones)
    assert (summary["results"], summary["repeated"], summary["answered"]) == (4, 2, 2)


def test_expired(phones):
    """Outcomes that retention has deleted, and the 410 of messages read again, are as they should be."""
    short = {"outcome.retention": "1s", "idempotency.retention": "1s"}
    phones.running(**short)
    sent = phones.send(phone("a"), phone("b"), partition=0)
    phones.results_of(sent)
    phones.send(phone("c"), partition=0)  # a later batch, so that the first one's results are known to be published
    phones.wait_results(3)

    def gone():
        return phones.db.execute("SELECT count(*) FROM outcome WHERE position_id = %s AND last_offset < 2",
                                 [position_of(phones, 0)]).fetchone()[0] == 0
    processes.wait_for(gone, "retention to delete", timeout_s=60, alive=phones.workers[-1].process)
    phones.stop()
    deleted = 3 - phones.db.execute("SELECT count(*) FROM outcome WHERE position_id = %s",
                                    [position_of(phones, 0)]).fetchone()[0]  # the last one perhaps, too
    found, _ = audit(phones, code=3)
    assert by_message(found) == kinds(*[("no_outcome", (0, offset)) for offset in range(deleted)])
    clean(phones, **short)
    phones.admin.commit(phones.group, phones.commands, {0: 0})
    phones.running(**short)
    phones.wait_results(6)
    phones.stop()
    assert {each.code for each in phones.result_reader.to_end()[3:]} == {"OutcomeExpired"}
    assert clean(phones, **short)["repeated"] == 3


# What is not


def test_result_missing(answered):
    """The results went elsewhere."""
    answered.admin.create_topic("elsewhere-" + answered.results, 1)
    found, summary = audit(answered, code=3, **{"results.topic": "elsewhere-" + answered.results})
    assert by_message(found) == kinds(*[("missing", record.at) for record in answered.sent])
    assert all(each["result"] is None for each in found)
    assert "404 RecordNotFound" in found[7]["detail"]
    assert (summary["answered"], summary["results"]) == (0, 0)


def test_results_no_longer_kept(answered):
    """A results topic that has begun to forget proves nothing about what is older than its oldest record."""
    first = answered.results_read[0]
    end = max(each.offset for each in answered.results_read if each.partition == first.partition) + 1
    answered.admin.delete_records(answered.results, first.partition, end)
    summary = clean(answered)
    assert summary["no_longer_kept"] == 10 - summary["answered"] > 0
    answered.running()
    [later] = answered.send(phone("later"), partition=1)
    answered.results_of([later])
    answered.stop()
    assert clean(answered)["no_longer_kept"] == summary["no_longer_kept"]


def test_forged_result(answered):
    first, second = answered.results_read[:2]
    again = forge(answered, first)
    assert clean(answered)["repeated"] == 1
    other = answered.results_read[7]
    forged = forge(answered, other, value=other.value.replace(b"RecordNotFound", b"RecordNotFOUND"))
    found, _ = audit(answered, code=3)
    assert by_message(found) == kinds(("differing", other.source))
    assert found[0]["result"] == at(forged.at)
    assert "%d:%d, with the same status and code, but not the same bytes" % other.at in found[0]["detail"]
    assert again.at != forged.at and second.source != other.source


def test_forged_code(answered):
    other = answered.results_read[7]
    forge(answered, other, value=other.value.replace(b"RecordNotFound", b"RecordNotThere"))
    found, _ = audit(answered, code=3)
    assert by_message(found) == kinds(("at_odds", other.source), ("differing", other.source))
    assert "%d:%d, with 404 RecordNotFound; now what no answer is" % other.at in [
        each["detail"] for each in found if each["finding"] == "differing"][0]


def test_unreadable(answered):
    junk = forge(answered, answered.results_read[0], value=b"junk")
    found, _ = audit(answered, code=3)
    assert [(each["finding"], each["message"], each["result"]) for each in found] == [("unreadable", None, at(junk.at))]


@pytest.mark.parametrize("change, expected", [
    ("UPDATE refusal SET code = 16 WHERE position_id = %(id)s AND message_offset = 9", ("at_odds", (1, 9))),
    ("UPDATE refusal SET code = 999 WHERE position_id = %(id)s AND message_offset = 9", ("at_odds", (1, 9))),
    ("DELETE FROM refusal WHERE position_id = %(id)s AND message_offset = 7", ("at_odds", (1, 7))),
    ("DELETE FROM refusal WHERE position_id = %(id)s AND message_offset = 8", ("at_odds", (1, 8))),  # a duplicate
    ("INSERT INTO refusal VALUES (%(id)s, 2, 16)", ("at_odds", (1, 2))),
    ("UPDATE outcome SET entries = set_byte(entries, 1, get_byte(entries, 1) # 1) "
     "WHERE position_id = %(id)s AND first_offset = 0", ("other_message", (1, 0))),
])
def test_outcomes_altered(answered, change, expected):
    answered.db.execute(change, {"id": position_of(answered)})
    found, _ = audit(answered, code=3)
    assert by_message(found) == kinds(expected)


def test_outcomes_deleted(answered):
    [(first, last)] = answered.db.execute(
        "DELETE FROM outcome WHERE position_id = %s AND first_offset = 0 RETURNING first_offset, last_offset",
        [position_of(answered)]).fetchall()
    found, _ = audit(answered, code=3)
    assert by_message(found) == kinds(*[("no_outcome", (1, offset)) for offset in range(first, last + 1)])


def test_position_before_results(answered):
    """The database lost commits: what it will do again, and that the group is ahead of it."""
    answered.db.execute("UPDATE position SET next_offset = 6, published_offset = 6 WHERE id = %s",
                        [position_of(answered)])
    found, _ = audit(answered, code=3)
    assert by_message(found) == kinds(("position", (1, 6)), *[("not_processed", (1, offset)) for offset in range(6, 10)])


def test_position_unknown(answered):
    answered.db.execute("DELETE FROM position WHERE id = %s", [position_of(answered)])
    found, _ = audit(answered, code=3)
    assert by_message(found) == kinds(("position", (1, 0)), *[("not_processed", (1, offset)) for offset in range(10)])


def test_position_beyond_the_log(answered):
    answered.db.execute("UPDATE position SET next_offset = 11 WHERE id = %s", [position_of(answered)])
    assert by_message(audit(answered, code=3)[0]) == kinds(("position", (1, 11)))


def test_group_beyond_the_position(answered):
    answered.admin.commit(answered.group, answered.commands, {1: 12})
    assert by_message(audit(answered, code=3)[0]) == kinds(("position", (1, 10)))


def test_result_beyond_the_log(answered):
    """As after the commands topic was deleted and made again."""
    answered.admin.delete_topic(answered.commands)
    answered.admin.create_topic(answered.commands, 2)
    answered.db.execute("DELETE FROM position")
    found, _ = audit(answered, code=3)
    assert by_message(found) == kinds(*[("beyond_log", record.at) for record in answered.sent])


def test_commands_no_longer_there(answered):
    answered.admin.delete_records(answered.commands, 1, 4)
    summary = clean(answered)
    assert (summary["messages"], summary["answered"], summary["unknown"]) == (6, 6, 4)


def test_a_skipped_message(answered):
    """Somebody moved the position over a message that nobody processed."""
    answered.send(phone("skipped"), partition=1)
    assert clean(answered)["pending"] == 1
    answered.db.execute("UPDATE position SET next_offset = 11, published_offset = 11 WHERE id = %s",
                        [position_of(answered)])
    found, _ = audit(answered, code=3)
    assert by_message(found) == kinds(("missing", (1, 10)))


# Ranges, output, rights


def test_range(answered):
    answered.db.execute("UPDATE refusal SET code = 16 WHERE position_id = %s", [position_of(answered)])
    assert by_message(audit(answered, "--from", "offset:8")[0]) == kinds(("at_odds", (1, 8)), ("at_odds", (1, 9)))
    found, summary = audit(answered, "--partition", "1", "--from", "offset:5", "--to", "offset:8")
    assert by_message(found) == []  # 7 is RecordNotFound, rightly
    assert (summary["messages"], summary["outside"]) == (3, 7)
    assert clean(answered, "--partition", "0") == dict(summary, messages=0, answered=0, results=0, outside=10)
    assert clean(answered, "--from", "end")["messages"] == 0
    assert clean(answered, "--to", "beginning")["messages"] == 0
    assert audit(answered, "--from", "time:2020-01-01T00:00:00Z")[1]["messages"] == 10
    assert audit(answered, "--from", "time:2120-01-01T00:00:00+01:00")[1]["messages"] == 0
    assert audit(answered, "--to", "time:2020-01-01T00:00:00Z")[1]["messages"] == 0
    found, summary = audit(answered, "--limit", "1", code=3)
    assert (len(found), summary["findings"]) == (1, 2)
    for wrong in (["--partition", "9"], ["--from", "5"], ["--from", "offset:-1"], ["--to", "time:yesterday"],
                  ["--limit", "x"], ["extra"]):
        assert byunique.run(answered.settings, "audit", *wrong).returncode == 2, wrong


def test_text(answered):
    done = byunique.run(answered.settings, "audit")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "10 messages: 10 answered\n10 results\nnothing found\n"
    answered.db.execute("DELETE FROM refusal WHERE position_id = %s AND message_offset = 7", [position_of(answered)])
    done = byunique.run(answered.settings, "audit")
    assert done.returncode == 3
    line, *_, last = done.stdout.splitlines()
    result = answered.results_read[7]
    assert line.split(None, 3) == ["at_odds", "1:7", "%d:%d" % result.at,
                                   "the result says 404 RecordNotFound, the database 204"]
    assert last == "1 at_odds: answered otherwise than the database says"


def test_a_role_that_may_only_read(answered):
    role = "reader_" + answered.schema
    schema = sql.Identifier(answered.schema)
    answered.db.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    answered.db.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, sql.Identifier(role)))
    answered.db.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}").format(schema, sql.Identifier(role)))
    conninfo = psycopg.conninfo.make_conninfo(answered.settings["postgres"], user=role)
    assert clean(answered, postgres=conninfo)["answered"] == 10
    answered.db.execute(sql.SQL("REVOKE SELECT ON refusal FROM {}").format(sql.Identifier(role)))
    done = byunique.run(dict(answered.settings, postgres=conninfo), "audit")
    assert done.returncode == 1 and "permission denied" in done.stderr


def test_when_it_can_not_be_done(sites, answered):
    assert byunique.run(sites().settings, "audit").returncode == 1
    nowhere = {"kafka.bootstrap.servers": "127.0.0.1:%d" % processes.free_port()}
    done = byunique.run(dict(answered.settings, **nowhere), "audit")
    assert done.returncode == 1 and "Kafka" in done.stderr
    done = byunique.run(dict(answered.settings, **{"results.topic": "nothing"}), "audit")
    assert done.returncode == 1 and 'there is no topic "nothing"' in done.stderr


def test_disturbs_nobody(answered):
    """It joins no group, moves no offset, writes nothing."""
    before = answered.admin.committed(answered.group, answered.commands)
    rows = answered.db.execute("SELECT * FROM position ORDER BY id").fetchall()
    clean(answered)
    assert answered.admin.committed(answered.group, answered.commands) == before
    assert answered.db.execute("SELECT * FROM position ORDER BY id").fetchall() == rows


def test_many_small_batches_and_long_ranges(phones):
    """Windows over the stored outcomes are moved on, whatever the batches are like."""
    rng = random.Random(5)
    phones.running(**{"batch.max.commands": 3})
    sent = phones.send(*[phone("s", number=rng.choice("12")) for _ in range(400)], partition=2)
    phones.results_of(sent)
    phones.stop()
    phones.running(**{"batch.max.commands": 9000})
    phones.results_of(phones.send(*[phone("l", number=rng.choice("12")) for _ in range(40000)], partition=2), 120)
    phones.stop()
    assert clean(phones, "--strict")["answered"] == 40400
    phones.db.execute("UPDATE refusal SET code = 15 WHERE message_offset >= 20000 AND message_offset < 20100")
    wanted = phones.db.execute("SELECT count(*) FROM refusal WHERE code = 15").fetchone()[0]
    assert audit(phones)[1]["by_kind"] == {"at_odds": wanted} and wanted > 10
