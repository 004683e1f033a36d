"""Settings and log levels of a running worker: what may change does, without a pause and without a restart; what may not is
said; a configuration with a mistake changes nothing."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from lib import byunique, processes, schemas, wire
from lib.gen import Message
from lib.registry import Registry
from test_registry import confluent
from test_replay import phone


class Configured:
    """A worker whose configuration is a file."""

    def __init__(self, site, path, **settings):
        self.site, self.path = site, path
        self.settings = dict(site.settings, **settings)
        self.write()
        self.options = ["-c", str(path)]

    def write(self, **changes):
        self.settings.update(changes)
        self.path.write_text("".join("%s = %s\n" % pair for pair in self.settings.items() if pair[1] is not None))

    def start(self, environment=None):
        log = self.site.folder / "reloading.log"
        worker = byunique.Worker({}, log)
        worker.process = processes.start([byunique.PROGRAM] + self.options + ["run"], log, cwd="/",
                                         env=dict(processes.environment(), **(environment or {})))
        self.site.workers.append(worker)
        self.site.logs.append(log)
        self.site.wait_assigned(worker)
        return worker

    def reload(self, worker, **changes):
        """→ the line that says what became of it."""
        self.write(**changes)
        before = len(events(worker))
        worker.signal(signal.SIGHUP)
        processes.wait_for(lambda: len(events(worker)) > before, "the reload to be told", alive=worker.process)
        return events(worker)[-1]


def events(worker):
    return re.findall(r"^.*(?:event=|\"event\":\")(?:reloaded|reload_failed)\b.*$", worker.log, re.MULTILINE)


@pytest.fixture
def configured(site, tmp_path):
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    return Configured(site, tmp_path / "byunique.conf")


def test_log_levels_by_signal(configured):
    worker = configured.start()
    for sig, line in ((signal.SIGUSR1, "from=info to=debug"), (signal.SIGUSR1, "from=debug to=debug"),
                      (signal.SIGUSR2, "from=debug to=info"), (signal.SIGUSR2, "from=info to=warn"),
                      (signal.SIGUSR2, "from=warn to=error"), (signal.SIGUSR2, "from=error to=error"),
                      (signal.SIGUSR1, "from=error to=warn")):
        worker.signal(sig)
        worker.wait_log("level=info event=log_level_changed %s\n" % line)
    assert "log_level=info" in configured.reload(worker)  # the configuration's again
    assert worker.stop() == 0
    assert worker.log.rstrip().endswith('event=stopped reason="told to stop"')


def test_signals_while_nothing_can_be_reached(site, tmp_path):
    """A worker that waits for PostgreSQL, or for a broker, hears all the same."""
    configured = Configured(site, tmp_path / "byunique.conf", **{"postgres": "host=127.0.0.1 port=1"})
    worker = byunique.Worker({}, tmp_path / "away.log")
    worker.process = processes.start([byunique.PROGRAM] + configured.options + ["run"], worker.log_path,
                                     env=processes.environment())
    site.workers.append(worker)
    worker.wait_log("event=postgres_away")
    worker.signal(signal.SIGUSR1)
    worker.wait_log("from=info to=debug")
    assert "restart_needed" not in worker.log
    configured.reload(worker, **{"postgres": "host=127.0.0.1 port=2", "batch.max.commands": "7"})
    assert "applied=batch.max.commands" in worker.log
    worker.wait_log("level=warn event=restart_needed for=postgres ")
    assert worker.stop() == 0


def test_what_takes_effect(configured):
    site = configured.site
    worker = configured.start()
    assert site.answers(phone("one"))[0].status == 204
    said = configured.reload(worker, **{"log.format": "json", "log.level": "debug", "batch.max.commands": "6000",
                                        "shutdown.timeout": "3s", "idempotency.retention": "1s", "outcome.retention": "1s"})
    said = json.loads(said)
    assert set(said["applied"].split(",")) == {"log.format", "log.level", "batch.max.commands", "shutdown.timeout",
                                               "idempotency.retention", "outcome.retention"}
    assert (said["log_level"], said["schemas_added"]) == ("debug", 0)
    assert "restart_needed" not in worker.log
    # An id is forgotten after a second now, and so is an outcome.
    once = phone("again")
    assert not site.answers(once)[0].body["duplicate"]
    processes.wait_for(lambda: not site.answers(once)[0].body["duplicate"], "the id to be forgotten", pause_s=0.6)
    assert json.loads(configured.reload(worker, **{"idempotency.retention": "1h", "outcome.retention": "1h"}))
    kept = phone("kept")
    assert [each.body["duplicate"] for each in site.answers(kept, kept)] == [False, True]
    # Unchanged: it says so.
    assert json.loads(configured.reload(worker))["applied"] == "nothing"
    assert worker.stop() == 0


def test_larger_and_smaller_batches(configured):
    """Batches are made anew in their size while they are in use, up and down, and nothing is lost."""
    site, worker = configured.site, None
    configured.write(**{"batch.max.commands": "2"})
    worker = configured.start()
    texts, sent = iter(range(100000)), []
    for size in ("900", "3", "5000", "1"):
        waiting = threading.Thread(target=lambda: sent.extend(site.send(*[phone(str(next(texts))) for _ in range(700)],
                                                                        partition=0)))
        waiting.start()
        assert "applied=batch.max.commands" in configured.reload(worker, **{"batch.max.commands": size})
        waiting.join(60)
        assert [each.status for each in site.results_of(sent[-700:])] == [204] * 700
    site.results_of(site.send(*[phone(str(next(texts))) for _ in range(5)], partition=0))
    assert worker.stop() == 0
    sizes = [last - first + 1 for first, last in
             site.db.execute("SELECT first_offset, last_offset FROM outcome ORDER BY first_offset").fetchall()]
    assert max(sizes) > 3 and sizes[-5:] == [1] * 5, sizes
    assert len(site.result_reader.to_end()) == 2805


def test_a_mistake_changes_nothing(configured, tmp_path):
    worker = configured.start()
    folder = tmp_path / "schemas"
    folder.mkdir()
    (folder / "bad.avsc").write_text("{")
    for changes, said in (({"log.levle": "debug"}, "log.level"), ({"log.level": "loud"}, "log.level has to be"),
                          ({"schemas.dir": str(folder)}, "bad.avsc"), ({"schemas.dir": str(folder / "none")}, "none"),
                          ({"results.topic": configured.site.commands}, "have to be different topics"),
                          ({"batch.max.commands": "0"}, "batch.max.commands has to be")):
        before = dict(configured.settings)
        line = configured.reload(worker, **dict({"log.format": "json"}, **changes))
        assert "level=error event=reload_failed" in line and said in line, line
        configured.settings = before
    configured.path.unlink()
    worker.signal(signal.SIGHUP)
    worker.wait_log("event=reload_failed .*can't be read")
    configured.write()
    assert "applied=nothing" in configured.reload(worker)
    assert configured.site.answers(phone("x"))[0].status == 204
    assert worker.stop() == 0


def test_what_needs_a_restart_is_said(configured):
    worker = configured.start()
    secret = "tok" + "en-of-nobody"
    said = configured.reload(worker, **{"kafka.linger.ms": "7",  # by its other name
                                        "kafka.bootstrap.servers": "localhost:1",
                                        "results.topic": "other", "admin.listen": "localhost:0", "log.level": "warn",
                                        "kafka.sasl.password": secret, "postgres": "password=" + secret})
    assert "applied=log.level" in said
    worker.wait_log("event=restart_needed")
    [keys] = re.findall(r"event=restart_needed for=(\S+) ", worker.log)
    assert set(keys.split(",")) == {"kafka.queue.buffering.max.ms", "kafka.bootstrap.servers", "results.topic", "admin.listen",
                                    "kafka.sasl.password", "postgres"}
    assert secret not in worker.log
    assert configured.site.answers(phone("still here"))[0].status == 204
    assert worker.stop() == 0


def test_environment_and_options_still_come_first(configured):
    configured.options += ["-X", "log.level=debug"]
    worker = configured.start({"BYUNIQUE_BATCH_MAX_COMMANDS": "11"})
    said = configured.reload(worker, **{"log.level": "warn", "batch.max.commands": "12", "shutdown.timeout": "9s"})
    assert "applied=shutdown.timeout " in said and "log_level=debug" in said
    assert worker.stop() == 0


def test_a_pipe_can_be_read_once(configured):
    site = configured.site
    read, write = os.pipe()
    os.write(write, configured.path.read_bytes())
    os.close(write)
    worker = byunique.Worker({}, site.folder / "pipe.log")
    with open(worker.log_path, "wb") as log:
        worker.process = subprocess.Popen([byunique.PROGRAM, "-c", "/dev/fd/%d" % read, "run"], pass_fds=[read], stdout=log,
                                          stderr=log, env=processes.environment())
    os.close(read)
    site.workers.append(worker)
    site.wait_assigned(worker)
    worker.signal(signal.SIGHUP)
    worker.wait_log("event=reload_failed .*can't be read a second time")
    assert worker.stop() == 0


def test_new_schemas(configured, tmp_path):
    """A producer's new schema: put into the folder, told, and its messages are understood, without a restart."""
    site, folder = configured.site, tmp_path / "more"
    folder.mkdir()
    configured.write(**{"schemas.dir": str(folder)})
    worker = configured.start()
    changed = json.loads(json.dumps(wire.COMMAND_SCHEMA))
    changed["fields"].append({"name": "more", "type": "string", "default": ""})
    command = phone("by a new schema")

    def message():
        body = wire.body_of(command) + wire.string("x")
        return Message(0, b"alice", wire.single_object(wire.fingerprint(wire.plain(changed)), body), [])
    assert site.results_of(site.send(message()))[0].code == "MalformedMessage"
    (folder / "new.avsc").write_text(json.dumps(changed))
    assert "schemas_added=1" in configured.reload(worker)
    assert site.results_of(site.send(message()))[0].status == 204
    assert "schemas_added=0" in configured.reload(worker)
    (folder / "new.avsc").unlink()  # what is known stays known
    (folder / "bad.avsc").write_text("[")
    assert "reload_failed" in configured.reload(worker)
    assert site.results_of(site.send(message()))[0].status == 204
    assert worker.stop() == 0


