"""Upgrades: database objects of an older version, workers of two versions side by side, changes of tables in use.

The program of the next version is the build with failpoints, which takes its migration from the environment."""

import json
import subprocess
import threading

import pytest
from psycopg import sql

from lib import byunique, processes, schemas
from lib.servers import ROOT
from lib.site import new_id
from lib.wire import Command

# As the first version's program made it before it ran 001.sql.
FIRST = "CREATE TABLE migration (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
# What a version may do to tables in use: it adds.
NEXT = """
ALTER TABLE outcome ADD COLUMN of_the_next_version text NOT NULL DEFAULT 'x';
ALTER TABLE position ADD COLUMN of_the_next_version integer;
ALTER TABLE refusal ADD COLUMN of_the_next_version integer;
CREATE TABLE of_the_next_version (id integer)"""
CUSTOMERS = ["c%d" % number for number in range(12)]


def phone(customer, text):
    return Command(new_id(), customer, "Phone", (("PhoneNumber", "string", "1"), ("description", "string", text)))


@pytest.fixture
def phones(site):
    """With an outcome and a refusal stored, so that there are rows of every kind."""
    site.init(schemas.PHONE)
    for customer in CUSTOMERS:
        site.insert("Phone", customer, PhoneNumber="1", description="new")
    site.note_effects()
    return site


def next_environment():
    return dict(processes.environment(), BYUNIQUE_TEST_NEXT_MIGRATION=NEXT)


def start_next(site, *command, log):
    """A command of the next version's program, in the background."""
    return processes.start([byunique.WITH_FAILPOINTS] + byunique.options(site.settings) + list(command), log, cwd="/",
                           env=next_environment())


