"""Everything that can go wrong, at once, under load, as a seed has it; then the referee decides.

BYUNIQUE_SEED names the run, BYUNIQUE_NEMESIS_SECONDS its length. `make torture` makes many long ones.
"""

import os
import threading

import pytest

from lib import check, client, processes, referee, schemas
from lib.nemesis import OBJECTS, REFUSED, Crew, Journal, Load, Nemesis, Task, end, wait_over
from lib.servers import Kafka, Postgres

SECONDS = float(os.environ.get("BYUNIQUE_NEMESIS_SECONDS", "60"))
SEED = int(os.environ.get("BYUNIQUE_SEED", "1"))
WORKERS, PARTITIONS = 4, 8
CAUGHT_UP_S = 300

# A broker that comes back has to wait until its controller has given up the one that was killed.
COMES_BACK_SOON = """
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""


# Servers of its own, as they are killed.

@pytest.fixture
def postgres():
    server = Postgres()
    try:
        yield server.create()
    finally:
        server.destroy()


@pytest.fixture
def kafka():
    server = Kafka(COMES_BACK_SOON)
    try:
        yield server.create()
    finally:
        server.destroy()


@pytest.fixture
def site(sites, postgres, kafka):
    """Workers come by way of the relays; the tests' own clients do not."""
    site = sites(partitions=PARTITIONS)
    site.settings.update({"postgres": postgres.relayed, "kafka.bootstrap.servers": kafka.relayed})
    return site


def noted_effects(site, witness):
    extension = witness.extensions["phone"]
    columns = list(extension.attributes)
    rows = site.db.execute("SELECT customer_id, %s FROM effect ORDER BY number" % ", ".join(columns)).fetchall()
    for customer, *values in rows:
        row = dict(zip(columns, values))
        yield (customer, tuple(row[name] for name in extension.unique)), row


def torment(site, load, crew, journal):
    """Load and faults for the time given; then the faults end, and everything has to be answered."""
    nemesis, sampler = Nemesis(SEED, site, crew, journal), referee.Sampler(site)
    faults_end, load_end, run_end = threading.Event(), threading.Event(), threading.Event()
    sending = Task("load", lambda: load.keep_sending(site, load_end))
    watching = Task("crew", lambda: crew.keep_looking(run_end))
    faults = [Task(lane, lambda lane=lane: nemesis.torment(lane, faults_end)) for lane in ("OF_WORKERS", "OF_SERVERS")]
    tasks = [sending, watching] + faults
    try:
        sampler.start()
        for task in tasks:
            task.start()
        wait_over(tasks, SECONDS)
        faults_end.set()
        end(faults)
        nemesis.heal()
        load_end.set()
        end([sending])
        journal.say("faults and load are over: %d messages, %s" % (len(load.sent), nemesis.counts))

        def watch():
            watching.check()
            sampler.check()
        referee.wait_caught_up(site, CAUGHT_UP_S, watch)
        journal.say("caught up")
        sampler.stop()
    finally:
        for event in (faults_end, load_end, run_end):
            event.set()
        nemesis.heal()
    end([watching])


@pytest.mark.timeout(600 + SECONDS)
def test_nemesis(site):
    print("BYUNIQUE_SEED=%d BYUNIQUE_NEMESIS_SECONDS=%g" % (SEED, SECONDS))
    load = Load(SEED, PARTITIONS)
    site.init(*schemas.ALL)
    site.fill(load.world.model)
    site.db.execute(OBJECTS.format(schema=site.schema))
    journal = Journal(site.folder / "nemesis.log")
    site.logs += [journal.path, site.kafka.log]
    crew = Crew(site, WORKERS, journal, **{"batch.max.commands": 200})
    torment(site, load, crew, journal)
    crew.stop()

    site.reconnect()
    results = site.reader(site.results, client.Result).to_end()
    letters = site.reader(site.dead_letters).to_end()
    witness = referee.results(site.commands, load.world.model, load.sent, results, REFUSED)
    check.tables(site, witness)
    referee.effects(witness, "phone", noted_effects(site, witness))
    check.dead_letters(site, load.sent, results, letters)
    answered_again(site, results)
    check.tables(site, witness)
    restored(site, load, journal)


def answered_again(site, results):
    """An operator resets the group to the beginning: no effect, and the very same results."""
    site.admin.commit(site.group, site.commands, {partition: 0 for partition in range(PARTITIONS)})
    for _ in range(2):
        site.worker(**{"batch.max.commands": 1000})
    reader = site.reader(site.results, client.Result)
    reader.wait(2 * len(results), CAUGHT_UP_S)
    processes.wait_for(lambda: referee.lag(site) == 0, "the lag to be 0")
    site.stop()
    first, last = referee.repeated(reader.to_end())
    assert len(reader.seen) == 2 * len(results) and len(first) == len(last) == len(results)


def restored(site, load, journal):
    """Under load, the database is put back to what it was before it. What it lost is decided anew, and published again."""
    site.postgres.back_up()
    site.reconnect()
    positions = dict(site.db.execute("SELECT partition, next_offset FROM position").fetchall())
    for _ in range(2):
        site.worker(**{"batch.max.commands": 200})
    load_end = threading.Event()
    sending = Task("load", lambda: load.keep_sending(site, load_end))
    sending.start()
    try:
        wait_over([sending], 5)
        published = {each.source for each in site.reader(site.results, client.Result).to_end()}
        site.postgres.restore()
        journal.say("restored")
        wait_over([sending], 3)
    finally:
        load_end.set()
    end([sending])
    site.reconnect()
    referee.wait_caught_up(site, CAUGHT_UP_S)
    processes.wait_for(lambda: lost(site) == 0, "what was lost to be made up for", CAUGHT_UP_S)
    site.stop()

    first, last = referee.repeated(site.reader(site.results, client.Result).to_end(), applied_again=positions)
    again = sum(one is not other for one, other in zip(first, last) if one.source[1] >= positions[one.source[0]])
    journal.say("%d messages were decided anew" % again)
    assert again > 0, "nothing was lost"
    # What was published before and what comes after belong to two pasts: what was refused in one may be folded in the other.
    before = answered_first(load.sent, published)
    assert len(before) > sum(positions.values()) // 2, "nothing was published before"
    places = {record.at for record in before}
    referee.results(site.commands, load.world.model, before, [each for each in first if each.source in places], REFUSED)
    witness = referee.results(site.commands, load.world.model, load.sent, last, REFUSED)
    check.tables(site, witness)
    referee.effects(witness, "phone", noted_effects(site, witness))


def answered_first(sent, published):
    """Of each partition the messages before the first one that is not published: no gap, so they tell all of their past."""
    gaps, before = set(), []
    for record in sorted(sent, key=lambda record: record.at):
        if record.at not in published:
            gaps.add(record.at[0])
        if record.at[0] not in gaps:
            before.append(record)
    return before


def lost(site):
    """How many messages the database does not know."""
    positions = dict(site.db.execute("SELECT partition, next_offset FROM position").fetchall())
    return sum(max(log_end - positions.get(partition, 0), 0) for partition, log_end in site.admin.log_ends(site.commands).items())
