"""Decodes the keys and values of events.

A topic's chosen deserializer is used first (`sandbox.model.deserializers`): a schema from a file, a format, or bytes.
Otherwise bytes are tested for the frame of a schema registry's serializer, then read as text, then tested for
MessagePack and CBOR. One decoder is shared by pages, searches, SQL, commands and the Python API. A value that cannot be
decoded is never shown as if it were text: it has a problem, in words.
"""

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from sandbox.kafka.event import Event, Headers
from sandbox.model.deserializers import (
    BYTES,
    CBOR,
    FORMAT_NAMES,
    KEY,
    MESSAGEPACK,
    TEXT,
    VALUE,
    Deserializer,
)
from sandbox.model.json_conditions import meets
from sandbox.model.messages import MessageQuery
from sandbox.schemas.framing import Frame, may_have_frame, read_frame, split_indexes
from sandbox.schemas.json_text import value_text
from sandbox.schemas.schema import PROTOBUF, InvalidSchema, InvalidValue, MissingLibrary, ParsedSchema

SchemaId = int | uuid.UUID
"""The id of a schema in a registry, or its GUID."""
RETRY_S = 1.0
"""How long a decoder relies on what it did not find, and on what was chosen for a topic, in seconds."""
KNOWN_MAX = 4_096
"""The maximum number of look-ups that a decoder caches."""


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


class Chosen(Protocol):
    """Returns the deserializer that was chosen for a topic's keys or values; None if none was."""

    def __call__(self, topic: str, *, is_key: bool) -> Deserializer | None: ...


@dataclass(frozen=True, slots=True)
class Decoded:
    """A key or value that is not plain text.

    Attributes:
        schema: the id or GUID in the frame; None without a frame.
        found: the schema, None if it is not registered or can't be looked up.
        value: the JSON value, if `problem` is None.
        problem: why there is no value; None if there is one.
        reason: the cause alone, if the bytes do not fit the schema.
        format: one of `sandbox.model.deserializers.FORMATS` for what has no frame, or was decoded with a chosen schema.
        chosen: the schema that was chosen for the topic, in words.
    """

    schema: SchemaId | None
    found: FoundSchema | None = None
    value: Any = None
    problem: str | None = None
    reason: str | None = None
    format: str | None = None
    chosen: str | None = None

    @property
    def text(self) -> str | None:
        """The value as compact JSON; None if there is none."""
        return None if self.problem is not None else value_text(self.value)

    @property
    def plain(self) -> str | None:
        """A string without quotes, any other value as compact JSON; None if there is none."""
        if self.problem is None and isinstance(self.value, str):
            return self.value
        return self.text

    @property
    def kind(self) -> str:
        """The format in lower case, "" if it is unknown."""
        return (self.format or (self.found.schema_type if self.found else "")).lower()

    @property
    def label(self) -> str:
        """The schema in words: its type, subject, version and id, as far as they are known."""
        if self.format is not None:
            return self.chosen or FORMAT_NAMES[self.format]
        place = f"schema id {self.schema}" if isinstance(self.schema, int) else f"schema {self.schema}"
        if self.found is None:
            return place
        return f"{self.found.schema_type}, {self.found.subject} version {self.found.version}, {place}"


@dataclass(frozen=True, slots=True)
class _Timed:
    """Something that was looked up, and when, by the decoder's clock."""

    found: Any
    at_s: float


def nothing_chosen(topic: str, *, is_key: bool) -> Deserializer | None:
    """Choose nothing, where no choices are kept."""
    del topic, is_key
    return None


