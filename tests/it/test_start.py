"""Where a partition starts, and when it is refused: every row of the table in the design."""

import json
import subprocess

import pytest

from lib import byunique, check, client, gen, schemas, servers
from lib.model import DONE
from lib.processes import environment, wait_for
from lib.site import new_id
from lib.wire import Command

STUCK = 4


def phone(text, customer="alice"):
    return Command(new_id(), customer, "Phone", (("PhoneNumber", "string", "1"), ("description", "string", text)))


def numbered(count, word="d"):
    return [phone("%s%d" % (word, number)) for number in range(count)]


@pytest.fixture
def one(sites):
    """An installation with a single partition."""
    site = sites(partitions=1).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    return site


def description(site):
    return site.db.execute("SELECT description FROM ext_phone").fetchone()[0]


def answered(site):
    return [result.source[1] for result in site.result_reader.to_end()]


def refused(site, **settings):
    """A worker has nothing but a refused partition: it says so and ends → its log."""
    before = description(site), len(site.result_reader.to_end())
    worker = site.worker(**settings)
    assert worker.wait(30) == STUCK, worker.log
    assert site.commands in worker.log
    assert (description(site), len(site.result_reader.to_end())) == before
    return worker.log


def test_nothing_known_starts_at_log_start(one):
    one.send(*numbered(10), partition=0)
    one.admin.delete_records(one.commands, 0, 4)
    one.worker()
    one.wait_results(6)
    one.stop()
    assert answered(one) == [4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("deleted, committed", [(0, 0), (0, 5), (0, 10), (4, 4)])
def test_group_known_to_kafka_alone_from_log_start(one, deleted, committed):
    one.send(*numbered(10), partition=0)
    if deleted:
        one.admin.delete_records(one.commands, 0, deleted)
    one.admin.commit(one.group, one.commands, {0: committed})
    one.worker()
    one.wait_results(10 - deleted)
    one.stop()
    assert answered(one) == list(range(deleted, 10))
    assert one.workers[0].warned


def test_group_known_to_kafka_alone_beyond_log_start(one):
    one.send(*numbered(10), partition=0)
    one.admin.delete_records(one.commands, 0, 4)
    one.admin.commit(one.group, one.commands, {0: 6})
    refused(one)


def test_others_go_on_beside_a_refused_partition(sites):
    site = sites(partitions=3).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    for partition in range(3):
        site.send(*numbered(4), partition=partition)
    site.admin.delete_records(site.commands, 1, 2)
    site.admin.commit(site.group, site.commands, {1: 3})
    worker = site.worker()
    site.wait_results(8)
    site.send(phone("more"), partition=2)
    results = site.wait_results(9)
    assert {result.source[0] for result in results} == {0, 2}
    assert worker.alive
    site.stop()
    assert len(site.result_reader.to_end()) == 9
    assert site.admin.committed(site.group, site.commands)[1] == 3


def processed(site, count=10):
    """Commands that have been answered, and the worker gone."""
    before = len(site.result_reader.seen)
    sent = site.send(*numbered(count), partition=0)
    site.worker()
    site.wait_results(before + count)
    site.stop()
    return sent


def test_group_offsets_expired(one):
    processed(one)
    one.admin.delete_group(one.group)
    one.send(phone("new"), partition=0)
    one.worker()
    wait_for(lambda: description(one) == "new", "the new command")
    one.stop()
    assert set(answered(one)) == set(range(11))


def test_committed_lower(one):
    processed(one)
    first = {result.source: result.value for result in one.result_reader.to_end()}
    one.admin.commit(one.group, one.commands, {0: 7})
    one.worker()
    one.wait_results(13)
    one.stop()
    assert answered(one)[10:] == [7, 8, 9]
    assert all(first[result.source] == result.value for result in one.result_reader.seen[10:])


def dump(site):
    """A backup of the schema, as an operator makes it."""
    command = [str(servers.postgres_bin() / "pg_dump"), "--schema", site.schema, site.postgres.conninfo("postgres")]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=environment()).stdout


