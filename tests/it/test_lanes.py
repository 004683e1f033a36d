"""A worker with several connections: each stores the batches of its own partitions, at the same time as the others, and what is
true of one is true of all of them."""

import os
import time

import pytest

from lib import byunique, check, processes, schemas
from lib.admin import LISTEN, AdminClient
from lib.model import DONE
from lib.site import new_id
from lib.wire import Command

SLOT, JOINED = "installation", "position"  # the class of the advisory lock that a session has: the first one's, any other's


@pytest.fixture
def two(sites):
    """alice's commands go to partition 0 here, bob's to partition 1."""
    site = sites(partitions=2).init(schemas.PHONE)
    for customer in ("alice", "bob"):
        site.insert("Phone", customer, PhoneNumber="1")
    site.note_effects()
    return site


def phone(customer, text):
    return Command(new_id(), customer, "Phone", (("PhoneNumber", "string", "1"), ("description", "string", text)))


def send(site, customer, *texts):
    return site.send(*[phone(customer, text) for text in texts], partition=("alice", "bob").index(customer))


def settle(site, sent):
    """Each was answered once, and none took effect twice; some are folded into the next one."""
    site.stop()
    check.all_results(site, sent, {record.at: [DONE] for record in sent}, site.result_reader.to_end())
    effects = site.db.execute("SELECT count(*) FROM effect GROUP BY customer_id, description").fetchall()
    assert {times for times, in effects} == {1}


def sessions(site, kind):
    """Of this site's worker; other workers of the cluster have other databases or have ended."""
    rows = site.db.execute(
        "SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.objsubid = 2"
        " AND l.granted AND l.classid = %s::regclass", ("%s.%s" % (site.schema, kind),)).fetchall()
    return [pid for pid, in rows]


def lock(site, customer):
    locker = site.second_connection()
    locker.execute("BEGIN")
    locker.execute("SELECT 1 FROM ext_phone WHERE customer_id = %s FOR UPDATE", (customer,))
    return locker


def test_one_does_not_wait_for_another(two):
    """While alice's record is locked by somebody else, bob's commands are stored and answered."""
    two.running()
    locker = lock(two, "alice")
    sent = send(two, "alice", "waits")
    two.wait_blocked()
    others = send(two, "bob", "first", "second")
    two.results_of(others)
    two.wait_blocked()
    locker.execute("COMMIT")
    two.results_of(sent)
    settle(two, sent + others)


def test_a_single_connection(two):
    two.running(**{"postgres.connections": 1})
    assert len(sessions(two, SLOT)) == 1 and sessions(two, JOINED) == []
    locker = lock(two, "alice")
    sent = send(two, "alice", "waits")
    two.wait_blocked()
    sent += send(two, "bob", "behind it")
    with pytest.raises(AssertionError, match="0 of 1 messages"):
        two.results_of(sent[1:], timeout_s=2)
    locker.execute("COMMIT")
    two.results_of(sent)
    settle(two, sent)


def test_more_connections_than_partitions(two):
    two.running(**{"postgres.connections": 4})
    assert len(sessions(two, SLOT)) == 1 and len(sessions(two, JOINED)) == 3
    sent = send(two, "alice", "one", "two") + send(two, "bob", "three")
    two.results_of(sent)
    settle(two, sent)


def test_a_batch_on_offer_is_prepared_once(two):
    """However long nobody takes it: what decoding and validating take is given back with the batch only."""
    admin = AdminClient(two.running(**LISTEN, **{"batch.max.commands": 50}))
    locker = lock(two, "alice")
    sent = send(two, "alice", *["waits %d" % number for number in range(200)])
    two.wait_blocked()

    def prepared():
        return admin.metrics().value("byunique_stage_seconds_count", stage="decode")
    processes.wait_for(lambda: prepared() == 2, "one batch to be stored, one on offer", alive=admin.worker.process)
    time.sleep(3)  # three times as long as it is waited for before the group is served
    assert prepared() == 2
    locker.execute("COMMIT")
    two.results_of(sent)
    settle(two, sent)


