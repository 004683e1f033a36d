"""Headers: a command's come back byte for byte, by configuration as a CloudEvent of its own; a copy of a result goes where a
command asks for it, exactly once, and nothing that is wrong with that place holds anything up."""

import random
import re
import subprocess
import time
import uuid

import pytest
from confluent_kafka.admin import (AclBinding, AclOperation, AclPermissionType, NewTopic, ResourcePatternType,
                                   ResourceType)

from lib import admin, byunique, processes, schemas, wire
from lib.gen import Message
from lib.servers import Kafka
from lib.site import SOON_GONE, new_id
from lib.wire import Command

TRACE = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("tracestate", b"congo=t61rcWkgMzE"),
         ("tracestate", b"rojo=00f067aa0ba902b7"), ("traceparent", b"")]
EVENT = [("ce_specversion", b"1.0"), ("ce_id", b"A234-1234-1234"), ("ce_source", b"/crm/export"), ("ce_type", b"update"),
         ("ce_subject", None), ("content-type", b"application/vnd.crm+avro")]
ODD = [("kafka_correlationId", bytes(range(256))), ("twice", b"1"), ("null", None), ("empty", b""), ("twice", b"\xff\xfe\0"),
       ("kafka_correlationId", b"\0" * 16), ("n\u00e4me \u20ac", b"\xf0\x28"), ("null", b"not"), ("", b"no name"),
       ("byunique.status", b"999"), ("kafka_replyTopic", b"anywhere"), ("kafka_replyPartition", b"x")]
ALL = ODD[:4] + TRACE + EVENT + ODD[4:]


def phone(**changes):
    return Command(new_id(), "alice", "Phone", (("PhoneNumber", "string", "1"),)).but(**changes)


def ask(topic, partition=None, key=b"alice", headers=(), **changes):
    """A command that wants its answer there."""
    wish = [("kafka_correlationId", uuid.uuid4().bytes), ("kafka_replyTopic", topic if topic is None else topic.encode())]
    if partition is not None:
        wish.append(("kafka_replyPartition", partition.to_bytes(4, "big", signed=True)))
    return Message(0, key, wire.encode(phone(**changes)), wish + list(headers))


def own(result):
    """What the worker adds at the end."""
    return [("byunique.status", b"%d" % result.status)] + ([("byunique.code", result.code.encode())] if result.code else [])


def again(site, count):
    """An operator resets the group → all results that are there then."""
    site.stop()
    site.admin.commit(site.group, site.commands, dict.fromkeys(range(site.partitions), 0))
    site.running()
    results = site.wait_results(count)
    site.stop()
    return results


@pytest.fixture(scope="module")
def kafka():
    """A broker with access control, under which everything is allowed that no test forbids."""
    server = Kafka("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
                   "allow.everyone.if.no.acl.found=true\n"
                   "broker.session.timeout.ms=3000\n")
    try:
        yield server.create()
    finally:
        server.destroy()


@pytest.fixture
def one(sites):
    """Makes installations with one partition and one record."""
    def make(**settings):
        site = sites(partitions=1, **settings).init(schemas.PHONE)
        site.insert("Phone", "alice", PhoneNumber="1")
        return site
    return make


# As they are


def test_headers_come_back(one):
    """Whatever the answer is; and once more when it is published again."""
    site = one()
    site.running()
    command = phone()
    sent = site.send(*[Message(0, b"alice", value, headers) for headers in (ALL, TRACE, EVENT, []) for value in (
        wire.encode(command), wire.encode(phone(customer_id="nobody")), b"broken", None)])
    results = site.results_of(sent)
    assert [result.code for result in results] == [None, "CustomerNotFound", "MalformedMessage", "MalformedMessage"] * 4
    for record, result in zip(sent, results):
        assert result.headers == record.headers + own(result)
    both = again(site, 2 * len(sent))
    assert [(each.key, each.value, each.headers) for each in both[:len(sent)]] == [
        (each.key, each.value, each.headers) for each in both[len(sent):]]


