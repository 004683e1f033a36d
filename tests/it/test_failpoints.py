"""The sweep: at every failpoint a worker crashes once, and one fails once; what comes after is checked to the last row.

A run: messages wait in the topic, a worker meets its failpoint, and another one without any (or the same, after a mere
failure) does the rest. Then every message has exactly one result, the one that the model gives; the tables are the model's;
and what can take effect once only did. Runs mostly wait, for a session to time out, so several go on at the same time.
BYUNIQUE_SEED sets which messages are sent and which pairs are drawn, BYUNIQUE_PAIRS how many pairs."""

import collections
import itertools
import os
import random
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import byunique, check, gen, processes, schemas
from lib.servers import ROOT
from lib.site import SOON_GONE, Site, new_id
from lib.wire import Command, encode

SEED = int(os.environ.get("BYUNIQUE_SEED", "1"))
PAIRS = int(os.environ.get("BYUNIQUE_PAIRS", "8"))
AT_ONCE = 6

POINTS = re.findall(r"^FAILPOINT\((\w+), (\w+),", (ROOT / "include/byunique/failpoint.def").read_text(), re.MULTILINE)
AHEAD = [name for name, _ in POINTS if name.startswith("store_ahead_")]
ON_THE_PATH = [name for name, _ in POINTS if name.startswith(("fetch_", "store_", "publish_", "commit_"))
               and name not in AHEAD]
AT_START = [name for name, _ in POINTS if name.startswith(("start_", "assign_"))]
# Between them, PostgreSQL and Kafka disagree about what is done.
APART = ["commit_answered=crash@2", "publish_sent=crash", "publish_offsets_sent=crash@2", "publish_committed=crash"]

CRASHES = ["%s=crash" % name for name, _ in POINTS if name not in AHEAD] + ["%s=crash@3" % name for name in ON_THE_PATH]
CRASHES += ["trip_sent=crash@%d" % time for time in range(2, 10)]
FAILURES = ["%s=fail" % name for name, verdict in POINTS if verdict != "NONE"]
FAILURES += ["%s=fail@3" % name for name in ON_THE_PATH if dict(POINTS)[name] != "NONE"]
# While PostgreSQL has two batches; the first ones of a partition go one by one.
BEHIND = ["ahead: %s=crash@%d" % (name, time) for name in AHEAD for time in (1, 3)]
BEHIND += ["ahead: %s@%d" % (what, time) for time in (4, 5, 6) for what in (
    "trip_sent=crash", "commit_answered=crash", "commit_answered=fail", "store_settled=crash", "publish_half_sent=crash",
    "publish_sent=fail", "publish_committed=crash")]


def pairs():
    """First a crash that leaves the two apart, then a crash while its successor mends it."""
    drawn = random.Random(SEED)
    every = list(itertools.product(APART, ["%s=crash" % name for name in ON_THE_PATH + AT_START]))
    return drawn.sample(every, min(PAIRS, len(every)))


SOLO = 60


class Run:
    """One installation, and the messages that are sent to it."""

    solos, connections = SOLO, 2

    def __init__(self, postgres, kafka, folder):
        self.site = Site(postgres, kafka, folder, partitions=2, **SOON_GONE,
                         **{"batch.max.commands": "25", "postgres.connections": str(self.connections)})
        self.world = gen.World(SEED, self.site.partitions)
        self.sent = []

    def begin(self):
        site, world = self.site, self.world
        for number in range(self.solos):
            row = dict.fromkeys(world.model.extensions["phone"].attributes)
            world.model.insert("Phone", "solo-%d" % number, dict(row, phonenumber="1"))
        site.init(*schemas.ALL)
        site.fill(world.model)
        site.note_effects()
        self.sent = site.send(*self.messages())

    def messages(self):
        messages = self.world.messages(160) + [self.solo(number) for number in range(self.solos)]
        random.Random(SEED).shuffle(messages)
        return messages

    def solo(self, number):
        """A command that alone meets its record: it takes effect once."""
        customer = "solo-%d" % number
        attributes = (("PhoneNumber", "string", "1"), ("description", "string", "once"))
        return gen.Message(self.world.partition_of(customer), customer.encode(),
                           encode(Command(new_id(), customer, "Phone", attributes)), [])

    def meet(self, failpoint, **variables):
        """A worker that meets its failpoint, wherever that is."""
        worker = self.site.worker(failpoints=failpoint, variables=variables)

        def struck():
            return "failpoint name=%s " % failpoint.split("=")[0] in worker.log

        if not failpoint.startswith(("revoke_", "stop_")):
            processes.wait_for(struck, failpoint)
        else:
            self.site.wait_results(len(self.sent))
            worker.signal(signal.SIGTERM)
            processes.wait_for(struck, failpoint)
        return worker

    def crash(self, failpoint):
        assert self.meet(failpoint).wait() == -signal.SIGKILL

    def end(self):
        """All is answered, by whoever runs; then all is checked."""
        site, world = self.site, self.world
        if not site.workers[-1].alive:
            site.worker()
        site.wait_results(len(self.sent), timeout_s=90)
        assert site.workers[-1].stop() == 0
        results = site.result_reader.to_end()
        check.all_results(site, self.sent, check.run_model(world.model, self.sent), results)
        check.tables(site, world.model)
        check.dead_letters(site, self.sent, results, site.reader(site.dead_letters).to_end())
        assert site.admin.committed(site.group, site.commands) == site.admin.log_ends(site.commands)
        effects = collections.Counter(site.db.execute("SELECT customer_id FROM effect WHERE description = 'once'"))
        assert sorted(effects.values()) == [1] * self.solos, "effects that are lost or doubled"


