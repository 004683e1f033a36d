"""`byunique archive` and `replay archive`: the files hold exactly what a consumer reads, which fastavro sees without us; and
what a topic has lost takes effect from them as the worker would have had it, once, and only when all of it is sound."""

import fcntl
import io
import json
import os
import random
import signal
import subprocess
import zlib

import fastavro
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from lib import byunique, check, client, gen, processes, schemas, wire
from lib.gen import Message
from lib.servers import ROOT
from test_registry import HEADER, confluent, registered, registry  # noqa: F401, two of them fixtures
from test_replay import description, phone
from test_start import dump, restore

SCHEMA = json.loads((ROOT / "schemas" / "ArchivedMessage.avsc").read_text())
KINDS = {0: "NONE", 1: "CREATE_TIME", 2: "LOG_APPEND_TIME"}


def call(site, *command, code=0, **settings):
    done = byunique.run(dict(site.settings, **settings), *map(str, command), timeout_s=180)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def archive(site, folder, *options, **settings):
    said = json.loads(call(site, "archive", folder, *options, "--json", **settings).stdout)
    return {each["partition"]: (each["from"], each["next"], each["messages"]) for each in said["partitions"]}


def replay(site, *operands, **settings):
    """Do it, unasked → what --json says."""
    said = json.loads(call(site, "replay", "archive", *operands, "--json", "--yes", **settings).stdout)
    assert said["replay"] == "archive" and not said["dry_run"]
    return said


def look(site, *operands, **settings):
    """A dry run changes nothing → what --json says."""
    before = state(site)
    said = json.loads(call(site, "replay", "archive", *operands, "--json", "--dry-run", **settings).stdout)
    assert state(site) == before and said["dry_run"] and not said["done"]
    return said


def state(site):
    return [site.db.execute("SELECT * FROM %s ORDER BY 1, 2" % name).fetchall()
            for name in ("position", "outcome", "refusal", "ext_phone")]


def files(folder):
    return sorted(path for path in folder.glob("*.avro") if not path.name.startswith("."))


def by_fastavro(folder):
    """Every record of the files, and that each is what its CRC says → {(partition, offset): fields}."""
    out = {}
    parsed = fastavro.parse_schema(SCHEMA)
    for path in files(folder):
        with open(path, "rb") as file:
            reader = fastavro.reader(file)
            assert reader.codec == "deflate"
            records = list(reader)
            meta = {key[9:]: value for key, value in reader.metadata.items() if key.startswith("byunique.")}
        assert int(meta["records"]) == len(records)
        for record in records:
            assert int(meta["first_offset"]) <= record["offset"] < int(meta["next_offset"])
            assert (record["topic"], record["partition"]) == (meta["topic"], int(meta["partition"]))
            encoded = io.BytesIO()
            fastavro.schemaless_writer(encoded, parsed, record)
            tail = io.BytesIO()
            fastavro.schemaless_writer(tail, "long", record["crc32"])
            assert zlib.crc32(encoded.getvalue()[:-len(tail.getvalue())]) == record["crc32"]
            at = record["partition"], record["offset"]
            assert at not in out
            stamp = record["timestamp"] and round(record["timestamp"].timestamp() * 1000)
            out[at] = (stamp, record["timestamp_type"], record["key"], record["value"],
                       [(each["name"], each["value"]) for each in record["headers"]])
    return out


def by_consumer(site, topic, partitions):
    """The same, as confluent-kafka reads it, read_committed."""
    consumer = Consumer(dict(client.QUIET, **{
        "bootstrap.servers": site.kafka.servers, "group.id": "none", "isolation.level": "read_committed",
        "enable.partition.eof": True, "enable.auto.commit": False}))
    consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in range(partitions)])
    out, open_partitions = {}, set(range(partitions))
    while open_partitions:
        message = consumer.poll(30)
        assert message is not None, "nothing is read"
        if message.error():
            open_partitions.discard(message.partition())
            continue
        kind, stamp = message.timestamp()
        out[message.partition(), message.offset()] = (
            stamp if kind else None, KINDS[kind], message.key(), message.value(),
            [(name.encode(), value) for name, value in message.headers() or []])
    consumer.close()
    return out


