"""`make bench-curves`: how the worker's cost grows, one thing at a time.

Each curve alternates its points over the rounds of one run, since the machine itself gets faster and slower, and says each
point as a share of the first one beside it. A point is a backlog that appears at once, answered to the last result, as
in run.py: the same servers, the same checks. What varies:

batch        most commands in a batch (batch.max.commands)
attributes   stored by each command, of an extension that has 60
extensions   among which the commands are spread at random
hot          commands to one single record in a row, of those to random ones
partitions   of the topics
workers      in one group
records      in the table
backlog      commands in the topic, read from its beginning: what recovery takes
"""

import argparse
import json
import random
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import run as bench  # noqa: E402
from lib import byunique, processes, wire  # noqa: E402

COMMANDS = 150000
EXTENSIONS = 32
WIDE = 60


@dataclass
class Point:
    """One thing measured."""
    value: int
    commands: int = COMMANDS
    partitions: int = 8
    workers: int = 1
    settings: dict = field(default_factory=dict)
    make: object = None  # (rng, place) → (extension, number of the customer, attributes)
    runs: list = field(default_factory=list)


@dataclass
class Run:
    rate: float
    seconds: float
    worker_us: float  # CPU for a command
    postgres_us: float
    peak_mb: float  # of the largest worker
    first_s: float  # until the first result was visible


def phone(rng, _):
    return "Phone", rng.randrange(500000), 3


def wide(count):
    return lambda rng, _: ("Wide", rng.randrange(100000), count)


def spread(count):
    return lambda rng, _: ("Ext%d" % rng.randrange(count), rng.randrange(10000), 3)


