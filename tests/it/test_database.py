"""PostgreSQL in trouble: the commands wait, nothing is lost, and a mistake in the configuration is said clearly."""

import signal
import time

import pytest

from lib import byunique, check, gen, processes, schemas
from lib.site import new_id
from lib.wire import Command

END_CONNECTIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'byunique'"


def phone(text):
    return Command(new_id(), "alice", "Phone", (("PhoneNumber", "string", "1"), ("description", "string", text)))


@pytest.fixture
def phones(site):
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    return site


def test_restarted_during_load(site):
    world = gen.World(31, site.partitions)
    site.init(*schemas.ALL)
    site.fill(world.model)
    messages = world.messages(3000)
    sent = site.send(*messages[:2000])
    worker = site.worker(**{"batch.max.commands": 40})
    site.wait_results(150)
    site.postgres.restart(signal.SIGQUIT)
    site.wait_results(900)
    site.postgres.stop(signal.SIGQUIT)
    sent += site.send(*messages[2000:])
    time.sleep(2)
    assert worker.alive
    site.postgres.start()
    site.wait_results(len(sent))
    assert worker.alive
    site.reconnect()
    site.stop()
    check.all_results(site, sent, check.run_model(world.model, sent), site.result_reader.to_end())
    check.tables(site, world.model)


def test_connection_ended_by_the_administrator(phones):
    worker = phones.running()
    assert phones.answers(phone("one"))[0].status == 204
    ended = phones.db.execute(END_CONNECTIONS).fetchall()
    assert len(ended) > 0
    assert phones.answers(phone("two"))[0].status == 204
    assert worker.alive
    phones.stop()


def test_read_only_is_no_outcome(phones):
    """As after a failover to a standby: the worker waits until it may write."""
    worker = phones.running()
    try:
        phones.db.execute("ALTER ROLE byunique SET default_transaction_read_only = on")
        phones.db.execute(END_CONNECTIONS)
        phones.send(phone("late"))
        time.sleep(2)
        assert phones.result_reader.to_end() == []
        assert worker.alive
    finally:
        phones.db.execute("ALTER ROLE byunique RESET default_transaction_read_only")
    [result] = phones.wait_results(1)
    assert result.status == 204
    phones.stop()


def test_locked_table_is_no_outcome(phones):
    """A person's long transaction holds the table: the commands wait for its end."""
    worker = phones.running()
    locker = phones.second_connection()
    locker.execute("BEGIN")
    locker.execute("LOCK TABLE ext_phone IN ACCESS EXCLUSIVE MODE")
    phones.send(phone("late"), phone("later"))
    time.sleep(3)
    assert phones.result_reader.to_end() == []
    assert worker.alive
    locker.execute("COMMIT")
    assert [result.status for result in phones.wait_results(2)] == [204, 204]
    phones.stop()


def test_stays_in_the_group_while_the_database_is_away(phones):
    """Longer than the group waits between two polls: the worker keeps its partitions."""
    worker = phones.running(**{"kafka.max.poll.interval.ms": "6000"})
    phones.postgres.stop(signal.SIGQUIT)
    try:
        phones.send(phone("late"))
        time.sleep(8)
        assert worker.alive
        assert sum(phones.admin.assigned(phones.group)) == phones.partitions
    finally:
        phones.postgres.start()
    assert [result.status for result in phones.wait_results(1)] == [204]
    phones.stop()


def test_without_init(site):
    done = byunique.run(site.settings, "run")
    assert done.returncode in (1, 2)
    assert "init" in done.stderr


@pytest.mark.parametrize("command", ["run", "init"])
def test_wrong_password(phones, command):
    secret = "wrong-battery-staple"
    settings = dict(phones.settings, postgres="%s password=%s" % (phones.postgres.conninfo(user="guarded"), secret))
    done = byunique.run(settings, command)
    assert done.returncode in (1, 2)
    assert "password authentication failed" in done.stderr and "guarded" in done.stderr
    assert secret not in done.stderr + done.stdout


def test_unknown_role_and_database(phones):
    for wrong in ("user=nobody_at_all", "dbname=nowhere_at_all"):
        done = byunique.run(dict(phones.settings, postgres=phones.postgres.conninfo() + " " + wrong), "run")
        assert done.returncode in (1, 2)
        assert wrong.split("=")[1] in done.stderr


def test_init_is_safe_to_repeat(phones):
    for _ in range(2):
        byunique.must(phones.settings, "init", "--partitions", str(phones.partitions))
    phones.apply(schemas.PHONE)
    worker = phones.worker()
    assert phones.answers(phone("text"))[0].status == 204
    byunique.must(phones.settings, "init", "--partitions", str(phones.partitions))
    assert phones.answers(phone("text"))[0].status == 204
    assert worker.alive
    phones.stop()


def test_topics_missing(site):
    site.init(schemas.PHONE)
    site.admin.delete_topic(site.commands)
    worker = site.worker()
    processes.wait_for(lambda: site.commands in worker.log, "a word about the topic that is missing")
    worker.signal(signal.SIGTERM)
    worker.wait()
