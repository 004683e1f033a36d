"""Every type at its limits: what is accepted is read back from PostgreSQL as text, written here by hand."""

from datetime import date, datetime, timezone
from decimal import Decimal

from lib import schemas
from lib.model import Attribute, Invalid
from lib.site import new_id
from lib.wire import Command

NAN, INFINITY = float("nan"), float("inf")
INVALID = object()

# column: (kind, value as sent) → the column's text in PostgreSQL, or INVALID
CASES = {
    "text": [
        ("string", "", ""), ("string", "NULL", "NULL"), ("string", "\\N", "\\N"), ("string", " a\t\n\r", " a\t\n\r"),
        ("string", '{"a",b}', '{"a",b}'), ("string", "\U0010FFFF\ufeff\x01", "\U0010FFFF\ufeff\x01"),
        ("string", "x" * 100000, "x" * 100000), ("string", "é😀" * 3000, "é😀" * 3000), ("string", "e\u0301", "e\u0301"),
        ("string", "a\0", INVALID), ("int", 1, INVALID), ("boolean", True, INVALID), ("double", 1.0, INVALID)],
    "short": [
        ("string", "12345", "12345"), ("string", "😀" * 5, "😀" * 5), ("string", "     ", "     "),
        ("string", "123456", INVALID), ("string", "12345 ", INVALID), ("string", "😀" * 6, INVALID), ("string", "", "")],
    "amount": [
        ("int", 2**31 - 1, "2147483647"), ("int", -2**31, "-2147483648"), ("long", 2**31 - 1, "2147483647"),
        ("long", -2**31, "-2147483648"), ("int", 0, "0"), ("long", 2**31, INVALID), ("long", -2**31 - 1, INVALID),
        ("long", 2**32, INVALID), ("long", 2**63 - 1, INVALID), ("string", "5", INVALID), ("double", 5.0, INVALID),
        ("float", 5.0, INVALID), ("boolean", True, INVALID)],
    "big": [
        ("long", 2**63 - 1, "9223372036854775807"), ("long", -2**63, "-9223372036854775808"), ("int", -1, "-1"),
        ("double", 1.0, INVALID), ("string", "1", INVALID), ("boolean", False, INVALID)],
    "ratio": [
        ("double", 1.7976931348623157e308, "1.7976931348623157e+308"), ("double", 5e-324, "5e-324"),
        ("double", -0.0, "-0"), ("double", 0.1, "0.1"), ("float", 0.5, "0.5"),
        ("float", 3.4028234663852886e38, "3.4028234663852886e+38"), ("int", -7, "-7"),
        ("long", 2**53, "9.007199254740992e+15"), ("long", 2**63 - 1, "9.223372036854776e+18"),
        ("double", NAN, INVALID), ("double", INFINITY, INVALID), ("double", -INFINITY, INVALID),
        ("float", NAN, INVALID), ("float", INFINITY, INVALID), ("string", "1.5", INVALID), ("boolean", True, INVALID)],
    "day": [
        ("string", "0001-01-01", "0001-01-01"), ("string", "9999-12-31", "9999-12-31"),
        ("string", "2024-02-29", "2024-02-29"), ("string", "2000-02-29", "2000-02-29"),
        ("string", "1582-10-10", "1582-10-10"), ("int", 0, "1970-01-01"), ("int", -1, "1969-12-31"),
        ("long", 2932896, "9999-12-31"), ("long", -719162, "0001-01-01"), ("int", 10957, "2000-01-01"),
        ("string", "2023-02-29", INVALID), ("string", "1900-02-29", INVALID), ("string", "2023-04-31", INVALID),
        ("string", "0000-12-31", INVALID), ("string", "10000-01-01", INVALID), ("string", "2023-00-01", INVALID),
        ("string", "2023-13-01", INVALID), ("string", "2023-01-00", INVALID), ("string", "2023-1-01", INVALID),
        ("string", "2023-01-01T", INVALID), ("string", "20230101", INVALID), ("string", "today", INVALID),
        ("string", "infinity", INVALID), ("string", "", INVALID), ("string", "-0001-01-01", INVALID),
        ("int", 2932897, INVALID), ("int", -719163, INVALID), ("long", 2**63 - 1, INVALID), ("long", 2**32, INVALID),
        ("double", 0.0, INVALID)],
    "moment": [
        ("string", "2009-12-18T18:30:00.000Z", "2009-12-18 18:30:00+00"),
        ("string", "2009-12-18T18:30:00Z", "2009-12-18 18:30:00+00"),
        ("string", "2009-12-18T18:30:00.1Z", "2009-12-18 18:30:00.1+00"),
        ("string", "2009-12-18T18:30:00.123456Z", "2009-12-18 18:30:00.123456+00"),
        ("string", "2009-12-18T18:30:00+05:30", "2009-12-18 13:00:00+00"),
        ("string", "2009-12-18T18:30:00+0530", "2009-12-18 13:00:00+00"),
        ("string", "2009-12-18T18:30:00.5-1559", "2009-12-19 10:29:00.5+00"),
        ("string", "2009-12-18T18:30:00-00:00", "2009-12-18 18:30:00+00"),
        ("string", "2024-02-29T23:59:59.999999-15:59", "2024-03-01 15:58:59.999999+00"),
        ("string", "0001-01-01T00:00:00Z", "0001-01-01 00:00:00+00"),
        ("string", "0001-01-01T15:59:00+15:59", "0001-01-01 00:00:00+00"),
        ("string", "9999-12-31T23:59:59.999999Z", "9999-12-31 23:59:59.999999+00"),
        ("string", "9999-12-31T08:00:59-15:59", "9999-12-31 23:59:59+00"),
        ("string", "0000-12-31T23:59:59.5-00:01", "0001-01-01 00:00:59.5+00"), ("long", 0, "1970-01-01 00:00:00+00"),
        ("int", -1, "1969-12-31 23:59:59.999+00"), ("long", 253402300799999, "9999-12-31 23:59:59.999+00"),
        ("long", -62135596800000, "0001-01-01 00:00:00+00"), ("int", 2**31 - 1, "1970-01-25 20:31:23.647+00"),
        ("long", 253402300800000, INVALID), ("long", -62135596800001, INVALID), ("long", 2**63 - 1, INVALID),
        ("long", -2**63, INVALID), ("string", "0001-01-01T00:00:00+00:01", INVALID),
        ("string", "9999-12-31T23:59:59-00:01", INVALID), ("string", "0000-12-31T23:59:59Z", INVALID),
        ("string", "2009-12-18T24:00:00Z", INVALID), ("string", "2009-12-18T23:60:00Z", INVALID),
        ("string", "2009-12-18T23:59:60Z", INVALID), ("string", "2009-12-18T18:30:00", INVALID),
        ("string", "2009-12-18T18:30Z", INVALID), ("string", "2009-12-18 18:30:00Z", INVALID),
        ("string", "2009-12-18t18:30:00z", INVALID), ("string", "2009-12-18T18:30:00.Z", INVALID),
        ("string", "2009-12-18T18:30:00.1234567Z", INVALID), ("string", "2009-12-18T18:30:00+16:00", INVALID),
        ("string", "2009-12-18T18:30:00+05:60", INVALID), ("string", "2009-12-18T18:30:00+05", INVALID),
        ("string", "2009-12-18T18:30:00+5:30", INVALID), ("string", "2009-02-29T18:30:00Z", INVALID),
        ("string", "2009-12-18", INVALID), ("string", "2009-12-18T18:30:00Z ", INVALID),
        ("string", "2009-12-18T18:30:00ZZ", INVALID), ("double", 0.0, INVALID)],
    "price": [
        ("string", "-12.50", "-12.5000"), ("string", "+1", "1.0000"), ("string", "0", "0.0000"),
        ("string", "-0.0000", "0.0000"), ("string", "999999999999999.9999", "999999999999999.9999"),
        ("string", "-999999999999999.9999", "-999999999999999.9999"),
        ("string", "0000000000000000000000999999999999999", "999999999999999.0000"), ("string", "0.0001", "0.0001"),
        ("string", "10000.0001", "10000.0001"), ("string", "100000000", "100000000.0000"),
        ("string", "0" * 500 + "1.5", "1.5000"), ("int", -5, "-5.0000"), ("long", 10**15 - 1, "999999999999999.0000"),
        ("long", -10**15 + 1, "-999999999999999.0000"), ("long", 10**15, INVALID), ("long", -2**63, INVALID),
        ("string", "1000000000000000", INVALID), ("string", "0.00001", INVALID), ("string", "1.00000", INVALID),
        ("string", "1.", INVALID), ("string", ".5", INVALID), ("string", "", INVALID), ("string", "-", INVALID),
        ("string", "1e3", INVALID), ("string", "1,5", INVALID), ("string", " 1", INVALID), ("string", "1 ", INVALID),
        ("string", "NaN", INVALID), ("string", "--1", INVALID), ("string", "1.2.3", INVALID),
        ("string", "$1", INVALID), ("string", "\u0661", INVALID), ("double", 1.5, INVALID), ("float", 1.0, INVALID)],
    "flag": [
        ("boolean", True, "true"), ("boolean", False, "false"), ("int", 1, INVALID), ("string", "true", INVALID),
        ("double", 0.0, INVALID)],
}