def anything(rng):
    """A message as nobody would send it."""
    text = [None, b"", b"k", bytes(rng.randrange(256) for _ in range(rng.randrange(40)))]
    headers = [(rng.choice(["h", "ü", "same", "__value_schema_id"]), rng.choice([None, b"", b"\x00\xff", b"v" * 300]))
               for _ in range(rng.choice([0, 0, 1, 2, 5]))]
    return Message(rng.randrange(2), rng.choice(text), rng.choice(text + [os.urandom(rng.randrange(2000))]), headers)


@pytest.fixture
def one(sites):
    site = sites(partitions=1)
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    return site


@pytest.fixture
def two(sites):
    return sites(partitions=2).init(schemas.PHONE)


# archive


def test_holds_what_a_consumer_reads(two, tmp_path):
    """Bytes, nulls, headers, times; over two runs, with transactions decided either way and one that is open."""
    rng, folder = random.Random(5), tmp_path / "archive"
    two.send(*[anything(rng) for _ in range(600)])
    producer = Producer(dict(client.QUIET, **{"bootstrap.servers": two.kafka.servers, "transactional.id": two.group}))
    producer.init_transactions(30)
    for ends in (producer.commit_transaction, producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        producer.produce(two.commands, b"in a transaction", partition=0)
        producer.flush(30)
        ends(30)
    first = archive(two, folder)
    read = by_consumer(two, two.commands, 2)
    assert by_fastavro(folder) == read
    ends = two.admin.log_ends(two.commands)
    assert {number: (begin, end) for number, (begin, end, _) in first.items()} == {0: (0, ends[0]), 1: (0, ends[1])}
    assert sum(count for _, _, count in first.values()) == len(read) == 602
    assert archive(two, folder) == {number: (end, end, 0) for number, end in ends.items()}
    two.send(*[anything(rng) for _ in range(100)])
    producer.begin_transaction()
    producer.produce(two.commands, b"not decided", partition=0)
    producer.flush(30)
    two.send(Message(0, None, b"hidden as long", []))
    archive(two, folder)
    assert (0, ends[0] + 1) in by_fastavro(folder) or by_fastavro(folder) == by_consumer(two, two.commands, 2)
    assert b"hidden as long" not in [value for _, _, _, value, _ in by_fastavro(folder).values()]
    producer.commit_transaction(30)
    archive(two, folder)
    assert by_fastavro(folder) == by_consumer(two, two.commands, 2) and len(by_fastavro(folder)) == 704
    names = [path.name for path in files(folder)]
    assert names[0] == "%s-0-%020d.avro" % (two.commands, 0)
    assert [path.name for path in folder.iterdir() if path.suffix != ".avro"] == []


def test_results_and_dead_letters(two, tmp_path):
    two.running()
    two.answers(phone(), phone())
    two.results_of(two.send(Message(0, b"k", b"broken", [])))
    two.stop()
    archive(two, tmp_path / "results", "--topic", "results")
    archive(two, tmp_path / "letters", "--topic", "dead-letters")
    assert by_fastavro(tmp_path / "results") == by_consumer(two, two.results, 2) != {}
    assert len(by_fastavro(tmp_path / "letters")) == 1
    assert "no dead-letter topic" in call(two, "archive", tmp_path / "x", "--topic", "dead-letters", code=2,
                                          **{"dead.letter.topic": ""}).stderr


def test_places_and_files(two, tmp_path):
    """--from, --until, --partition; files are parted by size, and no part is lost between them."""
    two.send(*[Message(0, None, os.urandom(50000), []) for _ in range(60)])
    folder = tmp_path / "parts"
    assert archive(two, folder, "--from", "offset:10", "--until", "offset:50", "--partition", "0", "--file-size", "1") == \
        {0: (10, 50, 40)}
    assert len(files(folder)) == 2
    assert sorted(by_fastavro(folder)) == [(0, offset) for offset in range(10, 50)]
    assert archive(two, folder, "--from", "offset:10", "--file-size", "1")[0] == (50, 60, 10)
    assert sorted(by_fastavro(folder)) == [(0, offset) for offset in range(10, 60)]
    assert archive(two, tmp_path / "later", "--from", "time:2100-01-01T00:00:00Z")[0] == (60, 60, 0)
    two.send(*[Message(0, None, b"x", []) for _ in range(10)])
    for place in ("offset:65", "time:2100-01-01T00:00:00Z"):
        assert "would have a gap" in call(two, "archive", folder, "--from", place, code=1).stderr
    assert sorted(by_fastavro(folder))[-1] == (0, 59)


def test_what_the_topic_has_lost_is_said(two, tmp_path):
    """At the beginning of an archive it is told; between two files it would be a gap, which is refused."""
    two.send(*[Message(0, None, b"%d" % number, []) for number in range(20)])
    two.admin.delete_records(two.commands, 0, 6)
    said = call(two, "archive", tmp_path / "a", "--from", "offset:2", "--until", "offset:9")
    assert "partition 0: offsets 2 to 5 are no longer in the topic" in said.stderr
    assert sorted(by_fastavro(tmp_path / "a")) == [(0, offset) for offset in range(6, 9)]
    two.admin.delete_records(two.commands, 0, 12)
    refused = call(two, "archive", tmp_path / "a", code=1).stderr
    assert "would have a gap" in refused and "offsets 9 to 11 are no longer in the topic" in refused
    assert archive(two, tmp_path / "b")[0] == (12, 20, 8)


def test_only_whole_files_have_names(two, tmp_path):
    """A killed run leaves nothing that counts; two at once are kept apart; told to stop, it keeps what it has."""
    folder = tmp_path / "archive"
    two.send(*[Message(0, None, os.urandom(100000), []) for _ in range(300)])
    argv = [byunique.PROGRAM] + byunique.options(two.settings) + ["archive", str(folder), "--file-size", "1"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=processes.environment())
    processes.wait_for(lambda: folder.exists() and files(folder), "a first file")
    process.kill()
    process.communicate(timeout=30)
    (folder / ".byunique-archive-left").write_bytes(b"Obj")
    kept, count = by_fastavro(folder), len(files(folder))
    assert sorted(kept) == [(0, offset) for offset in range(len(kept))]
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert "another `byunique archive` is writing" in call(two, "archive", folder, code=1).stderr
    os.close(lock)
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=processes.environment())
    processes.wait_for(lambda: process.poll() is not None or len(files(folder)) > count, "more files")
    process.send_signal(signal.SIGTERM)
    error = process.communicate(timeout=60)[1].decode()
    assert process.returncode in (0, 1) and (process.returncode == 0 or "goes on from there" in error), error
    archive(two, folder)
    assert by_fastavro(folder) == by_consumer(two, two.commands, 2)
    assert not (folder / ".byunique-archive-left").exists()


