"""What Kafka may do to a worker: brokers that do not answer, producers that are fenced, topics that are deleted, recreated,
cut short, grown. One result for each message all the same, or a refusal that says why; an end to what would not end."""

import collections
import signal
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewPartitions

from lib import byunique, check, client, processes, schemas
from lib.gen import Message
from lib.model import DONE
from lib.servers import Kafka
from lib.site import new_id
from lib.wire import Command

STUCK = 4


def phone(text, customer="alice"):
    return Command(new_id(), customer, "Phone", (("PhoneNumber", "string", "1"), ("description", "string", text)))


def numbered(count, word="d"):
    return [phone("%s%d" % (word, number)) for number in range(count)]


@pytest.fixture
def one(sites):
    site = sites(partitions=1).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    return site


@pytest.fixture
def thawed(kafka):
    yield
    kafka.thaw()


def lock_phones(site):
    locker = site.second_connection()
    locker.execute("BEGIN")
    locker.execute("SELECT 1 FROM ext_phone FOR UPDATE")
    return locker


def answered_once(site, sent):
    """All workers gone: one result for each, all done."""
    site.stop()
    check.all_results(site, sent, {record.at: [DONE] for record in sent}, site.result_reader.to_end())


def brought_to(site, moment, **settings):
    """A worker that meets a broker that went silent at some moment → (it, what was sent)."""
    if moment == "assigning":
        sent = site.send(*numbered(5))
        worker = site.worker(**settings)
        worker.wait_log("partitions_assigned")
        site.kafka.freeze()
        return worker, sent
    worker = site.running(**settings)
    sent = site.send(*numbered(5))
    site.results_of(sent)
    if moment == "publishing":
        locker = lock_phones(site)
        sent += site.send(*numbered(5, "e"))
        site.wait_blocked()
        site.kafka.freeze()
        locker.execute("COMMIT")
        processes.wait_for(lambda: site.db.execute("SELECT description FROM ext_phone").fetchone()[0] == "e4",
                           "PostgreSQL's commit")
    else:
        site.kafka.freeze()
    return worker, sent


