"""Batches that are dropped, partitions that are paused, answers that no topic takes: nothing is skipped, nothing stays
behind. Each of these has been wrong once."""

import random
import time

import pytest

from lib import processes, schemas
from lib.gen import Message
from lib.site import new_id
from lib.wire import Command


def phone(customer, text):
    return Command(new_id(), customer, "Phone", (("PhoneNumber", "string", "1"), ("description", "string", text)))


def everything(customer, text):
    key = (("label", "string", "L"), ("Number", "int", 1))
    return Command(new_id(), customer, "Everything", key + (("text", "string", text),))


@pytest.fixture
def one(sites):
    site = sites(partitions=1).init(schemas.PHONE, schemas.EVERYTHING)
    site.insert("Phone", "alice", PhoneNumber="1")
    site.insert("Everything", "alice", label="L", Number=1, required="r")
    return site


def lock_phones(site):
    locker = site.second_connection()
    locker.execute("BEGIN")
    locker.execute("SELECT 1 FROM ext_phone FOR UPDATE")
    return locker


def test_no_batch_steps_over_one_that_failed(one):
    """The worker stops at a batch, while those behind it are ready to be stored."""
    one.db.execute("REVOKE UPDATE ON ext_everything FROM byunique")
    locker = lock_phones(one)
    sent = one.send(phone("alice", "first"), everything("alice", "forbidden"),
                    *[phone("alice", "t%d" % number) for number in range(30)])
    worker = one.worker(**{"batch.max.commands": 1})
    time.sleep(2)
    locker.execute("COMMIT")
    assert worker.wait(60) == 1
    one.db.execute("GRANT UPDATE ON ext_everything TO byunique")
    one.worker(**{"batch.max.commands": 1})
    assert [result.status for result in one.results_of(sent)] == [204] * len(sent)
    one.stop()
    assert len(one.result_reader.to_end()) == len(sent)


def test_no_batch_steps_over_one_whose_worker_lost_its_slot(one):
    """Another process takes the transactional id over while the worker's connection is gone."""
    worker = one.running(**{"batch.max.commands": 5})
    one.answers(phone("alice", "before"))
    locker, thief = lock_phones(one), one.second_connection()
    sent = one.send(*[phone("alice", "t%d" % number) for number in range(60)])
    processes.wait_for(lambda: one.db.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0],
                       "the worker to wait", alive=worker.process)
    slot = thief.execute("""
        SELECT l.classid::oid::int, l.objid::oid::int, l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'advisory' AND l.granted AND a.usename = 'byunique' AND l.objid <> 0""").fetchone()
    thief.execute("SELECT pg_terminate_backend(%s)", [slot[2]])
    processes.wait_for(lambda: thief.execute("SELECT pg_try_advisory_lock(%s, %s)", slot[:2]).fetchone()[0],
                       "the slot", pause_s=0.001)
    locker.execute("COMMIT")
    assert [result.status for result in one.results_of(sent)] == [204] * len(sent)
    one.stop()
    assert len(one.result_reader.to_end()) == len(sent) + 1


def test_paused_and_then_rebalanced(sites):
    """A worker that waits for PostgreSQL pauses its partitions; they are not to stay silent after a rebalance."""
    site = sites(partitions=2).init(schemas.PHONE)
    for customer in ("alice", "bob"):
        site.insert("Phone", customer, PhoneNumber="1")
    settings = {"batch.max.commands": 5, "shutdown.timeout": "1s"}
    site.running(**settings)
    sent = site.send(phone("alice", "first"), partition=0) + site.send(phone("bob", "first"), partition=1)
    site.results_of(sent)
    locker = lock_phones(site)
    for number in range(60):
        sent += site.send(phone("alice", "t%d" % number), partition=0)
        sent += site.send(phone("bob", "t%d" % number), partition=1)
    time.sleep(3)  # it pauses after a second
    second = site.worker(**settings)
    processes.wait_for(lambda: "partitions_assigned" in second.log, "the second worker's share", alive=second.process)
    time.sleep(1)
    locker.execute("COMMIT")
    assert [result.status for result in site.results_of(sent)] == [204] * len(sent)
    site.stop()
    assert len(site.result_reader.to_end()) == len(sent)


NOISE = random.Random(1).randbytes(400000)  # does not compress


def test_headers_too_large_for_the_results_topic(one):
    one.admin.alter_topic(one.results, max_message_bytes=200000)
    one.worker()
    sent = one.send(one.message(phone("alice", "x"), 0, headers=[("big", NOISE)]), phone("alice", "y"), partition=0)
    first, second = one.results_of(sent)
    assert (first.status, first.headers) == (204, [("byunique.truncated", b"headers"), ("byunique.status", b"204")])
    assert (second.status, second.headers) == (204, [("byunique.status", b"204")])
    one.stop()


def test_key_too_large_for_the_results_topic(one):
    one.admin.alter_topic(one.results, max_message_bytes=200000)
    one.worker()
    sent = one.send(one.message(phone("alice", "x"), 0, key=NOISE), phone("alice", "y"), partition=0)
    first, second = one.results_of(sent)
    assert (first.status, first.key) == (204, None)
    assert ("byunique.truncated", b"key") in first.headers
    assert (second.status, second.key) == (204, b"alice")
    one.stop()


def test_dead_letter_too_large_for_its_topic(one):
    one.admin.alter_topic(one.dead_letters, max_message_bytes=200000)
    one.worker()
    [bad] = one.send(Message(0, b"alice", NOISE, []))
    assert one.results_of([bad])[0].code == "MalformedMessage"
    one.stop()
    [letter] = one.reader(one.dead_letters).to_end()
    assert letter.value is None and letter.header("byunique.truncated") == b"value"
    assert letter.header("__connect.errors.offset") == b"%d" % bad.offset


def test_results_topic_missing(one):
    one.admin.delete_topic(one.results)
    worker = one.worker()
    assert worker.wait(30) == 1
    assert one.results in worker.log and "init" in worker.log


def test_another_message_in_the_middle_is_one_partitions_matter(sites):
    """What is read again is not what was processed: that partition is refused, the other one goes on."""
    site = sites(partitions=2).init(schemas.PHONE)
    for customer in ("alice", "bob"):
        site.insert("Phone", customer, PhoneNumber="1")
    site.running()
    for number in range(5):
        site.answers(phone("alice", "t%d" % number), partition=0)
    site.answers(phone("bob", "first"), partition=1)
    site.stop()
    site.db.execute("""
        UPDATE outcome SET entries = set_byte(entries, 2, 255 - get_byte(entries, 2))
        WHERE first_offset = 2 AND position_id = (SELECT id FROM position WHERE topic = %s AND partition = 0)""",
                    [site.commands])
    site.admin.commit(site.group, site.commands, {0: 1})
    worker = site.running()
    processes.wait_for(lambda: "partition_refused" in worker.log, "the refusal", alive=worker.process)
    assert site.answers(phone("bob", "second"), partition=1)[0].status == 204
    assert worker.alive
    site.stop()
    assert site.admin.committed(site.group, site.commands)[0] <= 2
