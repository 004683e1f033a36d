"""A batch out of a CRM system: what is wrong with it, what became of each row, and what to do when it was interrupted."""

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess

import fastavro
import pytest

from lib import byunique, files, processes, schemas, wire

HEADER = ["customer_id", "PhoneNumber", "prefix", "PhoneType"]
# A million shows what a hundred thousand suggests.
MANY = int(os.environ.get("BYUNIQUE_BATCH_ROWS", "100000"))


def submit(site, path, *options, timeout_s=120):
    return byunique.run(site.settings, "submit", str(path), *options, timeout_s=timeout_s)


def read_csv(path, delimiter=","):
    """→ the rows, the heading first."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file, delimiter=delimiter))


def parts(site, name, delimiter=","):
    """The three files' rows, without their headings."""
    return [read_csv(site.folder / ("%s.%s.csv" % (name, part)), delimiter)[1:]
            for part in ("success", "failed", "unprocessed")]


def sent(site):
    return len(site.reader(site.commands).to_end())


@pytest.fixture
def phones(sites):
    """Customers c0 … c9, each with a phone number 1."""
    site = sites(partitions=2).init(schemas.PHONE, schemas.EVERYTHING)
    for number in range(10):
        site.insert("Phone", "c%d" % number, PhoneNumber="1", prefix="+1", PhoneType=1)
    return site


# What is wrong

BAD_ROWS = [  # the row, code, attribute, and whether the worker finds it rather than we
    (["c1", "1", "too long a prefix", "1"], "400", "InvalidAttributeValue", "prefix", False),
    (["c1", "1", "+2", "five"], "400", "InvalidAttributeValue", "PhoneType", False),
    (["c1", "1", "+2", "99999999999"], "400", "InvalidAttributeValue", "PhoneType", False),
    (["c1", "1", "+2"], "400", "MalformedRow", "", False),
    (["c1", "1", "+2", "1", "x"], "400", "MalformedRow", "", False),
    (["c1", "", "+2", "1"], "400", "MissingUniqueAttribute", "PhoneNumber", True),
    (["c1", "-", "+2", "1"], "400", "MissingUniqueAttribute", "PhoneNumber", True),
    (["", "1", "+2", "1"], "400", "InvalidCustomerId", "", True),
    (["c" * 17, "1", "+2", "1"], "400", "InvalidCustomerId", "", True),
    (["nobody", "1", "+2", "1"], "404", "CustomerNotFound", "", True),
    (["c1", "2", "+2", "1"], "404", "RecordNotFound", "", True)]


def bad_file(site, name="updates.csv"):
    rows = [["c0", "1", "+7", ""]] + [row for row, *_ in BAD_ROWS] + [["c2", "1", "-", "5"]]
    return files.write(site, name, files.csv_text(HEADER, *rows))


def test_every_kind_of_bad_row(phones):
    """Each row comes to lie in the file that it belongs to, as it was, and what is good takes effect."""
    phones.worker()
    done = submit(phones, bad_file(phones), "--extension", "Phone", "--null", "-", "--wait", "--batch", "b")
    assert done.returncode == 3, done.stderr
    success, failed, unprocessed = parts(phones, "updates")
    assert success == [["204", "", "c0", "1", "+7", ""], ["204", "", "c2", "1", "-", "5"]] and unprocessed == []
    heading = ["byunique.status", "byunique.code", "byunique.detail", "byunique.attribute"]
    assert read_csv(phones.folder / "updates.failed.csv")[0] == heading + HEADER
    assert [(row[4:], row[0], row[1], row[3]) for row in failed] == [bad[:4] for bad in BAD_ROWS]
    assert all(row[2] for row in failed)
    assert [row[2] for row in failed if row[1] == "MalformedRow"] == [
        "3 cells, where the first line has 4", "5 cells, where the first line has 4"]
    assert sent(phones) == 2 + sum(by_worker for *_, by_worker in BAD_ROWS)
    assert "         2  204\n" in done.stdout and "         2  400 MalformedRow (not sent)\n" in done.stdout
    assert "11 rows with an error: %s" % (phones.folder / "updates.failed.csv") in done.stderr
    select = "SELECT customer_id, prefix, phonetype FROM ext_phone WHERE customer_id IN ('c0', 'c1', 'c2') ORDER BY 1"
    assert phones.db.execute(select).fetchall() == [("c0", "+7", 1), ("c1", "+1", 1), ("c2", None, 5)]


