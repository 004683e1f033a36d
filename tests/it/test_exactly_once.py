"""One result for each message and one effect for each command, whatever happens to the workers and to the group."""

import collections
import signal
import time

import pytest

from lib import check, client, gen, processes, schemas
from lib.gen import Message
from lib.model import DONE
from lib.site import SOON_GONE, new_id
from lib.wire import Command, encode



def phone(customer, text, **changes):
    attributes = (("PhoneNumber", "string", "1"), ("description", "string", text))
    return Command(new_id(), customer, "Phone", attributes).but(**changes)


def phone_site(site, customers):
    """A record for each customer, and a trigger that notes every update: an effect that happens twice is seen."""
    site.init(schemas.PHONE)
    with site.db.transaction():
        for customer in customers:
            site.insert("Phone", customer, PhoneNumber="1")
    site.note_effects()
    return site


def effects(site):
    return collections.Counter(site.db.execute("SELECT customer_id, description FROM effect").fetchall())


def stored(site):
    return dict(site.db.execute("SELECT customer_id, description FROM ext_phone").fetchall())


def random_site(site, seed):
    world = gen.World(seed, site.partitions)
    site.init(*schemas.ALL)
    site.fill(world.model)
    return world


def finish(site, world, sent):
    """All workers gone: one right result for each message, the tables and the group's offsets right."""
    site.stop()
    results = site.result_reader.to_end()
    check.all_results(site, sent, check.run_model(world.model, sent), results)
    check.tables(site, world.model)
    check.dead_letters(site, sent, results, site.reader(site.dead_letters).to_end())
    assert site.admin.committed(site.group, site.commands) == {
        partition: end for partition, end in site.admin.log_ends(site.commands).items() if end > 0}


def bytes_by_source(results):
    return {each.source: (each.key, each.value, each.headers) for each in results}


def test_killed_in_the_middle(site):
    """kill -9 at several moments; small batches, so that there are many places to be killed at."""
    site.settings.update(SOON_GONE)
    world = random_site(site, 11)
    sent = site.send(*world.messages(4000))
    for at in (1, 700, 1500):
        worker = site.worker(**{"batch.max.commands": 40})
        site.wait_results(at, timeout_s=40)
        worker.kill()
    sent += site.send(*world.messages(500))
    site.worker(**{"batch.max.commands": 40})
    site.wait_results(len(sent), timeout_s=60)
    finish(site, world, sent)
    site.worker()
    [extra] = site.send(phone("nobody", "after"), partition=0)
    assert site.wait_results(len(sent) + 1)[-1].source == extra.at, "a restart answers nothing again"
    site.stop()
    assert len(site.result_reader.to_end()) == len(sent) + 1


@pytest.fixture
def locked(site):
    """Records whose first one is locked by another transaction: the worker's batch waits in the middle of its own."""
    phone_site(site, ["c%d" % number for number in range(10)])
    locker = site.second_connection()
    locker.execute("BEGIN")
    locker.execute("SELECT 1 FROM ext_phone WHERE customer_id = 'c0' FOR UPDATE")
    site.locker = locker
    return site


def commands_for(site, text):
    return [phone("c%d" % number, text) for number in range(10)]


def test_killed_before_the_database_committed(locked):
    site = locked
    site.settings.update(SOON_GONE)
    sent = site.send(*commands_for(site, "once"))
    worker = site.worker()
    site.wait_blocked()
    worker.kill()
    site.locker.execute("COMMIT")
    site.worker()
    site.wait_results(10)
    site.stop()
    check.all_results(site, sent, {record.at: [DONE] for record in sent}, site.result_reader.to_end())
    assert effects(site) == {("c%d" % number, "once"): 1 for number in range(10)}


def test_killed_between_the_commits(locked):
    """PostgreSQL has committed, Kafka knows nothing of it, the worker dies: the stored outcomes are published."""
    site = locked
    site.settings.update(SOON_GONE)
    sent = site.send(*commands_for(site, "once"), phone("nobody", "x"), *[Message(0, b"k", b"broken", [("h", None)])])
    worker = site.worker(**{"batch.max.commands": 1000})
    site.wait_blocked()
    site.kafka.freeze()
    try:
        site.locker.execute("COMMIT")
        processes.wait_for(lambda: stored(site)["c0"] == "once", "PostgreSQL's commit")
        worker.kill()
    finally:
        site.kafka.thaw()
    committed_at = time.time() * 1000
    before = effects(site)
    site.worker()
    results = site.wait_results(len(sent))
    site.stop()
    assert effects(site) == {("c%d" % number, "once"): 1 for number in range(10)}
    assert [result.status for result in results].count(204) == 10
    assert sorted(result.code for result in results if result.code) == ["CustomerNotFound", "MalformedMessage"]
    again = [result for result in results if (result.body["customer_id"], "once") in before]
    assert again and all(result.body["processed_at"] <= committed_at for result in again), "not from what was stored"
    assert len(site.result_reader.to_end()) == len(sent)


