"""Reads the Produce form: converts the input to an event's bytes, or raises an error that says what to change."""

import base64
import binascii
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event, Headers, NewEvent
from sandbox.kafka.partitioner import PARTITIONERS as KAFKAS
from sandbox.model.jsonl import LineRefused, from_line, to_line
from sandbox.model.messages import MessageQuery
from sandbox.model.topics import TopicDescription
from sandbox.web import formats as words
from sandbox.web.messages.dead_letters import dead_letter, letters_of, sent_back, without_refusal
from sandbox.web.payload import describe, json_error
from sandbox.web.produce.schema_part import KIND, chosen_name, encoded
from sandbox.web.responses import backend, capabilities

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


PARTITIONERS = (
    ("murmur2", "murmur2, as the Java clients do"),
    ("consistent_random", "consistent_random (CRC-32), librdkafka's default"),
)
CLIENTS = {"murmur2": "Java", "consistent_random": "librdkafka: Python, Go, .NET, kcat"}
"""The clients that use each partitioner by default."""
LOOK_BUDGET_MS = 50
MODES = (("key", "the key decides"), ("fixed", "this one"), ("round", "round robin"))


@dataclass(slots=True)
class Turns:
    """The next round-robin partition of each topic."""

    _next: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def peek(self, topic: str, partitions: int) -> int:
        """Return the next partition."""
        return self._next.get(topic, 0) % partitions

    def take(self, topic: str, partitions: int) -> int:
        """Return the next partition, and advance."""
        with self._lock:
            turn = self._next.get(topic, 0) % partitions
            self._next[topic] = turn + 1
            return turn


turns = Turns()


@dataclass(frozen=True, slots=True)
class PartitionChoice:
    """An event's partition, and why it was chosen.

    Attributes:
        partition: None if it is only known after sending.
        steps: what determines it, in order: the key, the partitioner.
        why: a sentence.
        lies_in: the partition of the newest event with this key, None if it is the same or unknown.
        sum: the calculation from the key to the partition, "" if there is none.
        others: (clients, partition) for each partitioner, including the chosen one, if the key determines the
            partition.
    """

    partition: int | None
    partitions: int
    steps: tuple[str, ...]
    why: str
    lies_in: int | None = None
    sum: str = ""
    others: tuple[tuple[str, int], ...] = ()


def choose(
    form: Mapping[str, str], topic: TopicDescription, key: bytes | None, *, take: bool = False
) -> PartitionChoice:
    """Return the partition of the form's event.

    Args:
        form: the Produce form.
        topic: the target topic.
        key: the event's key.
        take: True to advance round robin.

    Raises:
        BrokerError: the partition or the partitioner doesn't exist, or the key isn't of the chosen kind.
    """
    count, mode = len(topic.partitions), form.get("mode", "key")
    if mode == "fixed":
        text = form.get("partition", "").strip()
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) >= count:
            raise BrokerError(
                "UNKNOWN_TOPIC_OR_PARTITION",
                f"{topic.topic} has partitions 0 to {count - 1}; {text!r} is none of them.",
            )
        return PartitionChoice(int(text), count, ("fixed",), "you chose it")
    if mode == "round":
        turn = (turns.take if take else turns.peek)(topic.topic, count)
        return PartitionChoice(turn, count, ("round robin",), "one partition after the other, whatever the key")
    partitioner = form.get("partitioner", "murmur2")
    if partitioner not in dict(PARTITIONERS):
        raise BrokerError("INVALID_REQUEST", f"There is no partitioner called {partitioner!r}.")
    partition = backend().partition_for(topic.topic, key, partitioner)
    shown = _shown(key)
    if partition is None:
        if key is not None:
            return PartitionChoice(
                None, count, (shown, partitioner, "random"), "librdkafka spreads empty keys at random"
            )
        return PartitionChoice(None, count, (shown, "sticky"), "no key: a while in one partition, then another")
    there = None if take else lies_in(topic.topic, key)
    steps = (shown, partitioner)
    why = f"the same key goes there, as long as the topic has {count} partition{'s' if count != 1 else ''}"
    if there not in (None, partition):
        return PartitionChoice(partition, count, steps, "", there, _sum(partitioner, key, count), _others(key, count))
    return PartitionChoice(partition, count, steps, why, None, _sum(partitioner, key, count), _others(key, count))


def _sum(partitioner: str, key: bytes | None, count: int) -> str:
    """Return the calculation: the key's hash modulo the number of partitions."""
    name = "murmur2" if partitioner == "murmur2" else "CRC-32"
    hashed = KAFKAS[partitioner].hash_of(key or b"")
    return f"{name} of the key is {hashed:,}, and {hashed:,} mod {count} = {hashed % count}"


def _others(key: bytes | None, count: int) -> tuple[tuple[str, int], ...]:
    """Return the partition that each client family would choose: they can differ."""
    found = [(clients, KAFKAS[name].partition_for(key, count)) for name, clients in CLIENTS.items()]
    return tuple((clients, partition) for clients, partition in found if partition is not None)


