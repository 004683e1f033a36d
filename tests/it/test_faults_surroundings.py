"""What stands around the worker's PostgreSQL and its clock: poolers, settings that weaken a COMMIT, clocks that jump, and
ids whose retention passes while repeats come in."""

import collections
import contextlib
import os
import random
import re
import subprocess
import time

import pytest

from lib import byunique, check, processes, schemas
from lib.model import DONE
from lib.servers import ROOT, PgBouncer, Postgres
from lib.site import SOON_GONE, new_id
from lib.wire import Command

DUPLICATE = (204, True)


def phone(customer, text):
    return Command(new_id(), customer, "Phone", (("PhoneNumber", "string", "1"), ("description", "string", text)))


def phones(site, customers):
    site.init(schemas.PHONE)
    for customer in customers:
        site.insert("Phone", customer, PhoneNumber="1")
    site.note_effects()
    return site


def effects(site):
    return collections.Counter(customer for [customer] in site.db.execute("SELECT customer_id FROM effect").fetchall())


# --- poolers -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def pooled(site, mode, size):
    bouncer = PgBouncer(site.postgres, mode, size)
    try:
        yield dict(postgres=bouncer.conninfo())
    finally:
        bouncer.destroy()


@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_pooler_that_shares_sessions_is_refused(site, mode, size):
    """With one session in the pool, too, where all would seem well until a second worker comes."""
    phones(site, ["alice"])
    with pooled(site, mode, size) as settings:
        for command in (["run"], ["init"], ["schema", "list"]):
            done = byunique.run(dict(site.settings, **settings), *command)
            assert done.returncode == 1, done.stderr
            assert "pooler" in done.stderr and "pool_mode = session" in done.stderr
            assert not done.stdout


@pytest.mark.parametrize("size", [1, 10])
def test_pooler_in_session_mode(site, size):
    phones(site, ["alice"])
    with pooled(site, "session", size) as settings:
        worker = site.running(**settings)
        sent = site.send(*[phone("alice", "text %d" % number) for number in range(100)])
        site.wait_results(100)
        assert worker.alive
        site.stop()
    check.all_results(site, sent, {record.at: [DONE] for record in sent}, site.result_reader.to_end())


# --- settings ----------------------------------------------------------------------------------------------------------


def weak(worker):
    return dict(re.findall("level=warn event=weak_setting name=(\\w+) value=(\\w+) consequence=", worker.log))


def test_weak_settings_are_told(site):
    """Those of the tests' server, and one of the role's own; the worker works all the same."""
    phones(site, ["alice"])
    assert weak(site.running()) == {"fsync": "off", "full_page_writes": "off"}
    site.stop()
    site.db.execute("ALTER ROLE byunique SET synchronous_commit = off")
    try:
        worker = site.running()
        assert weak(worker) == {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        assert site.answers(phone("alice", "text"))[0].status == 204
        site.db.execute("ALTER ROLE byunique SET synchronous_commit = local")
        site.stop()
        assert "synchronous_commit" not in weak(site.running()), "there is no standby to wait for"
    finally:
        site.db.execute("ALTER ROLE byunique RESET synchronous_commit")
    site.stop()


def test_sound_settings_are_not_mentioned(sites, tmp_path):
    server = Postgres("fsync = on\nfull_page_writes = on\n")
    try:
        site = sites()
        site.postgres = server.create()
        site.settings["postgres"] = server.conninfo(user="postgres")
        site.settings["postgres.roles"] = "least"
        site.db = site.second_connection()
        site.init(schemas.PHONE)
        site.db.execute("CREATE ROLE worker LOGIN IN ROLE least_worker")  # nor is there a word about its rights
        site.settings["postgres"] = server.conninfo(user="worker")
        worker = site.running()
        assert weak(worker) == {}
        assert not worker.warned
        server_names = "ALTER SYSTEM SET synchronous_standby_names = 'nobody'"
        site.stop()
        site.db.execute("SET synchronous_commit = local")
        site.db.execute("ALTER ROLE worker SET synchronous_commit = local")
        site.db.execute(server_names)
        site.db.execute("SELECT pg_reload_conf()")
        worker = site.worker()
        worker.wait_log("weak_setting")
        assert weak(worker) == {"synchronous_commit": "local"}
        site.stop()
    finally:
        server.destroy()


# --- clocks ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def faked(tmp_path, monkeypatch):
    """faked.start(site) starts a worker whose wall clock, not its monotonic one, is faked.jump(seconds) off."""
    class Faked:
        offset = tmp_path / "offset"
        library = tmp_path / "wallclock.so"

        def jump(self, seconds):
            fresh = tmp_path / "offset.new"
            fresh.write_text("%d\n" % seconds)
            fresh.rename(self.offset)

        def start(self, site, **settings):
            with monkeypatch.context() as patched:
                patched.setenv("LD_PRELOAD", str(self.library))
                patched.setenv("WALLCLOCK_FILE", str(self.offset))
                # A build with sanitizers would want its own library to come first.
                patched.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")
                return site.worker(**settings)

    out = Faked()
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(out.library), str(ROOT / "tests" / "lib" / "wallclock.c"),
                    "-ldl"], check=True)
    out.jump(0)
    return out


