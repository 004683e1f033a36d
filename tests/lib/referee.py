"""Decides whether a run kept the contract, from what can be seen from outside: the messages sent, the results that a
read_committed consumer gets, tables, effects noted by a trigger, and where group, database and log stood meanwhile.

What it says is raised as an AssertionError. It shares nothing with the worker; the rules of the contract are model.py's.
"""

import copy
import threading
from collections import defaultdict
from types import SimpleNamespace

import psycopg
from confluent_kafka import KafkaException

from lib import check, client, processes
from lib.model import Model, Refused, ascii_lower


class Witness(Model):
    """The model, for a database that refuses some values for reasons of its own. Such a command is answered InternalError,
    or, as the contract leaves open, 204 when its batch overwrites the value; so the model follows what was answered, and
    what was answered 204 has to be overwritten in the end.

    refused: {(extension, attribute): value}, names in lower case."""

    def __init__(self, model, refused=None):
        super().__init__()
        self.extensions, self.profiles = model.extensions, set(model.profiles)
        self.records = copy.deepcopy(model.records)
        self.before = copy.deepcopy(model.records)
        self.refused = refused or {}
        self.history = defaultdict(list)  # (extension, place) → the row after each command that was done
        self.observed = self.found = None

    def answers(self, record, code):
        """The answers that are right for a message, when it was answered with this code; the model goes on with that."""
        self.observed = code
        return self.answer_message(record.value, record.partition)

    def answer(self, command, partition=0):
        self.found = None
        answer = super().answer(command, partition)
        if answer.status == 204 and not answer.duplicate:
            place, row = self.found
            self.history[place].append(dict(row))
        return answer

    def _find(self, command):
        row, values = super()._find(command)
        name = ascii_lower(command.ext_name)
        key = tuple(row[unique] for unique in self.extensions[name].unique)
        self.found = (name, (command.customer_id, key)), row
        if self.observed == "InternalError" and self._has_refused(name, values):
            raise Refused("InternalError")
        return row, values

    def _has_refused(self, name, row):
        return any(name == ext_name and row.get(attribute) == value
                   for (ext_name, attribute), value in self.refused.items())

    def settle(self):
        """Nothing that the database refuses may be left."""
        for name, records in self.records.items():
            for place, row in records.items():
                assert not self._has_refused(name, row), \
                    "%s %s: answered 204, but the database refuses such a value" % (name, place)


def results(topic, model, sent, got, refused=None):
    """Exactly one right result for each message, in order → the Witness, whose records are what the tables have to hold."""
    by_source = {each.source: each for each in got}
    witness, expected = Witness(model, refused), {}
    for record in sorted(sent, key=lambda record: record.at):
        result = by_source.get(record.at)
        expected[record.at] = witness.answers(record, result.code if result else None)
    check.all_results(SimpleNamespace(commands=topic), sent, expected, got)
    witness.settle()
    return witness


def effects(witness, name, noted):
    """Every change of a record that a trigger noted, [(place, row)] in the order in which they happened, is what a command
    answered 204 left; none twice, in the order of offsets, and the last one is what the last command left. Commands of
    one batch may have one change."""
    seen = defaultdict(list)
    for place, row in noted:
        seen[place].append(row)
    for place, changes in seen.items():
        steps = iter(witness.history[name, place])
        for change in changes:
            assert any(check.exact(step) == check.exact(change) for step in steps), \
                "%s %s: a change that no command made, or made twice, or out of order: %s" % (name, place, change)
    for (ext_name, place), steps in witness.history.items():
        if ext_name == name and steps:
            last = seen[place][-1] if seen[place] else witness.before[name][place]
            assert check.exact(last) == check.exact(steps[-1]), "%s %s: an effect was lost" % (name, place)


