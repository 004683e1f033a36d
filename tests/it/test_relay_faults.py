"""The moments that a run of chance seldom meets, each made certain by a relay: the reply to a commit lost, both ways, for
PostgreSQL and for Kafka; and a worker that was frozen so long that others took over, and then goes on."""

import collections
import re

import pytest

from lib import check, client, processes, referee, schemas
from lib.model import DONE
from lib.relay import Trap
from lib.site import SOON_GONE, new_id
from lib.wire import Command

CUSTOMERS = ["c%d" % number for number in range(10)]


@pytest.fixture
def site(sites):
    site = sites(partitions=1).init(schemas.PHONE)
    with site.db.transaction():
        for customer in CUSTOMERS:
            site.insert("Phone", customer, PhoneNumber="1")
    site.note_effects()
    # Nothing leaves before the flush: what is sent in one call is one record batch, so one batch of the worker's.
    site.sender = client.Sender(site.kafka.servers, site.commands, **{"linger.ms": 60000})
    yield site
    for server in (site.postgres, site.kafka):
        server.relay.heal()
        server.relay.cut()


def by_relay(site, postgres=False, kafka=False):
    """Settings of a worker whose connections to one server, or to both, lead through a relay."""
    out = {"postgres": site.postgres.relayed} if postgres else {}
    if kafka:
        out["kafka.bootstrap.servers"] = site.kafka.relayed
    return out


def commands(text):
    return [Command(new_id(), customer, "Phone", (("PhoneNumber", "string", "1"), ("description", "string", text)))
            for customer in CUSTOMERS]


def settle(site, sent):
    """Everything is answered, once, and has its effect, once."""
    referee.wait_caught_up(site, 120)
    site.stop()
    check.all_results(site, sent, {record.at: [DONE] for record in sent}, site.result_reader.to_end())
    rows = site.db.execute("SELECT customer_id, description FROM effect").fetchall()
    assert collections.Counter(rows) == {(customer, text): 1 for customer in CUSTOMERS for text in texts(sent)}
    order = site.db.execute("SELECT description FROM effect WHERE customer_id = 'c0' ORDER BY number").fetchall()
    assert [text for text, in order] == texts(sent)


def texts(sent):
    out = []
    for record in sent:
        text = check.readable(record.value).attributes[1][2]
        if text not in out:
            out.append(text)
    return out


def started(site, **relayed):
    """A worker that has answered something, so that all of its statements are prepared and its clients are connected."""
    worker = site.running(**by_relay(site, **relayed))
    sent = site.send(*commands("before"))
    site.wait_results(len(sent))
    return worker, sent


def stored(site):
    return site.db.execute("SELECT count(*) FROM ext_phone WHERE description = 'during'").fetchone()[0]


# COMMIT

def test_reply_to_commit_lost(site):
    """Committed, and the worker does not know. It finds out by the position, stays in its session, applies nothing again."""
    worker, sent = started(site, postgres=True)
    trap = site.postgres.relay.arm(Trap("reply", "COMMIT", keep_out=True))
    sent += site.send(*commands("during"))
    trap.wait()
    assert stored(site) == len(CUSTOMERS)
    site.postgres.relay.heal()
    sent += site.send(*commands("after"))
    settle(site, sent)
    assert "postgres_away" in worker.log and "postgres_back" in worker.log
    assert "session_ended" not in worker.log, "a COMMIT whose reply is lost is a matter of PostgreSQL alone"


def test_commit_lost(site):
    """Not committed, and the worker does not know. It applies again."""
    worker, sent = started(site, postgres=True)
    trap = site.postgres.relay.arm(Trap("request", "COMMIT", keep_out=True))
    sent += site.send(*commands("during"))
    trap.wait()
    assert stored(site) == 0
    site.postgres.relay.heal()
    sent += site.send(*commands("after"))
    settle(site, sent)
    assert "postgres_away" in worker.log and "postgres_back" in worker.log
    assert "session_ended" not in worker.log


@pytest.mark.parametrize("kind", ["request", "reply"])
def test_killed_when_the_fate_of_commit_was_open(site, kind):
    site.settings.update(SOON_GONE)
    worker, sent = started(site, postgres=True)
    trap = site.postgres.relay.arm(Trap(kind, "COMMIT", keep_out=True))
    sent += site.send(*commands("during"))
    trap.wait()
    worker.kill()
    assert stored(site) == (len(CUSTOMERS) if kind == "reply" else 0)
    site.running()
    settle(site, sent)


# EndTxn

@pytest.mark.parametrize("kind", ["request", "reply"])
def test_end_of_transaction_lost_for_a_moment(site, kind):
    """librdkafka asks again by itself."""
    worker, sent = started(site, kafka=True)
    trap = site.kafka.relay.arm(Trap(kind, "EndTxn"))
    sent += site.send(*commands("during"))
    trap.wait()
    settle(site, sent)
    assert worker.process.returncode == 0


