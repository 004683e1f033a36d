"""The two messages on the wire, by Avro's specification: an encoder of commands and a strict decoder of them by hand,
so that it is known of every byte sequence whether it is a command; results are decoded by fastavro."""

import io
import json
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import List, Optional, Tuple

import fastavro

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
KINDS = ["null", "boolean", "int", "long", "float", "double", "string"]  # branches of an attribute's union, in order
INT_MIN, INT_MAX = -2**31, 2**31 - 1
LONG_MIN, LONG_MAX = -2**63, 2**63 - 1


class Malformed(Exception):
    """The bytes are no command."""


@dataclass(frozen=True)
class Command:
    command_id: str
    customer_id: str
    ext_name: str
    attributes: Tuple[Tuple[str, str, object], ...] = ()  # name, kind, value: a map, but one that can repeat a name
    batch_id: Optional[str] = None
    issued_at: Optional[int] = None

    def but(self, **changes):
        return replace(self, **changes)


# Encoding

def zigzag(number):
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while True:
        if number < 0x80:
            out.append(number)
            return bytes(out)
        out.append(number & 0x7F | 0x80)
        number >>= 7


def string(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return zigzag(len(raw)) + raw


def value_of(kind, value):
    if kind == "null":
        return b""
    if kind == "boolean":
        return b"\1" if value else b"\0"
    if kind in ("int", "long"):
        return zigzag(value)
    if kind == "float":
        return struct.pack("<f", value)
    if kind == "double":
        return struct.pack("<d", value)
    return string(value)


def attributes_of(attributes):
    parts = [zigzag(len(attributes))] if attributes else []
    for name, kind, value in attributes:
        parts += (string(name), zigzag(KINDS.index(kind)), value_of(kind, value))
    parts.append(zigzag(0))
    return b"".join(parts)


def body_of(command):
    """The command as Avro binary of the shipped schema."""
    out = string(command.command_id) + string(command.customer_id) + string(command.ext_name)
    out += attributes_of(command.attributes)
    out += zigzag(0) if command.batch_id is None else zigzag(1) + string(command.batch_id)
    out += zigzag(0) if command.issued_at is None else zigzag(1) + zigzag(command.issued_at)
    return out


def encode(command):
    """The command as a Kafka value."""
    return single_object(COMMAND_FINGERPRINT, body_of(command))


def single_object(fingerprint, body):
    return b"\xC3\x01" + fingerprint.to_bytes(8, "little") + body


# Decoding

@dataclass
class Reader:
    data: bytes
    at: int = 0
    doubtful: bool = False  # readable, but not as the specification writes it: refusing it is right as well
    notes: List[str] = field(default_factory=list)

    def take(self, count):
        if count < 0 or count > len(self.data) - self.at:
            raise Malformed("%d bytes wanted, %d left" % (count, len(self.data) - self.at))
        self.at += count
        return self.data[self.at - count:self.at]

    def doubt(self, why):
        self.doubtful = True
        self.notes.append(why)

    def number(self, low=LONG_MIN, high=LONG_MAX):
        result, shift, start = 0, 0, self.at
        while True:
            byte = self.take(1)[0]
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                raise Malformed("a number of more than ten bytes")
        if result >= 2**64:
            raise Malformed("a number of more than 64 bits")
        number = (result >> 1) ^ -(result & 1)
        if self.data[start:self.at] != zigzag(number):
            self.doubt("a number in more bytes than it needs")
        if not low <= number <= high:
            raise Malformed("a number out of range")
        return number

    def string(self):
        try:
            return self.take(self.number()).decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("ill-formed UTF-8")

    def branch(self, kinds):
        index = self.number()
        if not 0 <= index < len(kinds):
            raise Malformed("no such branch of a union: %d" % index)
        return kinds[index]

    def value(self, kind):
        if kind == "null":
            return None
        if kind == "boolean":
            byte = self.take(1)
            if byte not in (b"\0", b"\1"):
                raise Malformed("neither true nor false")
            return byte == b"\1"
        if kind == "int":
            return self.number(INT_MIN, INT_MAX)
        if kind == "long":
            return self.number()
        if kind == "float":
            return struct.unpack("<f", self.take(4))[0]
        if kind == "double":
            return struct.unpack("<d", self.take(8))[0]
        return self.string()

    def attributes(self):
        out = []
        while True:
            count, end = self.number(), None
            if count == 0:
                return tuple(out)
            if count < 0:
                size = self.number()
                if size < 0 or size > len(self.data) - self.at:
                    raise Malformed("a block of %d bytes, %d left" % (size, len(self.data) - self.at))
                count, end = -count, self.at + size
            if count > len(self.data) - self.at:
                raise Malformed("%d entries in %d bytes" % (count, len(self.data) - self.at))
            for _ in range(count):
                name = self.string()
                kind = self.branch(KINDS)
                out.append((name, kind, self.value(kind)))
            if end is not None and end != self.at:
                self.doubt("a block's size that is not its size")


def decode(value):
    """A Kafka value that claims the shipped schema → (Command, doubtful). Raises Malformed."""
    if not value or value[:2] != b"\xC3\x01":
        raise Malformed("unknown framing")
    if len(value) < 10 or int.from_bytes(value[2:10], "little") != COMMAND_FINGERPRINT:
        raise Malformed("unknown schema")
    reader = Reader(value, 10)
    command_id, customer_id, ext_name = reader.string(), reader.string(), reader.string()
    attributes = reader.attributes()
    batch_id = reader.value(reader.branch(["null", "string"]))
    issued_at = reader.value(reader.branch(["null", "long"]))
    if reader.at != len(value):
        raise Malformed("trailing bytes")
    return Command(command_id, customer_id, ext_name, attributes, batch_id, issued_at), reader.doubtful


# Schemas

def plain(schema):
    """The schema without logical types: times stay numbers, ids stay strings."""
    if isinstance(schema, list):
        return [plain(each) for each in schema]
    if isinstance(schema, dict):
        return {name: plain(each) for name, each in schema.items() if name != "logicalType"}
    return schema


def fingerprint(schema):
    """CRC-64-AVRO of the parsing canonical form."""
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    return int.from_bytes(bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")), "little")


def with_schema(schema, record):
    """A record of any writer's schema as a Kafka value, by fastavro."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(plain(schema)), record)
    return single_object(fingerprint(schema), out.getvalue())


def body_with(schema, record):
    """A record of any writer's schema as Avro binary, logical types included, by fastavro."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    return out.getvalue()


def confluent(schema_id, body):
    return b"\0" + schema_id.to_bytes(4, "big") + body


COMMAND_SCHEMA = json.loads((SCHEMAS / "UpdateByUnique.avsc").read_text())
RESULT_SCHEMA = json.loads((SCHEMAS / "UpdateResult.avsc").read_text())
COMMAND_FINGERPRINT = fingerprint(COMMAND_SCHEMA)
RESULT_FINGERPRINT = fingerprint(RESULT_SCHEMA)
_RESULT = fastavro.parse_schema(plain(RESULT_SCHEMA))


def decode_result(value):
    """A result's Kafka value → dict. Fails where it isn't exactly one result in single-object encoding."""
    assert value[:2] == b"\xC3\x01", "a result in another framing: %r" % value[:16]
    assert int.from_bytes(value[2:10], "little") == RESULT_FINGERPRINT, "a result of another schema"
    body = io.BytesIO(value[10:])
    result = fastavro.schemaless_reader(body, _RESULT)
    assert body.read() == b"", "bytes after a result"
    return result
