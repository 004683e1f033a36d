"""The referee catches what it is there for: each way to break the promise, one by one, in a run that is right otherwise."""

import copy
import io
import time
from types import SimpleNamespace

import fastavro
import pytest

from lib import check, referee, schemas, wire
from lib.client import Record, Result
from lib.model import DONE, Answer, Model
from lib.referee import Progress
from lib.wire import Command, encode

TOPIC = "commands"
REFUSED = {("phone", "phonetype"): 666}
ALICE = "alice", ("1",)
ECHOED = ("command_id", "customer_id", "ext_name", "batch_id", "issued_at")


def identifier(number):
    return "00000000-0000-0000-0000-%012d" % number


def command(number, *attributes, customer="alice"):
    attributes = (("PhoneNumber", "string", "1"),) + attributes
    return Command(identifier(number), customer, "Phone", attributes)


def text(value):
    return ("description", "string", value)


BAD = ("PhoneType", "int", 666)


def result_of(record, answer, at, later_ms=0):
    """A result as the worker would publish it, encoded by fastavro."""
    sent, _ = wire.decode(record.value)
    body = {name: getattr(sent, name) for name in ECHOED}
    body.update(status=answer.status, duplicate=answer.duplicate, error=None, processed_at=int(time.time() * 1000) + later_ms,
                source={"topic": TOPIC, "partition": record.partition, "offset": record.offset})
    headers = record.headers + [("byunique.status", b"%d" % answer.status)]
    if answer.code:
        body["error"] = {"code": answer.code, "title": "title of " + answer.code, "detail": "why", "attribute": None}
        headers.append(("byunique.code", answer.code.encode()))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, wire._RESULT, body)
    return Result(Record(0, at, record.key, wire.single_object(wire.RESULT_FINGERPRINT, out.getvalue()), headers))


class Run:
    """A run that is right: commands, their results, tables and effects."""

    def __init__(self, commands, refuse=()):
        self.model = Model(schemas.PHONE)
        for customer in ("alice", "bob"):
            self.model.insert("Phone", customer, {"PhoneNumber": "1"})
        self.sent = [Record(0, at, each.customer_id.encode(), encode(each), [("h", b"1")])
                     for at, each in enumerate(commands)]
        witness = referee.Witness(self.model, REFUSED)
        self.results = []
        for at, record in enumerate(self.sent):
            [answer] = witness.answers(record, "InternalError" if at in refuse else None)
            self.results.append(result_of(record, answer, at))
        self.noted = [(place, row) for (_, place), rows in witness.history.items() for row in rows]
        self.rows = copy.deepcopy(witness.records["phone"])

    def judge(self):
        witness = referee.results(TOPIC, self.model, self.sent, self.results, REFUSED)
        check.tables(SimpleNamespace(rows=lambda extension: self.rows), witness)
        referee.effects(witness, "phone", self.noted)


@pytest.fixture(autouse=True)
def titles(monkeypatch):
    """The titles of these results are no worker's."""
    monkeypatch.setattr(check, "TITLES", {})


@pytest.fixture
def run():
    run = Run([command(1, text("a")), command(2, text("b")), command(3, text("c"), customer="bob"),
               command(4, text("x"), customer="nobody"), command(2, text("b")), command(5, BAD)], refuse={5})
    assert [each.status for each in run.results] == [204, 204, 204, 404, 204, 500]
    return run


def fails(run, words):
    with pytest.raises(AssertionError, match=words):
        run.judge()


def test_nothing_to_complain_about(run):
    run.judge()


def test_missing_result(run):
    del run.results[2]
    fails(run, "no result for the message at")


def test_doubled_result(run):
    run.results.append(result_of(run.sent[0], DONE, 9))
    fails(run, "two results for the message at")


def test_wrong_result(run):
    run.results[1] = result_of(run.sent[1], Answer(404, "CustomerNotFound"), 1)
    fails(run, "answered 404 CustomerNotFound")


