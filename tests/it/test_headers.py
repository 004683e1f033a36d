"""Headers: a command's come back byte for byte, by configuration as a CloudEvent of its own; a copy of a result goes where a
command asks for it, exactly once, and nothing that is wrong with that place holds anything up."""

import time

import pytest

from lib import schemas, wire
from lib.gen import Message
from lib.site import new_id
from lib.wire import Command

TRACE = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("tracestate", b"congo=t61rcWkgMzE"),
         ("tracestate", b"rojo=00f067aa0ba902b7"), ("traceparent", b"")]
EVENT = [("ce_specversion", b"1.0"), ("ce_id", b"A234-1234-1234"), ("ce_source", b"/crm/export"), ("ce_type", b"update"),
         ("ce_subject", None), ("content-type", b"application/vnd.crm+avro")]
ODD = [("kafka_correlationId", bytes(range(256))), ("twice", b"1"), ("null", None), ("empty", b""), ("twice", b"\xff\xfe\0"),
       ("kafka_correlationId", b"\0" * 16), ("n\u00e4me \u20ac", b"\xf0\x28"), ("null", b"not"), ("", b"no name"),
       ("byunique.status", b"999"), ("kafka_replyTopic", b"anywhere"), ("kafka_replyPartition", b"x")]
ALL = ODD[:4] + TRACE + EVENT + ODD[4:]


def phone(**changes):
    return Command(new_id(), "alice", "Phone", (("PhoneNumber", "string", "1"),)).but(**changes)


def own(result):
    """What the worker adds at the end."""
    return [("byunique.status", b"%d" % result.status)] + ([("byunique.code", result.code.encode())] if result.code else [])


def again(site, count):
    """An operator resets the group → all results that are there then."""
    site.stop()
    site.admin.commit(site.group, site.commands, dict.fromkeys(range(site.partitions), 0))
    site.running()
    results = site.wait_results(count)
    site.stop()
    return results


@pytest.fixture
def one(sites):
    """Makes installations with one partition and one record."""
    def make(**settings):
        site = sites(partitions=1, **settings).init(schemas.PHONE)
        site.insert("Phone", "alice", PhoneNumber="1")
        return site
    return make


# As they are


def test_headers_come_back(one):
    """Whatever the answer is; and once more when it is published again."""
    site = one()
    site.running()
    command = phone()
    sent = site.send(*[Message(0, b"alice", value, headers) for headers in (ALL, TRACE, EVENT, []) for value in (
        wire.encode(command), wire.encode(phone(customer_id="nobody")), b"broken", None)])
    results = site.results_of(sent)
    assert [result.code for result in results] == [None, "CustomerNotFound", "MalformedMessage", "MalformedMessage"] * 4
    for record, result in zip(sent, results):
        assert result.headers == record.headers + own(result)
    both = again(site, 2 * len(sent))
    assert [(each.key, each.value, each.headers) for each in both[:len(sent)]] == [
        (each.key, each.value, each.headers) for each in both[len(sent):]]


# CloudEvents


def events(headers):
    return {name: value for name, value in headers if name.startswith("ce_") or name == "content-type"}


def test_results_as_cloud_events(one):
    """Attributes of their own in place of the command's, the same when they are published again; all else as ever."""
    site = one(**{"results.cloudevents.source": "https://example.org/crm?a=b"})
    site.running()
    flow = [("ce_correlationid", b"txn-1"), ("ce_traceparent", b"\xff"), ("CE_id", b"no"), ("ce_correlationid", b"txn-2")]
    sent = site.send(Message(0, b"alice", wire.encode(phone()), ALL + flow + EVENT[1:2]),
                     Message(0, b"alice", wire.encode(phone(customer_id="nobody")), EVENT[:1] + flow),
                     Message(0, b"alice", b"broken", EVENT), Message(0, None, wire.encode(phone()), []),
                     Message(0, None, wire.encode(phone()), [("ce_id", b"\xff"), ("ce_id", b"")]))
    results = site.results_of(sent)
    causes = [b"A234-1234-1234", None, b"A234-1234-1234", None, None]
    for record, result, cause in zip(sent, results, causes):
        seconds, ms = divmod(result.body["processed_at"], 1000)
        attributes = [("ce_specversion", b"1.0"), ("ce_id", b"%s:0:%d" % (site.commands.encode(), record.offset)),
                      ("ce_source", b"https://example.org/crm?a=b"), ("ce_type", b"byunique.result.v1"),
                      ("ce_time", time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode() + b".%03dZ" % ms),
                      ("content-type", b"application/avro")]
        if cause is not None:
            attributes.append(("ce_causationid", cause))
        assert result.headers == [each for each in record.headers if each not in EVENT and each[0] != "ce_id"] + \
            attributes + own(result)
    both = again(site, 2 * len(sent))
    assert [each.headers for each in both[:len(sent)]] == [each.headers for each in both[len(sent):]]
    for letter in site.reader(site.dead_letters).to_end():
        assert letter.headers[:len(EVENT)] == EVENT, "a dead letter has the headers of its message"


def test_cloud_events_that_do_not_fit(one):
    """The attributes go with the headers of the command, and no sooner."""
    site = one(**{"results.cloudevents.source": "/crm"})
    site.admin.alter_topic(site.results, max_message_bytes=2000)
    site.running()
    sent = site.send(*[Message(0, b"k", wire.encode(phone()), [("ce_id", b"x"), ("ce_data", b"d" * 3000), ("h", b"h" * size)])
                       for size in (1, 3000)])
    kept, cut = site.results_of(sent)
    assert kept.headers[0] == ("h", b"h") and kept.header("ce_causationid") == b"x" and kept.header("ce_id")
    assert cut.headers == [("byunique.truncated", b"headers"), ("byunique.status", b"204")]