def test_failed_rows_corrected(phones):
    """A failed file that was corrected is submitted as it is: its first columns are no attributes."""
    phones.worker()
    options = ["--extension", "Phone", "--null", "-", "--wait"]
    submit(phones, bad_file(phones), *options, "--batch", "b")
    path = phones.folder / "updates.failed.csv"
    heading, *rows = read_csv(path)
    for number, row in enumerate(rows):
        row[4:] = ["c3", "1", "+%d" % number, "1"]
    rows[0][4] = "nobody"
    path.write_text(files.csv_text(heading, *rows))
    done = submit(phones, path, *options, "--batch", "b again")
    assert done.returncode == 3 and "        10  204\n" in done.stdout, done.stdout
    success, failed, _ = parts(phones, "updates.failed")
    assert len(success) == 10
    assert [row[:2] + row[3:] for row in failed] == [["404", "CustomerNotFound", "", "nobody", "1", "+0", "1"]]
    assert read_csv(phones.folder / "updates.failed.failed.csv")[0] == heading  # no wider than it was


def test_files_in_the_way(phones):
    """Corrections are never written over: the same content stays, other is renamed."""
    phones.worker()
    path = bad_file(phones)
    options = ["--extension", "Phone", "--null", "-", "--wait", "--batch", "b"]
    submit(phones, path, *options)
    failed = phones.folder / "updates.failed.csv"
    first = failed.read_text()
    submit(phones, path, *options)
    assert failed.read_text() == first and not os.path.exists("%s.1" % failed)
    failed.write_text("by hand")
    done = submit(phones, path, *options)
    assert failed.read_text() == first and (phones.folder / "updates.failed.csv.1").read_text() == "by hand"
    assert "is now %s.1" % failed in done.stderr
    failed.write_text("by hand, again")
    submit(phones, path, *options, "--force")
    assert failed.read_text() == first and not os.path.exists("%s.2" % failed)
    done = submit(phones, path, *options, "--output", "/nowhere")
    assert done.returncode == 2 and "--output" in done.stderr
    assert not [name for name in os.listdir(phones.folder) if name.startswith(".")]


def test_dry_run(phones):
    """All that the schema tells, row by row, without Kafka; nothing is sent, no file written."""
    settings = dict(phones.settings, **{"kafka.bootstrap.servers": "127.0.0.1:1"})
    path = bad_file(phones)
    before = set(os.listdir(phones.folder))
    done = byunique.run(settings, "submit", path, "--extension", "Phone", "--null", "-", "--dry-run")
    assert done.returncode == 3, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "%s:3: attribute prefix is longer than the attribute's length (column 3, prefix)" % path
    assert [line.split(":")[1] for line in lines[:-1]] == [str(number) for number in range(3, 12)]
    assert lines[-1] == "13 rows, 9 of them bad; nothing was sent"
    done = byunique.run(settings, "submit", path, "--extension", "Phone", "--null", "-", "--dry-run", "--limit", "2",
                        "--json")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["rows"], summary["good"], summary["bad"]) == (3, 13, 4, 9)
    assert [(each["line"], each["column"], each["code"]) for each in summary["problems"]] == [
        (3, "prefix", "InvalidAttributeValue"), (4, "PhoneType", "InvalidAttributeValue")]
    good = files.write(phones, "good.csv", files.csv_text(HEADER, ["c1", "1", "", "1"]))
    done = byunique.run(settings, "submit", good, "--extension", "Phone", "--dry-run")
    assert (done.returncode, done.stdout) == (0, "1 row, 0 of them bad; nothing was sent\n")
    done = files.piped(settings, files.csv_text(HEADER, ["c1", "1", "", "x"]), "submit", "-", "--format", "csv",
                       "--extension", "Phone", "--dry-run")
    assert done.returncode == 3 and done.stdout.startswith("standard input:2: attribute PhoneType")
    assert sent(phones) == 0 and set(os.listdir(phones.folder)) == before | {"good.csv"}


