"""Writes an event of each format with confluent-kafka's serializers, and reads the events of other clients.

`python -m tests.clients.programs.registry_program URL` prints its events as one line of JSON, reads a line with the
events of all clients, and prints their values.
"""

import json
import sys
from typing import Any

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

VALUE = {"id": 1, "name": "python"}
AVRO = json.dumps(
    {
        "type": "record",
        "name": "User",
        "namespace": "python",
        "fields": [{"name": "id", "type": "int"}, {"name": "name", "type": "string"}],
    }
)
JSON = json.dumps(
    {"title": "User", "type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}
)


def message_class(package: str) -> Any:
    """Return the class of a message with an id and a name, as a compiler would make it."""
    number = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    fields = file.message_type.add(name="User").field
    fields.add(name="id", number=1, type=number.TYPE_INT32, label=number.LABEL_OPTIONAL)
    fields.add(name="name", number=2, type=number.TYPE_STRING, label=number.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.User"))


def main() -> None:
    """Write, and read what the others wrote."""
    context = SerializationContext("matrix-python", MessageField.VALUE)
    user = message_class("python")
    with SchemaRegistryClient({"url": sys.argv[1]}) as client:
        written = [
            AvroSerializer(client, AVRO)(VALUE, SerializationContext("python-avro", MessageField.VALUE)),
            JSONSerializer(JSON, client)(VALUE, SerializationContext("python-json", MessageField.VALUE)),
            ProtobufSerializer(user, client)(user(**VALUE), SerializationContext("python-proto", MessageField.VALUE)),
        ]
        print(json.dumps([event.hex() for event in written if event is not None]), flush=True)
    # Another client, as a consumer has: the one that registered a Protobuf schema has its text cached.
    with SchemaRegistryClient({"url": sys.argv[1]}) as client:
        readers: dict[str, Any] = {
            "AVRO": AvroDeserializer(client),
            "JSON": JSONDeserializer(None, schema_registry_client=client),
            "PROTOBUF": ProtobufDeserializer(user, schema_registry_client=client),
        }
        values = []
        for event in json.loads(sys.stdin.readline()):
            data = bytes.fromhex(event)
            schema = client.get_schema(int.from_bytes(data[1:5], "big"), fmt="serialized")
            found = readers[schema.schema_type or "AVRO"](data, context)
            values.append({"id": found.id, "name": found.name} if schema.schema_type == "PROTOBUF" else found)
        print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