# CloudEvents


def events(headers):
    return {name: value for name, value in headers if name.startswith("ce_") or name == "content-type"}


def test_results_as_cloud_events(one):
    """Attributes of their own in place of the command's, the same when they are published again; all else as ever."""
    site = one(**{"results.cloudevents.source": "https://example.org/crm?a=b"})
    site.running()
    flow = [("ce_correlationid", b"txn-1"), ("ce_traceparent", b"\xff"), ("CE_id", b"no"), ("ce_correlationid", b"txn-2")]
    sent = site.send(Message(0, b"alice", wire.encode(phone()), ALL + flow + EVENT[1:2]),
                     Message(0, b"alice", wire.encode(phone(customer_id="nobody")), EVENT[:1] + flow),
                     Message(0, b"alice", b"broken", EVENT), Message(0, None, wire.encode(phone()), []),
                     Message(0, None, wire.encode(phone()), [("ce_id", b"\xff"), ("ce_id", b"")]))
    results = site.results_of(sent)
    causes = [b"A234-1234-1234", None, b"A234-1234-1234", None, None]
    for record, result, cause in zip(sent, results, causes):
        seconds, ms = divmod(result.body["processed_at"], 1000)
        attributes = [("ce_specversion", b"1.0"), ("ce_id", b"%s:0:%d" % (site.commands.encode(), record.offset)),
                      ("ce_source", b"https://example.org/crm?a=b"), ("ce_type", b"byunique.result.v1"),
                      ("ce_time", time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode() + b".%03dZ" % ms),
                      ("content-type", b"application/avro")]
        if cause is not None:
            attributes.append(("ce_causationid", cause))
        assert result.headers == [each for each in record.headers if each not in EVENT and each[0] != "ce_id"] + \
            attributes + own(result)
    both = again(site, 2 * len(sent))
    assert [each.headers for each in both[:len(sent)]] == [each.headers for each in both[len(sent):]]
    for letter in site.reader(site.dead_letters).to_end():
        assert letter.headers[:len(EVENT)] == EVENT, "a dead letter has the headers of its message"


def test_cloud_events_that_do_not_fit(one):
    """The attributes go with the headers of the command, and no sooner."""
    site = one(**{"results.cloudevents.source": "/crm"})
    site.admin.alter_topic(site.results, max_message_bytes=2000)
    site.running()
    sent = site.send(*[Message(0, b"k", wire.encode(phone()), [("ce_id", b"x"), ("ce_data", b"d" * 3000), ("h", b"h" * size)])
                       for size in (1, 3000)])
    kept, cut = site.results_of(sent)
    assert kept.headers[0] == ("h", b"h") and kept.header("ce_causationid") == b"x" and kept.header("ce_id")
    assert cut.headers == [("byunique.truncated", b"headers"), ("byunique.status", b"204")]


# Replies


def names(count):
    return ["replies-%s" % uuid.uuid4().hex[:12] for _ in range(count)]


@pytest.fixture
def asked(one):
    """An installation that may reply to site.replies, of three partitions, and to site.others, which are not there yet."""
    def make(others=1, **settings):
        replies, *missing = names(1 + others)
        site = one(**{"reply.topics": ", ".join([replies] + missing), **admin.LISTEN, **settings})
        site.admin.create_topic(replies, 3)
        site.replies, site.others = replies, missing
        site.reply_reader = site.reader(replies)
        return site
    return make


def content(record):
    return record.key, record.value, record.headers


def fates(worker):
    """{fate: number}, those above 0."""
    return {each.labels["fate"]: each.value for each in admin.AdminClient(worker).metrics().all("byunique_replies_total")
            if each.value}


def wait_fates(worker, **wanted):
    processes.wait_for(lambda: fates(worker) == wanted, "the fates %s" % wanted, alive=worker.process)


