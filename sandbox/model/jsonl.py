"""Events as lines of text: written by export, and read by import, produce and the sample data.

One JSON object per line: `topic`, `partition`, `offset`, `timestamp` (milliseconds since 1970), `timestamp_type`,
`key`, `value` and `headers` (a list of [name, value] pairs). Bytes that are UTF-8 are a JSON string, other bytes are
`{"base64": "..."}`, and null is null, so that an import restores every event exactly. Only `value` is required.

Optional fields: `transaction` ("aborted" or "open") for an event that was never committed; `partitions`, how many
partitions the event's topic had; `settings`, the topic's changed settings, on the first line of an export; and
`decoded`, what key and value hold as JSON: it is for readers, and an import ignores it. A line
without `value` but with `topic` and `partitions` describes an empty topic.
"""

import base64
import binascii
import json
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import merge
from json.encoder import encode_basestring
from typing import Any

from sandbox.kafka.errors import SandboxError
from sandbox.kafka.event import TIMESTAMP_TYPES, Event, Headers, NewEvent

FIELDS = (
    "topic",
    "partition",
    "offset",
    "timestamp",
    "timestamp_type",
    "key",
    "value",
    "headers",
    "transaction",
    "partitions",
    "settings",
    "decoded",
)
UNCOMMITTED = ("aborted", "open")
"""Values of the field `transaction`: the state of the transaction of an event that is not committed."""
CONTROL_TYPES = {b"\x00\x00": "abort", b"\x00\x01": "commit"}
_INT_MAX = {"partition": 2**31 - 1, "partitions": 2**31 - 1, "offset": 2**63 - 1, "timestamp": 2**63 - 1}
# Python (str.splitlines) and some editors end a line at these; JSON allows them in a string.
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


class LineRefused(SandboxError):
    """A line is not an event. The text is the reason, without the line's number."""


@dataclass(frozen=True, slots=True)
class EventLine:
    """A parsed line.

    Attributes:
        value: the bytes, or None for a tombstone.
        key: the bytes, or None.
        headers: (name, value) pairs, as `Event.headers`.
        topic: None if the line has none; the same applies to the fields below.
        partition: 0 and up.
        offset: 0 and up: the event's offset when it was exported.
        timestamp_ms: milliseconds since 1970, -1 for an event without one.
        timestamp_type: `CREATE_TIME` or `LOG_APPEND_TIME`.
        transaction: one of `UNCOMMITTED`; None for a committed or non-transactional event.
        partitions: how many partitions the topic had.
        settings: the topic's changed settings.
    """

    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    timestamp_ms: int | None = None
    timestamp_type: int | None = None
    transaction: str | None = None
    partitions: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def new_event(self) -> NewEvent:
        """Return the event to append, without its former offset and transaction state."""
        return NewEvent(self.value, self.key, self.headers, self.timestamp_ms, self.partition)


@dataclass(frozen=True, slots=True)
class TopicLine:
    """A line that describes a topic without events."""

    topic: str
    partitions: int
    settings: Mapping[str, str] = field(default_factory=dict)


def without_byte_order_mark(start: bytes) -> bytes:
    """Remove a UTF-8 byte order mark, which Windows programs write at the start of a text.

    Args:
        start: the first line of a text, or all of it.

    Raises:
        LineRefused: the text has a byte order mark of UTF-16 or UTF-32.
    """
    if start.startswith((BOM_UTF16_LE, BOM_UTF16_BE, BOM_UTF32_BE)):
        raise LineRefused(
            "the text is UTF-16 or UTF-32 (it begins with that byte order mark); save it as UTF-8. Windows "
            "PowerShell's > writes UTF-16; export --output FILE writes UTF-8"
        )
    return start.removeprefix(BOM_UTF8)


def transaction_of(event: Event) -> str | None:
    """Return the transaction state of an event that is not committed, one of `UNCOMMITTED`; None for any other."""
    return "aborted" if event.aborted else "open" if event.pending else None


def control_of(event: Event) -> str | None:
    """Return the kind of a control record: "commit" or "abort" for a transaction marker, "other" for another kind; None
    for an event. Its key is a version and a type, two bytes each, as in Kafka's log.
    """
    if not event.control:
        return None
    return CONTROL_TYPES.get((event.key or b"")[2:4], "other")


