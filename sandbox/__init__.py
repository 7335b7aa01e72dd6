"""Kafka Sandbox: all of Kafka that a developer needs, in one process and one SQLite file."""

from typing import TYPE_CHECKING, Any

from sandbox.version import __version__ as __version__

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import Schema as Schema
    from confluent_kafka.schema_registry.avro import AvroDeserializer as AvroDeserializer
    from confluent_kafka.schema_registry.avro import AvroSerializer as AvroSerializer
    from confluent_kafka.schema_registry.json_schema import JSONDeserializer as JSONDeserializer
    from confluent_kafka.schema_registry.json_schema import JSONSerializer as JSONSerializer
    from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer as ProtobufDeserializer
    from confluent_kafka.schema_registry.protobuf import ProtobufSerializer as ProtobufSerializer

    from sandbox.api.sandbox import Sandbox as Sandbox
    from sandbox.client.aio import AIOConsumer as AIOConsumer
    from sandbox.client.aio import AIOProducer as AIOProducer
    from sandbox.client.aio import AsyncDeserializingConsumer as AsyncDeserializingConsumer
    from sandbox.client.aio import AsyncSerializingProducer as AsyncSerializingProducer
    from sandbox.client.client import AdminClient as AdminClient
    from sandbox.client.client import Consumer as Consumer
    from sandbox.client.client import DeserializingConsumer as DeserializingConsumer
    from sandbox.client.client import Producer as Producer
    from sandbox.client.client import SerializingProducer as SerializingProducer
    from sandbox.client.schema_registry import SchemaRegistryClient as SchemaRegistryClient
    from sandbox.client.share_consumer import DeserializingShareConsumer as DeserializingShareConsumer
    from sandbox.client.share_consumer import ShareConsumer as ShareConsumer
    from sandbox.generator.template import EventTemplate as EventTemplate
    from sandbox.kafka.errors import BrokerError as BrokerError
    from sandbox.kafka.errors import FileInUse as FileInUse
    from sandbox.kafka.errors import FileRefused as FileRefused
    from sandbox.kafka.errors import SandboxError as SandboxError
    from sandbox.kafka.event import Event as Event
    from sandbox.kafka.event import NewEvent as NewEvent
    from sandbox.wire.auth.listener import Listener as Listener
    from sandbox.wire.auth.listener import TlsFiles as TlsFiles

# Loaded when first asked for: the command line must not wait for the Kafka client, nor a notebook for the web server.
_MODULES = {
    "AIOConsumer": "sandbox.client.aio",
    "AIOProducer": "sandbox.client.aio",
    "AsyncDeserializingConsumer": "sandbox.client.aio",
    "AsyncSerializingProducer": "sandbox.client.aio",
    "ShareConsumer": "sandbox.client.share_consumer",
    "DeserializingShareConsumer": "sandbox.client.share_consumer",
    "AdminClient": "sandbox.client.client",
    "AvroDeserializer": "confluent_kafka.schema_registry.avro",
    "AvroSerializer": "confluent_kafka.schema_registry.avro",
    "BrokerError": "sandbox.kafka.errors",
    "Consumer": "sandbox.client.client",
    "DeserializingConsumer": "sandbox.client.client",
    "Event": "sandbox.kafka.event",
    "EventTemplate": "sandbox.generator.template",
    "FileInUse": "sandbox.kafka.errors",
    "FileRefused": "sandbox.kafka.errors",
    "JSONDeserializer": "confluent_kafka.schema_registry.json_schema",
    "JSONSerializer": "confluent_kafka.schema_registry.json_schema",
    "Listener": "sandbox.wire.auth.listener",
    "NewEvent": "sandbox.kafka.event",
    "Producer": "sandbox.client.client",
    "ProtobufDeserializer": "confluent_kafka.schema_registry.protobuf",
    "ProtobufSerializer": "confluent_kafka.schema_registry.protobuf",
    "Sandbox": "sandbox.api.sandbox",
    "SandboxError": "sandbox.kafka.errors",
    "Schema": "confluent_kafka.schema_registry",
    "SchemaRegistryClient": "sandbox.client.schema_registry",
    "SerializingProducer": "sandbox.client.client",
    "TlsFiles": "sandbox.wire.auth.listener",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'sandbox' has no attribute {name!r}")
    from importlib import import_module

    from sandbox.model.gc_pause import gc_paused

    with gc_paused():
        found = getattr(import_module(module), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
