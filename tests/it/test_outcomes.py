"""Every row of the table of outcomes, their order, and messages that the database itself refuses."""

import pytest

from lib import check, processes, schemas, wire
from lib.gen import Message
from lib.model import DONE, STATUS, Answer, Model
from lib.site import new_id
from lib.wire import Command

NUMBER = ("PhoneNumber", "string", "1")
LABEL, SEVEN = ("label", "string", "a"), ("Number", "int", 7)
NULL_NUMBER, BAD_PREFIX = ("PhoneNumber", "null", None), ("prefix", "string", "123456")


def phone(*attributes, **changes):
    return Command(new_id(), "alice", "Phone", attributes).but(**changes)


def everything(*attributes, **changes):
    return Command(new_id(), "alice", "Everything", attributes).but(**changes)


def by_place(sent, answers):
    """What check wants: the answers that are right for each message, by where it lies."""
    return {record.at: [answer] for record, answer in zip(sent, answers)}


# Each command has every flaw of the rows below its own as well, as far as they go together.
ROWS = [
    ("InvalidCommandId", None, phone(("x", "int", 1), command_id="12345", customer_id="", ext_name="")),
    ("InvalidCustomerId", None, phone(("x", "int", 1), customer_id="", ext_name="")),
    ("InvalidCustomerId", None, phone(NUMBER, customer_id="x" * 17)),
    ("InvalidCustomerId", None, phone(NUMBER, customer_id="a\0")),
    ("InvalidExtensionName", None, phone(("x", "int", 1), ext_name="no name", customer_id="nobody")),
    ("ExtensionNotFound", None, phone(("x", "int", 1), ext_name="Fax", customer_id="nobody")),
    ("NotMultiValued", None, phone(("x", "int", 1), ext_name="Person", customer_id="nobody")),
    ("NotMultiValued", None, phone(("x", "int", 1), ext_name="Segment", customer_id="nobody")),
    ("UnknownAttribute", "x", phone(("x", "int", 1), ("X", "int", 1), BAD_PREFIX, customer_id="nobody")),
    ("DuplicateAttribute", "prefix", phone(BAD_PREFIX, ("PREFIX", "null", None), customer_id="nobody")),
    ("DuplicateAttribute", "prefix", phone(NUMBER, ("prefix", "string", "1"), ("prefix", "string", "1"))),
    ("MissingUniqueAttribute", "PhoneNumber", phone(NULL_NUMBER, BAD_PREFIX, customer_id="nobody")),
    ("MissingUniqueAttribute", "PhoneNumber", phone(BAD_PREFIX)),
    ("MissingUniqueAttribute", "PhoneNumber", phone()),
    ("MissingUniqueAttribute", "Number", everything(LABEL, ("required", "null", None))),
    ("MandatoryAttribute", "required", everything(LABEL, SEVEN, ("required", "null", None), ("short", "int", 1))),
    ("InvalidAttributeValue", "prefix", phone(NUMBER, BAD_PREFIX, customer_id="nobody")),
    ("InvalidAttributeValue", "PhoneNumber", phone(("PhoneNumber", "int", 1), customer_id="nobody")),
    ("CustomerNotFound", None, phone(NUMBER, customer_id="nobody")),
    ("RecordNotFound", None, phone(NUMBER, customer_id="bare")),
    ("RecordNotFound", None, phone(("PhoneNumber", "string", "2"), ("prefix", "string", "+44"))),
    ("RecordNotFound", None, everything(LABEL, ("Number", "int", 8))),
]


@pytest.fixture
def site(site):
    site.init(schemas.PHONE, schemas.EVERYTHING, schemas.SINGLE, schemas.CLASSIFIER)
    model = Model(*schemas.ALL)
    model.insert("Phone", "alice", {"PhoneNumber": "1", "prefix": "+1"})
    model.insert("Everything", "alice", {"label": "a", "number": 7, "required": "r"})
    model.profiles.add("bare")
    del model.extensions["keyed_by_all"]
    site.model = model
    site.fill(model)
    return site


def test_every_row(site):
    """Each refusal in turn; a good command between any two is not disturbed; a refused id may be sent again."""
    expected, commands = [], []
    for at, (code, attribute, command) in enumerate(ROWS):
        commands.append(command)
        expected.append(Answer(STATUS[code], code, False, frozenset([attribute] if attribute else [])))
        commands.append(phone(NUMBER, ("prefix", "string", "p%d" % at),
                              command_id=new_id() if code == "InvalidCommandId" else command.command_id))
        expected.append(DONE)
    commands += [phone(NUMBER), everything(LABEL, SEVEN)]  # nothing to store
    expected += [DONE, DONE]
    sent = site.send(*commands, partition=0)
    site.worker()
    site.wait_results(len(sent))
    check.all_results(site, sent, by_place(sent, expected), site.result_reader.to_end())
    check.run_model(site.model, sent)
    check.tables(site, site.model)
    site.stop()


