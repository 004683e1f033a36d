"""Bytes: framings, writer's schemas other than ours, and messages made to hurt."""

import json
import os
import random

import pytest

from lib import check, client, gen, schemas, wire
from lib.gen import Message
from lib.model import DONE, Answer
from lib.site import new_id
from lib.wire import Command, string, zigzag

MALFORMED = Answer(400, "MalformedMessage")
MUTATIONS = int(os.environ.get("BYUNIQUE_MUTATIONS", "3000"))


def writer(name="UpdateByUnique", namespace="byunique", **changes):
    """Our schema with fields changed (a type), removed (None) or added (a type, at the front)."""
    ours = {each["name"]: each["type"] for each in wire.plain(wire.COMMAND_SCHEMA)["fields"]}
    added = [name for name in changes if name not in ours]
    kept = [name for name in ours if changes.get(name, "") is not None]
    types = dict(ours, **changes)
    return {"type": "record", "name": name, "namespace": namespace,
            "fields": [{"name": each, "type": types[each]} for each in added + kept]}


def values_of(*kinds):
    return {"type": "map", "values": list(kinds) if len(kinds) > 1 else kinds[0]}


LIST = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
MANY = {
    "a_record": {"type": "record", "name": "Inner",
                 "fields": [{"name": "x", "type": "double"}, {"name": "y", "type": "bytes"}]},
    "an_enum": {"type": "enum", "name": "Colour", "symbols": ["red", "green"]},
    "a_fixed": {"type": "fixed", "name": "Six", "size": 6},
    "an_array": {"type": "array", "items": {"type": "map", "values": "float"}},
    "a_union": ["null", "Colour", {"type": "array", "items": "Six"}],
}
MANY_VALUES = {"a_record": {"x": 1.5, "y": b"\xff\0"}, "an_enum": "green", "a_fixed": b"sixsix",
               "an_array": [{"a": 1.0, "b": 2.0}, {}], "a_union": [b"sixsix"] * 3}
PLAIN = {"PhoneNumber": "1", "prefix": "+33"}

# name: (writer's schema, what its record has besides or instead, the prefix stored or None where it can't be resolved)
WRITERS = {
    "older": (writer(batch_id=None, issued_at=None), {}, "+33"),
    "fewer kinds": (writer(attributes=values_of("null", "string")), {}, "+33"),
    "kinds in another order": (writer(attributes=values_of("string", "long", "null")), {}, "+33"),
    "strings only": (writer(attributes=values_of("string")), {}, "+33"),
    "newer": (writer(**MANY), MANY_VALUES, "+33"),
    "another namespace": (writer(namespace="com.example"), {}, "+33"),
    "required batch": (writer(batch_id="string", issued_at="int"), {"batch_id": "b", "issued_at": 5}, "+33"),
    "nullable customer": (writer(customer_id=["null", "string"]), {}, "+33"),
    "null customer": (writer(customer_id=["null", "string", "int"]), {"customer_id": None}, None),
    "bytes promoted": (writer(customer_id="bytes"), {"customer_id": b"alice"}, "+33"),
    "bytes that are no text": (writer(customer_id="bytes", batch_id=None), {"customer_id": b"alice\xff"}, None),
    "bytes as a value": (writer(attributes=values_of("null", "string", "bytes")),
                         {"attributes": {"PhoneNumber": "1", "prefix": b"+33"}}, "+33"),
    "a kind we lack, not used": (writer(attributes=values_of("string", {"type": "array", "items": "int"})), {}, "+33"),
    "a kind we lack, used": (writer(attributes=values_of("null", "string", {"type": "array", "items": "int"})),
                             {"attributes": {"PhoneNumber": "1", "prefix": [1]}}, None),
    "no command id": (writer(command_id=None), {}, None),
    "no attributes": (writer(attributes=None), {}, None),
    "a name of another type": (writer(ext_name="int"), {"ext_name": 5}, None),
}


def record_for(schema, changes):
    whole = {"command_id": new_id(), "customer_id": "alice", "ext_name": "Phone", "attributes": PLAIN, "batch_id": None,
             "issued_at": None}
    return {each["name"]: changes.get(each["name"], whole.get(each["name"])) for each in schema["fields"]}