def test_result_that_nobody_asked_for(run):
    stranger = Record(0, 77, b"alice", run.sent[0].value, [])
    run.results.append(result_of(stranger, DONE, 9))
    fails(run, "not sent")


def test_error_without_a_cause(run):
    run.results[0] = result_of(run.sent[0], Answer(500, "InternalError"), 0)
    fails(run, "answered 500 InternalError")


def test_results_out_of_order(run):
    run.results[:2] = result_of(run.sent[1], DONE, 0), result_of(run.sent[0], DONE, 1)
    fails(run, "out of order")


def test_lost_effect_in_the_table(run):
    run.rows[ALICE]["description"] = "a"
    fails(run, r"Phone \(.alice.")


def test_lost_effect_in_the_notes(run):
    run.noted = [each for each in run.noted if each[1]["description"] != "b"]
    fails(run, "an effect was lost")


def test_doubled_effect(run):
    run.noted.insert(0, run.noted[0])
    fails(run, "or made twice")


def test_effects_out_of_order(run):
    mine = [each for each in run.noted if each[0] == ALICE]
    run.noted = mine[::-1] + mine[1:]
    fails(run, "out of order")


def test_effect_that_nobody_asked_for(run):
    run.noted.append((ALICE, dict(run.noted[0][1], description="z")))
    fails(run, "no command made")


def test_one_change_for_a_batch(run):
    """Commands of one batch may reach the database as one change."""
    run.noted = [each for each in run.noted if each[1]["description"] != "a"]
    run.judge()


def test_refused_value_that_was_overwritten():
    run = Run([command(1, BAD, text("a")), command(2, ("PhoneType", "int", 1))])
    assert [each.status for each in run.results] == [204, 204]
    del run.noted[0]
    run.judge()


def test_refused_value_that_was_not():
    run = Run([command(1, BAD), command(2, text("a"))])
    fails(run, "the database refuses such a value")


def test_refused_command_has_no_effect_and_its_id_is_free():
    run = Run([command(1, BAD, text("a")), command(1, ("PhoneType", "int", 1))], refuse={0})
    assert [(each.status, each.body["duplicate"]) for each in run.results] == [(500, False), (204, False)]
    run.judge()
    run.rows[ALICE]["description"] = "a"
    fails(run, r"Phone \(.alice.")


def test_repeated_results(run):
    first, last = referee.repeated(run.results * 2)
    assert first == last == run.results
    other = result_of(run.sent[1], DONE, 1, later_ms=5)
    with pytest.raises(AssertionError, match="another one when it was published again"):
        referee.repeated(run.results + [other])
    with pytest.raises(AssertionError, match="another one when it was published again"):
        referee.repeated(run.results + [other], {0: 2})
    first, last = referee.repeated(run.results + [other], {0: 1})
    assert first[1] == run.results[1] and last[1] == other


PROGRESS = [
    ("beyond the position", ({0: 6}, {0: (5, 5)}, {0: 9})),
    ("log end 4", ({}, {0: (5, 5)}, {0: 4})),
    ("published 6", ({}, {0: (5, 6)}, {0: 9})),
    ("the database has none", ({0: 5}, {}, {0: 9})),
    ("committed offset went back", ({0: 3}, {0: (5, 5)}, {0: 9})),
    ("position went back", ({0: 4}, {0: (4, 4)}, {0: 9})),
    ("published offset went back", ({0: 4}, {0: (5, 3)}, {0: 9})),
    ("log end went back", ({0: 4}, {0: (5, 5)}, {0: 8})),
    ("committed offset went back", ({}, {0: (5, 5)}, {0: 9})),
]


@pytest.mark.parametrize("words, look", PROGRESS)
def test_progress(words, look):
    progress = Progress()
    progress.add({}, {}, {0: 0})
    progress.add({0: 4}, {0: (5, 5)}, {0: 9})
    progress.add({0: 5}, {0: (5, 5)}, {0: 9})
    progress = Progress()
    progress.add({0: 4}, {0: (5, 5)}, {0: 9})
    with pytest.raises(AssertionError, match=words):
        progress.add(*look)
