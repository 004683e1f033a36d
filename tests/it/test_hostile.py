"""What is made to hurt: messages after accidents of every kind, by the thousand and in both framings; schemas that ask for
too much; a registry that lies; text that other programs stumble over. Memory is watched."""

import gzip
import io
import json
import os
import random
import re

import fastavro
import pytest

from lib import byunique, check, client, schemas, wire
from lib.gen import Message
from lib.model import Model
from lib.registry import TYPE, Registry
from lib.site import new_id
from lib.wire import Command, string, zigzag

MESSAGES = int(os.environ.get("BYUNIQUE_MUTATIONS", "3000"))
OURS = fastavro.parse_schema(wire.plain(wire.COMMAND_SCHEMA))
NUMBERS = ["1", "2", "3"]

# Where the worker refuses what fastavro takes: it looks neither at a block's size, nor at the range of a number or a branch
# (Python's lists have a last element, too), nor at the byte of a boolean.
STRICTER = re.compile("boolean is neither|a block|more than (32|64) bits|a length is negative|index of a union or an enum")


@pytest.fixture
def registry():
    server = Registry().start()
    yield server
    server.close()


def memory_bytes(worker, name):
    with open("/proc/%d/status" % worker.process.pid) as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":"))


def grown_bytes(worker, before):
    """The most that it has taken since. A build with sanitizers keeps what was freed, 256 MiB of it."""
    return memory_bytes(worker, "VmHWM") - before - ((300 << 20) if "sanitize" in byunique.PROGRAM else 0)


def a_schema(before=(), after=(), kinds=tuple(wire.KINDS)):
    """Our schema with fields around it."""
    fields = [dict(each) for each in wire.plain(wire.COMMAND_SCHEMA)["fields"]]
    fields[3]["type"] = {"type": "map", "values": list(kinds)}
    return {"type": "record", "name": "UpdateByUnique", "namespace": "byunique", "fields": [*before, *fields, *after]}


NODE = {"type": "record", "name": "Node", "fields": [{"name": "n", "type": "int"}, {"name": "next", "type": ["null", "Node"]}]}
WRITERS = [
    a_schema(), a_schema(kinds=("string", "null", "long")),
    a_schema(before=[{"name": "list", "type": {"type": "array", "items": {"type": "map", "values": "double"}}},
                     {"name": "six", "type": {"type": "fixed", "name": "Six", "size": 6}}],
             after=[{"name": "colour", "type": {"type": "enum", "name": "Colour", "symbols": ["red", "green"]}},
                    {"name": "any", "type": ["null", "Six", {"type": "array", "items": "Colour"}, "bytes"]},
                    {"name": "node", "type": NODE}]),
]


def a_record(rng, schema):
    attributes = {"PhoneNumber": rng.choice(NUMBERS + ["9"]), "prefix": rng.choice(["+1", None, "é😀"]),
                  "description": "x" * rng.choice([0, 5, 300])}
    deep = {"n": 1, "next": {"n": 2, "next": None}}
    values = {"command_id": new_id(), "customer_id": rng.choice(["alice", "bob"]), "ext_name": "phone",
              "attributes": attributes, "batch_id": rng.choice([None, "b"]), "issued_at": rng.choice([None, 2**40]),
              "list": [{"a": 0.5}, {}], "six": b"sixsix", "colour": "green",
              "any": rng.choice([None, b"sixsix", ["red", "green"]]), "node": deep}
    return {field["name"]: values[field["name"]] for field in schema["fields"]}


def damaged(rng, body):
    """A body after up to three accidents, or after none."""
    for _ in range(rng.choice([0, 0, 1, 1, 1, 1, 2, 3])):
        at = rng.randrange(len(body)) if body else 0
        number = zigzag(rng.choice([-1, 1, 2, 63, 64, -64, 2**31, -2**31, 2**40, 2**62, wire.LONG_MIN, wire.LONG_MAX,
                                    rng.randrange(len(body) + 2)]))
        body = rng.choice([
            lambda: body[:at] + bytes([(body[at] if body else 0) ^ 1 << rng.randrange(8)]) + body[at + 1:],
            lambda: body[:at],
            lambda: body[:at] + number + body[at + 1:],
            lambda: body[:at] + number + body[at:],
            lambda: body[:at] + body[at + rng.randrange(1, 9):],
            lambda: body[:at] + body[rng.randrange(len(body) + 1):][:40] + body[at:],
            lambda: body + rng.randbytes(rng.randrange(1, 5)),
            lambda: body[:at] + rng.choice([b"\xff" * 9 + b"\1", b"\x80" * 11, b"\xed\xa0\x80", b"\0" * 30]) + body[at:],
        ])()
    return body