def utc(text):
    """PostgreSQL's text of a time in UTC, as datetime."""
    head, _, fraction = text[:-len("+00")].partition(".")
    return datetime.fromisoformat("%s.%s+00:00" % (head, fraction.ljust(6, "0")))


def expected_text(column, text):
    """What psycopg would make of a text: for comparing with the model."""
    return {"day": date.fromisoformat, "price": Decimal, "ratio": float, "amount": int, "big": int,
            "flag": lambda each: each == "true",
            "moment": utc
            }.get(column, str)(text)


def all_cases():
    return [(column, kind, value, text) for column, cases in CASES.items() for kind, value, text in cases]


def test_the_model_agrees():
    """The expectations below and the reference model are two readings of the contract."""
    attributes = {each["name"]: each for each in schemas.EVERYTHING["attributes"]}
    for column, kind, value, text in all_cases():
        schema = attributes[column]
        attribute = Attribute(column, schema["type"], schema.get("length"), False)
        try:
            got = attribute.convert(kind, value)
        except Invalid:
            assert text is INVALID, (column, kind, value)
        else:
            assert text is not INVALID and got == expected_text(column, text), (column, kind, value, got)


def test_values_are_stored_exactly(site):
    site.init(schemas.EVERYTHING)
    cases = all_cases()
    with site.db.transaction():
        for number in range(len(cases) + len(CASES)):
            site.insert("Everything", "c", label="a", Number=number, required="r", short="old", day=date(1999, 9, 9))
    site.worker()
    commands = []
    for number, (column, kind, value, _) in enumerate(cases):
        attributes = (("label", "string", "a"), ("Number", "int", number), (column, kind, value))
        commands.append(Command(new_id(), "c", "Everything", attributes))
    results = site.answers(*commands)
    wrong = []
    for number, ((column, kind, value, text), result) in enumerate(zip(cases, results)):
        old = {"short": "old", "day": "1999-09-09"}.get(column)
        [(stored, required)] = site.db.execute(
            "SELECT %s::text, required FROM ext_everything WHERE number = %d" % (column, number)).fetchall()
        right = (400, "InvalidAttributeValue", old, "r") if text is INVALID else (204, None, text, "r")
        if (result.status, result.code, stored, required) != right:
            wrong.append((column, kind, str(value)[:60], result.status, result.code, str(stored)[:60]))
        if text is INVALID and result.body["error"] and result.body["error"]["attribute"] != column:
            wrong.append((column, "the attribute at fault", result.body["error"]))
    assert not wrong, "\n".join(map(str, wrong))
    site.stop()


