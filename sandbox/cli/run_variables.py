"""The environment variables that `sandbox run` sets: the names that frameworks and their examples read."""

from typing import NamedTuple


class Variable(NamedTuple):
    """One environment variable.

    Attributes:
        name: its name.
        what: "kafka" for the Kafka address, "registry" for the schema registry's URL.
        readers: the programs that read it.
    """

    name: str
    what: str
    readers: str


KAFKA, REGISTRY = "kafka", "registry"
VARIABLES = (
    Variable("KAFKA_BOOTSTRAP_SERVERS", KAFKA, "Quarkus, Micronaut, most examples in any language"),
    Variable("SPRING_KAFKA_BOOTSTRAP_SERVERS", KAFKA, "Spring Boot: `spring.kafka.bootstrap-servers`"),
    Variable("KAFKA_BROKERS", KAFKA, "kafkajs and Go examples, comma-separated"),
    Variable("KAFKA_BROKER", KAFKA, "kafkajs examples"),
    Variable("KAFKA_PEERS", KAFKA, "sarama's examples"),
    Variable("BOOTSTRAP_SERVERS", KAFKA, "Confluent's examples"),
    Variable("SANDBOX_BOOTSTRAP", KAFKA, "the commands of Kafka Sandbox, such as `sandbox topics list`"),
    Variable("SCHEMA_REGISTRY_URL", REGISTRY, "most examples in any language"),
    Variable(
        "SPRING_KAFKA_PROPERTIES_SCHEMA_REGISTRY_URL",
        REGISTRY,
        "Spring Boot: `spring.kafka.properties.schema.registry.url`",
    ),
    Variable(
        "MP_MESSAGING_CONNECTOR_SMALLRYE_KAFKA_SCHEMA_REGISTRY_URL",
        REGISTRY,
        "Quarkus: `mp.messaging.connector.smallrye-kafka.schema.registry.url`",
    ),
)
REPLACED = ("SANDBOX_FILE",)
"""Removed from the command's environment: it would name another sandbox."""
