"""A PostgreSQL that takes connections and never answers, at every place where the worker waits for it: its own deadlines
and a SIGTERM end the wait, in order, and nothing is lost. The worker's processes end with code 0 or go on, never hang."""

import os
import signal
import socket
import time

import pytest

from lib import byunique, check, processes, schemas
from lib.model import DONE
from lib.site import Site, new_id
from lib.wire import Command

WAITING = "SELECT FROM pg_stat_activity WHERE usename = 'byunique' AND wait_event_type = 'Lock'"
END_S = 40  # shutdown.timeout, a connect's ten seconds and the patience with a request to cancel, with room


@pytest.fixture
def own(own_postgres, kafka, tmp_path, request):
    site = Site(own_postgres, kafka, tmp_path, partitions=1, **{"shutdown.timeout": "2s"})
    request.node.sites = [site]
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    yield site
    own_postgres.thaw()
    site.close()


def phone(text):
    return Command(new_id(), "alice", "Phone", (("PhoneNumber", "string", "1"), ("description", "string", text)))


def ends_in_order(worker):
    """Told to, it ends, and does not take three minutes for it."""
    worker.signal(signal.SIGTERM)
    assert worker.wait(END_S) == 0, worker.log


def answered_after_all(site, sent):
    site.worker()
    site.wait_results(len(sent))
    site.stop()
    check.all_results(site, sent, {record.at: [DONE] for record in sent}, site.result_reader.to_end())


def test_a_listener_that_is_silent_from_the_start(own):
    """It takes the connection at once, as far as TCP goes: the worker goes on trying until it is told to stop."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        worker = own.worker(postgres="host=127.0.0.1 port=%d user=byunique dbname=byunique" % listener.getsockname()[1])
        worker.wait_log("postgres_away", timeout_s=60)
        ends_in_order(worker)


def test_connecting_is_given_up_at_once(own):
    """A connect that would go on for an hour: the worker ends by itself when it is told to, and is not ended by its watchdog."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        listener.settimeout(30)
        worker = own.worker(postgres="host=127.0.0.1 port=%d user=byunique dbname=byunique connect_timeout=3600"
                            % listener.getsockname()[1])
        talk, _ = listener.accept()
        with talk:
            talk.recv(8)
            ends_in_order(worker)
        assert worker.log.rstrip().endswith('event=stopped reason="told to stop"')


def test_connecting_again_is_given_up_with_a_batch_in_hand(own):
    """The connection is lost and a new one would take an hour: the batch is given back after shutdown.timeout."""
    worker = own.running(postgres=own.postgres.conninfo() + " connect_timeout=3600")
    sent = own.send(phone("before"), partition=0)
    own.results_of(sent)
    postmaster = own.postgres.process.pid
    os.kill(postmaster, signal.SIGSTOP)  # sessions go on, new ones wait
    try:
        own.db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'byunique'")
        sent += own.send(phone("after"), partition=0)
        worker.wait_log("event=postgres_away")
        ends_in_order(worker)
        assert worker.log.rstrip().endswith('event=stopped reason="told to stop"')
    finally:
        os.kill(postmaster, signal.SIGCONT)
    answered_after_all(own, sent)


