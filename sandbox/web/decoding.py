"""Keys and values of events as pages show them: decoded if a schema registry's serializer wrote them."""

from typing import Any, cast

from flask import g

from sandbox.kafka.event import Event
from sandbox.schemas.decoding import Decoded, EventDecoder
from sandbox.schemas.framing import may_have_frame
from sandbox.web.responses import backend


def decoder() -> EventDecoder:
    """Return the decoder of this request."""
    if "decoder" not in g:
        g.decoder = backend().decoder()
    return cast(EventDecoder, g.decoder)


def decoded_value(event: Event) -> Decoded | None:
    """Return what an event's value holds; None if it has no frame."""
    if not may_have_frame(event.value, event.headers):
        return None
    return decoder().decode(event.topic, event.value, event.headers)


def decoded_key(event: Event) -> Decoded | None:
    """Return what an event's key holds; None if it has no frame."""
    if not may_have_frame(event.key, event.headers, is_key=True):
        return None
    return decoder().decode(event.topic, event.key, event.headers, is_key=True)


def readable_value(event: Event) -> bytes | None:
    """Return a decoded value as JSON bytes, any other value as it is."""
    return _readable(event.value, decoded_value(event))


def readable_key(event: Event) -> bytes | None:
    """Return a decoded key as JSON bytes, any other key as it is."""
    return _readable(event.key, decoded_key(event))


def _readable(data: bytes | None, decoded: Decoded | None) -> bytes | None:
    text = None if decoded is None else decoded.text
    return data if text is None else text.encode("utf-8", "surrogatepass")


def schemas_json(event: Event) -> dict[str, Any]:
    """Return the decoded key and value of an event for `.json`, with their schemas; empty if none has a frame."""
    found = {"key": decoded_key(event), "value": decoded_value(event)}
    shapes = {part: _decoded_json(decoded) for part, decoded in found.items() if decoded is not None}
    return {"decoded": shapes} if shapes else {}


def _decoded_json(decoded: Decoded) -> dict[str, Any]:
    schema = decoded.found
    return {
        "schema": decoded.schema if isinstance(decoded.schema, int) else str(decoded.schema),
        "schema_type": None if schema is None else schema.schema_type,
        "subject": None if schema is None else schema.subject,
        "version": None if schema is None else schema.version,
        "json": decoded.text,
        "problem": decoded.problem,
    }
