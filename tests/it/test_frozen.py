"""A worker stands still in the middle of a transaction, with the rows of its partitions locked. Its successor does not wait
for PostgreSQL's time limits: it ends the session that holds them. test_relay_faults.py has one that can't end by itself."""

import os

import pytest

from lib import byunique, check, schemas
from lib.model import DONE
from lib.site import new_id
from lib.wire import Command


@pytest.fixture
def one(sites):
    site = sites(partitions=1).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    return site


def phone(text):
    return Command(new_id(), "alice", "Phone", (("PhoneNumber", "string", "1"), ("description", "string", text)))


def settle(site, sent):
    site.stop()
    check.all_results(site, sent, {record.at: [DONE] for record in sent}, site.result_reader.to_end())


@pytest.mark.parametrize("place", ["store_recalled", "assign_positions_read"])
def test_the_successor_goes_on(one, place):
    """Between the two trips of a batch; in the middle of its claim."""
    assert os.access(byunique.WITH_FAILPOINTS, os.X_OK), "make FAILPOINTS=1 builds the program"
    first = one.running()
    sent = one.send(phone("before"))
    one.results_of(sent)
    assert first.stop() == 0
    sent += one.send(*[phone("during") for _ in range(4)])
    frozen = one.worker(failpoints="%s=freeze" % place)
    frozen.wait_log("failpoint name=%s" % place)
    other = one.worker()
    other.wait_log("event=frozen_worker_ended.* sessions=1 ", 60)
    one.results_of(sent)
    frozen.thaw()
    sent += one.send(phone("after"))
    one.results_of(sent)
    settle(one, sent)


def test_one_that_is_at_work_is_left_alone(one):
    """PostgreSQL has all of the batch and holds the rows as long: the successor waits, and answers from what is stored."""
    locker = one.second_connection()
    locker.execute("BEGIN")
    locker.execute("SELECT 1 FROM ext_phone FOR UPDATE")
    frozen = one.running()
    sent = one.send(phone("waits"))
    one.wait_blocked()
    frozen.freeze()
    other = one.worker()
    other.wait_log("(?s)event=start_delayed.*event=start_delayed", 60)
    locker.execute("COMMIT")
    one.results_of(sent)
    assert "event=frozen_worker_ended" not in other.log
    frozen.thaw()
    settle(one, sent)
