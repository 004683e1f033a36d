"""The referee is tested, too: the reference model against examples taken from the contract's text."""

from datetime import date, datetime, timezone
from decimal import Decimal

import pytest

from lib import schemas
from lib.model import DONE, Answer, Attribute, Invalid, Model
from lib.wire import Command

ID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"


@pytest.fixture
def model():
    model = Model(*schemas.ALL)
    model.insert("Phone", "alice", {"PhoneNumber": "1", "prefix": "+1"})
    model.profiles.add("bob")
    return model


def phone(*attributes, **changes):
    given = (("PhoneNumber", "string", "1"),) if not attributes else attributes
    return Command(ID, "alice", "Phone", given).but(**changes)


def code(model, command):
    return model.answer(command).code


NUMBER = ("PhoneNumber", "string", "1")
REFUSED = [
    ("InvalidCommandId", phone(command_id="no-id", customer_id="")),
    ("InvalidCommandId", phone(command_id=ID + "\n")),
    ("InvalidCommandId", phone(command_id="{" + ID + "}")),
    ("InvalidCustomerId", phone(customer_id="", ext_name="1")),
    ("InvalidCustomerId", phone(customer_id="x" * 17)),
    ("InvalidCustomerId", phone(customer_id="a\0b")),
    ("InvalidExtensionName", phone(ext_name="")),
    ("InvalidExtensionName", phone(ext_name="1Phone")),
    ("InvalidExtensionName", phone(ext_name="x" * 27)),
    ("ExtensionNotFound", phone(ext_name="x" * 26)),
    ("NotMultiValued", phone(("nothing", "null", None), ext_name="person")),
    ("UnknownAttribute", phone(("x", "int", 1), ("X", "int", 1))),
    ("DuplicateAttribute", phone(("prefix", "null", None), ("PREFIX", "int", 1))),
    ("MissingUniqueAttribute", phone(("prefix", "int", 1))),
    ("MissingUniqueAttribute", phone(("PhoneNumber", "null", None))),
    ("InvalidAttributeValue", phone(NUMBER, ("prefix", "string", "123456"), customer_id="nobody")),
    ("CustomerNotFound", phone(customer_id="nobody")),
    ("RecordNotFound", phone(customer_id="bob")),
    ("RecordNotFound", phone(("PhoneNumber", "string", "2"))),
]


@pytest.mark.parametrize("expected, command", REFUSED)
def test_refusals_and_their_order(model, expected, command):
    assert code(model, command) == expected
    assert model.answer(phone()) == DONE, "a refused id may be sent again"


def test_mandatory_attribute_is_not_cleared(model):
    model.insert("Everything", "alice", {"label": "a", "number": 1, "required": "r"})
    command = phone(("label", "string", "a"), ("number", "int", 1), ("required", "null", None), ext_name="everything")
    assert code(model, command) == "MandatoryAttribute"


def test_update_clears_sets_and_keeps(model):
    command = phone(NUMBER, ("PREFIX", "null", None), ("phonetype", "long", 7))
    assert model.answer(command) == DONE
    row = model.records["phone"]["alice", ("1",)]
    assert (row["prefix"], row["phonetype"], row["description"], row["phonenumber"]) == (None, 7, None, "1")


def test_known_ids(model):
    first = phone(NUMBER, ("PhoneType", "int", 1), ("description", "string", "d"))
    same = phone(("DESCRIPTION", "string", "d"), ("phonetype", "double", 1.0), NUMBER, command_id=ID.upper(),
                 ext_name="PHONE", batch_id="b")
    assert model.answer(first) == DONE
    assert model.answer(same) == Answer(204, None, True)
    assert code(model, phone(NUMBER)) == "CommandIdReused"
    assert code(model, phone(customer_id="")) == "CommandIdReused", "a known id outranks a refusal"
    assert code(model, first.but(attributes=first.attributes + (("prefix", "null", None),))) == "CommandIdReused"
    assert model.answer(first, partition=1) == DONE, "the promise holds within a partition"


