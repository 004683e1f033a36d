"""The rounds of `make bench`: what one worker does, beside what PostgreSQL does when nothing else has to be done.

Each round runs these, in turn from the front and from the back, and the medians of all rounds are compared:

a  raw_update: the updates written from memory by one connection, in batches as large as the worker's: the ceiling.
b  raw_update with what the contract makes us store, in the same transaction, one round trip a batch: a refusal for each
   command that finds no record, and for each partition a row of outcomes with their ids, and its position. The ceiling
   with exactly-once: what c is below it is what Kafka, Avro and the worker cost.
c  `byunique run`: the same updates as commands in Kafka, from a backlog until the last result is visible.
r  raw_relay: the same commands and as many results, exactly once, and nothing read in them or stored: what is due to Kafka's
   client alone. Its rate, with one transaction after the other, is no goal; its CPU is what a worker pays for librdkafka.
p  baseline.py, a Python worker without any of the guarantees, in place of byunique.

How c is timed (and r and p). The worker is started first and answers a few commands, so that joining the group, preparing statements
and cold code don't count. Then the backlog is produced inside of one Kafka transaction: the worker, which reads what is
committed, sees nothing of it until all of it appears at once. The clock starts just before that commit, and stops when
the results' last stable offset, which is how far a read_committed consumer sees, has reached their end and the group's
offsets the commands' end. This is asked for every 50 ms, which costs the machine next to nothing; a consumer reading
along would take a good part of a core from a small one. The results are read and counted afterwards.

What is equal for all. The servers: PostgreSQL with fsync, synchronous commit and full-page writes, as in production,
but no checkpoint and no autovacuum within a run, since they would hit one of the two and not the other; before each run
the tables are vacuumed and a checkpoint is made. The updates: the same file of commands, in the same round. The work is
checked: every record of the file must have the last values that were commanded, every command its result.

The commands: customers picked at random, one of two records each, keyed by customer over 8 partitions; three attributes
(an integer, a string, a datetime) of the extension Phone; 1 % find no record; ids are random (version 4), the dearer kind.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from confluent_kafka import Consumer, IsolationLevel, Producer, TopicPartition  # noqa: E402
from confluent_kafka.admin import OffsetSpec  # noqa: E402

from lib import byunique, client, processes, wire  # noqa: E402
from lib.servers import ROOT, Kafka, Postgres  # noqa: E402

RAW_UPDATE = os.environ.get("RAW_UPDATE_BIN") or str(ROOT / "build" / "bench" / "raw_update")
RAW_RELAY = os.environ.get("RAW_RELAY_BIN") or str(ROOT / "build" / "bench" / "raw_relay")
PHONE = wire.SCHEMAS / "examples" / "phone.json"
SCHEMA = "byunique"
POLL_S = 0.05
PRIMERS = 100  # commands in each partition that the worker answers before it is timed
DISTURBED = 0.1  # the share of the machine from which on other work spoils a measurement
ENTRY_BYTES, ID_BYTES = 5, 28  # of a command in its outcome's row
FIRST_MS = 1577836800000  # 2020-01-01T00:00:00Z


class BenchPostgres(Postgres):
    SETTINGS = """