def run_next(site, *command):
    return subprocess.run([byunique.WITH_FAILPOINTS] + byunique.options(site.settings) + list(command), cwd="/",
                          env=next_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def version_of(site):
    return site.db.execute("SELECT max(version) FROM migration").fetchone()[0]


def objects_of(site):
    """Columns, indices and constraints of the schema's tables, but for names of the schema itself."""
    columns = site.db.execute(
        "SELECT table_name, column_name, data_type, column_default, is_nullable FROM information_schema.columns"
        " WHERE table_schema = %s", [site.schema]).fetchall()
    rest = site.db.execute(
        "SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = %s UNION ALL"
        " SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = %s::regnamespace",
        [site.schema, site.schema]).fetchall()
    return {tuple(str(cell).replace(site.schema + ".", "") for cell in row) for row in columns + rest}


def answer_all(site, text):
    """A command for each customer, in all partitions, each answered 204 while the caller's trouble lasts."""
    results = site.answers(*[phone(customer, text) for customer in CUSTOMERS])
    assert {(result.status, result.code) for result in results} == {(204, None)}


def expect_effects(site, texts):
    """Each command has taken effect, and once."""
    done = site.db.execute("SELECT customer_id, description FROM effect").fetchall()
    assert sorted(done) == sorted((customer, text) for text in texts for customer in CUSTOMERS)


def hold(site, *tables):
    """A transaction that has read the tables and stays open, as a backup's does → its connection."""
    connection = site.second_connection()
    connection.autocommit = False
    for table in tables:
        connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
    return connection


# From one version of the database objects to another


@pytest.fixture
def first_version(site):
    """Database objects as the first version made them, topics, and none of the later versions' doing."""
    topics_only = dict(site.settings, **{"postgres.schema": site.schema + "_elsewhere"})
    byunique.must(topics_only, "init", "--partitions", str(site.partitions))
    with site.postgres.connect(user="byunique") as connection:  # as the user who ran `init`
        connection.execute(sql.SQL("CREATE SCHEMA {0}; SET search_path = {0}").format(sql.Identifier(site.schema)))
        connection.execute(FIRST)
        connection.execute((ROOT / "schemas/migrations/001.sql").read_text())
        connection.execute("INSERT INTO migration (version) VALUES (1)")
    return site


def test_new_program_and_old_objects(first_version):
    for command in (["run"], ["schema", "list"], ["status"]):
        done = byunique.run(first_version.settings, *command)
        assert done.returncode == 1 and "are of version 1" in done.stderr and "Run `byunique init`" in done.stderr
    assert version_of(first_version) == 1


def test_upgraded_objects_are_those_of_a_new_installation(first_version, sites):
    fresh = sites()
    byunique.must(fresh.settings, "init")
    said = byunique.must(first_version.settings, "init").splitlines()
    newest = version_of(fresh)
    assert newest >= 2 and version_of(first_version) == newest
    assert said[0].endswith("upgraded from version 1 to %d" % newest)
    assert objects_of(first_version) == objects_of(fresh)
    versions = [row[0] for row in first_version.db.execute("SELECT version FROM migration ORDER BY version")]
    assert versions == list(range(1, newest + 1))


def test_several_at_once(first_version):
    """As several pods or playbooks may: they take turns, and all end well."""
    done = []
    threads = [threading.Thread(target=lambda: done.append(byunique.run(first_version.settings, "init"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.returncode for each in done] == [0] * 4, [each.stderr for each in done]
    assert len([each for each in done if "upgraded from version 1" in each.stdout]) == 1
    byunique.must(first_version.settings, "schema", "list")


# Workers of two versions


def test_workers_one_by_one(phones, tmp_path):
    """While somebody keeps the tables locked, `init` of the next version waits, and stops nobody. Then the old worker goes on
    beside the upgraded objects, also when it starts anew, then beside a new worker, which takes over in the end."""
    old = phones.running()
    answer_all(phones, "before")
    reader = hold(phones, "outcome", "position", "refusal")
    upgrade = start_next(phones, "init", log=tmp_path / "init.log")
    processes.wait_for(lambda: "lock_awaited" in (tmp_path / "init.log").read_text(), "init to wait", alive=upgrade)
    for text in ("meanwhile 1", "meanwhile 2", "meanwhile 3"):
        answer_all(phones, text)
    assert upgrade.poll() is None and version_of(phones) == 2
    reader.close()
    assert upgrade.wait(60) == 0, processes.tail(tmp_path / "init.log")
    assert version_of(phones) == 3

    answer_all(phones, "old worker, new objects")
    old.kill()
    old = phones.running()
    answer_all(phones, "old program started on new objects")
    assert "already there, version 3" in byunique.must(phones.settings, "init")

    new = byunique.Worker(phones.settings, tmp_path / "new.log", failpoints="")
    new.start(BYUNIQUE_TEST_NEXT_MIGRATION=NEXT)
    phones.workers.append(new)
    phones.wait_assigned(new, members=2)
    answer_all(phones, "side by side")
    assert old.stop() == 0
    phones.wait_assigned(new, members=1)
    answer_all(phones, "new worker alone")
    expect_effects(phones, ["before", "meanwhile 1", "meanwhile 2", "meanwhile 3", "old worker, new objects",
                            "old program started on new objects", "side by side", "new worker alone"])


def test_programs_that_do_not_fit(phones):
    """The next version's program with objects of this one; this one's with objects that it can't work with."""
    done = run_next(phones, "run")
    assert done.returncode == 1 and "Run `byunique init`" in done.stderr
    assert run_next(phones, "init").returncode == 0
    byunique.must(phones.settings, "schema", "list")
    phones.db.execute("UPDATE migration SET oldest_program = 3 WHERE version = 3")
    for command in (["run"], ["init"], ["status"]):
        done = byunique.run(phones.settings, *command)
        assert done.returncode == 1, done.stderr
        assert "are of version 3, this program knows 2" in done.stderr and "Use a newer byunique" in done.stderr


def test_init_gives_up_in_the_end(phones):
    reader = hold(phones, "outcome")
    done = subprocess.run([byunique.WITH_FAILPOINTS] + byunique.options(phones.settings) + ["init"], cwd="/",
                          env=dict(next_environment(), BYUNIQUE_TEST_PATIENCE_MS="1500"), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "keeps tables locked" in done.stderr and "pg_stat_activity" in done.stderr
    assert version_of(phones) == 2
    reader.close()


# Changes of extensions


def test_extension_changed_while_somebody_reads_it(phones, tmp_path):
    """`schema apply` waits for a reader of the table; commands for it, and for others, don't."""
    phones.running()
    answer_all(phones, "before")
    reader = hold(phones, "ext_phone", "profile")
    wider = dict(schemas.PHONE, attributes=schemas.PHONE["attributes"] + [{"name": "added", "type": "integer"}])
    other = dict(schemas.PHONE, name="Other")
    path = tmp_path / "changed.json"
    path.write_text(json.dumps([wider, other]))
    apply = processes.start([byunique.PROGRAM] + byunique.options(phones.settings) + ["schema", "apply", str(path)],
                            tmp_path / "apply.log", cwd="/", env=processes.environment())
    processes.wait_for(lambda: "lock_awaited" in (tmp_path / "apply.log").read_text(), "schema apply to wait", alive=apply)
    for text in ("meanwhile 1", "meanwhile 2", "meanwhile 3"):
        answer_all(phones, text)
    assert apply.poll() is None
    reader.close()
    assert apply.wait(60) == 0, processes.tail(tmp_path / "apply.log")
    results = phones.answers(Command(new_id(), "c1", "Phone", (("PhoneNumber", "string", "1"), ("added", "int", 5))))
    assert [result.status for result in results] == [204]