def test_credentials_of_the_registry(site, tmp_path):
    """A password that was changed over there: commands wait, and go on with the new one."""
    registry = Registry(authorization=basic("old")).start()
    try:
        configured = Configured(site, tmp_path / "byunique.conf", **{
            "schema.registry.url": registry.url, "schema.registry.user": "u", "schema.registry.password": "old"})
        site.settings = configured.settings
        site.init(schemas.PHONE)
        site.insert("Phone", "alice", PhoneNumber="1")
        worker = configured.start()
        registry.authorization = basic("new")
        number, _ = registry.store.register("writers", wire.COMMAND_SCHEMA)
        sent = site.send(confluent(number, phone("waits")))
        worker.wait_log("event=schema_awaited")
        assert "applied=schema.registry.password " in configured.reload(worker, **{"schema.registry.password": "new"})
        processes.wait_for(lambda: site.db.execute("SELECT 1 FROM ext_phone WHERE description = 'waits'").fetchone(),
                           "the command to be applied", alive=worker.process)
        wrong = configured.reload(worker, **{"schema.registry.token": "both"})
        assert "reload_failed" in wrong and "either a token or user" in wrong
        assert worker.stop() == 0 and sent
    finally:
        registry.close()


def basic(password):
    return "Basic " + base64.b64encode(b"u:" + password.encode()).decode()


