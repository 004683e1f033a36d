"""load: records from CSV files, all or nothing."""

import json
import random
import subprocess
from datetime import datetime, timezone
from decimal import Decimal

import pytest

from lib import byunique, files, schemas, values, wire
from lib.model import Extension

EVERYTHING, KEYED = Extension(schemas.EVERYTHING), Extension(schemas.KEYED)


def load(site, name, *rows, options=()):
    path = files.write(site, "records.csv", files.csv_text(*rows))
    return byunique.run(site.settings, "load", name, path, *options)


def loaded(site, name, *rows, options=()):
    """Load rows, which has to succeed → standard output."""
    done = load(site, name, *rows, options=options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def phones(site):
    select = "SELECT customer_id, phonenumber, prefix, description FROM ext_phone ORDER BY 1, 2"
    return site.db.execute(select).fetchall()


def profiles(site):
    return [row[0] for row in site.db.execute("SELECT customer_id FROM profile ORDER BY 1")]


def spell(kind, value):
    """A value as PostgreSQL holds it, as a cell."""
    if kind == "boolean":
        return random.choice(["true", "TRUE", "True"] if value else ["false", "FALSE"])
    if kind == "datetime":
        return value.strftime("%04d-%%m-%%dT%%H:%%M:%%S.%%fZ" % value.year)
    if kind == "double":
        return repr(value)
    return value.isoformat() if kind == "date" else "{:f}".format(value) if kind == "currency" else str(value)


CUSTOMERS = ["alice", "é" * 16, "😀" * 16, "\\.", "\t", ' "', "\x01", "a,b\nc", "0000Sb5U97XE000Y"]


@pytest.mark.parametrize("extension, schema", [(EVERYTHING, schemas.EVERYTHING), (KEYED, schemas.KEYED)],
                         ids=["everything", "keyed"])
def test_every_type(site, extension, schema):
    """Random rows of every type come to lie in the table as they are."""
    site.init(schema)
    rng, null, expected = random.Random(7), "<null>", {}
    names = list(extension.attributes)
    rng.shuffle(names)
    for _ in range(400):
        row = {name: None if not attribute.mandatory and rng.random() < 0.2 else values.random_value(rng, attribute)
               for name, attribute in extension.attributes.items()}
        customer = rng.choice(CUSTOMERS)
        expected[customer, tuple(row[name] for name in extension.unique)] = row
    rows = [[customer] + [null if row[name] is None else spell(extension.attributes[name].type, row[name])
                          for name in names] for (customer, _), row in expected.items()]
    header = ["Customer_ID"] + [name.upper() for name in names]
    loaded(site, extension.name.upper(), header, *rows, options=["--null", null])
    assert site.rows(extension) == expected
    assert profiles(site) == sorted({customer for customer, _ in expected}, key=str.encode)


def test_replaces(site):
    """The file's columns replace; other columns, and other records, stay as they were."""
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1", prefix="+1", description="old", PhoneType=3)
    site.insert("Phone", "alice", PhoneNumber="2", prefix="+2", description="kept")
    out = loaded(site, "phone", ["description", "phonenumber", "CUSTOMER_ID"], ["new", "1", "alice"], ["", "1", "bob"],
                 ["", "3", "alice"])
    assert "3 records" in out
    assert phones(site) == [("alice", "1", "+1", "new"), ("alice", "2", "+2", "kept"), ("alice", "3", None, None),
                            ("bob", "1", None, None)]
    assert profiles(site) == ["alice", "bob"]
    loaded(site, "Phone", ["customer_id", "PhoneNumber", "prefix", "description"], ["alice", "1", "", "again"])
    assert phones(site)[0] == ("alice", "1", None, "again")
    assert site.db.execute("SELECT phonetype FROM ext_phone WHERE description = 'again'").fetchall() == [(3,)]


def test_key_alone(site):
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1", prefix="+1")
    loaded(site, "Phone", ["customer_id", "PhoneNumber"], ["alice", "1"], ["alice", "2"])
    assert phones(site) == [("alice", "1", "+1", None), ("alice", "2", None, None)]
    refused = load(site, "Phone", ["customer_id", "PhoneNumber"], ["bob", "1"], ["bob", "2"], ["bob", "1"])
    assert refused.returncode == 1 and "records.csv:4: the same record as in line 2" in refused.stderr


def test_defaults(site):
    """A new record gets the default where the file has no column; an empty cell is null."""
    site.init({"name": "Flags", "type": "multi-valued", "unique": ["id"], "attributes": [
        {"name": "id", "type": "integer", "mandatory": True},
        {"name": "state", "type": "string", "default": "new", "mandatory": True},
        {"name": "note", "type": "string", "default": "none"}]})
    loaded(site, "Flags", ["customer_id", "id"], ["a", "1"])
    loaded(site, "Flags", ["customer_id", "id", "note"], ["a", "2", ""])
    refused = load(site, "Flags", ["customer_id", "id", "state"], ["a", "3", ""])
    assert "records.csv:2: attribute state is mandatory" in refused.stderr
    assert site.db.execute("SELECT id, state, note FROM ext_flags ORDER BY id").fetchall() == [
        (1, "new", "none"), (2, "new", None)]


def test_attribute_names(site):
    """Names that the statements might use for themselves."""
    names = ["line", "loading", "select", "profile", "e", "excluded", "Order"]
    site.init({"name": "Names", "type": "multi-valued", "unique": ["line", "loading"], "attributes": [
        {"name": name, "type": "integer", "mandatory": name in ("line", "loading")} for name in names]})
    loaded(site, "Names", ["customer_id"] + names, ["a"] + list("1234567"), ["a"] + list("8234567"))
    assert site.db.execute("SELECT * FROM ext_names ORDER BY line").fetchall() == [
        ("a", 1, 2, 3, 4, 5, 6, 7), ("a", 8, 2, 3, 4, 5, 6, 7)]
    refused = load(site, "Names", ["customer_id"] + names, ["b"] + list("1234567"), ["b"] + list("1234567"))
    assert "records.csv:3: the same record as in line 2" in refused.stderr


GOOD = ["customer_id,PhoneNumber,prefix,PhoneType", "alice,1,+1,5", 'bob,2,"\n",']
BAD_FILES = {
    "customer id empty": (GOOD + [",1,,"], ":5: customer_id is empty"),
    "customer id too long": (GOOD + ["x" * 17 + ",1,,"], ":5: customer_id is longer than 16"),
    "customer id with NUL": (GOOD + ["a\0b,1,,"], ":5: customer_id holds"),
    "unique attribute empty": (GOOD + ["a,,,"], ":5: attribute PhoneNumber is unique"),
    "too long": (GOOD + ["a,1,123456,"], ":5: attribute prefix is longer"),
    "not a number": (GOOD + ["a,1,,5.0"], ":5: attribute PhoneType is no whole number"),
    "out of range": (GOOD + ["a,1,,2147483648"], ":5: attribute PhoneType is outside"),
    "blank in a number": (GOOD + ["a,1,, 5"], ":5: attribute PhoneType is no whole number"),
    "NUL in a string": (GOOD + ["a,1,\0,5"], ":5: attribute prefix holds"),
    "cell missing": (GOOD + ["a,1,"], ":5: 3 cells, where the first line has 4"),
    "cell too many": (GOOD + ["a,1,,5,"], ":5: 5 cells"),
    "stray quote": (GOOD + ['a,1,x"y,5'], ":5: a quote inside"),
    "quote left open": (GOOD + ['a,1,"x,5', "b,2,,"], ":5: a quoted cell begins here"),
    "not UTF-8": (GOOD + [b"a,1,\xe4,5"], ":5: the record is not in UTF-8"),
    "first of two": (GOOD + ["a,1,,x", "b,,,"], ":5: attribute PhoneType"),
    "record twice": (GOOD + ["c,1,,", "alice,1,+2,6"], ":6: the same record as in line 2"),
    "no such attribute": (["customer_id,PhoneNumber,carrier", "a,1,x"], ":1: extension Phone has no attribute carrier"),
    "column twice": (["customer_id,PhoneNumber,phonenumber", "a,1,1"], ":1: column phonenumber is there twice"),
    "nameless column": (["customer_id,PhoneNumber,", "a,1,"], ":1: column 3 has no name"),
    "no customer id": (["PhoneNumber", "1"], ":1: there is no column customer_id"),
    "no unique attribute": (["customer_id,prefix", "a,+1"],
                            ":1: there is no column for the unique attribute PhoneNumber"),
    "empty file": ([], ":1: the first line has to name the columns"),
}


def test_all_or_nothing(site):
    """The first bad row is told by its line, and the tables are as they were."""
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1", prefix="old")
    for lines, message in BAD_FILES.values():
        content = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
        done = byunique.run(site.settings, "load", "Phone", files.write(site, "bad.csv", content))
        assert (done.returncode, done.stdout) == (1, "")
        assert "bad.csv" + message in done.stderr, done.stderr
        assert (phones(site), profiles(site)) == ([("alice", "1", "old", None)], ["alice"])


def test_mandatory_column(site):
    site.init(schemas.EVERYTHING)
    done = load(site, "Everything", ["customer_id", "label", "number"], ["a", "x", "1"])
    assert done.returncode == 1 and "no column for the mandatory attribute required" in done.stderr


def test_late_error(site):
    """Behind a hundred thousand good rows."""
    site.init(schemas.PHONE)
    rows = [["c%d" % number, str(number), ""] for number in range(100000)]
    done = load(site, "Phone", ["customer_id", "PhoneNumber", "PhoneType"], *rows, ["c", "1", "one"])
    assert done.returncode == 1 and "records.csv:100002: attribute PhoneType" in done.stderr
    assert phones(site) == profiles(site) == []


def test_refused_by_the_database(site):
    """By a constraint that someone added: nothing is stored, and no value shows up in the message."""
    site.init(schemas.PHONE)
    site.db.execute("ALTER TABLE ext_phone ADD CONSTRAINT no_secrets CHECK (description <> 'hush-hush')")
    done = load(site, "Phone", ["customer_id", "PhoneNumber", "description"], ["a", "1", ""], ["b", "2", "hush-hush"])
    assert done.returncode == 1 and "no_secrets" in done.stderr
    assert "hush-hush" not in done.stderr
    assert profiles(site) == []


def test_usage(site):
    site.init(schemas.PHONE, schemas.SINGLE, schemas.CLASSIFIER)
    for name, message in (("Person", "Person is single-valued"), ("segment", "Segment is classifier"),
                          ("Fax", "there is no extension Fax")):
        done = load(site, name, ["customer_id"], ["a"])
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    done = byunique.run(site.settings, "load", "Phone", str(site.folder / "missing.csv"))
    assert done.returncode == 2 and "missing.csv can't be read" in done.stderr
    assert byunique.run(site.settings, "load", "Phone").returncode == 2


def test_before_init(site):
    done = load(site, "Phone", ["customer_id", "PhoneNumber"], ["a", "1"])
    assert done.returncode != 0 and "byunique init" in done.stderr


def test_standard_input(site):
    site.init(schemas.PHONE)
    content = "\ufeff" + files.csv_text(["customer_id", "PhoneNumber", "prefix"], ["a", "1", "-"], ["b", "-", "+1"])
    refused = files.piped(site.settings, content, "load", "Phone", "-", "--null", "-")
    assert refused.returncode == 1 and "standard input:3: attribute PhoneNumber is unique" in refused.stderr
    done = files.piped(site.settings, content.replace("b,-", "b,2"), "load", "Phone", "-", "--null", "-", "--json")
    assert done.returncode == 0 and json.loads(done.stdout) == {"extension": "Phone", "rows": 2}
    assert phones(site) == [("a", "1", None, None), ("b", "2", "+1", None)]


def test_null_text(site):
    """With --null, an empty cell of a string attribute is the empty string."""
    site.init(schemas.EVERYTHING)
    header = ["customer_id", "label", "Number", "required", "short", "amount", "price"]
    loaded(site, "Everything", header, ["a", "", "1", "", "", "", "1.50"],
           ["a", "NULL ", "2", "r", "NULL", "NULL", "NULL"], options=["--null", "NULL"])
    loaded(site, "Everything", header, ["a", "x", "3", "NULL", "", "", ""])
    select = "SELECT label, number, required, short, amount, price FROM ext_everything ORDER BY 2"
    assert site.db.execute(select).fetchall() == [
        ("", 1, "", "", None, Decimal("1.5000")), ("NULL ", 2, "r", None, None, None),
        ("x", 3, "NULL", None, None, None)]


def test_nothing_to_load(site):
    site.init(schemas.PHONE)
    assert "0 records" in loaded(site, "Phone", ["customer_id", "PhoneNumber"])


def test_sample(site):
    site.init(schemas.PHONE)
    byunique.must(site.settings, "load", "Phone", str(wire.SCHEMAS / "examples" / "phones.csv"))
    select = "SELECT customer_id, phonenumber, description, start_availabilty FROM ext_phone ORDER BY 1, 2"
    assert site.db.execute(select).fetchall() == [
        ("0000Sb5U97XE000Y", "2718281828", "mobile", None),
        ("0000Sb5U97XE000Y", "3145926535", "office, second floor", datetime(2009, 12, 1, 8, tzinfo=timezone.utc)),
        ("00027a52JCGY000M", "5772156649", "home", datetime(2010, 1, 1, 17, tzinfo=timezone.utc)),
        ("00027a52JCGY000M", "6180339887", None, None),
        ("00034b53KDHZ000N", "1414213562", 'the "red" phone', None)]


def test_schema_change_meanwhile(site):
    """A load waits for a change of the schema that is under way, and goes by what came of it."""
    site.init(schemas.PHONE)
    path = files.write(site, "one.csv", "customer_id,PhoneNumber,carrier\na,1,acme\n")
    with site.second_connection().transaction() as transaction:
        change = transaction.connection
        change.execute("SELECT pg_advisory_xact_lock('state'::regclass::oid::int, 0)")
        with pytest.raises(subprocess.TimeoutExpired):
            byunique.run(site.settings, "load", "Phone", path, timeout_s=1)
        assert phones(site) == []
        change.execute("ALTER TABLE ext_phone ADD COLUMN carrier text")
        change.execute("INSERT INTO attribute "
                       "SELECT id, 6, 'carrier', 'string', NULL, false, NULL, NULL FROM extension")
    byunique.must(site.settings, "load", "Phone", path)
    assert site.db.execute("SELECT customer_id, carrier FROM ext_phone").fetchall() == [("a", "acme")]