def told_time(worker):
    """The hour that the worker's log believes in, at its last line."""
    return worker.log.strip().splitlines()[-1].partition("time=")[2][:13]


def test_clock_that_jumps(site, faked):
    """An hour ahead and back, under load and over a restart: no effect twice, nothing forgotten, no wait."""
    customers = ["c%d" % number for number in range(50)]
    phones(site, customers)
    commands = [phone(customer, "once") for customer in customers]
    retention = {"idempotency.retention": "4h", "outcome.retention": "4h", "batch.max.commands": 7}
    worker = faked.start(site, **retention)
    sent = site.send(*commands)
    site.wait_results(len(sent))
    rows, hours = "SELECT count(*) FROM outcome", set()
    for number, jump in enumerate((3600, -3600, 7200, 0)):
        before = site.db.execute(rows).fetchone()[0]
        faked.jump(jump)
        sent += site.send(*commands)
        site.wait_results(len(sent) - 25)  # the rest meets the next change
        if number % 2:
            site.stop()
            worker = faked.start(site, **retention)
            sent += site.send(*commands)
        site.wait_results(len(sent))
        if number == 2:
            time.sleep(12)  # housekeeping has had its turn
        hours.add(told_time(worker))
        assert site.db.execute(rows).fetchone()[0] >= before, "outcomes were deleted before their time"
    assert len(hours) > 1, "the clock did not jump"
    site.stop()
    results = site.result_reader.to_end()
    assert len(results) == len({result.source for result in results}) == len(sent)
    by_source = {result.source: (result.status, result.body["duplicate"]) for result in results}
    assert [by_source[record.at] for record in sent] == [(204, False)] * 50 + [DUPLICATE] * (len(sent) - 50)
    assert effects(site) == {customer: 1 for customer in customers}


# --- retention ---------------------------------------------------------------------------------------------------------

RETENTION_MS = 2000


def test_retention_passes_while_repeats_come_in(site):
    """Each repeat is a duplicate, or takes effect anew, as nothing is left of the first: the records agree, and no id
    takes effect anew before its time, whoever the worker is."""
    site.settings.update(SOON_GONE)
    rng = random.Random(41)
    customers = ["c%02d" % number for number in range(40)]
    phones(site, customers)
    commands = [phone(customer, "again") for customer in customers]
    settings = {"idempotency.retention": "%ds" % (RETENTION_MS / 1000), "outcome.retention": "4s", "batch.max.commands": 7}
    worker, sent = site.worker(**settings), []
    for number in range(60):
        sent += site.send(*rng.sample(commands, rng.randrange(1, 30)), partition=number % 2)
        time.sleep(rng.random() / 2)
        if number % 20 == 10:
            worker.kill()
            worker = site.worker(**settings)
        elif number % 20 == 19:
            site.stop()
            worker = site.worker(**settings)
    site.wait_results(len(sent))
    processes.wait_for(lambda: "event=retention" in worker.log, "housekeeping", timeout_s=40)
    sent += site.send(*commands, *commands, partition=0)
    site.wait_results(len(sent))
    site.stop()
    results = site.result_reader.to_end()
    assert sorted(result.source for result in results) == sorted(record.at for record in sent)
    done, last = collections.Counter(), {}
    for result in sorted(results, key=lambda each: each.source):
        place = result.source[0], result.body["command_id"]
        assert result.status == 204
        if result.body["duplicate"]:
            assert place in last, "a duplicate of nothing"
        else:
            assert place not in last or result.body["processed_at"] - last[place] >= RETENTION_MS, "too early"
            last[place] = result.body["processed_at"]
            done[result.body["customer_id"]] += 1
    assert effects(site) == done
    assert len(results) > sum(done.values()) > 2 * len(customers), "nothing passed, or nothing was repeated"
