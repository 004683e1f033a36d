"""Sends one command, waits for its result, prints it. See ../README.md."""

import os
import sys
import time
import uuid
from datetime import datetime, timezone

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from messages import framing

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
COMMANDS = os.environ.get("COMMANDS_TOPIC", "byunique.commands")
RESULTS = os.environ.get("RESULTS_TOPIC", "byunique.results")
REGISTRY = os.environ.get("SCHEMA_REGISTRY_URL", "")
WAIT_S = 60


def read_from_now():
    """A consumer of all of the results topic, from its present end. It belongs to no group, as nobody else is to take this
    result away. The ends are asked for before the command is sent: its result can only come behind them."""
    consumer = Consumer({
        "bootstrap.servers": SERVERS,
        "group.id": "unused",  # the library wants one
        "enable.auto.commit": False,
        # Of a transaction that was aborted nothing is true; with this its results are never seen, and each result once.
        "isolation.level": "read_committed"})
    topic = consumer.list_topics(RESULTS, timeout=10).topics[RESULTS]
    if topic.error is not None:
        raise KafkaException(topic.error)
    places = [TopicPartition(RESULTS, partition) for partition in topic.partitions]
    for place in places:
        _, place.offset = consumer.get_watermark_offsets(place, timeout=10)
    consumer.assign(places)
    return consumer


def send(command, value):
    """Returns once Kafka has the message, or raises."""
    failures = []
    producer = Producer({
        "bootstrap.servers": SERVERS,
        "enable.idempotence": True,  # the library's own retries neither double a message nor change the order
        # The same key goes to the same partition whoever sends it: librdkafka's default differs from Java's.
        "partitioner": "murmur2_random",
        "delivery.timeout.ms": 30000})
    # One customer's commands have one key, so one partition: they take effect in the order in which they are sent.
    producer.produce(COMMANDS, key=command["customer_id"].encode(), value=value,
                     on_delivery=lambda error, _: failures.append(error) if error else None)
    producer.flush()  # ends: delivery.timeout.ms makes a failure of what can't be delivered
    if failures:
        raise KafkaException(failures[0])


def wait(consumer, messages, command_id):
    """The result of the command, or None when there was none in time."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            if message.error().retriable():
                continue  # the library goes on trying
            raise KafkaException(message.error())
        result = messages.decode(message.value())
        if result["command_id"] == command_id:
            return result
    return None


def update(command):
    messages = framing(REGISTRY, COMMANDS, RESULTS)
    value = messages.encode(command)
    consumer = read_from_now()
    try:
        send(command, value)
        return wait(consumer, messages, command["command_id"])
    finally:
        consumer.close()


def main(arguments):
    if len(arguments) not in (3, 4):
        print("usage: update.py CUSTOMER PHONE_NUMBER DESCRIPTION [COMMAND_ID]", file=sys.stderr)
        return 2
    customer, number, description = arguments[:3]
    # The id makes it safe to send a command again when nobody knows what became of it: the same id with the same content
    # takes effect once. So it is made before the first attempt, and kept until there is an answer.
    command_id = arguments[3] if len(arguments) == 4 else str(uuid.uuid4())
    command = {
        "command_id": command_id,
        "customer_id": customer,
        "ext_name": "Phone",
        # PhoneNumber finds the record. What is not named here keeps its value; None would clear it.
        "attributes": {"PhoneNumber": number, "description": description},
        "issued_at": datetime.now(timezone.utc)}
    try:
        result = update(command)
    except (KafkaException, ValueError) as error:
        print("command %s: %s" % (command_id, error), file=sys.stderr)
        result = None
    if result is None:
        print("command %s has no answer yet; it is safe to run this again with that id" % command_id, file=sys.stderr)
        return 1
    if result["error"] is None:
        print("%d%s" % (result["status"], " duplicate" if result["duplicate"] else ""))
        return 0
    print("%d %s: %s" % (result["status"], result["error"]["code"], result["error"]["detail"]))
    return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
