"""The records inside a batch to columns of events, where neighbours are alike: what `records.decode_records` tells too.

Problem: every record begins with numbers of one to ten bytes, which Python reads one by one: that takes as long as
SQLite takes to insert the event. Trade: where records have keys and values of the same lengths, each byte of these
numbers lies at the same distance from that of the next record, so one slice with a step compares a byte of all of
them. Consequence: events of many lengths are read one by one as before, after a look at the first few. Nothing is
believed that is not checked there too: whatever is unusual is left to `decode_records`, which names what is wrong.
"""

from struct import Struct
from typing import NamedTuple

from sandbox.storage.log.event_columns import EventColumns
from sandbox.wire.records.varint import HIGH, SIGNED, ZIGZAG, zigzag

RECORDS_MIN = 48
"""Fewer records are read as fast one by one."""
ALIKE_MIN = 48
"""How many neighbours must be alike, so that it pays to look for them."""
FIRST_RECORDS = 64
RECORDS_AT_ONCE = 1024
"""How many records are compared at first, and at most."""
VARINT_ENDS = (64, 64 << 7, 64 << 14, 64 << 21)
"""Where the varints of 0 and up get longer by a byte."""
NULL = b"\x01"
"""The length -1."""

_ODD = bytes(range(1, 256, 2))
_LAST = bytes(range(128))
_HALF = bytes(byte >> 1 for byte in range(256))


class _Shape(NamedTuple):
    """Of what a record consists, in bytes; a length of -1 is null."""

    head: bytes
    time_bytes: int
    offset_bytes: int
    key_length: bytes
    key_bytes: int
    value_length: bytes
    value_bytes: int


def decode_alike(body: bytes, position: int, count: int, base_timestamp: int) -> EventColumns | None:
    """The records from ``position`` to the end of ``body``, whose offset deltas are 0, 1, 2 ...

    Args:
        body: records that are not compressed.
        position: where the first begins.
        count: how many there are, as the batch says.
        base_timestamp: of the batch, in ms.

    Returns:
        None where they are few, too different, have headers, or break a rule.
    """
    try:
        if count < RECORDS_MIN or not _begins_alike(body, position):
            return None
        return _decode(body, position, count, base_timestamp)
    except IndexError:
        # Cut short.
        return None


def _decode(body: bytes, position: int, count: int, base_timestamp: int) -> EventColumns | None:
    times: list[int] = []
    keys: list[bytes | None] = []
    values: list[bytes | None] = []
    done, at_once = 0, FIRST_RECORDS
    while done < count:
        shape = _shape(body, position, done)
        if shape is None:
            return None
        end = VARINT_ENDS[shape.offset_bytes - 1]
        alike = _alike(body, position, shape, min(count, end, done + at_once) - done)
        part = _times(body, position, shape, alike)
        if part is None or not _has_offsets(body, position, shape, done, alike):
            return None
        done += alike
        if alike < ALIKE_MIN and done < min(count, end):
            return None
        times += part
        position = _read(body, position, shape, alike, keys, values)
        at_once = RECORDS_AT_ONCE
    if position != len(body):
        return None
    all_keys, all_values = (None if column.count(None) == count else column for column in (keys, values))
    return EventColumns(0, base_timestamp, times, all_keys, all_values)


def _begins_alike(body: bytes, position: int) -> bool:
    """Whether the first records are of one length. Most that are not alike are known by that, which costs nothing."""
    size, at = _length(body, position)
    stride = at - position + size
    head = body[position : at + 1]
    return size > 0 and all(body.startswith(head, position + place * stride) for place in (1, 2, 3))


def _shape(body: bytes, position: int, delta: int) -> _Shape | None:
    """Of what the record at ``position`` consists; None where it is none that is read here."""
    start = position
    size, position = _length(body, position)
    stop = position + size
    if size < 0 or stop > len(body) or body[position] or body[stop - 1]:
        # Cut short, attributes, or headers.
        return None
    position += 1
    head = body[start:position]
    time_bytes = 1 if body[position] < 0x80 else 2
    position += time_bytes
    offset_bytes = next((width for width, end in enumerate(VARINT_ENDS, 1) if delta < end), 0)
    position += offset_bytes
    if not offset_bytes or position + 2 >= stop:
        return None
    key_at = position
    key_bytes, position = _length(body, position)
    key_length = body[key_at:position]
    position += max(key_bytes, 0)
    if key_bytes < -1 or position + 1 >= stop:
        return None
    value_at = position
    value_bytes, position = _length(body, position)
    value_length = body[value_at:position]
    if value_bytes < -1 or position + max(value_bytes, 0) + 1 != stop:
        return None
    return _Shape(head, time_bytes, offset_bytes, key_length, key_bytes, value_length, value_bytes)


