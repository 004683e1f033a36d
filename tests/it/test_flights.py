"""Batches that are sent to PostgreSQL one behind the other, while it is still at the one before: each is as exact as one that
is sent alone. PostgreSQL is slow here and batches are small, so that there are always two under way."""

import collections

import pytest

from lib import check, referee, schemas
from lib.model import DONE
from lib.relay import Trap
from lib.site import new_id
from lib.wire import Command

BATCH = 10
SLOW = """
CREATE FUNCTION {0}.be_slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END';
CREATE TRIGGER slow BEFORE UPDATE ON {0}.ext_phone EXECUTE FUNCTION {0}.be_slow();
"""
# What is told by the statement, and what is told by COMMIT only.
REFUSALS = {
    "statement": "ALTER TABLE {0}.ext_phone ADD CONSTRAINT not_bad CHECK (description IS DISTINCT FROM 'bad')",
    "commit": """
        CREATE FUNCTION {0}.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE check_violation; END';
        CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON {0}.ext_phone DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        WHEN (NEW.description = 'bad') EXECUTE FUNCTION {0}.refuse()"""}


def make(sites, customers, partitions=1, **settings):
    site = sites(partitions=partitions, **{"batch.max.commands": str(BATCH), "postgres.connections": 1, **settings}).init(schemas.PHONE)
    with site.db.transaction():
        for customer in range(customers):
            site.insert("Phone", "c%d" % customer, PhoneNumber="1")
    site.note_effects()
    site.db.execute(SLOW.format(site.schema))
    return site


def phone(number, text="once", **changes):
    attributes = (("PhoneNumber", "string", "1"), ("description", "string", text))
    return Command(new_id(), "c%d" % number, "Phone", attributes).but(**changes)


def effects(site):
    return collections.Counter(site.db.execute("SELECT customer_id, description FROM effect").fetchall())




def test_ids_of_the_batch_before(sites):
    """An id of a batch that is still under way, again: the second message is told so."""
    site = make(sites, 4 * BATCH)
    plain = [phone(number) for number in range(4 * BATCH)]
    again, other = 2 * BATCH, 3 * BATCH  # first of the third and of the fourth batch
    plain[again] = plain[BATCH]
    plain[other] = phone(other, "other", command_id=plain[2 * BATCH + 1].command_id)
    site.running()
    sent = site.send(*[site.message(command, 0) for command in plain])
    results = site.results_of(sent)
    codes = {number: result.code for number, result in enumerate(results) if result.code is not None}
    assert codes == {other: "CommandIdReused"}
    assert [number for number, result in enumerate(results) if result.body["duplicate"]] == [again]
    site.stop()
    assert effects(site) == {("c%d" % number, "once"): 1 for number in range(4 * BATCH) if number not in (again, other)}


@pytest.mark.parametrize("when", list(REFUSALS))
def test_the_database_refuses_one_of_them(sites, when):
    """It alone is answered with an error, although those behind it were on their way."""
    count = 6 * BATCH
    site = make(sites, count, partitions=2)
    site.db.execute(REFUSALS[when].format(site.schema))
    bad = {BATCH + 3, 3 * BATCH, 5 * BATCH + 9}
    site.running()
    sent = site.send(*[site.message(phone(number, "bad" if number in bad else "once"), number % 2)
                       for number in range(count)])
    results = site.results_of(sent)
    assert {number for number, result in enumerate(results) if result.code == "InternalError"} == bad
    assert {result.status for result in results} == {204, 500}
    site.stop()
    assert effects(site) == {("c%d" % number, "once"): 1 for number in range(count) if number not in bad}


def test_order_of_a_customer(sites):
    """Its commands lie in many batches; the last one wins, and each had its turn."""
    count = 10 * BATCH
    site = make(sites, 1)
    site.running()
    sent = site.send(*[site.message(phone(0, "text %d" % number), 0) for number in range(count)])
    assert {result.status for result in site.results_of(sent)} == {204}
    site.stop()
    order = [int(text.split()[1]) for text, in site.db.execute("SELECT description FROM effect ORDER BY number")]
    assert order == sorted(set(order)) and order[-1] == count - 1, "one effect for a batch, in their order"


@pytest.mark.parametrize("kind", ["request", "reply"])
def test_connection_lost_at_the_first_of_two(sites, kind):
    """The fate of both is open: the first one's COMMIT, or its reply, got lost."""
    count = 6 * BATCH
    site = make(sites, count)
    try:
        worker = site.running(postgres=site.postgres.relayed)
        sent = site.send(*[site.message(phone(number), 0) for number in range(2 * BATCH)])
        site.wait_results(len(sent))
        trap = site.postgres.relay.arm(Trap(kind, "COMMIT", keep_out=True))
        sent += site.send(*[site.message(phone(number), 0) for number in range(2 * BATCH, count)])
        trap.wait()
        site.postgres.relay.heal()
        referee.wait_caught_up(site, 60)
        site.stop()
    finally:
        site.postgres.relay.heal()
        site.postgres.relay.cut()
    check.all_results(site, sent, {record.at: [DONE] for record in sent}, site.result_reader.to_end())
    assert effects(site) == {("c%d" % number, "once"): 1 for number in range(count)}
    assert "postgres_back" in worker.log and "session_ended" not in worker.log


@pytest.mark.parametrize("batch", [1, BATCH])
def test_an_attribute_comes_while_they_are_under_way(sites, batch):
    """The batches behind were made for the old catalogue: they are made again, and nothing is answered by it. Each command
    brings an attribute that the statement before did not have, so that statements come and go as well."""
    names = ["name%d" % number for number in range(40)]
    site = make(sites, len(names), **{"batch.max.commands": str(batch)})
    plain = schemas.PHONE["attributes"] + [{"name": name, "type": "string"} for name in names]
    site.apply(dict(schemas.PHONE, attributes=plain))
    worker = site.running()

    def command(number, text="v"):
        return phone(number, attributes=(("PhoneNumber", "string", "1"), (names[number], "string", text)))

    sent = site.send(*[site.message(command(number), 0) for number in range(len(names))])
    for number in range(3):
        site.wait_results((number + 1) * max(batch, 4))
        plain = plain + [{"name": "more%d" % number, "type": "string"}]
        site.apply(dict(schemas.PHONE, attributes=plain))
    sent += site.send(site.message(command(0), 0))  # by now at the latest, the worker has to see the last change
    assert [result.code for result in site.results_of(sent)] == [None] * len(sent)
    assert 1 <= worker.log.count("catalogue_changed") <= 3
    assert "command_refused" not in worker.log
    site.stop()
    assert effects(site) == {("c%d" % number, None): 1 + (number == 0) for number in range(len(names))}