def test_null_clears_every_type(site):
    site.init(schemas.EVERYTHING)
    full = dict(label="a", Number=1, text="t", short="s", required="r", amount=1, big=2, ratio=3.5,
                day=date(2000, 1, 1), moment=datetime(2000, 1, 1, tzinfo=timezone.utc), price=Decimal("1.5"), flag=True,
                Order=4, user="u", A_name_of_26_characters_OK=5)
    site.insert("Everything", "c", **full)
    site.worker()
    cleared = [name for name in full if name not in ("label", "Number", "required")]
    key = (("label", "string", "a"), ("Number", "long", 1))
    [result] = site.answers(Command(new_id(), "c", "Everything", key + tuple((name, "null", None) for name in cleared)))
    assert result.status == 204, result.body
    columns = ", ".join('"%s"' % name.lower() for name in cleared)
    assert site.db.execute("SELECT %s FROM ext_everything" % columns).fetchall() == [(None,) * len(cleared)]
    site.stop()


def test_unique_values_match_by_value(site):
    """A record is found by its values, whichever way a command writes them."""
    site.init(schemas.KEYED)
    moment = datetime(2009, 12, 18, 18, 30, tzinfo=timezone.utc)
    site.insert("Keyed_By_All", "c", id=7, ratio=-0.0, day=date(2000, 1, 1), moment=moment, price=Decimal("12.5"),
                flag=True)
    spellings = {
        "id": [("int", 7), ("long", 7)],
        "ratio": [("double", 0.0), ("float", -0.0), ("int", 0)],
        "day": [("string", "2000-01-01"), ("int", 10957)],
        "moment": [("string", "2009-12-18T18:30:00Z"), ("string", "2009-12-19T00:00:00.000000+0530"),
                   ("long", 1261161000000)],
        "price": [("string", "12.5"), ("string", "+0012.5000")],
        "flag": [("boolean", True)]}
    others = {"id": ("int", 8), "ratio": ("double", 5e-324), "day": ("int", 10958), "moment": ("long", 1261161000001),
              "price": ("string", "12.5001"), "flag": ("boolean", False)}
    site.worker()
    found = []
    for name, ways in spellings.items():
        for way in ways:
            found.append(dict({each: spelled[0] for each, spelled in spellings.items()}, **{name: way}))
    right = {each: spelled[0] for each, spelled in spellings.items()}
    missed = [dict(right, **{name: way}) for name, way in others.items()]

    def command(number, given):
        attributes = tuple((name, kind, value) for name, (kind, value) in given.items())
        return Command(new_id(), "c", "Keyed_By_All", attributes + (("note", "string", "n%d" % number),))

    results = site.answers(*[command(number, given) for number, given in enumerate(missed + found)])
    assert [result.code for result in results] == ["RecordNotFound"] * len(missed) + [None] * len(found)
    assert site.db.execute("SELECT note, ratio::text FROM ext_keyed_by_all").fetchall() == [
        ("n%d" % (len(missed) + len(found) - 1), "-0")]
    site.stop()