def test_replies(asked):
    """A copy of the result, byte for byte, in the partition asked for; the last header of several counts."""
    site = asked()
    worker = site.running()
    other = ("kafka_replyTopic", site.others[0].encode())
    wanted = {
        "a partition": ask(site.replies, 2), "by key": ask(site.replies), "without a key": ask(site.replies, key=None),
        "an error": ask(site.replies, 1, customer_id="nobody"),
        "malformed": Message(0, b"alice", b"broken", ask(site.replies, 0).headers),
        "the last topic": Message(0, b"k", wire.encode(phone()), [other] + ask(site.replies, 0).headers),
        "the last partition": ask(site.replies, 2, headers=[("kafka_replyPartition", b"\0\0\0\1")]),
        "no partition in the end": ask(site.replies, 7, headers=[("kafka_replyPartition", None)]),
    }
    not_wanted = [ask(site.replies, headers=[("kafka_replyTopic", None)]), Message(0, b"k", wire.encode(phone()), []),
                  Message(0, b"k", wire.encode(phone()), [("kafka_replyPartition", b"\0\0\0\1")]), ask(site.results, 0)]
    sent = site.send(*wanted.values(), *not_wanted)
    results = site.results_of(sent)
    replies = site.reply_reader.wait(len(wanted), alive=worker)
    places = {content(reply): reply.partition for reply in map(hashable, replies)}
    got = {name: places[content(hashable(result))] for name, result in zip(wanted, results)}
    assert got.items() >= {"a partition": 2, "an error": 1, "malformed": 0, "the last topic": 0,
                           "the last partition": 1}.items()
    assert got["by key"] == got["no partition in the end"], "the same key, so the same partition"
    assert all(result.headers[0] == record.headers[0] for record, result in zip(sent, results[:len(wanted)]))
    wait_fates(worker, sent=len(wanted))
    site.stop()
    assert len(site.reply_reader.to_end()) == len(wanted)
    assert "reply_" not in worker.log


def hashable(record):
    return type("Frozen", (), {"key": record.key, "value": record.value, "headers": tuple(record.headers),
                               "partition": record.partition})


def test_replies_that_can_not_be_delivered(asked):
    """Each is dropped, counted, told of; the results are there, and the next reply is, too."""
    site = asked()
    site.admin.create_topic(site.others[0], 1)
    site.admin.alter_topic(site.others[0], max_message_bytes=2000)
    worker = site.running()
    hostile = [("kafka_replyTopic", b"\x1b[31m\nlevel=error")]
    malformed = [("kafka_replyPartition", value) for value in (b"", b"1", b"\0\0\0\0\0", b"\0" * 8)]
    bad = [ask("elsewhere"), ask(site.commands), ask(""), ask(site.replies, headers=hostile),
           ask(site.replies.upper(), 0), *[ask(site.replies, headers=[each]) for each in malformed],
           ask(site.replies, 3), ask(site.replies, -1), ask(site.replies, 2**31 - 1),
           ask(site.others[0], 0, headers=[("h", b"h" * 3000)]), ask(site.others[0], 1)]
    sent = site.send(*[each for message in bad for each in (message, ask(site.replies, 0))])
    results = site.results_of(sent)
    assert {result.status for result in results} == {204}
    replies = site.reply_reader.wait(len(bad), alive=worker)
    assert [content(reply) for reply in replies] == [content(result) for result in results[1::2]]
    wait_fates(worker, sent=len(bad), not_allowed=5, malformed=4, no_partition=4, too_large=1)
    for topic, reason in (("elsewhere", "not_allowed"), (site.replies, "malformed"), (site.replies, "no_partition"),
                          (site.others[0], "too_large")):
        assert "event=reply_dropped topic=%s reason=%s " % (topic, reason) in worker.log
    assert worker.log.count("reply_dropped") <= 8 and "\x1b" not in worker.log and "level=error" not in worker.log
    assert worker.log.count("session_started") == 1
    small = site.reader(site.others[0])
    site.answers(ask(site.others[0], 0))
    small.wait(1, alive=worker)
    site.stop()