class RunAhead(Run):
    """All is new, and PostgreSQL is slow: one batch is sent behind the other, and several are in a Kafka transaction."""

    solos, connections = 800, 1

    def messages(self):
        self.site.db.execute("""
            CREATE FUNCTION {0}.be_slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN NULL; END';
            CREATE TRIGGER slow BEFORE UPDATE ON {0}.ext_phone EXECUTE FUNCTION {0}.be_slow()""".format(self.site.schema))
        return [self.solo(number) for number in range(self.solos)]


def one_crash(run, failpoint):
    run.crash(failpoint)
    run.end()


def one_ahead(run, case):
    failpoint = case.partition(": ")[2]
    (one_failure if "=fail" in failpoint else one_crash)(run, failpoint)


def two_crashes(run, failpoints):
    for failpoint in failpoints:
        run.crash(failpoint)
    run.end()


def one_failure(run, failpoint):
    """The worker itself mends it."""
    run.meet(failpoint)
    run.end()


CASES = {**{each: one_crash for each in CRASHES}, **{each: one_failure for each in FAILURES},
         **{pair: two_crashes for pair in pairs()}, **{each: one_ahead for each in BEHIND}}


def name_of(case):
    return " then ".join(case) if isinstance(case, tuple) else case


@pytest.fixture(scope="module")
def runs(postgres, kafka, tmp_path_factory, request):
    """{case: a future of its run}, for the cases that this session has chosen."""
    assert os.access(byunique.WITH_FAILPOINTS, os.X_OK), "make FAILPOINTS=1 builds the program"
    chosen = [item.callspec.params["case"] for item in request.session.items
              if item.module is request.module and item.originalname == "test_sweep"]

    def do(case, folder):
        folder.mkdir()
        run = (RunAhead if case in BEHIND else Run)(postgres, kafka, folder)
        try:
            run.begin()
            CASES[case](run, case)
        except BaseException as error:
            logs = ["%s\n%s" % (worker.log_path.name, processes.tail(worker.log_path)) for worker in run.site.workers]
            raise AssertionError("%s\n%s" % (error, "\n".join(logs))) from error
        finally:
            run.site.close()

    folder = tmp_path_factory.mktemp("runs")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {case: pool.submit(do, case, folder / str(number)) for number, case in enumerate(chosen)}
        yield futures
        for future in futures.values():
            future.cancel()


@pytest.mark.parametrize("case", list(CASES), ids=name_of)
def test_sweep(runs, case):
    runs[case].result()


@pytest.mark.parametrize("place", ["publish_begun", "publish_offsets_sent"])
def test_a_kafka_transaction_that_never_ends(postgres, kafka, tmp_path, place):
    """The watchdog ends the process, with a code of its own; its successor does the rest."""
    run = Run(postgres, kafka, tmp_path)
    try:
        run.begin()
        worker = run.meet("%s=wait:600000" % place, BYUNIQUE_TEST_STUCK_MS="5000")
        assert worker.wait(60) == 4
        assert "event=stuck" in worker.log
        run.end()
    finally:
        run.site.close()


def test_a_release_has_none():
    """The program that people get knows nothing of them."""
    with open(byunique.PROGRAM, "rb") as file:
        program = file.read()
    with open(byunique.WITH_FAILPOINTS, "rb") as file:
        assert b"TEST_FAILPOINTS" in file.read()
    if byunique.PROGRAM != byunique.WITH_FAILPOINTS:
        assert b"TEST_FAILPOINTS" not in program and b"publish_half_sent" not in program
