"""Filters the events of a query: in SQLite, and for JSON conditions on the bytes of a value."""

from collections.abc import Callable
from typing import Any

from sandbox.kafka.event import Headers
from sandbox.model.json_conditions import meets
from sandbox.model.messages import MessageQuery
from sandbox.schemas.framing import VALUE_HEADER, may_have_frame
from sandbox.storage.file.database import Reader
from sandbox.storage.file.schema import OFFSET_BITS
from sandbox.storage.log.log import headers_from_json

Readable = Callable[[str, bytes | None, Headers], bytes | None]
"""Returns the value of an event, decoded if it can be: by topic, value and headers."""


def sql_conditions(query: MessageQuery) -> tuple[str, list[Any]]:
    """Return the filters as an SQL condition on `events`, and its parameters. Text is compared byte by byte."""
    conditions: list[str] = []
    parameters: list[Any] = []
    if query.key is not None:
        conditions.append("CAST(key AS BLOB) = ?" if query.key_exact else "instr(CAST(key AS BLOB), ?)")
        parameters.append(query.key.encode())
    if query.value is not None:
        conditions.append("instr(CAST(value AS BLOB), ?)")
        parameters.append(query.value.encode())
    for header in query.headers:
        name, equals, value = header.partition("=")
        condition = "json_extract(h.value, '$[0]') = ?"
        parameters.append(name)
        if equals:
            condition += " AND json_extract(h.value, '$[1]') = ?"
            parameters.append(value)
        conditions.append(
            f"headers IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(events.headers) h WHERE {condition})"
        )
    if query.since_ms is not None:
        conditions.append("timestamp >= ?")
        parameters.append(query.since_ms)
    if query.until_ms is not None:
        conditions.append("timestamp < ?")
        parameters.append(query.until_ms)
    return "".join(f" AND {condition}" for condition in conditions), parameters


class Matching:
    """Finds the events of a query in ranges of offsets. It reads no more of an event than necessary.

    Args:
        reader: the read transaction.
        query: the query with the filters.
        readable: decodes values for the conditions; None leaves them as they are.

    Attributes:
        scanned: how many offsets were searched.
    """

    def __init__(self, reader: Reader, query: MessageQuery, readable: Readable | None = None) -> None:
        self._reader = reader
        self._topic = query.topic
        self._readable = readable
        self._conditions = query.conditions
        self._where, self._parameters = sql_conditions(query)
        self.scanned = 0

    def places(self, partition_id: int, first: int, last: int) -> list[tuple[int, int]]:
        """Return (offset, timestamp) of the matching events from `first` to `last` (inclusive), ascending."""
        base = partition_id << OFFSET_BITS
        self.scanned += last - first + 1
        value = ", CAST(value AS BLOB), headers" if self._conditions else ""
        rows = self._reader.rows(
            f"SELECT id, timestamp{value} FROM events WHERE id BETWEEN ? AND ? {self._where} ORDER BY id",
            (base + first, base + last, *self._parameters),
        )
        if self._conditions:
            return [(row[0] - base, row[1]) for row in rows if meets(self._conditions, self._value(*row[2:]))]
        return [(row_id - base, timestamp) for row_id, timestamp in rows]

    def _value(self, value: bytes | None, headers: str | None) -> bytes | None:
        if self._readable is None:
            return value
        fields = headers_from_json(headers) if headers is not None and VALUE_HEADER in headers else ()
        return self._readable(self._topic, value, fields) if may_have_frame(value, fields) else value


def joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge adjacent ranges of offsets, so that many small batches need one query."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found
