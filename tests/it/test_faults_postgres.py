"""Every kind of trouble that PostgreSQL can be in: no command is answered with it, the worker keeps its place in the
group, says so, and goes on by itself; what a person has to mend stops it, before any command is answered wrongly."""

import collections
import contextlib
import re
import signal
import threading
import time

import pytest

from lib import check, processes, schemas
from lib.model import DONE
from lib.site import Site, new_id
from lib.wire import Command

END_CONNECTIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'byunique'"
CUSTOMERS = ["c%d" % number for number in range(10)]
# Sequences forget nothing when a transaction is rolled back: the first three tries fail.
RAISE = """
CREATE SEQUENCE tries;
CREATE FUNCTION fail_thrice() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema} AS $$
BEGIN
    IF nextval('tries') <= 3 THEN
        RAISE EXCEPTION 'for a while' USING ERRCODE = '{sqlstate}';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER fail_thrice BEFORE UPDATE ON ext_phone FOR EACH STATEMENT EXECUTE FUNCTION fail_thrice()"""


@pytest.fixture
def own(own_postgres, kafka, tmp_path, request):
    """Ten customers with a record each on a server of this module's, and a trigger that notes every effect."""
    site = Site(own_postgres, kafka, tmp_path)
    request.node.sites = [site]
    site.init(schemas.PHONE)
    for customer in CUSTOMERS:
        site.insert("Phone", customer, PhoneNumber="1")
    site.note_effects()
    yield site
    site.close()


def phone(customer, text):
    return Command(new_id(), customer, "Phone", (("PhoneNumber", "string", "1"), ("description", "string", text)))


def numbered(word, count=10):
    return [phone(CUSTOMERS[number % 10], "%s %d" % (word, number)) for number in range(count)]


def effects(site):
    return collections.Counter(text for [text] in site.db.execute("SELECT description FROM effect").fetchall())


def all_done_once(site, sent):
    """Every message one result, 204; every command one effect, unless a later one of its batch overwrote it."""
    check.all_results(site, sent, {record.at: [DONE] for record in sent}, site.result_reader.to_end())
    assert set(effects(site).values()) == {1}
    assert not site.reader(site.dead_letters).to_end()


# --- what passes -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def stopped(site):
    site.postgres.stop(signal.SIGQUIT)
    try:
        yield
    finally:
        site.postgres.start()
        site.reconnect()


@contextlib.contextmanager
def frozen(site):
    site.postgres.freeze()
    try:
        yield
    finally:
        site.postgres.thaw()


def role_setting(spoil, mend):
    @contextlib.contextmanager
    def trouble(site):
        site.db.execute(spoil)
        try:
            site.db.execute(END_CONNECTIONS)
            yield
        finally:
            site.db.execute(mend)
    return trouble


read_only = role_setting("ALTER ROLE byunique SET default_transaction_read_only = on",
                         "ALTER ROLE byunique RESET default_transaction_read_only")
out_of_connections = role_setting("ALTER ROLE byunique CONNECTION LIMIT 0", "ALTER ROLE byunique CONNECTION LIMIT -1")


@contextlib.contextmanager
def out_of_disk(site):
    """A real full disk needs root and a file system: the server's answer to it, at each try."""
    site.db.execute(RAISE.format(schema=site.schema, sqlstate="53100").replace("nextval('tries') <= 3", "true"))
    try:
        yield
    finally:
        site.db.execute("DROP TRIGGER fail_thrice ON ext_phone")


TROUBLES = {"stopped": (stopped, "postgres_away"), "frozen": (frozen, None),
            "read only": (read_only, "postgres_away.*25006"),
            "out of connections": (out_of_connections, "postgres_away.*too many connections"),
            "out of disk": (out_of_disk, "postgres_in_need.*53100")}


@pytest.mark.parametrize("kind", TROUBLES)
def test_commands_wait_and_the_worker_stays(own, kind):
    """Longer than the group's patience with a member, in both senses."""
    trouble, said = TROUBLES[kind]
    worker = own.running(**{"kafka.max.poll.interval.ms": "6000"})
    sent = own.send(*numbered("before"))
    own.wait_results(len(sent))
    members = own.admin.members(own.group)
    with trouble(own):
        log_before = len(worker.log)
        sent += own.send(*numbered("during"))
        time.sleep(14)
        assert worker.alive
        assert len(own.result_reader.to_end()) == 10, "answered in spite of the trouble"
        if said is not None:
            worker.wait_log(said, timeout_s=60)
        told = worker.log[log_before:]
        assert len(re.findall("level=(warn|error)", told)) < 8, "the log is flooded:\n" + told
    sent += own.send(*numbered("after"))
    own.wait_results(len(sent))
    assert own.admin.members(own.group) == members
    assert said is None or "postgres_back" in worker.log
    own.stop()
    all_done_once(own, sent)


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "55P03", "57014", "53100", "53200", "58030", "25006", "57P03"])
def test_failed_transactions_are_repeated(own, sqlstate):
    """Also where a command is alone in its transaction, and none could be found to be at fault but it."""
    own.db.execute(RAISE.format(schema=own.schema, sqlstate=sqlstate))
    sent = own.send(*numbered("once", 20))
    own.worker(**{"batch.max.commands": 1})
    own.wait_results(len(sent))
    own.stop()
    assert own.db.execute("SELECT last_value FROM tries").fetchone()[0] > 3
    all_done_once(own, sent)


