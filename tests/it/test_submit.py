"""submit: commands from CSV and JSON Lines files, as they come to lie in the commands topic, and their answers."""

import json
import os
import threading
import time
import uuid

import pytest

from lib import byunique, files, schemas, wire
from lib.site import new_id

NUMBER = ("PhoneNumber", "string", "1")


def submit(site, name, content, *options):
    return byunique.run(site.settings, "submit", files.write(site, name, content), *options)


def submitted(site, name, content, *options):
    """Submit, which has to succeed → the commands now in the topic, in the order of the file."""
    done = submit(site, name, content, *options)
    assert done.returncode == 0, done.stderr
    return commands(site)


def refused(done, message):
    assert (done.returncode, done.stdout) == (1, "") and message in done.stderr, (done.returncode, done.stderr)


def commands(site):
    """The commands in the topic, each decoded strictly and keyed by its customer. PARTITIONS of the site is 1."""
    out = []
    for record in site.reader(site.commands).to_end():
        command, doubtful = wire.decode(record.value)
        assert not doubtful and record.key == command.customer_id.encode()
        out.append(command)
    return out


@pytest.fixture
def site(sites):
    return sites(partitions=1)


@pytest.fixture
def everything(site):
    return site.init(schemas.EVERYTHING, schemas.PHONE)


CELLS = [  # attribute, cell, kind and value in the command
    ("text", " ", "string", " "), ("text", "NULL", "string", "NULL"), ("text", 'a,"b"\r\n', "string", 'a,"b"\r\n'),
    ("text", "5", "string", "5"), ("short", "😀" * 5, "string", "😀" * 5),
    ("amount", "2147483647", "int", 2**31 - 1), ("amount", "-2147483648", "int", -2**31), ("amount", "+5", "int", 5),
    ("big", "9223372036854775807", "long", 2**63 - 1), ("big", "5", "long", 5), ("ratio", "0.1", "double", 0.1),
    ("ratio", "-1e-300", "double", -1e-300), ("ratio", "5", "double", 5.0),
    ("day", "2024-02-29", "string", "2024-02-29"),
    ("moment", "2009-12-18T18:30:00+01:00", "string", "2009-12-18T18:30:00+01:00"),
    ("price", "-12.50", "string", "-12.50"), ("flag", "TRUE", "boolean", True), ("flag", "false", "boolean", False)]


def test_cells(everything):
    """Each cell as the value that its attribute's type wants; names in any case."""
    header = ["LABEL", "Customer_Id", "number"] + [name.upper() for name in dict.fromkeys(name for name, *_ in CELLS)]
    rows = []
    for name, cell, _, _ in CELLS:
        rows.append(["x", "alice", "1"] + [cell if column == name.upper() else "" for column in header[3:]])
    got = submitted(everything, "some.csv", files.csv_text(header, *rows), "--extension", "everything")
    assert [command.attributes for command in got] == [
        (("label", "string", "x"), ("Number", "int", 1), (name, kind, value)) for name, _, kind, value in CELLS]
    assert {(command.customer_id, command.ext_name) for command in got} == {("alice", "Everything")}


BAD_CELLS = [
    ("amount", "5.0", "is no whole number"), ("amount", "2147483648", "is outside of the 32-bit range"),
    ("amount", " 5", "is no whole number"), ("big", "9223372036854775808", "is outside"),
    ("ratio", "NaN", "is no number"), ("ratio", "1e999", "is not a finite number"),
    ("day", "2023-02-29", "names a date"), ("day", "19000", "is not of the form"),
    ("moment", "2023-01-01", "is not of the form"), ("price", "1,5", "is no plain decimal number"),
    ("price", "1.00001", "has more than 4 digits"), ("flag", "1", "is neither true nor false"),
    ("short", "123456", "is longer"), ("text", "a\0", "holds the character U+0000")]


def test_bad_cells(everything):
    """A file with a bad cell is not sent at all, and the cell stays out of the message."""
    for name, cell, reason in BAD_CELLS:
        content = files.csv_text(["customer_id", "label", "Number", name], ["a", "x", "1", ""], ["b", "x", "1", cell])
        done = submit(everything, "bad.csv", content, "--extension", "Everything")
        refused(done, "bad.csv:3: attribute %s %s" % (name, reason))
        assert cell not in done.stderr.partition("bad.csv:3:")[2]
    assert commands(everything) == []


