"""Child processes that never outlive the tests, whatever ends those."""

import ctypes
import itertools
import os
import random
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

PR_SET_PDEATHSIG = 1
_FOREVER = ThreadPoolExecutor(1)  # a thread that lives as long as the tests


def _die_with_parent(sig):
    """Ask the kernel to signal the child when the tests' process dies, be it by SIGKILL."""
    libc = ctypes.CDLL(None, use_errno=True)

    def in_child():
        libc.prctl(PR_SET_PDEATHSIG, sig)

    return in_child


def start(argv, log_path, death_signal=signal.SIGKILL, **options):
    """Start argv with stdout and stderr appended to log_path. It gets a session of its own, so that Ctrl-C in the
    terminal reaches the tests alone, and they end it in order."""
    if threading.current_thread() is not threading.main_thread():
        # The kernel takes the end of the thread that started a child for the end of its parent.
        return _FOREVER.submit(_start, argv, log_path, death_signal, options).result()
    return _start(argv, log_path, death_signal, options)


def _start(argv, log_path, death_signal, options):
    with open(log_path, "ab") as log:
        options.setdefault("stdout", log)
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True,
                                preexec_fn=_die_with_parent(death_signal), **options)


def stop(process, sig=signal.SIGTERM, timeout_s=30):
    """Signal the process, wait for it, kill it if that takes too long. Returns its exit code; None was given: None."""
    if process is None:
        return None
    if process.poll() is None:
        process.send_signal(sig)
        process.send_signal(signal.SIGCONT)  # a frozen one would not notice
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def children(pid):
    """The processes that it started and that live, by /proc: no tool has to be installed for that."""
    out = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % entry) as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
        if parent == pid:
            out.append(int(entry))
    return out


def arguments(pid):
    with open("/proc/%d/cmdline" % pid) as file:
        return file.read().split("\0")[:-1]


def ports_of(worker):
    """Those of one of pytest-xdist's: what several that test at once are given must differ, as nobody listens there yet; and they
    are below those that the kernel gives to clients, who may come first."""
    lowest, each = 10000, 1000
    first, begin = lowest + int(worker[2:]) % 20 * each, random.randrange(each)
    return itertools.cycle(first + (begin + i) % each for i in range(each))


_PORTS = ports_of(os.environ.get("PYTEST_XDIST_WORKER", "gw0"))


def free_port():
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", next(_PORTS)))
                return probe.getsockname()[1]
            except OSError:
                pass  # somebody has it


def wait_for(condition, what, timeout_s=30, pause_s=0.05, alive=None):
    """Poll until condition() is true and return its value. alive: a process that has to live meanwhile."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if alive is not None and alive.poll() is not None:
            raise AssertionError("waiting for %s: the process ended with code %s" % (what, alive.returncode))
        if time.monotonic() > deadline:
            raise AssertionError("waited %s s for %s, in vain" % (timeout_s, what))
        time.sleep(pause_s)


def tail(path, count=60):
    """The last lines of a text file, for an error message."""
    try:
        with open(path, errors="replace") as file:
            return "".join(file.readlines()[-count:])
    except OSError as error:
        return "(%s)" % error


def environment():
    """The environment without what would change a client's or a server's behaviour behind the tests' back.

    It is read a name at a time, as pytest changes PYTEST_CURRENT_TEST while threads of tests ask for it."""
    names = [name for name in list(os.environ) if not name.startswith(("PG", "BYUNIQUE_", "KAFKA_", "PYTEST_"))]
    values = {name: os.environ.get(name) for name in names}
    return {name: value for name, value in values.items() if value is not None}
