"""With a schema registry: Confluent's framings in and out, by the clients that producers have; the registry away, wrong,
or guarded; schemas that say more of a value than its encoding does."""

import copy
import io
import json
import random
import subprocess
import uuid
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import fastavro
import pytest
from confluent_kafka.schema_registry import (SchemaRegistryClient, header_schema_id_serializer,
                                             prefix_schema_id_deserializer)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from lib import byunique, check, client, processes, schemas, wire
from lib.gen import Message
from lib.model import Model
from lib.registry import Registry, basic, failing
from lib.site import new_id
from lib.wire import Command

RESULT = fastavro.parse_schema(wire.plain(wire.RESULT_SCHEMA))
HEADER = "__value_schema_id"


def command(prefix="+1", customer="alice", **more):
    return Command(new_id(), customer, "Phone", (("PhoneNumber", "string", "1"), ("prefix", "string", prefix)), **more)


def record_of(each):
    """A Command as fastavro and confluent-kafka take it."""
    return {"command_id": each.command_id, "customer_id": each.customer_id, "ext_name": each.ext_name,
            "attributes": {name: value for name, _, value in each.attributes}, "batch_id": each.batch_id,
            "issued_at": each.issued_at}


def narrow(*kinds, name="UpdateByUnique", keep_all=False):
    """Our schema with a smaller union, and without the fields that have a default."""
    schema = wire.plain(copy.deepcopy(wire.COMMAND_SCHEMA))
    for each in schema["fields"]:
        if each["name"] == "attributes":
            each["type"]["values"] = list(kinds)
    schema["name"] = name
    schema["fields"] = [each for each in schema["fields"] if keep_all or "default" not in each]
    return schema


@pytest.fixture
def registry():
    server = Registry().start()
    yield server
    server.close()


@pytest.fixture
def registered(sites, registry):
    """An installation with the registry, Phone and two customers."""
    def make(**options):
        site = sites(**dict({"schema.registry.url": registry.url}, **options)).init(schemas.PHONE)
        site.result_reader = site.reader(site.results, lambda record: confluent_result(registry, site, record))
        for customer in ("alice", "bob"):
            site.insert("Phone", customer, PhoneNumber="1")
        return site
    return make


def confluent_result(registry, site, record):
    def decode(value):
        [number] = registry.store.subjects[site.results + "-value"]
        assert value[:5] == wire.confluent(number, b""), value[:10]
        body = io.BytesIO(value[5:])
        result = fastavro.schemaless_reader(body, RESULT)
        assert body.read() == b""
        return result
    return client.Result(record, decode)


def confluent(schema_id, each, schema=wire.COMMAND_SCHEMA, partition=0, headers=()):
    body = wire.body_with(wire.plain(schema), {name: value for name, value in record_of(each).items()
                                               if name in {field["name"] for field in schema["fields"]}})
    return Message(partition, each.customer_id.encode(), wire.confluent(schema_id, body), list(headers))


def prefix_of(site, customer="alice"):
    return site.db.execute("SELECT prefix FROM ext_phone WHERE customer_id = %s", [customer]).fetchone()[0]


def test_confluents_own_clients(registered, registry):
    """Four schemas written by confluent-kafka's serializer; the results read by its deserializer."""
    site = registered()
    worker = site.worker()
    registry_client = SchemaRegistryClient({"url": registry.url})
    written = [wire.COMMAND_SCHEMA, narrow("null", "string"), narrow("string", name="Change"),
               narrow("null", "int", "string", "boolean", keep_all=True)]
    messages, ids = [], []
    for number, schema in enumerate(written):
        serialize = AvroSerializer(registry_client, json.dumps(schema), conf={"subject.name.strategy":
                                                                              lambda ctx, name: "writer-%d" % number})
        each = command("+%d" % number, issued_at=None)
        ids.append(each.command_id)
        record = {name: value for name, value in record_of(each).items()
                  if name in {field["name"] for field in schema["fields"]}}
        value = serialize(record, SerializationContext(site.commands, MessageField.VALUE))
        assert value[:1] == b"\0"
        messages.append(Message(0, b"alice", value, []))
    results = site.results_of(site.send(*messages))
    assert [result.status for result in results] == [204] * 4
    assert prefix_of(site) == "+3"
    deserialize = AvroDeserializer(registry_client)
    read = [deserialize(result.value, SerializationContext(site.results, MessageField.VALUE)) for result in results]
    assert [each["command_id"] for each in read] == ids and {each["status"] for each in read} == {204}
    latest = registry_client.get_latest_version(site.results + "-value")
    assert json.loads(latest.schema.schema_str) == wire.RESULT_SCHEMA
    assert worker.alive
    site.stop()