def test_broken_structure(phones):
    """Where a record ends is in doubt: nothing is sent, and nothing written."""
    path = files.write(phones, "a.csv", "customer_id,PhoneNumber\nc1,1\nc2,\"1\nc3,1\n")
    for options in (["--wait"], ["--dry-run"], []):
        done = submit(phones, path, "--extension", "Phone", *options)
        assert done.returncode == 1 and "a.csv:3: a quoted cell begins here and never ends" in done.stderr
    assert sent(phones) == 0 and sorted(os.listdir(phones.folder)) == ["Everything.json", "Phone.json", "a.csv"]


# As CRM systems write it

EXPORT = ('\ufeff"Customer No.";"E=Mail";Tel;"Notes"\r\n'
          'c1;"+3;";1;"two\r\nlines, ""quoted"""\r\n'
          'c2;"+4";nix;\r\n'
          'c3;+5;1;x\r\n')
MAPPED = ["--extension", "Phone", "--map", "customer no.=customer_id", "--map", "E=Mail=prefix",
          "--map", "Tel=PhoneNumber", "--ignore", "notes"]


def test_export_of_a_crm_system(phones):
    """Byte order mark, semicolons, CRLF, quoted line ends, names of its own: and the failed file is of the same kind."""
    phones.worker()
    done = submit(phones, files.write(phones, "crm.csv", EXPORT), *MAPPED, "--wait")
    assert done.returncode == 3, done.stderr
    success, failed, _ = parts(phones, "crm", ";")
    assert success == [["204", "", "c1", "+3;", "1", 'two\r\nlines, "quoted"'], ["204", "", "c3", "+5", "1", "x"]]
    assert failed == [["404", "RecordNotFound", failed[0][2], "", "c2", "+4", "nix", ""]]
    raw = (phones.folder / "crm.failed.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfbyunique.status;byunique.code;byunique.detail;byunique.attribute;Customer No.;")
    (phones.folder / "crm.failed.csv").write_bytes(raw.replace(b"nix", b"1"))
    assert submit(phones, phones.folder / "crm.failed.csv", *MAPPED, "--wait").returncode == 0
    select = "SELECT customer_id, prefix FROM ext_phone WHERE customer_id IN ('c1', 'c2', 'c3') ORDER BY 1"
    assert phones.db.execute(select).fetchall() == [("c1", "+3;"), ("c2", "+4"), ("c3", "+5")]


def test_delimiters(phones):
    for text, options in [("customer_id\tPhoneNumber\nc1\t1\n", []), ("customer_id\tPhoneNumber\nc1\t1\n",
                          ["--delimiter", "tab"]), ("customer_id|PhoneNumber\nc1|1\n", ["--delimiter", "|"]),
                          ("customer_id;PhoneNumber,x\nc1;1\n", ["--delimiter", ";", "--ignore", "PhoneNumber,x",
                                                                 "--map", "customer_id=PhoneNumber"])]:
        path = files.write(phones, "a.csv", text)
        done = submit(phones, path, "--extension", "Phone", "--dry-run", *options)
        if "x" not in text:
            assert done.returncode == 0, done.stderr
        else:
            assert done.returncode == 1 and "there is no column customer_id" in done.stderr
    done = submit(phones, files.write(phones, "a.csv", "customer_id;PhoneNumber,x\n"), "--extension", "Phone")
    assert done.returncode == 1 and "there is no column customer_id" in done.stderr  # two of them: the comma
    assert submit(phones, "/x.csv", "--extension", "Phone", "--delimiter", "||").returncode == 2