listen_addresses = '127.0.0.1'
max_connections = 20
shared_buffers = 512MB
max_wal_size = 16GB
checkpoint_timeout = 1h
autovacuum = off
timezone = 'UTC'
log_min_messages = warning
"""

    def __init__(self, settings):
        super().__init__()
        self.SETTINGS = self.SETTINGS + "".join("%s = '%s'\n" % pair for pair in settings)


class BenchKafka(Kafka):
    JAVA = ["-Xmx1g", "-Xms1g", "-XX:+UseG1GC"]  # like Kafka's own start script; the tests' JVM never warms up


# The work: made from a seed, the same for both runs of a round.

@dataclass
class Order:
    """One command: which record, which values."""
    customer: str
    number: str
    type: int
    description: str
    start_ms: int

    @property
    def start(self):
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.start_ms // 1000)) + ".000Z"

    def row(self):
        return "%s\t%s\t%d\t%s\t%d\n" % (self.customer, self.number, self.type, self.description, self.start_ms)

    def message(self, command_id):
        return wire.encode(wire.Command(command_id, self.customer, "Phone", (
            ("PhoneNumber", "string", self.number), ("PhoneType", "int", self.type),
            ("description", "string", self.description), ("start_availabilty", "string", self.start))))


def customer_id(index):
    """16 characters, scattered over the table: the multiplier is odd, so no two are equal."""
    return "0000%08X000Y" % (index * 2654435761 % 2**32)


def phone_number(index, which):
    return "3%09d" % (2 * index + which)


def make_orders(seed, count, customers, misses=0.01):
    rng = random.Random(seed)
    orders = []
    for place in range(count):
        index = rng.randrange(customers)
        number = "none" if rng.random() < misses else phone_number(index, rng.randrange(2))
        orders.append(Order(customer_id(index), number, rng.randrange(5), "run %d, command %d" % (seed, place),
                            FIRST_MS + 60000 * rng.randrange(3000000)))
    return orders


def random_id(rng):
    text = "%032x" % rng.getrandbits(128)
    return "-".join((text[:8], text[8:12], "4" + text[13:16], "a" + text[17:20], text[20:]))


# The database

class Database:
    def __init__(self, postgres):
        self.db = postgres.connect()
        self.db.execute("SET search_path = %s" % SCHEMA)

    def load(self, records):
        """Two records for each customer, in the order of the key, as `byunique load` writes them."""
        customers = sorted((customer_id(index), index) for index in range(records // 2))
        with self.db.transaction(), self.db.cursor() as cursor:
            # The foreign keys hold by construction: checking a million of them takes longer than the rest.
            cursor.execute("SET LOCAL session_replication_role = replica")
            with cursor.copy("COPY profile (customer_id) FROM STDIN") as copy:
                copy.write("".join("%s\n" % customer for customer, _ in customers))
            with cursor.copy("COPY ext_phone (customer_id, phonetype, prefix, phonenumber, description, "
                             "start_availabilty, end_availabilty) FROM STDIN") as copy:
                for customer, index in customers:
                    copy.write("".join("%s\t%d\t+33\t%s\tas loaded: record %d\t2019-01-01Z\t2029-01-01Z\n" % (
                        customer, which, phone_number(index, which), 2 * index + which) for which in (0, 1)))

    def alone(self):
        """Wait until the other sessions have ended: with that they report what they did."""
        others = "SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        processes.wait_for(lambda: not self.db.execute(others).fetchall(), "the sessions to end")

    def settle(self):
        """The same start for every run."""
        self.alone()
        self.db.execute("VACUUM (ANALYZE)")
        self.db.execute("CHECKPOINT")

    def updates(self):
        """(all, HOT) updates of the table, since ever."""
        self.alone()
        return self.db.execute("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'ext_phone' "
                               "AND schemaname = %s", [SCHEMA]).fetchone()

    def wrong(self, orders):
        """How many of the orders' records do not have the last values commanded."""
        last = {(order.customer, order.number): order for order in orders if order.number != "none"}
        self.db.execute("CREATE TEMPORARY TABLE wanted (customer_id text, phonenumber text, type int, "
                        "description text, start_ms int8)")
        with self.db.cursor() as cursor, cursor.copy("COPY wanted FROM STDIN") as copy:
            for order in last.values():
                copy.write(order.row())
        [count] = self.db.execute(
            "SELECT count(*) FROM wanted w LEFT JOIN ext_phone e USING (customer_id, phonenumber) WHERE (type, w.description,"
            " start_ms) IS DISTINCT FROM (phonetype, e.description, (extract(epoch FROM start_availabilty) * 1000)::int8)"
        ).fetchone()
        self.db.execute("DROP TABLE wanted")
        return count

    def stored(self):
        """What b has stored, since ever: outcomes, bytes of entries and of ids in them, refusals, commands passed."""
        return self.db.execute("""
            WITH raw AS (SELECT id, next_offset FROM position WHERE topic = 'raw')
            SELECT count(*), coalesce(sum(length(entries)), 0), coalesce(sum(length(ids)), 0),
                   (SELECT count(*) FROM refusal WHERE position_id IN (SELECT id FROM raw)),
                   (SELECT coalesce(sum(next_offset), 0) FROM raw)
            FROM outcome WHERE position_id IN (SELECT id FROM raw)""").fetchone()


