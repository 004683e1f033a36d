"""The tests' own encoder and decoder, against fastavro and against known values."""

import io

import fastavro
import pytest

from lib import wire
from lib.wire import Command

COMMANDS = [
    Command("", "", ""),
    Command("id", "customer", "Phone", (("a", "null", None),)),
    Command("id", "ümläut-😀", "Phone", (
        ("true", "boolean", True), ("false", "boolean", False), ("int", "int", -2**31), ("int2", "int", 2**31 - 1),
        ("long", "long", -2**63), ("long2", "long", 2**63 - 1), ("float", "float", 1.5), ("double", "double", -1e300),
        ("string", "string", "x" * 200), ("empty", "string", ""), ("", "string", "no name"))),
    Command("id", "c", "e", (), "batch", 0),
    Command("id", "c", "e", (), "", -1),
]


def by_fastavro(command):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(wire.plain(wire.COMMAND_SCHEMA)), {
        "command_id": command.command_id, "customer_id": command.customer_id, "ext_name": command.ext_name,
        "attributes": {name: (kind, value) if kind != "null" else None for name, kind, value in command.attributes},
        "batch_id": command.batch_id, "issued_at": command.issued_at})
    return out.getvalue()


@pytest.mark.parametrize("command", COMMANDS)
def test_encoder_agrees_with_fastavro(command):
    assert wire.body_of(command) == by_fastavro(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_decoder_reads_what_the_encoder_wrote(command):
    assert wire.decode(wire.encode(command)) == (command, False)


@pytest.mark.parametrize("command", COMMANDS)
def test_decoder_refuses_every_cut_and_every_tail(command):
    value = wire.encode(command)
    for length in range(len(value)):
        with pytest.raises(wire.Malformed):
            wire.decode(value[:length])
    with pytest.raises(wire.Malformed):
        wire.decode(value + b"\0")


def test_a_name_twice_survives():
    command = Command("id", "c", "e", (("a", "int", 1), ("a", "int", 2)))
    assert wire.decode(wire.encode(command))[0] == command


@pytest.mark.parametrize("schema, expected", [("int", 0x7275D51A3F395C8F), ("null", 0x63DD24E7CC258F8A)])
def test_fingerprint_of_known_schemas(schema, expected):
    assert wire.fingerprint(schema) == expected