def test_schema_named_by_a_header(registered, registry):
    """As the newer serializers do it: the value is plain Avro."""
    site = registered()
    site.worker()
    registry_client = SchemaRegistryClient({"url": registry.url})
    serialize = AvroSerializer(registry_client, json.dumps(wire.COMMAND_SCHEMA),
                               conf={"schema.id.serializer": header_schema_id_serializer})
    headers = []
    each = command("+1")
    value = serialize(record_of(each), SerializationContext(site.commands, MessageField.VALUE, headers))
    assert value == wire.body_of(each) and headers[0][1][:1] == b"\1"
    number, guid = registry.store.register("x", wire.COMMAND_SCHEMA)
    by_id = b"\0" + number.to_bytes(4, "big")
    bodies = [wire.body_of(command("+%d" % at)) for at in range(2, 7)]
    messages = [
        Message(0, b"alice", value, headers), Message(0, b"alice", bodies[0], [(HEADER, by_id)]),
        Message(0, b"alice", bodies[1], [(HEADER, b"nonsense"), ("h", b"1"), (HEADER, b"\1" + uuid.UUID(guid).bytes)]),
        Message(0, b"alice", bodies[2], [(HEADER, by_id[:4])]), Message(0, b"alice", bodies[2], [(HEADER, b"")]),
        Message(0, b"alice", bodies[2], [(HEADER, b"\2" + by_id[1:])]),
        Message(0, b"alice", bodies[2], [(HEADER, b"\1" + bytes(16))]), Message(0, b"alice", b"", [(HEADER, by_id)]),
        Message(0, b"alice", wire.encode(command("+9")), [(HEADER, None)]),  # no header after all
        Message(0, b"alice", bodies[3], [("__key_schema_id", by_id), (HEADER, by_id)])]
    sent = site.send(*messages)
    results = site.results_of(sent)
    assert [result.status for result in results] == [204] * 3 + [400] * 5 + [204] * 2
    assert {result.code for result in results[3:8]} == {"MalformedMessage"}
    for record, result in zip(sent, results):
        assert result.headers[:len(record.headers)] == record.headers
    # The header tells of the command: a reader goes by the value's prefix.
    deserialize = AvroDeserializer(registry_client, conf={"schema.id.deserializer": prefix_schema_id_deserializer})
    context = SerializationContext(site.results, MessageField.VALUE, results[0].headers)
    assert deserialize(results[0].value, context)["command_id"] == each.command_id
    site.stop()


def test_dead_letter_whose_schema_a_header_names(registered, registry):
    site = registered()
    site.db.execute("ALTER TABLE ext_phone ADD CONSTRAINT refuse CHECK (prefix <> '+no')")
    site.worker()
    number, _ = registry.store.register("x", wire.COMMAND_SCHEMA)
    sent = Message(0, b"alice", wire.body_of(command("+no")), [(HEADER, b"\0" + number.to_bytes(4, "big"))])
    [result] = site.results_of(site.send(sent))
    assert result.code == "InternalError"
    site.stop()
    shown = json.loads(byunique.must(site.settings, "dead-letters", "show", "--source", "0:0", "--json"))
    assert shown["command"]["customer_id"] == "alice"
    assert shown["command"]["attributes"]["prefix"] == "+no"


def test_without_a_registry_the_header_means_nothing(site):
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    site.worker()
    messages = [site.message(command(), 0, headers=[(HEADER, b"\0\0\0\0\1")]),
                Message(0, b"alice", wire.body_of(command()), [(HEADER, b"\0\0\0\0\1")])]
    assert [result.code for result in site.results_of(site.send(*messages))] == [None, "MalformedMessage"]
    site.stop()


def test_references(registered, registry):
    """Types that other subjects hold, and these others still: each is asked for once."""
    value = {"type": "record", "name": "com.example.Note", "fields": [{"name": "text", "type": "string"}]}
    values = {"type": "map", "values": ["null", "string", "com.example.Note"]}
    pair = {"type": "record", "name": "com.example.Pair", "fields": [{"name": "a", "type": "Note"},
                                                                     {"name": "b", "type": values}]}
    whole = narrow("null", "string")
    whole["fields"][3]["type"] = values
    whole["fields"].insert(0, {"name": "extra", "type": "com.example.Pair"})
    store = registry.store
    store.register("notes/sub ject", value)
    store.register("pairs", pair, [{"name": "com.example.Note", "subject": "notes/sub ject", "version": 1}])
    references = [{"name": "com.example.Note", "subject": "notes/sub ject", "version": 1},
                  {"name": "com.example.Pair", "subject": "pairs", "version": 1}]
    number, _ = store.register("commands", whole, references)
    store.deleted.add(("pairs", 1))  # softly, which what was written with it survives
    lacking, _ = store.register("lacking", whole)
    astray, _ = store.register("astray", whole, [{"name": "com.example.Pair", "subject": "none", "version": 1}])
    site = registered()
    site.worker()
    each = record_of(command("+7"))
    record = dict({name: each[name] for name in ("command_id", "customer_id", "ext_name", "attributes")},
                  extra={"a": {"text": "x"}, "b": {"n": {"text": "y"}}})
    inline = json.loads(json.dumps(whole))
    inline["fields"][0]["type"] = dict(pair, fields=[{"name": "a", "type": value}, pair["fields"][1]])
    body = wire.body_with(inline, record)
    sent = site.send(*[Message(0, b"alice", wire.confluent(at, body), []) for at in (number, lacking, astray, number)])
    results = site.results_of(sent)
    assert [result.code for result in results] == [None, "MalformedMessage", "MalformedMessage", None]
    assert prefix_of(site) == "+7"
    assert registry.asked("/subjects/notes%2Fsub%20ject/versions/1") == 1 and registry.asked("/subjects/pairs/") == 1
    site.stop()