def by_fastavro(schema, body):
    """What another implementation reads of all the bytes, or None. It does not look at the text that it passes over, so it
    reads everything first."""
    source = io.BytesIO(body)
    try:
        fastavro.schemaless_reader(io.BytesIO(body), schema)
        read = fastavro.schemaless_reader(source, schema, OURS, return_record_name=False)
    except Exception:  # its own errors are of many kinds
        return None
    return read if source.read(1) == b"" else None


def kind_of(value):
    return {type(None): "null", bool: "boolean", int: "long", float: "double", str: "string"}[type(value)]


def agrees(result, read, model):
    """Is the answer the one that another reader and the model of the contract come to?"""
    if result.code == "MalformedMessage":
        assert result.body["command_id"] is None
        return read is None or STRICTER.search(result.body["error"]["detail"])
    if read is None or any(result.body[name] != read[name] for name in ("command_id", "customer_id", "ext_name", "batch_id",
                                                                        "issued_at")):
        return False
    if result.code == "DuplicateAttribute":
        return True  # of two equal names fastavro keeps one
    attributes = tuple((name, kind_of(value), value) for name, value in read["attributes"].items())
    answer = model.answer(Command(**dict(read, attributes=attributes)), 0)
    return (result.status, result.code, result.body["duplicate"]) == (answer.status, answer.code, answer.duplicate)


def confluent_reader(site):
    body_of = fastavro.parse_schema(wire.plain(wire.RESULT_SCHEMA))
    return site.reader(site.results, lambda record: client.Result(
        record, lambda value: fastavro.schemaless_reader(io.BytesIO(value[5:]), body_of)))


def test_by_the_thousand(sites, registry, tmp_path):
    """Valid messages of three writers, damaged: each is answered once, as an independent reader and the model say."""
    rng = random.Random(20091218)
    folder = tmp_path / "schemas"
    folder.mkdir()
    for number, schema in enumerate(WRITERS):
        (folder / ("%d.avsc" % number)).write_text(json.dumps(schema))
    site = sites(partitions=1, **{"schema.registry.url": registry.url, "schemas.dir": str(folder)}).init(schemas.PHONE)
    site.result_reader = confluent_reader(site)
    model = Model(schemas.PHONE)
    for customer in ("alice", "bob"):
        for number in NUMBERS:
            site.insert("Phone", customer, PhoneNumber=number)
            [row] = [row for place, row in site.rows(model.extensions["phone"]).items() if place == (customer, (number,))]
            model.insert("Phone", customer, row)
    ids = [registry.store.register("w%d" % number, schema)[0] for number, schema in enumerate(WRITERS)]
    parsed = [fastavro.parse_schema(schema) for schema in WRITERS]
    cases, messages = [], []
    for _ in range(MESSAGES):
        number = rng.randrange(len(WRITERS))
        body = damaged(rng, wire.body_with(WRITERS[number], a_record(rng, WRITERS[number])))
        single = rng.random() < 0.5
        value = (wire.single_object(wire.fingerprint(WRITERS[number]), body) if single else
                 wire.confluent(ids[number], body))
        read = by_fastavro(parsed[number], body)
        if rng.random() < 0.03:
            at = rng.randrange(10 if single else 5)
            value, read = value[:at] + bytes([value[at] ^ 0x55]) + value[at + 1:], None
        cases.append(read)
        messages.append(Message(0, b"alice", value, []))
    worker = site.running()
    before = memory_bytes(worker, "VmRSS")
    sent = site.send(*messages)
    results = site.results_of(sent, timeout_s=120)
    for record, read, result in zip(sent, cases, results):
        assert agrees(result, read, model), (record.value, read, result.body)
    malformed = sum(result.code == "MalformedMessage" for result in results)
    assert MESSAGES // 2 < malformed < MESSAGES * 9 // 10
    assert sum(result.code == "DuplicateAttribute" for result in results) < MESSAGES // 20
    assert grown_bytes(worker, before) < 100 << 20
    check.tables(site, model)
    site.stop()
    assert len(site.result_reader.to_end()) == len(sent)
    check.dead_letters(site, sent, results, site.reader(site.dead_letters).to_end())


