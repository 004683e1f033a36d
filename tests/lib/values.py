"""Attribute values for the random commands: right ones, wrong ones, and one value in its many spellings."""

import struct
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

from lib import wire

TEXTS = ["", " ", "NULL", "null", "{}", '"', "'", "\\", "\\N", "\\.", "a,b", "(,)", "tab\tline\n\r", "x ", "é",
         "e\u0301", "😀",
         "مرحبا", "\x01\x7f", "\ufeff", "\uffff", "İıſK", "%s$1", "\U0010FFFF" * 5, "5", "true"]
DOUBLES = [0.0, -0.0, 0.1, 1.5, -2.5e-308, 5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 1e15 + 0.3, 2.0**53]
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
FIRST, LAST = datetime(1, 1, 1, tzinfo=timezone.utc), datetime(9999, 12, 31, 23, 59, 59, 999999, timezone.utc)


def float32(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


def whole(rng, low, high):
    """A whole number of a range, often near one of its ends or near zero."""
    near = rng.choice([low, high, 0, 0])
    number = rng.choice([near, near + rng.randint(-3, 3), rng.randint(low, high), rng.randint(-1000, 1000)])
    return min(max(number, low), high)


def text(rng, length):
    limit = 40 if length is None else length
    some = "".join(rng.choice("abcXYZ é") for _ in range(rng.randint(0, limit)))
    return rng.choice(TEXTS + ["x" * limit, "😀" * limit, some])[:limit]


def random_value(rng, attribute):
    """A value as PostgreSQL holds it."""
    kind = attribute.type
    if kind == "string":
        return text(rng, attribute.length)
    if kind == "integer":
        return whole(rng, wire.INT_MIN, wire.INT_MAX)
    if kind == "long":
        return whole(rng, wire.LONG_MIN, wire.LONG_MAX)
    if kind == "double":
        return rng.choice([rng.choice(DOUBLES), float(rng.randint(-9, 9)), float32(rng.random()),
                           rng.uniform(-1e9, 1e9)])
    if kind == "date":
        return date.fromordinal(rng.choice([1, date.max.toordinal(), rng.randint(1, date.max.toordinal()), 719163]))
    if kind == "datetime":
        near = rng.choice([FIRST, LAST, EPOCH, EPOCH + timedelta(days=rng.randint(-9000, 30000))])
        moved = timedelta(microseconds=rng.choice([0, 1, 1000, 500000, 86399999999, rng.randint(0, 10**12)]))
        return min(max(near + moved, FIRST), LAST) if near is not LAST else near - moved
    if kind == "currency":
        return Decimal(whole(rng, *rng.choice([(-10**19 + 1, 10**19 - 1), (-10**6, 10**6)]))).scaleb(-4)
    return rng.random() < 0.5


def spell(rng, attribute, value):
    """One of the ways to write a value that PostgreSQL holds: (kind, value as sent)."""
    if value is None:
        return "null", None
    return SPELL[attribute.type](rng, value)


def spell_whole(rng, value):
    return rng.choice(["int", "long"] if wire.INT_MIN <= value <= wire.INT_MAX else ["long"]), value


def spell_double(rng, value):
    ways = [("double", value)]
    if abs(value) < 1e38 and float32(value) == value:
        ways.append(("float", value))
    if value.is_integer() and abs(value) < 2**53:
        ways.append(spell_whole(rng, int(value)))
    return rng.choice(ways)


def spell_date(rng, value):
    if rng.random() < 0.6:
        return "string", value.isoformat()
    return spell_whole(rng, value.toordinal() - 719163)


def spell_datetime(rng, value):
    past = value - EPOCH
    if past % timedelta(milliseconds=1) == timedelta(0) and rng.random() < 0.4:
        return spell_whole(rng, past // timedelta(milliseconds=1))
    zone, suffix = timedelta(0), "Z"
    if rng.random() < 0.5:
        minutes = rng.choice([0, 330, 15 * 60 + 59, rng.randint(0, 15 * 60 + 59)]) * rng.choice([1, -1])
        room = LAST - value if minutes > 0 else value - FIRST
        if room > timedelta(minutes=abs(minutes)):  # or Python could not hold the local time
            zone = timedelta(minutes=minutes)
            sign, colon = "-" if minutes < 0 else "+", rng.choice([":", ""])
            suffix = "%s%02d%s%02d" % (sign, abs(minutes) // 60, colon, abs(minutes) % 60)
    local = value + zone
    fraction = "%06d" % local.microsecond
    while fraction and fraction[-1] == "0" and rng.random() < 0.8:
        fraction = fraction[:-1]
    head = "%04d-%02d-%02dT%02d:%02d:%02d" % local.timetuple()[:6]
    return "string", head + ("." + fraction if fraction else "") + suffix


def spell_currency(rng, value):
    if value == value.to_integral_value() and abs(value) < 10**15 and rng.random() < 0.3:
        return spell_whole(rng, int(value))
    whole_part, _, fraction = "{:.4f}".format(abs(value)).partition(".")
    while fraction and fraction[-1] == "0" and rng.random() < 0.7:
        fraction = fraction[:-1]
    sign = "-" if value < 0 else rng.choice(["", "", "+"])
    return "string", sign + "0" * rng.choice([0, 0, 0, 1, 20]) + whole_part + ("." + fraction if fraction else "")


SPELL = {"string": lambda rng, value: ("string", value), "integer": spell_whole, "long": spell_whole,
         "double": spell_double, "date": spell_date, "datetime": spell_datetime, "currency": spell_currency,
         "boolean": lambda rng, value: ("boolean", value)}

NAN, INFINITY = float("nan"), float("inf")
ANY = [("boolean", True), ("int", 5), ("long", 5), ("float", 1.5), ("double", 2.0), ("string", "5"), ("string", "true"),
       ("string", ""), ("string", "a\0b"), ("double", NAN), ("double", -INFINITY), ("float", INFINITY)]
WRONG = {
    "string": [("string", "\0")],
    "integer": [("long", 2**31), ("long", -2**31 - 1), ("double", 1.0), ("string", "1")],
    "long": [("double", 1.0), ("float", 1.0), ("string", "1")],
    "double": [("float", NAN), ("string", "1.5"), ("string", "NaN")],
    "date": [("string", spelling) for spelling in (
        "2023-02-29", "2023-13-01", "2023-00-10", "2023-01-00", "0000-01-01", "10000-01-01", "2023-1-1", "20230101",
        "2023-01-01T00:00:00Z", " 2023-01-01", "2023-01-01 ", "-001-01-01", "+2023-01-01", "2023-01-0x", "infinity",
        "epoch", "today", "٢٠٢٣-01-01", "1900-02-29")] + [("int", 2932897), ("int", -719163), ("long", 2**62)],
    "datetime": [("string", spelling) for spelling in (
        "2023-01-01T24:00:00Z", "2023-01-01T23:60:00Z", "2023-01-01T23:59:60Z", "2023-01-01T10:00:00",
        "2023-01-01 10:00:00Z", "2023-01-01t10:00:00Z", "2023-01-01T10:00:00z", "2023-01-01T10:00Z",
        "2023-01-01T10:00:00.Z", "2023-01-01T10:00:00.1234567Z", "2023-01-01T10:00:00,5Z", "2023-01-01T10:00:00+16:00",
        "2023-01-01T10:00:00+05", "2023-01-01T10:00:00+5:30", "2023-01-01T10:00:00+05:60", "2023-01-01T10:00:00Z ",
        "2023-02-30T10:00:00Z", "9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00+00:01", "2023-01-01", "now",
        "2023-01-01T10:00:00 +05:30", "2023-01-01T10:00:00ZZ")] + [("long", 253402300800000), ("long", -62135596800001),
                                                                  ("long", wire.LONG_MIN), ("long", wire.LONG_MAX)],
    "currency": [("string", spelling) for spelling in (
        "1.", ".5", "1.00000", "1000000000000000", "-1000000000000000.0", "1e3", "NaN", "", "-", "+", "1,5", "$1",
        " 1", "1 ", "--1", "0x10", "1.2.3", "Infinity", "1_000", "١")] + [("long", 10**15), ("long", wire.LONG_MIN),
        ("double", 1.0)],
    "boolean": [("int", 1), ("int", 0), ("string", "true"), ("string", "t")],
}


def wrong_value(rng, attribute):
    """A value that is most likely none of the attribute's type."""
    wrong = WRONG[attribute.type] + ANY
    if attribute.type == "string" and attribute.length is not None:
        wrong = wrong + [("string", "x" * (attribute.length + 1)), ("string", "😀" * (attribute.length + 1))] * 4
    return rng.choice(wrong)


def same_number(rng, kind, value):
    """The same number in another of Avro's types, where there is one."""
    if kind not in ("int", "long", "float", "double") or value != value or value in (INFINITY, -INFINITY):
        return kind, value
    if kind in ("int", "long"):
        ways = [spell_whole(rng, value)]
        if abs(value) <= 2**24:
            ways += [("float", float(value)), ("double", float(value))]
        elif abs(value) <= 2**53:
            ways.append(("double", float(value)))
        return rng.choice(ways)
    return spell_double(rng, value)


