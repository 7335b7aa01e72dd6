"""Filters the events of a query: in SQLite, and for JSON conditions on the bytes of a value."""

from collections.abc import Iterator
from typing import Any

from sandbox.model.json_conditions import meets
from sandbox.model.messages import MessageQuery
from sandbox.schemas.decoding import EventDecoder
from sandbox.storage.deserializers import MAY_BE_DECODED
from sandbox.storage.file.database import Reader
from sandbox.storage.file.schema import OFFSET_BITS
from sandbox.storage.log.log import headers_from_json


def sql_conditions(query: MessageQuery, decoder: EventDecoder | None = None) -> tuple[str, list[Any]]:
    """Return the filters as an SQL condition on `events`, and its parameters. Text is compared byte by byte.

    Args:
        decoder: keys and values that it may decode are all found; None compares what is stored.
    """
    conditions: list[str] = []
    parameters: list[Any] = []
    for part, text, exact in (("key", query.key, query.key_exact), ("value", query.value, False)):
        if text is None or (decoder is not None and decoder.chosen(query.topic, is_key=part == "key")):
            continue
        condition = f"CAST({part} AS BLOB) = ?" if exact else f"instr(CAST({part} AS BLOB), ?)"
        conditions.append(condition if decoder is None else f"({condition} OR {MAY_BE_DECODED[part]})")
        parameters.append(text.encode())
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


def is_decoded(query: MessageQuery) -> bool:
    """Return True if a query's filters compare keys or values as they are shown."""
    return bool(query.conditions) or query.key is not None or query.value is not None


class Matching:
    """Finds the events of a query in ranges of offsets. It reads no more of an event than necessary.

    Args:
        reader: the read transaction.
        query: the query with the filters.
        decoder: decodes keys and values for the filters; None leaves them as they are.

    Attributes:
        scanned: how many offsets were searched.
        decoder: the decoder, None if no filter needs it.
    """

    def __init__(self, reader: Reader, query: MessageQuery, decoder: EventDecoder | None = None) -> None:
        self._reader = reader
        self._query = query
        self.decoder = decoder if is_decoded(query) else None
        self._where, self._parameters = sql_conditions(query, self.decoder)
        self.scanned = 0

    def places(self, partition_id: int, first: int, last: int) -> list[tuple[int, int]]:
        """Return (offset, timestamp) of the matching events from `first` to `last` (inclusive), ascending."""
        base = partition_id << OFFSET_BITS
        self.scanned += last - first + 1
        rows = self._reader.rows(
            f"SELECT id, timestamp{self._columns()} FROM events WHERE id BETWEEN ? AND ? {self._where} ORDER BY id",
            (base + first, base + last, *self._parameters),
        )
        return list(self._matching(rows, base))

    def _columns(self) -> str:
        if self.decoder is None:
            return ", CAST(value AS BLOB)" if self._query.conditions else ""
        key = "CAST(key AS BLOB)" if self._query.key is not None else "NULL"
        value = "CAST(value AS BLOB)" if self._query.conditions or self._query.value is not None else "NULL"
        return f", {value}, {key}, headers"

    def _matching(self, rows: Any, base: int) -> Iterator[tuple[int, int]]:
        if self.decoder is not None:
            for row_id, timestamp, value, key, headers in rows:
                fields = headers_from_json(headers) if headers is not None and "_schema_id" in headers else ()
                if self.decoder.meets(self._query, key, value, fields):
                    yield row_id - base, timestamp
        elif self._query.conditions:
            for row_id, timestamp, value in rows:
                if meets(self._query.conditions, value):
                    yield row_id - base, timestamp
        else:
            for row_id, timestamp in rows:
                yield row_id - base, timestamp


def joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge adjacent ranges of offsets, so that many small batches need one query."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found
