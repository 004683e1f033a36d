"""Request and reply over Kafka, as Spring's ReplyingKafkaTemplate does it: a random header `kafka_correlationId` goes out
with the command and comes back with its result. One consumer for all that a process asks. See ../README.md."""

import os
import sys
import threading
import uuid
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from messages import framing

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
COMMANDS = os.environ.get("COMMANDS_TOPIC", "byunique.commands")
RESULTS = os.environ.get("RESULTS_TOPIC", "byunique.results")
REGISTRY = os.environ.get("SCHEMA_REGISTRY_URL", "")
CORRELATION = "kafka_correlationId"
WAIT_S = 60


class Requests:
    """send() commands from any thread; each gives a Future of its result. All of the results topic is read, also what
    belongs to others: the header tells, and a value is decoded only when it is ours."""

    def __init__(self):
        self.messages = framing(REGISTRY, COMMANDS, RESULTS)
        self.producer = Producer({"bootstrap.servers": SERVERS, "enable.idempotence": True,
                                  "partitioner": "murmur2_random", "delivery.timeout.ms": 30000})
        self.consumer = Consumer({"bootstrap.servers": SERVERS, "group.id": "unused", "enable.auto.commit": False,
                                  "isolation.level": "read_committed"})  # what is aborted is no answer
        self.waiting = {}  # correlation id → Future; each is taken out by whoever answers it
        self.closing = threading.Event()
        self._assign_from_now()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _assign_from_now(self):
        """From the present ends, asked for before anything is sent: no answer can come before them."""
        topic = self.consumer.list_topics(RESULTS, timeout=10).topics[RESULTS]
        if topic.error is not None:
            raise KafkaException(topic.error)
        places = [TopicPartition(RESULTS, partition) for partition in topic.partitions]
        for place in places:
            _, place.offset = self.consumer.get_watermark_offsets(place, timeout=10)
        self.consumer.assign(places)

    def send(self, command):
        correlation, answer = uuid.uuid4().bytes, Future()
        self.waiting[correlation] = answer

        def delivered(error, _):
            if error is not None:
                self._answer(correlation, lambda: _raise(KafkaException(error)))

        # The key is the customer, so that the commands of one take effect in the order in which they are sent.
        self.producer.produce(COMMANDS, key=command["customer_id"].encode(), value=self.messages.encode(command),
                              headers=[(CORRELATION, correlation)], on_delivery=delivered)
        return answer

    def _read(self):
        while not self.closing.is_set():
            self.producer.poll(0)  # calls delivered()
            message = self.consumer.poll(0.1)
            if message is None:
                continue
            if message.error():
                if not message.error().retriable():
                    print("reading %s: %s" % (RESULTS, message.error()), file=sys.stderr)
                continue
            correlation = dict(message.headers() or []).get(CORRELATION)
            self._answer(correlation, lambda value=message.value(): self.messages.decode(value))

    def _answer(self, correlation, make):
        answer = self.waiting.pop(correlation, None)
        if answer is None:
            return  # somebody else's, or one that is no longer waited for
        try:
            answer.set_result(make())
        except Exception as error:  # whoever waits gets it
            answer.set_exception(error)

    def close(self):
        self.producer.flush(30)
        self.closing.set()
        self.thread.join()
        self.consumer.close()


def _raise(error):
    raise error


def main(arguments):
    if len(arguments) < 2 or not all("=" in each for each in arguments[1:]):
        print("usage: request_reply.py CUSTOMER PHONE_NUMBER=DESCRIPTION...", file=sys.stderr)
        return 2
    try:
        requests = Requests()
    except KafkaException as error:
        print("nothing was sent: %s" % error, file=sys.stderr)
        return 1
    code, answers = 0, []
    for number, description in (each.split("=", 1) for each in arguments[1:]):
        # A new id for each command; to send one again after a time-out, send it with the same.
        command = {"command_id": str(uuid.uuid4()), "customer_id": arguments[0], "ext_name": "Phone",
                   "attributes": {"PhoneNumber": number, "description": description}}
        answers.append((number, command["command_id"], requests.send(command)))
    for number, command_id, answer in answers:
        try:
            result = answer.result(WAIT_S)
            error = result["error"]
            print("%s: %d%s" % (number, result["status"], " " + error["code"] if error else ""))
            code = max(code, 3 if error else 0)
        except (NoAnswer, KafkaException, ValueError) as error:
            print("%s: no answer to command %s: %s" % (number, command_id, error or "timed out"), file=sys.stderr)
            code = 1
            break
    requests.close()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