def test_mapping_errors(phones):
    """They name the column or attribute at fault, and the nearest one."""
    path = files.write(phones, "crm.csv", "Kunde,prefx,Fax,PhoneNumber\nc1,+1,2,1\n")
    for options, *messages in [
            ([], "there is no column customer_id", "--map"),
            (["--map", "Kunde=customer_id"], "extension Phone has no attribute prefx", "also unknown: Fax",
             "Did you mean prefix?", '--map "prefx=…"', "--ignore"),
            (["--map", "Kunde=customer_id", "--map", "prefx=prefix", "--ignore", "Faks"], "there is no column Faks",
             "Did you mean Fax?"),
            (["--map", "Kunde=customer_id", "--map", "prefx=prefix", "--map", "Fax=descripton"],
             "has no attribute descripton", "Did you mean description?"),
            (["--map", "Kunde=customer_id", "--map", "prefx=prefix", "--map", "Fax=Prefix"],
             "two columns are to hold Prefix"),
            (["--map", "Kunde=customer_id", "--ignore", "KUNDE"], "mapped or ignored twice"),
            (["--map", "Kunde"], "--map does not take Kunde"), (["--extension", "Phnoe"], "Did you mean Phone?")]:
        done = submit(phones, path, "--extension", "Phone", *options)
        assert done.returncode in (1, 2) and done.stdout == "", done
        assert all(message in done.stderr for message in messages), (options, done.stderr)
    good = ["--map", "Kunde=customer_id", "--map", "prefx=prefix", "--ignore", "Fax"]
    assert submit(phones, path, "--extension", "Phone", *good).returncode == 0
    lines = files.write(phones, "a.jsonl", "{}\n")
    done = submit(phones, lines, "--map", "a=b")
    assert done.returncode == 2 and "for CSV files" in done.stderr


def test_options_that_do_not_go_together(phones):
    path = files.write(phones, "a.csv", "customer_id,PhoneNumber\nc1,1\n")
    for options in (["--dry-run", "--wait"], ["--limit", "3"], ["--output", "/tmp"], ["--force"], ["--resume"],
                    ["--wait", "--timeout", "0"]):
        done = submit(phones, path, "--extension", "Phone", *options)
        assert (done.returncode, done.stdout) == (2, ""), options
    for options in (["--files", path], ["--batch", "b", "--files", path, "--status", "404"]):
        assert byunique.run(phones.settings, "results", "--extension", "Phone", *options).returncode == 2
    assert sent(phones) == 0


# Pipes

def test_standard_input(phones):
    """What can be read only once is kept while it is needed; its files have the batch's name."""
    phones.worker()
    content = open(bad_file(phones)).read()
    done = files.piped(phones.settings, content, "submit", "-", "--format", "csv", "--extension", "Phone", "--null", "-",
                       "--wait", "--batch", "mon/day", "--output", str(phones.folder))
    assert done.returncode == 3, done.stderr
    assert [len(part) for part in parts(phones, "mon_day")] == [2, 11, 0]


def test_redirected_file(phones):
    """`< FILE`: read where it stands, as often as it takes. What it is shows in how it begins."""
    phones.worker()
    path = files.write(phones, "a.data", files.json_lines(
        {"customer_id": "c1", "ext_name": "Phone", "attributes": {"PhoneNumber": "1", "prefix": "+8"}}))
    with open(path) as file:
        done = subprocess.run([byunique.PROGRAM] + byunique.options(phones.settings) + [
            "submit", "-", "--wait", "--batch", "b", "--output", str(phones.folder)], stdin=file, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, env=processes.environment())
    assert done.returncode == 0, done.stderr
    assert [row[3] for row in parts(phones, "b")[0]] == ["c1"]


# JSON Lines and Avro