def test_schemas_that_are_none(registered, registry):
    """What the registry does not have, or has in another language, is a bad message; nobody is asked twice at once."""
    site = registered()
    site.worker()
    store = registry.store
    broken = store.register("broken", {"type": "record", "name": "X", "fields": [{"name": "a", "type": "Missing"}]})[0]
    other = store.register("other", {"type": "record", "name": "Other", "fields": []})[0]
    proto = store.register("proto", "syntax = \"proto3\";", schemaType="PROTOBUF")[0]
    ids = [broken, other, proto, 4711, 4711, 2**31 - 1, 2**31, 2**32 - 1, 0]
    sent = site.send(*[confluent(at, command()) for at in ids])
    results = site.results_of(sent)
    assert [result.code for result in results] == ["MalformedMessage"] * len(ids)
    assert all(result.body["error"]["detail"] for result in results)
    assert registry.asked("/schemas/ids/4711") == 1
    assert registry.asked("/schemas/ids/4294967295") == 0
    own = store.register("own", wire.COMMAND_SCHEMA)[0]
    again = site.results_of(site.send(confluent(own, command("+5")), site.message(command("+6"), 0)))
    assert [result.status for result in again] == [204, 204] and prefix_of(site) == "+6"
    site.stop()
    assert len(site.reader(site.dead_letters).to_end()) == len(ids)
    letters = byunique.must(site.settings, "dead-letters", "list", "--json").splitlines()
    assert len(letters) == len(ids)


