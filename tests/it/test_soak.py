"""Many messages, many poison messages, many rebalances: memory, descriptors and threads stay as they are.

BYUNIQUE_SOAK sets how many messages are sent; a million is the full scale."""

import os
import time

import pytest
from confluent_kafka import Consumer

from lib import processes, schemas
from lib.gen import Message
from lib.site import new_id
from lib.wire import Command, encode

MESSAGES = int(os.environ.get("BYUNIQUE_SOAK", "100000"))
POISON = max(2000, MESSAGES // 100)
ROUNDS = 10
BACKLOG = 3  # rounds that the worker finds: all batches get as large as they ever do
CUSTOMERS = 2000
ID_BYTES = 21  # what the README promises at most for an id that is remembered
SLACK_BYTES = 8 << 20  # for the allocator; a hundred bytes lost with each message of the second half are more


def rss_bytes(worker):
    with open("/proc/%d/status" % worker.process.pid) as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS:"))


def descriptors(worker):
    return len(os.listdir("/proc/%d/fd" % worker.process.pid))


def threads(worker):
    return len(os.listdir("/proc/%d/task" % worker.process.pid))


def command(number, text):
    attributes = (("PhoneNumber", "string", "1"), ("description", "string", text))
    return encode(Command(new_id(), "c%d" % (number % CUSTOMERS), "Phone", attributes))


def a_round(number):
    """Commands with poison among them, each with headers."""
    every = MESSAGES // POISON
    for at in range(MESSAGES // ROUNDS):
        key = b"c%d" % (at % CUSTOMERS)
        yield Message(None, key, command(at, "r%d" % number), [("traceparent", b"00-%032d-01" % at)])
        if at % every == 0:
            yield Message(None, key, b"\xc3\x01 poison %d" % at, [("traceparent", b"x")])


def send_round(site, number):
    """How many messages it had."""
    messages = list(a_round(number))
    site.sender.send(messages)
    return len(messages)


@pytest.mark.timeout(420 + MESSAGES // 100)
def test_flat(site):
    site.init(schemas.PHONE)
    with site.db.transaction():
        for number in range(CUSTOMERS):
            site.insert("Phone", "c%d" % number, PhoneNumber="1")
    counts = [send_round(site, number) for number in range(BACKLOG)]
    worker = site.running()
    reader, total, samples = site.reader(site.results, lambda record: record.at), 0, []
    for number in range(ROUNDS):
        total += counts[number] if number < BACKLOG else send_round(site, number)
        reader.wait(total, 600, worker)
        time.sleep(0.5)  # until it is idle
        samples.append((rss_bytes(worker), descriptors(worker), threads(worker)))
    half = ROUNDS // 2
    rss = [sample[0] for sample in samples]
    assert max(rss[half:]) - max(rss[:half]) <= ID_BYTES * MESSAGES // 2 + SLACK_BYTES, rss
    assert max(sample[1] for sample in samples[half:]) <= max(sample[1] for sample in samples[:half]), samples
    assert len({sample[2] for sample in samples[1:]}) == 1, samples
    site.stop()
    assert len(reader.to_end()) == total
    letters = site.reader(site.dead_letters, lambda record: record.at)
    assert len(letters.to_end()) == total - MESSAGES


def join_and_leave(site):
    consumer = Consumer({"bootstrap.servers": site.kafka.servers, "group.id": site.group, "enable.auto.commit": False,
                         "session.timeout.ms": 6000, "heartbeat.interval.ms": 300, "log_level": 0,
                         "partition.assignment.strategy": "range", "auto.offset.reset": "latest"})
    given = []
    consumer.subscribe([site.commands], on_assign=lambda _, partitions: given.extend(partitions))
    try:
        processes.wait_for(lambda: consumer.poll(0.05) or given, "a share", pause_s=0)
    finally:
        consumer.close()


def test_rebalances_leave_nothing_behind(site):
    site.init(schemas.PHONE)
    site.insert("Phone", "c0", PhoneNumber="1")
    worker = site.running(**{"kafka.heartbeat.interval.ms": "300"})
    samples, sent = [], []
    for number in range(30):
        join_and_leave(site)
        site.wait_assigned(worker)
        sent += site.send(*[Message(partition, b"c0", command(0, "%d" % number), []) for partition in range(4)])
        site.results_of(sent[-4:])
        samples.append((descriptors(worker), threads(worker), rss_bytes(worker)))
    assert max(sample[0] for sample in samples[10:]) <= max(sample[0] for sample in samples[:10]), samples
    assert max(sample[1] for sample in samples[10:]) <= max(sample[1] for sample in samples[:10]), samples
    assert max(sample[2] for sample in samples[10:]) - max(sample[2] for sample in samples[:10]) <= SLACK_BYTES, samples
    assert worker.log.count("partitions_revoked") >= 30
    site.stop()
    assert len(site.result_reader.to_end()) == len(sent)
