"""A part of `make bench`, and `make bench-latency`: how long a command takes, from when it is given to the producer until a
read_committed consumer has its result.

At rest: one command at a time, when the worker has nothing else to do, in turn with what the two commits cost by themselves:
one UPDATE committed in PostgreSQL, and one Kafka transaction with one message and the group's offset, by an otherwise idle
client; and with an echo, a client that only answers each message in such a transaction, which takes the same way through
Kafka: to the topic and out of it, and once more for the answer.

Under load: commands at half of the rate at which the worker gets through a backlog, which is measured first, or at --rate.
Sender and reader are a process each, as threads of one would wait for each other's turn, up to 5 ms. Both take their part of the
processors, and the sender's linger.ms, 5 as by default, is part of what is measured.
"""

import argparse
import multiprocessing
import random
import statistics
import sys
import tempfile
import threading
import time
from array import array
from bisect import bisect
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from confluent_kafka import Consumer, Producer, TopicPartition  # noqa: E402

import run  # noqa: E402
from lib import byunique, client, schemas, wire  # noqa: E402
from lib.site import Site, new_id  # noqa: E402

PAUSE_S = 0.03  # between two commands: everything is at rest again
WARM_UP = 50
WARM_UP_S = 5  # of load: the broker's compiler is busy with what is new to it
TICK_S = 0.001  # the sender's
NUMBER = "bench.number"  # a header: results carry those of their commands
KEPT = 0.98  # the share of the rate wanted below which the sender did not keep it


def command(number):
    return wire.encode(wire.Command(new_id(), "alice", "Phone", (
        ("PhoneNumber", "string", "1"), ("description", "string", "number %d" % number))))


def in_turn(count, ways):
    """{name: once(number)} → {name: seconds that each of its turns took}, but for the warm-up. What the machine does to one of
    them it does to all."""
    times = {name: array("d") for name in ways}
    for number in range(WARM_UP + count):
        for name, once in ways.items():
            begun = time.perf_counter()
            once(number)
            times[name].append(time.perf_counter() - begun)
            time.sleep(PAUSE_S)
    return {name: taken[WARM_UP:] for name, taken in times.items()}


# At rest

def reader_of(servers, topic):
    consumer = Consumer(dict(client.QUIET, **{
        "bootstrap.servers": servers, "group.id": "latency", "isolation.level": "read_committed",
        "enable.auto.commit": False}))
    partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    return consumer


@contextmanager
def answered(site, commands, results):
    """Sends a command, and waits for its result."""
    producer = Producer(dict(client.QUIET, **{"bootstrap.servers": site.kafka.servers, "linger.ms": 0}))
    consumer = reader_of(site.kafka.servers, results)

    def once(number):
        producer.produce(commands, key=b"alice", value=command(number))
        message = None
        while message is None or message.error():
            message = consumer.poll(1)
    yield once
    consumer.close()


def transactional(site, name):
    producer = Producer(dict(client.QUIET, **{
        "bootstrap.servers": site.kafka.servers, "transactional.id": name, "linger.ms": 0}))
    producer.init_transactions(30)
    return producer


def echo(site, asked, echoed, ended):
    """Answers each message in a transaction of its own."""
    producer = transactional(site, "echo")
    consumer = reader_of(site.kafka.servers, asked)
    while not ended.is_set():
        message = consumer.poll(0.1)
        if message is None or message.error():
            continue
        producer.begin_transaction()
        producer.produce(echoed, key=message.key(), value=b"x" * 200)
        producer.send_offsets_to_transaction([TopicPartition(asked, message.partition(), message.offset() + 1)],
                                             consumer.consumer_group_metadata(), 30)
        producer.commit_transaction(30)
    consumer.close()


@contextmanager
def echoes(site):
    """What no worker can be faster than: Kafka's part of the way, without a database."""
    asked, echoed, ended = "asked", "echoed", threading.Event()
    for topic in (asked, echoed):
        site.admin.create_topic(topic, site.partitions)
    thread = threading.Thread(target=echo, args=(site, asked, echoed, ended))
    thread.start()
    try:
        with answered(site, asked, echoed) as once:
            yield once
    finally:
        ended.set()
        thread.join()


