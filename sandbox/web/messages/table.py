"""The rows of a Messages page: JSON fields and headers as columns, and which groups have read each event."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from jinja2.runtime import Macro
from markupsafe import Markup

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event
from sandbox.model.json_conditions import HeaderName, JsonPath, check_header, paths_in
from sandbox.model.json_values import MISSING, Number, json_text, parse_value, shown_text
from sandbox.web.decoding import decoded_key, decoded_value, decoder, readable_value
from sandbox.web.messages.dead_letters import fates_of, number_in
from sandbox.web.messages.query import Field
from sandbox.web.payload import describe
from sandbox.web.responses import backend
from sandbox.web.rows import drawn

PATHS_KEPT = 4096
ROW_KEPT_MAX_BYTES = 2048
FIELDS_MAX = 40
HEADER_SHOWN_CHARACTERS = 100
FILTER_CHARACTERS_MAX = 300
"""Longer values are not offered as a filter."""
PARSED_MAX_BYTES = 64 * 1024
MARKS_MAX = 6
"""With more groups than this, a row shows only the number of groups that have read it."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The groups that have committed in an event's partition.

    Attributes:
        read: group id, and True if it has committed past the event; sorted by group id.
    """

    read: tuple[tuple[str, bool], ...]

    @property
    def count(self) -> int:
        """The number of groups that have read the event."""
        return sum(read for _, read in self.read)

    @property
    def text(self) -> str:
        """The marks in words, for a title and for screen readers."""
        if not self.read:
            return "no group has committed here"
        have = ", ".join(group for group, read in self.read if read)
        not_yet = ", ".join(group for group, read in self.read if not read)
        return "; ".join(part for part in (have and f"read by {have}", not_yet and f"not yet by {not_yet}") if part)


def committed_in(topic: str) -> Mapping[str, Mapping[int, int]]:
    """Return group to partition to committed offset."""
    return backend().survey.committed(topic)


def marks_of(event: Event, committed: Mapping[str, Mapping[int, int]]) -> Marks:
    """Return which groups have read an event."""
    return Marks(
        tuple(
            (group, offsets[event.partition] > event.offset)
            for group, offsets in committed.items()
            if event.partition in offsets
        )
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """One JSON field or header of one event.

    Attributes:
        text: None if the event doesn't have it.
        number: True for a JSON number.
        filter: the field of the filters' form, "where" or "header", and its value, which find the events with the same
            value; None for an object, an array, or a long text.
    """

    text: str | None
    number: bool
    filter: tuple[str, str] | None = None


def cells_of(event: Event, columns: tuple[Field, ...]) -> tuple[Cell, ...]:
    """Return the cells of an event's JSON fields and headers."""
    if not columns:
        return ()
    root = parse_value(readable_value(event)) if any(isinstance(column, JsonPath) for column in columns) else None
    return tuple(
        _header_cell(event, column.name) if isinstance(column, HeaderName) else _cell(column, column.find(root))
        for column in columns
    )


def _cell(path: JsonPath, node: object) -> Cell:
    number = isinstance(node, Number)
    condition = f"{path} = {json_text(node)}" if node is not MISSING and not isinstance(node, dict | list) else ""
    chosen = ("where", condition) if condition and len(condition) <= FILTER_CHARACTERS_MAX else None
    return Cell(shown_text(node), number, chosen)


def _header_cell(event: Event, name: str) -> Cell:
    """Return a header's value, or all values if the name is repeated."""
    values = [value for one, value in event.headers if one == name]
    texts = [_header_text(name, value) for value in values]
    return Cell(", ".join(texts) if texts else None, False, _header_filter(name, values))


def _header_filter(name: str, values: list[bytes | None]) -> tuple[str, str] | None:
    if len(values) != 1 or values[0] is None or len(values[0]) > FILTER_CHARACTERS_MAX:
        return None
    try:
        return "header", check_header(f"{name}={values[0].decode()}")
    except (UnicodeDecodeError, BrokerError):
        return None


def _header_text(name: str, value: bytes | None) -> str:
    number = number_in(name, value)
    if number is not None:
        return str(number)
    return "null" if value is None else describe(value, HEADER_SHOWN_CHARACTERS).preview


def rows_of(
    row: Macro, events: Sequence[Event], columns: tuple[Field, ...], committed: Mapping[str, Mapping[int, int]]
) -> Markup:
    """Return the rows of a page. Events are immutable, so the rows of small ones are cached for the next update.

    Args:
        row: renders one row.
        columns: JSON fields and headers between key and value.
        committed: group to partition to committed offset; if empty, there is no column of marks.
    """
    fates = fates_of(events)
    choices = tuple(decoder().chosen(events[0].topic, is_key=is_key) for is_key in (False, True)) if events else ()
    return Markup("").join(
        drawn(
            row,
            (event.topic, event.partition, event.offset, *choices),
            event,
            columns,
            marks_of(event, committed) if committed else None,
            fates.get((event.partition, event.offset)),
            kept=_size_bytes(event) <= ROW_KEPT_MAX_BYTES and not _may_become_readable(event),
        )
        for event in events
    )


def _may_become_readable(event: Event) -> bool:
    """True for a key or value whose schema may still be registered."""
    return any(decoded is not None and decoded.problem for decoded in (decoded_key(event), decoded_value(event)))


def _size_bytes(event: Event) -> int:
    return len(event.key or b"") + len(event.value or b"") + sum(len(value or b"") for _, value in event.headers)


@lru_cache(maxsize=PATHS_KEPT)
def _paths(value: bytes) -> tuple[Field, ...]:
    return tuple(paths_in(parse_value(value)))


def fields_seen(events: Iterable[Event]) -> list[Field]:
    """Return the headers and JSON fields of a page's events, most frequent first."""
    counts: dict[Field, int] = {}
    for event in events:
        for name in {name for name, _ in event.headers}:
            if name.isprintable() and 0 < len(name) <= HEADER_SHOWN_CHARACTERS:
                counts[HeaderName(name)] = counts.get(HeaderName(name), 0) + 1
        value = readable_value(event)
        if not value or len(value) > PARSED_MAX_BYTES or value[:1] not in b"{[ \t\r\n":
            continue
        small = len(value) <= ROW_KEPT_MAX_BYTES
        for path in _paths(value) if small else tuple(paths_in(parse_value(value))):
            counts[path] = counts.get(path, 0) + 1
    return sorted(counts, key=lambda path: -counts[path])[:FIELDS_MAX]
