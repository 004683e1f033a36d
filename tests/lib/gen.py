"""A seeded generator of messages: valid commands, commands with one or two flaws, repetitions and broken bytes.

It only has to reach every outcome; what each message must be answered is for model.py to say.
"""

import random
import uuid
import zlib
from dataclasses import dataclass
from typing import List, Optional, Tuple

from lib import schemas, values, wire
from lib.model import Model, ascii_lower
from lib.wire import Command


@dataclass(frozen=True)
class Message:
    partition: int
    key: Optional[bytes]
    value: Optional[bytes]
    headers: List[Tuple[str, Optional[bytes]]]


CUSTOMERS = ["00-00", "hot", "0000Sb5U97XE000Y", "😀" * 16, "o'neil \"q\\", "NULL", "{a,b}", " ", "\t\n",
             "é" * 16] + ["%02d-%02d" % (i, i) for i in range(1, 30)]
BARE = ["bare-%d" % i for i in range(4)]  # profiles without a record
STRANGERS = ["nobody", "Hot", "HOT ", "00-0", "ｈｏｔ"]
HEADERS = [("kafka_correlationId", bytes(range(16))),
           ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), ("ce_id", b"1"),
           ("empty", b""), ("null", None), ("twice", b"1"), ("twice", b"2"), ("", b"no name"),
           ("byunique.status", b"from outside"), ("binary", bytes(range(256)))]
BAD_IDS = ["", "no-id", "6f9619ff8b86d011b42d00c04fc964ff", "{6f9619ff-8b86-d011-b42d-00c04fc964ff}",
           "6f9619ff-8b86-d011-b42d-00c04fc964fg", "6f9619ff-8b86-d011-b42d-00c04fc964ff ",
           "6f9619ff-8b86-d011-b42d-00c04fc964f", "6f9619ff-8b86-d011-b42d00-c04fc964ff",
           "6f9619ff_8b86_d011_b42d_00c04fc964ff", "\0" * 36, "😀" * 36, "６f9619ff-8b86-d011-b42d-00c04fc964ff",
           "x" * 5000]
BAD_NAMES = ["", "1Phone", "_Phone", "Pho ne", "Phone\0", "Phöne", "x" * 27, "Phone;", "\"Phone\"", "phone\n",
             "\u212aind"]  # the Kelvin sign, whose lower case is k
ABSENT_NAMES = ["Phone_", "Phone2", "x" * 26, "position", "profile", "ext_phone", "Z"]