def test_sigterm_finishes_the_batch(locked):
    site = locked
    sent = site.send(*commands_for(site, "once"))
    worker = site.worker()
    site.wait_blocked()
    worker.signal(signal.SIGTERM)
    time.sleep(0.5)
    assert worker.alive
    site.locker.execute("COMMIT")
    assert worker.wait() == 0
    results = site.result_reader.to_end()
    assert site.admin.assigned(site.group) == []
    site.running()
    site.wait_results(10)
    site.stop()
    assert results, "the batch in hand was not finished"
    check.all_results(site, sent, {record.at: [DONE] for record in sent}, site.result_reader.to_end())


def test_sigterm_gives_back_what_takes_too_long(locked):
    site = locked
    sent = site.send(*commands_for(site, "once"))
    worker = site.worker(**{"shutdown.timeout": "1s"})
    site.wait_blocked()
    started = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    assert 0.9 < time.monotonic() - started < 10
    site.locker.execute("COMMIT")
    site.worker()
    site.wait_results(10)
    site.stop()
    check.all_results(site, sent, {record.at: [DONE] for record in sent}, site.result_reader.to_end())
    assert effects(site) == {("c%d" % number, "once"): 1 for number in range(10)}


def test_second_sigterm_ends_at_once(locked):
    site = locked
    site.send(*commands_for(site, "once"))
    worker = site.worker(**{"shutdown.timeout": "60s"})
    site.wait_blocked()
    worker.signal(signal.SIGTERM)
    time.sleep(0.5)
    assert worker.alive
    worker.signal(signal.SIGTERM)
    worker.wait(3)


def test_sigterm_when_idle(site):
    site.init(schemas.PHONE)
    worker = site.running()
    started = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - started < 5
    assert site.admin.assigned(site.group) == []


def test_offsets_reset_by_an_operator(site):
    """Everything read again takes no effect, and the very same results come out again."""
    world = random_site(site, 12)
    sent = site.send(*world.messages(1200))
    site.worker(**{"batch.max.commands": 100})
    first = list(site.wait_results(len(sent)))
    finish(site, world, sent)
    site.db.execute("UPDATE ext_phone SET prefix = 'mine'")  # what is applied again would be seen
    before = site.rows(world.model.extensions["phone"])
    site.admin.commit(site.group, site.commands, {partition: 0 for partition in range(site.partitions)})
    site.worker(**{"batch.max.commands": 70})
    site.wait_results(2 * len(sent))
    site.stop()
    again = site.result_reader.to_end()[len(sent):]
    assert len(again) == len(sent)
    assert bytes_by_source(again) == bytes_by_source(first)
    check.order(again)
    assert site.rows(world.model.extensions["phone"]) == before
    letters = site.reader(site.dead_letters).to_end()
    malformed = sum(result.code == "MalformedMessage" for result in first)
    assert len(letters) == 2 * malformed, "dead letters are repeated with their results"
    half = collections.Counter((letter.key, letter.value, tuple(letter.headers)) for letter in letters)
    assert all(count % 2 == 0 for count in half.values())


def test_offsets_reset_to_the_middle_of_a_batch(site):
    phone_site(site, ["alice"])
    sent = site.send(*[phone("alice", "d%d" % number) for number in range(50)], partition=0)
    site.worker()
    first = list(site.wait_results(50))
    site.stop()
    site.admin.commit(site.group, site.commands, {0: 17})
    more = site.send(phone("alice", "new"), partition=0)
    site.worker()
    site.wait_results(50 + 33 + 1)
    site.stop()
    again = site.result_reader.to_end()[50:]
    assert [result.source[1] for result in again] == list(range(17, 51))
    assert bytes_by_source(again[:-1]) == bytes_by_source(first[17:])
    assert again[-1].source == more[0].at
    assert sent[-1].offset == 49 and stored(site) == {"alice": "new"}


def test_group_deleted(site):
    """A fresh group meets a database that knows: it starts from what is known to be published."""
    phone_site(site, ["alice"])
    site.send(*[phone("alice", "d%d" % number) for number in range(50)], partition=0)
    site.worker()
    site.wait_results(50)
    site.send(phone("alice", "later"), partition=0)
    first = list(site.wait_results(51))
    site.stop()
    before = effects(site)
    site.admin.delete_group(site.group)
    [more] = site.send(phone("alice", "new"), partition=0)
    site.worker()
    processes.wait_for(lambda: stored(site)["alice"] == "new", "the new command")
    site.stop()
    again = site.result_reader.to_end()[51:]
    assert again[-1].source == more.at
    repeated = again[:-1]
    assert len(repeated) < 51, "what is known to be published is not published again"
    assert bytes_by_source(repeated).items() <= bytes_by_source(first).items()
    assert effects(site) == before + collections.Counter([("alice", "new")])