def test_json_lines(phones):
    """The files name each row; the failed lines are there as they were, to be corrected and submitted again."""
    phones.worker()
    good = {"customer_id": "c1", "ext_name": "Phone", "attributes": {"PhoneNumber": "1", "prefix": "+9"}}
    bad = [dict(good, customer_id="nobody"), dict(good, attributes={"PhoneNumber": "1", "prefix": 5}),
           dict(good, ext_name="Fax"), dict(good, surprise=1)]
    content = files.json_lines(good, *bad) + "\n{not json\n"
    path = files.write(phones, "a.jsonl", content)
    done = submit(phones, path, "--wait", "--batch", "b")
    assert done.returncode == 3, done.stderr
    success, failed, unprocessed = parts(phones, "a")
    assert [row[:2] + row[3:] for row in success] == [["204", "", "c1", "Phone", "1"]] and unprocessed == []
    assert [(row[0], row[1], row[3], row[5], row[7]) for row in failed] == [
        ("404", "CustomerNotFound", "", "nobody", "2"), ("400", "InvalidAttributeValue", "prefix", "c1", "3"),
        ("404", "ExtensionNotFound", "", "c1", "4"), ("400", "MalformedRow", "", "c1", "5"),
        ("400", "MalformedRow", "", "", "7")]
    lines = (phones.folder / "a.failed.jsonl").read_text().splitlines()
    assert lines == [line for line in content.splitlines()[1:] if line]
    corrected = files.write(phones, "a.failed.jsonl", (lines[0] + "\n").replace("nobody", "c2"))
    assert submit(phones, corrected, "--wait", "--batch", "b").returncode == 0


AVRO = fastavro.parse_schema(json.loads((wire.SCHEMAS / "UpdateByUnique.avsc").read_text()))
SMALL = fastavro.parse_schema({"type": "record", "name": "Export", "fields": [
    {"name": "customer_id", "type": "string"}, {"name": "unknown", "type": {"type": "array", "items": "long"}},
    {"name": "attributes", "type": {"type": "map", "values": ["null", "string"]}}]})


def avro_bytes(schema, records, **options):
    out = io.BytesIO()
    fastavro.writer(out, schema, records, **options)
    return out.getvalue()


def avro_rows(count, **changes):
    return [dict({"command_id": wire_id(number), "customer_id": "c%d" % (number % 10), "ext_name": "Phone",
                  "attributes": {"PhoneNumber": "1", "prefix": "+%d" % number}, "batch_id": None, "issued_at": None},
                 **changes) for number in range(count)]


def wire_id(number):
    return "00000000-0000-4000-8000-%012d" % number


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_avro(phones, codec):
    """As another library wrote it: several blocks, a bad value, records that the worker refuses."""
    phones.worker()
    rows = avro_rows(500)
    rows[3]["customer_id"] = "nobody"
    rows[7]["attributes"]["PhoneType"] = "5"
    path = files.write(phones, "a.avro", avro_bytes(AVRO, rows, codec=codec, sync_interval=1000))
    done = submit(phones, path, "--wait", "--batch", "b")
    assert done.returncode == 3, done.stderr
    success, failed, unprocessed = parts(phones, "a")
    assert len(success) == 498 and unprocessed == []
    assert success[0] == ["204", "", wire_id(0), "c0", "Phone", "1"]
    assert [row[:2] + row[3:] for row in failed] == [
        ["404", "CustomerNotFound", "", wire_id(3), "nobody", "Phone", "4"],
        ["400", "InvalidAttributeValue", "PhoneType", wire_id(7), "c7", "Phone", "8"]]


def test_avro_with_a_schema_of_its_own(phones):
    """What a record leaves open is filled in; what is unknown is passed over. It needs no name to be known."""
    rows = [{"customer_id": "c1", "unknown": [1, 2], "attributes": {"PhoneNumber": "1", "prefix": None}}] * 2
    path = files.write(phones, "a.data", avro_bytes(SMALL, rows, codec="deflate"))
    for _ in range(2):
        assert submit(phones, path, "--extension", "Phone", "--batch", "b").returncode == 0
    commands = [wire.decode(record.value)[0] for record in phones.reader(phones.commands).to_end()]
    assert len({command.command_id for command in commands}) == 2 and len(commands) == 4
    assert dict(batch=commands[0].batch_id, ext=commands[0].ext_name) == {"batch": "b", "ext": "Phone"}
    assert sorted(commands[0].attributes) == [("PhoneNumber", "string", "1"), ("prefix", "null", None)]


