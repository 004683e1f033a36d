"""What goes wrong in a run: workers, servers and the network between them, as a seed has it; and the load meanwhile.

Two lanes of faults run side by side, one for the workers, one for the servers and their relays. What they do is drawn
from the seed; only the moments at which it happens are the machine's. Every fault ends before its lane goes on.
"""

import random
import signal
import threading
import time
import uuid

import psycopg

from lib import gen, processes
from lib.gen import Message
from lib.relay import Trap
from lib.wire import Command, encode

# Values that the database refuses: by a constraint, by a trigger, and not before COMMIT.
REFUSED = {("phone", "phonetype"): 666, ("phone", "description"): "refused by trigger", ("phone", "prefix"): "late!"}
OBJECTS = """
CREATE TABLE effect (number bigserial, LIKE ext_phone);
CREATE FUNCTION note_effect() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema} AS $$
BEGIN
    INSERT INTO effect SELECT nextval('effect_number_seq'), NEW.*;
    RETURN NULL;
END $$;
CREATE TRIGGER note_effect AFTER UPDATE ON ext_phone FOR EACH ROW EXECUTE FUNCTION note_effect();
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
ALTER TABLE ext_phone ADD CONSTRAINT no_666 CHECK (phonetype <> 666);
CREATE TRIGGER refuse BEFORE UPDATE ON ext_phone FOR EACH ROW WHEN (NEW.description = 'refused by trigger')
    EXECUTE FUNCTION refuse();
CREATE CONSTRAINT TRIGGER refuse_late AFTER UPDATE ON ext_phone DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.prefix = 'late!') EXECUTE FUNCTION refuse()"""


class Journal:
    """What was done and when, in a file that is shown with a failure."""

    def __init__(self, path):
        self.path, self.turn = path, threading.Lock()

    def say(self, what):
        now = time.time()
        with self.turn, open(self.path, "a") as file:
            file.write("%s.%03d %s\n" % (time.strftime("%H:%M:%S", time.gmtime(now)), now % 1 * 1000, what))


class Task(threading.Thread):
    """A thread whose failure is told by check()."""

    def __init__(self, name, work):
        super().__init__(name=name, daemon=True)
        self.work, self.failure = work, None

    def run(self):
        try:
            self.work()
        except BaseException as failure:  # whatever it is, check() tells
            self.failure = failure

    def check(self):
        if self.failure is not None:
            raise AssertionError("%s: %r" % (self.name, self.failure)) from self.failure


class Load:
    """Messages of every kind, in bursts. Besides those of the generator, which mostly meet the same few records, there are
    commands for records that are met once or twice in the run: what becomes of them nothing hides."""

    RECORDS = 6000

    def __init__(self, seed, partitions):
        self.world = gen.World(seed, partitions)
        self.rng = random.Random(seed)
        self.customers = ["one-%d" % number for number in range(self.RECORDS)]
        self.rng.shuffle(self.customers)
        for customer in self.customers:
            self.world.model.insert("Phone", customer, {"PhoneNumber": "1"})
        self.sent, self.count = [], 0

    def burst(self):
        out = []
        for _ in range(self.rng.choice([1, 1, 5, 20, 60, 250])):
            out += [self.world.message()] if self.rng.random() < 0.5 else self._of_one_record()
        return out

    def _of_one_record(self):
        customer = self.customers[self.count % self.RECORDS]
        self.count += 1
        first = self._command(customer, ("description", "string", "d%d" % self.count))
        draw = self.rng.random()
        if draw < 0.70:
            return self._messages(first)
        if draw < 0.80:
            return self._messages(first, first)
        bad = self._command(customer, self.rng.choice([
            ("PhoneType", "int", 666), ("description", "string", "refused by trigger"), ("prefix", "string", "late!")]))
        if draw < 0.90:
            return self._messages(first, bad)
        return self._messages(bad, bad, self._command(customer, ("PhoneType", "int", self.count),
                                                      ("prefix", "null", None)), first)

    def _command(self, customer, *attributes):
        command_id = str(uuid.UUID(int=self.rng.getrandbits(128)))
        return Command(command_id, customer, "Phone", (("PhoneNumber", "string", "1"),) + attributes)

    def _messages(self, *commands):
        return [Message(self.world.partition_of(each.customer_id), each.customer_id.encode(), encode(each), [])
                for each in commands]

    def keep_sending(self, site, ending):
        while not ending.is_set():
            self.sent += site.sender.send(self.burst())
            ending.wait(self.rng.choice([0.01, 0.1, 0.3, 0.6]))