TROUBLES = {
    "away": None,
    "server error": failing(500, body=b'{"error_code": 50001, "message": "Error in the backend data store"}'),
    "not a registry": failing(404, "text/html", b"<html>no such page</html>"),
    "another path": failing(404, body=b'{"error_code": 404, "message": "HTTP 404 Not Found"}'),
    "access refused": failing(401, body=b'{"error_code": 40101, "message": "Unauthorized"}'),
    "too many requests": failing(429, body=b"slow down"),
    "redirected": failing(302, "text/html", b""),
    "nonsense": failing(200, body=b'{"schema": 5}'),
    "no JSON": failing(200, "text/html", b"<html>welcome</html>"),
    "endless": failing(200, body=b" " * (5 << 20)),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_registry_in_trouble(registered, registry, trouble):
    """A command whose schema is not known waits, and so do those behind it in its partition. All others go on."""
    known, _ = registry.store.register("known", wire.COMMAND_SCHEMA)
    newer = narrow("null", "string")
    unknown, _ = registry.store.register("newer", newer)
    site = registered()
    worker = site.worker()
    assert site.results_of(site.send(confluent(known, command("+0"))))[0].status == 204
    if trouble == "away":
        registry.stop()
    else:
        registry.trouble = TROUBLES[trouble]
    first = site.send(confluent(known, command("+1")), confluent(known, command("+1", "bob"), partition=1))
    waiting = site.send(confluent(unknown, command("+2"), newer), confluent(known, command("+3")))
    others = site.send(*[confluent(known, command("+%d" % at, "bob"), partition=1) for at in range(20)])
    assert {result.status for result in site.results_of(first + others)} == {204}
    worker.wait_log("schema_awaited")
    others = site.send(*[confluent(known, command("+%d" % at, "bob"), partition=2) for at in range(20)])
    waiting += site.send(*[confluent(known, command("+4")) for _ in range(20)])
    assert {result.status for result in site.results_of(others)} == {204}
    assert prefix_of(site) == "+1"
    answered = {result.source for result in site.result_reader.seen}
    assert not answered & {record.at for record in waiting}
    registry.trouble = None
    if trouble == "away":
        registry.start()
    results = site.results_of(waiting)
    assert [result.status for result in results] == [204] * len(waiting)
    assert [result.offset for result in results] == sorted(result.offset for result in results)
    assert prefix_of(site) == "+4"
    site.stop()
    assert worker.log.count("schema_awaited") < 10


def test_told_to_stop_while_a_schema_is_awaited(registered, registry):
    unknown, _ = registry.store.register("known", wire.COMMAND_SCHEMA)
    site = registered()
    worker = site.worker()
    site.wait_assigned(worker)
    registry.stop()
    sent = site.send(confluent(unknown, command("+2")))
    worker.wait_log("schema_awaited")
    assert worker.stop() == 0
    registry.start()
    site.worker()
    assert site.results_of(sent)[0].status == 204
    site.stop()


def test_told_to_stop_while_the_registry_is_silent(registered, registry):
    """A request that is not answered does not hold the end up, nor the start of another worker."""
    unknown, _ = registry.store.register("known", wire.COMMAND_SCHEMA)
    site = registered()
    worker = site.worker()
    site.wait_assigned(worker)
    registry.silent.set()
    sent = site.send(confluent(unknown, command("+2")))
    processes.wait_for(lambda: registry.asked("/schemas/ids/%d" % unknown), "the request", alive=worker.process)
    assert worker.stop() == 0
    second = site.worker()
    processes.wait_for(lambda: registry.asked("POST ") == 2, "the second request", alive=second.process)
    assert second.stop() == 0
    registry.silent.clear()
    site.worker()
    assert site.results_of(sent)[0].status == 204
    site.stop()


def test_rebalance_while_a_schema_is_awaited(registered, registry):
    """The one that waits hands its partitions over; whoever has them then answers, once."""
    known, _ = registry.store.register("known", wire.COMMAND_SCHEMA)
    newer = narrow("null", "string")
    unknown, _ = registry.store.register("newer", newer)
    site = registered()
    first = site.worker()
    site.wait_assigned(first)
    registry.trouble = lambda request: None if "POST" in request else failing(503)(request)
    waiting = site.send(*[confluent(unknown, command("+1"), newer, partition) for partition in range(site.partitions)])
    first.wait_log("schema_awaited")
    second = site.worker()
    site.wait_assigned(second, members=2)
    assert first.stop() == 0
    site.wait_assigned(second, members=1)
    second.wait_log("schema_awaited")
    assert not site.result_reader.seen
    registry.trouble = None
    assert [result.status for result in site.results_of(waiting)] == [204] * len(waiting)
    site.stop()
    assert len(site.reader(site.results).to_end()) == len(waiting)


def test_more_than_a_batch_waits(registered, registry):
    """What is set aside is bounded; then nothing more is read, and all is answered in the end."""
    newer = narrow("null", "string")
    unknown, _ = registry.store.register("newer", newer)
    site = registered(**{"batch.max.commands": "10"})
    worker = site.worker()
    site.wait_assigned(worker)
    registry.stop()
    sent = site.send(*[confluent(unknown, command("+%d" % at), newer, at % 4) for at in range(400)])
    worker.wait_log("schema_awaited")
    registry.start()
    results = site.results_of(sent)
    assert [result.status for result in results] == [204] * len(sent)
    site.stop()


def test_registry_away_at_the_start(registered, registry):
    """No result can be framed without it: the worker waits, and says so."""
    site = registered()
    sent = site.send(site.message(command("+1"), 0))
    registry.stop()
    worker = site.worker()
    worker.wait_log("registry_away")
    registry.start()
    assert site.results_of(sent)[0].status == 204
    site.stop()


def test_very_same_results_again(registered, registry):
    """After the group's offsets were reset, by another process, with the registry's cache of ids gone."""
    known, _ = registry.store.register("known", wire.COMMAND_SCHEMA)
    site = registered()
    site.worker()
    sent = site.send(confluent(known, command("+1")), confluent(4711, command()), site.message(command("+2"), 0))
    site.wait_results(3)
    site.stop()
    registry.store.register("late", narrow("null"))
    site.admin.commit(site.group, site.commands, {0: 0})
    site.worker()
    results = site.wait_results(6)
    assert [result.value for result in results[3:]] == [result.value for result in results[:3]]
    assert [result.source for result in results[:3]] == [record.at for record in sent]
    site.stop()


def test_schema_of_results_only_looked_up(sites, registry):
    site = sites(**{"schema.registry.url": registry.url, "schema.registry.register": "lookup"}).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    worker = site.worker()
    assert worker.wait() == 1
    assert site.results + "-value" in worker.log and "Register it" in worker.log
    registry.store.register(site.results + "-value", narrow("null"))
    worker = site.worker()
    assert worker.wait() == 1
    registry.store.subjects.clear()
    registry.store.register(site.results + "-value", wire.RESULT_SCHEMA)
    site.result_reader = site.reader(site.results, lambda record: confluent_result(registry, site, record))
    site.worker()
    assert site.answers(command(), partition=0)[0].status == 204
    assert not registry.asked("POST /subjects/%s-value/versions" % site.results)
    site.stop()


def test_registry_refuses_the_schema_of_results(registered, registry):
    registry.trouble = failing(409, body=b'{"error_code": 409, "message": "incompatible with an earlier schema"}')
    worker = registered().worker()
    assert worker.wait() == 1
    assert "incompatible with an earlier schema" in worker.log


def test_submit_and_results(registered, registry):
    site = registered()
    site.worker()
    rows = site.folder / "rows.csv"
    rows.write_text("customer_id,PhoneNumber,prefix\nalice,1,+5\nbob,1,+6\nnobody,1,+7\n")
    done = byunique.run(site.settings, "submit", str(rows), "--extension", "Phone", "--batch", "b", "--wait")
    assert done.returncode == 3, done.stderr
    assert "204" in done.stdout and "CustomerNotFound" in done.stdout
    [number] = registry.store.subjects[site.commands + "-value"]
    values = [record.value for record in site.reader(site.commands).to_end()]
    assert {value[:5] for value in values} == {wire.confluent(number, b"")}
    done = byunique.run(site.settings, "results", "--json")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 3, done.stderr
    done = byunique.run(site.settings, "audit")
    assert done.returncode == 0, done.stdout + done.stderr
    without = dict(site.settings, **{"schema.registry.url": ""})
    done = byunique.run(without, "results")
    assert done.returncode == 1 and "no schema registry" in done.stderr
    registry.stop()
    done = byunique.run(site.settings, "results")
    assert done.returncode == 1 and "can't be reached" in done.stderr
    done = byunique.run(site.settings, "submit", str(rows), "--extension", "Phone")
    assert done.returncode == 1 and "can't be reached" in done.stderr
    site.stop()


# Access

@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """{name: file}: an authority of our own, a server and a client that it vouches for."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments):
        subprocess.run(["openssl"] + [str(each) for each in arguments], check=True, cwd=folder,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=test authority")
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", name + ".key", "-out", name + ".csr", "-subj",
                "/CN=" + name)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
                name + ".pem", "-days", "2", "-extfile", "san")
    return {path.name: str(path) for path in folder.iterdir()}


def answered(site, registry):
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    site.result_reader = site.reader(site.results, lambda record: confluent_result(registry, site, record))
    known, _ = registry.store.register("known", wire.COMMAND_SCHEMA)
    worker = site.worker()
    status = site.results_of(site.send(confluent(known, command())))[0].status
    site.stop()
    return status == 204, worker.log


def test_process_lists_show_no_secret(sites):
    secrets = {"schema.registry.url": "http://u:horse@127.0.0.1:1", "kafka.sasl.password": "horse",
               "postgres": "postgresql://u:horse@127.0.0.1:1/x"}
    site = sites()
    for key, value in list(secrets.items()) + [("schema.registry.token", "horse")]:
        worker = site.worker(**{"schema.registry.url": "http://127.0.0.1:1", key: value})
        worker.wait_log("registry_away")
        with open("/proc/%d/cmdline" % worker.process.pid) as shown:
            shown = shown.read()
        assert key in shown and "horse" not in shown and site.commands in shown
        assert "horse" not in worker.log
        assert worker.stop() == 0


def secret_file(path, secret):
    path.write_text(secret + "\n")
    return str(path)


PASSWORD = "cor:rect@horse/ü"


@pytest.mark.parametrize("way", ["keys", "file", "url", "environment"])
def test_basic_authentication(sites, tmp_path, monkeypatch, way):
    registry = Registry(authorization=basic("worker", PASSWORD)).start()
    settings = {"schema.registry.url": registry.url, "schema.registry.user": "worker"}
    if way == "keys":
        settings["schema.registry.password"] = PASSWORD
    elif way == "file":
        settings["schema.registry.password.file"] = secret_file(tmp_path / "password", PASSWORD)
    elif way == "url":
        settings = {"schema.registry.url": registry.url.replace("//", "//worker:cor%3Arect%40horse%2F%C3%BC@")}
    else:
        environment = processes.environment
        monkeypatch.setattr(processes, "environment", lambda: dict(
            environment(), BYUNIQUE_SCHEMA_REGISTRY_PASSWORD=PASSWORD))
    try:
        done, log = answered(sites(**settings), registry)
        assert done and "horse" not in log
    finally:
        registry.close()


def test_bearer_token_that_is_renewed(sites, tmp_path):
    registry = Registry(authorization="Bearer first").start()
    path = tmp_path / "token"
    secret_file(path, "first")
    site = sites(**{"schema.registry.url": registry.url, "schema.registry.token.file": str(path)})
    try:
        done, _ = answered(site, registry)
        assert done
        newer, _ = registry.store.register("newer", narrow("string"))
        worker = site.worker()
        site.wait_assigned(worker)
        registry.authorization = "Bearer second"
        sent = site.send(confluent(newer, command(), narrow("string")))
        worker.wait_log("schema_awaited")
        secret_file(path, "second")
        assert site.results_of(sent)[0].status == 204
        site.stop()
        assert not any(secret in each.log for each in site.workers for secret in ("first\"", "second\"", "Bearer"))
    finally:
        registry.close()


def test_own_authority_and_certificate(sites, certificates):
    registry = Registry(certificate=(certificates["server.pem"], certificates["server.key"]),
                        client_ca=certificates["ca.pem"]).start()
    own = {"schema.registry.certificate": certificates["client.pem"], "schema.registry.key": certificates["client.key"]}
    try:
        done, _ = answered(sites(**dict(own, **{"schema.registry.url": registry.url,
                                                "schema.registry.ca": certificates["ca.pem"]})), registry)
        assert done
        for settings in (own, {"schema.registry.ca": certificates["ca.pem"]}):
            worker = sites(**dict(settings, **{"schema.registry.url": registry.url})).worker()
            worker.wait_log("registry_away")
            assert ("Look at schema.registry.ca" in worker.log) == (settings is own)
            assert worker.stop() == 0
    finally:
        registry.close()


def test_several_addresses(sites, registry, tmp_path):
    """The one that answers is asked; proxies of the environment are not."""
    dead = Registry(registry.store)
    second = Registry(registry.store).start()
    site = sites(**{"schema.registry.url": "%s, %s,%s/" % (dead.url, registry.url, second.url)})
    try:
        done, _ = answered(site, registry)
        assert done and registry.requests and not second.requests
        registry.stop()
        newer, _ = registry.store.register("newer", narrow("string"))
        worker = site.worker()
        sent = site.send(confluent(newer, command(), narrow("string")))
        assert site.results_of(sent)[0].status == 204
        assert second.requests and worker.alive
        site.stop()
    finally:
        second.close()


@pytest.mark.parametrize("settings, says", [
    ({"schema.registry.url": "ftp://x"}, "http://"), ({"schema.registry.url": ","}, "no address"),
    ({"schema.registry.url": "http://user:horse@x/?a=1"}, "neither"),
    ({"schema.registry.password": "horse"}, "schema.registry.user"),
    ({"schema.registry.token": "horse", "schema.registry.user": "u"}, "either"),
    ({"schema.registry.token.file": "/nonexistent"}, "can't be read"),
    ({"schema.registry.ca": "/nonexistent"}, "can't be read"),
    ({"schema.registry.key": "/dev/null"}, "schema.registry.certificate"),
    ({"schema.registry.register": "maybe"}, "auto or lookup")])
def test_wrong_settings(sites, settings, says):
    site = sites(**dict({"schema.registry.url": "http://127.0.0.1:1"}, **settings))
    done = byunique.run(site.settings, "run")
    assert done.returncode == 2 and says in done.stderr and "horse" not in done.stderr


# What values mean

def decimal(precision, scale, size=None):
    base = {"type": "fixed", "name": "Fixed%d" % size, "size": size} if size else {"type": "bytes"}
    return dict(base, logicalType="decimal", precision=precision, scale=scale)


def unscaled(number, size=None):
    return number.to_bytes(size or number.bit_length() // 8 + 1, "big", signed=True)


MOMENT = datetime(2009, 12, 18, 18, 30, 0, 123456, timezone.utc)
MICROS = (MOMENT - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)
DAYS = (date(2024, 2, 29) - date(1970, 1, 1)).days


def long(logical):
    return {"type": "long", "logicalType": logical}


DATE = {"type": "int", "logicalType": "date"}
# (attribute, its Avro type, the bytes' value, what is stored or None where it is refused)
MEANINGS = [
    ("day", DATE, DAYS, date(2024, 2, 29)), ("day", DATE, 2932897, None), ("day", long("timestamp-millis"), DAYS, None),
    ("day", {"type": "int", "logicalType": "time-millis"}, DAYS, None), ("day", "int", DAYS, date(2024, 2, 29)),
    ("moment", long("timestamp-micros"), MICROS, MOMENT),
    ("moment", long("timestamp-millis"), MICROS // 1000, MOMENT.replace(microsecond=123000)),
    ("moment", long("timestamp-nanos"), MICROS * 1000, MOMENT), ("moment", long("timestamp-nanos"), MICROS * 1000 + 1, None),
    ("moment", long("timestamp-micros"), -1, datetime(1969, 12, 31, 23, 59, 59, 999999, timezone.utc)),
    ("moment", long("timestamp-micros"), wire.LONG_MAX, None), ("moment", long("timestamp-millis"), wire.LONG_MIN, None),
    ("moment", long("local-timestamp-micros"), MICROS, None), ("moment", long("local-timestamp-millis"), 0, None),
    ("moment", DATE, DAYS, None), ("moment", long("time-micros"), 5, None),
    ("moment", long("no-such-type"), MICROS // 1000, MOMENT.replace(microsecond=123000)),
    ("price", decimal(10, 2), unscaled(1250), Decimal("12.5000")),
    ("price", decimal(10, 2), unscaled(-1250), Decimal("-12.5000")),
    ("price", decimal(10, 0), b"\0\0\0\0\0\0\0\0\0\0\0\0" + unscaled(7), Decimal("7.0000")),
    ("price", decimal(4, 0), b"\xff\xff\xff", Decimal("-1.0000")), ("price", decimal(4, 2), b"", None),
    ("price", decimal(19, 4, 9), unscaled(-10**19 + 1, 9), Decimal("-999999999999999.9999")),
    ("price", decimal(30, 4), unscaled(10**19), None), ("price", decimal(20, 0), unscaled(10**15), None),
    ("price", decimal(60, 40), unscaled(125 * 10**38), Decimal("1.2500")),
    ("price", decimal(60, 40), unscaled(125 * 10**38 + 1), None), ("price", decimal(9, 5), unscaled(12345), None),
    ("price", decimal(9, 5), unscaled(123450), Decimal("1.2345")), ("price", decimal(9, 5), unscaled(-5), None),
    ("price", decimal(300, 100), unscaled(3 * 10**100), Decimal("3.0000")),
    ("price", decimal(300, 101), unscaled(3 * 10**101), None), ("price", decimal(999, 0), unscaled(10**700), None),
    ("text", decimal(10, 2), unscaled(1250), None), ("ratio", decimal(10, 2), unscaled(1250), None),
    ("big", long("timestamp-micros"), MICROS, MICROS), ("amount", DATE, DAYS, DAYS),
    ("text", {"type": "string", "logicalType": "uuid"}, "6f9619ff-8b86-d011-b42d-00c04fc964ff",
     "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
    # Wrongly given, so by the specification no logical type at all.
    ("text", dict(decimal(2, 3), type="bytes"), b"plain", "plain"), ("day", dict(DATE, type="long"), DAYS, date(2024, 2, 29)),
]


def everything(sites, registry):
    site = sites(**{"schema.registry.url": registry.url}).init(schemas.EVERYTHING)
    site.result_reader = site.reader(site.results, lambda record: confluent_result(registry, site, record))
    site.insert("Everything", "alice", label="a", Number=7, required="r")
    site.worker()
    return site


def logical_message(registry, attributes, command_id=None):
    """attributes: {name: (Avro type, value as it is encoded)} in one map of a writer's schema with just these types."""
    whole, text = "int", "string"
    for kind, _ in attributes.values():  # of a union's branches no two are of one type
        if isinstance(kind, dict) and kind["type"] == "string":
            text = kind
        elif isinstance(kind, dict) and kind["type"] == "int":
            whole = "long"
    types = []
    for kind, _ in list(attributes.values()) + [(whole, 7), (text, "a")]:
        if kind not in types:
            types.append(kind)
    schema = narrow("null")
    schema["fields"][3]["type"]["values"] = types
    number, _ = registry.store.register("writer-%d" % len(registry.store.schemas), schema)
    body = wire.string(command_id or new_id()) + wire.string("alice") + wire.string("Everything")
    entries = dict({"label": (text, "a"), "Number": (whole, 7)}, **attributes)
    body += wire.zigzag(len(entries))
    for name, (kind, value) in entries.items():
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(wire.plain(kind)), value)
        body += wire.string(name) + wire.zigzag(types.index(kind)) + out.getvalue()
    return Message(0, b"alice", wire.confluent(number, body + wire.zigzag(0)), [])