def zigzag(number):
    number = (number << 1) ^ (number >> 63)
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def test_hostile_avro(phones):
    """Truncated anywhere, or with sizes that lie: a clear error, no crash, nothing sent."""
    whole = avro_bytes(AVRO, avro_rows(3))
    deflated = avro_bytes(AVRO, avro_rows(3), codec="deflate")
    head, mark = len(avro_bytes(AVRO, [])), whole[-16:]
    huge = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"  # 2^63 - 1
    other = avro_bytes(fastavro.parse_schema({"type": "record", "name": "R", "fields": [
        {"name": "x", "type": "int"}]}), [{"x": 1}])
    hostile = [b"Obj\x01", b"Obj\x02" + whole[4:], b"Obj\x01" + huge, b"Obj\x01" + b"\x02" + huge,
               whole[:head] + huge + huge + mark, whole[:head] + huge + zigzag(20) + b"x" * 20 + mark,
               whole[:head] + zigzag(-1) + zigzag(1) + b"x" + mark, whole[:head] + zigzag(1) + zigzag(-5) + mark,
               whole[:head] + zigzag(3) + zigzag(70000000) + b"x" * 1000, whole[:-1] + b"!",
               whole[:-20] + b"\xff\xff\xff\xff" + whole[-16:], deflated[:-30] + b"\xff" * 14 + deflated[-16:],
               whole.replace(b'"type": "record"', b'"type": "rec"'), whole.replace(b"null", b"zstd", 1), other]
    hostile += [whole[:length] for length in [*range(5, head, 97), *range(head + 1, len(whole), 7)]]
    for content in hostile:
        done = submit(phones, files.write(phones, "a.avro", content), "--batch", "b")
        assert done.returncode in (1, 2) and done.stdout == "", (content[-60:], done)
        assert done.stderr.startswith("byunique: ") and "Sanitizer" not in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) <= 3
    assert sent(phones) == 0


# Interrupted

def test_no_answer_yet(phones):
    """No worker: the rows are unprocessed, which is not failed. Later, their answers are looked up by the same ids."""
    path = bad_file(phones)
    options = ["--extension", "Phone", "--null", "-", "--batch", "b"]
    done = submit(phones, path, *options, "--wait", "--timeout", "1")
    assert done.returncode == 1 and "--resume" in done.stderr and "         8  no answer\n" in done.stdout
    assert [len(part) for part in parts(phones, "updates")] == [0, 5, 8]
    assert read_csv(phones.folder / "updates.unprocessed.csv")[1] == ["c0", "1", "+7", ""]
    phones.worker()
    phones.wait_results(8)
    assert byunique.run(phones.settings, "results", *options, "--files", path).returncode == 3
    assert [len(part) for part in parts(phones, "updates")] == [2, 11, 0]
    assert [(row[4:], row[0], row[1], row[3]) for row in parts(phones, "updates")[1]] == [bad[:4] for bad in BAD_ROWS]
    done = submit(phones, path, *options, "--resume")
    assert done.returncode == 3 and done.stdout.startswith("0 commands sent, batch b\n"), done.stdout
    assert sent(phones) == 8
    found = byunique.run(phones.settings, "results", *options, "--files", path, "--json", "--output", str(phones.folder))
    assert json.loads(found.stdout)["missing"] == 0


def test_resume_after_an_error(phones):
    """An id that was answered with an error may be sent again: the answer that counts is the last, but never less than done."""
    path = files.write(phones, "a.csv", files.csv_text(HEADER, ["c1", "9", "+2", ""], ["c2", "1", "+2", ""]))
    options = ["--extension", "Phone", "--batch", "b"]
    phones.worker()
    assert submit(phones, path, *options, "--wait").returncode == 3
    phones.insert("Phone", "c1", PhoneNumber="9")
    assert submit(phones, path, *options, "--wait").returncode == 0
    assert [row[1] for row in parts(phones, "a")[0]] == ["", "duplicate"]
    assert byunique.run(phones.settings, "results", *options, "--files", path).returncode == 0
    assert [row[1] for row in parts(phones, "a")[0]] == ["", ""]


def rows_of(count):
    return [["c%d" % (number % 10), "1", "+%d" % (number % 1000), ""] for number in range(count)]