class EventDecoder:
    """Decodes keys and values, and caches what it looked up.

    A schema that was not found, and what was chosen for a topic, are looked up again after `RETRY_S`: a consumer that
    runs for long decodes with schemas that are registered meanwhile.

    Args:
        find: looks a schema up.
        chosen: returns the deserializer that was chosen for a topic.
        clock: returns seconds that never go back.
    """

    def __init__(
        self, find: Find, chosen: Chosen = nothing_chosen, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.find = find
        self.choose = chosen
        self._clock = clock
        self._known: dict[tuple[SchemaId, str, bool], _Timed] = {}
        self._choices: dict[tuple[str, bool], _Timed] = {}
        self._parsed: dict[SchemaId, ParsedSchema | str] = {}

    def chosen(self, topic: str, *, is_key: bool = False) -> Deserializer | None:
        """Return the deserializer that was chosen for a topic's keys or values; None if none was."""
        place = (topic, is_key)
        known = self._choices.get(place)
        if known is None or self._clock() - known.at_s > RETRY_S:
            known = _Timed(self.choose(topic, is_key=is_key), self._clock())
            self._choices[place] = known
        choice: Deserializer | None = known.found
        return choice

    def decode(
        self,
        topic: str,
        data: bytes | None,
        headers: Iterable[tuple[str, bytes | None]] = (),
        *,
        is_key: bool = False,
        consumer: ParsedSchema | None = None,
    ) -> Decoded | None:
        """Return what a key or value holds; None if it is null, empty, plain text or bytes of an unknown format.

        Args:
            consumer: the schema of a consumer that reads what has a frame; None for the schema with which it was
                written, and for what has no frame too.
        """
        if not data:
            return None
        choice = self.chosen(topic, is_key=is_key) if consumer is None else None
        if choice is not None:
            return self._as_chosen(choice, topic, data, headers, is_key)
        frame = read_frame(data, headers, is_key=is_key) if may_have_frame(data, headers, is_key=is_key) else None
        if frame is not None:
            return self._framed(frame, topic, is_key, consumer)
        return _recognized(data) if data[0] >= 0x80 and consumer is None else None

    def _framed(self, frame: Frame, topic: str, is_key: bool, consumer: ParsedSchema | None = None) -> Decoded:
        found = self._look_up(frame.schema, topic, is_key)
        if found is None:
            return Decoded(frame.schema, problem=f"{Decoded(frame.schema).label} is not registered here")
        if isinstance(found, str):
            return Decoded(frame.schema, problem=f"{Decoded(frame.schema).label}: {found}")
        return self._read(frame, found, consumer)

    def _read(self, frame: Frame, found: FoundSchema, consumer: ParsedSchema | None) -> Decoded:
        parsed = self._parse(frame.schema, found)
        if isinstance(parsed, str):
            return _unreadable(frame.schema, found, parsed)
        try:
            indexes, payload = split_indexes(frame) if found.schema_type == PROTOBUF else ((0,), frame.rest)
            value = parsed.decode(payload, indexes) if consumer is None else consumer.read(parsed, payload, indexes)
        except (InvalidValue, MissingLibrary) as error:
            if found.schema_type != PROTOBUF:
                return _unreadable(frame.schema, found, str(error))
            try:
                # The registry client of kafkajs writes no message indexes: its events are of the first message.
                value = (consumer or parsed).read(parsed, frame.rest)
            except (InvalidValue, MissingLibrary):
                return _unreadable(frame.schema, found, str(error))
        return Decoded(frame.schema, found, value)

    def _look_up(self, schema: SchemaId, topic: str, is_key: bool) -> FoundSchema | str | None:
        place = (schema, topic, is_key)
        known = self._known.get(place)
        if known is None or (not isinstance(known.found, FoundSchema) and self._clock() - known.at_s > RETRY_S):
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
                self._parsed.clear()
            known = _Timed(self.find(schema, topic, is_key=is_key), self._clock())
            self._known[place] = known
        found: FoundSchema | str | None = known.found
        return found

    def _parse(self, schema: SchemaId, found: FoundSchema) -> ParsedSchema | str:
        """Return the parsed schema, or why it can't be parsed. Parses it once."""
        if schema not in self._parsed:
            try:
                self._parsed[schema] = found.parse()
            except (InvalidValue, MissingLibrary) as error:
                self._parsed[schema] = str(error)
        return self._parsed[schema]

    def _as_chosen(
        self,
        choice: Deserializer,
        topic: str,
        data: bytes,
        headers: Iterable[tuple[str, bytes | None]],
        is_key: bool,
    ) -> Decoded | None:
        """Decode with what was chosen for the topic. The frame of a registry's serializer is read if that fails."""
        if choice.format == TEXT:
            return None
        words = f"the {KEY if is_key else VALUE}s of {topic}"
        if choice.format == BYTES:
            return Decoded(None, problem=f"shown as bytes, as chosen for {words}", format=BYTES)
        try:
            return _plainly(choice, data, words)
        except (InvalidValue, MissingLibrary) as error:
            reason = str(error)
        frame = read_frame(data, headers, is_key=is_key)
        if frame is not None:
            framed = self._framed(frame, topic, is_key)
            if framed.problem is None:
                return framed
            try:
                return _plainly(choice, frame.rest, words, frame)
            except (InvalidValue, MissingLibrary):
                pass
        return Decoded(None, problem=f"not readable as {_chosen_words(choice, words)}: {reason}", format=choice.format)

    def readable(
        self, topic: str, data: bytes | None, headers: Iterable[tuple[str, bytes | None]] = (), *, is_key: bool = False
    ) -> bytes | None:
        """Return a decoded key or value as JSON bytes, any other as it is."""
        decoded = self.decode(topic, data, headers, is_key=is_key)
        text = None if decoded is None else decoded.text
        return data if text is None else text.encode("utf-8", "surrogatepass")

    def meets(self, query: MessageQuery, key: bytes | None, value: bytes | None, headers: Headers) -> bool:
        """Return whether an event meets a query's filters on key, value and JSON.

        They compare what is decoded if that is possible, else what is stored. An exact key is the decoded text, or a
        decoded string without its quotes.
        """
        if query.key is not None and not self._has_key(query, query.key, key, headers):
            return False
        if query.value is None and not query.conditions:
            return True
        shown = self.readable(query.topic, value, headers)
        if query.value is not None and (shown is None or query.value.encode() not in shown):
            return False
        return not query.conditions or meets(query.conditions, shown)

    def _has_key(self, query: MessageQuery, wanted: str, key: bytes | None, headers: Headers) -> bool:
        decoded = self.decode(query.topic, key, headers, is_key=True)
        text = None if decoded is None else decoded.text
        if decoded is not None and text is not None:
            return wanted in (text, decoded.plain) if query.key_exact else wanted in text
        if key is None:
            return False
        return key == wanted.encode() if query.key_exact else wanted.encode() in key

    def decoded_events(self, events: Iterable[Event]) -> list[Event]:
        """Return events with their keys and values as JSON bytes where they can be decoded."""
        return [
            event._replace(
                key=self.readable(event.topic, event.key, event.headers, is_key=True),
                value=self.readable(event.topic, event.value, event.headers),
            )
            for event in events
        ]


def _recognized(data: bytes) -> Decoded | None:
    """Return the value of bytes that are no text and describe themselves."""
    try:
        data.decode()
    except UnicodeDecodeError:
        from sandbox.schemas.self_described import recognized

        found = recognized(data)
        return None if found is None else Decoded(None, value=found[1], format=found[0])
    return None


def _plainly(choice: Deserializer, data: bytes, words: str, frame: Frame | None = None) -> Decoded:
    """Decode bytes with a chosen deserializer.

    Args:
        frame: the frame that was before them, if there was one.

    Raises:
        InvalidValue, MissingLibrary: they can't be decoded.
    """
    if choice.format in (MESSAGEPACK, CBOR):
        from sandbox.schemas.self_described import read_cbor, read_messagepack

        read = read_cbor if choice.format == CBOR else read_messagepack
        return Decoded(None, value=read(data), format=choice.format)
    parsed = parse_chosen(choice)
    if isinstance(parsed, str):
        raise InvalidValue(parsed)
    if choice.format == PROTOBUF:
        from sandbox.schemas.protobuf.schema import ProtobufSchema

        assert isinstance(parsed, ProtobufSchema)
        payload = data if frame is None else split_indexes(frame)[1]
        value = parsed.decode(payload, parsed.message_indexes(choice.message) if choice.message else (0,))
    else:
        value = parsed.decode(data)
    return Decoded(None, value=value, format=choice.format, chosen=_chosen_words(choice, words))


@lru_cache(64)
def parse_chosen(choice: Deserializer) -> ParsedSchema | str:
    """Return the parsed schema of a deserializer, or why it can't be parsed. Cached: protoc takes long."""
    from sandbox.schemas.parsing import parse_schema

    try:
        return parse_schema(choice.format, choice.schema or "", (), dict(choice.files), new=False)
    except (InvalidSchema, MissingLibrary) as error:
        return str(error)


def _chosen_words(choice: Deserializer, words: str) -> str:
    name = choice.message
    if name is None and choice.schema is not None:
        parsed = parse_chosen(choice)
        name = None if isinstance(parsed, str) else parsed.name
    return f"{FORMAT_NAMES[choice.format]}{f' {name}' if name else ''}, chosen for {words}"


def _unreadable(schema: SchemaId, found: FoundSchema, reason: str) -> Decoded:
    label = Decoded(schema, found).label
    return Decoded(schema, found, problem=f"not readable with {label}: {reason}", reason=reason)


def nowhere(schema: SchemaId, topic: str, *, is_key: bool) -> FoundSchema | str | None:
    """Find nothing, where no registry is known."""
    del schema, topic, is_key
    return "no schema registry is connected: sandbox ui --schema-registry URL, or bind a schema to the topic"