def to_line(
    event: Event,
    partitions: int | None = None,
    settings: Mapping[str, str] | None = None,
    decoded: Mapping[str, str] | None = None,
) -> str:
    """Write one event as a line.

    Args:
        event: the event.
        partitions: how many partitions its topic has; None leaves the field out.
        settings: the topic's changed settings; None or empty leaves the field out.
        decoded: JSON texts of what "key" and "value" hold; None or empty leaves the field out.

    Returns:
        One JSON object, without the line's end; it holds no character that ends a line anywhere.
    """
    fields: dict[str, Any] = {
        "topic": event.topic,
        "partition": event.partition,
        "offset": event.offset,
        "timestamp": event.timestamp_ms,
        "timestamp_type": TIMESTAMP_TYPES[event.timestamp_type],
        "key": _to_json(event.key),
        "value": _to_json(event.value),
        "headers": [
            [_to_json(name.encode("utf-8", "surrogateescape")), _to_json(value)] for name, value in event.headers
        ],
    }
    transaction = transaction_of(event)
    if transaction is not None:
        fields["transaction"] = transaction
    if partitions is not None:
        fields["partitions"] = partitions
    if settings:
        fields["settings"] = dict(settings)
    return _written(fields, decoded)


def topic_line(topic: str, partitions: int, settings: Mapping[str, str]) -> str:
    """Write the line that describes a topic without events."""
    fields: dict[str, Any] = {"topic": topic, "partitions": partitions}
    return _written(fields | {"settings": dict(settings)} if settings else fields)


def _written(fields: dict[str, Any], decoded: Mapping[str, str] | None = None) -> str:
    text = json.dumps(fields, ensure_ascii=False)
    if decoded:
        # As it is printed by the decoder: Python's numbers would lose digits.
        parts = ", ".join(f"{json.dumps(part)}: {value}" for part, value in decoded.items())
        text = f'{text[:-1]}, "decoded": {{{parts}}}}}'
    return text.translate(_LINE_ENDS)


def from_line(line: str | bytes) -> EventLine:
    """Read the line of an event.

    Args:
        line: a JSON object; bytes must be UTF-8. A byte order mark is ignored.

    Returns:
        The event, with None for the fields that the line leaves out.

    Raises:
        LineRefused: it is not such an object; the text is the reason.
    """
    found = read_line(line)
    if isinstance(found, TopicLine):
        raise LineRefused("it describes an empty topic, not an event")
    return found


def read_line(line: str | bytes) -> EventLine | TopicLine:
    """Read a line: an event, or the description of an empty topic. Raises LineRefused, like `from_line`."""
    fields = _fields(line)
    if unknown := [name for name in fields if name not in FIELDS]:
        raise LineRefused(f"unknown field {', '.join(map(_shown, unknown))}; the fields are {', '.join(FIELDS)}")
    if "value" not in fields and fields.get("topic") and "partitions" in fields and "partition" not in fields:
        return TopicLine(_to_topic(fields) or "", _to_partitions(fields) or 1, _to_settings(fields.get("settings")))
    if "value" not in fields:
        raise LineRefused('the field "value" is missing; for an event without a value write "value": null')
    timestamp_type = fields.get("timestamp_type")
    if timestamp_type is not None and timestamp_type not in TIMESTAMP_TYPES:
        raise LineRefused(f'"timestamp_type" must be one of {", ".join(TIMESTAMP_TYPES)}, not {_shown(timestamp_type)}')
    transaction = fields.get("transaction")
    if transaction is not None and transaction not in UNCOMMITTED:
        raise LineRefused(f'"transaction" must be one of {", ".join(UNCOMMITTED)}, not {_shown(transaction)}')
    return EventLine(
        value=_to_bytes("value", fields["value"]),
        key=_to_bytes("key", fields.get("key")),
        headers=_to_headers(fields.get("headers")),
        topic=_to_topic(fields),
        partition=_to_int("partition", fields, least=0),
        offset=_to_int("offset", fields, least=0),
        timestamp_ms=_to_int("timestamp", fields, least=-1),
        timestamp_type=None if timestamp_type is None else TIMESTAMP_TYPES.index(timestamp_type),
        transaction=transaction,
        partitions=_to_partitions(fields),
        settings=_to_settings(fields.get("settings")),
    )


def _to_topic(fields: dict[str, Any]) -> str | None:
    topic = fields.get("topic")
    if topic is not None and (not isinstance(topic, str) or not topic):
        raise LineRefused(f'"topic" must be a name, not {_shown(topic)}')
    if topic is not None:
        _utf8("topic", topic)
    return topic


def _to_partitions(fields: dict[str, Any]) -> int | None:
    return _to_int("partitions", fields, least=1)


def _to_settings(found: Any) -> dict[str, str]:
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise LineRefused(f'"settings" must be an object of texts, not {_shown(found)}')
    for name, value in found.items():
        _utf8("settings", name + value)
    return found


def _to_json(data: bytes | None) -> str | dict[str, str] | None:
    if data is None:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _fields(line: str | bytes) -> dict[str, Any]:
    try:
        # A byte order mark is never part of JSON, and files joined with `cat` may have one in the middle.
        text = without_byte_order_mark(line).decode("utf-8") if isinstance(line, bytes) else line.removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise LineRefused(f'not UTF-8 at byte {error.start}; write other bytes as {{"base64": ...}}') from None
    try:
        fields = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise LineRefused(f"not JSON: {error.msg} (column {error.colno})") from None
    except (ValueError, RecursionError) as error:
        raise LineRefused(f"not JSON that can be read: {error}") from None
    if not isinstance(fields, dict):
        raise LineRefused(f"not a JSON object but {_shown(fields)}")
    return fields


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise LineRefused(f"the field {_shown(twice)} is there twice")
    return fields