def start(site, log, *arguments):
    """A command in the background; its standard output goes to a file beside its log."""
    environment = processes.environment()
    # A build with sanitizers keeps what was freed, 256 MiB of it unless told otherwise: the bound on memory is not about that.
    environment["ASAN_OPTIONS"] = environment.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"
    with open("%s.out" % log, "wb") as out:
        return processes.start([byunique.PROGRAM] + byunique.options(site.settings) + list(arguments), log, stdout=out,
                               cwd="/", env=environment)


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_and_resumed(phones, tmp_path, sig):
    """While it waits for a worker that is not there: the rows that were sent are not sent again for nothing."""
    path = files.write(phones, "a.csv", files.csv_text(HEADER, *rows_of(5000)))
    arguments = ["submit", path, "--extension", "Phone", "--batch", "b"]
    log = tmp_path / "submit.log"
    process = start(phones, log, *arguments, "--wait")
    ends = lambda: sum(phones.admin.log_ends(phones.commands).values())  # noqa: E731
    processes.wait_for(lambda: ends() == 5000, "the commands", alive=process)
    code = processes.stop(process, sig)
    if sig == signal.SIGINT:
        assert code == 1 and "interrupted" in log.read_text() and "--batch b --resume" in log.read_text()
        assert [len(part) for part in parts(phones, "a")] == [0, 0, 5000]
    worker = phones.worker()
    phones.wait_results(5000)
    # Some more that were never sent.
    files.write(phones, "a.csv", files.csv_text(HEADER, *rows_of(6000)))
    done = submit(phones, path, *arguments[2:], "--resume")
    assert done.returncode == 0 and done.stdout == "1000 commands sent, batch b\n      6000  204\n", done
    assert [len(part) for part in parts(phones, "a")] == [6000, 0, 0] and ends() == 6000
    assert worker.alive


def on_terminal(command):
    """Its exit code, and what it writes to a terminal that is its standard error."""
    seen, terminal = b"", pty.openpty()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=terminal[1],
                               env=dict(processes.environment(), TERM="xterm"))
    os.close(terminal[1])
    while True:
        try:
            seen += os.read(terminal[0], 4096)
        except OSError:  # the other end is closed
            break
    os.close(terminal[0])
    return process.wait(60), seen