def test_another_topic_in_the_folder(one, sites, tmp_path):
    """Recreated, or of another cluster: it is not gone on with."""
    one.send(*[phone() for _ in range(5)], partition=0)
    archive(one, tmp_path / "a")
    one.admin.delete_topic(one.commands)
    one.admin.create_topic(one.commands, 1)
    assert "another topic of this name" in call(one, "archive", tmp_path / "a", code=1).stderr
    path = files(tmp_path / "a")[0]
    cluster = byunique_cluster(one)
    path.write_bytes(path.read_bytes().replace(cluster.encode(), cluster[::-1].encode()))
    assert "of another Kafka cluster" in call(one, "archive", tmp_path / "a", code=1).stderr
    (tmp_path / "a" / "x.avro").write_bytes(b"nothing")
    assert "x.avro is no whole Avro container file" in call(one, "archive", tmp_path / "a", code=1).stderr


def byunique_cluster(site):
    return site.admin.client.list_topics(timeout=30).cluster_id


# replay archive


def answered_twice(site, tmp_path):
    """A backup after 200 messages, an archive of 600, and a topic that holds the last 100."""
    world = gen.World(8, 2)
    site.init(*schemas.ALL)
    site.fill(world.model)
    sent = site.send(*world.messages(200))
    site.worker(**{"batch.max.commands": 30})
    site.wait_results(200)
    site.stop()
    backup = dump(site)
    sent += site.send(*world.messages(400))
    site.worker()
    site.wait_results(600)
    site.stop()
    archive(site, tmp_path / "archive", "--file-size", "1")
    for number, end in site.admin.log_ends(site.commands).items():
        site.admin.delete_records(site.commands, number, end - 50)
    restore(site, backup)
    return world, sent


