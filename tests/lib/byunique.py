"""Runs the program under test. BYUNIQUE_BIN names another build of it, such as one with sanitizers."""

import os
import re
import signal
import subprocess

from lib import processes
from lib.servers import ROOT

PROGRAM = os.environ.get("BYUNIQUE_BIN") or str(ROOT / "build" / "byunique")
# The build that crashes, waits or fails where it is told to.
WITH_FAILPOINTS = os.environ.get("BYUNIQUE_FAILPOINTS_BIN") or str(ROOT / "build" / "failpoints" / "byunique")


def options(settings):
    return [argument for key, value in settings.items() for argument in ("-X", "%s=%s" % (key, value))]


def run(settings, *command, timeout_s=60):
    """Run one command to its end → subprocess.CompletedProcess with text output."""
    return subprocess.run([PROGRAM] + options(settings) + list(command), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                          timeout=timeout_s, cwd="/", env=processes.environment())


def must(settings, *command):
    """Run one command that has to succeed → its standard output."""
    done = run(settings, *command)
    assert done.returncode == 0, "%s: code %d\n%s" % (" ".join(command), done.returncode, done.stderr)
    return done.stdout


class Worker:
    """One `byunique run`. Its standard error goes to a file, which is shown when a test fails."""

    def __init__(self, settings, log_path, failpoints=None):
        self.log_path = log_path
        self.settings = settings
        self.failpoints = failpoints
        self.process, self.started_at = None, 0

    def start(self, **variables):
        program, environment = PROGRAM, dict(processes.environment(), **variables)
        if self.failpoints is not None:
            program, environment["BYUNIQUE_TEST_FAILPOINTS"] = WITH_FAILPOINTS, self.failpoints
            environment.setdefault("BYUNIQUE_TEST_STUCK_MS", "15000")  # so that a test can wait for it
        self.started_at = self.log_path.stat().st_size if self.log_path.exists() else 0
        self.process = processes.start([program] + options(self.settings) + ["run"], self.log_path, cwd="/",
                                       env=environment)
        return self

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    @property
    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    @property
    def has_begun(self):
        """Since it was last started. Before that, SIGTERM ends it as it ends any program."""
        with open(self.log_path, "rb") as file:
            file.seek(self.started_at)
            return re.search(rb"event\W+starting", file.read()) is not None

    @property
    def warned(self):
        """It has logged a warning, or worse."""
        return re.search(r"\b(warn|warning|error)\b", self.log, re.IGNORECASE) is not None

    def signal(self, sig):
        self.process.send_signal(sig)

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """As if the machine had lost power."""
        self.signal(signal.SIGKILL)
        self.process.wait(10)

    def wait(self, timeout_s=30):
        """Wait until it ends by itself → its exit code."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError("the worker did not end within %s s" % timeout_s)

    def stop(self, timeout_s=30):
        """Ask it to end, in order → its exit code."""
        processes.wait_for(lambda: self.has_begun or not self.alive, "the worker to begin", timeout_s)
        self.signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def wait_log(self, pattern, timeout_s=30):
        """Wait until its log matches."""
        return processes.wait_for(lambda: re.search(pattern, self.log), "the log to say %r" % pattern, timeout_s,
                                  alive=self.process)
