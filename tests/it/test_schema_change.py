"""Extensions change while the worker runs: it follows without a restart, and no command meets an old schema."""

import copy

from lib import byunique, schemas
from lib.site import new_id
from lib.wire import Command

NUMBER = ("PhoneNumber", "string", "1")


def phone(*attributes, **changes):
    return Command(new_id(), "alice", "Phone", (NUMBER,) + attributes).but(**changes)


def with_attribute(schema, **attribute):
    changed = copy.deepcopy(schema)
    changed["attributes"].append(attribute)
    return changed


def test_attribute_added_to_an_extension_in_use(site):
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    worker = site.worker()
    command = phone(("carrier", "string", "acme"), ("prefix", "string", "+1"))
    [before] = site.answers(command)
    assert (before.code, before.body["error"]["attribute"]) == ("UnknownAttribute", "carrier")
    site.apply(with_attribute(schemas.PHONE, name="Carrier", type="string", length=10))
    results = site.answers(command, phone(("carrier", "string", "x" * 11)))
    assert [result.code for result in results] == [None, "InvalidAttributeValue"]
    assert site.db.execute("SELECT carrier, prefix FROM ext_phone").fetchall() == [("acme", "+1")]
    assert worker.alive
    site.stop()


def test_attributes_added_under_load(site):
    """From the moment that `schema apply` returns, no command is refused for an attribute that it added."""
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    worker = site.worker()
    schema, sent, allowed = schemas.PHONE, [], []
    for number in range(5):
        name = "extra_%d" % number
        early = [phone((name, "int", at)) for at in range(100)]
        sent += site.send(*early)
        allowed += [(None, "UnknownAttribute")] * len(early)
        schema = with_attribute(schema, name=name, type="integer")
        site.apply(schema)
        late = [phone((name, "int", at)) for at in range(100)]
        sent += site.send(*late)
        allowed += [(None,)] * len(late)
    results = {result.source: result for result in site.wait_results(len(sent))}
    for record, codes in zip(sent, allowed):
        assert results[record.at].code in codes, results[record.at].body
    assert site.db.execute("SELECT extra_0, extra_4 FROM ext_phone").fetchall() == [(99, 99)]
    assert worker.alive
    site.stop()


def test_extension_added(site):
    site.init(schemas.PHONE)
    site.worker()
    command = Command(new_id(), "alice", "everything",
                      (("label", "string", "a"), ("number", "int", 7), ("amount", "int", 5)))
    assert site.answers(command)[0].code == "ExtensionNotFound"
    site.apply(schemas.EVERYTHING)
    assert site.answers(command)[0].code == "CustomerNotFound"
    site.insert("Everything", "alice", label="a", Number=7, required="r")
    assert site.answers(command)[0].status == 204
    assert site.db.execute("SELECT amount FROM ext_everything").fetchall() == [(5,)]
    site.stop()


def test_outcomes_outlive_a_change(site):
    """What was answered under the old schema is repeated as it was answered."""
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    site.worker()
    first = site.answers(phone(("carrier", "string", "acme")), phone(("prefix", "string", "+1")), partition=0)
    site.stop()
    site.apply(with_attribute(schemas.PHONE, name="carrier", type="string"))
    site.admin.commit(site.group, site.commands, {0: 0})
    site.worker()
    again = site.wait_results(4)[2:]
    assert [result.value for result in again] == [result.value for result in first]
    site.stop()
    assert site.db.execute("SELECT carrier FROM ext_phone").fetchall() == [(None,)]


def test_listing(site):
    site.init(schemas.PHONE, schemas.EVERYTHING, schemas.SINGLE)
    listed = byunique.must(site.settings, "schema", "list")
    assert all(name in listed for name in ("Phone", "Everything", "Person"))
    shown = byunique.must(site.settings, "schema", "show", "PHONE")
    assert all(each["name"] in shown for each in schemas.PHONE["attributes"])