def test_silent_after_the_greeting(own):
    """The server lets the worker in and says no more: that wait has an end too, and no hurry is needed to see it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        listener.settimeout(30)
        worker = own.worker(postgres="host=127.0.0.1 port=%d user=byunique dbname=byunique sslmode=disable gssencmode=disable"
                            % listener.getsockname()[1])
        talk, _ = listener.accept()
        with talk:
            talk.recv(1000)
            talk.sendall(b"R\0\0\0\x08\0\0\0\0" + b"S\0\0\0\x18server_version\x0015.0\0" + b"K\0\0\0\x0c\0\0\0\1\0\0\0\2"
                         + b"Z\0\0\0\5I")
            assert talk.recv(1000), "the worker asks nothing"
            worker.wait_log("did not answer in time", timeout_s=60)
            ends_in_order(worker)


def test_frozen_at_start(own):
    own.postgres.freeze()
    worker = own.worker()
    time.sleep(3)
    ends_in_order(worker)
    own.postgres.thaw()
    answered_after_all(own, own.send(phone("late")))


def blocked(own, table, run):
    """Runs what makes the worker wait for a lock on the table, then freezes the server → the session with the lock."""
    locker = own.second_connection()
    locker.execute("BEGIN")
    locker.execute("SELECT FROM %s FOR UPDATE" % table)
    made = run()
    processes.wait_for(lambda: own.db.execute(WAITING).fetchall(), "the worker to wait", timeout_s=40,
                       alive=own.workers[-1].process)
    own.postgres.freeze()
    return locker, made


@pytest.mark.parametrize("table", ["position", "ext_phone"])
def test_frozen_within_a_batch(own, table):
    """While it recalls, at the lock on the position, and while it applies: SIGTERM gives the batch back."""
    worker = own.running()
    sent = own.send(phone("first"))
    own.wait_results(1)
    locker, more = blocked(own, table, lambda: own.send(phone("late")))
    ends_in_order(worker)
    assert "batches_given_back" in worker.log
    own.postgres.thaw()
    locker.execute("ROLLBACK")
    answered_after_all(own, sent + more)


def test_frozen_at_assignment(own):
    sent = own.send(phone("first"))
    own.running()
    own.wait_results(1)
    own.stop()
    locker, _ = blocked(own, "position", own.worker)
    ends_in_order(own.workers[-1])
    own.postgres.thaw()
    locker.execute("ROLLBACK")
    answered_after_all(own, sent + own.send(phone("late")))


def test_frozen_in_housekeeping(own):
    settings = {"outcome.retention": "1s", "idempotency.retention": "1s"}
    worker = own.running(**settings)
    sent = own.send(phone("first"))
    own.wait_results(1)
    published = "SELECT FROM position WHERE published_offset = 1"
    processes.wait_for(lambda: own.db.execute(published).fetchall(), "the result to be known as published")
    locker, _ = blocked(own, "outcome", lambda: None)
    ends_in_order(worker)
    own.postgres.thaw()
    locker.execute("ROLLBACK")
    answered_after_all(own, sent + own.send(phone("late")))


def test_frozen_after_the_last_batch(own):
    """Nothing is in hand: what is left to note is left undone."""
    worker = own.running()
    sent = own.send(phone("first"))
    own.wait_results(1)
    own.postgres.freeze()
    ends_in_order(worker)
    own.postgres.thaw()
    answered_after_all(own, sent + own.send(phone("late")))


def test_one_session_is_frozen_for_good(own):
    """The server is well but for the worker's session: after two and a half minutes, here seconds, that is given up for
    another one. The frozen one still has the lock of the transactional id, so the worker takes another id, in a session of
    its own."""
    worker = own.running(failpoints="", variables={"BYUNIQUE_TEST_ANSWER_MS": "10000"}, **{"postgres.connections": "1"})
    sent = own.send(phone("first"))
    own.wait_results(1)
    time.sleep(2)  # nothing is left to be noted
    [[pid]] = own.db.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'byunique'").fetchall()
    os.kill(pid, signal.SIGSTOP)
    try:
        sent += own.send(phone("late"))
        assert own.wait_results(2, timeout_s=300)[1].status == 204
        assert "did not answer in time" in worker.log
    finally:
        os.kill(pid, signal.SIGCONT)
    sent += own.send(phone("later"))
    own.wait_results(3)
    own.stop()
    check.all_results(own, sent, {record.at: [DONE] for record in sent}, own.result_reader.to_end())


def test_a_command_line_is_told(own):
    """`schema list` and the others don't wait for ever for a server that is not there either."""
    own.postgres.freeze()
    done = byunique.run(own.settings, "schema", "list", timeout_s=40)
    own.postgres.thaw()
    assert done.returncode == 1
    assert "PostgreSQL" in done.stderr
