"""The kinds of differences between two versions of a Protobuf schema, as data.

Names, which of them are compatible, and the sentences are taken from Confluent's registry
(io.confluent.kafka.schemaregistry.protobuf.diff).
"""

from dataclasses import dataclass

from sandbox.schemas.schema import READER, WRITER

COMPATIBLE = frozenset(
    {
        "MESSAGE_ADDED",
        "MESSAGE_MOVED",
        "ENUM_ADDED",
        "ENUM_REMOVED",
        "ENUM_CONST_ADDED",
        "ENUM_CONST_CHANGED",
        "ENUM_CONST_REMOVED",
        "FIELD_ADDED",
        "FIELD_REMOVED",
        "FIELD_NAME_CHANGED",
        "FIELD_STRING_OR_BYTES_LABEL_CHANGED",
        "ONEOF_ADDED",
        "ONEOF_REMOVED",
        "ONEOF_FIELD_ADDED",
        "ONEOF_FIELD_MOVED_TO_TOP_LEVEL",
    }
)

SENTENCES = {
    "PACKAGE_CHANGED": (
        "The package at '{path}' in the {reader} schema does not match the package in the {writer} schema"
    ),
    "MESSAGE_REMOVED": "The {reader} schema is missing a MESSAGE type at path '{path}' in the {writer} schema",
    "FIELD_KIND_CHANGED": (
        "The type of a field at path '{path}' in the {reader} schema does not match the {writer} schema"
    ),
    "FIELD_SCALAR_KIND_CHANGED": (
        "The kind of a SCALAR field at path '{path}' in the {reader} schema does not match its kind in the {writer} "
        "schema"
    ),
    "FIELD_NAMED_TYPE_CHANGED": (
        "The type of a MESSAGE field at path '{path}' in the {reader} schema does not match its type in the {writer} "
        "schema"
    ),
    "FIELD_NUMERIC_LABEL_CHANGED": (
        "The label for a NUMERIC field at path '{path}' in the {reader} schema does not match its label in the "
        "{writer} schema"
    ),
    "REQUIRED_FIELD_ADDED": (
        "A required field  at path '{path}' in the {reader} schema is missing in the {writer} schema"
    ),
    "REQUIRED_FIELD_REMOVED": (
        "The {reader} schema is missing a required field at path: '{path}' in the {writer} schema"
    ),
    "ONEOF_FIELD_REMOVED": "The {reader} schema is missing a oneof field at path '{path}' in the {writer} schema",
    "MULTIPLE_FIELDS_MOVED_TO_ONEOF": (
        "Multiple fields in the oneof at path '{path}' in the {reader} schema are outside a oneof in the {writer} "
        "schema"
    ),
    "FIELD_MOVED_TO_EXISTING_ONEOF": (
        "A field in the oneof at path '{path}' in the {reader} schema is outside an existing oneof in the {writer} "
        "schema"
    ),
}
"""The sentence of each difference that breaks a reader."""


@dataclass(frozen=True, slots=True)
class ProtobufDifference:
    """A difference and the path to it: names of messages and oneofs, numbers of fields."""

    kind: str
    path: tuple[str, ...]

    @property
    def is_compatible(self) -> bool:
        return self.kind in COMPATIBLE

    def message(self) -> str:
        """Return it in the registry's form."""
        sentence = SENTENCES.get(self.kind, "").format(path="#/" + "/".join(self.path), reader=READER, writer=WRITER)
        return f'{{errorType:"{self.kind}", description:"{sentence}"}}'
