"""What is fetched ahead has a bound, and one that is met stops nothing."""

from lib import schemas
from lib.client import Sender
from lib.gen import Message
from lib.site import new_id
from lib.wire import Command, encode

MESSAGES = 20000


def test_little_fetched_ahead(sites):
    """A queue that holds a two-hundredth of a backlog is filled again whenever there is room in it, not once a second."""
    site = sites(partitions=1).init(schemas.PHONE)
    site.insert("Phone", "c0", PhoneNumber="1")
    value = encode(Command(new_id(), "c0", "Phone", (("PhoneNumber", "string", "1"),)))
    sender = Sender(site.kafka.servers, site.commands, **{"batch.num.messages": 100})  # a broker hands out whole batches
    sender.send([Message(0, b"c0", value, [])] * MESSAGES)
    worker = site.running(**{"kafka.queued.min.messages": "100", "kafka.fetch.message.max.bytes": "10000"})
    reader = site.reader(site.results, lambda record: record.at)
    reader.wait(MESSAGES, 60, worker)