def _no_constant(name: str) -> None:
    raise LineRefused(f"not JSON: {name} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)


def _to_bytes(field: str, found: Any) -> bytes | None:
    if found is None:
        return None
    if isinstance(found, str):
        return _utf8(field, found)
    if isinstance(found, dict) and list(found) == ["base64"] and isinstance(found["base64"], str):
        try:
            return base64.b64decode(found["base64"], validate=True)
        except (binascii.Error, ValueError):
            raise LineRefused(f'"{field}" is not valid base64: {_shown(found["base64"])}') from None
    raise LineRefused(
        f'"{field}" must be a string, null or {{"base64": "..."}}, not {_shown(found)}; write JSON as a string'
    )


def _utf8(field: str, text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise LineRefused(
            f'"{field}" has half of a surrogate pair at character {error.start + 1}, which is not text'
        ) from None


def _to_headers(found: Any) -> Headers:
    if found is None:
        return ()
    if not isinstance(found, list):
        raise LineRefused(f'"headers" must be a list of [name, value] pairs, not {_shown(found)}')
    headers: list[tuple[str, bytes | None]] = []
    for pair in found:
        if not isinstance(pair, list) or len(pair) != 2:
            raise LineRefused(f"a header must be a [name, value] pair, not {_shown(pair)}")
        name = _to_bytes("name of a header", pair[0])
        if name is None:
            raise LineRefused("the name of a header must not be null")
        headers.append((name.decode("utf-8", "surrogateescape"), _to_bytes("value of a header", pair[1])))
    return tuple(headers)


def _to_int(field: str, fields: dict[str, Any], least: int) -> int | None:
    found = fields.get(field)
    if found is None:
        return None
    if not isinstance(found, int) or isinstance(found, bool):
        raise LineRefused(f'"{field}" must be a whole number, not {_shown(found)}')
    if not least <= found <= _INT_MAX[field]:
        raise LineRefused(f'"{field}" must be {least} to {_INT_MAX[field]}, not {_shown(found)}')
    return found


def _shown(found: Any) -> str:
    text = json.dumps(found)
    return text if len(text) <= 60 else f"{text[:57]}..."


def merged_by_time(events: Iterable[Event]) -> Iterator[Event]:
    """Merge the partitions of some events by timestamp, without reordering any partition.

    A producer may write timestamps that go backwards. The offset is the only order that consumers see, so it takes
    precedence over the timestamp.

    Args:
        events: in any order.

    Returns:
        The same events. Events of one topic and partition are in offset order.
    """
    partitions: dict[tuple[str, int], list[Event]] = {}
    for event in events:
        partitions.setdefault((event.topic, event.partition), []).append(event)
    for found in partitions.values():
        found.sort(key=lambda event: event.offset)
    # merge() only ever compares the first event of each partition, so it keeps the order within one.
    return merge(*partitions.values(), key=lambda event: (event.timestamp_ms, event.partition))


CACHED_NAME_LENGTH = 100
"""Longer header names are not cached: a client chooses them."""


def headers_to_json(headers: Headers | None) -> str | None:
    """Return the value of the `headers` column: None without headers, else a JSON array of [name, value].

    Written without a JSON encoder object, which takes four times as long.
    """
    if not headers:
        return None
    return f"[{','.join([f'[{_name_to_json(name)},{_value_to_json(value)}]' for name, value in headers])}]"


def headers_from_json(text: str | None) -> Headers:
    """Return the headers that `headers_to_json` wrote."""
    if text is None:
        return ()
    return tuple((_name_from_json(name), _bytes_from_json(value)) for name, value in json.loads(text))


def _name_to_json(name: str) -> str:
    return _cached_json(name) if len(name) <= CACHED_NAME_LENGTH else _json(name)


def _json(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        return _base64_json(name.encode("utf-8", "surrogateescape"))
    return encode_basestring(name)


_cached_json = lru_cache(maxsize=1024)(_json)


def _name_from_json(name: object) -> str:
    if isinstance(name, dict):
        return base64.b64decode(name["base64"]).decode("utf-8", "surrogateescape")
    return str(name)


def _value_to_json(value: bytes | None) -> str:
    if value is None:
        return "null"
    try:
        return encode_basestring(value.decode())
    except UnicodeDecodeError:
        return _base64_json(value)


def _base64_json(data: bytes) -> str:
    return f'{{"base64":"{base64.b64encode(data).decode()}"}}'


def _bytes_from_json(value: object) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return str(value).encode()
