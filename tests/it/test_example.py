"""The worked example: one phone record of one customer."""

import csv
from datetime import datetime, timezone

from lib import byunique, check, schemas, wire
from lib.gen import Message
from lib.model import DONE
from lib.site import new_id
from lib.wire import Command

CUSTOMER = "0000Sb5U97XE000Y"
HEADERS = [("kafka_correlationId", bytes(range(256))),
           ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), ("ce_id", b""),
           ("ce_source", None), ("ce_id", b"a second one"), ("", b"nameless"), ("byunique.status", b"500")]
ATTRIBUTES = (
    ("PhoneType", "int", 0), ("prefix", "string", "+33"), ("PhoneNumber", "string", "3145926535"),
    ("description", "string", "family phone"), ("start_availabilty", "string", "2009-12-18T18:30:00.000Z"),
    ("end_availabilty", "string", "2009-12-18T21:40:00.000Z"))


def at(hour, minute):
    return datetime(2009, 12, 18, hour, minute, tzinfo=timezone.utc)


def load(site, *rows):
    path = site.folder / "phones.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    byunique.must(site.settings, "load", "Phone", str(path))


def test_phone(site):
    site.init(schemas.PHONE)
    load(site, ["customer_id", "PhoneType", "prefix", "PhoneNumber", "description"],
         [CUSTOMER, "2", "+1", "3145926535", "office, \"old\""], [CUSTOMER, "1", "+1", "1234", "other"])
    columns = "phonetype, prefix, phonenumber, description, start_availabilty, end_availabilty"
    select = "SELECT %s FROM ext_phone WHERE customer_id = %%s ORDER BY phonenumber DESC" % columns
    other = (1, "+1", "1234", "other", None, None)
    assert site.db.execute(select, [CUSTOMER]).fetchall() == [
        (2, "+1", "3145926535", "office, \"old\"", None, None), other]

    site.worker()
    command = Command(new_id().upper(), CUSTOMER, "Phone", ATTRIBUTES, "evening", 1261161000000)
    [sent] = site.send(site.message(command, headers=HEADERS))
    [result] = site.wait_results(1)

    check.result(site, sent, [DONE], result)
    assert result.headers == HEADERS + [("byunique.status", b"204")]
    assert result.key == CUSTOMER.encode()
    processed_at = result.body.pop("processed_at")
    assert result.body == {
        "status": 204, "command_id": command.command_id, "customer_id": CUSTOMER, "ext_name": "Phone",
        "batch_id": "evening", "error": None, "duplicate": False, "issued_at": 1261161000000,
        "source": {"topic": site.commands, "partition": sent.partition, "offset": sent.offset}}
    assert processed_at > 1600000000000
    assert site.db.execute(select, [CUSTOMER]).fetchall() == [
        (0, "+33", "3145926535", "family phone", at(18, 30), at(21, 40)), other]
    site.stop()
    assert site.reader(site.dead_letters).to_end() == []


def test_any_key_will_do(site):
    site.init(schemas.PHONE)
    site.insert("Phone", CUSTOMER, PhoneNumber="3145926535")
    site.worker()
    command = Command("", CUSTOMER, "Phone", ATTRIBUTES)
    messages = [Message(0, key, wire.encode(command.but(command_id=new_id())), [])
                for key in (None, b"", b"\0\xff", b"x" * 5000)]
    sent = site.send(*messages)
    site.wait_results(len(sent))
    check.all_results(site, sent, {record.at: [DONE] for record in sent}, site.result_reader.to_end())