def test_deadlock(own):
    """The worker is the one that PostgreSQL chooses: it repeats its batch, and nothing was published in between."""
    own.db.execute("ALTER ROLE byunique SET deadlock_timeout = '3s'")
    worker = own.running()
    locker = own.second_connection()
    locker.execute("SET deadlock_timeout = '60s'")
    locker.execute("BEGIN")
    locker.execute("SELECT FROM ext_phone WHERE customer_id = 'c9' FOR UPDATE")
    sent = own.send(*[phone(customer, "once") for customer in ("c0", "c9")], partition=0)

    def waits():
        return own.db.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall()

    try:
        processes.wait_for(waits, "the worker to wait", alive=worker.process)
        other = threading.Thread(target=locker.execute,
                                 args=["SELECT FROM ext_phone WHERE customer_id = 'c0' FOR UPDATE"])
        other.start()
        worker.wait_log("batch_again.*40P01")
        other.join(30)
        assert not other.is_alive()
        assert own.result_reader.to_end() == []
        locker.execute("COMMIT")
    finally:
        own.db.execute("ALTER ROLE byunique RESET deadlock_timeout")
    own.wait_results(2)
    own.stop()
    check.all_results(own, sent, {record.at: [DONE] for record in sent}, own.result_reader.to_end())
    assert own.db.execute("SELECT customer_id, count(*) FROM effect GROUP BY 1 ORDER BY 1").fetchall() == [
        ("c0", 1), ("c9", 1)]


# --- what a person has to mend -----------------------------------------------------------------------------------------

FULL_SEQUENCE = """
CREATE SEQUENCE few MAXVALUE 3;
GRANT USAGE ON few TO byunique;
CREATE FUNCTION draw() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM nextval('{schema}.few');
    RETURN NEW;
END $$;
CREATE TRIGGER draw BEFORE UPDATE ON ext_phone FOR EACH ROW EXECUTE FUNCTION draw()"""
BROKEN_TRIGGER = """
CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM no_such_function(NEW.customer_id);
    RETURN NEW;
END $$;
CREATE TRIGGER broken BEFORE UPDATE ON ext_phone FOR EACH ROW EXECUTE FUNCTION broken()"""
NO_IDENTITY = """
ALTER TABLE ext_phone REPLICA IDENTITY NOTHING;
CREATE PUBLICATION everything FOR TABLE ext_phone"""