def without_time(result):
    return dict(result.body, processed_at=None)


def test_fills_the_gap_of_a_restored_database(sites, tmp_path):
    """The worker refuses, the archive heals: everything is as if the database had never been lost."""
    site = sites(partitions=2)
    world, sent = answered_twice(site, tmp_path)
    before = {number: offset for number, offset in
              site.db.execute("SELECT partition, next_offset FROM position").fetchall()}
    refused = site.worker()
    assert refused.wait(60) == 4 and "no longer holds all that is needed" in refused.log
    assert "replay archive" in refused.log
    seen = look(site, tmp_path / "archive")
    ends = site.admin.log_ends(site.commands)
    assert seen["applied"] == 400 == sum(ends.values()) - sum(before.values()) and seen["refused"] > 0
    done = replay(site, tmp_path / "archive", "--partition", "1", **{"kafka.bootstrap.servers": "localhost:1"})
    assert done["applied"] == ends[1] - before[1]
    done = replay(site, tmp_path / "archive", **{"kafka.bootstrap.servers": "localhost:1"})
    assert done["done"] and done["applied"] == ends[0] - before[0]
    assert dict(site.db.execute("SELECT partition, next_offset FROM position").fetchall()) == ends
    expected = check.run_model(world.model, sent)
    check.tables(site, world.model)
    newest = site.send(*world.messages(100))
    site.worker()
    site.wait_results(700)
    site.stop()
    results = site.result_reader.to_end()
    assert len(results) == 700
    expected.update(check.run_model(world.model, newest))
    check.all_results(site, sent + newest, expected, results)
    check.tables(site, world.model)
    assert byunique.run(site.settings, "audit").returncode == 0
    # Read again, it says the same: what is stored of the archive's messages is what was published.
    call(site, "replay", "results", "--from", "beginning", "--yes")
    site.worker()
    kept = [result for result in results if result.source[1] >= ends[result.source[0]] - 50]
    again = site.wait_results(700 + len(kept))[700:]
    site.stop()
    assert {each.source: without_time(each) for each in again} == {each.source: without_time(each) for each in kept}


def test_killed_in_the_middle(sites, tmp_path):
    """Wherever it is killed, the same command goes on, and nothing takes effect twice."""
    site = sites(partitions=2)
    world, sent = answered_twice(site, tmp_path)
    site.note_effects()
    argv = [byunique.PROGRAM] + byunique.options(dict(site.settings, **{"batch.max.commands": "5"}))
    argv += ["replay", "archive", str(tmp_path / "archive"), "--yes", "--json"]
    kills = 0
    for _ in range(40):
        start = sum(row[0] for row in site.db.execute("SELECT next_offset FROM position").fetchall())
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=processes.environment())
        processes.wait_for(lambda: process.poll() is not None or start < sum(
            row[0] for row in site.db.execute("SELECT next_offset FROM position").fetchall()), "something to be applied",
            pause_s=0.002)
        process.kill()
        kills += process.wait(30) == -signal.SIGKILL
        if kills == 4:
            break
    replay(site, tmp_path / "archive")
    check.run_model(world.model, sent)
    check.tables(site, world.model)
    site.send(*world.messages(1))
    site.worker()
    site.wait_results(601)
    site.stop()
    assert byunique.run(site.settings, "audit").returncode == 0


def test_new_database(one, tmp_path):
    """All of a topic's history, into a database that knows nothing of it; repeating it does nothing."""
    one.send(*[phone("%d" % number) for number in range(9)], partition=0)
    archive(one, tmp_path / "a")
    assert look(one, tmp_path / "a")["applied"] == 9
    assert replay(one, tmp_path / "a")["applied"] == 9
    assert description(one) == "8"
    again = replay(one, tmp_path / "a")
    assert (again["done"], again["applied"], again["known"]) == (False, 0, 9)
    one.worker()
    assert [each.status for each in one.wait_results(9)] == [204] * 9
    one.stop()
    one.db.execute("DELETE FROM position")
    one.admin.delete_records(one.commands, 0, 4)
    archive(one, tmp_path / "b")
    said = call(one, "replay", "archive", tmp_path / "b", "--dry-run", code=1).stderr
    assert "begins behind what the database needs" in said and "begins at 4" in said


