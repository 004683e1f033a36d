"""How long outcomes and ids are kept, and that ids outlive the worker that stored them."""

import time

import pytest

from lib import processes, schemas
from lib.site import new_id
from lib.wire import Command


def phone(text, number="1", **changes):
    attributes = (("PhoneNumber", "string", number), ("description", "string", text))
    return Command(new_id(), "alice", "Phone", attributes).but(**changes)


@pytest.fixture
def phones(site):
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    return site


def kinds(results):
    return [(result.status, result.code, result.body["duplicate"]) for result in results]


DONE, DUPLICATE = (204, None, False), (204, None, True)
REUSED, NOT_FOUND = (422, "CommandIdReused", False), (404, "RecordNotFound", False)


def restart(site, **settings):
    site.stop()
    return site.running(**settings)


def test_ids_outlive_the_worker(phones):
    phones.running(**{"batch.max.commands": 3})
    commands = [phone("d%d" % number) for number in range(20)]
    assert kinds(phones.answers(*commands, partition=0)) == [DONE] * 20
    restart(phones)
    again = [commands[0], commands[19], commands[7].but(customer_id="bob"), commands[7]]
    assert kinds(phones.answers(*again, partition=0)) == [DUPLICATE, DUPLICATE, REUSED, DUPLICATE]
    assert kinds(phones.answers(commands[3], partition=1)) == [DONE], "the promise is one of a partition's"
    restart(phones)
    assert kinds(phones.answers(commands[3], commands[3].but(ext_name="PHONE"), partition=0)) == [DUPLICATE] * 2
    phones.stop()


def test_an_id_that_was_refused_may_be_sent_again_even_to_another_worker(phones):
    phones.running()
    early, found = phone("early", number="2"), phone("found")
    assert kinds(phones.answers(early, found, partition=0)) == [NOT_FOUND, DONE]
    assert kinds(phones.answers(early, partition=0)) == [NOT_FOUND]
    restart(phones)
    phones.insert("Phone", "alice", PhoneNumber="2")
    assert kinds(phones.answers(early, early, found, partition=0)) == [DONE, DUPLICATE, DUPLICATE]
    assert kinds(phones.answers(early.but(customer_id="bob"), partition=0)) == [REUSED]
    phones.stop()


def test_ids_after_a_lost_connection(phones):
    """A session ended by the administrator: what was committed is known all the same."""
    phones.running(**{"batch.max.commands": 5})
    commands = [phone("d%d" % number) for number in range(200)]
    sent = phones.send(*commands, partition=0)
    for _ in range(3):
        phones.db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'byunique'")
        time.sleep(0.1)
    assert kinds(phones.results_of(sent)) == [DONE] * 200
    assert kinds(phones.answers(*commands, partition=0)) == [DUPLICATE] * 200
    phones.stop()


def test_ids_are_forgotten_after_their_retention(phones):
    phones.running(**{"idempotency.retention": "2s"})
    command = phone("once")
    first, second = phones.answers(command, command, partition=0)
    assert kinds([first, second]) == [DONE, DUPLICATE]
    time.sleep(2.1)
    assert kinds(phones.answers(command, command, partition=0)) == [DONE, DUPLICATE]
    restart(phones, **{"idempotency.retention": "1h"})
    assert kinds(phones.answers(command, partition=0)) == [DUPLICATE]
    phones.stop()


def test_outcomes_expire(phones):
    """Read again after outcome.retention a message is answered 410 and has no effect; its id is known all the same."""
    settings = {"outcome.retention": "1s"}
    phones.running(**settings)
    command = phone("once")
    phones.answers(command, phone("other", number="9"), partition=0)
    phones.stop()
    time.sleep(1.1)
    phones.db.execute("UPDATE ext_phone SET description = 'mine'")
    phones.admin.commit(phones.group, phones.commands, {0: 0})
    phones.worker(**settings)
    results = phones.wait_results(4)[2:]
    assert [(result.status, result.code) for result in results] == [(410, "OutcomeExpired")] * 2
    assert [result.body["command_id"] for result in results][0] == command.command_id
    assert kinds(phones.answers(command, partition=0)) == [DUPLICATE]
    assert phones.db.execute("SELECT description FROM ext_phone").fetchall() == [("mine",)]
    phones.stop()


def test_old_rows_are_deleted(phones):
    settings = {"outcome.retention": "1s", "idempotency.retention": "1s"}
    phones.running(**settings)
    phones.answers(*[phone("d%d" % number) for number in range(50)], phone("x", number="9"), partition=0)

    def rows():
        return phones.db.execute("SELECT (SELECT count(*) FROM outcome), (SELECT count(*) FROM refusal)").fetchone()

    assert rows() != (0, 0)
    processes.wait_for(lambda: rows() == (0, 0), "the old rows to go", timeout_s=40)
    assert kinds(phones.answers(phone("after"), partition=0)) == [DONE]
    phones.stop()