def folder_of(path, files):
    path.mkdir()
    for number, content in enumerate(files):
        (path / ("writer-%d.avsc" % number)).write_text(json.dumps(content))
    (path / "notes.txt").write_text("no schema")
    return str(path)


def test_other_writers_schemas(sites, tmp_path):
    written = [schema for schema, _, _ in WRITERS.values()]
    site = sites(**{"schemas.dir": folder_of(tmp_path / "schemas", written)}).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    site.worker()
    for name, (schema, changes, prefix) in WRITERS.items():
        site.db.execute("UPDATE ext_phone SET prefix = 'old'")
        record = record_for(schema, changes)
        known = len(site.result_reader.seen)
        [sent] = site.send(Message(0, b"alice", wire.with_schema(schema, record), []))
        result = site.wait_results(known + 1)[known]
        assert result.source == sent.at
        assert result.code == (None if prefix else "MalformedMessage"), (name, result.body)
        assert site.db.execute("SELECT prefix FROM ext_phone").fetchall() == [(prefix or "old",)], name
        if prefix:
            assert result.body["command_id"] == record["command_id"] and result.body["customer_id"] == "alice", name
            assert result.body["batch_id"] == record.get("batch_id"), name
            assert result.body["issued_at"] == record.get("issued_at"), name
    site.stop()


def test_numbers_of_other_writers(sites, tmp_path):
    """Every number arrives with its value, whichever of Avro's types carried it."""
    kinds = ("int", "long", "float", "double")
    writers = {kind: writer(attributes=values_of("null", "string", kind)) for kind in kinds}
    site = sites(**{"schemas.dir": folder_of(tmp_path / "schemas", writers.values())}).init(schemas.EVERYTHING)
    site.insert("Everything", "alice", label="a", Number=7, required="r")
    site.worker()
    messages = []
    for kind, schema in writers.items():
        attributes = {"label": "a", "ratio": (kind, 3 if kind in ("int", "long") else 0.5)}
        number = {"Number": ("int", 7)} if kind == "int" else {"Number": ("long", 7)} if kind == "long" else {}
        record = record_for(schema, {"ext_name": "Everything", "attributes": dict(attributes, **number)})
        messages.append(Message(0, None, wire.with_schema(schema, record), []))
    results = []
    for message in messages:
        site.send(message)
        results.append(site.wait_results(len(results) + 1)[-1].code)
        ratio = site.db.execute("SELECT ratio FROM ext_everything").fetchone()[0]
        assert ratio in (None, 3.0)
    assert results == [None, None, "MissingUniqueAttribute", "MissingUniqueAttribute"]
    site.stop()


def test_extra_fields_made_to_hurt(sites, tmp_path):
    """A well-formed message of a known schema can still be a trap: endless lists of nothing, endless depth."""
    nothing = writer(many={"type": "array", "items": "null"})
    deep = writer(deep=LIST)
    site = sites(**{"schemas.dir": folder_of(tmp_path / "schemas", [nothing, deep])}).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    body = wire.body_of(Command(new_id(), "alice", "Phone", (("PhoneNumber", "string", "1"),)))

    def message(schema, prefix):
        return Message(0, b"alice", wire.single_object(wire.fingerprint(schema), prefix + body), [])

    traps = [zigzag(2**40) + zigzag(0), zigzag(2**62) + zigzag(0), zigzag(-2**62) + zigzag(0) + zigzag(0),
             zigzag(wire.LONG_MIN) + zigzag(0) + zigzag(0), (zigzag(2**30) * 100) + zigzag(0)]
    worker = site.worker()
    sent = site.send(*[message(nothing, trap) for trap in traps], message(deep, zigzag(1) * 500000 + zigzag(0)),
                     message(nothing, zigzag(3) + zigzag(0)), message(deep, zigzag(1) * 3 + zigzag(0)))
    results = site.results_of(sent, timeout_s=20)
    assert {result.code for result in results[:-2]} <= {None, "MalformedMessage"}
    assert [result.status for result in results[-2:]] == [204, 204]
    assert worker.alive
    site.stop()


def body(command_id=None, customer_id=b"alice", ext_name=b"Phone", attributes=b"\0", rest=b"\0\0"):
    command_id = new_id() if command_id is None else command_id
    return string(command_id) + string(customer_id) + string(ext_name) + attributes + rest