def test_refuses_beside_workers_and_unasked(one, tmp_path):
    one.send(*[phone("%d" % number) for number in range(3)], partition=0)
    archive(one, tmp_path / "a")
    backup = dump(one)
    worker = one.running()
    one.wait_results(3)
    one.stop()
    restore(one, backup)
    one.send(*[phone("a")] * 1, partition=0)
    assert "no terminal" in call(one, "replay", "archive", tmp_path / "a", code=2).stderr
    worker = one.running()
    one.wait_results(7)
    one.send(phone("b"), partition=0)
    one.wait_results(8)
    archive(one, tmp_path / "a")
    one.db.execute("UPDATE position SET next_offset = 4, owner = gen_random_uuid()")  # so that there is something to do
    said = call(one, "replay", "archive", tmp_path / "a", "--yes", code=1).stderr
    assert "1 worker of this database is running" in said
    worker.stop()


def test_messages_that_need_a_registry(registered, registry, tmp_path):  # noqa: F811
    """Without one they are not answered 400 for good, unless that is what they always were."""
    site = registered(partitions=1)
    number, _ = registry.store.register("writers", wire.COMMAND_SCHEMA)
    by_id = (HEADER, b"\0" + number.to_bytes(4, "big"))
    site.send(confluent(number, phone("framed")), site.message(phone("plain"), 0),
              Message(0, b"alice", wire.body_of(phone("framed, too")), [by_id]))
    archive(site, tmp_path / "a")
    nothing = {"schema.registry.url": ""}
    said = call(site, "replay", "archive", tmp_path / "a", "--yes", code=2, **nothing).stderr
    assert "2 messages of the archive name a schema of a registry" in said and "schema.registry.url" in said
    assert state(site)[0] == []
    assert look(site, tmp_path / "a", "--no-registry", **nothing)["refused"] == 2
    assert (look(site, tmp_path / "a")["refused"], replay(site, tmp_path / "a")["refused"]) == (0, 0)
    assert description(site) == "framed, too"


def damaged(kind, good):
    """A file as a disk, or a stranger, would make it."""
    mark = good[-16:]
    assert good.count(mark) == 2  # behind the header, and behind the one block
    if kind == "truncated":
        return good[:-9]
    if kind == "block missing":
        return good[:good.index(mark) + 16]
    if kind == "mark":
        at = good.rindex(mark)
        return good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]
    if kind == "codec":
        return good.replace(b"deflate", b"snowzip", 1)
    if kind == "topic":
        return good.replace(b"commands.", b"kommands.", 1)
    if kind == "unfinished":
        at = good.rindex(b"byunique.next_offset") + 21
        return good[:at] + b"0" * 20 + good[at + 20:]
    assert kind == "schema"
    return good.replace(b"LOG_APPEND_TIME", b"LOG_APPENDED_AT", 1)


@pytest.mark.parametrize("kind, said, code", [
    ("truncated", "the file ends within it", 1), ("block missing", "and its header promises 40", 1),
    ("mark", "its end is not marked", 1), ("codec", "packed with a codec", 2), ("unfinished", "was not finished", 1),
    ("schema", "was not written by `byunique archive`", 2), ("topic", "has a gap", 1), ("bit", "was changed", 1),
    ("missing", "has a gap", 1)])
def test_damaged_archives(broken, kind, said, code):
    """Nothing is applied, whatever is wrong, and wherever."""
    site, folder = broken
    second = files(folder)[1]
    good = second.read_bytes()
    try:
        if kind == "missing":
            second.unlink()
        elif kind == "bit":
            second.write_bytes(rewritten(second, good))
        else:
            second.write_bytes(damaged(kind, good))
        done = call(site, "replay", "archive", folder, "--yes", code=code)
        assert said in done.stderr and "archive" in done.stderr, done.stderr
        assert state(site)[0] == [] and description(site) is None
    finally:
        second.write_bytes(good)


