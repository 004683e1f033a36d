"""What the outside world does: produces commands, reads results and dead letters as a read_committed consumer, manages
topics and groups. Nothing here shares code with the worker."""

import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import List, Optional, Tuple

from confluent_kafka import (OFFSET_BEGINNING, Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaError,
                             KafkaException, Producer, TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, OffsetSpec,
                                   ResourceType)

from lib import wire

QUIET = {"log_level": 0, "broker.address.family": "v4", "topic.metadata.propagation.max.ms": 10000}
LEADERLESS = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)


@dataclass(frozen=True)
class Record:
    """One message as it lies in a topic."""
    partition: int
    offset: int
    key: Optional[bytes]
    value: Optional[bytes]
    headers: List[Tuple[str, Optional[bytes]]] = field(hash=False, default_factory=list)

    @property
    def at(self):
        return self.partition, self.offset

    def header(self, name):
        """The last one of that name: the worker adds its own at the end."""
        return next((value for key, value in reversed(self.headers) if key == name), None)


class Result(Record):
    """A result: the record and what it says."""

    def __init__(self, record, decode=wire.decode_result):
        super().__init__(record.partition, record.offset, record.key, record.value, record.headers)
        object.__setattr__(self, "body", decode(record.value))

    @property
    def status(self):
        return self.body["status"]

    @property
    def code(self):
        return self.body["error"]["code"] if self.body["error"] else None

    @property
    def source(self):
        """(partition, offset) of the command."""
        return self.body["source"]["partition"], self.body["source"]["offset"]


class TopicReader:
    """Reads a topic from its beginning, all partitions, as a read_committed consumer. source: the group and the topic of
    which it is made."""

    def __init__(self, servers, topic, make=lambda record: record, source=None):
        self.servers, self.topic, self.make, self.source = servers, topic, make, source
        self.seen = []
        self.ends = {}  # partition → offset at which its end was met
        self.consumer = Consumer(dict(QUIET, **{
            "bootstrap.servers": servers, "group.id": "reader-of-" + topic, "isolation.level": "read_committed",
            "enable.auto.commit": False, "enable.partition.eof": True, "fetch.wait.max.ms": 50,
            "auto.offset.reset": "error", "fetch.error.backoff.ms": 50}))
        partitions = self.consumer.list_topics(topic, timeout=20).topics[topic].partitions
        self.consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        self.partitions = list(partitions)

    def poll(self, timeout_s=0.1):
        """Take what there is, at most for a moment."""
        for message in self.consumer.consume(1000, timeout_s):
            error = message.error()
            if error is None:
                self.seen.append(self.make(Record(message.partition(), message.offset(), message.key(), message.value(),
                                                  list(message.headers() or []))))
            elif error.code() == KafkaError._PARTITION_EOF:
                self.ends[message.partition()] = message.offset()
            elif not error.retriable() and error.code() not in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
                raise AssertionError("reading %s: %s" % (self.topic, error))

    def wait(self, count, timeout_s=60, alive=None):
        """Wait until at least count messages have been read → all of them. alive: a Worker that must not end."""
        deadline = time.monotonic() + timeout_s
        while len(self.seen) < count:
            self.poll()
            if time.monotonic() > deadline:
                raise AssertionError("%d of %d messages in %s after %s s: %s" % (
                    len(self.seen), count, self.topic, timeout_s, self._standing()))
            if alive is not None and not alive.alive:
                raise AssertionError("the worker ended, code %s, after %d of %d messages" % (
                    alive.process.returncode, len(self.seen), count))
        return self.seen

    def _standing(self):
        """For what is missing: was it never made, or does it lie behind the stable end, in a transaction that is open?"""
        told, partitions = [], len(self.partitions)
        try:
            for what, level in (("ends", "read_uncommitted"), ("stable ends", "read_committed")):
                with closing(Onlooker(self.servers, "any", self.topic, partitions, **{"isolation.level": level})) as looker:
                    told.append("%s %s" % (what, looker.log_ends()))
            if self.source:
                with closing(Onlooker(self.servers, *self.source, partitions)) as looker:
                    told.append("the group is at %s, its topic ends at %s" % (looker.committed(), looker.log_ends()))
        except Exception as error:  # whatever it is, it must not take the place of what failed
            told.append("more is not known (%s)" % error)
        return ", ".join(told)

    def _end_of(self, partition, deadline):
        """Where it ends now. A broker that was silent for long leads nothing for a moment, so it is asked again."""
        while True:
            try:
                return self.consumer.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=20)[1]
            except KafkaException as error:
                if error.args[0].code() not in LEADERLESS or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def to_end(self, timeout_s=30):
        """Read what is committed now → all messages."""
        deadline = time.monotonic() + timeout_s
        for partition in self.partitions:
            end = self._end_of(partition, deadline)
            while self.ends.get(partition, -1) < end:
                self.poll()
                if time.monotonic() > deadline:
                    raise AssertionError("the end of %s [%d] was not met" % (self.topic, partition))
        return self.seen

    def close(self):
        self.consumer.close()