class Crew:
    """Workers that are started again when they end, as systemd would; each end has to have a reason."""

    HANG_S = 240  # longer than the worker's own watchdog needs

    def __init__(self, site, count, journal, **settings):
        self.journal = journal
        self.workers = [site.worker(**settings) for _ in range(count)]
        self.killed, self.told_at = set(), {}
        self.turn = threading.RLock()
        self.endings = []

    def kill(self, worker):
        with self.turn:
            self.killed.add(worker)
            worker.kill()

    def tell(self, worker):
        """SIGTERM."""
        with self.turn:
            if worker.alive and worker.has_begun and worker not in self.told_at:
                self.told_at[worker] = time.monotonic()
                worker.signal(signal.SIGTERM)

    def look(self):
        """Start those that have ended."""
        with self.turn:
            for number, worker in enumerate(self.workers, 1):
                if worker.alive:
                    told = self.told_at.get(worker)
                    assert told is None or time.monotonic() - told < self.HANG_S, "worker %d hangs after SIGTERM" % number
                    continue
                self._check_end(number, worker)
                worker.start()

    def _check_end(self, number, worker):
        code = worker.process.returncode
        self.journal.say("worker %d ended, code %s" % (number, code))
        self.endings.append(code)
        was_killed = worker in self.killed
        was_told = self.told_at.pop(worker, None) is not None
        self.killed.discard(worker)
        assert code == 4 or (code == 0 and was_told) or (code == -signal.SIGKILL and was_killed), \
            "worker %d ended with code %s" % (number, code)

    def keep_looking(self, ending):
        while not ending.wait(0.1):
            self.look()

    def stop(self):
        """In order, all of them."""
        for worker in self.workers:
            processes.wait_for(lambda worker=worker: worker.has_begun, "a worker to begin", alive=worker.process)
            worker.signal(signal.SIGTERM)
        codes = [worker.wait(self.HANG_S) for worker in self.workers]
        assert set(codes) <= {0}, "workers ended with codes %s" % codes