def test_absent_and_null(everything):
    header = ["customer_id", "PhoneNumber", "prefix", "PhoneType"]
    [first, second] = submitted(everything, "a.csv", files.csv_text(header, ["a", "1", "", "-"], ["b", "1", "-", ""]),
                                "--extension", "Phone", "--null", "-")
    assert first.attributes == (NUMBER, ("PhoneType", "null", None))
    assert second.attributes == (NUMBER, ("prefix", "null", None))


def test_columns(everything):
    """command_id and ext_name may be columns; where their cells are empty, it is as without them."""
    own = new_id().upper()
    got = submitted(everything, "a.csv", files.csv_text(
        ["ext_name", "customer_id", "command_id", "PhoneNumber", "label", "Number"],
        ["phone", "a", own, "1", "", ""], ["EVERYTHING", "b", "", "", "x", "2"], ["", "c", "", "3", "", ""]),
        "--extension", "Phone")
    assert [(command.ext_name, command.attributes) for command in got] == [
        ("Phone", (NUMBER,)), ("Everything", (("label", "string", "x"), ("Number", "int", 2))),
        ("Phone", (("PhoneNumber", "string", "3"),))]
    assert got[0].command_id == own and len({command.command_id for command in got}) == 3


BAD_FILES = {
    "unknown attribute": ("customer_id,PhoneNumber,fax\na,1,\n", ":1: extension Phone has no attribute fax"),
    "unique missing": ("customer_id,prefix\na,1\n", ":1: there is no column for the unique attribute PhoneNumber"),
    "no customer": ("PhoneNumber\n1\n", ":1: there is no column customer_id"),
    "no extension": ("customer_id,ext_name,PhoneNumber\na,Phone,1\nb,Fax,1\n", ":3: there is no extension Fax"),
    "attribute of another": ("customer_id,ext_name,PhoneNumber,label\na,Phone,1,\nb,Phone,1,x\n",
                             ":3: extension Phone has no attribute label"),
    "cells": ("customer_id,PhoneNumber\na,1\nb,2,3\n", ":3: 3 cells, where the first line has 2"),
    "empty": ("", ":1: the first line has to name the columns"),
}


def test_bad_files(everything):
    for content, message in BAD_FILES.values():
        refused(submit(everything, "bad.csv", content, "--extension", "Phone"), "bad.csv" + message)
    assert commands(everything) == []


def test_what_to_do_about_a_bad_row(everything):
    """What there is to do stands with what is wrong."""
    header, options = "customer_id,PhoneNumber,PhoneType\n", ["--extension", "Phone"]
    done = submit(everything, "bad.csv", header + "a,1,x\nb,1,1\n", *options)
    refused(done, "bad.csv:2: attribute PhoneType")
    assert "HINT: Nothing was sent. --dry-run shows" in done.stderr and "--wait" in done.stderr
    for cells in ('b,5" pipe,1\n', 'b,"1"x,1\n', 'b,"1,1\n'):
        done = submit(everything, "bad.csv", header + cells, *options)
        refused(done, "bad.csv:2: ")
        assert "HINT: A cell that holds a quote stands in quotes" in done.stderr
    assert commands(everything) == []


def test_usage(everything):
    content = "customer_id,PhoneNumber\na,1\n"
    for name, options, message in [
            ("a.csv", [], "ext_name is missing"), ("a.csv", ["--extension", "Fax"], "no extension Fax"),
            ("a.txt", ["--extension", "Phone"], "--format"), ("a.csv", ["--format", "xml"], "--format csv"),
            ("a.csv", ["--extension", "Phone", "--batch", ""], "batch"),
            ("a.csv", ["--extension", "Phone", "--timeout", "soon"], "--timeout")]:
        done = submit(everything, name, content, *options)
        assert done.returncode in (1, 2) and message in done.stderr, done.stderr
    assert byunique.run(everything.settings, "submit", "/nowhere.csv", "--extension", "Phone").returncode == 2
    assert commands(everything) == []


# JSON Lines

def line(**attributes):
    return {"customer_id": "a", "ext_name": "everything", "attributes": attributes}


def test_json_values(everything):
    content = files.json_lines(
        line(LABEL="x", number=1, text=None, amount=-5, big=2**40, ratio=0.5, flag=True),
        line(label="x", Number=1, ratio=3, price="12.50", day=10957, moment=2**40, short="é"),
        line(label="x", Number=1, price=7, big=1, day="2024-02-29"))
    got = submitted(everything, "a.jsonl", content)
    assert [dict((name, (kind, value)) for name, kind, value in command.attributes) for command in got] == [
        {"LABEL": ("string", "x"), "number": ("int", 1), "text": ("null", None), "amount": ("int", -5),
         "big": ("long", 2**40), "ratio": ("double", 0.5), "flag": ("boolean", True)},
        {"label": ("string", "x"), "Number": ("int", 1), "ratio": ("int", 3), "price": ("string", "12.50"),
         "day": ("int", 10957), "moment": ("long", 2**40), "short": ("string", "é")},
        {"label": ("string", "x"), "Number": ("int", 1), "price": ("int", 7), "big": ("int", 1),
         "day": ("string", "2024-02-29")}]