def test_a_reply_topic_that_takes_less_than_before(asked):
    """The broker's refusal ends one session; the next one knows, and results are not cut for it."""
    site = asked()
    worker = site.running()
    headers = [("h", random.Random(1).randbytes(9000))]  # does not compress
    site.answers(ask(site.replies, 0, headers=headers))
    site.reply_reader.wait(1, alive=worker)
    site.admin.alter_topic(site.replies, max_message_bytes=2000)
    results = site.answers(ask(site.replies, 0, headers=headers), ask(site.replies, 0))
    assert [result.header("byunique.truncated") for result in results] == [None, None]
    assert [content(each) for each in site.reply_reader.wait(2, alive=worker)[1:]] == [content(results[1])]
    wait_fates(worker, sent=2, too_large=1)
    assert worker.log.count("session_started") == 2 and "messages_bounded" not in worker.log


def test_a_reply_topic_that_comes_and_goes(asked):
    """It may be made while the worker runs, and deleted; nobody waits for it."""
    site = asked()
    worker = site.running()
    [other] = site.others
    assert {each.status for each in site.answers(ask(other), ask(other, 0), ask(site.replies))} == {204}
    wait_fates(worker, sent=1, no_topic=2)
    site.admin.create_topic(other, 2)
    reader = site.reader(other)

    def replied():
        site.answers(ask(other, 1))
        reader.poll(0.3)
        return reader.seen
    processes.wait_for(replied, "a reply in the new topic", alive=worker.process)
    assert worker.log.count("session_started") == 1
    reader.close()
    site.admin.delete_topic(other)
    sent = site.send(*[each for _ in range(20) for each in (ask(other, 1), ask(site.replies, 1))])
    assert [result.status for result in site.results_of(sent, timeout_s=90)] == [204] * 40
    site.results_of(site.send(ask(other, 1)))
    assert fates(worker)["no_topic"] > 2
    assert worker.alive and worker.log.count("session_started") <= 2
    site.stop()
    site.reply_reader.to_end()
    assert len(site.reply_reader.seen) == 21, "the other topic's replies are all there, once"


def allow_only(site, topic, operation):
    """A topic with a rule is no longer open to everything."""
    rule = AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation,
                      AclPermissionType.ALLOW)
    for future in site.admin.client.create_acls([rule]).values():
        future.result(30)


@pytest.mark.parametrize("trouble", ["write", "describe", "key"])
def test_a_reply_topic_that_refuses(asked, trouble):
    """No right to write to it or to see it; compacted, and the reply has no key. The worker goes on without; replies to a topic
    that has proved good are not lost."""
    site = asked()
    [other] = site.others
    site.admin.create_topic(other, 1)
    if trouble == "key":
        site.admin.alter_topic(other, cleanup_policy="compact")
    else:
        allow_only(site, other, AclOperation.DESCRIBE if trouble == "write" else AclOperation.ALTER_CONFIGS)
    worker = site.running()
    site.answers(ask(site.replies, 1))
    site.reply_reader.wait(1, alive=worker)
    sent = site.send(*[each for _ in range(10) for each in (ask(other, 0, key=None), ask(site.replies, 1))])
    results = site.results_of(sent, timeout_s=60)
    assert [result.status for result in results] == [204] * 20
    assert site.answers(ask(other, 0, key=None), ask(site.replies, 1))[0].status == 204
    replies = site.reply_reader.wait(12, alive=worker)
    assert [content(reply) for reply in replies[1:11]] == [content(result) for result in results[1::2]]
    # librdkafka may say no more of the first failure than that the transaction is over; then it takes a second one.
    assert worker.log.count("session_started") in ([1] if trouble == "describe" else [2, 3])
    if trouble == "describe":
        assert fates(worker)["no_topic"] >= 11
    else:
        assert worker.log.count("event=reply_topic_left_out topic=%s " % other) == 1
        assert "reply_topic_left_out topic=%s " % site.replies not in worker.log
        assert fates(worker)["left_out"] >= 11
    site.stop()
    assert len(site.reply_reader.to_end()) == 12
    assert len(site.result_reader.to_end()) == 23