# What processes cost

def own_cpu_s(pid, children=False):
    """CPU seconds of one process, with those of the children that have ended."""
    fields = Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15 if children else 13])) / os.sysconf("SC_CLK_TCK")


def postgres_cpu_s(pid):
    """All of a cluster: the main process, its children, and those that have ended."""
    total = own_cpu_s(pid, children=True)
    for child in Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split():
        try:
            total += own_cpu_s(int(child))
        except FileNotFoundError:
            pass  # ended meanwhile
    return total


def busy_cpu_s():
    """CPU seconds of the whole machine since it was started, idle and waiting ones left out."""
    user, nice, system, _, _, irq, softirq = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def peak_bytes(pid):
    for line in Path("/proc/%d/status" % pid).read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in /proc/%d/status" % pid)


@dataclass
class Run:
    """One measurement."""
    rate: float
    seconds: float
    client_cpu_s: float
    postgres_cpu_s: float
    broker_cpu_s: float
    other_cpu_s: float  # of everything else on the machine: where it is much, the rate says little
    hot: float = 0.0  # share of the updates that touched no index
    peak_bytes: int = 0  # of the worker


# The things compared

class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.postgres, self.kafka = BenchPostgres(options.postgres), BenchKafka()
        self.database = None
        self.runs = 0

    def start(self):
        self.postgres.create()
        self.kafka.create()
        byunique.must(self.settings("setup"), "init", "--partitions", str(self.options.partitions))
        byunique.must(self.settings("setup"), "schema", "apply", str(PHONE))
        self.database = Database(self.postgres)
        self.database.load(self.options.records)

    def destroy(self):
        for server in (self.kafka, self.postgres):
            server.destroy()

    def settings(self, name):
        """Topics and a group for one run; the database is shared by all."""
        return dict({
            "postgres": self.postgres.conninfo(), "postgres.schema": SCHEMA,
            "kafka.bootstrap.servers": self.kafka.servers, "kafka.group.id": "group-" + name,
            "commands.topic": "commands-" + name, "results.topic": "results-" + name,
            "dead.letter.topic": "dead-letters-" + name, "schemas.dir": str(wire.SCHEMAS)}, **dict(self.options.worker))

    def measure(self, kind, orders):
        self.runs += 1
        self.database.settle()
        before = self.database.updates()
        run = self.run(kind, orders)
        after = self.database.updates()
        run.hot = (after[1] - before[1]) / max(1, after[0] - before[0])
        wrong = 0 if kind == "r" else self.database.wrong(orders)
        if wrong:
            raise AssertionError("run %s: %d records do not have the values commanded" % (kind, wrong))
        return run

    def run(self, kind, orders):
        if kind == "a":
            return self.raw(orders)
        if kind == "b":
            return self.stored(orders)
        if kind == "r":  # answers all alike
            return self.worker([replace(order, number="any") for order in orders], RawRelay)
        return self.worker(orders) if kind == "c" else self.worker(orders, PythonWorker)

    def raw(self, orders, *more):
        path = self.folder / "orders"
        path.write_text("".join(order.row() for order in orders))
        cpu = self.cpu_s()
        done = subprocess.run([RAW_UPDATE, self.postgres.conninfo(), SCHEMA, str(path), str(self.options.raw_batch)] +
                              list(more), stdout=subprocess.PIPE, check=True, text=True, cwd="/",
                              env=processes.environment())
        postgres, kafka, busy = (now - then for now, then in zip(self.cpu_s(), cpu))
        said = json.loads(done.stdout)
        return Run(said["rows_per_s"], said["seconds"], said["cpu_s"], postgres, kafka,
                   busy - postgres - kafka - said["cpu_s"])

    def stored(self, orders):
        before = self.database.stored()
        run = self.raw(orders, str(self.options.partitions))
        got = tuple(now - then for now, then in zip(self.database.stored(), before))
        wanted = self.to_store(orders)
        if got != wanted:
            raise AssertionError("stored beside the updates: %s, wanted: %s" % (got, wanted))
        return run

    def to_store(self, orders):
        """What Database.stored() grows by: the commands are dealt out to the partitions in turn."""
        full, rest = divmod(len(orders), self.options.raw_batch)
        rows = full * min(self.options.raw_batch, self.options.partitions) + min(rest, self.options.partitions)
        refused = sum(order.number == "none" for order in orders)
        return rows, ENTRY_BYTES * len(orders), ID_BYTES * len(orders), refused, len(orders)

    @contextmanager
    def warm(self, make):
        """A worker with topics and a group of its own, which has answered a few commands."""
        settings = self.settings(str(self.runs))
        byunique.must(settings, "init", "--partitions", str(self.options.partitions))
        backlog = Backlog(self.kafka.servers, settings["commands.topic"], self.runs)
        watch = Watch(self.kafka.servers, settings, self.options.partitions)
        primers = make_orders(-self.runs, PRIMERS * self.options.partitions, self.options.records // 2, misses=0)
        backlog.put(primers)
        watch.expect(len(primers))
        backlog.commit()
        worker = make(settings, self.folder / ("worker-%d.log" % self.runs)).start()
        try:
            watch.wait_done(worker, timeout_s=60)
            yield Warm(worker, backlog, watch, primers)
            code = worker.stop()
            assert code == 0, "the worker ended with code %d" % code
        except BaseException:
            print(processes.tail(worker.log_path), file=sys.stderr)
            raise
        finally:
            processes.stop(worker.process, timeout_s=5)
            watch.close()

    def worker(self, orders, make=byunique.Worker):
        """Of the class made, from a backlog until its results are there."""
        with self.warm(make) as warm:
            warm.backlog.put(orders)
            warm.watch.expect(len(warm.primers) + len(orders))
            time.sleep(1)  # whatever was busy with the backlog is idle again
            run = self.timed(warm.backlog, warm.watch, warm.worker, len(orders))
            run.peak_bytes = peak_bytes(warm.worker.process.pid)
        self.check_results(warm.worker.settings["results.topic"], warm.primers + orders)
        return run

    def cpu_s(self):
        return postgres_cpu_s(self.postgres.process.pid), own_cpu_s(self.kafka.process.pid), busy_cpu_s()

    def timed(self, backlog, watch, worker, count):
        before, own_before, started = self.cpu_s(), own_cpu_s(worker.process.pid), time.monotonic()
        backlog.commit()
        seconds = watch.wait_done(worker) - started
        own = own_cpu_s(worker.process.pid) - own_before
        postgres, kafka, busy = (now - then for now, then in zip(self.cpu_s(), before))
        return Run(count / seconds, seconds, own, postgres, kafka, busy - postgres - kafka - own)

    def check_results(self, topic, orders):
        """As many results as commands, and as many of them found their record as have one."""
        reader = client.TopicReader(self.kafka.servers, topic, lambda record: record.header("byunique.status"))
        statuses = reader.to_end(timeout_s=120)
        reader.close()
        found = sum(order.number != "none" for order in orders)
        got = {status: statuses.count(status) for status in set(statuses)}
        wanted = {b"204": found, b"404": len(orders) - found}
        if got != {status: number for status, number in wanted.items() if number}:
            raise AssertionError("results by status: %s, wanted: %s" % (got, wanted))


class OtherWorker(byunique.Worker):
    """Another program in byunique's place."""
    PROGRAM = ARGUMENTS = ()  # the second: settings

    def start(self):
        self.process = processes.start(list(self.PROGRAM) + [self.settings[name] for name in self.ARGUMENTS], self.log_path,
                                       env=processes.environment())
        return self

    @property
    def has_begun(self):
        return True


class PythonWorker(OtherWorker):
    """The baseline."""
    PROGRAM = (sys.executable, str(Path(__file__).with_name("baseline.py")))
    ARGUMENTS = ("kafka.bootstrap.servers", "commands.topic", "results.topic", "kafka.group.id", "postgres",
                 "postgres.schema", "schemas.dir")


class RawRelay(OtherWorker):
    """Kafka's client alone."""
    PROGRAM = (RAW_RELAY,)
    ARGUMENTS = ("kafka.bootstrap.servers", "commands.topic", "results.topic", "kafka.group.id")


@dataclass
class Warm:
    """A worker that has answered the primers, and what else has to do with its topics."""
    worker: byunique.Worker
    backlog: "Backlog"
    watch: "Watch"
    primers: list


class Backlog:
    """Commands that become visible all at once: by one Kafka transaction."""

    def __init__(self, servers, topic, seed):
        self.topic, self.rng = topic, random.Random(seed)
        self.producer = Producer(dict(client.QUIET, **{
            "bootstrap.servers": servers, "transactional.id": "bench-" + topic, "transaction.timeout.ms": 600000,
            "linger.ms": 20, "queue.buffering.max.messages": 10000000, "queue.buffering.max.kbytes": 2000000}))
        self.producer.init_transactions(30)

    def put(self, orders):
        """Written to the broker, not yet visible."""
        self.producer.begin_transaction()
        for order in orders:
            self.producer.produce(self.topic, value=order.message(random_id(self.rng)), key=order.customer)
        assert self.producer.flush(300) == 0, "the backlog could not be produced"

    def commit(self):
        self.producer.commit_transaction(60)


class Watch:
    """Asks the broker how far the worker is, at little cost."""

    def __init__(self, servers, settings, partitions):
        self.admin = client.Admin(servers)
        self.member = Consumer(dict(client.QUIET, **{  # asks for its group's offsets, and never joins it
            "bootstrap.servers": servers, "group.id": settings["kafka.group.id"],
            "isolation.level": "read_uncommitted"}))
        self.settings, self.partitions = settings, range(partitions)
        self.commands, self.results = [], 0  # what is to be seen: the group's offsets, the number of results

    def ends(self, key, isolation):
        wanted = {TopicPartition(self.settings[key], number): OffsetSpec.latest() for number in self.partitions}
        futures = self.admin.client.list_offsets(wanted, isolation_level=isolation)
        return [future.result(30).offset for future in futures.values()]

    def expect(self, results):
        """What is written now, visible or not, is to be answered: that many results since the topic began."""
        self.commands, self.results = self.ends("commands.topic", IsolationLevel.READ_UNCOMMITTED), results

    def done(self):
        """The group is behind all commands, and the results are visible to their end, which does not move any more."""
        visible = self.ends("results.topic", IsolationLevel.READ_COMMITTED)
        if sum(visible) < self.results:
            return False
        wanted = [TopicPartition(self.settings["commands.topic"], number) for number in self.partitions]
        group = [partition.offset for partition in self.member.committed(wanted, timeout=30)]  # negative: none
        return (all(offset >= end or not end for offset, end in zip(group, self.commands)) and
                visible == self.ends("results.topic", IsolationLevel.READ_UNCOMMITTED))

    def close(self):
        self.member.close()

    def wait_done(self, worker, timeout_s=600):
        """Wait for what is expected → when it was there."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            asked = time.monotonic()
            if self.done():
                return asked
            if not worker.alive:
                raise AssertionError("the worker ended with code %s" % worker.process.returncode)
            time.sleep(POLL_S)
        raise AssertionError("not all commands were answered within %d s" % timeout_s)


# The report

KINDS = {"a": "memory to PostgreSQL", "b": "the same, outcomes stored", "c": "Kafka to PostgreSQL to Kafka",
         "r": "Kafka to Kafka alone", "p": "c by a Python worker"}
RATIOS = ("b/a", "c/a", "c/b", "p/a")


def median(runs, name):
    return statistics.median(getattr(run, name) for run in runs)


def table(options, runs):
    print("%s commands, %s records, %d partitions, %d cores; medians of %d" % (
        format(options.commands, ","), format(options.records, ","), options.partitions, os.cpu_count(),
        options.rounds))
    print("%32s %10s %8s %6s | %-38s | %8s" % ("", "", "", "", "CPU s for a million commands", "worker"))
    print("%32s %10s %8s %6s | %6s %10s %8s %11s | %8s" % (
        "", "commands/s", "seconds", "HOT", "client", "PostgreSQL", "broker", "other", "peak MB"))
    for kind, title in KINDS.items():
        if runs[kind]:
            line(kind, title, runs[kind], 1e6 / options.commands)
    if runs["c"] and runs["r"]:
        worker, relay = (median(runs[kind], "client_cpu_s") * 1e6 / options.commands for kind in "cr")
        print("worker's CPU for a command: %.1f µs, of a relay %.1f, so %.1f beyond Kafka's client" % (
            worker, relay, worker - relay))
    for name, value in ratios(runs).items():
        kind, base = (runs[each] for each in name.split("/"))
        print("%s  %.2f   (by round: %s)" % (name, value, ", ".join(
            "%.2f" % (run.rate / other.rate) for run, other in zip(kind, base))))
    disturbed = max(run.other_cpu_s / run.seconds / os.cpu_count() for each in runs.values() for run in each)
    if disturbed > DISTURBED:
        print("Something else took up to %.0f %% of this machine: measure again when it is quiet." % (100 * disturbed))


def line(kind, title, runs, for_a_million):
    cpu_s = [for_a_million * median(runs, whose + "_cpu_s") for whose in ("client", "postgres", "broker", "other")]
    print("%s  %-29s %10s %8.2f %5.0f%% | %6.2f %10.2f %8.2f %11.2f | %8s" % (
        kind, title, format(round(median(runs, "rate")), ","), median(runs, "seconds"), 100 * median(runs, "hot"),
        *cpu_s, round(median(runs, "peak_bytes") / 1e6) or "-"))


def ratios(runs):
    """{"c/a": …}: of the medians, for what was measured."""
    pairs = {name: [runs[kind] for kind in name.split("/")] for name in RATIOS}
    return {name: median(kind, "rate") / median(base, "rate") for name, (kind, base) in pairs.items() if kind and base}


def write_json(path, options, runs):
    Path(path).write_text(json.dumps({
        "commands": options.commands, "records": options.records, "partitions": options.partitions,
        "cores": os.cpu_count(), "ratios": ratios(runs),
        "runs": {kind: [run.__dict__ for run in runs[kind]] for kind in runs}}, indent=1) + "\n")


def pair(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("NAME=VALUE is wanted, not %r" % text)
    return name, value


@contextlib.contextmanager
def started(make, options):
    """A bench with its servers, which are stopped whatever ends this."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="byunique-bench-"))
    bench = make(options, folder)
    try:
        bench.start()
        yield bench
    finally:
        bench.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def add_place(parser, records):
    """What any bench may be told of the place where it measures."""
    parser.add_argument("--records", type=int, default=records)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--worker", type=pair, action="append", default=[], metavar="KEY=VALUE",
                        help="configuration of the worker")
    parser.add_argument("--postgres", type=pair, action="append", default=[], metavar="NAME=VALUE",
                        help="a setting of PostgreSQL, such as fsync=off")


