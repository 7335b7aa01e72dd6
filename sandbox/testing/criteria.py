"""A test's expectation of an event, and how an event differs from it."""

import json
import json as json_codec
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sandbox.kafka.event import Event


class SeenEvent(Event):
    """One event of a topic; see `sandbox.kafka.event.Event` for its fields."""

    __slots__ = ()

    @property
    def text(self) -> str | None:
        """The value as text; None for a tombstone. Raises UnicodeDecodeError if it isn't UTF-8."""
        return None if self.value is None else self.value.decode()

    @property
    def json(self) -> Any:
        """The value, parsed as JSON; None for a tombstone. Raises ValueError if it isn't JSON."""
        return None if self.value is None else json.loads(self.value)

    @property
    def key_text(self) -> str | None:
        """The key as text; None without a key. Raises UnicodeDecodeError if it isn't UTF-8."""
        return None if self.key is None else self.key.decode()

    @property
    def place(self) -> str:
        """Its place: "topic/partition/offset", as the page's search understands it."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    def header(self, name: str) -> bytes | None:
        """Return the last value of a header; None if it has none."""
        return next((value for found, value in reversed(self.headers) if found == name), None)


SHOWN_MAX = 200


class Anything:
    """The value of a criterion that was not given: None means a null key or a tombstone."""

    def __repr__(self) -> str:
        return "ANY"


ANY: Final = Anything()


@dataclass(frozen=True, slots=True)
class Criteria:
    """What an event must have. A criterion that isn't given accepts everything.

    Attributes:
        key, value: the exact bytes, text (UTF-8), or None for none.
        json: what the JSON in the value must contain: an object needs the given names, and may have others, at every
            depth; an array needs exactly the given elements. Any other value is compared with ==.
        headers: header names with the value that one header of the name must have; None for a null value.
        partition: the partition.
        where: returns whether it accepts an event.
    """

    key: bytes | str | Anything | None = ANY
    value: bytes | str | Anything | None = ANY
    json: Any = ANY
    headers: Mapping[str, bytes | str | None] | None = None
    partition: int | None = None
    where: Callable[[SeenEvent], object] | None = None

    @property
    def reads_json(self) -> bool:
        """True if the value's JSON is looked at: a value that was written with a schema is then decoded."""
        return self.json is not ANY

    def differences(self, event: SeenEvent) -> list[str]:
        """Return how an event differs, one line each; empty if it matches."""
        return list(self._differences(event))

    def _differences(self, event: SeenEvent) -> Iterator[str]:
        for name, expected, found in (("key", self.key, event.key), ("value", self.value, event.value)):
            if expected is not ANY and as_bytes(expected) != found:
                yield f"{name}: expected {shown(expected)}, found {shown(found)}"
        if self.json is not ANY:
            yield from self._json_differences(event)
        for header, wanted in (self.headers or {}).items():
            values = [value for found_name, value in event.headers if found_name == header]
            if as_bytes(wanted) not in values:
                there = ", ".join(map(shown, values)) or "no such header"
                yield f"header {header}: expected {shown(wanted)}, found {there}"
        if self.partition is not None and event.partition != self.partition:
            yield f"partition: expected {self.partition}, found {event.partition}"
        if self.where is not None and not self.where(event):
            yield f"where: {getattr(self.where, '__name__', 'the function')} returned false"

    def _json_differences(self, event: SeenEvent) -> Iterator[str]:
        try:
            found = event.json
        except ValueError:
            yield f"json: expected {shown_json(self.json)}, found a value that isn't JSON: {shown(event.value)}"
            return
        yield from json_differences(self.json, found, "$")

    def matches(self, event: SeenEvent) -> bool:
        """True if the event has everything."""
        return next(self._differences(event), None) is None

    def __str__(self) -> str:
        given = [
            *(
                f"{name} {shown(expected)}"
                for name, expected in (("key", self.key), ("value", self.value))
                if expected is not ANY
            ),
            *([f"json {shown_json(self.json)}"] if self.json is not ANY else []),
            *(f"header {name}: {shown(value)}" for name, value in (self.headers or {}).items()),
            *([f"partition {self.partition}"] if self.partition is not None else []),
            *([f"where {getattr(self.where, '__name__', 'the function')} is true"] if self.where is not None else []),
        ]
        return ", ".join(given)


def as_bytes(given: bytes | str | Anything | None) -> bytes | None:
    """Return the bytes that a test means by a key, a value or a header."""
    if isinstance(given, str):
        return given.encode()
    if given is None or isinstance(given, bytes):
        return given
    raise TypeError(f"expected bytes, text or None, not {given!r}; compare JSON with json=")


def json_differences(expected: Any, found: Any, path: str) -> Iterator[str]:
    """Yield how a parsed JSON value differs from an expected one, with the path of each difference."""
    if isinstance(expected, Mapping) and isinstance(found, dict):
        for name, inner in expected.items():
            place = f"{path}.{name}"
            if name not in found:
                yield f"{place}: expected {shown_json(inner)}, but it is missing"
            else:
                yield from json_differences(inner, found[name], place)
    elif isinstance(expected, list | tuple) and isinstance(found, list):
        if len(expected) != len(found):
            yield f"{path}: expected {len(expected)} elements, found {len(found)}: {shown_json(found)}"
            return
        for index, (inner, other) in enumerate(zip(expected, found, strict=True)):
            yield from json_differences(inner, other, f"{path}[{index}]")
    elif not _equal(expected, found):
        yield f"{path}: expected {shown_json(expected)}, found {shown_json(found)}"


def _equal(expected: Any, found: Any) -> bool:
    # In Python, True == 1. The expected value may be any object that compares itself, such as pytest.approx(1.5).
    if isinstance(expected, bool | int | float) and isinstance(expected, bool) != isinstance(found, bool):
        return False
    return bool(expected == found)


def shown(found: bytes | str | Anything | None) -> str:
    """Return bytes or text as a failure shows them: text in quotes, cut after `SHOWN_MAX` characters."""
    if found is None:
        return "null"
    if isinstance(found, bytes):
        try:
            found = found.decode()
        except UnicodeDecodeError:
            return _cut(repr(found))
    return _cut(repr(found))


def shown_json(found: Any) -> str:
    """Return an expected or parsed JSON value as a failure shows it."""
    try:
        return _cut(json_codec.dumps(found, ensure_ascii=False))
    except (TypeError, ValueError):
        return _cut(repr(found))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 1]}…"


def nearest(criteria: Criteria, events: Sequence[SeenEvent], limit: int) -> list[tuple[SeenEvent, list[str]]]:
    """Return the events that differ least from what was expected, with their differences, nearest first.

    An event that shares nothing with several criteria isn't near.
    """
    asked = (
        sum((criteria.key is not ANY, criteria.value is not ANY, criteria.json is not ANY))
        + len(criteria.headers or {})
        + (criteria.partition is not None)
        + (criteria.where is not None)
    )
    found = [(event, criteria.differences(event)) for event in events]
    misses = sorted((one for one in found if one[1]), key=lambda one: len(one[1]))
    near = [one for one in misses if asked < 2 or len(one[1]) < asked or criteria.json is not ANY]
    return near[:limit]