def _length(body: bytes, position: int) -> tuple[int, int]:
    """A length of up to 8,191 and the position after it, -2 for any other."""
    low = body[position]
    if low < 0x80:
        return SIGNED[low], position + 1
    high = body[position + 1]
    return (SIGNED[low + HIGH[high]], position + 2) if high < 0x80 else (-2, position)


def _stride(shape: _Shape) -> int:
    numbers = shape.time_bytes + shape.offset_bytes + len(shape.key_length) + len(shape.value_length)
    return len(shape.head) + numbers + max(shape.key_bytes, 0) + max(shape.value_bytes, 0) + 1


def _alike(body: bytes, position: int, shape: _Shape, wanted: int) -> int:
    """How many records from ``position`` on, ``wanted`` at most, have the same lengths and no headers."""
    stride = _stride(shape)
    end = position + min(wanted, (len(body) - position) // stride) * stride
    key_at = position + len(shape.head) + shape.time_bytes + shape.offset_bytes
    value_at = key_at + len(shape.key_length) + max(shape.key_bytes, 0)
    for at, piece in ((position, shape.head), (key_at, shape.key_length), (value_at, shape.value_length)):
        for place in range(len(piece)):
            same = body[at + place : end : stride]
            different = len(same.lstrip(piece[place : place + 1]))
            if different:
                end = position + (len(same) - different) * stride
    same = body[position + stride - 1 : end : stride]
    return len(same) - len(same.lstrip(b"\0"))


def _times(body: bytes, position: int, shape: _Shape, count: int) -> list[int] | None:
    """How long after the base timestamp each record is, in ms."""
    stride = _stride(shape)
    at = position + len(shape.head)
    end = position + count * stride
    last = body[at + shape.time_bytes - 1 : end : stride]
    if not last.isascii():
        return None
    if shape.time_bytes == 1:
        if last.translate(None, _ODD) == last:
            return list(last.translate(_HALF))
        return [SIGNED[byte] for byte in last]
    first = body[at:end:stride]
    if first.translate(None, _LAST) != first:
        return None
    return [SIGNED[low + HIGH[high]] for low, high in zip(first, last, strict=True)]


def _has_offsets(body: bytes, position: int, shape: _Shape, delta: int, count: int) -> bool:
    """Whether the records have the offset deltas from ``delta`` on."""
    stride = _stride(shape)
    at = position + len(shape.head) + shape.time_bytes
    end = position + count * stride
    columns = [body[at + place : end : stride] for place in range(shape.offset_bytes)]
    if delta + count < len(ZIGZAG):
        wanted = _OFFSETS[: shape.offset_bytes]
        return all(column == known[delta : delta + count] for column, known in zip(columns, wanted, strict=True))
    return [bytes(one) for one in zip(*columns, strict=True)] == [zigzag(one) for one in range(delta, delta + count)]


_ONE, _TWO = (b"".join(ZIGZAG[start:end]) for start, end in ((0, VARINT_ENDS[0]), (VARINT_ENDS[0], -1)))
_OFFSETS = (_ONE + _TWO[0::2], _ONE + _TWO[1::2])
"""The first and the last bytes of the varints of 0 and up."""


def _read(
    body: bytes, position: int, shape: _Shape, count: int, keys: list[bytes | None], values: list[bytes | None]
) -> int:
    """Appends the keys and values of ``count`` records; the position after them."""
    before = len(shape.head) + shape.time_bytes + shape.offset_bytes + len(shape.key_length)
    key_bytes, value_bytes = max(shape.key_bytes, 0), max(shape.value_bytes, 0)
    record = Struct(f"{before}x{key_bytes}s{len(shape.value_length)}x{value_bytes}sx")
    end = position + count * record.size
    some_keys, some_values = zip(*record.iter_unpack(memoryview(body)[position:end]), strict=True)
    keys += some_keys if shape.key_bytes >= 0 else [None] * count
    values += some_values if shape.value_bytes >= 0 else [None] * count
    return end
