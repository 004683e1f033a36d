"""Commands and results as bytes, in both of the framings that byunique understands. Copy the class that you need."""

import io
import json
from pathlib import Path

import fastavro

SCHEMAS = Path(__file__).resolve().parents[3] / "schemas"  # a service of your own carries copies of the two files
COMMAND, RESULT = "UpdateByUnique.avsc", "UpdateResult.avsc"


class SingleObject:
    """Without a schema registry: Avro's single-object encoding. In front of a record stand C3 01 and the fingerprint of
    the schema that it was written with (CRC-64-AVRO of the schema's canonical form, lowest byte first), by which the
    reader knows the schema."""

    def __init__(self):
        self.command, self.command_marker = self._load(COMMAND)
        self.result, self.result_marker = self._load(RESULT)

    @staticmethod
    def _load(name):
        schema = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
        canonical = fastavro.schema.to_parsing_canonical_form(schema)
        fingerprint = bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))
        return fastavro.parse_schema(schema), b"\xC3\x01" + fingerprint

    def encode(self, command):
        value = io.BytesIO()
        value.write(self.command_marker)
        fastavro.schemaless_writer(value, self.command, command)
        return value.getvalue()

    def decode(self, value):
        if not value.startswith(self.result_marker):
            raise ValueError("a result in another framing, or of another schema: is a registry in use?")
        return fastavro.schemaless_reader(io.BytesIO(value[len(self.result_marker):]), self.result)


class Confluent:
    """With a schema registry: Confluent's serializers as they are."""

    def __init__(self, url, commands_topic, results_topic):
        from confluent_kafka.schema_registry import SchemaRegistryClient, prefix_schema_id_deserializer
        from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
        from confluent_kafka.serialization import MessageField, SerializationContext

        registry = SchemaRegistryClient({"url": url})
        self.command = SerializationContext(commands_topic, MessageField.VALUE)
        self.result = SerializationContext(results_topic, MessageField.VALUE)
        self.serialize = AvroSerializer(registry, (SCHEMAS / COMMAND).read_text(encoding="utf-8"))
        # A result carries its command's headers. One that names a schema there means the command's, so only the id in
        # front of the value counts.
        self.deserialize = AvroDeserializer(registry, (SCHEMAS / RESULT).read_text(encoding="utf-8"),
                                            conf={"schema.id.deserializer": prefix_schema_id_deserializer})

    def encode(self, command):
        return self.serialize(command, self.command)

    def decode(self, value):
        return self.deserialize(value, self.result)


def framing(registry_url, commands_topic, results_topic):
    """The one to use: with a registry's address, Confluent's."""
    return Confluent(registry_url, commands_topic, results_topic) if registry_url else SingleObject()