def test_known_ids(site):
    """A known id outranks every refusal but the two above it; the content decides, however it is written."""
    first = phone(NUMBER, ("PhoneType", "int", 5), ("prefix", "null", None))
    same = [first,
            first.but(command_id=first.command_id.upper(), batch_id="again", issued_at=1),
            first.but(ext_name="pHONE", attributes=tuple(reversed(first.attributes))),
            first.but(attributes=(("PHONENUMBER", "string", "1"), ("phonetype", "long", 5), ("Prefix", "null", None))),
            first.but(attributes=(NUMBER, ("PhoneType", "double", 5.0), ("prefix", "null", None)))]
    other = [first.but(attributes=first.attributes[:2]),
             first.but(attributes=(NUMBER, ("PhoneType", "string", "5"), ("prefix", "null", None))),
             first.but(attributes=(NUMBER, ("PhoneType", "int", 6), ("prefix", "null", None))),
             first.but(customer_id=""), first.but(customer_id="nobody"), first.but(customer_id="Alice"),
             first.but(ext_name="no name"), first.but(ext_name="Fax"), first.but(ext_name="Person"),
             first.but(attributes=()), first.but(attributes=(("x", "int", 1),)),
             everything(command_id=first.command_id)]
    expected = [DONE] + [Answer(204, None, True)] * len(same) + [Answer(422, "CommandIdReused")] * len(other)
    site.worker()
    for _ in range(2):  # in one batch, then all of it again, known by now
        sent = site.send(first, *same, *other, partition=1)
        known = len(site.result_reader.seen)
        got = site.wait_results(known + len(sent))[known:]
        check.all_results(site, sent, by_place(sent, expected), got)
        expected[0] = Answer(204, None, True)
    site.stop()


def test_id_is_kept_over_a_restart(site):
    first = phone(NUMBER, ("prefix", "string", "+2"))
    site.worker()
    assert [result.status for result in site.answers(first, partition=2)] == [204]
    site.stop()
    site.db.execute("UPDATE ext_phone SET prefix = 'mine'")
    site.worker()
    results = site.answers(first, first.but(attributes=(NUMBER,)), partition=2)
    assert [(result.status, result.body["duplicate"]) for result in results] == [(204, True), (422, False)]
    assert site.db.execute("SELECT prefix FROM ext_phone").fetchall() == [("mine",)]
    site.stop()


def test_names_in_any_case_and_absent_values(site):
    site.worker()
    results = site.answers(phone(("phoneNUMBER", "string", "1"), ("PhoneType", "int", 3), ext_name="PHONE"),
                           phone(NUMBER, ("prefix", "null", None)), partition=0)
    assert [result.status for result in results] == [204, 204]
    assert site.db.execute("SELECT phonetype, prefix FROM ext_phone").fetchall() == [(3, None)]
    assert [result.body["ext_name"] for result in results] == ["PHONE", "Phone"]
    site.stop()


REFUSING = {
    "check": "ALTER TABLE ext_phone ADD CONSTRAINT no_666 CHECK (phonetype <> 666)",
    "trigger": """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.phonetype = 666 THEN RAISE EXCEPTION 'the number of the beast'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON ext_phone FOR EACH ROW EXECUTE FUNCTION refuse()""",
    "deferred": """
CREATE FUNCTION refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.phonetype = 666 THEN RAISE EXCEPTION 'refused at the commit'; END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER refuse_late AFTER UPDATE ON ext_phone DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse_late()""",
    "unique": """
CREATE UNIQUE INDEX only_one_666 ON ext_phone (phonetype) WHERE phonetype = 666;
INSERT INTO profile (customer_id) VALUES ('beast');
INSERT INTO ext_phone (customer_id, phonenumber, phonetype) VALUES ('beast', '1', 666)""",
}


@pytest.mark.parametrize("how", REFUSING)
def test_refused_by_the_database(site, how):
    """500 and a dead letter for those alone that the database refuses; commands of one record stay in their order."""
    site.db.execute(REFUSING[how])
    customers = ["c%d" % number for number in range(100)]
    with site.db.transaction():
        for customer in customers:
            site.insert("Phone", customer, PhoneNumber="1", PhoneType=0)
    messages, expected, last = [], [], {}
    for at in range(600):
        customer = customers[at % len(customers)]
        # The bad ones close a customer's sequence: what a good one overwrites within a batch, nobody need notice.
        bad = at >= 500 and at % 25 == 3
        command = phone(NUMBER, ("PhoneType", "int", 666 if bad else at), ("description", "string", "d%d" % at),
                        customer_id=customer)
        messages.append(site.message(command, 0, headers=[("n", b"%d" % at), ("null", None)]))
        expected.append(Answer(500, "InternalError") if bad else DONE)
        if not bad:
            last[customer] = (at, "d%d" % at)
    sent = site.send(*messages)
    site.worker()
    results = site.wait_results(len(sent))
    check.all_results(site, sent, by_place(sent, expected), site.result_reader.to_end())
    rows = site.db.execute("SELECT customer_id, phonetype, description FROM ext_phone WHERE customer_id ~ '^c'")
    assert {customer: (kind, text) for customer, kind, text in rows} == last
    site.stop()
    check.dead_letters(site, sent, results, site.reader(site.dead_letters).to_end())


