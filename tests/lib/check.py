"""Compares what the worker did with what the contract says, message by message, and the tables row by row."""

import time

from lib import wire
from lib.model import Model

TITLES = {}  # code → title: the same text for every error of a code, over all tests


def result(site, sent, answers, got):
    """One result against its command, as Records, and the answers that are right for it."""
    body = got.body
    answer = next((each for each in answers if (each.status, each.code, each.duplicate) ==
                   (got.status, got.code, body["duplicate"])), None)
    assert answer, "answered %s %s duplicate=%s (%s), expected %s\nmessage %r" % (
        got.status, got.code, body["duplicate"], body["error"], answers, readable(sent.value))
    assert (body["error"] is None) == (got.status == 204)
    if body["error"]:
        problem(body["error"], answer)
    echo(sent, answer, body)
    assert body["source"] == {"topic": site.commands, "partition": sent.partition, "offset": sent.offset}
    assert abs(body["processed_at"] - time.time() * 1000) < 3600000
    assert got.key == sent.key
    own = [("byunique.status", b"%d" % got.status)] + ([("byunique.code", got.code.encode())] if got.code else [])
    assert got.headers == sent.headers + own


def problem(error, answer):
    assert TITLES.setdefault(error["code"], error["title"]) == error["title"], "two titles for one code"
    assert error["title"] and error["detail"]
    if answer.at_fault:
        assert error["attribute"] is not None, error
        assert error["attribute"].lower() in {name.lower() for name in answer.at_fault}, error
    else:
        assert error["attribute"] is None, error


def echo(sent, answer, body):
    """The fields that are copied from the command; null where it could not be decoded."""
    names = ("command_id", "customer_id", "ext_name", "batch_id", "issued_at")
    if answer.code == "MalformedMessage":
        assert [body[name] for name in names] == [None] * 5, body
    else:
        command, _ = wire.decode(sent.value)
        assert [body[name] for name in names] == [getattr(command, name) for name in names], body


def all_results(site, sent, expected, results):
    """Exactly one right result for each message sent, in their order for each key. expected: record.at → answers."""
    by_source = {}
    for each in results:
        assert each.source not in by_source, "two results for the message at %s" % (each.source,)
        by_source[each.source] = each
    for record in sent:
        assert record.at in by_source, "no result for the message at %s" % (record.at,)
        result(site, record, expected[record.at], by_source.pop(record.at))
    assert not by_source, "results for messages that were not sent: %s" % list(by_source)
    order(results)


def order(results):
    """Results with the same key come out in the order of their commands."""
    last = {}
    for each in results:
        if each.key is None:
            continue
        partition, offset = each.source
        place = each.partition, each.key, partition
        result_before, command_before = last.get(place, (-1, -1))
        assert result_before < each.offset and command_before < offset, "results with key %r out of order" % each.key
        last[place] = each.offset, offset


def run_model(model, sent):
    """The model's answers to messages that were sent, by where they lie: each partition in the order of its offsets."""
    return {record.at: model.answer_message(record.value, record.partition)
            for record in sorted(sent, key=lambda record: record.at)}


def tables(site, model: Model):
    """Every table holds what the model holds."""
    for key, extension in model.extensions.items():
        if extension.type != "multi-valued":
            continue
        stored, expected = site.rows(extension), model.records[key]
        assert stored.keys() == expected.keys(), "rows came or went in %s" % extension.name
        for place, row in expected.items():
            assert exact(stored[place]) == exact(row), "%s %s" % (extension.name, place)


def exact(row):
    """Values whose equality is identity of what is stored: 0.0 is not -0.0."""
    return {name: repr(value) if isinstance(value, float) else value for name, value in row.items()}


def readable(value):
    try:
        return wire.decode(value)[0]
    except wire.Malformed:
        return value


def dead_letters(site, sent, results, letters):
    """A dead letter, and one only, for each message answered MalformedMessage or InternalError."""
    by_at = {record.at: record for record in sent}
    wanted = {each.source: each for each in results if each.code in ("MalformedMessage", "InternalError")}
    seen = set()
    for letter in letters:
        at = (int(letter.header("__connect.errors.partition")), int(letter.header("__connect.errors.offset")))
        assert at not in seen, "two dead letters for the message at %s" % (at,)
        seen.add(at)
        assert at in wanted, "a dead letter for a message that was answered otherwise"
        record = by_at[at]
        assert (letter.key, letter.value) == (record.key, record.value)
        assert letter.headers[:len(record.headers)] == record.headers
        own = dict(letter.headers[len(record.headers):])
        assert own["__connect.errors.topic"] == site.commands.encode()
        assert own["byunique.code"] == wanted[at].code.encode()
        assert own["byunique.detail"].decode() != ""
    assert seen == set(wanted), "messages without a dead letter: %s" % (set(wanted) - seen)