MOMENTS = ["idle", "publishing", "assigning"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_broker_silent_for_longer_than_every_timeout(one, thawed, moment):
    """The session, the transaction and the requests time out; when the broker is back, all goes on by itself."""
    worker, sent = brought_to(one, moment)
    time.sleep(12)
    assert worker.alive, worker.log
    one.kafka.thaw()
    sent += one.send(*numbered(5, "f"))
    one.wait_results(len(sent), timeout_s=120)
    answered_once(one, sent)


def test_broker_silent_for_some_seconds_in_a_commit(one, thawed):
    """Shorter than any timeout: the commit goes on where it was, in the same session."""
    worker = one.worker(failpoints="publish_offsets_sent=wait:1500", **{"kafka.session.timeout.ms": "45000"})
    one.wait_assigned(worker)
    sent = one.send(*numbered(5))
    worker.wait_log("failpoint name=publish_offsets_sent")
    one.kafka.freeze()
    time.sleep(5)
    one.kafka.thaw()
    sent += one.send(*numbered(5, "e"))
    one.wait_results(len(sent))
    assert "session_ended" not in worker.log
    answered_once(one, sent)


@pytest.mark.parametrize("moment", MOMENTS)
def test_told_to_stop_while_the_broker_is_silent(one, thawed, moment):
    """With the long timeouts that are the default: the worker ends shortly after shutdown.timeout, and owes nothing."""
    worker, sent = brought_to(one, moment, **{"shutdown.timeout": "1s", "kafka.session.timeout.ms": "45000"})
    started = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    took_s = time.monotonic() - started
    one.kafka.thaw()
    assert took_s < 25, "it took %.0f s" % took_s  # 1 s and ten of grace; without the watchdog, 28 s in one of these
    one.worker()
    sent += one.send(*numbered(1, "f"))
    one.wait_results(len(sent), timeout_s=120)
    answered_once(one, sent)


def failing(site, failpoints, stuck_ms, **settings):
    """A worker of the build with failpoints, whose watchdog is impatient."""
    log = site.folder / ("failing-%d.log" % len(site.workers))
    worker = byunique.Worker(dict(site.settings, **settings), log, failpoints)
    site.workers.append(worker)
    return worker.start(BYUNIQUE_TEST_STUCK_MS=str(stuck_ms))


def test_transaction_that_never_ends(one):
    """As if librdkafka hung: the process ends with code 4, and its successor publishes what was stored."""
    sent = one.send(*numbered(5))
    worker = failing(one, "publish_begun=wait:600000", 2000)
    assert worker.wait() == STUCK
    assert "event=stuck" in worker.log and "Kafka transaction" in worker.log
    one.worker()
    one.results_of(sent)
    answered_once(one, sent)


def test_clients_that_never_close(one):
    """The session fails, and leaving the group hangs."""
    sent = one.send(*numbered(5))
    worker = failing(one, "publish_begun=fail,stop_leaving=wait:600000", 2000)
    assert worker.wait() == STUCK
    assert "event=stuck" in worker.log and "closed" in worker.log
    one.worker()
    one.results_of(sent)
    answered_once(one, sent)


def test_frozen_process_does_not_look_stuck(one):
    """A machine that slept for longer than the limit, in the middle of a transaction."""
    sent = one.send(*numbered(5))
    worker = failing(one, "publish_begun=wait:2000", 5000)
    worker.wait_log("failpoint")
    worker.freeze()
    time.sleep(7)
    worker.thaw()
    one.results_of(sent)
    assert worker.alive and "event=stuck" not in worker.log
    answered_once(one, sent)


def test_fenced_by_another_producer(one):
    """Somebody else begins to use the transactional id, twice, under load: a new session, nothing twice, nothing lost."""
    worker = one.running(**{"batch.max.commands": 20})
    sent = one.send(*numbered(50))
    one.results_of(sent)
    name = worker.wait_log(r"transactional_id=(\S+)").group(1)
    for round_ in range(2):
        locker = lock_phones(one)
        sent += one.send(*numbered(200, "r%d-" % round_))
        one.wait_blocked()
        thief = Producer({"bootstrap.servers": one.kafka.servers, "transactional.id": name, "log_level": 0})
        thief.init_transactions(30)
        locker.execute("COMMIT")
        one.results_of(sent)
    assert worker.alive and worker.log.count("session_ended") >= 2
    answered_once(one, sent)


class OtherKafka(Kafka):
    CLUSTER_ID = "another-tests-cluster"


def test_another_cluster(one):
    """The same names of topics and group, the same database, another Kafka: refused, with what to do."""
    sent = one.send(*numbered(5))
    one.worker()
    one.results_of(sent)
    one.stop()
    other = OtherKafka()
    try:
        other.create()
        settings = dict(one.settings, **{"kafka.bootstrap.servers": other.servers})
        byunique.must(settings, "init", "--partitions", "1")
        client.Sender(other.servers, one.commands).send([one.message(each, 0) for each in numbered(9, "other")])
        worker = one.worker(**{"kafka.bootstrap.servers": other.servers})
        assert worker.wait() == STUCK
        assert "another Kafka cluster" in worker.log and "hint=" in worker.log
        assert not client.TopicReader(other.servers, one.results).to_end()
        assert client.Admin(other.servers).committed(one.group, one.commands) == {}
    finally:
        other.destroy()
    assert one.db.execute("SELECT description FROM ext_phone").fetchone() == ("d4",)


def recreate(site, *messages):
    site.admin.delete_topic(site.commands)
    site.admin.create_topic(site.commands, 1)
    site.sender = client.Sender(site.kafka.servers, site.commands)
    return site.send(*messages, partition=0)


@pytest.mark.parametrize("count", [0, 3, 30])
@pytest.mark.parametrize("frozen", [False, True], ids=["awake", "frozen"])
def test_topic_recreated_under_a_running_worker(one, count, frozen):
    """Empty, shorter, or grown past the position: nothing of the new topic is skipped or answered, the worker says why.
    Frozen: the worker, as one that is busy, does not see the topic go."""
    worker = one.running()
    one.results_of(one.send(*numbered(10), partition=0))
    time.sleep(1)  # a moment after its first publication, it has seen the group's offset
    if frozen:
        worker.freeze()
    recreate(one, *numbered(count, "new"))
    if frozen:
        worker.thaw()
    assert worker.wait(60) == STUCK
    assert "partition_refused" in worker.log and one.commands in worker.log and "recreated" in worker.log
    assert len(one.result_reader.to_end()) == 10
    assert one.db.execute("SELECT description FROM ext_phone").fetchone() == ("d9",)


def test_log_start_overtakes_a_slow_worker(one):
    """Retention removes commands that the worker has not read yet: it says how many, and answers none beyond."""
    worker = one.running(**{"batch.max.commands": 5})
    one.results_of(one.send(*numbered(5), partition=0))
    worker.freeze()
    one.send(phone("e"), partition=0)  # for the fetch that is under way; the others have to be asked for
    one.send(*numbered(94, "e"), partition=0)
    one.admin.delete_records(one.commands, 0, 60)
    worker.thaw()
    assert worker.wait(60) == STUCK
    assert "no longer holds" in worker.log and "messages are missing" in worker.log and "hint=" in worker.log
    answered = [result.source[1] for result in one.result_reader.to_end()]
    assert answered in ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5]), "something was stepped over"