@contextmanager
def transactions(site):
    producer = transactional(site, "latency")
    member = Consumer(dict(client.QUIET, **{"bootstrap.servers": site.kafka.servers, "group.id": "latency"}))

    def once(_):
        producer.begin_transaction()
        producer.produce(site.dead_letters, value=b"x" * 200)
        producer.send_offsets_to_transaction([TopicPartition(site.commands, 0, 1)], member.consumer_group_metadata(), 30)
        producer.commit_transaction(30)
    yield once
    member.close()


def commit(site):
    """One that the worker does not wait for: another record."""
    return lambda number: site.db.execute(
        "UPDATE ext_phone SET description = 'commit %d' WHERE phonenumber = '2'" % number)


def show(name, times):
    times = sorted(times)
    p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
    print("%-40s p50 %6.2f ms   p99 %6.2f ms" % (name, 1000 * p50, 1000 * p99))
    return p50


def measure(site, count):
    site.init(schemas.PHONE)
    for number in ("1", "2"):
        site.insert("Phone", "alice", PhoneNumber=number)
    site.running()
    with answered(site, site.commands, site.results) as worker, echoes(site) as echoed, transactions(site) as kafka:
        times = in_turn(count, {
            "command to visible result": worker, "an echo through Kafka alone": echoed,
            "a Kafka transaction": kafka, "a PostgreSQL commit": commit(site)})
    site.stop()
    worker, echoed, kafka, postgres = [show(name, taken) for name, taken in times.items()]
    print("beyond transaction and commit: %.2f ms; beyond echo and commit: %.2f ms" % (
        1000 * (worker - kafka - postgres), 1000 * (worker - echoed - postgres)))


def at_rest(bench, count):
    with tempfile.TemporaryDirectory() as folder:
        site = Site(bench.postgres, bench.kafka, Path(folder), partitions=4)
        try:
            measure(site, count)
        finally:
            site.close()


# Under load

def send(pipe, servers, topic, rate, seed, count, customers):
    """The sender's process: makes the commands, says so, waits to be asked, sends them, tells when it sent each."""
    rng = random.Random("sender")  # no id that a primer had
    messages = [(order.customer, order.message(run.random_id(rng)), [(NUMBER, number.to_bytes(4, "big"))])
                for number, order in enumerate(run.make_orders(seed, count, customers))]
    producer = Producer(dict(client.QUIET, **{
        "bootstrap.servers": servers, "enable.idempotence": True, "queue.buffering.max.messages": 10000000}))
    producer.list_topics(topic, timeout=20)  # connects
    pipe.send("ready")
    pipe.recv()
    sent = array("d")
    begun = time.monotonic()
    while len(sent) < count:
        due = min(count, int((time.monotonic() - begun) * rate))
        for key, value, headers in messages[len(sent):due]:
            sent.append(time.monotonic())
            producer.produce(topic, value=value, key=key, headers=headers)
        producer.poll(0)
        time.sleep(TICK_S)
    assert producer.flush(60) == 0, "not everything could be produced"
    pipe.send(sent)


class Arrivals:
    """When the result of each command was there, by the number in its header."""

    def __init__(self, servers, topic, count):
        self.consumer = reader_of(servers, topic)
        self.at = array("d", [0]) * count
        self.missing = count

    def take(self):
        """Wait a moment for the first; what is there with it is taken at once."""
        first = self.consumer.poll(0.1)
        if first is None:
            return
        messages = [first] + self.consumer.consume(10000, 0)
        now = time.monotonic()
        for message in messages:
            assert message.error() is None, "reading results: %s" % message.error()
            name, value = message.headers()[0]
            if name == NUMBER:  # else a primer's
                self.note(int.from_bytes(value, "big"), now)

    def note(self, number, now):
        assert not self.at[number], "command %d was answered twice" % number
        self.at[number] = now
        self.missing -= 1

    def take_all(self, worker, patience_s=60):
        """However long it takes, as long as some come."""
        missing, deadline = self.missing, time.monotonic() + patience_s
        while self.missing:
            self.take()
            if self.missing < missing:
                missing, deadline = self.missing, time.monotonic() + patience_s
            assert worker.alive, "the worker ended with code %s" % worker.process.returncode
            assert time.monotonic() < deadline, "%d commands have no result" % self.missing

    def close(self):
        self.consumer.close()


