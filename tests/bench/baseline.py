"""What a team would write in an afternoon, and well: a Python worker with confluent-kafka, fastavro and psycopg.

It takes batches of up to 4,000 commands, applies each by one `UPDATE … FROM unnest(…)`, commits, publishes a result for
every command, and then commits its offsets. It knows one extension, Phone, with the three attributes that `make bench`
changes, looks up no profile, remembers no command id and no outcome: after a crash it applies commands again and publishes
results twice. That is what it is compared for: the same work with none of the guarantees.

    baseline.py SERVERS COMMANDS_TOPIC RESULTS_TOPIC GROUP CONNINFO SCHEMA SCHEMAS_FOLDER
"""

import io
import json
import signal
import sys
import time
from datetime import datetime
from pathlib import Path

import fastavro
import psycopg
from confluent_kafka import Consumer, Producer

BATCH = 4000
UPDATE = """
UPDATE ext_phone AS e SET phonetype = t.type, description = t.description, start_availabilty = t.start
FROM unnest(%b::text[], %b::text[], %b::int4[], %b::text[], %b::timestamptz[]) AS t (customer, number, type, description, start)
WHERE e.customer_id = t.customer AND e.phonenumber = t.number
RETURNING e.customer_id, e.phonenumber"""
RESULT_FRAME = b"\xc3\x01" + 0x281780312d27e20f.to_bytes(8, "little")  # CRC-64-AVRO of UpdateResult.avsc
FRAME_BYTES = 10


class Baseline:
    def __init__(self, servers, commands, results, group, conninfo, schema, schemas):
        self.results, self.stopping = results, False
        self.command_schema, self.result_schema = (
            fastavro.parse_schema(json.loads((Path(schemas) / (name + ".avsc")).read_text()))
            for name in ("UpdateByUnique", "UpdateResult"))
        self.db = psycopg.connect(conninfo, prepare_threshold=0)
        self.db.execute("SELECT set_config('search_path', %s, false)", [schema])
        self.db.execute("SET enable_seqscan = off")
        self.db.execute("SET enable_hashjoin = off")
        self.db.execute("SET enable_mergejoin = off")
        self.db.commit()
        self.producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 5,
                                  "compression.type": "lz4", "queue.buffering.max.messages": 1000000})
        self.consumer = Consumer({"bootstrap.servers": servers, "group.id": group, "enable.auto.commit": False,
                                  "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
        self.consumer.subscribe([commands])

    def stop(self, *_):
        self.stopping = True

    def run(self):
        while not self.stopping:
            messages = [each for each in self.consumer.consume(BATCH, 0.05) if each.error() is None]
            if messages:
                self.batch(messages)
        self.consumer.close()

    def batch(self, messages):
        commands = [fastavro.schemaless_reader(io.BytesIO(each.value()[FRAME_BYTES:]), self.command_schema)
                    for each in messages]
        found = self.apply(commands)
        now_ms = int(time.time() * 1000)
        for message, command in zip(messages, commands):
            self.publish(message, command, (command["customer_id"], command["attributes"]["PhoneNumber"]) in found, now_ms)
        self.producer.flush()
        self.consumer.commit(asynchronous=False)

    def apply(self, commands):
        """→ the keys of those records that were there. The last of several commands for a record counts."""
        changes = {}
        for command in commands:
            attributes = command["attributes"]
            changes[command["customer_id"], attributes["PhoneNumber"]] = (
                attributes["PhoneType"], attributes["description"], datetime.fromisoformat(attributes["start_availabilty"]))
        keys = sorted(changes)
        columns = [[customer for customer, _ in keys], [number for _, number in keys],
                   *(list(column) for column in zip(*(changes[key] for key in keys)))]
        with self.db.cursor(binary=True) as cursor:
            found = set(cursor.execute(UPDATE, columns).fetchall())
        self.db.commit()
        return found

    def publish(self, message, command, found, now_ms):
        error = None if found else {"code": "RecordNotFound", "title": "Record not found", "detail": "Record not found",
                                    "attribute": None}
        value = io.BytesIO()
        value.write(RESULT_FRAME)
        fastavro.schemaless_writer(value, self.result_schema, {
            "status": 204 if found else 404, "command_id": str(command["command_id"]), "customer_id": command["customer_id"],
            "ext_name": command["ext_name"], "batch_id": command["batch_id"], "error": error, "duplicate": False,
            "source": {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()},
            "issued_at": command["issued_at"], "processed_at": now_ms})
        self.producer.produce(self.results, value=value.getvalue(), key=message.key(),
                              headers=(message.headers() or []) + [("byunique.status", b"204" if found else b"404")])


if __name__ == "__main__":
    worker = Baseline(*sys.argv[1:])
    signal.signal(signal.SIGTERM, worker.stop)
    worker.run()