UTC = timezone.utc
VALUES = [
    ("string", 3, "string", "äöü", "äöü"), ("string", 3, "string", "abcd", None),
    ("string", None, "string", "\0", None), ("string", None, "int", 1, None),
    ("integer", None, "long", 2**31 - 1, 2**31 - 1), ("integer", None, "long", 2**31, None),
    ("integer", None, "string", "5", None), ("integer", None, "double", 5.0, None),
    ("integer", None, "boolean", True, None), ("long", None, "long", -2**63, -2**63),
    ("double", None, "float", 0.5, 0.5), ("double", None, "int", 3, 3.0),
    ("double", None, "double", float("nan"), None), ("double", None, "double", float("inf"), None),
    ("boolean", None, "int", 1, None), ("boolean", None, "boolean", False, False),
    ("date", None, "string", "0001-01-01", date(1, 1, 1)), ("date", None, "string", "9999-12-31", date(9999, 12, 31)),
    ("date", None, "string", "0000-12-31", None), ("date", None, "string", "2023-02-29", None),
    ("date", None, "string", "2024-2-29", None), ("date", None, "int", -1, date(1969, 12, 31)),
    ("date", None, "int", 2932896, date(9999, 12, 31)), ("date", None, "int", 2932897, None),
    ("date", None, "int", -719162, date(1, 1, 1)), ("date", None, "long", -719163, None),
    ("date", None, "long", 2**62, None),
    ("datetime", None, "string", "2009-12-18T18:30:00.000Z", datetime(2009, 12, 18, 18, 30, tzinfo=UTC)),
    ("datetime", None, "string", "2009-12-18T18:30:00.12+0530", datetime(2009, 12, 18, 13, 0, 0, 120000, tzinfo=UTC)),
    ("datetime", None, "string", "2009-12-18T18:30:00-15:59", datetime(2009, 12, 19, 10, 29, tzinfo=UTC)),
    ("datetime", None, "string", "2009-12-18T18:30:00+16:00", None),
    ("datetime", None, "string", "2009-12-18T18:30:00", None),
    ("datetime", None, "string", "2009-12-18 18:30:00Z", None),
    ("datetime", None, "string", "2009-12-18T24:00:00Z", None),
    ("datetime", None, "string", "2009-12-18T23:59:60Z", None),
    ("datetime", None, "string", "2009-12-18T18:30:00.Z", None),
    ("datetime", None, "string", "2009-12-18T18:30:00.1234567Z", None),
    ("datetime", None, "string", "0000-12-31T23:00:00-01:00", datetime(1, 1, 1, tzinfo=UTC)),
    ("datetime", None, "string", "0001-01-01T00:00:00+00:01", None),
    ("datetime", None, "string", "9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)),
    ("datetime", None, "string", "9999-12-31T23:59:00-00:01", None),
    ("datetime", None, "int", -1, datetime(1969, 12, 31, 23, 59, 59, 999000, UTC)),
    ("datetime", None, "long", 253402300800000, None), ("currency", None, "string", "-12.50", Decimal("-12.5")),
    ("currency", None, "string", "+000000000000000000001", 1),
    ("currency", None, "string", "999999999999999.9999", Decimal("999999999999999.9999")),
    ("currency", None, "string", "1000000000000000", None), ("currency", None, "string", "1.00000", None),
    ("currency", None, "string", "1.", None), ("currency", None, "string", ".5", None),
    ("currency", None, "string", "1e3", None), ("currency", None, "string", "", None),
    ("currency", None, "long", 10**15, None), ("currency", None, "double", 1.5, None), ("currency", None, "int", 5, 5),
]


@pytest.mark.parametrize("type_name, length, kind, value, expected", VALUES)
def test_values(type_name, length, kind, value, expected):
    attribute = Attribute("a", type_name, length, False)
    if expected is None:
        with pytest.raises(Invalid):
            attribute.convert(kind, value)
    else:
        assert attribute.convert(kind, value) == expected
