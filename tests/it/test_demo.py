"""The demo: ends well, tells what it should, and leaves nothing behind however it ends."""

import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from lib import byunique, processes


def open_folder():
    folder = Path(tempfile.mkdtemp(prefix="demo-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


# A folder for temporary files, near the root: a socket's path is short, and PostgreSQL's user has to get there.
parent = pytest.fixture(open_folder)
programs = pytest.fixture(open_folder)


class Demo:
    def __init__(self, parent, log_path, **environment):
        self.parent, self.log_path = parent, log_path
        env = dict(processes.environment(), TMPDIR=str(parent), **environment)
        self.process = processes.start([byunique.PROGRAM, "demo"], log_path, cwd="/", env=env)

    @property
    def output(self):
        return self.log_path.read_text(errors="replace")

    def wait_output(self, text):
        processes.wait_for(lambda: text in self.output, "the demo to say %r" % text, 60, alive=self.process)

    def wait(self, timeout_s=120):
        try:
            return self.process.wait(timeout_s)
        finally:
            processes.stop(self.process, signal.SIGKILL)

    def processes(self):
        """Processes that name its folder, as PostgreSQL and the program's own commands do."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if bytes(self.parent) in entry.read_bytes() and int(entry.parent.name) != self.process.pid:
                    found.append(entry.parent.name)
            except OSError:
                pass  # it has just ended
        return found

    def assert_nothing_left(self):
        assert list(self.parent.iterdir()) == []
        assert self.processes() == []


def test_all_is_as_expected(parent, tmp_path):
    """The user's own settings, which lead nowhere, do not matter."""
    demo = Demo(parent, tmp_path / "log", PGHOST="nowhere.invalid", PGPORT="1", PGOPTIONS="-c nonsense=1",
                BYUNIQUE_POSTGRES="host=nowhere.invalid", BYUNIQUE_KAFKA_BOOTSTRAP_SERVERS="nowhere.invalid:1",
                BYUNIQUE_COMMANDS_TOPIC="other", BYUNIQUE_NONSENSE="1")
    assert demo.wait() == 0, demo.output
    demo.assert_nothing_left()
    output = demo.output
    assert re.search(r"description +office +family phone\n", output)
    assert re.search(r"start_availabilty +2009-12-01T08:00:00Z +2009-12-18T18:30:00Z\n", output)
    for line in ("204 +- ", "400 +MissingUniqueAttribute ", "404 +RecordNotFound ", "409 +NotMultiValued ",
                 "422 +CommandIdReused "):
        assert re.search(r"^ +%s +[0-9a-f-]{36}  0000Sb5U97XE000Y " % line, output, re.MULTILINE), line
    assert "byte for byte" in output
    assert re.search(r"100,000 commands sent and answered in [0-9.]+ s: [0-9,]+ a second", output)
    assert "\033" not in output and "\r" not in output  # no terminal: neither colour nor progress bar


@pytest.mark.parametrize("moment, sig", [
    ("the folder is there", signal.SIGINT), ("$ byunique init", signal.SIGTERM),
    ("$ byunique submit example", signal.SIGINT), ("nothing happens twice", signal.SIGHUP),
    ("updates.csv", signal.SIGINT)])
def test_interrupted(parent, tmp_path, moment, sig):
    """Twice, as impatient people do."""
    demo = Demo(parent, tmp_path / "log")
    if moment == "the folder is there":
        processes.wait_for(lambda: list(parent.iterdir()), "the folder", alive=demo.process)
    else:
        demo.wait_output(moment)
    demo.process.send_signal(sig)
    demo.process.send_signal(sig)
    assert demo.wait(15) == 1, demo.output
    assert "byunique: interrupted\n" in demo.output
    demo.assert_nothing_left()


def test_killed(parent, tmp_path):
    """Nobody is left to remove the folder, but the processes end."""
    demo = Demo(parent, tmp_path / "log")
    demo.wait_output("$ byunique submit example")
    assert demo.processes()
    demo.process.kill()
    demo.process.wait()
    processes.wait_for(lambda: not demo.processes(), "the children to end")


def fake_postgres(folder, initdb):
    """A PATH whose PostgreSQL is this; its folder is one where another user gets to, as root runs it as one."""
    for name, script in (("initdb", initdb), ("postgres", "exit 1")):
        path = folder / name
        path.write_text("#!/bin/sh\n%s\n" % script)
        path.chmod(0o755)
    return "%s:%s" % (folder, os.environ["PATH"])


def test_initdb_fails(parent, programs, tmp_path):
    demo = Demo(parent, tmp_path / "log", PATH=fake_postgres(programs, "echo 'no space left on device'; exit 1"))
    assert demo.wait() == 1
    assert "byunique: PostgreSQL's initdb failed: exit code 1\n" in demo.output
    assert "no space left on device" in demo.output
    demo.assert_nothing_left()


def test_server_fails(parent, programs, tmp_path):
    demo = Demo(parent, tmp_path / "log", PATH=fake_postgres(programs, "mkdir data"))
    assert demo.wait() == 1
    assert "byunique: PostgreSQL's server failed: exit code 1\n" in demo.output
    demo.assert_nothing_left()


def test_worker_dies(parent, tmp_path):
    """The exit code is not 0, and the worker's log is shown."""
    demo = Demo(parent, tmp_path / "log")
    demo.wait_output("$ byunique submit example")
    [worker] = [pid for pid in processes.children(demo.process.pid) if processes.arguments(pid)[-1:] == ["run"]]
    os.kill(worker, signal.SIGKILL)
    assert demo.wait() == 1
    assert "byunique: the worker ended by itself: signal 9\n" in demo.output
    assert "The end of the worker's log:\n" in demo.output
    demo.assert_nothing_left()


def test_takes_no_configuration():
    done = byunique.run({"postgres": "host=somewhere"}, "demo")
    assert done.returncode == 2
    assert "demo" in done.stderr
