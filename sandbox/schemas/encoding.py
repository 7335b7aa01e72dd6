"""Encodes JSON values with a registered schema, framed as Confluent's serializers frame them."""

import json
import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from sandbox.model.registry import LATEST
from sandbox.schemas.framing import classic_frame
from sandbox.schemas.schema import PROTOBUF, InvalidValue, ParsedSchema


class SchemaName(NamedTuple):
    """A schema of a registry as people write it: `SUBJECT`, `SUBJECT:VERSION`, each with `#MESSAGE` for Protobuf.

    Attributes:
        version: from 1; `LATEST` if none was written.
        message: the name of a Protobuf message; None for the first one of the file.
    """

    subject: str
    version: int = LATEST
    message: str | None = None

    def __str__(self) -> str:
        version = "" if self.version == LATEST else f":{self.version}"
        return f"{self.subject}{version}{f'#{self.message}' if self.message else ''}"


def parse_schema_name(text: str) -> SchemaName:
    """Parse a `SchemaName`.

    Raises:
        InvalidValue: there is no subject in it.
    """
    place, _, message = text.strip().partition("#")
    subject, colon, version = place.rpartition(":")
    if not colon or not subject or not (version.isdecimal() or version == "latest"):
        subject, version = place, "latest"
    if not subject:
        raise InvalidValue("a schema is named by its subject, or by SUBJECT:VERSION")
    return SchemaName(subject, LATEST if version == "latest" else int(version), message or None)


@dataclass(frozen=True, slots=True)
class EventEncoder:
    """Encodes keys or values with one registered schema.

    Attributes:
        schema: the parsed schema.
        schema_id: its id in the registry.
        subject: its subject.
        version: its version there.
        message_indexes: Protobuf only: the path to the message type.
    """

    schema: ParsedSchema
    schema_id: int
    subject: str
    version: int
    message_indexes: tuple[int, ...] = (0,)

    @property
    def label(self) -> str:
        """The schema in words: its type, subject and version."""
        return f"{self.schema.schema_type}, {self.subject} version {self.version}"

    def encode(self, value: Any) -> bytes:
        """Return a JSON value, as `ParsedSchema.decode` returns it, as framed bytes.

        Raises:
            InvalidValue: the value doesn't fit the schema; the message has its path.
            MissingLibrary: the format's library is not installed.
        """
        try:
            return self._frame() + self.schema.encode(value, self.message_indexes)
        except (ArithmeticError, UnicodeError, SystemError) as error:
            # Numbers beyond all bounds, and text with half of a surrogate pair, which is no Unicode.
            raise InvalidValue(f"$: a number is too large, or a text is not valid Unicode ({error})") from error

    def _frame(self) -> bytes:
        return classic_frame(self.schema_id, self.message_indexes if self.schema.schema_type == PROTOBUF else None)

    def decode(self, data: bytes) -> Any:
        """Return the JSON value of bytes that `encode` returned. Raises `InvalidValue`."""
        return self.schema.decode(data.removeprefix(self._frame()), self.message_indexes)

    def encode_text(self, text: bytes) -> bytes:
        """Return a value's JSON text as framed bytes. For a schema of plain text, text without quotes is the value.

        Raises:
            InvalidValue, MissingLibrary: as `encode`; also for text that is not JSON, with the line and column.
        """
        try:
            return self.encode(json_value(text))
        except InvalidValue:
            if self.schema.shape(self.message_indexes).kind != "text":
                raise
            return self.encode(_text(text))

    def example(self, rng: random.Random) -> Any:
        """Return a random valid JSON value; the same state of `rng` gives the same value. Raises `InvalidValue`."""
        return self.schema.example(rng, self.message_indexes)


def json_value(text: bytes) -> Any:
    """Return the value of a JSON text; numbers with a fraction are exact.

    Raises:
        InvalidValue: the text is not JSON; the message has the line and column.
    """
    try:
        return json.loads(_text(text), parse_float=Decimal, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise InvalidValue(f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise InvalidValue("the value is nested too deeply") from None
    except ValueError as error:
        raise InvalidValue(f"not JSON: {error}") from None


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidValue(f"byte 0x{data[error.start]:02x} at position {error.start} is not UTF-8") from None


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