def test_told_to_systemd(configured):
    """RELOADING=1 with the time, then READY=1: also when it failed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        path = str(configured.site.folder / "notify")
        listener.bind(path)
        listener.settimeout(30)
        worker = configured.start({"NOTIFY_SOCKET": path})
        for changes in ({"log.level": "debug"}, {"log.level": "wrong"}):
            configured.reload(worker, **changes)
            said = []
            while not said or not said[-1].startswith("RELOADING=1"):
                said.append(listener.recv(4096).decode())
            assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", said[-1])
            assert listener.recv(4096).decode() == "READY=1"
        assert worker.stop() == 0


def test_a_storm_of_signals(configured):
    """In the middle of everything, again and again: nothing is lost, nothing ends."""
    site = configured.site
    worker = configured.start()
    over = threading.Event()

    def storm():
        signals = [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
        number = 0
        while not over.wait(0.003):
            worker.signal(signals[number % 3])
            number += 1
            if number % 50 == 0:
                configured.write(**{"batch.max.commands": str(10 + number % 400), "outcome.retention": "%ds" % (3600 + number)})
    thread = threading.Thread(target=storm)
    thread.start()
    try:
        sent = site.send(*[phone(str(number)) for number in range(3000)])
        assert [each.status for each in site.results_of(sent)] == [204] * 3000
    finally:
        over.set()
        thread.join(30)
    assert worker.stop() == 0
    assert len(site.result_reader.to_end()) == 3000