BAD_VALUES = [
    ("amount", "5", ", of type integer, is a string"), ("amount", 5.0, ", of type integer, is a double"),
    ("amount", 2**31, ", of type integer, is outside of the 32-bit range"), ("flag", 1, ", of type boolean, is an int"),
    ("flag", "true", ", of type boolean, is a string"), ("text", 5, ", of type string, is an int"),
    ("price", 12.5, ", of type currency, is a double"), ("short", "secret", ", of type string, is longer"),
    ("day", "2023-02-29", ", of type date, names a date"), ("text", ["x"], " is a list")]


def test_bad_json_values(everything):
    for name, value, reason in BAD_VALUES:
        content = files.json_lines(line(label="x", Number=1), line(**{"label": "x", "Number": 1, name: value}))
        done = submit(everything, "bad.jsonl", content)
        refused(done, "bad.jsonl:2: attribute %s%s" % (name, reason))
        assert "secret" not in done.stderr
    assert commands(everything) == []


def test_json_members(everything):
    own = new_id()
    content = files.json_lines(
        {"customer_id": "a", "attributes": {"PhoneNumber": "1"}},
        {"customer_id": "b", "attributes": {"PhoneNumber": "1"}, "ext_name": "PHONE", "command_id": own,
         "batch_id": "mine", "issued_at": 5})
    before = time.time() * 1000
    first, second = submitted(everything, "a.ndjson", content, "--extension", "Phone", "--batch", "ours")
    assert (first.batch_id, first.ext_name, first.attributes) == ("ours", "Phone", (NUMBER,))
    assert before - 1000 < first.issued_at < time.time() * 1000 + 1000
    assert (second.command_id, second.batch_id, second.issued_at, second.ext_name) == (own, "mine", 5, "Phone")
    for bad, message in [({"customer_id": "a", "attributes": {"PhoneNumber": "1"}}, "ext_name is missing"),
                         ({"customer_id": "a", "ext_name": "Fax", "attributes": {}}, "there is no extension Fax"),
                         ({"customer_id": "a", "ext_name": "Phone", "attributes": {"fax": 1}},
                          "extension Phone has no attribute fax"),
                         ({"customer": "a"}, 'unknown member "customer"')]:
        refused(submit(everything, "bad.jsonl", "\n" + files.json_lines(bad)), "bad.jsonl:2: " + message)


# Ids and batches

ROWS = files.csv_text(["customer_id", "PhoneNumber", "prefix"], ["a", "1", "+1"], ["b", "1", "+1"], ["a", "1", "+1"])


def test_made_up_ids(everything):
    """Time-ordered ids, and a batch that is told."""
    done = submit(everything, "a.csv", ROWS, "--extension", "Phone", "--json")
    summary = json.loads(done.stdout)
    got = commands(everything)
    assert summary["sent"] == 3 and {command.batch_id for command in got} == {summary["batch_id"]}
    ids = [command.command_id for command in got]
    assert ids == sorted(ids) and len(set(ids)) == 3 and {uuid.UUID(each).version for each in ids} == {7}
    assert submitted(everything, "a.csv", ROWS, "--extension", "Phone")[3].batch_id != summary["batch_id"]


def test_ids_of_a_batch(everything):
    """The same file in the same batch gives the same ids; a row that was changed gets another one."""
    first = submitted(everything, "a.csv", ROWS, "--extension", "Phone", "--batch", "monday")
    assert len({command.command_id for command in first}) == 3
    again = submitted(everything, "b.csv", ROWS, "--extension", "phone", "--batch", "monday")[3:]
    assert [command.command_id for command in again] == [command.command_id for command in first]
    corrected = submitted(everything, "a.csv", ROWS.replace("b,1,+1", "b,1,+2"), "--extension", "Phone",
                          "--batch", "monday")[6:]
    assert [here.command_id == there.command_id for here, there in zip(first, corrected)] == [True, False, True]
    other = submitted(everything, "a.csv", ROWS, "--extension", "Phone", "--batch", "tuesday")[9:]
    assert not {command.command_id for command in first} & {command.command_id for command in other}
    assert {command.batch_id for command in other} == {"tuesday"}