def one_attribute(name=b"PhoneNumber", union=zigzag(6), value=string("1"), count=zigzag(1), end=zigzag(0)):
    return count + string(name) + union + value + end


BAD_UTF8 = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"\xf8\x88\x80\x80\x80"]
BAD_BODIES = [
    b"", b"\0", zigzag(-1), zigzag(2**62), zigzag(wire.LONG_MIN), b"\xff" * 9 + b"\x01", b"\xff" * 10 + b"\x01",
    b"\x80" * 12, body() + b"\0", body()[:-1], body(rest=b"\0"), body(rest=b""), body(rest=zigzag(2) + b"\0"),
    body(rest=zigzag(-1) + b"\0"), body(rest=b"\0" + zigzag(1)), body(rest=b"\0" + zigzag(1) + b"\x80" * 11),
    body(attributes=one_attribute(union=zigzag(7))), body(attributes=one_attribute(union=zigzag(-1))),
    body(attributes=one_attribute(union=zigzag(wire.LONG_MAX))),
    body(attributes=one_attribute(union=zigzag(2**32 + 6))),
    body(attributes=one_attribute(union=zigzag(1), value=b"\x02")),
    body(attributes=one_attribute(union=zigzag(1), value=b"\xff")),
    body(attributes=one_attribute(union=zigzag(2), value=zigzag(2**31))),
    body(attributes=one_attribute(union=zigzag(2), value=zigzag(-2**31 - 1))),
    body(attributes=one_attribute(value=zigzag(-5) + b"abcde")),
    body(attributes=one_attribute(value=zigzag(2**31) + b"a")), body(attributes=one_attribute(count=zigzag(2))),
    body(attributes=one_attribute(count=zigzag(2**60))),
    body(attributes=one_attribute(count=zigzag(wire.LONG_MIN) + zigzag(17))),
    body(attributes=one_attribute(count=zigzag(-1) + zigzag(-17))),
    body(attributes=one_attribute(count=zigzag(-1) + zigzag(2**62))), body(attributes=one_attribute(end=b"")),
    body(attributes=one_attribute(end=zigzag(1))),
]
for each in BAD_UTF8:
    BAD_BODIES += [body(command_id=each), body(customer_id=b"a" + each), body(ext_name=each + b"a"),
                   body(rest=zigzag(1) + string(each) + b"\0"), body(attributes=one_attribute(name=each)),
                   body(attributes=one_attribute(value=string(each)))]
BAD_VALUES = [
    None, b"", b"\0", b"\0\0\0\0\1", b"\0\0\0\0\1" + body(attributes=one_attribute()),
    b"\xc3", b"\xc3\x01", b"\xc3\x01" + b"\0" * 7,
    b"\xc3\x02" + wire.encode(Command("", "", ""))[2:], b"\xc3\x01" + b"\0" * 8 + body(), b"Obj\x01", b"{}", body(),
    b"\x01" + body(), b"\xc3\x01" + wire.COMMAND_FINGERPRINT.to_bytes(8, "big") + body(attributes=one_attribute()),
    wire.single_object(wire.RESULT_FINGERPRINT, body()),
] + [wire.single_object(wire.COMMAND_FINGERPRINT, each) for each in BAD_BODIES]

# Readable, though not as the specification writes it: a good answer is 204, or that the bytes are malformed.
DOUBTFUL = [
    body(attributes=one_attribute(count=zigzag(-1) + zigzag(16))),
    body(attributes=one_attribute(count=zigzag(-1) + zigzag(0))),
    body(attributes=one_attribute(count=b"\x82\x80\x00")), body(attributes=one_attribute(union=b"\x8c\x00")),
    body(attributes=one_attribute(end=b"\x80\x00")), body(attributes=one_attribute(), rest=b"\x80\x80\x80\x00\x00"),
]
# Unusual, but by the specification.
SIZE = len(one_attribute()) - 2
GOOD = [
    body(attributes=one_attribute(count=zigzag(-1) + zigzag(SIZE))),
    body(attributes=one_attribute(end=one_attribute(name=b"prefix", value=string("+2")))),
    body(attributes=one_attribute(count=zigzag(-1) + zigzag(SIZE),
                                  end=one_attribute(name=b"prefix", union=zigzag(0), value=b""))),
    body(attributes=one_attribute(), rest=zigzag(1) + string("\0") + zigzag(1) + zigzag(wire.LONG_MIN)),
]