@pytest.mark.parametrize("kind", ["request", "reply"])
def test_end_of_transaction_of_unknown_fate(site, kind):
    """Nobody answers until the worker gives the transaction up. A new session asks what the group has committed: the results
    are there already, or they are published from what is stored."""
    worker, sent = started(site, kafka=True)
    trap = site.kafka.relay.arm(Trap(kind, "EndTxn", keep_out=True))
    sent += site.send(*commands("during"))
    trap.wait()
    worker.wait_log("session_ended", 150)
    published = len(site.result_reader.to_end()) - len(CUSTOMERS)
    assert published == (len(CUSTOMERS) if kind == "reply" else 0)
    site.kafka.relay.heal()
    sent += site.send(*commands("after"))
    settle(site, sent)


@pytest.mark.parametrize("kind", ["request", "reply"])
def test_killed_when_the_fate_of_the_transaction_was_open(site, kind):
    site.settings.update(SOON_GONE)
    worker, sent = started(site, kafka=True)
    trap = site.kafka.relay.arm(Trap(kind, "EndTxn", keep_out=True))
    sent += site.send(*commands("during"))
    trap.wait()
    worker.kill()
    site.worker().wait_log("partitions_started")  # the group counts the killed one among its members for a while
    settle(site, sent)


# Zombies

def take_over(site, zombie):
    """Frozen for longer than its session lasts: another worker has all partitions."""
    zombie.freeze()
    other = site.worker()
    processes.wait_for(lambda: "partitions_started" in other.log, "the other one to take over", 60, alive=other.process)
    return other


def thaw(zombie, relay):
    """What was held goes out now. It has to be refused: the client notices that the session is over, or is told."""
    relay.disarm()
    relay.go_on()
    zombie.thaw()
    refused = r"event=session_ended|event=partitions_revoked lost=true"
    processes.wait_for(lambda: re.search(refused, zombie.log), "the zombie to be refused", 150, alive=zombie.process)


def hold_batch(site, held="begin"):
    """The worker's transaction is on its way to PostgreSQL, and does not get there → what was sent so far."""
    worker, sent = started(site, postgres=True)
    trap = site.postgres.relay.arm(Trap("request", held, hold=True))
    sent += site.send(*commands("during"))
    trap.wait()
    return worker, sent


def test_late_batch_is_refused_by_the_fence(site):
    """Another worker has claimed the position meanwhile, by the same statement; Kafka tells this one nothing."""
    worker, sent = hold_batch(site)
    site.db.execute("UPDATE position SET owner = gen_random_uuid()")
    site.postgres.relay.disarm()
    worker.wait_log("event=session_ended.*another worker's token", 60)
    settle(site, sent)


def test_zombie_with_a_late_batch(site):
    """Its transaction comes late, and in the midst of the new owner's, which waits for records."""
    site.settings.update(SOON_GONE)
    zombie, sent = hold_batch(site)
    lock = site.second_connection()
    lock.execute("BEGIN")
    lock.execute("SELECT 1 FROM ext_phone FOR UPDATE")
    take_over(site, zombie)
    processes.wait_for(lambda: site.db.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0],
                       "the new owner to wait for the records")
    thaw(zombie, site.postgres.relay)
    lock.execute("ROLLBACK")
    settle(site, sent)


def test_zombie_with_half_a_batch(site):
    """All of its transaction got to PostgreSQL, but not the end, which no time limit of PostgreSQL waits for. The new owner
    ends the session that holds its rows."""
    site.settings.update(SOON_GONE)
    zombie, sent = hold_batch(site, "COMMIT")
    successor = take_over(site, zombie)
    successor.wait_log("event=frozen_worker_ended.* sessions=1 ", 60)
    site.wait_results(len(sent))
    thaw(zombie, site.postgres.relay)
    sent += site.send(*commands("after"))
    settle(site, sent)


@pytest.mark.parametrize("held", ["AddOffsetsToTxn", "TxnOffsetCommit", "EndTxn"])
def test_zombie_is_refused_by_the_group(site, held):
    """It has applied its batch and is about to publish when it freezes. The new owner publishes what is stored; what the
    zombie says then comes from a generation that is over, or for a transaction that is."""
    site.settings.update(SOON_GONE)
    zombie, sent = started(site, kafka=True)
    trap = site.kafka.relay.arm(Trap("request", held, hold=True))
    sent += site.send(*commands("during"))
    trap.wait()
    assert stored(site) == len(CUSTOMERS)
    take_over(site, zombie)
    site.wait_results(len(sent))
    thaw(zombie, site.kafka.relay)
    sent += site.send(*commands("after"))
    settle(site, sent)