def repeated(got, applied_again=None):
    """Results of which some were published again, for operators reset the group or restored the database: a repetition is
    the same to the byte, but for messages at or after the offsets of the restored positions, applied_again ({partition:
    offset}), which may be decided once more. → the first and the last result of each message."""
    first, last = {}, {}
    for each in got:
        partition, offset = each.source
        known = last.get(each.source)
        if known is not None and offset < (applied_again or {}).get(partition, float("inf")):
            assert (each.key, each.value, each.headers) == (known.key, known.value, known.headers), \
                "the result of the message at %s was another one when it was published again" % (each.source,)
        first.setdefault(each.source, each)
        last[each.source] = each
    return list(first.values()), list(last.values())


class Progress:
    """Where group, database and log stand, looked at in this order: committed offset ≤ position ≤ log end; the three and
    what is known to be published only grow."""

    def __init__(self):
        self.committed, self.positions, self.published, self.ends = {}, {}, {}, {}
        self.looks = 0

    def add(self, committed, positions, ends):
        """Each {partition: offset}; positions: {partition: (next offset, published offset)}."""
        for partition, offset in committed.items():
            assert partition in positions, "[%d]: the group has an offset, the database has none" % partition
            assert offset <= positions[partition][0], "[%d]: committed %d is beyond the position %d" % (
                partition, offset, positions[partition][0])
        for partition, (next_offset, published) in positions.items():
            assert published <= next_offset <= ends[partition], "[%d]: published %d, position %d, log end %d" % (
                partition, published, next_offset, ends[partition])
        self._grow("committed offset", self.committed, committed)
        self._grow("position", self.positions, {at: pair[0] for at, pair in positions.items()})
        self._grow("published offset", self.published, {at: pair[1] for at, pair in positions.items()})
        self._grow("log end", self.ends, ends)
        self.looks += 1

    @staticmethod
    def _grow(what, before, now):
        for partition, offset in before.items():
            assert now.get(partition, -1) >= offset, "[%d]: the %s went back from %d to %s" % (
                partition, what, offset, now.get(partition))
        before.update(now)


class Sampler(threading.Thread):
    """Feeds a Progress during a run. A server that is away is looked at later."""

    PAUSE_S = 0.25

    def __init__(self, site):
        super().__init__(daemon=True)
        self.site, self.progress = site, Progress()
        self.failure, self.ending, self.db = None, threading.Event(), None
        self.kafka = client.Onlooker(site.kafka.servers, site.group, site.commands, site.partitions)

    def run(self):
        while not self.ending.wait(self.PAUSE_S):
            try:
                self.progress.add(*self._look())
            except (psycopg.Error, KafkaException):
                self._disconnect()
            except BaseException as failure:  # whatever it is, stop() tells
                self.failure = failure
                return

    def _look(self):
        site = self.site
        if self.db is None:
            self.db = site.postgres.connect()
        committed = self.kafka.committed()
        rows = self.db.execute("SELECT partition, next_offset, published_offset FROM %s.position WHERE topic = '%s'" % (
            site.schema, site.commands)).fetchall()
        return committed, {partition: tuple(offsets) for partition, *offsets in rows}, self.kafka.log_ends()

    def _disconnect(self):
        if self.db is not None:
            self.db.close()
        self.db = None

    def check(self):
        if self.failure is not None:
            raise self.failure

    def stop(self):
        """Raises what was found."""
        self.ending.set()
        self.join(60)
        self._disconnect()
        self.kafka.close()
        self.check()
        assert self.progress.looks > 0, "nothing was ever looked at"


def lag(site):
    """How many messages are not yet answered. None: the broker is away."""
    try:
        ends = site.admin.log_ends(site.commands)
        committed = site.admin.committed(site.group, site.commands)
    except KafkaException:
        return None
    return sum(end - committed.get(partition, 0) for partition, end in ends.items())


def wait_caught_up(site, timeout_s, watch=lambda: None):
    """Wait until everything sent is answered. watch() may raise what else is wrong."""
    def caught_up():
        watch()
        return lag(site) == 0
    processes.wait_for(caught_up, "the lag to be 0", timeout_s, pause_s=0.3)