def test_beside_other_programs(site):
    """Another program holds the records in hand: what it wrote meanwhile stays, and what it deleted is not found."""
    customers = ["c%d" % number for number in range(60)]
    for customer in customers:
        site.insert("Phone", customer, PhoneNumber="1", prefix="+1")
    site.running()
    other = site.second_connection()
    with other.transaction():
        other.execute("UPDATE ext_phone SET description = 'other', prefix = '+9' WHERE customer_id = 'c7'")
        other.execute("DELETE FROM ext_phone WHERE customer_id = 'c8'")
        sent = site.send(*[phone(NUMBER, ("prefix", "string", "+2"), ("PhoneType", "int", number), customer_id=customer)
                           for number, customer in enumerate(customers)], phone(NUMBER, customer_id="c9"))
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%' || %s || '%%'"
        processes.wait_for(lambda: site.db.execute(waiting, ["ext_phone"]).fetchall(), "the worker to meet the lock")
    results = site.results_of(sent)
    assert [result.code for result in results] == [None] * 8 + ["RecordNotFound"] + [None] * 52
    rows = site.db.execute("SELECT customer_id, prefix, phonetype, description FROM ext_phone WHERE customer_id LIKE 'c%'")
    assert sorted(rows.fetchall()) == sorted(
        (customer, "+2", number, "other" if number == 7 else None)
        for number, customer in enumerate(customers) if number != 8)
    site.stop()


def test_refused_id_is_free_again(site):
    site.db.execute(REFUSING["check"])
    command = phone(NUMBER, ("PhoneType", "int", 666))
    site.worker()
    assert [result.code for result in site.answers(command, partition=0)] == ["InternalError"]
    site.db.execute("ALTER TABLE ext_phone DROP CONSTRAINT no_666")
    assert [result.status for result in site.answers(command, command, partition=0)] == [204, 204]
    assert site.result_reader.seen[-1].body["duplicate"]
    site.stop()


def test_values_refused_are_not_told(site):
    """Attribute values reach no log and no error text."""
    secret = "5ecret-value-of-%d" % 4711
    site.db.execute("ALTER TABLE ext_phone ADD CONSTRAINT not_secret CHECK (description NOT LIKE '5ecret%')")
    worker = site.worker()
    results = site.answers(
        phone(NUMBER, ("description", "string", secret)), phone(NUMBER, ("prefix", "string", secret)),
        phone(("PhoneNumber", "string", secret)), phone(NUMBER, ("PhoneType", "string", secret)), partition=0)
    assert [result.code for result in results] == ["InternalError", "InvalidAttributeValue", "RecordNotFound",
                                                   "InvalidAttributeValue"]
    site.stop()
    assert not [result for result in results if secret in result.body["error"]["detail"]]
    assert secret not in worker.log
    [letter] = site.reader(site.dead_letters).to_end()
    assert secret.encode() not in letter.header("byunique.detail")


# The first try fails: a sequence forgets nothing when a transaction is rolled back.
RAISE_ONCE = """
CREATE SEQUENCE tries;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema} AS $$
BEGIN
    IF nextval('tries') = 1 THEN RAISE EXCEPTION 'not now: %', NEW.description USING ERRCODE = '{sqlstate}'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tell BEFORE UPDATE ON ext_phone FOR EACH ROW EXECUTE FUNCTION tell()"""


@pytest.mark.parametrize("sqlstate", ["40001", "53100", "55000"])
def test_values_raised_are_not_told(site, sqlstate):
    """Whatever SQLSTATE a trigger of somebody's gives to what it says: tried again, waited for, or the end."""
    secret = "5ecret-value-of-%d" % 4711
    site.db.execute(RAISE_ONCE.format(schema=site.schema, sqlstate=sqlstate))
    worker = site.worker()
    sent = site.send(phone(NUMBER, ("description", "string", secret)), partition=0)
    worker.wait_log(sqlstate)
    if sqlstate == "55000":
        assert worker.wait() == 1
    else:
        assert site.results_of(sent)[0].status == 204
        site.stop()
    assert secret not in worker.log


def test_dead_letter_topic_can_be_missing(sites):
    site = sites(**{"dead.letter.topic": ""}).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    site.worker()
    sent = site.send(Message(0, b"k", b"garbage", []), site.message(phone(NUMBER), 0))
    assert [result.status for result in site.results_of(sent)] == [400, 204]
    site.stop()


def test_dead_letters_of_malformed_messages(site):
    values = [None, b"", b"\0\0\0\0\1x", b"\xC3\x01", wire.encode(phone(NUMBER)) + b"x", bytes(range(256))]
    headers = [("__connect.errors.topic", b"earlier"), ("h", b"\0\xff"), ("null", None)]
    sent = site.send(*[Message(at % 2, key, value, headers) for at, (key, value) in enumerate(
        (key, value) for value in values for key in (None, b"", b"key\0"))])
    site.worker()
    results = site.wait_results(len(sent))
    check.all_results(site, sent, {record.at: [Answer(400, "MalformedMessage")] for record in sent}, results)
    site.stop()
    check.dead_letters(site, sent, results, site.reader(site.dead_letters).to_end())