class Sender:
    """Produces and tells where each message came to lie."""

    def __init__(self, servers, topic, **config):
        self.topic = topic
        self.producer = Producer({
            **QUIET, "bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 2,
            "message.max.bytes": 50000000, "queue.buffering.max.messages": 1000000, **config})

    def send(self, messages):
        """Send messages (with partition or None, key, value, headers) → their Records, in the same order."""
        sent = [None] * len(messages)

        def stored(at):
            def callback(error, message):
                assert error is None, "producing to %s: %s" % (self.topic, error)
                sent[at] = Record(message.partition(), message.offset(), messages[at].key, messages[at].value,
                                  messages[at].headers)
            return callback

        for at, message in enumerate(messages):
            options = {} if message.partition is None else {"partition": message.partition}
            self.producer.produce(self.topic, value=message.value, key=message.key, headers=message.headers,
                                  on_delivery=stored(at), **options)
            self.producer.poll(0)
        assert self.producer.flush(240) == 0, "not everything could be produced"
        return sent


class Admin:
    """Topics and groups."""

    def __init__(self, servers):
        self.client = AdminClient(dict(QUIET, **{"bootstrap.servers": servers}))

    @staticmethod
    def _result(futures):
        return [future.result(30) for future in futures.values()]

    def create_topic(self, topic, partitions):
        self._result(self.client.create_topics([NewTopic(topic, partitions, 1)]))
        self._await(lambda: len(self._metadata(topic)) == partitions)

    def alter_topic(self, topic, **settings):
        """Set max_message_bytes=…, cleanup_policy=…; the controller answers before the brokers go by it."""
        wanted = {name.replace("_", "."): str(value) for name, value in settings.items()}
        entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in wanted.items()]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        self._result(self.client.incremental_alter_configs([resource]))
        self._await(lambda: wanted.items() <= self._topic_settings(topic).items())

    def _topic_settings(self, topic):
        [settings] = self._result(self.client.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]))
        return {name: entry.value for name, entry in settings.items()}

    def delete_topic(self, topic):
        self._result(self.client.delete_topics([topic]))
        self._await(lambda: not self._metadata(topic))

    def _metadata(self, topic):
        return self.client.list_topics(timeout=20).topics.get(topic, _NO_TOPIC).partitions

    @staticmethod
    def _await(condition):
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "the broker took too long"
            time.sleep(0.05)

    def delete_records(self, topic, partition, before):
        self._result(self.client.delete_records([TopicPartition(topic, partition, before)]))

    def offsets(self, topic, spec):
        """{partition: offset} at the log's start or end."""
        wanted = {TopicPartition(topic, partition): spec for partition in self._metadata(topic)}
        futures = self.client.list_offsets(wanted, isolation_level=IsolationLevel.READ_COMMITTED)
        return {partition.partition: future.result(30).offset for partition, future in futures.items()}

    def log_ends(self, topic):
        return self.offsets(topic, OffsetSpec.latest())

    def committed(self, group, topic):
        """{partition: offset} of the group; partitions without one are missing."""
        [answer] = self._result(self.client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))
        return {each.partition: each.offset for each in answer.topic_partitions
                if each.topic == topic and each.offset >= 0}

    def commit(self, group, topic, offsets):
        """What an operator does to reset a group that has no members."""
        partitions = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        wanted = [ConsumerGroupTopicPartitions(group, partitions)]
        [answer] = self._result(self.client.alter_consumer_group_offsets(wanted))
        assert all(each.error is None for each in answer.topic_partitions), answer.topic_partitions

    def delete_group(self, group):
        self._result(self.client.delete_consumer_groups([group]))

    def members(self, group):
        """The ids of the group's members: a member that left and came back has another one."""
        [description] = self._result(self.client.describe_consumer_groups([group]))
        return sorted(member.member_id for member in description.members)

    def assigned(self, group):
        """How many partitions each member of the group has."""
        [description] = self._result(self.client.describe_consumer_groups([group]))
        return [len(member.assignment.topic_partitions) for member in description.members]


class Onlooker:
    """Sees where a group and its topic stand while the broker comes and goes, as a consumer that never joins. An Admin's
    request that waits for a group's coordinator when the broker is killed can abort the whole process (librdkafka 2.12.2:
    assertion in rd_kafka_enq_once_del_source_return)."""

    TIMEOUT_S = 5

    def __init__(self, servers, group, topic, partitions, **config):
        self.consumer = Consumer(dict(QUIET, **{"bootstrap.servers": servers, "group.id": group,
                                                "enable.auto.commit": False}, **config))
        self.partitions = [TopicPartition(topic, partition) for partition in range(partitions)]

    def committed(self):
        """{partition: offset} of the group; partitions without one are missing. Raises KafkaException."""
        answers = self.consumer.committed(self.partitions, timeout=self.TIMEOUT_S)
        for each in answers:
            if each.error is not None:
                raise KafkaException(each.error)
        return {each.partition: each.offset for each in answers if each.offset >= 0}

    def log_ends(self):
        return {each.partition: self.consumer.get_watermark_offsets(each, timeout=self.TIMEOUT_S)[1]
                for each in self.partitions}

    def close(self):
        self.consumer.close()


class _NoTopic:
    partitions = ()


_NO_TOPIC = _NoTopic()