def test_memory_of_attributes(site):
    """A megabyte of attributes of two bytes, over and over, and of many names: refused as their names say, in little memory."""
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    worker = site.running()
    before = memory_bytes(worker, "VmRSS")

    def message(attributes, count):
        body = string(new_id()) + string("alice") + string("Phone") + zigzag(count) + attributes + b"\0" + b"\0\0"
        return Message(0, b"alice", wire.single_object(wire.COMMAND_FINGERPRINT, body), [])

    number, other = string("phoneNUMBER") + b"\0", string("x") + b"\0"
    many = b"".join(string("%05d" % at) + b"\0" for at in range(100000))
    messages = [message(b"\0\0" * 500000, 500000), message(many, 100000), message(number * 70000, 70000),
                message(number * 70000 + other, 70001)]
    sent = site.send(*messages * 12)
    results = site.results_of(sent, timeout_s=120)
    assert [(each.code, each.body["error"]["attribute"]) for each in results] == [
        ("UnknownAttribute", ""), ("UnknownAttribute", "00000"), ("DuplicateAttribute", "PhoneNumber"),
        ("UnknownAttribute", "x")] * 12
    assert grown_bytes(worker, before) < 300 << 20
    site.stop()


def nested(depth):
    kind = "int"
    for _ in range(depth):
        kind = {"type": "array", "items": kind}
    return kind