def lies_in(topic: str, key: bytes | None) -> int | None:
    """Return the partition of the newest event with a key, None if there is none or it can't be found quickly."""
    if not key or not capabilities().find_key_fast:
        return None
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return None
    query = MessageQuery(topic, key=text, key_exact=True, limit=1, budget_ms=LOOK_BUDGET_MS)
    return next((event.partition for event in backend().messages(query).events), None)


def _shown(key: bytes | None) -> str:
    payload = describe(key, 40)
    if payload.kind in ("null", "empty"):
        return "no key" if key is None else "empty key"
    return payload.preview if payload.kind == "bytes" else json.dumps(payload.preview, ensure_ascii=False)


BROKEN = "The value looks like JSON, but is not. Correct it; or choose “text” beside it, to send it as it stands."


@dataclass(frozen=True, slots=True)
class Copied:
    """The form filled with an event.

    Attributes:
        form: the fields.
        notes: the parts that can't be edited as text, one sentence each.
        place: topic, partition and offset of the event.
        only_key: True if only the key was copied.
        origin: a dead letter's original topic, None for another event.
        left_out: how many headers were omitted because a dead letter's refusal added them.
        partition: a dead letter's original partition; None if its headers don't contain it.
        untold: True for an event of a dead-letter topic (by its name) whose headers name no original topic.
    """

    form: dict[str, str]
    notes: tuple[str, ...]
    place: tuple[str, int, int]
    only_key: bool
    origin: str | None
    left_out: int = 0
    partition: int | None = None
    untold: bool = False

    @property
    def broken(self) -> str:
        """The note about a value that looks like JSON but is not. It goes as soon as the value is right."""
        return BROKEN


def address_of(text: str) -> tuple[str, int, int] | None:
    """Parse the address `T/P/O` into topic, partition and offset; None if it is invalid."""
    found = re.fullmatch(r"([A-Za-z0-9._-]{1,249})/([0-9]{1,9})/([0-9]{1,18})", text)
    return (found[1], int(found[2]), int(found[3])) if found else None


def copied(event: Event, *, target: str | None = None, only_key: bool = False, whole: bool = False) -> Copied:
    """Fill the form with an event.

    Args:
        event: the stored event.
        target: the topic that the form sends to. A dead letter that returns to its original topic gets a header with
            its address.
        only_key: copy only the key.
        whole: keep the headers that a dead letter's refusal added.
    """
    letter = None if only_key else dead_letter(event)
    left_out = 0
    if letter is not None and not whole:
        kept = without_refusal(event.headers)
        left_out = len(event.headers) - len(kept)
        event = event._replace(headers=sent_back(event) if letter.topic == target else kept)
    origin = letter.topic if letter is not None else None
    partition = letter.place[0] if letter is not None and letter.place is not None else None
    form: dict[str, str] = {}
    notes: list[str] = []
    form["key_kind"], form["key"] = _field("key", event.key, notes, one_line=True)
    if not only_key:
        kind, form["value"] = _field("value", event.value, notes)
        if kind == "text" and form["value"].lstrip()[:1] in ("{", "["):
            kind = "json"
            if json_error(form["value"]) is not None:
                notes.append(BROKEN)
        form["value_kind"] = "null" if kind == "none" else kind
        form["headers_kind"], form["headers"] = _headers(event, notes)
    place = (event.topic, event.partition, event.offset)
    untold = letter is None and not only_key and letters_of(event.topic) is not None
    return Copied(form, tuple(notes), place, only_key, origin, left_out, partition, untold)


def _field(what: str, data: bytes | None, notes: list[str], *, one_line: bool = False) -> tuple[str, str]:
    if not data:
        return ("none" if data is None else "empty"), ""
    why = _not_text(data, one_line)
    if why is None:
        return "text", data.decode()
    notes.append(
        f"The {what} cannot be edited as text: {why}. It is here as base64; sent as it stands, it is the same."
    )
    return "base64", base64.b64encode(data).decode()


def _not_text(data: bytes, one_line: bool) -> str | None:
    """Return why a form would change the bytes, None if it keeps them."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return f"byte 0x{data[error.start]:02x} at position {error.start} is not UTF-8"
    if b"\r" in data:
        return "it has a carriage return, which a form turns into a line break"
    if b"\0" in data:
        return "it has a NUL character, which a browser replaces"
    return "it has a line break, which this field drops" if one_line and b"\n" in data else None


def _headers(event: Event, notes: list[str]) -> tuple[str, str]:
    if all(_plain_name(name) and _plain_value(value) for name, value in event.headers):
        return "lines", _lines(event.headers)
    notes.append("The headers do not fit into lines of text. They are here as JSON, which keeps every byte.")
    return "json", json.dumps(json.loads(to_line(event))["headers"], ensure_ascii=False)


def _plain_name(name: str) -> bool:
    encoded = name.encode("utf-8", "surrogateescape")
    return bool(name) and name == name.strip() and ":" not in name and _not_text(encoded, True) is None


def _plain_value(value: bytes | None) -> bool:
    if not value:
        return True
    return _not_text(value, True) is None and value.decode() == value.decode().strip()


def _lines(headers: Headers) -> str:
    return "\n".join(
        name if value is None else f"{name}: {value.decode()}" if value else f"{name}:" for name, value in headers
    )
