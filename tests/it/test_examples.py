"""docs/examples: the programs that others copy, run as they stand, each with the client of its language."""

import subprocess
import sys
import time

import pytest
from confluent_kafka import Producer

from lib import client, processes, schemas, wire
from lib.registry import Registry
from lib.servers import ROOT
from lib.site import Site, new_id

EXAMPLES, BUILT = ROOT / "docs/examples", ROOT / "build/examples"
LANGUAGES = ["python", "java", "go"]
CUSTOMER = "0000Sb5U97XE000Y"
RECORD_NOT_FOUND = "404 RecordNotFound: "


def argv(example):
    """How ../README.md runs it."""
    if example == "java":
        return ["java", "-XX:TieredStopAtLevel=1", "-jar", str(BUILT / "java/update.jar")]
    if example == "go":
        missing = BUILT / "go/missing"
        if missing.exists():
            pytest.skip("NOT TESTED: " + missing.read_text().strip())
        return [str(BUILT / "go/update")]
    return [sys.executable, str(EXAMPLES / "python" / ("request_reply.py" if example == "request_reply" else "update.py"))]


def start(site, example, *arguments, **more):
    environment = dict(processes.environment(), KAFKA_BOOTSTRAP_SERVERS=site.kafka.servers, COMMANDS_TOPIC=site.commands,
                       RESULTS_TOPIC=site.results, SCHEMAS=str(wire.SCHEMAS), PYTHONDONTWRITEBYTECODE="1")
    environment.update(more)
    log = site.folder / ("%s-%s.log" % (example, new_id()))
    site.logs.append(log)
    return processes.start(argv(example) + list(arguments), log, stdout=subprocess.PIPE, text=True, cwd=str(site.folder),
                           env=environment)


def end_of(process):
    """→ (exit code, what it printed)."""
    try:
        out, _ = process.communicate(timeout=100)
    except subprocess.TimeoutExpired:
        processes.stop(process)
        raise AssertionError("an example did not end")
    return process.returncode, out


def run(site, example, *arguments, **more):
    return end_of(start(site, example, *arguments, **more))


def stored(site, number):
    return site.db.execute("SELECT description FROM ext_phone WHERE phonenumber = %s", [number]).fetchone()[0]


def with_phones(site):
    site.init(schemas.PHONE)
    for number in LANGUAGES + ["request_reply", "second"]:
        site.insert("Phone", CUSTOMER, PhoneNumber=number, description="old")
    return site


@pytest.fixture(scope="module")
def running_site(postgres, kafka, tmp_path_factory):
    site = with_phones(Site(postgres, kafka, tmp_path_factory.mktemp("examples")))
    site.running()
    yield site
    site.stop()
    site.close()


@pytest.fixture
def running(running_site, request):
    request.node.sites = [running_site]
    return running_site


def fake_result(command, record):
    """Claims that the command failed."""
    error = {"code": "InternalError", "title": "t", "detail": "a lie", "attribute": None}
    result = {"status": 500, "command_id": command.command_id, "customer_id": command.customer_id, "ext_name": "Phone",
              "batch_id": None, "error": error, "duplicate": False, "issued_at": None, "processed_at": 0,
              "source": {"topic": "t", "partition": record.partition, "offset": record.offset}}
    return wire.with_schema(wire.RESULT_SCHEMA, result)


def abort_lies(site, records):
    """Results that were never committed: what a worker leaves behind that dies while it publishes."""
    producer = Producer(dict(client.QUIET, **{"bootstrap.servers": site.kafka.servers, "transactional.id": site.schema}))
    producer.init_transactions(30)
    producer.begin_transaction()
    for record in records:
        command, _ = wire.decode(record.value)
        producer.produce(site.results, key=record.key, value=fake_result(command, record), headers=record.headers)
    assert producer.flush(30) == 0
    producer.abort_transaction(30)