def test_two_workers(site):
    """A second worker comes and goes under load, then the first one goes as well."""
    world = random_site(site, 13)
    messages = world.messages(4000)
    settings = {"batch.max.commands": 50}
    sent = site.send(*messages[:1000])
    first = site.running(**settings)
    second = site.worker(**settings)
    sent += site.send(*messages[1000:2000])
    site.wait_assigned(second, members=2)
    assert sorted(site.admin.assigned(site.group)) == [2, 2]
    sent += site.send(*messages[2000:3000])
    site.wait_results(1500)
    assert second.stop() == 0
    sent += site.send(*messages[3000:3500])
    third = site.worker(**settings)
    site.wait_assigned(third, members=2)
    assert first.stop() == 0
    sent += site.send(*messages[3500:])
    site.wait_results(len(sent))
    finish(site, world, sent)


def test_killed_beside_another(site):
    """A worker dies and does not come back: the other one takes over its partitions and its unfinished results."""
    site.settings.update(SOON_GONE)
    world = random_site(site, 14)
    messages = world.messages(3000)
    settings = {"batch.max.commands": 50}
    first = site.running(**settings)
    second = site.worker(**settings)
    site.wait_assigned(second, members=2)
    sent = site.send(*messages[:2000])
    site.wait_results(200)
    first.kill()
    sent += site.send(*messages[2000:])
    site.wait_results(len(sent))
    finish(site, world, sent)


def test_frozen_and_continued(site):
    """A worker is stopped for longer than its session, another one takes over; when it goes on it does no harm."""
    site.settings.update(SOON_GONE)
    world = random_site(site, 15)
    messages = world.messages(3000)
    sent = site.send(*messages[:2000])
    frozen = site.worker(**{"batch.max.commands": 50})
    site.wait_results(200)
    frozen.freeze()
    other = site.worker(**{"batch.max.commands": 50})
    site.wait_results(len(sent), timeout_s=60)
    frozen.thaw()
    sent += site.send(*messages[2000:])
    site.wait_results(len(sent))
    time.sleep(2)  # for the zombie to do whatever it would do
    assert other.alive
    if not frozen.alive:
        assert frozen.process.returncode == 4, "one that was fenced may end, and says so"
    finish(site, world, sent)


def test_frozen_alone(site):
    """Nobody took over meanwhile: the worker itself, or its successor, goes on."""
    site.settings.update(SOON_GONE)
    world = random_site(site, 16)
    sent = site.send(*world.messages(1500))
    worker = site.worker(**{"batch.max.commands": 20})
    site.wait_results(100)
    worker.freeze()
    processes.wait_for(lambda: not site.admin.members(site.group), "the group to expel it")
    worker.thaw()
    sent += site.send(*world.messages(500))
    deadline = time.monotonic() + 60
    while len(site.result_reader.seen) < len(sent) and time.monotonic() < deadline:
        site.result_reader.poll(0.2)
        if not worker.alive:
            assert worker.process.returncode == 4
            worker = site.worker()  # what a supervisor does
    finish(site, world, sent)


def test_commands_of_transactions(site):
    """Producers may use transactions: what was aborted is no command, and the gaps that markers leave are no harm."""
    phone_site(site, ["alice"])
    producer = client.Producer({"bootstrap.servers": site.kafka.servers, "log_level": 0,
                                "transactional.id": "producer-" + site.commands})
    producer.init_transactions(30)
    kept = []
    for number in range(9):
        producer.begin_transaction()
        for part in "ab":
            text = "t%d%s" % (number, part)
            producer.produce(site.commands, partition=0, key=b"alice", value=encode(phone("alice", text)))
            if number % 3 != 1:
                kept.append(text)
        if number % 3 == 1:
            producer.flush(30)
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
        if number == 4:
            site.worker(**{"batch.max.commands": 3})
            site.wait_results(len(kept))
    site.wait_results(len(kept))
    site.stop()
    site.worker()
    [last] = site.send(phone("alice", "last"), partition=0)
    assert site.wait_results(len(kept) + 1)[-1].source == last.at
    site.stop()
    results = site.result_reader.to_end()
    assert len(results) == len(kept) + 1 and {result.status for result in results} == {204}
    check.order(results)
    assert stored(site) == {"alice": "last"}
    assert {text for _, text in effects(site)} <= set(kept) | {"last"}
