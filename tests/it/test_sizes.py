"""Results and dead letters that their topics would not take: cut to what fits before they are sent, in the order that the
README gives; what fits is never cut; no partition is held up."""

import ctypes
import random
import time
from pathlib import Path

import confluent_kafka
import pytest

from lib import client, processes, schemas, wire
from lib.gen import Message
from lib.site import new_id
from lib.wire import Command

LIMIT = 2000
NOISE = random.Random(1).randbytes(40000).replace(b"\0", b"\1")  # does not compress


def noise(count):
    return NOISE[:count]


def text(count):
    return "".join(chr(0x100 + byte) for byte in noise(count))  # two bytes each


def phone(**changes):
    attributes = (("PhoneNumber", "string", "1"), ("description", "string", "d"))
    return Command(new_id(), "alice", "Phone", attributes).but(**changes)


@pytest.fixture
def small(sites):
    """Results and dead letters of 2,000 bytes at most."""
    site = sites(partitions=1).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    site.admin.alter_topic(site.results, max_message_bytes=LIMIT)
    site.admin.alter_topic(site.dead_letters, max_message_bytes=LIMIT)
    return site


def varint(number):
    return max(1, -(-(2 * number).bit_length() // 7))


def batch_bytes(record):
    """A record batch that holds the record alone, by the description of Kafka's format."""
    def part(data):
        return varint(len(data or b"")) + len(data or b"")
    body = (3 + part(record.key) + part(record.value) + varint(len(record.headers)) +
            sum(part(name.encode()) + part(value) for name, value in record.headers))
    return 61 + varint(body) + body


def losses(record):
    return [value.decode() for name, value in record.headers if name == "byunique.truncated"]


def one_session(worker):
    assert worker.log.count("session_started") == 1, "learnt by a refusal of the broker"
    assert "messages_bounded" not in worker.log


def test_what_fits_is_not_cut(small):
    """Headers that grow byte by byte over the limit: the very last one that fits comes back."""
    worker = small.running()
    [plain] = small.answers(small.message(phone(), 0, headers=[("h", b"")]))
    room = LIMIT - batch_bytes(plain)
    sent = small.send(*[small.message(phone(), 0, headers=[("h", noise(room + more))]) for more in range(-12, 12)])
    results = small.results_of(sent)
    cut = [losses(result) for result in results]
    assert [] in cut and ["headers"] in cut and cut == sorted(cut), cut
    for record, result in zip(sent, results):
        assert result.status == 204 and batch_bytes(result) <= LIMIT
        if losses(result):
            assert batch_bytes(plain) - 1 + varint(len(record.headers[0][1])) + len(record.headers[0][1]) + 1 > LIMIT
            assert result.headers == [("byunique.truncated", b"headers"), ("byunique.status", b"204")]
        else:
            assert result.headers[0] == record.headers[0]
    assert max(batch_bytes(result) for result in results) == LIMIT
    one_session(worker)


def test_detail_is_cut_first(small):
    """It gives as many bytes as are missing; headers go when that does not do."""
    worker = small.running()
    small.apply(schemas.SINGLE)
    single = phone(ext_name=schemas.SINGLE["name"])
    [plain] = small.answers(small.message(single, 0, headers=[("h", b"")]))
    room, detail = LIMIT - batch_bytes(plain), plain.body["error"]["detail"]
    assert len(detail) > 96, "too short for this test"
    sent = small.send(*[small.message(single.but(command_id=new_id()), 0, headers=[("h", noise(room + more))])
                        for more in range(-4, 60)])
    seen = set()
    for record, result in zip(sent, small.results_of(sent)):
        cut = losses(result)
        seen.add(tuple(cut))
        assert result.code == plain.code and batch_bytes(result) <= LIMIT
        if cut == ["detail"]:
            assert detail.startswith(result.body["error"]["detail"]) and len(result.body["error"]["detail"]) >= 64
            assert result.headers[0] == record.headers[0]
            assert batch_bytes(result) >= LIMIT - 1
        elif cut == ["headers"]:
            assert result.body["error"]["detail"] == detail
    assert seen == {(), ("detail",), ("headers",)}
    one_session(worker)


def test_everything_large_at_once(small):
    """Key, headers, every text of the command: still one right result, and the next message is not held up."""
    worker = small.running()
    large = {
        "headers": small.message(phone(), 0, headers=[("a", noise(9000)), ("b", None), ("c", b"")]),
        "many headers": small.message(phone(), 0, headers=[("h%d" % number, b"v") for number in range(2000)]),
        "key": small.message(phone(), 0, key=noise(9000)),
        "batch id": small.message(phone(batch_id=text(9000)), 0),
        "command id": small.message(phone(command_id=text(3000)), 0),
        "customer id": small.message(phone(customer_id=text(3000)), 0, key=b"k"),
        "extension": small.message(phone(ext_name=text(3000)), 0),
        "attribute": small.message(phone(attributes=((text(3000), "int", 1),)), 0),
        "all": small.message(phone(command_id=text(3000), customer_id=text(3000), ext_name=text(3000),
                                   batch_id=text(3000)), 0, key=noise(9000), headers=[("a", noise(9000))]),
    }
    messages = [each for message in large.values() for each in (message, small.message(phone(), 0))]
    sent = small.send(*messages)
    results = small.results_of(sent)
    assert [result.status for result in results[1::2]] == [204] * len(large)
    assert not any(losses(result) for result in results[1::2])
    got = {name: (result.code, losses(result)) for name, result in zip(large, results[::2])}
    assert got == {
        "headers": (None, ["headers"]), "many headers": (None, ["headers"]), "key": (None, ["key"]),
        "batch id": (None, ["texts"]), "command id": ("InvalidCommandId", ["texts"]),
        "customer id": ("InvalidCustomerId", ["texts"]), "extension": ("InvalidExtensionName", ["texts"]),
        "attribute": ("UnknownAttribute", ["texts"]), "all": ("InvalidCommandId", ["headers", "texts", "key"])}
    for record, result in zip(sent, results):
        assert batch_bytes(result) <= LIMIT
        command, _ = wire.decode(record.value)
        for field in ("command_id", "customer_id", "ext_name", "batch_id"):
            assert (getattr(command, field) or "").startswith(result.body[field] or "")
    one_session(worker)


def test_dead_letters(small):
    """Without value first, then without headers, then without key."""
    worker = small.running()
    bad = {
        "small": Message(0, b"k", b"bad", [("h", b"v")]),
        "value": Message(0, b"k", noise(9000), [("h", b"v")]),
        "headers": Message(0, b"k", b"bad", [("h", noise(9000))]),
        "value and headers": Message(0, b"k", noise(9000), [("h", noise(9000))]),
        "key": Message(0, noise(9000), b"bad", [("h", b"v")]),
        "all": Message(0, noise(9000), noise(9000), [("h", noise(9000))]),
    }
    sent = small.send(*bad.values())
    results = small.results_of(sent)
    assert {result.code for result in results} == {"MalformedMessage"}
    small.stop()
    letters = small.reader(small.dead_letters).to_end()
    assert [int(letter.header("__connect.errors.offset")) for letter in letters] == [each.offset for each in sent]
    gone = {"small": [], "value": ["value"], "headers": ["headers"], "value and headers": ["value", "headers"],
            "key": ["key"], "all": ["value", "headers", "key"]}
    for name, record, letter in zip(bad, sent, letters):
        assert losses(letter) == gone[name], name
        assert letter.value == (None if "value" in gone[name] else record.value)
        assert letter.key == (None if "key" in gone[name] else record.key)
        assert ("h" in dict(letter.headers)) == ("headers" not in gone[name])
        assert letter.header("byunique.code") == b"MalformedMessage" and letter.header("byunique.detail")
        assert batch_bytes(letter) <= LIMIT
    one_session(worker)


def test_many_medium_results(small):
    """Each fits, all together would not: librdkafka's batches are bounded as well."""
    worker = small.running()
    sent = small.send(*[small.message(phone(), 0, headers=[("h", noise(900))]) for _ in range(500)])
    results = small.results_of(sent)
    assert [result.status for result in results] == [204] * 500
    assert not any(losses(result) for result in results)
    one_session(worker)


def test_headers_count_as_well(sites):
    """What a batch holds in memory is bounded, also when nearly all of it is headers: at most 16 MiB and one message."""
    site = sites(partitions=1).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    headers = [("h", random.Random(2).randbytes(900000))]
    sent = []
    for _ in range(4):
        sent += site.send(*[site.message(phone(), 0, headers=headers) for _ in range(20)])
    locker = site.second_connection()
    locker.execute("BEGIN")
    locker.execute("SELECT FROM ext_phone FOR UPDATE")
    worker = site.worker()
    processes.wait_for(lambda: len(site.db.execute(
        "SELECT FROM pg_stat_activity WHERE usename = 'byunique' AND wait_event_type = 'Lock'").fetchall()),
        "the worker to wait", alive=worker.process)
    time.sleep(2)  # so that all would be in the next batch, if it took them
    locker.execute("COMMIT")
    site.results_of(sent)
    site.stop()
    most = site.db.execute("SELECT max(last_offset - first_offset + 1) FROM outcome").fetchone()[0]
    assert most <= 16 * 1024 * 1024 // 900000 + 1


def test_queue_smaller_than_a_result(sites):
    """What librdkafka's own queue could never take is cut, like what a topic would not: the partition is not held up."""
    site = sites(partitions=1).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    worker = site.running(**{"kafka.queue.buffering.max.kbytes": "4"})
    sent = site.send(site.message(phone(batch_id=text(5000)), 0), site.message(phone(), 0))
    assert [result.status for result in site.results_of(sent)] == [204, 204]
    one_session(worker)


def test_own_message_max_bytes(sites):
    """The producer's own limit, smaller than the topics'."""
    site = sites(partitions=1).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    worker = site.running(**{"kafka.message.max.bytes": "3000"})
    sent = site.send(site.message(phone(), 0, headers=[("h", noise(2500))]),
                     site.message(phone(), 0, headers=[("h", noise(3000))]), Message(0, b"k", noise(4000), []))
    assert [losses(result) for result in site.results_of(sent)] == [[], ["headers"], []]
    one_session(worker)
    site.stop()
    too_small = site.worker(**{"kafka.message.max.bytes": "1000"})
    assert too_small.wait() == 2 and "kafka.message.max.bytes" in too_small.log


def test_limit_changed_while_running(sites):
    """Lowered: the refusal ends a session, and the next one knows. Raised: noticed by itself, as nothing is cut unasked."""
    site = sites(partitions=1).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    worker = site.running()
    headers = [("h", noise(9000))]
    [before] = site.answers(site.message(phone(), 0, headers=headers))
    assert losses(before) == []
    site.admin.alter_topic(site.results, max_message_bytes=LIMIT)
    [lowered] = site.answers(site.message(phone(), 0, headers=headers))
    assert losses(lowered) == ["headers"]
    assert worker.log.count("session_started") == 2
    site.admin.alter_topic(site.results, max_message_bytes=1000000)
    processes.wait_for(lambda: losses(site.answers(site.message(phone(), 0, headers=headers))[0]) == [],
                       "the new limit to be noticed", pause_s=0.5, alive=worker.process)
    assert worker.log.count("session_started") == 2


# limit.*


def many(count):
    return tuple(("n%d" % number, "int", number) for number in range(count))


def zipped(site):
    """Messages may be many times larger than what the broker counts."""
    site.sender = client.Sender(site.kafka.servers, site.commands, **{"compression.type": "gzip"})


def test_default_limits(sites):
    """What is over them is no command, whatever else is wrong with it; what is under them is told what is."""
    site = sites(partitions=1).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    zipped(site)
    mib = 1024 * 1024
    site.admin.alter_topic(site.commands, max_message_bytes=16 * mib)  # names that all differ hardly compress
    worker = site.running()
    sent = site.send(
        site.message(phone(attributes=many(1000000)), 0), site.message(phone(attributes=many(1000001)), 0),
        Message(0, b"k", b"\0" * (16 * mib - 1), []), Message(0, b"k", b"\0" * 16 * mib, []),
        site.message(phone(), 0, headers=[("h", b"h" * (4 * mib - 10))]),
        site.message(phone(), 0, headers=[("h", b"h" * 4 * mib)]), site.message(phone(), 0))
    results = site.results_of(sent)
    malformed = "MalformedMessage"
    assert [result.code for result in results] == ["UnknownAttribute", malformed, malformed, malformed, None, malformed, None]
    details = [result.body["error"]["detail"] if result.body["error"] else "" for result in results]
    named = [[name for name in ("limit.message.bytes", "limit.attributes", "limit.headers.bytes") if name in detail]
             for detail in details]
    assert named == [[], ["limit.attributes"], [], ["limit.message.bytes"], [], ["limit.headers.bytes"], []]
    assert [result.body["command_id"] is None for result in results] == [
        result.code == "MalformedMessage" for result in results]
    one_session(worker)
    site.stop()
    letters = site.reader(site.dead_letters).to_end()
    assert [int(letter.header("__connect.errors.offset")) for letter in letters] == [1, 2, 3, 5]


def test_limits_that_change(sites):
    """Lowered, they say nothing of what was processed: the very same results are published again. Raised, nothing either."""
    site = sites(partitions=1, **{"limit.attributes": "2"}).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    three = phone(attributes=(("PhoneNumber", "string", "1"), ("description", "string", "d"), ("prefix", "string", "+1")))
    site.running()
    sent = site.send(site.message(phone(batch_id="b" * 2000), 0, headers=[("h", b"h" * 2000)]), site.message(three, 0))
    first = site.results_of(sent)
    assert [result.code for result in first] == [None, "MalformedMessage"]
    site.stop()
    for settings in ({"limit.attributes": "1", "limit.message.bytes": "1024", "limit.headers.bytes": "1024"},
                     {"limit.attributes": "3"}):
        site.admin.commit(site.group, site.commands, {0: 0})
        worker = site.worker(**settings)
        again = site.wait_results(len(site.result_reader.seen) + 2)[-2:]
        assert [(each.value, each.headers) for each in again] == [(each.value, each.headers) for each in first]
        worker.stop()


def test_memory_under_limits(sites):
    """Commands of nothing but attributes, which take most memory for their bytes: what is over the limit takes none."""
    site = sites(partitions=1).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    zipped(site)
    worker = site.running()
    empty = wire.string("") + wire.zigzag(0)
    head = wire.string(new_id()) + wire.string("alice") + wire.string("Phone")
    count = 7000000
    bomb = wire.single_object(wire.COMMAND_FINGERPRINT, head + wire.zigzag(count) + empty * count + b"\0" * 3)
    sent = site.send(*[Message(0, b"alice", bomb, []) for _ in range(3)], site.message(phone(), 0))
    results = site.results_of(sent)
    assert [result.code for result in results] == ["MalformedMessage"] * 3 + [None]
    assert all("limit.attributes" in result.body["error"]["detail"] for result in results[:3])
    with open("/proc/%d/status" % worker.process.pid) as file:
        peak_kib = int(next(line for line in file if line.startswith("VmHWM")).split()[1])
    assert peak_kib < 400 * 1024, "7 million attributes of 48 bytes would be 320 MiB for each message"


def produce_with_name(servers, topic, value, name):
    """Send a message to partition 0 with a header of any name. confluent_kafka ends names at U+0000; its librdkafka doesn't."""
    path, = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka*.so*")
    library = ctypes.CDLL(str(path))
    for function in (library.rd_kafka_conf_new, library.rd_kafka_new, library.rd_kafka_headers_new):
        function.restype = ctypes.c_void_p
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    conf = pointer(library.rd_kafka_conf_new())
    for key, setting in ((b"bootstrap.servers", servers.encode()), (b"message.max.bytes", b"2000000")):
        assert library.rd_kafka_conf_set(conf, key, setting, None, size(0)) == 0
    client = pointer(library.rd_kafka_new(0, conf, None, size(0)))
    headers = pointer(library.rd_kafka_headers_new(size(1)))
    library.rd_kafka_header_add(headers, name, size(len(name)), b"1", size(1))
    topic_tag, partition_tag, value_tag, flags_tag, headers_tag = 1, 3, 4, 7, 10
    copied = 2
    error = library.rd_kafka_producev(client, topic_tag, topic.encode(), partition_tag, 0, value_tag, value, size(len(value)),
                                      flags_tag, copied, headers_tag, headers, 0)
    assert error == 0 and library.rd_kafka_flush(client, 30000) == 0
    library.rd_kafka_destroy(client)


def test_names_with_a_zero_byte(sites):
    """librdkafka doesn't tell how long such a name is; what is too large by it alone must not hold its partition up."""
    site = sites(partitions=1).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    name = bytes(33 + byte % 90 for byte in random.Random(3).randbytes(1048400))
    produce_with_name(site.settings["kafka.bootstrap.servers"], site.commands, b"b", b"\0" + name)
    site.send(phone())
    site.worker()
    assert [result.status for result in site.wait_results(2)] == [400, 204]


def test_batch_that_unpacks_to_too_much(sites):
    """librdkafka reads no zstd batch that is larger than its receive buffer may be. The log says where it lies, and what helps."""
    site = sites(partitions=2).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    producer = confluent_kafka.Producer({
        "bootstrap.servers": site.settings["kafka.bootstrap.servers"], "compression.type": "zstd", "linger.ms": 60000,
        "batch.size": 200000000, "message.max.bytes": 200000000})
    for _ in range(130):
        producer.produce(site.commands, value=b"x" * 900000, partition=1)
    assert producer.flush(60) == 0
    site.send(phone(), partition=0)
    worker = site.worker()
    site.wait_results(1)
    worker.wait_log("_BAD_COMPRESSION.*partition 1:.*raise that")
    site.stop()
    site.worker(**{"kafka.receive.message.max.bytes": "300000000"})
    assert len(site.wait_results(131)) == 131


def test_limit_below_all_reason(small):
    small.admin.alter_topic(small.results, max_message_bytes=900)
    worker = small.worker()
    assert worker.wait() == 1
    assert "max.message.bytes" in worker.log and small.results in worker.log