def test_interrupted_for_the_sake_of_another(sites):
    """A batch can't be finished in time when partitions are taken away: the connections of the worker's other batches are of use
    afterwards."""
    names = ["alice", "bob", "carol", "dave"]
    site = sites(partitions=4, **{"shutdown.timeout": "1s"}).init(schemas.PHONE)
    for name in names:
        site.insert("Phone", name, PhoneNumber="1")
    first = site.running()
    locker = lock(site, "alice")
    sent = site.send(phone("alice", "waits"), partition=0)
    site.wait_blocked()
    second = site.worker()
    first.wait_log("event=batches_given_back")
    first.wait_log("event=partitions_started .*count=2 ")  # what hung is interrupted and dropped by then
    locker.execute("COMMIT")
    site.wait_assigned(second, members=2)
    locker.execute("BEGIN")
    locker.execute("SELECT 1 FROM ext_phone WHERE customer_id IN ('bob', 'dave') FOR UPDATE")
    for partition, name in enumerate(names):
        sent += site.send(phone(name, "after"), partition=partition)
    processes.wait_for(lambda: site.db.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0] >= 2,
                       "both workers' second connections to wait", alive=first.process)
    time.sleep(1)  # whoever is told to wait for nothing has had the time to say so
    locker.execute("COMMIT")
    site.results_of(sent)
    assert "event=batch_again" not in first.log
    site.stop()
    check.all_results(site, sent, {record.at: [DONE] for record in sent}, site.result_reader.to_end())


@pytest.mark.parametrize("kind", [SLOT, JOINED])
def test_a_connection_is_lost(two, kind):
    """In the middle of batches, again and again: the worker connects again, and nothing is done twice."""
    worker = two.running(**{"batch.max.commands": 20})
    sent = []
    for number in range(10):
        for customer in ("alice", "bob"):
            sent += send(two, customer, *["%d-%d" % (number, each) for each in range(100)])
        for pid in sessions(two, kind):
            two.db.execute("SELECT pg_terminate_backend(%s)", (pid,))
        processes.wait_for(lambda: sessions(two, kind), "a session again", alive=worker.process)
    two.results_of(sent)
    assert "event=postgres_away" in worker.log
    settle(two, sent)


def test_fewer_connections_than_wanted(two):
    """The role may have only one: the worker says so, and does with it. Its next session has a look again."""
    two.db.execute("CREATE ROLE bounded LOGIN IN ROLE byunique CONNECTION LIMIT 1")
    bounded = two.settings["postgres"].replace("user=byunique", "user=bounded")
    assert bounded != two.settings["postgres"]
    worker = two.running(postgres=bounded)
    worker.wait_log("event=connections_missing .*goes on with 1 of 2 connections")
    sent = send(two, "alice", "one") + send(two, "bob", "two")
    two.results_of(sent)
    settle(two, sent)


def test_a_frozen_one_is_ended(two):
    """A worker stands still in the middle of a batch on its second connection: the successor ends that session."""
    assert os.access(byunique.WITH_FAILPOINTS, os.X_OK), "make FAILPOINTS=1 builds the program"
    first = two.running()
    sent = send(two, "bob", "before")
    two.results_of(sent)
    assert first.stop() == 0
    sent += send(two, "bob", *["during %d" % number for number in range(4)])
    frozen = two.worker(failpoints="store_recalled=freeze")
    frozen.wait_log("failpoint name=store_recalled")
    other = two.worker()
    other.wait_log("event=frozen_worker_ended.* sessions=1 ", 60)
    two.results_of(sent)
    frozen.thaw()
    sent += send(two, "bob", "after") + send(two, "alice", "after")
    two.results_of(sent)
    settle(two, sent)


def test_a_schema_changes_under_both(two):
    """Each of them notices by itself, at its next batch."""
    worker = two.running()
    sent = send(two, "alice", "before") + send(two, "bob", "before")
    two.results_of(sent)
    two.apply(dict(schemas.PHONE, attributes=schemas.PHONE["attributes"] + [{"name": "more", "type": "string", "length": 20}]))
    for customer, partition in (("alice", 0), ("bob", 1)):
        command = phone(customer, "after")
        sent += two.send(command.but(attributes=command.attributes + (("more", "string", "more"),)), partition=partition)
    two.results_of(sent)
    assert worker.log.count("event=catalogue_changed") == 1
    settle(two, sent)