def test_logical_types(sites, registry):
    site = everything(sites, registry)
    kinds = {"day": "date", "moment": "timestamptz", "price": "numeric", "text": "text", "big": "bigint",
             "amount": "integer", "ratio": "double precision"}
    for name, kind, value, expected in MEANINGS:
        message = logical_message(registry, {name: (kind, value)})
        site.db.execute("UPDATE ext_everything SET %s = NULL" % name)
        [result] = site.results_of(site.send(message))
        stored = site.db.execute("SELECT %s::%s FROM ext_everything" % (name, kinds[name])).fetchone()[0]
        assert stored == expected, (name, kind, value, result.body)
        assert result.code == (None if expected is not None else "InvalidAttributeValue"), (name, kind, value)
    site.stop()


def test_same_content_in_other_types(sites, registry):
    """An id sent again is a duplicate when the values are the same numbers, whatever they are written as."""
    site = everything(sites, registry)
    same = [
        [{"moment": (long("timestamp-micros"), 5000000)}, {"moment": (long("timestamp-millis"), 5000)},
         {"moment": ("long", 5000)}, {"moment": (long("timestamp-nanos"), 5000000000)}],
        [{"moment": (long("timestamp-micros"), 5000001)}, {"moment": (long("timestamp-nanos"), 5000001000)}],
        [{"price": (decimal(9, 2), unscaled(1200))}, {"price": (decimal(9, 0), unscaled(12))}, {"price": ("long", 12)}],
        [{"price": (decimal(9, 2), unscaled(-1250))}, {"price": (decimal(9, 3, 4), unscaled(-12500, 4))}]]
    for group in same:
        command_id = new_id()
        results = site.results_of(site.send(*[logical_message(registry, each, command_id) for each in group]))
        assert [(result.status, result.body["duplicate"]) for result in results] == [
            (204, at > 0) for at in range(len(group))], group
    command_id = new_id()
    messages = [logical_message(registry, {"price": (decimal(9, 2), unscaled(at))}, command_id) for at in (1250, 1251)]
    assert [result.code for result in site.results_of(site.send(*messages))] == [None, "CommandIdReused"]
    site.stop()