def check_command(record, number):
    """As the contract wants it, byte for byte."""
    command, doubtful = wire.decode(record.value)
    assert not doubtful and record.key == CUSTOMER.encode() and command.customer_id == CUSTOMER
    assert dict((name, (kind, value)) for name, kind, value in command.attributes) == {
        "PhoneNumber": ("string", number), "description": ("string", "from " + number)}
    assert command.ext_name == "Phone" and command.batch_id is None
    if command.issued_at is not None:
        assert abs(command.issued_at - time.time() * 1000) < 600000


def test_commands_are_right_and_results_that_were_aborted_are_not_believed(sites):
    """All examples wait for a worker; before it comes, somebody publishes their results and takes them back."""
    site = with_phones(sites(partitions=1))
    examples = {}
    for example in LANGUAGES:
        examples[example] = start(site, example, CUSTOMER, example, "from " + example)
    examples["request_reply"] = start(site, "request_reply", CUSTOMER, "request_reply=from request_reply")
    commands = site.reader(site.commands)
    records = list(commands.wait(len(examples), 60))
    of_number = {dict((name, value) for name, _, value in wire.decode(record.value)[0].attributes)["PhoneNumber"]: record
                 for record in records}
    for example in examples:
        check_command(of_number[example], example)
    assert len(of_number["request_reply"].header("kafka_correlationId")) == 16
    abort_lies(site, records)
    site.running()
    for example, process in examples.items():
        printed = "204\n" if example != "request_reply" else "request_reply: 204\n"
        assert end_of(process) == (0, printed), example
        assert stored(site, example) == "from " + example
    site.stop()


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_error_and_a_resend(running, language):
    command_id = new_id()
    code, printed = run(running, language, CUSTOMER, "no such", "x", command_id)
    assert code == 3 and printed.startswith(RECORD_NOT_FOUND), printed
    assert run(running, language, CUSTOMER, language, "sent twice", command_id) == (0, "204\n")
    assert stored(running, language) == "sent twice"
    assert run(running, language, CUSTOMER, language, "sent twice", command_id) == (0, "204 duplicate\n")
    assert run(running, language, CUSTOMER)[0] == 2


def test_request_and_reply(running):
    """Several at once, answered with an error or not, in the order of asking."""
    code, printed = run(running, "request_reply", CUSTOMER, "second=a", "no such=b", "second=c")
    assert (code, printed) == (3, "second: 204\nno such: 404 RecordNotFound\nsecond: 204\n")
    assert stored(running, "second") == "c"


def test_a_topic_that_is_not_there(running):
    """Nothing is sent when nobody could wait for the answer."""
    before = running.admin.log_ends(running.commands)
    for example in LANGUAGES + ["request_reply"]:
        arguments = ["second=x"] if example == "request_reply" else [example, "x"]
        code, printed = run(running, example, CUSTOMER, *arguments, RESULTS_TOPIC="not.there")
        assert code == 1 and printed == "", example
    assert running.admin.log_ends(running.commands) == before


def test_with_a_registry(sites):
    registry = Registry().start()
    try:
        site = with_phones(sites(**{"schema.registry.url": registry.url}))
        site.running()
        assert run(site, "python", CUSTOMER, "python", "by id", SCHEMA_REGISTRY_URL=registry.url) == (0, "204\n")
        code, printed = run(site, "python", CUSTOMER, "no such", "x", SCHEMA_REGISTRY_URL=registry.url)
        assert code == 3 and printed.startswith(RECORD_NOT_FOUND)
        assert run(site, "request_reply", CUSTOMER, "second=by id", SCHEMA_REGISTRY_URL=registry.url) == (0, "second: 204\n")
        assert stored(site, "python") == stored(site, "second") == "by id"
        assert {record.value[:1] for record in site.reader(site.commands).to_end()} == {b"\0"}
        site.stop()
    finally:
        registry.close()


def test_what_is_tested_is_what_is_said():
    """The Python examples name the versions that the tests have."""
    ours = (ROOT / "tests/requirements.txt").read_text().split()
    for line in (EXAMPLES / "python/requirements.txt").read_text().split():
        assert line in ours
