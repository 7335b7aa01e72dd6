"""Filters the events of a query: in SQLite, and for JSON conditions on the bytes of a value."""

from typing import Any

from sandbox.model.json_conditions import meets
from sandbox.model.messages import MessageQuery
from sandbox.storage.file.database import Reader
from sandbox.storage.file.schema import OFFSET_BITS


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

    Attributes:
        scanned: how many offsets were searched.
    """

    def __init__(self, reader: Reader, query: MessageQuery) -> None:
        self._reader = reader
        self._conditions = query.conditions
        self._where, self._parameters = sql_conditions(query)
        self.scanned = 0

    def places(self, partition_id: int, first: int, last: int) -> list[tuple[int, int]]:
        """Return (offset, timestamp) of the matching events from `first` to `last` (inclusive), ascending."""
        base = partition_id << OFFSET_BITS
        self.scanned += last - first + 1
        value = ", CAST(value AS BLOB)" if self._conditions else ""
        rows = self._reader.rows(
            f"SELECT id, timestamp{value} FROM events WHERE id BETWEEN ? AND ? {self._where} ORDER BY id",
            (base + first, base + last, *self._parameters),
        )
        if self._conditions:
            return [(row[0] - base, row[1]) for row in rows if meets(self._conditions, row[2])]
        return [(row_id - base, timestamp) for row_id, timestamp in rows]


def joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge adjacent ranges of offsets, so that many small batches need one query."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found