def add_rounds(parser):
    """What may be told of the rounds."""
    parser.add_argument("--commands", type=int, default=400000)
    add_place(parser, records=1000000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="40,000 commands, 100,000 records, one round; little of everything")
    parser.add_argument("--only", choices=KINDS, help="leave the others out")
    parser.add_argument("--baseline", action=argparse.BooleanOptionalAction, default=True,
                        help="measure the Python worker as well")
    parser.add_argument("--raw-batch", type=int, default=12000, help="rows in a batch of raw_update")
    parser.add_argument("--json", metavar="FILE", help="write the rounds there")


def shorten(options):
    options.commands, options.records, options.rounds = 40000, 100000, 1


def measure_all(bench, options):
    """A warm-up that is thrown away, then the rounds; who goes first changes."""
    kinds = [options.only] if options.only else [kind for kind in KINDS if kind != "p" or options.baseline]
    runs = {kind: [] for kind in KINDS}
    for number in range(options.rounds + 1):
        count = options.commands if number else options.commands // 10
        orders = make_orders(number, count, options.records // 2)
        for kind in kinds if number % 2 else reversed(kinds):
            run = bench.measure(kind, orders)
            print("%s %s: %s commands/s" % ("round %d" % number if number else "warm-up", kind,
                                            format(round(run.rate), ",")), file=sys.stderr)
            if number:
                runs[kind].append(run)
    return runs
