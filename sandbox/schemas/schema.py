"""The common parts of the three formats: a parsed schema, its references and its errors."""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Self

from sandbox.model.registry import AVRO as AVRO
from sandbox.model.registry import JSON as JSON
from sandbox.model.registry import PROTOBUF as PROTOBUF
from sandbox.model.registry import SCHEMA_TYPES as SCHEMA_TYPES

if TYPE_CHECKING:
    from sandbox.schemas.shape import Shape

MAX_SCHEMA_CHARS = 4_000_000
"""The longest schema text that is parsed."""

READER, WRITER = "\ue000reader\ue000", "\ue000writer\ue000"
"""Stand for the words "new" and "old" in the messages of `ParsedSchema.backward_errors`."""


class InvalidSchema(ValueError):
    """A schema's text is refused. The message names the path in the schema, if there is one, and the cause."""


class InvalidValue(ValueError):
    """A value does not fit its schema, or bytes were not written with it. The message names the path and the cause."""


class TooManyComparisons(Exception):
    """Two schemas combine too many others to be compared in a reasonable time."""


class MissingLibrary(RuntimeError):
    """The library of a format is not installed. The message has the pip command that installs it."""


def missing_library(schema_type: str, extra: str, cause: ImportError) -> NoReturn:
    """Raise `MissingLibrary` for a format, with the command that installs its libraries."""
    raise MissingLibrary(
        f"{schema_type} schemas need the package {cause.name!r}: pip install 'kafka-sandbox[{extra}]'"
    ) from cause


@dataclass(frozen=True, slots=True)
class Reference:
    """A schema's reference to a registered version of a subject.

    Args:
        name: The name by which the schema's text uses it: an Avro full name, a JSON Schema `$ref`, a Protobuf import.
        subject: The subject under which the referenced schema is registered.
        version: Its version, from 1.
    """

    name: str
    subject: str
    version: int


def other_format(reader: "ParsedSchema", writer: "ParsedSchema") -> InvalidValue:
    """Return the error for a payload of another format."""
    return InvalidValue(f"it was written as {writer.schema_type}, the schema is {reader.schema_type}")


class ParsedSchema(ABC):
    """A valid schema of one format. `sandbox.schemas.parsing.parse_schema` makes it; it never changes.

    Two are equal if they have the same type, references and meaning, as for the registry's look-up: formatting and
    the order of attributes do not count, the order of fields does.
    """

    schema_type: str
    text: str
    """The canonical text that the registry stores and returns, as Confluent's registry prints it."""
    references: tuple[Reference, ...]
    resolved: Mapping[str, str]
    """The texts of all referenced schemas by name, direct and indirect ones, dependencies first."""

    @property
    @abstractmethod
    def name(self) -> str | None:
        """The full name of the record or first message, or a JSON Schema's title; None if it has none."""

    @abstractmethod
    def normalized(self) -> Self:
        """Return the schema in normal form (`normalize=true`): what has no meaning, such as order, is removed."""

    @abstractmethod
    def top_level_fields(self) -> frozenset[str]:
        """Return the names of the fields of the outermost type; empty if it has none."""

    @abstractmethod
    def identity(self) -> object:
        """A hashable value that is equal for schemas with the same meaning, references aside."""

    def formatted(self, output_format: str) -> str:
        """Return the text for the query parameter `format`; the canonical text for a format that is not known."""
        del output_format
        return self.text

    def is_equivalent(self, other: "ParsedSchema") -> bool:
        """Report whether the schemas mean the same, references aside."""
        return self.schema_type == other.schema_type and self.identity() == other.identity()

    @abstractmethod
    def backward_errors(self, previous: "ParsedSchema") -> list[str]:
        """Return why a reader with this schema cannot read what `previous`, of the same type, wrote; empty if it can.

        Messages have Confluent's form, with `READER` and `WRITER` for the words "new" and "old".
        """

    @abstractmethod
    def decode(self, payload: bytes, message_indexes: tuple[int, ...] = (0,)) -> Any:
        """Return the value of a payload without its frame, as JSON values.

        Numbers are int, float, or `Decimal` for exact decimals; dates, times, UUIDs and big durations are text in ISO
        8601; bytes are text as the format's own JSON encoding has them. `schemas.json_text.value_text` prints it.

        Args:
            payload: The bytes after the frame.
            message_indexes: Protobuf only: the path to the message type.

        Raises:
            InvalidValue: The bytes were not written with this schema.
        """

    @abstractmethod
    def read(self, writer: "ParsedSchema", payload: bytes, message_indexes: tuple[int, ...] = (0,)) -> Any:
        """Return the value that a consumer with this schema reads from a payload that another schema wrote.

        Args:
            writer: The schema with which the payload was written.
            payload: As for `decode`.
            message_indexes: Protobuf only: the path to the message type in the writer's schema.

        Raises:
            InvalidValue: The consumer would fail, or would silently lose a value whose type changed.
        """

    @abstractmethod
    def encode(self, value: Any, message_indexes: tuple[int, ...] = (0,)) -> bytes:
        """Return the payload for a JSON value, as `decode` returns it.

        Raises:
            InvalidValue: The value does not fit; the message names the path and what was expected.
        """

    @abstractmethod
    def example(self, rng: random.Random, message_indexes: tuple[int, ...] = (0,)) -> Any:
        """Return a random valid value, as `decode` would return it. The same seed gives the same value.

        Raises:
            InvalidValue: No value was found: a recursive schema has none, or its rules are too narrow.
        """

    @abstractmethod
    def shape(self, message_indexes: tuple[int, ...] = (0,)) -> "Shape":
        """Return the shape of the values, from which forms are built."""

    def message_indexes(self, name: str) -> tuple[int, ...]:
        """Return the path of indexes to a Protobuf message by its name, with or without the package.

        Raises:
            InvalidValue: The schema has no such message; schemas of other formats have none.
        """
        raise InvalidValue(f"{self.schema_type} schemas have no messages, and {name!r} names one")

    def message_names(self) -> tuple[str, ...]:
        """Return the names of the Protobuf messages, nested ones too, without the package; empty for other formats."""
        return ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParsedSchema) and self.references == other.references and self.is_equivalent(other)

    def __hash__(self) -> int:
        return hash((self.schema_type, self.references, self.identity()))

    def __repr__(self) -> str:
        return f"{self.schema_type} {self.text[:200]}"