# Schemas of others, at random

KINDS = ["null", "boolean", "int", "long", "float", "double", "string", "bytes"]
ODD = [{"type": "array", "items": "int"}, {"type": "map", "values": "string"},
       {"type": "record", "name": "Odd", "fields": [{"name": "x", "type": "long"}, {"name": "y", "type": ["null", "Odd"]}]},
       {"type": "enum", "name": "Colour", "symbols": ["red", "green"]}, {"type": "fixed", "name": "Six", "size": 6}]
OF_FIELDS = {"command_id": ["string", "bytes", ["null", "string"], ["int", "bytes"], "int"],
             "customer_id": ["string", "bytes", ["string", "null"], ["boolean", "string"], "null"],
             "ext_name": ["string", ["bytes", "string"], "bytes", "double"],
             "batch_id": ["null", "string", ["string", "null"], ["null", "bytes"], ["int", "string"], "long"],
             "issued_at": ["null", "int", "long", ["int", "null"], ["null", "long", "int"], ["string", "null"], "float"]}


def random_writer(rng):
    fields = []
    for field in wire.plain(wire.COMMAND_SCHEMA)["fields"]:
        name = field["name"]
        if rng.random() < (0.3 if "default" in field else 0.02):
            continue
        if name == "attributes":
            kinds = rng.sample(KINDS, rng.randint(1, len(KINDS)))
            odd = rng.sample(ODD, rng.choice([0, 0, 1]))
            values = {"type": "map", "values": kinds[0] if len(kinds) == 1 and rng.random() < 0.5 else kinds + odd}
            field = {"name": name, "type": values if rng.random() < 0.9 else ["null", values]}
        elif rng.random() < 0.4:
            weights = [4] * (len(OF_FIELDS[name]) - 1) + [1]
            field = {"name": name, "type": rng.choices(OF_FIELDS[name], weights)[0]}
        fields.append(field)
    used = json.dumps(fields)
    for number, kind in enumerate(rng.sample(ODD + KINDS, rng.randint(0, 2))):
        if isinstance(kind, dict) and "name" in kind and kind["name"] in used:
            continue
        fields.append({"name": "extra_%d" % number, "type": kind, "doc": "new"})
    rng.shuffle(fields)
    return {"type": "record", "name": "UpdateByUnique", "namespace": "byunique", "fields": fields}