def test_replies_are_repeated_as_results_are(asked):
    site = asked()
    site.running()
    sent = site.send(*[ask(site.replies, number % 3, customer_id="alice" if number % 2 else "nobody")
                       for number in range(30)])
    site.results_of(sent)
    again(site, 60)
    results, replies = site.result_reader.seen, site.reply_reader.to_end()
    assert len(results) == len(replies) == 60
    for half in (results[:30], results[30:]):
        for partition in range(3):
            assert [content(each) for each in half[partition::3]] == [
                content(each) for each in replies if each.partition == partition][:10]


CRASHES = ["publish_half_sent=crash", "publish_offsets_sent=crash", "publish_committed=crash", "publish_sent=fail",
           "publish_committed=fail"]


def test_a_reply_comes_once(asked):
    """Whatever happens while it is on its way. Ten batches are three Kafka transactions at least, of four batches at most: each
    failpoint is passed a second time, however they fall."""
    site = asked(**SOON_GONE, **{"batch.max.commands": "2"})
    sent = []
    for failpoint in CRASHES:
        sent += site.send(*[ask(site.replies, number % 3) for number in range(20)])
        worker = site.worker(failpoints=failpoint + "@2")
        if failpoint.endswith("crash"):
            worker.wait()
        else:
            site.results_of(sent)
            assert "failpoint name=%s " % failpoint.split("=")[0] in worker.log
            worker.stop()
    site.worker()
    site.results_of(sent)
    site.stop()
    results, replies = site.result_reader.to_end(), site.reply_reader.to_end()
    assert len(results) == len(replies) == len(sent)
    for partition in range(3):
        assert [content(each) for each in replies if each.partition == partition] == [
            content(result) for result in results if result.header("kafka_replyPartition") == b"\0\0\0%c" % partition]


def test_reply_topics_are_others(one):
    """Not those that the worker reads or answers to: a misconfiguration, told at once."""
    site = one()
    for key, topic in (("commands.topic", site.commands), ("results.topic", site.results),
                       ("dead.letter.topic", site.dead_letters)):
        worker = site.worker(**{"reply.topics": "fine,%s" % topic})
        assert worker.wait() == 2 and "reply.topics must not name the topic of %s" % key in worker.log
    worker = site.worker(**{"reply.topics": "a topic,caf\u00e9"})
    assert worker.wait() == 2 and "reply.topics has to be names of topics" in worker.log


def test_headers_mean_nothing_by_default(one):
    site = one()
    [topic] = names(1)
    site.admin.create_topic(topic, 1)
    worker = site.running()
    assert [result.status for result in site.answers(ask(topic, 0), ask("x"))] == [204, 204]
    site.stop()
    assert site.reader(topic).to_end() == [] and "reply" not in worker.log


def test_dead_letters_put_back(asked):
    """Byte for byte, time and again, whatever their headers look like: like a dead letter's, like a CloudEvent's, like a
    request's; a reply comes each time."""
    site = asked(**{"results.cloudevents.source": "/crm"})
    added = [("__connect.errors.topic", site.commands.encode()), ("__connect.errors.partition", b"0"),
             ("__connect.errors.offset", b"0"), ("byunique.code", b"MalformedMessage"), ("byunique.detail", b"d")]
    wish = ask(site.replies, 2).headers
    bad = [Message(0, b"alice", b"broken", ALL + added + wish), Message(0, b"", b"", ALL + wish + added),
           Message(0, None, None, wish + added + added), Message(0, b"k", b"\0", wish + added[:4]),
           Message(0, b"k", b"\xff", wish + [("byunique.truncated", b"value"), ("byunique.truncated", b"headers")])]
    rounds = [site.send(*bad)]
    for _ in range(2):
        site.worker()
        site.wait_results(len(bad) * len(rounds))
        site.stop()
        letters = site.reader(site.dead_letters).to_end()[-len(bad):]
        byunique.must(site.settings, "dead-letters", "resubmit", "--yes",
                      *["%d:%d" % letter.at for letter in letters])
        commands = site.reader(site.commands).to_end()
        rounds.append(commands[len(bad) * len(rounds):])
    for put_back in rounds:
        assert [(content(each), each.partition) for each in put_back] == [(content(each), 0) for each in rounds[0]]
    replies, results = site.reply_reader.to_end(), site.result_reader.to_end()
    assert [content(each) for each in replies] == [content(each) for each in results] and len(results) == 2 * len(bad)


