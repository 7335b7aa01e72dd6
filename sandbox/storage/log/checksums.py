"""Checksums of record batches: bits that changed on the disk are told, not passed on.

Problem: SQLite has no checksums of its pages, so a bit in the middle of a value changes that value and nothing else.
Trade: one CRC-32C for each record batch, over what the batch says of itself and over its events, made when it is
written and compared when it is read whole. It is made a column at a time: ten calls for a batch, whatever its length.
Consequence: single events, as lists on the pages show them, are not compared; `sandbox check` compares them all.

A checksum is that of the events that a batch still has in its log: when compaction takes some, or the log start offset
comes to lie within the batch, it is made again, after the old one was found to be right. NULL is the checksum of a
batch that was written before there were any.
"""

import struct
from collections.abc import Sequence
from typing import Any

import google_crc32c

_HEAD = struct.Struct(">20q")
_NULL = b"\xff\x00null\xff"
"""What stands for null: no text, and nothing that one changed bit makes of a null."""
_BETWEEN = b"\x00"


class Unreadable(Exception):
    """A row has something else than events have, such as a text for a timestamp."""


def checksum(
    facts: tuple[Any, ...],
    offsets: Sequence[int] | range,
    timestamps: Sequence[int],
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    headers: Sequence[str | None] | None,
) -> int:
    """The checksum of a batch, 0 to 2**32 - 1.

    Args:
        facts: of the batch: the columns of `log.BATCH_COLUMNS` but the last, which is the checksum.
        offsets: of its events, upwards.
        timestamps: in ms, one for each event, as are the next three.
        headers: JSON as it is stored; None where no event has any.

    Raises:
        Unreadable: there is something else in one of these.
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
    """The checksum of a batch with one event: half the time, and many batches have one."""
    try:
        head = _HEAD.pack(*_without_null(facts), offset, timestamp)
        parts: tuple[bytes, ...] = (head, _NULL if key is None else key, _NULL if value is None else value)
        if headers is not None:
            parts += (headers.encode(),)
        return int(google_crc32c.value(_BETWEEN.join(parts)))
    except (struct.error, TypeError, AttributeError, UnicodeError) as error:
        raise Unreadable(str(error)) from error


def _without_null(facts: tuple[Any, ...]) -> tuple[Any, ...]:
    """The horizon, the last of the facts, is null in most batches."""
    return facts if facts[17] is not None else (*facts[:17], -1)


def _packed(timestamps: Sequence[int]) -> bytes:
    """Most batches have few timestamps, many only one: packed once, that takes a fifth of the time."""
    count = len(timestamps)
    if count and timestamps.count(timestamps[0]) == count and type(sum(timestamps)) is int:
        return struct.pack(">q", timestamps[0]) * count
    return struct.pack(f">{count}q", *timestamps)


def _joined(column: Sequence[bytes | None]) -> bytes:
    try:
        return _BETWEEN.join(column)  # type: ignore[arg-type]
    except TypeError:
        return _BETWEEN.join([_NULL if one is None else one for one in column])