def test_handmade_messages():
    """The lists hold what they claim, by the tests' own decoder."""
    for value in BAD_VALUES:
        with pytest.raises(wire.Malformed):
            wire.decode(value)
    assert all(wire.decode(wire.single_object(wire.COMMAND_FINGERPRINT, each))[1] for each in DOUBTFUL)
    assert not any(wire.decode(wire.single_object(wire.COMMAND_FINGERPRINT, each))[1] for each in GOOD)


def test_handmade_messages_are_answered(site):
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    valid = [wire.single_object(wire.COMMAND_FINGERPRINT, each) for each in GOOD + DOUBTFUL]
    sent = site.send(*[Message(0, b"alice", value, [("h", b"1")]) for value in valid + BAD_VALUES])
    worker = site.worker()
    results = site.wait_results(len(sent))
    expected = {record.at: [MALFORMED] for record in sent}
    for number, record in enumerate(sent[:len(valid)]):
        expected[record.at] = [DONE] if number < len(GOOD) else [DONE, MALFORMED]
    check.all_results(site, sent, expected, results)
    assert worker.alive
    site.stop()
    check.dead_letters(site, sent, results, site.reader(site.dead_letters).to_end())


def test_mutated_messages(site):
    """Thousands of messages after an accident: each is answered as the decoder and the model say."""
    world = gen.World(20091218, site.partitions)
    site.init(*schemas.ALL)
    site.fill(world.model)
    worker = site.worker()
    sent = site.send(*[world._broken() for _ in range(MUTATIONS)])
    results = site.wait_results(len(sent))
    expected = check.run_model(world.model, sent)
    assert sum(answers == [MALFORMED] for answers in expected.values()) > MUTATIONS / 2
    check.all_results(site, sent, expected, results)
    check.tables(site, world.model)
    assert worker.alive
    site.stop()
    check.dead_letters(site, sent, results, site.reader(site.dead_letters).to_end())


def test_largest_messages(site):
    """What just fits into the commands topic is answered, and its dead letter is kept, though both are larger."""
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    noise = random.Random(1).randbytes(1048000)
    room = 1048588 - 200  # the broker's own limit, less what a batch adds
    command = Command(new_id(), "alice", "Phone", (("PhoneNumber", "string", "1"), ("prefix", "string", "+4")))
    long_text = command.but(attributes=(("PhoneNumber", "string", "1"), ("description", "string", "x" * (room - 500))))
    messages = [Message(0, b"alice", noise[:room - 100], []),
                site.message(long_text, 0),
                site.message(command, 0, headers=[("big", noise[:room - 500])]),
                Message(0, noise[:room - 300], wire.encode(command.but(command_id=new_id())), []),
                site.message(command.but(command_id=new_id(), batch_id="b" * (room - 500)), 0),
                site.message(command.but(command_id="x" * (room - 500)), 0)]
    worker = site.worker()
    sent = site.send(*messages)
    results = site.results_of(sent, timeout_s=20)
    codes = ["MalformedMessage", "InvalidAttributeValue", None, None, None, "InvalidCommandId"]
    assert [result.code for result in results] == codes
    assert [result.key for result in results] == [record.key for record in sent]
    assert worker.alive
    site.stop()
    [letter] = site.reader(site.dead_letters).to_end()
    assert letter.value == noise[:room - 100]


def test_compressed_giant(site):
    """The broker's limit is on the compressed size: a message can be many times larger once it is read."""
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    site.sender = client.Sender(site.kafka.servers, site.commands, **{"compression.type": "gzip"})
    giant = b"\xC3\x01" + b"\0" * 5000000
    sent = site.send(Message(0, b"alice", giant, []))
    sent += site.send(Command(new_id(), "alice", "Phone", (("PhoneNumber", "string", "1"),)), partition=0)
    worker = site.worker()
    results = site.results_of(sent, timeout_s=20)
    assert [result.code for result in results] == ["MalformedMessage", None]
    assert worker.alive
    site.stop()
    [letter] = site.reader(site.dead_letters).to_end()
    assert letter.value == giant