class World:
    """The initial database, as a Model, and an endless supply of messages."""

    def __init__(self, seed, partitions):
        self.rng = random.Random(seed)
        self.partitions = partitions
        self.model = Model(*schemas.ALL)
        self.past = {partition: [] for partition in range(partitions)}
        for customer in BARE:
            self.model.profiles.add(customer)
        for customer in CUSTOMERS:
            for schema in (schemas.PHONE, schemas.EVERYTHING, schemas.KEYED):
                for _ in range(self.rng.randint(1, 3)):
                    self._insert(schema["name"], customer)
        self.targets = [(name, key) for name, records in self.model.records.items() for key in records]
        self.hot = [target for target in self.targets if target[1][0] == "hot"] + self.targets[:3]
        self.flaws = [self.bad_id, self.bad_customer, self.bad_name, self.absent_name, self.not_multi,
                      self.unknown_attribute, self.repeated_attribute, self.lost_unique, self.null_mandatory,
                      self.wrong_value, self.wrong_value, self.stranger, self.bare, self.other_record]

    def _insert(self, ext_name, customer):
        extension = self.model.extensions[ascii_lower(ext_name)]
        row = {}
        for name, attribute in extension.attributes.items():
            empty = not attribute.mandatory and self.rng.random() < 0.3
            row[name] = None if empty else values.random_value(self.rng, attribute)
        self.model.insert(ext_name, customer, row)

    def partition_of(self, customer_id):
        """One partition for all commands of a customer, whatever their keys: no two of them race."""
        return zlib.crc32(customer_id.encode()) % self.partitions

    def message(self):
        """The next message."""
        draw = self.rng.random()
        if draw < 0.06:
            return self._broken()
        if draw < 0.18:
            command = self._repetition()
        else:
            command = self._valid()
            if draw > 0.75:
                command = self.rng.choice(self.flaws)(command)
            if draw > 0.92:
                command = self.rng.choice(self.flaws)(command)
        return self._message(command)

    def messages(self, count):
        return [self.message() for _ in range(count)]

    def _message(self, command):
        partition = self.partition_of(command.customer_id)
        self.past[partition].append(command)
        key = command.customer_id.encode()
        if self.rng.random() < 0.1:
            key = self.rng.choice([None, b"", b"other-%d" % partition, b"\xff\x00\xfe-%d" % partition])
        return Message(partition, key, wire.encode(command), self._headers())

    def _headers(self):
        if self.rng.random() < 0.6:
            return []
        return [self.rng.choice(HEADERS) for _ in range(self.rng.randint(1, 4))]

    # Valid commands

    def _valid(self):
        rng = self.rng
        name, (customer, key) = rng.choice(self.hot if rng.random() < 0.3 else self.targets)
        extension = self.model.extensions[name]
        given = dict(zip(extension.unique, key))
        for other, attribute in extension.attributes.items():
            if other in given or rng.random() < 0.5:
                continue
            clear = not attribute.mandatory and rng.random() < 0.15
            given[other] = None if clear else values.random_value(rng, attribute)
        attributes = [(self._case(other),) + values.spell(rng, extension.attributes[other], value)
                      for other, value in given.items()]
        rng.shuffle(attributes)
        return Command(self._id(), customer, self._case(name), tuple(attributes),
                       rng.choice([None, None, "batch-1", "", "a\0b", "é"]),
                       rng.choice([None, 0, 1700000000000, wire.LONG_MIN, wire.LONG_MAX]))

    def _case(self, name):
        return "".join(c.upper() if self.rng.random() < 0.3 else c for c in name)

    def _id(self):
        text = str(uuid.UUID(int=self.rng.getrandbits(128)))
        return text.upper() if self.rng.random() < 0.1 else text

    # Flaws: command → command

    def bad_id(self, command):
        return command.but(command_id=self.rng.choice(BAD_IDS))

    def bad_customer(self, command):
        return command.but(customer_id=self.rng.choice(["", "x" * 17, "😀" * 17, "hot\0", "x" * 3000]))

    def bad_name(self, command):
        return command.but(ext_name=self.rng.choice(BAD_NAMES))

    def absent_name(self, command):
        return command.but(ext_name=self.rng.choice(ABSENT_NAMES))

    def not_multi(self, command):
        return command.but(ext_name=self._case(self.rng.choice(["person", "segment"])))

    def _with(self, command, *attributes):
        given = list(command.attributes) + list(attributes)
        self.rng.shuffle(given)
        return command.but(attributes=tuple(given))

    def unknown_attribute(self, command):
        name = self.rng.choice(["nothing", "customer_id", "ctid", "", "x\0y", "\u017fhort", "x" * 3000, "a b", "😀"])
        return self._with(command, (name, "string", "v"))

    def repeated_attribute(self, command):
        if not command.attributes:
            return command
        name, kind, value = self.rng.choice(command.attributes)
        return self._with(command, (self.rng.choice([name, name.upper(), name.lower()]), kind, value))

    def _unique(self, command):
        extension = self.model.extensions.get(ascii_lower(command.ext_name))
        return extension.unique if extension else []

    def lost_unique(self, command):
        unique = self._unique(command)
        if not unique:
            return command
        lost, clear = self.rng.choice(unique), self.rng.random() < 0.5
        given = [(name, "null", None) if clear and ascii_lower(name) == lost else (name, kind, value)
                 for name, kind, value in command.attributes if clear or ascii_lower(name) != lost]
        return command.but(attributes=tuple(given))

    def null_mandatory(self, command):
        if ascii_lower(command.ext_name) != "everything":
            return command
        given = [each for each in command.attributes if ascii_lower(each[0]) != "required"]
        return self._with(command.but(attributes=tuple(given)), ("Required", "null", None))

    def wrong_value(self, command):
        extension = self.model.extensions.get(ascii_lower(command.ext_name))
        if extension is None or not command.attributes:
            return command
        given = list(command.attributes)
        at = self.rng.randrange(len(given))
        attribute = extension.attributes.get(ascii_lower(given[at][0]))
        if attribute is not None:
            given[at] = (given[at][0],) + values.wrong_value(self.rng, attribute)
        return command.but(attributes=tuple(given))

    def stranger(self, command):
        return command.but(customer_id=self.rng.choice(STRANGERS))

    def bare(self, command):
        return command.but(customer_id=self.rng.choice(BARE))

    def other_record(self, command):
        extension = self.model.extensions.get(ascii_lower(command.ext_name))
        if extension is None or not extension.unique:
            return command
        moved = self.rng.choice(extension.unique)
        attribute = extension.attributes[moved]
        given = [(name,) + values.spell(self.rng, attribute, values.random_value(self.rng, attribute))
                 if ascii_lower(name) == moved else (name, kind, value) for name, kind, value in command.attributes]
        return command.but(attributes=tuple(given))

    # Repetitions, within the partition of the first

    def _repetition(self):
        past = self.past[self.rng.randrange(self.partitions)]
        if not past:
            return self._valid()
        # Mostly a recent one: often of the same batch.
        first = past[-min(int(self.rng.expovariate(0.02)) + 1, len(past))]
        again = self._same(first)
        if self.rng.random() < 0.5:
            return again
        changes = [self.bad_name, self.absent_name, self.unknown_attribute, self.lost_unique, self.wrong_value,
                   self.other_record]
        return self.rng.choice(changes)(again)

    def _same(self, command):
        """The same content, written differently."""
        rng = self.rng
        given = [(self._case(ascii_lower(name)),) + values.same_number(rng, kind, value)
                 for name, kind, value in command.attributes]
        rng.shuffle(given)
        return command.but(command_id=rng.choice([str.upper, str.lower, str])(command.command_id),
                           ext_name=rng.choice([str, ascii_lower])(command.ext_name), attributes=tuple(given),
                           batch_id=rng.choice([command.batch_id, "again"]))

    # Broken bytes

    def _broken(self):
        while True:
            value = broken(self.rng, wire.encode(self._valid()))
            try:
                command, doubtful = wire.decode(value)
            except wire.Malformed:
                partition = self.rng.randrange(self.partitions)
                return Message(partition, self.rng.choice([None, b"hot"]), value, self._headers())
            if not doubtful:  # what the specification leaves open is test_framing's
                return Message(self.partition_of(command.customer_id), None, value, self._headers())


def broken(rng, value):
    """A message after an accident."""
    at = rng.randrange(len(value))
    way = rng.randrange(9)
    if way == 0:
        return rng.choice([None, b"", b"\0", b"\xC3", b"\xC3\x01", b"\0\0\0\0\1" + value[10:],
                           rng.randbytes(rng.randint(1, 60))])
    if way == 1:
        return value[:at]
    if way == 2:
        return value + rng.randbytes(rng.randint(1, 4))
    if way == 3:
        return value[:at] + value[at + rng.randint(1, 4):]
    if way == 4:
        return value[:at] + rng.randbytes(rng.randint(1, 9)) + value[at:]
    if way == 5:
        return value[:at] + wire.zigzag(rng.choice([wire.LONG_MAX, wire.LONG_MIN, -1, 2**31, 2**40])) + value[at + 1:]
    mutated = bytearray(value)
    for _ in range(rng.randint(1, 3)):
        mutated[rng.randrange(len(value))] = rng.choice([0, 0x7F, 0x80, 0xFF, rng.randrange(256)])
    return bytes(mutated)