def test_schemas_that_ask_for_too_much(sites, registry):
    """What a producer can have registered costs neither time nor memory worth the name, and only its own messages."""
    names = [{"name": "f%d" % at, "type": ["null", "R"]} for at in range(9000)]
    asking = [
        a_schema(before=[{"name": "deep", "type": nested(70)}]),
        a_schema(before=[{"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["s%d" % at for at in range(90000)]}}]),
        a_schema(before=[{"name": "r", "type": {"type": "record", "name": "R", "namespace": "n" * 300000, "fields": names}}]),
        a_schema(before=[{"name": "f%d" % at, "type": "null"} for at in range(40000)]),
        "[" * 100000, "{" * 100000, '"' + "\\u0000" * 1000 + '"', json.dumps(a_schema()).replace("}", ", \"doc\": 1e999}"),
        dict(a_schema(), doc="x" * (1 << 20)),
    ]
    site = sites(partitions=1, **{"schema.registry.url": registry.url}).init(schemas.PHONE)
    site.result_reader = confluent_reader(site)
    site.insert("Phone", "alice", PhoneNumber="1")
    command = Command(new_id(), "alice", "Phone", (("PhoneNumber", "string", "1"),))
    answers = {}

    def schema_of(path, schema, *references, **more):
        text = schema if isinstance(schema, str) else json.dumps(schema)
        listed = [{"name": subject, "subject": subject, "version": 1} for subject in references]
        answers["GET " + path] = json.dumps(dict(more, schema=text, references=listed)).encode()

    def subject_of(name, *references):
        schema_of("/subjects/%s/versions/1?deleted=true" % name, {"type": "record", "name": name, "fields": []}, *references)

    for number, schema in enumerate(asking):
        schema_of("/schemas/ids/%d" % (1000 + number), schema)
    schema_of("/schemas/ids/2000", "syntax = \"proto3\"; // \0", schemaType="PROTOBUF")
    schema_of("/schemas/ids/2001", a_schema(), "chain_0")
    schema_of("/schemas/ids/2002", a_schema(), *["fan_%d" % at for at in range(300)])
    schema_of("/schemas/ids/2003", a_schema(), "knot_0")
    for at in range(300):
        subject_of("fan_%d" % at)
        subject_of("chain_%d" % at, "chain_%d" % (at + 1))
        subject_of("knot_%d" % at, "knot_%d" % ((at + 1) % 3), "knot_%d" % at)
    ids = [int(path.rpartition("/")[2]) for path in answers if "/ids/" in path]
    registry.trouble = lambda request: (200, TYPE, answers[request]) if request in answers else None
    good, _ = registry.store.register("good", a_schema())
    worker = site.running()
    before = memory_bytes(worker, "VmRSS")
    sent = site.send(*[Message(0, b"alice", wire.confluent(at, wire.body_of(command.but(command_id=new_id()))), [])
                       for at in ids + [good]])
    results = site.results_of(sent)
    details = [result.body["error"] and result.body["error"]["detail"] for result in results]
    assert [result.code for result in results] == ["MalformedMessage"] * (len(ids) - 1) + [None] * 2, details
    assert [registry.asked("/subjects/" + name) for name in ("fan", "chain", "knot")] == [201, 32, 3]
    assert grown_bytes(worker, before) < 300 << 20
    site.stop()


def test_a_registry_that_lies(sites, registry):
    """Answers that unpack to gigabytes are not unpacked, and nobody is followed elsewhere; then it tells the truth."""
    site = sites(partitions=1, **{"schema.registry.url": registry.url}).init(schemas.PHONE)
    site.result_reader = confluent_reader(site)
    site.insert("Phone", "alice", PhoneNumber="1")
    bomb = gzip.compress(b" " * (64 << 20))
    elsewhere = Registry(registry.store).start()
    lies = [(200, TYPE, bomb, [("Content-Encoding", "gzip")]),
            (302, TYPE, b"", [("Location", elsewhere.url + "/schemas/ids/1")]),
            (200, TYPE, b"[" * 1000000), (200, TYPE, b'{"schema":' * 100000)]
    told = []

    def lie(request):
        if "/schemas/" not in request or len(told) == len(lies):
            return None
        told.append(request)
        return lies[len(told) - 1]

    try:
        known, _ = registry.store.register("known", a_schema())
        worker = site.running()
        before = memory_bytes(worker, "VmRSS")
        registry.trouble = lie
        command = Command(new_id(), "alice", "Phone", (("PhoneNumber", "string", "1"),))
        sent = site.send(Message(0, b"alice", wire.confluent(known, wire.body_of(command)), []))
        [result] = site.results_of(sent, timeout_s=120)
        assert result.status == 204 and len(told) == len(lies)
        assert not elsewhere.requests
        assert grown_bytes(worker, before) < 200 << 20
        site.stop()
    finally:
        elsewhere.close()


# Text

WORDS = ["user", "select", "Order", "GROUP", "table", "primary", "end", "default", "null", "true", "analyse", "all"]
RESERVED = {"name": "Select", "type": "multi-valued", "unique": ["user", "Order"],
            "attributes": [{"name": word, "type": "string", "length": 60} for word in WORDS]}
TEXTS = ["'; DROP TABLE profile; --", "\" OR \"\"=\"", "$1", "$$", "%s", "\\'; SELECT 1", "E'\\x00'", "{}", "{\"a\",NULL}", "NULL",
         "\\N", "\\.", "(1,2)", "a\r\nb\tc", "😀" * 60, "\U0010FFFF" * 60, "مرحبا بالعالم", "\u202eabc\u202c", "e\u0301é",
         "\ufeff", "\x01\x7f\x80", "\ufffe\uffff", "İıſKß", "x" * 60, " ", "</script>", "\u2028"]


def test_text_is_stored_exactly_or_refused(site):
    """Under names that are words of SQL: extension, key, values and customers."""
    site.init(RESERVED)
    customers = ["'; --", "\"a\"", "$1", "😀" * 16, "\\", "%s", "مرحبا"]
    others = [word for word in WORDS if word not in ("user", "Order")]

    def command(number, customer=None, ext_name="sELECT", **values):
        key = {"USER": "$$'\"", "order": "\\;%d" % number}
        return Command(new_id(), customers[number % len(customers)] if customer is None else customer, ext_name,
                       tuple((name, "string", value) for name, value in dict(key, **values).items()))

    for number in range(len(TEXTS)):
        site.insert("Select", customers[number % len(customers)], user="$$'\"", Order="\\;%d" % number)
    site.running()
    good = [command(number, **dict.fromkeys(others, text)) for number, text in enumerate(TEXTS)]
    too_much = [("select", "x" * 61), ("select", "😀" * 61), ("select", "a\0"), ("all", "\0"), ("null", "e\u0301" * 31)]
    of_values = [command(0, **{name: text}) for name, text in too_much]
    of_customers = [command(0, customer=each) for each in ("😀" * 17, "a\0b", "'")]
    of_names = [command(0, ext_name=each) for each in ("Select; --", "\"Select\"", "Sélect", "select\0", "ſelect")]
    results = [result.code for result in site.answers(*good, *of_values, *of_customers, *of_names)]
    assert results == [None] * len(good) + ["InvalidAttributeValue"] * len(of_values) + [
        "InvalidCustomerId", "InvalidCustomerId", "CustomerNotFound"] + ["InvalidExtensionName"] * len(of_names)
    columns = ", ".join('"%s"' % word.lower() for word in others)
    rows = {row[0]: row[1:] for row in site.db.execute("SELECT \"order\", %s FROM ext_select" % columns)}
    assert rows == {"\\;%d" % number: (text,) * len(others) for number, text in enumerate(TEXTS)}
    assert site.db.execute("SELECT count(*) FROM profile").fetchone() == (len(customers),)
    shown = byunique.must(site.settings, "schema", "show", "select")
    assert all(word in shown for word in WORDS)
    site.stop()
