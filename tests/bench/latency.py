"""`make bench-latency`: how long one command takes when the worker has nothing else to do.

One command at a time, from the moment it is given to the producer until a read_committed consumer has its result, beside
what the two commits cost by themselves in the same run: one UPDATE committed in PostgreSQL, and one Kafka transaction with
one message and the group's offset, by an otherwise idle client.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from confluent_kafka import Consumer, Producer, TopicPartition  # noqa: E402

from lib import client, schemas, wire  # noqa: E402
from lib.servers import Kafka, Postgres  # noqa: E402
from lib.site import Site, new_id  # noqa: E402

PAUSE_S = 0.03  # between two commands: everything is at rest again
WARM_UP = 50


def command(number):
    return wire.encode(wire.Command(new_id(), "alice", "Phone", (
        ("PhoneNumber", "string", "1"), ("description", "string", "number %d" % number))))


def timed(count, once):
    """→ seconds that once(number) took, each time but for the warm-up."""
    out = []
    for number in range(WARM_UP + count):
        begun = time.perf_counter()
        once(number)
        out.append(time.perf_counter() - begun)
        time.sleep(PAUSE_S)
    return out[WARM_UP:]


def answered(site, count):
    producer = Producer(dict(client.QUIET, **{"bootstrap.servers": site.kafka.servers, "linger.ms": 0}))
    consumer = Consumer(dict(client.QUIET, **{
        "bootstrap.servers": site.kafka.servers, "group.id": "latency", "isolation.level": "read_committed",
        "enable.auto.commit": False}))
    partitions = consumer.list_topics(site.results, timeout=20).topics[site.results].partitions
    consumer.assign([TopicPartition(site.results, partition, 0) for partition in partitions])

    def once(number):
        producer.produce(site.commands, key=b"alice", value=command(number))
        message = None
        while message is None or message.error():
            message = consumer.poll(1)
    times = timed(count, once)
    consumer.close()
    return times


def transactions(site, count):
    producer = Producer(dict(client.QUIET, **{
        "bootstrap.servers": site.kafka.servers, "transactional.id": "latency", "linger.ms": 0}))
    producer.init_transactions(30)
    member = Consumer(dict(client.QUIET, **{"bootstrap.servers": site.kafka.servers, "group.id": "latency"}))

    def once(_):
        producer.begin_transaction()
        producer.produce(site.dead_letters, value=b"x" * 200)
        producer.send_offsets_to_transaction([TopicPartition(site.commands, 0, 1)], member.consumer_group_metadata(), 30)
        producer.commit_transaction(30)
    times = timed(count, once)
    member.close()
    return times


def commits(site, count):
    return timed(count, lambda number: site.db.execute("UPDATE ext_phone SET description = 'commit %d'" % number))


def show(name, times):
    times = sorted(times)
    p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
    print("%-40s p50 %6.2f ms   p99 %6.2f ms" % (name, 1000 * p50, 1000 * p99))
    return p50


def measure(site, count):
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    site.running()
    worker = show("command to visible result", answered(site, count))
    site.stop()
    kafka = show("a Kafka transaction", transactions(site, count))
    postgres = show("a PostgreSQL commit", commits(site, count))
    print("beyond the two: %.2f ms" % (1000 * (worker - kafka - postgres)))


def main():
    parser = argparse.ArgumentParser(prog="make bench-latency BENCH=…", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args()
    postgres, kafka = Postgres(), Kafka()
    with tempfile.TemporaryDirectory() as folder:
        try:
            site = Site(postgres.create(), kafka.create(), Path(folder), partitions=4)
            measure(site, options.count)
            site.close()
        finally:
            kafka.destroy()
            postgres.destroy()


if __name__ == "__main__":
    main()
