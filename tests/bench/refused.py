"""`make bench-refused`: what a few commands that the database refuses cost all the others.

One worker, the same backlog of commands twice in each round: once as it is, once with a CHECK-like trigger of the user's
that refuses some of them (by default 10 in 2,000), which are then answered InternalError with a dead letter. The rates are
measured in one run, as `make bench` measures them, and the medians compared.
"""

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import run  # noqa: E402
from lib import client  # noqa: E402

REFUSE = {
    "check": "ALTER TABLE ext_phone ADD CONSTRAINT refuse CHECK (description <> 'refused') NOT VALID",
    "trigger": """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'refused';
        END $$;
        CREATE TRIGGER refuse AFTER UPDATE ON ext_phone FOR EACH ROW WHEN (NEW.description = 'refused')
        EXECUTE FUNCTION refuse()""",
    "deferred": """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'refused';
        END $$;
        CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON ext_phone DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        WHEN (NEW.description = 'refused') EXECUTE FUNCTION refuse()""",
}


class RefusedBench(run.Bench):
    """The second of two runs has commands that the database refuses."""

    def start(self):
        super().start()
        self.database.db.execute(REFUSE[self.options.how])

    def check_results(self, topic, orders):
        """A refused value that a later command of the same batch overwrites need not be noticed: these are few."""
        reader = client.TopicReader(self.kafka.servers, topic, lambda record: record.header("byunique.status"))
        statuses = reader.to_end(timeout_s=120)
        reader.close()
        most = sum(order.description == "refused" for order in orders)
        refused = statuses.count(b"500")
        if not 0.9 * most <= refused <= most or statuses.count(b"204") != len(orders) - refused:
            raise AssertionError("%d refused of %d, %d done, of %d" % (refused, most, statuses.count(b"204"), len(orders)))


def spoil(orders, options):
    """So many of each stretch of commands, evenly, are refused."""
    gap = options.of // options.refused
    for order in orders[gap // 2::gap]:
        order.description = "refused"
    return orders


def measure(bench, options, seed, spoiled):
    orders = run.make_orders(seed, options.commands, options.records // 2, misses=0)
    if spoiled:
        spoil(orders, options)
    bench.runs += 1
    bench.database.settle()
    rate = bench.worker(orders).rate
    wrong = bench.database.wrong([order for order in orders if order.description != "refused"])
    if wrong:
        raise AssertionError("%d records do not have the values commanded" % wrong)
    print("%s: %s commands/s" % ("refused" if spoiled else "clean", format(round(rate), ",")), file=sys.stderr)
    return rate


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--commands", type=int, default=100000)
    run.add_place(parser, records=200000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--refused", type=int, default=10, help="so many …")
    parser.add_argument("--of", type=int, default=2000, help="… of so many")
    parser.add_argument("--how", choices=REFUSE, default="check", help="what refuses them")
    return parser.parse_args()


def main():
    options = arguments()
    rates = {False: [], True: []}
    with run.started(RefusedBench, options) as bench:
        measure(bench, options, 0, False)  # a warm-up
        for seed in range(1, options.rounds + 1):
            for spoiled in (seed % 2 == 0, seed % 2 == 1):
                rates[spoiled].append(measure(bench, options, seed, spoiled))
    clean, refused = (statistics.median(rates[spoiled]) for spoiled in (False, True))
    print("clean %s/s, %d in %s refused (%s) %s/s: %.2f of it" % (
        format(round(clean), ","), options.refused, format(options.of, ","), options.how, format(round(refused), ","),
        refused / clean))


if __name__ == "__main__":
    main()