def restore(site, backup):
    site.db.execute("DROP SCHEMA %s CASCADE" % site.schema)
    command = [str(servers.postgres_bin() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    subprocess.run(command + [site.postgres.conninfo("postgres")], input=backup, stdout=subprocess.DEVNULL, check=True,
                   text=True, env=environment())


def test_database_restored_from_a_backup(sites):
    """Committed is higher than the position: what the database lacks is applied, its results are published again."""
    site = sites(partitions=2)
    world = gen.World(21, 2)
    site.init(*schemas.ALL)
    site.fill(world.model)
    sent = site.send(*world.messages(400))
    site.worker(**{"batch.max.commands": 30})
    site.wait_results(400)
    site.stop()
    backup = dump(site)
    later = site.send(*world.messages(400))
    site.worker()
    site.wait_results(800)
    site.stop()
    restore(site, backup)
    newest = site.send(*world.messages(100))
    worker = site.worker()
    site.wait_results(800 + 400 + 100)
    site.stop()
    assert worker.warned
    results = site.result_reader.to_end()
    assert len(results) == 1300
    expected = check.run_model(world.model, sent + later + newest)
    check.all_results(site, sent + later, expected, results[:800])
    check.all_results(site, later + newest, expected, results[800:])
    check.tables(site, world.model)


def test_restored_under_a_worker_and_changed_otherwise(one):
    """The worker still has the catalogue that the backup lacks; another change must not be taken for it."""
    def extended(name):
        return dict(schemas.PHONE, attributes=schemas.PHONE["attributes"] + [{"name": name, "type": "string"}])

    def sets(name):
        return Command(new_id(), "alice", "Phone", (("PhoneNumber", "string", "1"), (name, "string", "new")))

    worker = one.running()
    one.answers(phone("before"))
    backup = dump(one)
    one.apply(extended("lost"))
    assert one.answers(sets("lost"))[0].status == 204
    worker.freeze()
    restore(one, backup)
    one.db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'byunique'")
    one.apply(extended("other"))
    worker.thaw()
    one.send(sets("other"))
    again, result = one.wait_results(len(one.result_reader.seen) + 2)[-2:]
    assert (again.code, result.code) == ("UnknownAttribute", None)
    assert one.db.execute("SELECT other FROM ext_phone").fetchone() == ("new",)
    one.stop()


def test_killed_while_catching_up_with_a_restored_database(one):
    """What was applied again and not published again yet is published by the successor."""
    answered(one)
    backup = dump(one)
    lost = one.send(*numbered(7, "lost"), partition=0)
    one.worker()
    one.wait_results(len(one.result_reader.seen) + 7)
    one.stop()
    before = len(one.result_reader.to_end())
    restore(one, backup)
    assert one.worker(failpoints="publish_answered=crash").wait() == -9
    assert description(one) == "lost6", "it was applied again"
    one.worker()
    one.wait_results(before + 7)
    one.stop()
    again = one.result_reader.to_end()[before:]
    assert [result.source for result in again] == [record.at for record in lost]
    assert {result.status for result in again} == {204}


def test_restored_database_whose_topic_is_gone(one):
    """What the database lacks is no longer in the topic: the worker refuses, and says from where."""
    processed(one)
    backup = dump(one)
    processed(one)
    one.admin.delete_records(one.commands, 0, 15)
    restore(one, backup)
    log = refused(one)
    assert "15" in log, "the log does not say where the topic begins"


def recreate(site):
    site.admin.delete_topic(site.commands)
    site.admin.create_topic(site.commands, 1)
    site.sender = type(site.sender)(site.kafka.servers, site.commands)


def test_topic_recreated_and_shorter(one):
    processed(one)
    recreate(one)
    one.send(*numbered(3, "other"), partition=0)
    refused(one)


def test_topic_recreated_and_longer(one):
    """The offsets fit, but the last message processed is another one now."""
    processed(one)
    recreate(one)
    one.send(*numbered(25, "other"), partition=0)
    refused(one)


def test_topic_recreated_and_empty(one):
    processed(one)
    recreate(one)
    refused(one)


def test_committed_beyond_the_log_and_nothing_processed(one):
    """Offsets of another topic's life, set by a person: nothing of the log is skipped for them."""
    one.send(*numbered(5), partition=0)
    one.admin.commit(one.group, one.commands, {0: 400})
    one.worker()
    one.wait_results(5)
    one.stop()
    assert answered(one) == [0, 1, 2, 3, 4]


def test_another_group_is_refused(one):
    """A second group on the same database would answer everything a second time."""
    processed(one)
    one.send(phone("new"), partition=0)
    log = refused(one, **{"kafka.group.id": one.group + "-other"})
    assert one.group in log


def test_many_partitions_start_again(sites):
    """The last message of each is looked at before any is fetched; that takes no longer for many."""
    site = sites(partitions=24).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    sent = [record for partition in range(24) for record in site.send(*numbered(2), partition=partition)]
    site.worker()
    site.results_of(sent)
    site.stop()
    worker = site.worker()
    sent += site.send(phone("new"), partition=23)
    site.results_of(sent)
    assert worker.log.count("session_started") == 1 and "start_delayed" not in worker.log
    site.stop()
    assert len(site.result_reader.to_end()) == len(sent)


def test_log_deleted_up_to_the_position(one):
    """Retention removed what was processed: nothing is missing."""
    processed(one)
    one.admin.delete_records(one.commands, 0, 10)
    [sent] = one.send(phone("new"), partition=0)
    one.worker()
    result = one.wait_results(11)[-1]
    check.result(one, sent, [DONE], result)
    one.stop()


def test_long_way_behind(sites):
    """The last message processed of each partition is found beside all that came after it in the others."""
    site = sites(partitions=4).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    worker = site.worker()
    for partition in range(4):
        site.answers(*numbered(5), partition=partition)
    assert worker.stop() == 0
    # A message to a batch: each answer of the broker then holds one.
    sender = client.Sender(site.kafka.servers, site.commands, **{"batch.num.messages": 1})
    sender.send([site.message(phone("late"), partition=partition) for _ in range(6000) for partition in range(4)])
    worker = site.worker()
    site.wait_results(20 + 24000)
    assert "can't read back" not in worker.log
    site.stop()


@pytest.mark.parametrize("committed", [10, 12])
def test_raised_over_what_is_not_published(one, committed):
    """A worker was killed between the two commits; then the group's offsets are put forward, to the position or beyond it."""
    one.send(*numbered(10), partition=0)
    assert one.worker(failpoints="publish_answered=crash").wait() == -9
    assert description(one) == "d9" and answered(one) == []
    one.send(*numbered(2, "new"), partition=0)
    wait_for(lambda: not one.admin.assigned(one.group), "the group to forget who was killed")
    one.admin.commit(one.group, one.commands, {0: committed})
    foreseen = json.loads(byunique.must(one.settings, "replay", "apply", "--dry-run", "--json"))["partitions"][0]
    assert [foreseen[what] for what in ("start", "repeated", "applied", "lost")] == [0, 10, 2, 0]
    one.worker()
    wait_for(lambda: description(one) == "new1", "the new commands")
    one.stop()
    assert answered(one) == list(range(12))