class SecondBroker(Kafka):
    """Of another one's cluster."""

    SETTINGS = """
process.roles=broker
node.id=2
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/data
"""

    def __init__(self, first):
        super().__init__()
        voters = re.search(r"quorum\.voters=(\S+)", first.properties.read_text()).group(1)
        self.properties.write_text(self.SETTINGS.format(voters=voters, port=self.port, folder=self.folder))

    def create(self):
        format_storage = self._java("kafka.tools.StorageTool", "format", "--config", str(self.properties),
                                    "--cluster-id", self.CLUSTER_ID)
        subprocess.run(format_storage, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, cwd="/")
        self.relay.open()
        self.start()
        return self


def test_a_reply_topic_without_a_leader(asked, kafka):
    """Its broker is away: nobody waits for it, and it gets replies again when it is back."""
    site = asked()
    [other] = site.others

    def leader():
        topic = site.admin.client.list_topics(timeout=20).topics.get(other)
        return topic.partitions[0].leader if topic and topic.partitions else None
    second = SecondBroker(kafka)
    try:
        second.create()
        processes.wait_for(lambda: len(site.admin.client.list_topics(timeout=20).brokers) == 2, "the second broker")
        for future in site.admin.client.create_topics([NewTopic(other, 1, replica_assignment=[[2]])]).values():
            future.result(30)
        processes.wait_for(lambda: leader() == 2, "the topic's leader")
        second.kill()
        processes.wait_for(lambda: leader() == -1, "the topic to lose it")
        worker = site.running()
        sent = site.send(*[each for _ in range(5) for each in (ask(other, 0), ask(other), ask(site.replies, 0))])
        assert [result.status for result in site.results_of(sent)] == [204] * 15
        wait_fates(worker, sent=5, no_leader=10)
        second.start()
        processes.wait_for(lambda: leader() == 2, "the topic's leader to be back")

        def is_replied_to():
            site.answers(ask(other, 0))
            return fates(worker)["sent"] > 5
        processes.wait_for(is_replied_to, "a reply", pause_s=0.3, alive=worker.process)
        site.reader(other).wait(1, alive=worker)
        assert worker.log.count("session_started") == 1
    finally:
        second.destroy()


def test_commands_without_a_leader(sites, kafka):
    """A partition of commands whose broker is away when it is given: it is waited for, however long."""
    site = sites(partitions=1)

    def leader():
        return site.admin.client.list_topics(timeout=20).topics[site.commands].partitions[0].leader
    second = SecondBroker(kafka)
    try:
        second.create()
        processes.wait_for(lambda: len(site.admin.client.list_topics(timeout=20).brokers) == 2, "the second broker")
        for future in site.admin.client.create_topics([NewTopic(site.commands, 1, replica_assignment=[[2]])]).values():
            future.result(30)
        site.init(schemas.PHONE)
        site.insert("Phone", "alice", PhoneNumber="1")
        sent = site.send(phone())
        second.kill()
        processes.wait_for(lambda: leader() == -1, "the topic to lose its leader")
        worker = site.worker()
        worker.wait_log("start_delayed.*has no leader now", 60)
        second.start()
        assert [result.status for result in site.results_of(sent)] == [204]
        site.stop()
    finally:
        second.destroy()
