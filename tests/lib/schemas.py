"""The extensions that the tests use."""

import json

from lib import wire

PHONE = json.loads((wire.SCHEMAS / "examples" / "phone.json").read_text())

# Every type, nullable and mandatory, in names that need care.
EVERYTHING = {
    "name": "Everything", "type": "multi-valued", "unique": ["label", "Number"],
    "attributes": [
        {"name": "label", "type": "string", "length": 8, "mandatory": True},
        {"name": "Number", "type": "integer", "mandatory": True},
        {"name": "text", "type": "string"},
        {"name": "short", "type": "string", "length": 5},
        {"name": "required", "type": "string", "length": 10, "mandatory": True},
        {"name": "amount", "type": "integer"},
        {"name": "big", "type": "long"},
        {"name": "ratio", "type": "double"},
        {"name": "day", "type": "date"},
        {"name": "moment", "type": "datetime"},
        {"name": "price", "type": "currency"},
        {"name": "flag", "type": "boolean"},
        {"name": "Order", "type": "integer"},
        {"name": "user", "type": "string", "length": 16},
        {"name": "A_name_of_26_characters_OK", "type": "long"}]}

# A key of every type but string and integer: values that are equal are written in many ways.
KEYED = {
    "name": "Keyed_By_All", "type": "multi-valued",
    "unique": ["price", "id", "day", "moment", "ratio", "flag"],
    "attributes": [
        {"name": "id", "type": "long", "mandatory": True},
        {"name": "ratio", "type": "double", "mandatory": True},
        {"name": "day", "type": "date", "mandatory": True},
        {"name": "moment", "type": "datetime", "mandatory": True},
        {"name": "price", "type": "currency", "mandatory": True},
        {"name": "flag", "type": "boolean", "mandatory": True},
        {"name": "note", "type": "string", "length": 20}]}

SINGLE = {"name": "Person", "type": "single-valued", "attributes": [{"name": "first_name", "type": "string"}]}
CLASSIFIER = {"name": "Segment", "type": "classifier", "attributes": [{"name": "segment", "type": "string"}]}

ALL = [PHONE, EVERYTHING, KEYED, SINGLE, CLASSIFIER]