def test_progress_on_a_terminal_only(phones):
    """A bar with what is done, the rate and the time that is left; nothing of it in a file."""
    phones.insert("Phone", "c0", PhoneNumber="2", prefix="+1", PhoneType=1)
    rows = [["c0", "1", "+1", "1"], ["c0", "1", "+2", "2"], ["c0", "2", "+1", "1"], ["c1", "1", "+1", "x"]]
    path = files.write(phones, "a.csv", files.csv_text(HEADER, *rows))
    command = [byunique.PROGRAM] + byunique.options(phones.settings) + [
        "submit", path, "--extension", "Phone", "--batch", "b", "--timeout", "3"]
    # The bad row is done when the waiting begins, and tells nothing of a rate.
    code, seen = on_terminal(command + ["--wait"])
    assert code == 1 and re.search(rb"\r  answers  .*25 %  1 of 4  0/s\033\[K", seen), seen
    assert b" left" not in seen and not re.search(rb"\r  answers [^\r]* [1-9]\d*/s", seen), seen
    done = subprocess.run(command + ["--wait"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                          env=dict(processes.environment(), TERM="xterm"))
    assert done.returncode == 1 and b"\r" not in done.stderr and done.stderr.startswith(b"1 row with an error: ")


def test_progress_while_answers_come(phones):
    """The rate is that of this run, and tells the time that is left."""
    phones.insert("Phone", "c0", PhoneNumber="2", prefix="+1", PhoneType=1)
    rows = [["c0", "1", "+%d" % number, "1"] for number in range(8)] + [["c0", "2", "+1", "1"]]
    path = files.write(phones, "a.csv", files.csv_text(HEADER, *rows))
    command = [byunique.PROGRAM] + byunique.options(phones.settings) + [
        "submit", path, "--extension", "Phone", "--batch", "b", "--timeout", "3"]
    phones.running(**{"batch.max.commands": 1})
    with phones.db.transaction():  # the last one waits
        phones.db.execute("SELECT FROM ext_phone WHERE phonenumber = '2' FOR UPDATE")
        code, seen = on_terminal(command + ["--wait"])
    assert code == 1 and re.search(rb"\r  answers  .*88 %  8 of 9  \d+/s  0:0\d left", seen), seen


def test_changed_while_it_waits(phones, tmp_path):
    """The rows are read again from the file: another file in its place is noticed."""
    path = files.write(phones, "a.csv", files.csv_text(HEADER, *rows_of(10)))
    log = tmp_path / "submit.log"
    process = start(phones, log, "submit", path, "--extension", "Phone", "--batch", "b", "--wait")
    processes.wait_for(lambda: sum(phones.admin.log_ends(phones.commands).values()) == 10, "the commands", alive=process)
    files.write(phones, "a.csv", files.csv_text(HEADER, *rows_of(9)))
    phones.worker()
    assert process.wait(60) == 1
    assert "was changed while it was worked on" in log.read_text() and not (phones.folder / "a.failed.csv").exists()


# Many

def peak_mib(pid):
    with open("/proc/%d/status" % pid) as file:
        return next((int(line.split()[1]) // 1024 for line in file if line.startswith("VmHWM:")), 0)


def many_rows(count):
    """(row, file that it belongs to), with a bad row of each kind now and then. A kilobyte each."""
    for number in range(count):
        row = ["e%d" % (number % 1000), "x", "1", "%07d%s" % (number, "." * 1000), "1"]
        kind = {5: "amount", 55: "customer", 105: "number", 155: "cells"}.get(number % 1000)
        if kind == "amount":
            row[4] = "1.5"
        elif kind == "customer":
            row[0] = "nobody"
        elif kind == "number":
            row[2] = "2"
        elif kind == "cells":
            row.append("")
        yield row, "success" if kind is None else "failed"


def test_many_rows_while_workers_die(sites, tmp_path):
    """In flat memory, whatever the file holds; a worker that is killed costs time only."""
    site = sites().init(schemas.EVERYTHING)
    header = ["customer_id", "label", "Number", "text", "amount"]
    with site.db.cursor() as cursor:
        cursor.execute("INSERT INTO profile (customer_id) SELECT 'e' || n FROM generate_series(0, 999) n")
        cursor.execute("INSERT INTO ext_everything (customer_id, label, number, required) "
                       "SELECT 'e' || n, 'x', 1, 'r' FROM generate_series(0, 999) n")
    path = site.folder / "many.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(row for row, _ in many_rows(MANY))
    site.running()
    log = tmp_path / "submit.log"
    process = start(site, log, "submit", str(path), "--extension", "Everything", "--batch", "many", "--wait",
                    "--timeout", "600")
    peak = 0

    def answered(count):
        nonlocal peak
        peak = max(peak, peak_mib(process.pid))
        return sum(site.admin.log_ends(site.results).values()) >= count

    for share in (0.1, 0.4):
        processes.wait_for(lambda: answered(share * MANY), "answers", 600, 0.2, alive=process)
        site.workers[-1].kill()
        site.worker()
    while process.poll() is None:
        answered(0)
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            pass
    assert process.returncode == 3, log.read_text()
    # The producer's queue (64 MiB at most) and the consumer's are what there is, and some bytes for each row.
    print("%d MiB at most" % peak)
    assert peak < 250 + 50 * MANY // (1 << 20), "%d MiB at most" % peak
    wanted = {"success": [], "failed": []}
    for row, part in many_rows(MANY):
        wanted[part].append(row)
    success, failed, unprocessed = parts(site, "many")
    assert [row[2:] for row in success] == wanted["success"] and unprocessed == []
    assert [row[4:] for row in failed] == wanted["failed"]
    last = dict((row[0], row[3]) for row in wanted["success"])
    assert dict(site.db.execute("SELECT customer_id, text FROM ext_everything WHERE text IS NOT NULL")) == last
    site.stop()