class Nemesis:
    def __init__(self, seed, site, crew, journal):
        self.seed, self.site, self.crew, self.journal = seed, site, crew, journal
        self.postgres, self.kafka = site.postgres, site.kafka
        self.counts = {}

    OF_WORKERS = ["kill", "kill", "terminate", "freeze", "churn", "kill_all"]
    OF_SERVERS = ["end_backends", "end_backends", "restart_postgres", "kill_broker", "cut_postgres", "stall_postgres",
                  "half_close_postgres", "refuse_postgres", "lose_commit", "lose_commit", "cut_kafka", "stall_kafka",
                  "half_close_kafka", "refuse_kafka", "lose_end_of_transaction", "lose_end_of_transaction"]

    def torment(self, lane, ending):
        """Fault after fault, each kind once before one comes again."""
        rng = random.Random("%d %s" % (self.seed, lane))
        kinds = []
        while not ending.is_set():
            if not kinds:
                kinds = rng.sample(getattr(self, lane), len(getattr(self, lane)))
            kind = kinds.pop()
            self.journal.say("%s ..." % kind)
            told = getattr(self, kind)(rng)
            self.counts[kind] = self.counts.get(kind, 0) + 1
            self.journal.say("%s done%s" % (kind, ": %s" % told if told else ""))
            ending.wait(rng.uniform(0.2, 2.5))

    # Workers

    def _any(self, rng):
        return rng.choice(self.crew.workers)

    def kill(self, rng):
        self.crew.kill(self._any(rng))

    def kill_all(self, rng):
        for worker in self.crew.workers:
            self.crew.kill(worker)

    def terminate(self, rng):
        self.crew.tell(self._any(rng))

    def freeze(self, rng):
        """Longer than the session, so that others take over; sometimes shorter."""
        worker, for_s = self._any(rng), rng.choice([2.0, 7.5, 9.0, 11.0])
        process = worker.process
        if process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            time.sleep(for_s)
            process.send_signal(signal.SIGCONT)
        return "%s s" % for_s

    def churn(self, rng):
        """Somebody leaves, and joins again, every two seconds."""
        for _ in range(4):
            self.crew.tell(self._any(rng))
            time.sleep(2)

    # PostgreSQL

    def end_backends(self, rng):
        try:
            with self.postgres.connect() as db:
                return db.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                                  " WHERE usename = 'byunique'").fetchone()[0]
        except psycopg.Error as error:
            return error

    def restart_postgres(self, rng):
        away_s = rng.choice([0, 1.0, 4.0])
        self.postgres.stop(signal.SIGQUIT)
        time.sleep(away_s)
        self.postgres.start()
        return "%s s away" % away_s

    def cut_postgres(self, rng):
        self.postgres.relay.cut()

    def stall_postgres(self, rng):
        return self._stall(self.postgres.relay, rng)

    def half_close_postgres(self, rng):
        return self._half_close(self.postgres.relay, rng)

    def refuse_postgres(self, rng):
        return self._refuse(self.postgres.relay, rng)

    def lose_commit(self, rng):
        return self._lose(self.postgres.relay, "COMMIT", rng)

    # Kafka

    def kill_broker(self, rng):
        away_s = rng.choice([0, 1.0, 4.0])
        self.kafka.kill()
        time.sleep(away_s)
        self.kafka.start()
        return "%s s away" % away_s

    def cut_kafka(self, rng):
        self.kafka.relay.cut()

    def stall_kafka(self, rng):
        return self._stall(self.kafka.relay, rng)

    def half_close_kafka(self, rng):
        return self._half_close(self.kafka.relay, rng)

    def refuse_kafka(self, rng):
        return self._refuse(self.kafka.relay, rng)

    def lose_end_of_transaction(self, rng):
        return self._lose(self.kafka.relay, "EndTxn", rng)

    # Either

    @staticmethod
    def _stall(relay, rng):
        for_s = rng.choice([0.5, 3.0, 8.0])
        relay.stall()
        time.sleep(for_s)
        relay.go_on()
        return "%s s" % for_s

    @staticmethod
    def _half_close(relay, rng):
        to_client = rng.random() < 0.5
        relay.half_close(to_client)
        return "to the client" if to_client else "to the server"

    @staticmethod
    def _refuse(relay, rng):
        for_s = rng.choice([0.5, 3.0])
        relay.refuse()
        relay.cut()
        time.sleep(for_s)
        relay.accept()
        return "%s s" % for_s

    @staticmethod
    def _lose(relay, name, rng):
        """The message, or its reply; and for a while nobody gets through, or everybody does at once."""
        trap = relay.arm(Trap(rng.choice(["request", "reply"]), name, keep_out=rng.random() < 0.5))
        met = trap.sprung.wait(6)
        if met and trap.keep_out:
            time.sleep(rng.choice([0.5, 3.0]))
        relay.heal()
        return "%s%s%s" % (trap.kind, ", kept out" if trap.keep_out else "", "" if met else ", none came")

    def heal(self):
        for server in (self.postgres, self.kafka):
            server.relay.heal()
        for worker in self.crew.workers:
            if worker.alive:
                worker.thaw()


def wait_over(tasks, seconds):
    """Let the tasks run for so long, unless one of them fails."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for task in tasks:
            task.check()
        time.sleep(0.2)


def end(tasks, timeout_s=120):
    """Wait for tasks that were told to end."""
    for task in tasks:
        processes.wait_for(lambda task=task: not task.is_alive(), task.name + " to end", timeout_s)
        task.check()
