"""The schema registry's plain values: subjects, schemas, versions and settings."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

JSON, PROTOBUF, AVRO = SCHEMA_TYPES = ("JSON", "PROTOBUF", "AVRO")
"""In the order in which Confluent's registry lists them."""
TYPE_NAMES = {AVRO: "Avro", JSON: "JSON Schema", PROTOBUF: "Protobuf"}
"""How people call the types."""
LEVELS = (
    "NONE",
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
)
"""Compatibility levels, from the weakest to the strongest."""
DEFAULT_LEVEL = "BACKWARD"
READWRITE, READONLY, READONLY_OVERRIDE, IMPORT, FORWARD = MODES = (
    "READWRITE",
    "READONLY",
    "READONLY_OVERRIDE",
    "IMPORT",
    "FORWARD",
)
SCHEMA_BYTES_MAX = 1024 * 1024
"""The largest schema, in bytes: Kafka's default limit for the record in which Confluent's registry stores it."""
CONFLICT_CODES = (409, 40901)
"""The error codes of an incompatible schema: Confluent's registry sends the second since December 2025."""
DEFAULT_CONTEXT = "."
LATEST = -1
"""The version that stands for the latest one that is not deleted."""


class Subject(NamedTuple):
    """A subject, or a context if `name` is empty.

    Attributes:
        context: begins with "."; "." is the default context.
        name: the name within the context.
    """

    context: str
    name: str

    def __str__(self) -> str:
        """Return the subject as clients write it: `orders-value`, or `:.test:orders-value` in the context `.test`."""
        return self.name if self.context == DEFAULT_CONTEXT else f":{self.context}:{self.name}"


class SchemaReference(NamedTuple):
    """A schema that another schema uses.

    Attributes:
        name: how the schema refers to it: a full name (Avro), an import path (Protobuf), or a URI (JSON Schema).
        subject: its subject, relative to the context of the schema that refers to it.
        version: 1 and up, or `LATEST` in a request.
    """

    name: str
    subject: str
    version: int


@dataclass(frozen=True, slots=True)
class SchemaContent:
    """A schema without its place in the registry.

    Attributes:
        schema_type: one of `SCHEMA_TYPES`.
        text: the schema in its canonical form.
        references: the schemas that it uses.
        metadata: Confluent's metadata (tags, properties, sensitive), None for none.
        rule_set: Confluent's data contract rules, which are stored and returned, None for none.
    """

    schema_type: str
    text: str
    references: tuple[SchemaReference, ...] = ()
    metadata: dict[str, Any] | None = None
    rule_set: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version of a subject, without its schema.

    Attributes:
        schema_id: the id of the schema in the subject's context.
        deleted: True if it was soft-deleted.
    """

    subject: Subject
    version: int
    schema_id: int
    registered_ms: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """A version of a subject, with its schema.

    Attributes:
        registered_ms: when this version was registered, in ms since 1970; None if it was not stored yet.
    """

    subject: Subject
    version: int
    schema_id: int
    guid: str
    content: SchemaContent
    registered_ms: int | None = None
    deleted: bool = False


class EntityTags(NamedTuple):
    """Tags of a record or field in a schema.

    Attributes:
        path: see `sandbox.registry.tags`.
        kind: "sr_record" or "sr_field".
    """

    path: str
    kind: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SchemaRequest:
    """A schema that a client sends.

    Attributes:
        text: None or empty for the subject's latest schema.
        version: 0 for the next one, `LATEST` for the latest one.
        schema_id: the id that the schema must get, in mode IMPORT; -1 if the registry chooses.
        tags_to_add, tags_to_remove: changes of the tags in the schema.
        propagate_tags: True adds the tags of the subject's latest schema.
    """

    text: str | None
    schema_type: str = AVRO
    references: tuple[SchemaReference, ...] = ()
    metadata: dict[str, Any] | None = None
    rule_set: dict[str, Any] | None = None
    version: int = 0
    schema_id: int = -1
    tags_to_add: tuple[EntityTags, ...] = ()
    tags_to_remove: tuple[EntityTags, ...] = ()
    propagate_tags: bool = False


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    """The settings of a subject, a context or the registry.

    Attributes:
        level: one of `LEVELS`; None if it was not set.
        others: Confluent's other settings by their names: alias, normalize, compatibilityGroup and so on.
    """

    level: str | None = None
    others: dict[str, Any] = field(default_factory=dict)
