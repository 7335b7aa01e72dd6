"""Reads the Produce form: converts the input to an event's bytes, or raises an error that says what to change."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Headers, NewEvent
from sandbox.model.jsonl import LineRefused, from_line
from sandbox.web import formats as words
from sandbox.web.json_text import json_error
from sandbox.web.produce.schema_part import KIND, chosen_name, encoded

SCHEMA_KIND = (KIND, "with a schema")
"""The kind of a key or value that is offered if there is a registry."""
KEY_KINDS = (
    ("text", "text"),
    ("none", "no key (null)"),
    ("empty", "empty, 0 bytes"),
    ("hex", "bytes, as hex"),
    ("base64", "bytes, as base64"),
)
VALUE_KINDS = (
    ("json", "JSON"),
    ("text", "text"),
    ("empty", "empty, 0 bytes"),
    ("null", "null: a tombstone"),
    ("hex", "bytes, as hex"),
    ("base64", "bytes, as base64"),
)
HEADER_KINDS = (("lines", "name: value, one per line"), ("json", "JSON, exactly as export writes them"))
FIRST = {
    "key_kind": "text",
    "key": "user-42",
    "value_kind": "json",
    "value": '{"amount": 12.5, "item": "ham sandwich"}',
    "headers_kind": "lines",
    "mode": "key",
    "partition": "0",
    "partitioner": "murmur2",
}
"""The form's initial fields."""

Form = Mapping[str, str]


def typed(form: Form, field: str) -> str:
    """Return a text area's content. Browsers send every line break as CR LF; it is converted to LF."""
    return form.get(field, "").replace("\r\n", "\n")


def key_of(form: Form) -> bytes | None:
    """Return the key.

    Raises:
        BrokerError: INVALID_RECORD if it is not valid hex or base64, as chosen, or doesn't fit the chosen schema.
    """
    kind = form.get("key_kind", "text")
    if kind == "none":
        return None
    if kind == "empty":
        return b""
    if kind == KIND:
        return encoded(form, "key")
    return _bytes("key", kind, form.get("key", ""))


def value_of(form: Form) -> bytes | None:
    """Return the value.

    Raises:
        BrokerError: INVALID_RECORD if it is not valid JSON, hex or base64, as chosen, or doesn't fit the chosen schema.
    """
    kind = form.get("value_kind", "json")
    if kind == "null":
        return None
    if kind == "empty":
        return b""
    if kind == KIND:
        return encoded(form, "value")
    text = typed(form, "value")
    checked = json_state(form)
    if checked is not None and not checked.good:
        raise BrokerError("INVALID_RECORD", f"{checked.said}. Nothing was sent.")
    return _bytes("value", kind, text)


@dataclass(frozen=True, slots=True)
class JsonState:
    """Whether the value is valid JSON, or fits its schema, with the reason in words."""

    good: bool
    said: str


def json_state(form: Form) -> JsonState | None:
    """Check the value; None if its kind is neither JSON nor a schema."""
    if form.get("value_kind") == KIND:
        try:
            encoded(form, "value")
        except BrokerError as refused:
            return JsonState(False, refused.detail.removesuffix(" Nothing was sent."))
        return JsonState(True, f"The value fits {chosen_name(form, 'value').removesuffix(':latest')}")
    if form.get("value_kind", "json") != "json":
        return None
    text = typed(form, "value")
    if not text.strip():
        return JsonState(False, "Nothing was typed: choose text, empty or null")
    error = json_error(text)
    return JsonState(True, "JSON") if error is None else JsonState(False, f"Not JSON: {error}")


def _bytes(what: str, kind: str, text: str) -> bytes:
    if kind not in ("hex", "base64"):
        return text.encode("utf-8", "replace")
    bare = re.sub(r"\s+", "", text)
    try:
        if kind == "hex":
            return bytes.fromhex(bare)
        return base64.b64decode(bare, validate=True)
    except (ValueError, binascii.Error) as error:
        raise BrokerError("INVALID_RECORD", f"The {what} is not {kind}: {error}. Nothing was sent.") from None


def headers_of(form: Form) -> Headers:
    """Return the headers, from lines (`name: value`; `name:` is an empty value, `name` a null one) or from JSON."""
    text = typed(form, "headers")
    if form.get("headers_kind", "lines") != "json":
        return header_lines(text)
    if not text.strip():
        return ()
    wrong = json_error(text)
    if wrong is not None:
        raise BrokerError("INVALID_RECORD", f"The headers cannot be read. Not JSON: {wrong}. Nothing was sent.")
    try:
        return from_line(json.dumps({"value": None, "headers": json.loads(text)})).headers
    except (LineRefused, ValueError, RecursionError) as error:
        raise BrokerError("INVALID_RECORD", f"The headers cannot be read: {error}. Nothing was sent.") from None


def header_lines(text: str) -> Headers:
    """Parse headers, one per line: `name: value`; `name:` is an empty value, `name` alone is a null one."""
    found: list[tuple[str, bytes | None]] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        found.append((name.strip(), value.strip().encode("utf-8", "replace") if colon else None))
    return tuple(found)


def timestamp_of(form: Form, now_ms: int) -> int | None:
    """Return the timestamp, None for now.

    Raises:
        BrokerError: INVALID_TIMESTAMP.
    """
    text = form.get("timestamp", "").strip()
    if not text:
        return None
    try:
        return words.as_ms(text, now_ms)
    except ValueError as error:
        raise BrokerError("INVALID_TIMESTAMP", f"{error}. Nothing was sent.") from None


def event_of(form: Form, now_ms: int) -> NewEvent:
    """Return the form's event, without a partition."""
    return NewEvent(value_of(form), key_of(form), headers_of(form), timestamp_of(form, now_ms), None)