# Pipes

def test_standard_input(everything):
    """Sent as it comes: what stood before a bad row is sent, and the message says so."""
    content = files.csv_text(["customer_id", "PhoneNumber", "PhoneType"], ["a", "1", "1"], ["b", "1", "2"],
                             ["c", "1", "x"])
    done = files.piped(everything.settings, content, "submit", "-", "--format", "csv", "--extension", "Phone",
                       "--batch", "monday")
    assert done.returncode == 1 and "standard input:4: attribute PhoneType" in done.stderr
    assert "2 commands were sent before" in done.stderr and "--batch" in done.stderr
    assert [command.customer_id for command in commands(everything)] == ["a", "b"]
    done = files.piped(everything.settings, content.replace(",x", ",3"), "submit", "-", "--format", "csv",
                       "--extension", "Phone", "--batch", "monday")
    assert done.returncode == 0
    ids = [command.command_id for command in commands(everything)]
    assert ids[:2] == ids[2:4] and len(ids) == 5


def test_named_pipe(everything):
    path = str(everything.folder / "pipe.jsonl")
    os.mkfifo(path)

    def write():
        with open(path, "w") as file:
            file.write(files.json_lines({"customer_id": "a", "ext_name": "Phone", "attributes": {"PhoneNumber": "1"}}))

    writer = threading.Thread(target=write)
    writer.start()
    done = byunique.run(everything.settings, "submit", path)
    writer.join()
    assert done.returncode == 0 and len(commands(everything)) == 1


def test_no_topic(site):
    byunique.must(dict(site.settings, **{"commands.topic": "unused." + site.commands}), "init", "--partitions", "1")
    site.apply(schemas.PHONE)
    done = submit(site, "a.csv", ROWS, "--extension", "Phone")
    assert done.returncode == 1 and site.commands in done.stderr


# Answers

def test_wait(site):
    """The sample files, loaded and submitted: the answers by their kind, and the exit code for one that is an error."""
    site.init(schemas.PHONE)
    examples = wire.SCHEMAS / "examples"
    byunique.must(site.settings, "load", "Phone", str(examples / "phones.csv"))
    site.worker()
    wait = ["submit", str(examples / "phone-updates.csv"), "--extension", "Phone", "--batch", "b", "--null", "NULL",
            "--wait", "--output", str(site.folder)]
    done = byunique.run(site.settings, *wait)
    assert done.returncode == 3, done.stderr
    assert done.stdout.splitlines() == ["5 commands sent, batch b", "         4  204", "         1  404 RecordNotFound"]
    select = "SELECT phonenumber, prefix, description, start_availabilty IS NULL FROM ext_phone ORDER BY 1"
    assert site.db.execute(select).fetchall() == [
        ("1414213562", "+44", None, True), ("2718281828", "+33", "business mobile", True),
        ("3145926535", "+33", "family phone", False), ("5772156649", "+49", "home", True),
        ("6180339887", "+49", None, True)]
    again = byunique.run(site.settings, *wait, "--json")
    assert again.returncode == 3
    assert json.loads(again.stdout) == {"sent": 5, "batch_id": "b", "missing": 0, "results": [
        {"status": 204, "code": None, "duplicate": True, "count": 4},
        {"status": 404, "code": "RecordNotFound", "duplicate": False, "count": 1}]}
    site.stop()


def test_wait_for_many(sites):
    site = sites().init(schemas.PHONE)
    rows = [["c%d" % number, "1", "+%d" % (number % 1000)] for number in range(30000)]
    header = ["customer_id", "PhoneNumber", "prefix"]
    byunique.must(site.settings, "load", "Phone", files.write(site, "a.csv", files.csv_text(header, *rows)))
    site.worker()
    changed = files.write(site, "b.csv", files.csv_text(header, *[row[:2] + ["new"] for row in rows]))
    out = byunique.must(site.settings, "submit", changed, "--extension", "Phone", "--wait", "--batch", "many")
    assert out.splitlines() == ["30000 commands sent, batch many", "     30000  204"]
    assert site.db.execute("SELECT count(*) FROM ext_phone WHERE prefix = 'new'").fetchone() == (30000,)
    site.stop()


def test_wait_in_vain(everything):
    """No worker: it gives up, and says what is missing."""
    done = submit(everything, "a.csv", ROWS, "--extension", "Phone", "--wait", "--timeout", "1", "--json")
    assert done.returncode == 1 and "3 of 3 answers are missing" in done.stderr
    assert json.loads(done.stdout)["missing"] == 3