def hot(run):
    """`run` commands in a row meet one record."""
    return lambda rng, place: ("Phone", random.Random(place // run).randrange(500000), 3)


def curves(options):
    backlog = options.commands
    return {
        "batch": [Point(n, settings={"batch.max.commands": str(n)}) for n in (8000, 100, 500, 1000, 2000, 4000, 12000, 16000)],
        "attributes": [Point(n, make=wide(n)) for n in (3, 1, 10, 30, 60)],
        "extensions": [Point(n, make=spread(n)) for n in (1, 2, 8, 32)],
        "hot": [Point(n, make=hot(n)) for n in (1, 10, 100, 1000)],
        "partitions": [Point(n, partitions=n) for n in (8, 1, 16, 32, 64)],
        "workers": [Point(n, workers=n, commands=4 * COMMANDS, partitions=16) for n in (1, 2, 4)],
        "records": [Point(options.records, commands=4 * COMMANDS)],
        "backlog": [Point(backlog, commands=backlog)],
    }


# The extensions

def column(number):
    return "a%02d" % number


def extension(name, count):
    attributes = [{"name": "k", "type": "string"}] + [{"name": column(number), "type": "string"} for number in range(count)]
    return {"name": name, "type": "multi-valued", "attributes": attributes, "unique": ["k"]}


class Curves(bench.Bench):
    """Phone has two records for each customer; Wide and Ext0… one for the first ones."""

    def prepare(self):
        files = [extension("Wide", WIDE)] + [extension("Ext%d" % number, 3) for number in range(EXTENSIONS)]
        for each in files:
            path = self.folder / (each["name"] + ".json")
            path.write_text(json.dumps(each))
            byunique.must(self.settings("setup"), "schema", "apply", str(path))
        columns = ", ".join(column(number) for number in range(WIDE))
        values = ", ".join(["'as loaded'"] * WIDE)
        self.fill("ext_wide", 100000, columns, values)
        for number in range(EXTENSIONS):
            self.fill("ext_ext%d" % number, 10000, "a00, a01, a02", "'x', 'y', 'z'")

    def fill(self, table, customers, columns, values):
        with self.database.db.transaction(), self.database.db.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE who (customer_id text) ON COMMIT DROP")
            with cursor.copy("COPY who FROM STDIN") as copy:
                copy.write("".join("%s\n" % bench.customer_id(index) for index in range(customers)))
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("INSERT INTO %s (customer_id, k, %s) SELECT customer_id, '1', %s FROM who ORDER BY 1" % (
                table, columns, values))

    def one(self, point):
        """Measure it once more."""
        self.runs += 1
        name = "curve-%d" % self.runs
        settings = dict(self.settings(name), **point.settings)
        byunique.must(settings, "init", "--partitions", str(point.partitions))
        self.database.settle()
        backlog = bench.Backlog(self.kafka.servers, settings["commands.topic"], self.runs)
        watch = bench.Watch(self.kafka.servers, settings, point.partitions)
        workers = [byunique.Worker(settings, self.folder / ("%s-%d.log" % (name, number)))
                   for number in range(point.workers)]
        try:
            self.put(backlog, point, 100 * point.partitions)
            watch.expect(100 * point.partitions)
            backlog.commit()
            for worker in workers:
                worker.start()
            watch.wait_done(workers[0], timeout_s=60)
            time.sleep(2)  # members join one after the other
            self.put(backlog, point, point.commands)
            watch.expect(100 * point.partitions + point.commands)
            time.sleep(1)
            point.runs.append(self.clock(backlog, watch, workers, point))
            for worker in workers:
                assert worker.stop() == 0
        finally:
            for worker in workers:
                if worker.process is not None:
                    processes.stop(worker.process, timeout_s=5)
            watch.close()

    def put(self, backlog, point, count):
        rng, make = random.Random(self.runs), point.make or phone
        backlog.producer.begin_transaction()
        for place in range(count):
            customer, value = message(rng, place, make, bench.random_id(backlog.rng))
            while True:
                try:
                    backlog.producer.produce(backlog.topic, value=value, key=customer)
                    break
                except BufferError:
                    backlog.producer.poll(0.1)
        assert backlog.producer.flush(600) == 0, "the backlog could not be produced"

    def clock(self, backlog, watch, workers, point):
        pids = [worker.process.pid for worker in workers]
        postgres, own = bench.postgres_cpu_s(self.postgres.process.pid), sum(map(bench.own_cpu_s, pids))
        before, started = sum(watch.ends("results.topic", bench.IsolationLevel.READ_COMMITTED)), time.monotonic()
        backlog.commit()
        first = self.first(watch, before) - started
        seconds = watch.wait_done(workers[0], timeout_s=1800) - started
        count = point.commands
        return Run(count / seconds, seconds, (sum(map(bench.own_cpu_s, pids)) - own) / count * 1e6,
                   (bench.postgres_cpu_s(self.postgres.process.pid) - postgres) / count * 1e6,
                   max(map(bench.peak_bytes, pids)) / 1e6, first)

    @staticmethod
    def first(watch, before):
        while sum(watch.ends("results.topic", bench.IsolationLevel.READ_COMMITTED)) <= before:
            time.sleep(0.02)
        return time.monotonic()


def message(rng, place, make, command_id):
    name, index, count = make(rng, place)
    customer = bench.customer_id(index)
    if name == "Phone":
        order = bench.Order(customer, bench.phone_number(index, rng.randrange(2) if make is phone else 0), rng.randrange(5),
                            "command %d" % place, bench.FIRST_MS + 60000 * rng.randrange(3000000))
        return customer, order.message(command_id)
    attributes = (("k", "string", "1"),) + tuple(
        (column(number), "string", "value %d" % place) for number in range(count))
    return customer, wire.encode(wire.Command(command_id, customer, name, attributes))


# The report

def middle(point, name):
    return statistics.median(getattr(run, name) for run in point.runs)


def table(name, points):
    print("\n%-12s %10s %8s | %9s %11s | %7s %8s" % (
        name, "commands/s", "of first", "worker µs", "PostgreSQL µs", "peak MB", "first ms"))
    for point in sorted(points, key=lambda each: each.value):
        print("%-12s %10s %8.2f | %9.1f %13.1f | %7d %8d" % (
            format(point.value, ","), format(round(middle(point, "rate")), ","),
            middle(point, "rate") / middle(points[0], "rate"), middle(point, "worker_us"), middle(point, "postgres_us"),
            middle(point, "peak_mb"), 1000 * middle(point, "first_s")))
    sys.stdout.flush()


def arguments():
    known = list(curves(argparse.Namespace(commands=0, records=0)))
    parser = argparse.ArgumentParser(prog="make bench-curves BENCH=…", description=__doc__.partition("\n")[0])
    parser.add_argument("curves", nargs="*", metavar="CURVE", help=", ".join(known) + "; without: all but the last two")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, default=1000000, help="in the table")
    parser.add_argument("--commands", type=int, default=10000000, help="of the curve `backlog`")
    parser.add_argument("--json", metavar="FILE", help="write all of it there")
    options = parser.parse_args()
    options.curves = options.curves or known[:-2]
    unknown = set(options.curves) - set(known)
    if unknown:
        parser.error("no such curve: %s" % ", ".join(sorted(unknown)))
    options.partitions, options.postgres, options.worker = 8, [], []
    return options


def main():
    options = arguments()
    every = {name: points for name, points in curves(options).items() if name in options.curves}
    with bench.started(Curves, options) as measured:
        measured.prepare()
        for name, points in every.items():
            measured.one(points[0])  # what was never done before takes longer: thrown away
            points[0].runs.clear()
            for number in range(options.rounds):
                for point in points if number % 2 == 0 else points[::-1]:
                    measured.one(point)
            table(name, points)
    if options.json:
        Path(options.json).write_text(json.dumps({name: [
            {"value": point.value, "runs": [run.__dict__ for run in point.runs]} for point in points]
            for name, points in every.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
