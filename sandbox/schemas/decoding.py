"""Decodes the keys and values of events that a schema registry's serializers wrote.

One decoder is shared by pages, searches, commands and the Python API. Bytes are looked at for a frame before they are
looked at as text. What cannot be decoded is never shown as if it were text: it has a problem, in words.
"""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from sandbox.kafka.event import Event
from sandbox.schemas.framing import Frame, read_frame, split_indexes
from sandbox.schemas.schema import PROTOBUF, InvalidValue, MissingLibrary, ParsedSchema
from sandbox.schemas.values import value_text

SchemaId = int | uuid.UUID
"""The id of a schema in a registry, or its GUID."""


@dataclass(frozen=True, slots=True)
class FoundSchema:
    """A registered schema.

    Attributes:
        parse: returns the parsed schema; called only if something is decoded.
        schema_type: AVRO, JSON or PROTOBUF.
        subject: the subject that fits the topic best, if several have the schema.
        version: its version there.
        schema_id: its id.
    """

    parse: Callable[[], ParsedSchema]
    schema_type: str
    subject: str
    version: int
    schema_id: int


class Find(Protocol):
    """Looks a schema up in a registry.

    Returns None if it is not registered, or a text that says why it can't be looked up.
    """

    def __call__(self, schema: SchemaId, topic: str, *, is_key: bool) -> FoundSchema | str | None: ...


@dataclass(frozen=True, slots=True)
class Decoded:
    """A key or value with a frame.

    Attributes:
        schema: the id or GUID in the frame.
        found: the schema, None if it is not registered or can't be looked up.
        value: the JSON value, if `problem` is None.
        problem: why there is no value; None if there is one.
        reason: the cause alone, if the bytes do not fit the schema.
    """

    schema: SchemaId
    found: FoundSchema | None = None
    value: Any = None
    problem: str | None = None
    reason: str | None = None

    @property
    def text(self) -> str | None:
        """The value as compact JSON; None if there is none."""
        return None if self.problem is not None else value_text(self.value)

    @property
    def label(self) -> str:
        """The schema in words: its type, subject, version and id, as far as they are known."""
        place = f"schema id {self.schema}" if isinstance(self.schema, int) else f"schema {self.schema}"
        if self.found is None:
            return place
        return f"{self.found.schema_type}, {self.found.subject} version {self.found.version}, {place}"


class EventDecoder:
    """Decodes keys and values; one instance serves one page, search or command, and caches what it looked up.

    A missing schema and one that can't be parsed are cached too: a new decoder finds what was registered meanwhile.

    Args:
        find: looks a schema up.
    """

    def __init__(self, find: Find) -> None:
        self._find = find
        self._known: dict[tuple[SchemaId, str, bool], FoundSchema | str | None] = {}
        self._parsed: dict[SchemaId, ParsedSchema | str] = {}

    def decode(
        self,
        topic: str,
        data: bytes | None,
        headers: Iterable[tuple[str, bytes | None]] = (),
        *,
        is_key: bool = False,
        consumer: ParsedSchema | None = None,
    ) -> Decoded | None:
        """Return what a key or value holds; None if it has no frame.

        Args:
            consumer: the schema of a consumer that reads it; None for the schema with which it was written.
        """
        frame = read_frame(data, headers, is_key=is_key) if data else None
        if frame is None:
            return None
        place = (frame.schema, topic, is_key)
        if place not in self._known:
            self._known[place] = self._find(frame.schema, topic, is_key=is_key)
        found = self._known[place]
        if found is None:
            return Decoded(frame.schema, problem=f"{Decoded(frame.schema).label} is not registered here")
        if isinstance(found, str):
            return Decoded(frame.schema, problem=f"{Decoded(frame.schema).label}: {found}")
        return self._decoded(frame, found, consumer)

    def _decoded(self, frame: Frame, found: FoundSchema, consumer: ParsedSchema | None) -> Decoded:
        parsed = self._parse(frame.schema, found)
        if isinstance(parsed, str):
            return _unreadable(frame.schema, found, parsed)
        try:
            indexes, payload = split_indexes(frame) if found.schema_type == PROTOBUF else ((0,), frame.rest)
            value = parsed.decode(payload, indexes) if consumer is None else consumer.read(parsed, payload, indexes)
        except (InvalidValue, MissingLibrary) as error:
            return _unreadable(frame.schema, found, str(error))
        return Decoded(frame.schema, found, value)

    def _parse(self, schema: SchemaId, found: FoundSchema) -> ParsedSchema | str:
        """Return the parsed schema, or why it can't be parsed. Parses it once."""
        if schema not in self._parsed:
            try:
                self._parsed[schema] = found.parse()
            except (InvalidValue, MissingLibrary) as error:
                self._parsed[schema] = str(error)
        return self._parsed[schema]

    def readable(
        self, topic: str, data: bytes | None, headers: Iterable[tuple[str, bytes | None]] = (), *, is_key: bool = False
    ) -> bytes | None:
        """Return a decoded key or value as JSON bytes, any other as it is."""
        decoded = self.decode(topic, data, headers, is_key=is_key)
        text = None if decoded is None else decoded.text
        return data if text is None else text.encode("utf-8", "surrogatepass")

    def decoded_events(self, events: Iterable[Event]) -> list[Event]:
        """Return events with their keys and values as JSON bytes where they can be decoded."""
        return [
            event._replace(
                key=self.readable(event.topic, event.key, event.headers, is_key=True),
                value=self.readable(event.topic, event.value, event.headers),
            )
            for event in events
        ]


def _unreadable(schema: SchemaId, found: FoundSchema, reason: str) -> Decoded:
    label = Decoded(schema, found).label
    return Decoded(schema, found, problem=f"not readable with {label}: {reason}", reason=reason)


def nowhere(schema: SchemaId, topic: str, *, is_key: bool) -> FoundSchema | str | None:
    """Find nothing, where no registry is known."""
    del schema, topic, is_key
    return "no schema registry is connected"