def rewritten(path, good):
    """One value changed, in a file that is sound as an Avro file."""
    reader = fastavro.reader(io.BytesIO(good))
    records = list(reader)
    meta = {key: value for key, value in reader.metadata.items() if key.startswith("byunique.")}
    records[20]["value"] = records[20]["value"][:-1] + b"!"
    out = io.BytesIO()
    fastavro.writer(out, SCHEMA, records, codec="deflate", metadata=meta)
    return out.getvalue()


@pytest.fixture(scope="module")
def broken(postgres, kafka, tmp_path_factory):
    """Three files of forty messages; the database knows none of them."""
    from lib.site import Site
    folder = tmp_path_factory.mktemp("broken")
    site = Site(postgres, kafka, folder, partitions=1)
    try:
        site.init(schemas.PHONE)
        site.insert("Phone", "alice", PhoneNumber="1")
        for _ in range(3):
            site.send(*[phone("%d" % number) for number in range(40)], partition=0)
            archive(site, folder / "archive")
        yield site, folder / "archive"
    finally:
        site.close()


def test_sound_after_all(broken):
    """The archive of the tests above, undamaged, and rewritten by another program."""
    site, folder = broken
    path = files(folder)[2]
    reader = fastavro.reader(io.BytesIO(path.read_bytes()))
    records, meta = list(reader), {key: value for key, value in reader.metadata.items() if key.startswith("byunique.")}
    out = io.BytesIO()
    fastavro.writer(out, SCHEMA, records, codec="null", metadata=meta, sync_interval=100)
    path.write_bytes(out.getvalue())
    assert replay(site, *files(folder))["applied"] == 120
    # Another topic of this name: the last message processed is a different one there.
    site.db.execute("UPDATE position SET last_hash = last_hash # 1")
    assert "is not of the topic that was processed" in call(site, "replay", "archive", folder, "--yes", code=1).stderr


def test_of_another_topic_cluster_or_group(one, tmp_path):
    one.send(phone("x"), partition=0)
    one.running()
    one.wait_results(1)
    one.stop()
    archive(one, tmp_path / "a")
    archive(one, tmp_path / "r", "--topic", "results")
    assert "holds nothing of the topic" in call(one, "replay", "archive", tmp_path / "r", "--yes", code=2).stderr
    assert "from another consumer group" in call(one, "replay", "archive", tmp_path / "a", "--yes", code=1,
                                                 **{"kafka.group.id": "other"}).stderr
    one.db.execute("UPDATE position SET cluster_id = 'elsewhere'")
    assert "from another Kafka cluster" in call(one, "replay", "archive", tmp_path / "a", "--yes", code=1).stderr
    (tmp_path / "empty").mkdir()
    assert "no archive" in call(one, "replay", "archive", tmp_path / "empty", "--yes", code=2).stderr
    assert "can't be read" in call(one, "replay", "archive", tmp_path / "none", "--yes", code=2).stderr


def test_marks_of_transactions_at_the_end(one, tmp_path):
    """The position comes to stand behind them, so that a topic that begins there holds all that is needed."""
    producer = Producer(dict(client.QUIET, **{"bootstrap.servers": one.kafka.servers, "transactional.id": one.group}))
    producer.init_transactions(30)
    producer.begin_transaction()
    for text in "ab":
        producer.produce(one.commands, wire.encode(phone(text)), key=b"alice", partition=0)
    producer.commit_transaction(30)
    assert archive(one, tmp_path / "a")[0] == (0, 3, 2)
    one.admin.delete_records(one.commands, 0, 3)
    assert replay(one, tmp_path / "a")["applied"] == 2
    assert one.db.execute("SELECT next_offset, last_offset FROM position").fetchone() == (3, 1)
    one.db.execute("UPDATE position SET published_offset = 3")  # as it is where they were answered before
    one.running()
    assert one.answers(phone("c"))[0].status == 204
    one.stop()
    assert description(one) == "c"
