"""The command line's producer: what Kafka does not take is never passed over in silence."""

import pytest
from confluent_kafka.admin import NewTopic

from lib import byunique, processes, schemas


@pytest.fixture
def csv(site):
    def write(*descriptions):
        path = site.folder / "rows.csv"
        rows = ["c%d,%d,%s\n" % (at, at, description) for at, description in enumerate(descriptions)]
        path.write_text("customer_id,PhoneNumber,description\n" + "".join(rows))
        return str(path)
    return write


@pytest.mark.parametrize("reports_only_errors", ["false", "true"])
def test_too_large_for_the_topic(site, csv, reports_only_errors):
    """Acknowledgements are counted, whatever the configuration says about reports."""
    site.init(schemas.PHONE)
    site.admin.delete_topic(site.commands)
    limited = NewTopic(site.commands, 4, 1, config={"max.message.bytes": "300"})
    site.admin.client.create_topics([limited])[site.commands].result(30)
    processes.wait_for(lambda: site.commands in site.admin.client.list_topics(timeout=20).topics, "the topic")
    settings = dict(site.settings, **{"kafka.delivery.report.only.error": reports_only_errors})
    done = byunique.run(settings, "submit", csv("short", "x" * 250, "short"), "--extension", "Phone")
    assert done.returncode == 1
    assert "Kafka did not take all messages" in done.stderr
    assert "1 failed, 2 were acknowledged" in done.stderr
    assert "xxx" not in done.stderr


def test_no_topic(site, csv):
    """It is said at once, not after the minutes that librdkafka would wait for it to appear."""
    site.init(schemas.PHONE)
    site.admin.delete_topic(site.commands)
    done = byunique.run(site.settings, "submit", csv("short"), "--extension", "Phone", timeout_s=20)
    assert done.returncode == 1
    assert 'there is no topic "%s"' % site.commands in done.stderr


def test_partition_as_the_java_client(site, csv):
    """One customer's commands lie in the same partition, whoever sent them."""
    site.init(schemas.PHONE)
    byunique.must(site.settings, "submit", csv(*["short"] * 50), "--extension", "Phone")
    seen = site.reader(site.commands).to_end()
    assert len(seen) == 50
    for record in seen:
        assert record.partition == murmur2(record.key) % site.partitions, record.key


def murmur2(data):
    """Kafka's own hash of a key (org.apache.kafka.common.utils.Utils), made positive."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at:at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return (h ^ h >> 15) & 0x7FFFFFFF