MISTAKES = {  # what was done; how it is mended; what the log has to say
    "right": ("REVOKE UPDATE ON ext_phone FROM byunique", "GRANT UPDATE ON ext_phone TO byunique", "ext_phone"),
    "right on its own table": ("REVOKE INSERT ON outcome FROM byunique", "GRANT INSERT ON outcome TO byunique",
                               "outcome"),
    "column": ("ALTER TABLE ext_phone DROP COLUMN description CASCADE",
               "ALTER TABLE ext_phone ADD COLUMN description varchar(256)", "description"),
    "column's name": ("ALTER TABLE ext_phone RENAME COLUMN description TO remark",
                      "ALTER TABLE ext_phone RENAME COLUMN remark TO description", "description"),
    "table": ("ALTER TABLE ext_phone RENAME TO gone", "ALTER TABLE gone RENAME TO ext_phone", "ext_phone"),
    "trigger": (BROKEN_TRIGGER, "DROP TRIGGER broken ON ext_phone", "42883"),
    "sequence": (FULL_SEQUENCE, "ALTER SEQUENCE few MAXVALUE 100000", "2200H"),
    "replica identity": (NO_IDENTITY, "DROP PUBLICATION everything", "55000"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_of_everybody_stops_the_worker(own, kind):
    """During load: no command gets an error for it, the worker ends with code 1 and says why; then all are answered."""
    spoil, mend, said = MISTAKES[kind]
    if kind == "column":
        own.db.execute("DROP TRIGGER note_effect ON ext_phone")
    worker = own.running(**{"batch.max.commands": 20})
    sent = own.send(*numbered("before", 200))
    own.wait_results(20)
    own.db.execute(spoil.format(schema=own.schema))
    sent += own.send(*numbered("during", 200))
    assert worker.wait(60) == 1, worker.log
    last = worker.log.strip().splitlines()[-1]
    assert "level=error" in last and "stopped" in last and said in last, last
    assert {result.status for result in own.result_reader.to_end()} == {204}
    own.db.execute(mend)
    own.worker()
    own.wait_results(len(sent))
    own.stop()
    check.all_results(own, sent, {record.at: [DONE] for record in sent}, own.result_reader.to_end())
    assert not own.reader(own.dead_letters).to_end()
    assert not own.db.execute("SELECT FROM effect GROUP BY description HAVING count(*) > 1").fetchall()


def test_table_dropped(own):
    """What is gone for good can't be mended; the commands for it are not answered at random all the same."""
    worker = own.running()
    own.db.execute("DROP TABLE ext_phone")
    own.send(*numbered("late"))
    assert worker.wait(60) == 1, worker.log
    assert "42P01" in worker.log and "ext_phone" in worker.log
    assert own.result_reader.to_end() == []


# --- what the database refuses -----------------------------------------------------------------------------------------

RAISE_REFUSED = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'refused';
END $$;
CREATE {kind} TRIGGER refuse AFTER UPDATE ON ext_phone {when} FOR EACH ROW WHEN (NEW.description LIKE 'refused%')
EXECUTE FUNCTION refuse()"""
REFUSALS = {
    "check": "ALTER TABLE ext_phone ADD CHECK (description NOT LIKE 'refused%')",
    "trigger": RAISE_REFUSED.format(kind="", when=""),
    "at commit": RAISE_REFUSED.format(kind="CONSTRAINT", when="DEFERRABLE INITIALLY DEFERRED"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_ten_of_two_thousand_are_refused(own, kind):
    """InternalError for these, with their dead letters, and nothing of it for the others."""
    own.db.execute(REFUSALS[kind])
    with own.db.transaction(), own.db.cursor() as cursor:
        customers = ["x%04d" % number for number in range(2000)]
        cursor.executemany("INSERT INTO profile (customer_id) VALUES (%s)", [(each,) for each in customers])
        cursor.executemany("INSERT INTO ext_phone (customer_id, phonenumber) VALUES (%s, '1')",
                           [(each,) for each in customers])
    bad = set(customers[37::200])
    sent = own.send(*[phone(each, "%s %s" % ("refused" if each in bad else "fine", each)) for each in customers])
    worker = own.worker()
    own.wait_results(len(sent))
    own.stop()
    results = own.result_reader.to_end()
    assert len(results) == len(sent)
    codes = {result.body["customer_id"]: (result.status, result.code) for result in results}
    assert codes == {each: (500, "InternalError") if each in bad else (204, None) for each in customers}
    check.dead_letters(own, sent, results, own.reader(own.dead_letters).to_end())
    assert effects(own) == {"fine " + each: 1 for each in customers if each not in bad}
    assert "refused x" not in worker.log, "a value in the log"


def test_refused_even_without_a_change(own):
    """The worker's own tables refuse everything: nobody's command is at fault, so nobody is told so."""
    own.db.execute("ALTER TABLE outcome ADD CHECK (false) NOT VALID")
    own.send(*numbered("late"))
    worker = own.worker()
    assert worker.wait(60) == 1, worker.log
    assert own.result_reader.to_end() == []
    assert "23514" in worker.log


@pytest.mark.parametrize("quiet", [False, True], ids=["busy", "quiet"])
def test_restored_under_running_workers(own, quiet):
    """The commits that the database lost are made anew, also where no more commands come; and their results come again."""
    own.running()
    sent = own.send(*numbered("kept"))
    own.results_of(sent)
    own.postgres.back_up()
    lost = own.send(*[phone(customer, "lost") for customer in CUSTOMERS[:5]])
    own.wait_results(len(sent) + len(lost))
    own.postgres.restore()
    own.reconnect()
    new = [] if quiet else own.send(*[phone(customer, "new") for customer in CUSTOMERS[5:]])
    own.wait_results(len(sent) + 2 * len(lost) + len(new))
    own.stop()
    results = own.result_reader.to_end()
    assert collections.Counter(result.source for result in results) == \
        {record.at: 2 if record in lost else 1 for record in sent + lost + new}
    assert {result.status for result in results} == {204}
    done = effects(own)
    assert (len(done), done["lost"], done["new"]) == (12 - quiet, 5, len(new))
    assert "database_behind_group" in own.workers[-1].log
