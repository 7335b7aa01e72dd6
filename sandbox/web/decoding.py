"""Keys and values of events as pages show them: decoded if they are not plain text."""

from typing import Any, cast
from uuid import UUID

from flask import g

from sandbox.kafka.event import Event
from sandbox.schemas.decoding import Decoded, EventDecoder
from sandbox.web.responses import backend

KEPT_MAX_BYTES = 64 * 1024
"""Longer values are decoded again where they are used again."""


def decoder() -> EventDecoder:
    """Return the decoder of this request."""
    if "decoder" not in g:
        g.decoder = backend().decoder()
        g.decoded = {}
    return cast(EventDecoder, g.decoder)


def decoded_value(event: Event) -> Decoded | None:
    """Return what an event's value holds; None if it is plain text or bytes of an unknown format."""
    return _decoded(event, event.value, is_key=False)


def decoded_key(event: Event) -> Decoded | None:
    """Return what an event's key holds; None if it is plain text or bytes of an unknown format."""
    return _decoded(event, event.key, is_key=True)


def _decoded(event: Event, data: bytes | None, *, is_key: bool) -> Decoded | None:
    if not data:
        return None
    ours = decoder()
    place = (event.topic, event.partition, event.offset, is_key)
    if place not in g.decoded:
        found = ours.decode(event.topic, data, event.headers, is_key=is_key)
        if len(data) > KEPT_MAX_BYTES:
            return found
        g.decoded[place] = found
    return cast("Decoded | None", g.decoded[place])


def readable_value(event: Event) -> bytes | None:
    """Return a decoded value as JSON bytes, any other value as it is."""
    return _readable(event.value, decoded_value(event))


def readable_key(event: Event) -> bytes | None:
    """Return a decoded key as JSON bytes, any other key as it is."""
    return _readable(event.key, decoded_key(event))


def key_text(event: Event) -> str | None:
    """Return a key as the exact filter takes it: decoded, or as it is; None if it is null, empty or not UTF-8."""
    decoded = decoded_key(event)
    if decoded is not None and decoded.plain is not None:
        return decoded.plain
    try:
        return (event.key or b"").decode() or None
    except UnicodeDecodeError:
        return None


def _readable(data: bytes | None, decoded: Decoded | None) -> bytes | None:
    text = None if decoded is None else decoded.text
    return data if text is None else text.encode("utf-8", "surrogatepass")


def schemas_json(event: Event) -> dict[str, Any]:
    """Return the decoded key and value of an event for `.json`, with their formats; empty if both are plain."""
    found = {"key": decoded_key(event), "value": decoded_value(event)}
    shapes = {part: _decoded_json(decoded) for part, decoded in found.items() if decoded is not None}
    return {"decoded": shapes} if shapes else {}


def _decoded_json(decoded: Decoded) -> dict[str, Any]:
    schema = decoded.found
    return {
        "format": decoded.format or (None if schema is None else schema.schema_type),
        "schema": str(decoded.schema) if isinstance(decoded.schema, UUID) else decoded.schema,
        "schema_type": None if schema is None else schema.schema_type,
        "subject": None if schema is None else schema.subject,
        "version": None if schema is None else schema.version,
        "json": decoded.text,
        "problem": decoded.problem,
    }