def random_of(rng, schema, text):
    """A value of a schema; strings are `text` where that makes sense."""
    if isinstance(schema, list):
        return random_of(rng, rng.choice(schema), text)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind in ("null", "Odd"):
        return None
    makers = {
        "boolean": lambda: rng.random() < 0.5, "int": lambda: rng.choice([5, -1, 2**31 - 1, -2**31]),
        "long": lambda: rng.choice([7, 2**40, wire.LONG_MIN]), "float": lambda: rng.choice([0.5, -2.0]),
        "double": lambda: rng.choice([0.1, 3.0]), "string": lambda: text,
        "bytes": lambda: text.encode() if rng.random() < 0.9 else b"\xff\xfe",
        "array": lambda: [1, 2], "map": lambda: {"k": "v"}, "record": lambda: {"x": 1, "y": None},
        "enum": lambda: "green", "fixed": lambda: b"sixsix"}
    return makers[kind]()


def random_record(rng, schema):
    texts = {"command_id": new_id(), "customer_id": "alice", "ext_name": "Everything", "batch_id": "b"}
    record = {}
    for field in schema["fields"]:
        kind = field["type"]
        if field["name"] == "attributes" and not (isinstance(kind, list) and rng.random() < 0.3):
            kind = kind[1] if isinstance(kind, list) else kind
            names = rng.sample(["text", "amount", "big", "ratio", "flag", "short"], rng.randint(0, 4))
            record["attributes"] = {name: random_of(rng, kind["values"], "abc") for name in names}
            for name, value in (("label", "a"), ("Number", 7)):
                if isinstance(value, str) or "int" in kind["values"] or "long" in kind["values"]:
                    record["attributes"][name] = value
        elif field["name"] == "attributes":
            record["attributes"] = None
        else:
            record[field["name"]] = random_of(rng, kind, texts.get(field["name"], "x"))
    return record