def test_partition_added_under_a_running_worker(one):
    """Noticed within seconds, not librdkafka's five minutes, and read from its beginning."""
    worker = one.running()
    sent = one.send(*numbered(5), partition=0)
    one.results_of(sent)
    one.admin._result(one.admin.client.create_partitions([NewPartitions(one.commands, 3)]))
    sender = client.Sender(one.kafka.servers, one.commands)
    added = sender.send([one.message(each, 2) for each in numbered(5, "e")])
    one.wait_results(10, timeout_s=60)
    assert worker.log.count("partitions_started") == 2
    answered_once(one, sent + added)


def test_results_topic_recreated_under_load(one):
    """Results that were in it are gone with it; no other is lost, and none comes twice."""
    worker = one.running(**{"batch.max.commands": 10})
    before = one.send(*numbered(100), partition=0)
    one.results_of(before)
    locker = lock_phones(one)
    sent = one.send(*numbered(300, "e"), partition=0)
    one.wait_blocked()
    one.admin.delete_topic(one.results)
    locker.execute("COMMIT")
    time.sleep(5)  # transactions fail meanwhile
    one.admin.create_topic(one.results, 1)
    if not worker.alive:
        assert worker.process.returncode == 1 and one.results in worker.log, "it says which topic is missing"
        one.worker()
    one.result_reader = one.reader(one.results, client.Result)
    one.results_of(sent)
    answered_once(one, sent)


def test_dead_letter_topic_deleted_under_a_running_worker(one):
    """Nothing is answered without its dead letter: the worker ends and names the topic; then both come."""
    worker = one.running()
    sent = one.send(*numbered(5), partition=0)
    one.results_of(sent)
    one.admin.delete_topic(one.dead_letters)
    [bad] = one.send(Message(0, b"alice", b"bad", []))
    assert worker.wait(60) == 1
    assert one.dead_letters in worker.log and "init" in worker.log
    assert len(one.result_reader.to_end()) == 5
    byunique.must(one.settings, "init")
    one.worker()
    assert one.results_of([bad])[0].code == "MalformedMessage"
    one.stop()
    assert [letter.value for letter in one.reader(one.dead_letters).to_end()] == [b"bad"]


def test_weak_settings(one):
    """Told at start, each by its name; a topic that is as it should be is not mentioned."""
    one.admin.alter_topic(one.commands, cleanup_policy="compact,delete")
    one.admin.alter_topic(one.results, unclean_leader_election_enable="true")
    worker = one.running()
    warned = [line for line in worker.log.splitlines() if "event=weak_setting" in line and "of=kafka" in line and "level=warn" in line]
    assert collections.Counter(one.commands in line and "setting=cleanup.policy value=compact" in line for line in warned) \
        == {True: 1, False: 1}
    assert any(one.results in line and "unclean.leader.election.enable" in line and "what=" in line for line in warned)
    one.stop()
