"""The contract as a program: an in-memory database and answer(command), which says what the worker has to answer.

Written from the contract's text alone, for being right and not for being fast. It knows nothing of batches: the
commands of one partition are handed to it in the order of their offsets.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import FrozenSet, Optional

from lib import wire

STATUS = {
    "MalformedMessage": 400, "InvalidCommandId": 400, "CommandIdReused": 422, "InvalidCustomerId": 400,
    "InvalidExtensionName": 400, "ExtensionNotFound": 404, "NotMultiValued": 409, "UnknownAttribute": 400,
    "DuplicateAttribute": 400, "MissingUniqueAttribute": 400, "MandatoryAttribute": 400, "InvalidAttributeValue": 400,
    "CustomerNotFound": 404, "RecordNotFound": 404, "OutcomeExpired": 410, "InternalError": 500,
}
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,25}")
UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
DATETIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?"
                      r"(?:Z|([+-])([0-9]{2}):?([0-9]{2}))")
CURRENCY = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]+))?")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Invalid(Exception):
    """The value is none of its attribute's type."""


def ascii_lower(name):
    """Names are ASCII: str.lower() would also fold U+212A, the Kelvin sign, to k."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in name)


# Values: (kind, value) as sent → what PostgreSQL holds. Raise Invalid.

def to_string(attribute, kind, value):
    if kind != "string" or "\0" in value:
        raise Invalid
    if attribute.length is not None and len(value) > attribute.length:
        raise Invalid
    return value


def to_integer(attribute, kind, value):
    if kind not in ("int", "long") or not wire.INT_MIN <= value <= wire.INT_MAX:
        raise Invalid
    return value


def to_long(attribute, kind, value):
    if kind not in ("int", "long"):
        raise Invalid
    return value


def to_double(attribute, kind, value):
    if kind not in ("int", "long", "float", "double") or not math.isfinite(value):
        raise Invalid
    return float(value)


def to_boolean(attribute, kind, value):
    if kind != "boolean":
        raise Invalid
    return value


def to_date(attribute, kind, value):
    try:
        if kind in ("int", "long"):
            return date(1970, 1, 1) + timedelta(days=value)
        if kind == "string":
            match = DATE.fullmatch(value)
            if match:
                return date(*map(int, match.groups()))
    except (ValueError, OverflowError):
        pass
    raise Invalid


def days_of(year, month, day):
    """Days since 1970-01-01 of a proleptic Gregorian date. Year 0 too: with an offset, its instant can be in year 1."""
    if year == 0:
        date(4, month, day)  # a leap year like year 0: is there such a day?
        return (date(4, month, day) - date(1970, 1, 1)).days - 4 * 365 - 1
    return (date(year, month, day) - date(1970, 1, 1)).days


def to_datetime(attribute, kind, value):
    try:
        if kind in ("int", "long"):
            return EPOCH + timedelta(milliseconds=value)
        if kind == "string":
            match = DATETIME.fullmatch(value)
            if match:
                return instant(match)
    except (ValueError, OverflowError):
        pass
    raise Invalid


def instant(match):
    year, month, day, hour, minute, second = (int(match.group(i)) for i in range(1, 7))
    fraction, sign, offset_hours, offset_minutes = match.group(7, 8, 9, 10)
    if hour > 23 or minute > 59 or second > 59:
        raise Invalid
    seconds = ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
    if sign:
        if int(offset_hours) > 15 or int(offset_minutes) > 59:
            raise Invalid
        offset = (int(offset_hours) * 60 + int(offset_minutes)) * 60
        seconds += -offset if sign == "+" else offset
    microseconds = int((fraction or "0").ljust(6, "0"))
    return EPOCH + timedelta(seconds=seconds, microseconds=microseconds)  # OverflowError beyond the years 1 to 9999


def to_currency(attribute, kind, value):
    if kind in ("int", "long"):
        value = str(value)
    elif kind != "string":
        raise Invalid
    match = CURRENCY.fullmatch(value)
    if not match or len(match.group(2).lstrip("0")) > 15 or len(match.group(3) or "") > 4:
        raise Invalid
    return Decimal(value)


CONVERT = {"string": to_string, "integer": to_integer, "long": to_long, "double": to_double, "date": to_date,
           "datetime": to_datetime, "currency": to_currency, "boolean": to_boolean}


# The catalogue

@dataclass(frozen=True)
class Attribute:
    name: str
    type: str
    length: Optional[int]
    mandatory: bool

    def convert(self, kind, value):
        return CONVERT[self.type](self, kind, value)


class Extension:
    def __init__(self, schema):
        self.schema = schema
        self.name = schema["name"]
        self.type = schema["type"]
        self.unique = [ascii_lower(name) for name in schema.get("unique", [])]
        self.attributes = {}
        for each in schema["attributes"]:
            key = ascii_lower(each["name"])
            self.attributes[key] = Attribute(each["name"], each["type"], each.get("length"),
                                             each.get("mandatory", False) or key in self.unique)


# The operation

@dataclass(frozen=True)
class Answer:
    status: int
    code: Optional[str] = None
    duplicate: bool = False
    at_fault: FrozenSet[str] = frozenset()  # attributes in lower case; where there are several, any may be named


DONE = Answer(204)


class Refused(Exception):
    def __init__(self, code, at_fault=()):
        super().__init__(code)
        self.answer = Answer(STATUS[code], code, False, frozenset(at_fault))


def content(command):
    """What tells a command with a known id from a repetition of the first: strings as they stand, numbers by value."""
    attributes = Counter()
    for name, kind, value in command.attributes:
        kind = "number" if kind in ("int", "long", "float", "double") else kind
        attributes[ascii_lower(name), kind, value] += 1
    return command.customer_id, ascii_lower(command.ext_name), frozenset(attributes.items())


class Model:
    def __init__(self, *schemas):
        self.extensions = {}
        self.profiles = set()
        self.records = {}  # extension → {(customer, unique values): {attribute: value}}
        self.taken = {}    # (partition, command id) → content
        for schema in schemas:
            self.add_extension(schema)

    def add_extension(self, schema):
        extension = Extension(schema)
        key = ascii_lower(extension.name)
        self.extensions[key] = extension
        self.records.setdefault(key, {})

    def insert(self, ext_name, customer_id, record):
        """A record as it stands in the database; attributes that are not named are null."""
        key = ascii_lower(ext_name)
        extension = self.extensions[key]
        row = dict.fromkeys(extension.attributes)
        row.update({ascii_lower(name): value for name, value in record.items()})
        self.profiles.add(customer_id)
        self.records[key][customer_id, tuple(row[name] for name in extension.unique)] = row

    def answer_message(self, value, partition):
        """The answers that are right for a Kafka value. More than one only where the bytes leave it open; the first is
        the one that the model went on with."""
        try:
            command, doubtful = wire.decode(value)
        except wire.Malformed:
            return [Answer(400, "MalformedMessage")]
        answer = self.answer(command, partition)
        return [answer, Answer(400, "MalformedMessage")] if doubtful else [answer]

    def answer(self, command, partition=0):
        """Execute one command."""
        try:
            if not UUID.fullmatch(command.command_id):
                raise Refused("InvalidCommandId")
            known = self.taken.get((partition, command.command_id.lower()))
            if known is not None:
                if known == content(command):
                    return Answer(204, None, True)
                raise Refused("CommandIdReused")
            row, values = self._find(command)
        except Refused as refused:
            return refused.answer
        row.update(values)
        self.taken[partition, command.command_id.lower()] = content(command)
        return DONE

    def _find(self, command):
        """The record that the command is about, and the values to store in it."""
        customer_id, name = command.customer_id, command.ext_name
        if not 1 <= len(customer_id) <= 16 or "\0" in customer_id:
            raise Refused("InvalidCustomerId")
        if not NAME.fullmatch(name):
            raise Refused("InvalidExtensionName")
        extension = self.extensions.get(ascii_lower(name))
        if extension is None:
            raise Refused("ExtensionNotFound")
        if extension.type != "multi-valued":
            raise Refused("NotMultiValued")
        values = checked(extension, command.attributes)
        if customer_id not in self.profiles:
            raise Refused("CustomerNotFound")
        key = tuple(values.pop(name) for name in extension.unique)
        row = self.records[ascii_lower(name)].get((customer_id, key))
        if row is None:
            raise Refused("RecordNotFound")
        return row, values


def checked(extension, attributes):
    """The attributes of a command, converted: the rows of the table from UnknownAttribute to InvalidAttributeValue."""
    names = Counter(ascii_lower(name) for name, _, _ in attributes)

    def refuse(code, at_fault):
        at_fault = list(at_fault)
        if at_fault:
            raise Refused(code, at_fault)

    refuse("UnknownAttribute", (name for name in names if name not in extension.attributes))
    refuse("DuplicateAttribute", (name for name, count in names.items() if count > 1))
    given = {ascii_lower(name): (kind, value) for name, kind, value in attributes}
    nulls = [name for name, (kind, _) in given.items() if kind == "null"]
    refuse("MissingUniqueAttribute", (name for name in extension.unique if name not in given or name in nulls))
    refuse("MandatoryAttribute", (name for name in nulls if extension.attributes[name].mandatory))
    values, invalid = dict.fromkeys(nulls), []
    for name, (kind, value) in given.items():
        if kind == "null":
            continue
        try:
            values[name] = extension.attributes[name].convert(kind, value)
        except Invalid:
            invalid.append(name)
    refuse("InvalidAttributeValue", invalid)
    return values
