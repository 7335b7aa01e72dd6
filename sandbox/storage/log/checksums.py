"""Checksums of record batches: they detect bits that changed on the disk.

Problem: SQLite has no checksums of its pages, so a bit flip in the middle of a value changes that value and nothing
else. Trade: one CRC-32C per record batch, over the batch's own fields and its events, computed when it is written and
compared when it is read completely. It is computed by column: ten calls per batch, whatever its length. Consequence:
single events, as lists on the pages show them, are not compared; `sandbox check` compares them all.

A checksum covers the events that a batch still has in its log. When compaction deletes some, or the log start offset
moves into the batch, it is computed again after the old one was verified. NULL is the checksum of a batch that was
written before version 3 of the file.
"""

import struct
from collections.abc import Sequence
from typing import Any

import google_crc32c

_HEAD = struct.Struct(">20q")
_NULL = b"\xff\x00null\xff"
"""Represents null: it is not UTF-8, and no single bit flip turns a null into a value or back."""
_BETWEEN = b"\x00"


class Unreadable(Exception):
    """A row has a value of the wrong type, such as a text for a timestamp."""


def checksum(
    facts: tuple[Any, ...],
    offsets: Sequence[int] | range,
    timestamps: Sequence[int],
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    headers: Sequence[str | None] | None,
) -> int:
    """Return the checksum of a batch, 0 to 2**32 - 1.

    Args:
        facts: the batch's own fields: the columns of `log.BATCH_COLUMNS` without the last, the checksum.
        offsets: its events' offsets, ascending.
        timestamps: in ms, one per event, as are the next three.
        headers: JSON as it is stored; None if no event has any.

    Raises:
        Unreadable: a value has the wrong type.
    """
    count = len(offsets)
    if count == 1:
        return checksum_of_one(facts, offsets[0], timestamps[0], keys[0], values[0], headers[0] if headers else None)
    try:
        first = offsets[0] if count else -1
        head = _HEAD.pack(*_without_null(facts), first, count)
        if count and offsets[-1] - first + 1 != count:
            head += struct.pack(f">{count}q", *offsets)
        crc: int = google_crc32c.value(head + _packed(timestamps))
        crc = google_crc32c.extend(crc, _joined(keys))
        crc = google_crc32c.extend(crc, _joined(values))
        if headers is not None:
            crc = google_crc32c.extend(crc, _joined([None if text is None else text.encode() for text in headers]))
    except (struct.error, TypeError, AttributeError, UnicodeError) as error:
        raise Unreadable(str(error)) from error
    return crc


def checksum_of_one(
    facts: tuple[Any, ...], offset: int, timestamp: int, key: bytes | None, value: bytes | None, headers: str | None
) -> int:
    """Return the checksum of a batch with one event, in half the time: many batches have one."""
    try:
        head = _HEAD.pack(*_without_null(facts), offset, timestamp)
        parts: tuple[bytes, ...] = (head, _NULL if key is None else key, _NULL if value is None else value)
        if headers is not None:
            parts += (headers.encode(),)
        return int(google_crc32c.value(_BETWEEN.join(parts)))
    except (struct.error, TypeError, AttributeError, UnicodeError) as error:
        raise Unreadable(str(error)) from error


def _without_null(facts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Replace a null delete horizon, the last of the facts; most batches have none."""
    return facts if facts[17] is not None else (*facts[:17], -1)


def _packed(timestamps: Sequence[int]) -> bytes:
    """Pack the timestamps. Most batches have only one distinct timestamp, which takes a fifth of the time."""
    count = len(timestamps)
    if count and timestamps.count(timestamps[0]) == count and type(sum(timestamps)) is int:
        return struct.pack(">q", timestamps[0]) * count
    return struct.pack(f">{count}q", *timestamps)


def _joined(column: Sequence[bytes | None]) -> bytes:
    try:
        return _BETWEEN.join(column)  # type: ignore[arg-type]
    except TypeError:
        return _BETWEEN.join([_NULL if one is None else one for one in column])