def by_fastavro(schema, body):
    """What another implementation reads → Command, or None where it can't."""
    reader = fastavro.parse_schema(wire.plain(wire.COMMAND_SCHEMA))
    written = io.BytesIO(body)
    try:
        read = fastavro.schemaless_reader(written, fastavro.parse_schema(schema), reader, return_record_name=False)
    except Exception:  # its own errors are of many kinds
        return None
    return read


def kind_of(value):
    kinds = {type(None): "null", bool: "boolean", int: "long", float: "double", str: "string"}
    return kinds[type(value)]


def test_random_writers(sites, registry):
    """Hundreds of writer's schemas derived from ours: what fastavro reads is what the worker takes, answers and stores."""
    rng = random.Random(8086)
    site = everything(sites, registry)
    model = Model(schemas.EVERYTHING)
    [row] = site.rows(model.extensions["everything"]).values()
    model.insert("Everything", "alice", row)
    cases, messages = [], []
    while len(cases) < 300:
        schema = random_writer(rng)
        record = random_record(rng, schema)
        try:
            body = wire.body_with(schema, record)
        except Exception:  # a key that this union has no branch for
            continue
        number, _ = registry.store.register("random", schema)
        cases.append((schema, record, by_fastavro(schema, body)))
        messages.append(Message(0, b"alice", wire.confluent(number, body), []))
    results = site.results_of(site.send(*messages))
    for (schema, record, read), result in zip(cases, results):
        told = json.dumps(schema), record, read, result.body
        assert (result.code == "MalformedMessage") == (read is None), told
        if read is not None:
            assert [result.body[name] for name in ("command_id", "customer_id", "ext_name", "batch_id", "issued_at")] == [
                read[name] for name in ("command_id", "customer_id", "ext_name", "batch_id", "issued_at")], told
            attributes = tuple((name, kind_of(value), value) for name, value in read["attributes"].items())
            answer = model.answer(Command(**dict(read, attributes=attributes)), 0)
            assert (result.status, result.code) == (answer.status, answer.code), told
    codes = {result.code for result in results}
    assert {None, "MalformedMessage", "InvalidAttributeValue", "MissingUniqueAttribute"} <= codes, codes
    check.tables(site, model)
    site.stop()
