"""Formats the values of a query result for the page, for files and for charts."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from sandbox.model.sql_result import Cell, LongCell, SqlResult
from sandbox.web.payload import visible

BYTES_SHOWN = 24
SERIES_MAX = 8


@dataclass(frozen=True, slots=True)
class SqlCell:
    """A value as the page shows it.

    Attributes:
        kind: "null", "empty", "bytes", "text" or "number".
        cut: True if only the beginning is shown.
        size: the full length, in characters or bytes.
    """

    kind: str
    text: str
    size: int
    cut: bool


def shown(value: Cell) -> SqlCell:
    """Classify a value, and return its beginning. Integers have all their digits."""
    whole, size, cut = value, 0, False
    if isinstance(value, LongCell):
        whole, size, cut = value.head, value.length, True
    if isinstance(whole, bytes):
        size = size or len(whole)
        return SqlCell("bytes", whole[:BYTES_SHOWN].hex(" "), size, cut or size > BYTES_SHOWN)
    if isinstance(whole, str):
        return SqlCell("text" if whole else "empty", visible(whole), size or len(whole), cut)
    if whole is None:
        return SqlCell("null", "NULL", 0, False)
    return SqlCell("number", repr(whole), 0, False)


def data_value(value: Cell) -> object:
    """A value as JSON: bytes are `{"base64": …}`; a number that JSON can't express (infinity, NaN) is a string."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def event_links(result: SqlResult, topics: Sequence[str]) -> dict[int, str]:
    """Return row number to event address, for rows with partition, offset and topic; one queried topic replaces the
    column.

    Args:
        topics: the topics that the query names.
    """
    names = [name.lower() for name in result.columns]
    if "partition" not in names or "offset" not in names:
        return {}
    by_row = names.index("topic") if "topic" in names else None
    if by_row is None and len(topics) != 1:
        return {}
    partition, offset = names.index("partition"), names.index("offset")
    found = {}
    for at, row in enumerate(result.rows):
        topic = topics[0] if by_row is None else row[by_row]
        number, place = row[partition], row[offset]
        if isinstance(topic, str) and isinstance(number, int) and isinstance(place, int):
            found[at] = f"/topics/{quote(topic, safe='')}/{number}/{place}"
    return found


def chartable(result: SqlResult) -> tuple[int, ...]:
    """Return the columns that a chart draws: the numeric ones except the first column, which is its x axis."""
    return tuple(
        at
        for at in range(1, len(result.columns))
        if any(row[at] is not None for row in result.rows)
        and all(row[at] is None or isinstance(row[at], int | float) for row in result.rows)
    )[:SERIES_MAX]