def steady(bench, worker, rate, seed, count):
    """Commands at that rate → when each was sent, when its result was there."""
    settings, customers = worker.settings, bench.options.records // 2
    spawn = multiprocessing.get_context("spawn")  # a fork would have half of this process's clients
    ours, theirs = spawn.Pipe()
    sender = spawn.Process(target=send, daemon=True, args=(
        theirs, bench.kafka.servers, settings["commands.topic"], rate, seed, count, customers))
    sender.start()
    theirs.close()  # so that the sender's end is noticed
    arrivals = Arrivals(bench.kafka.servers, settings["results.topic"], count)
    try:
        ours.recv()
        ours.send("go")
        arrivals.take_all(worker)
        return ours.recv(), arrivals.at
    finally:
        sender.kill()
        sender.join()
        arrivals.close()


def backlog_rate(bench, commands):
    """How many commands a second it does when there are enough of them, after a warm-up."""
    for seed, count in enumerate((commands // 10, commands)):
        bench.runs += 1
        bench.database.settle()
        rate = bench.worker(run.make_orders(seed, count, bench.options.records // 2)).rate
    print("%-40s %s commands/s" % ("a backlog of %s commands" % format(commands, ","), format(round(rate), ",")))
    return rate


def under_load(bench, rate, seconds):
    count = round(rate * (WARM_UP_S + seconds))
    bench.runs += 1
    bench.database.settle()
    with bench.warm(byunique.Worker) as warm:
        sent, arrived = steady(bench, warm.worker, rate, bench.runs, count)
    orders = run.make_orders(bench.runs, count, bench.options.records // 2)
    bench.check_results(warm.worker.settings["results.topic"], warm.primers + orders)
    wrong = bench.database.wrong(orders)
    assert not wrong, "%d records do not have the values commanded" % wrong
    show_load(rate, sent, arrived)


def show_load(wanted, sent, arrived):
    begun = bisect(sent, sent[0] + WARM_UP_S)
    late_s = max(at - sent[0] - number / wanted for number, at in enumerate(sent) if number >= begun)
    sent, arrived = sent[begun:], arrived[begun:]
    rate = len(sent) / (sent[-1] - sent[0])
    times = sorted(then - now for now, then in zip(sent, arrived))
    p50, p95, p99 = (times[int(len(times) * share)] for share in (0.5, 0.95, 0.99))
    print("%-40s p50 %6.2f ms   p95 %6.2f ms   p99 %6.2f ms   max %6.2f ms" % (
        "the same at %s commands/s" % format(round(wanted), ","), 1000 * p50, 1000 * p95, 1000 * p99, 1000 * times[-1]))
    print("sent: %s commands, %s a second, at most %.0f ms late" % (
        format(len(sent), ","), format(round(rate), ","), 1000 * late_s))
    if rate < KEPT * wanted:
        print("The sender could not keep the rate: this is the latency at what it sent.")


def add_latency(parser):
    """What may be told of these measurements."""
    parser.add_argument("--count", type=int, default=300, help="commands, one at a time")
    parser.add_argument("--rate", type=float, help="commands a second under load; default: half of a backlog's")
    parser.add_argument("--seconds", type=float, default=10, help="so long under load, after a warm-up")


def arguments():
    parser = argparse.ArgumentParser(prog="make bench-latency BENCH=…", description=__doc__.partition("\n\n")[0])
    add_latency(parser)
    parser.add_argument("--commands", type=int, default=200000, help="in that backlog")
    run.add_place(parser, records=100000)
    return parser.parse_args()


def main():
    options = arguments()
    with run.started(run.Bench, options) as bench:
        rate = options.rate or backlog_rate(bench, options.commands) / 2
        at_rest(bench, options.count)
        under_load(bench, rate, options.seconds)


if __name__ == "__main__":
    main()
