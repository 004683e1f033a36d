"""One installation of byunique for one test: its own topics, group and PostgreSQL schema, on the shared servers."""

import itertools
import json
import uuid

import psycopg
from psycopg import sql

from lib import byunique, client, gen, processes, wire
from lib.model import ascii_lower

_numbers = itertools.count(1)
# For tests whose workers are killed or frozen, and that one rebalance more would not disturb: partitions are free soon.
SOON_GONE = {"kafka.session.timeout.ms": "2000", "kafka.heartbeat.interval.ms": "300"}
EFFECTS = """
CREATE TABLE effect (number bigserial, customer_id text, description text);
CREATE FUNCTION note_effect() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema} AS $$
BEGIN
    INSERT INTO effect (customer_id, description) VALUES (NEW.customer_id, NEW.description);
    RETURN NULL;
END $$;
CREATE TRIGGER note_effect AFTER UPDATE ON ext_phone FOR EACH ROW EXECUTE FUNCTION note_effect()"""


def new_id():
    return str(uuid.uuid4())


class Site:
    PARTITIONS = 4

    def __init__(self, postgres, kafka, folder, partitions=PARTITIONS, **settings):
        number = next(_numbers)
        self.postgres, self.kafka, self.folder, self.partitions = postgres, kafka, folder, partitions
        self.schema = "site_%d" % number
        self.commands, self.results, self.dead_letters = (
            "%s.%d" % (name, number) for name in ("commands", "results", "dead-letters"))
        self.group = "group-%d" % number
        self.settings = {
            "postgres": postgres.conninfo(), "postgres.schema": self.schema,
            "kafka.bootstrap.servers": kafka.servers, "kafka.group.id": self.group,
            # A killed worker's partitions are free again after this, the least that brokers allow by default.
            "kafka.session.timeout.ms": "6000",
            "commands.topic": self.commands, "results.topic": self.results, "dead.letter.topic": self.dead_letters,
            "schemas.dir": str(wire.SCHEMAS)}
        self.settings.update(settings)
        self.workers, self._open = [], []
        self.logs = []  # paths of more that is worth a look when a test fails
        self.admin = client.Admin(kafka.servers)
        self.sender = self.result_reader = None  # until the topics are there
        self.db = self._connect()

    def _connect(self):
        """As the database's owner. Times are read in UTC."""
        connection = self.postgres.connect(user="postgres")
        connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(self.schema)))
        connection.execute("SET timezone = 'UTC'")
        self._open.append(connection)
        return connection

    def reconnect(self):
        """After the server was restarted."""
        self.db = self._connect()

    def second_connection(self):
        return self._connect()

    # The program

    def init(self, *schemas):
        byunique.must(self.settings, "init", "--partitions", str(self.partitions))
        self.apply(*schemas)
        self.sender = client.Sender(self.kafka.servers, self.commands)
        self.result_reader = self.reader(self.results, client.Result)
        return self

    def apply(self, *schemas):
        files = []
        for schema in schemas:
            files.append(str(self.folder / ("%s.json" % schema["name"])))
            with open(files[-1], "w") as file:
                json.dump(schema, file)
        if files:
            byunique.must(self.settings, "schema", "apply", *files)

    def worker(self, failpoints=None, variables=None, **settings):
        """Start a worker; keys with dots come as {"a.b": …} in settings. failpoints, and variables of the environment:
        include/byunique/failpoint.h."""
        log = self.folder / ("%s-worker-%d.log" % (self.schema, len(self.workers) + 1))
        worker = byunique.Worker(dict(self.settings, **settings), log, failpoints)
        self.workers.append(worker)
        return worker.start(**(variables or {}))

    def running(self, **settings):
        """Start a worker and wait until all partitions are assigned to the workers that run."""
        worker = self.worker(**settings)
        self.wait_assigned(worker)
        return worker

    def wait_assigned(self, worker, members=None):
        """Wait until the group's members have all partitions among them, so many members having some."""
        def settled():
            assigned = [count for count in self.admin.assigned(self.group) if count]
            return sum(assigned) == self.partitions and (members is None or len(assigned) == members)
        processes.wait_for(settled, "the group to settle", alive=worker.process)

    def wait_blocked(self):
        """Wait until somebody, the last worker that is, waits for a lock in PostgreSQL."""
        processes.wait_for(lambda: self.db.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0],
                           "the worker to wait for the record", alive=self.workers[-1].process)

    def stop(self):
        """Stop the workers that run; each has to end in order."""
        for worker in self.workers:
            if worker.alive:
                assert worker.stop() == 0, "a worker did not end in order"

    # Messages

    def reader(self, topic, make=lambda record: record):
        reader = client.TopicReader(self.kafka.servers, topic, make, (self.group, self.commands))
        self._open.append(reader)
        return reader

    def send(self, *commands, partition=None):
        """Send commands, or ready Messages, keyed by customer id → Records, in the same order."""
        return self.sender.send([each if isinstance(each, gen.Message) else self.message(each, partition)
                                 for each in commands])

    @staticmethod
    def message(command, partition=None, key=None, headers=()):
        key = command.customer_id.encode() if key is None else key
        return gen.Message(partition, key, wire.encode(command), list(headers))

    def wait_results(self, count, timeout_s=60):
        """Wait for count results, while at least the last worker started lives."""
        return self.result_reader.wait(count, timeout_s, self.workers[-1] if self.workers else None)

    def results_of(self, sent, timeout_s=60):
        """Wait for the results of Records just sent → Results in their order; the topic has them by partition."""
        wanted, known = {record.at for record in sent}, len(self.result_reader.seen)
        missing = wanted - {result.source for result in self.result_reader.seen}
        while missing:
            fresh = self.wait_results(known + 1, timeout_s)[known:]
            known += len(fresh)
            missing -= {result.source for result in fresh}
        results = {result.source: result for result in self.result_reader.seen}
        return [results[record.at] for record in sent]

    def answers(self, *commands, partition=None):
        """Send commands, wait for their results → Results in the commands' order."""
        return self.results_of(self.send(*commands, partition=partition))

    # The database

    def fill(self, model):
        """Insert the model's profiles and records, as other programs may: giving the promised columns alone."""
        with self.db.cursor() as cursor:
            with cursor.copy("COPY profile (customer_id) FROM STDIN") as copy:
                for customer in model.profiles:
                    copy.write_row([customer])
            for key, records in model.records.items():
                if not records:
                    continue
                columns = list(model.extensions[key].attributes)
                statement = sql.SQL("COPY {} (customer_id, {}) FROM STDIN").format(
                    sql.Identifier("ext_" + key), sql.SQL(", ").join(map(sql.Identifier, columns)))
                with cursor.copy(statement) as copy:
                    for (customer, _), row in records.items():
                        copy.write_row([customer] + [row[column] for column in columns])

    def insert(self, ext_name, customer, **record):
        """One record and, when it is missing, its profile."""
        self.db.execute("INSERT INTO profile (customer_id) VALUES (%s) ON CONFLICT DO NOTHING", [customer])
        columns = ["customer_id"] + [ascii_lower(name) for name in record]
        self.db.execute(sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier("ext_" + ascii_lower(ext_name)), sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join([sql.Placeholder()] * len(columns))), [customer] + list(record.values()))

    def note_effects(self):
        """From now on the table effect has a row for every update of a Phone record: an effect that is doubled is seen."""
        self.db.execute(EFFECTS.format(schema=self.schema))

    def rows(self, extension):
        """The table of an extension (of the model) → {(customer, unique values): {attribute: value}}."""
        columns = list(extension.attributes)
        statement = sql.SQL("SELECT customer_id, {} FROM {}").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier("ext_" + ascii_lower(extension.name)))
        out = {}
        for customer, *row in self.db.execute(statement):
            values = dict(zip(columns, row))
            out[customer, tuple(values[name] for name in extension.unique)] = values
        return out

    def close(self):
        for worker in self.workers:
            if worker.process is not None:
                processes.stop(worker.process, timeout_s=10)
        for each in self._open:
            try:
                each.close()
            except psycopg.Error:
                pass  # its server was restarted
        # A failed test's report keeps the site: its clients, with their threads and descriptors, end here.
        self._open.clear()
        self.admin = self.sender = self.result_reader = self.db = None
