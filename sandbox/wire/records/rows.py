"""The records inside a batch, after any decompression: bytes to rows, rows to bytes.

This is the hot path. The loops read and write varints of one and two bytes in place, and call a function only for
longer ones, because a call costs as much as a quarter of a record. What peers send is not believed: a record may not
reach beyond its length, nor its length beyond the batch; a varint has at most five bytes, or ten; a count is compared
with the bytes that could hold it before its loop begins.

Every number in a record is a varint in zigzag form::

    length | attributes 1 | timestamp delta | offset delta | key length, key | value length, value | count of headers |
    each header: name length, name, value length, value

Source: https://kafka.apache.org/documentation/#record.
"""

from collections.abc import Sequence
from functools import lru_cache

from sandbox.wire.records.varint import (
    HIGH,
    SIGNED,
    SIGNED_END,
    ZIGZAG,
    ZIGZAG_END,
    read_unsigned,
    zigzag,
    zigzag_value,
)

# (name, value); a name that is not UTF-8 has its bytes as surrogates, so that it is written as it came
Header = tuple[str, bytes | None]
# (offset or offset delta, timestamp_ms, key, value, headers: () or None for none)
Row = tuple[int, int, bytes | None, bytes | None, tuple[Header, ...] | None]

# A record of length, attributes, two deltas, two lengths and a count of headers
RECORD_BYTES_MIN = 7
VARINT_BYTES_MAX = 5
VARLONG_BYTES_MAX = 10
TIMESTAMP_MAX = 2**63 - 1


class BatchError(ValueError):
    """Bytes that are not a record batch that can be accepted."""


class InvalidRecord(BatchError):
    """A batch that arrived as it was sent, but breaks a rule: Kafka answers INVALID_RECORD."""


def decode_records(body: bytes, position: int, count: int, base_timestamp: int) -> list[Row]:
    """The records from ``position`` to the end of ``body``.

    Args:
        body: records that are not compressed.
        position: where the first begins.
        count: how many there are, as the batch says.
        base_timestamp: of the batch, in ms.

    Returns:
        Tuples (offset delta, timestamp_ms, key, value, headers).

    Raises:
        InvalidRecord: a record breaks a rule, or there are more or fewer than ``count``.
    """
    if count * RECORD_BYTES_MIN > len(body) - position:
        raise InvalidRecord(f"{len(body) - position} bytes cannot hold {count} records")
    records: list[Row] = []
    try:
        end = _read_records(records, count, base_timestamp, body, position)
    except IndexError:
        raise InvalidRecord(f"record {len(records)} is cut short by the end of the batch") from None
    except OverflowError as error:
        raise InvalidRecord(f"record {len(records)}: {error}") from None
    if end > len(body):
        raise InvalidRecord(f"record {len(records) - 1} is cut short by the end of the batch")
    if end < len(body):
        raise InvalidRecord(f"{len(body) - end} bytes follow the last record")
    return records


def _read_records(records: list[Row], count: int, base_timestamp: int, d: bytes, p: int) -> int:
    """Appends the ``count`` records of ``d`` from ``p``; returns the position after them. IndexError: cut short."""
    append = records.append
    headers: tuple[Header, ...]
    for _ in range(count):
        n = d[p]
        if n < 128:
            p += 1
        elif (b := d[p + 1]) < 128:
            n += HIGH[b]
            p += 2
        else:
            n, p = read_unsigned(d, p, VARINT_BYTES_MAX)
        # Twice the position where the record must end: of a negative length it is odd, and no end fits.
        twice_stop = p + p + n
        n = d[p + 1]
        if n < 128:
            p += 2
        elif (b := d[p + 2]) < 128:
            n += HIGH[b]
            p += 3
        else:
            n, p = _read_timestamp_delta(d, p + 1, base_timestamp)
        timestamp_ms = base_timestamp + (SIGNED[n] if n < SIGNED_END else zigzag_value(n))
        delta = d[p]
        if delta < 128:
            p += 1
        elif (b := d[p + 1]) < 128:
            delta += HIGH[b]
            p += 2
        else:
            delta, p = read_unsigned(d, p, VARINT_BYTES_MAX)
        n = d[p]
        if n < 128:
            p += 1
        else:
            n, p = read_unsigned(d, p, VARINT_BYTES_MAX)
        key = _null(n) if n & 1 else d[p : (p := p + (n >> 1))]
        n = d[p]
        if n < 128:
            p += 1
        elif (b := d[p + 1]) < 128:
            n += HIGH[b]
            p += 2
        else:
            n, p = read_unsigned(d, p, VARINT_BYTES_MAX)
        value = _null(n) if n & 1 else d[p : (p := p + (n >> 1))]
        if d[p]:
            headers, p = _read_headers(d, p, twice_stop >> 1)
        else:
            headers = ()
            p += 1
        if p + p != twice_stop:
            raise InvalidRecord(f"record {len(records)} ends at byte {p}, but its length says {twice_stop // 2}")
        append((SIGNED[delta] if delta < SIGNED_END else zigzag_value(delta), timestamp_ms, key, value, headers))
    return p


def _null(number: int) -> bytes | None:
    if number != 1:
        raise InvalidRecord(f"a record has a key, value or header value of {zigzag_value(number)} bytes")
    return None


def _read_timestamp_delta(d: bytes, p: int, base_timestamp: int) -> tuple[int, int]:
    number, p = read_unsigned(d, p, VARLONG_BYTES_MAX)
    timestamp_ms = base_timestamp + zigzag_value(number)
    if not -TIMESTAMP_MAX <= timestamp_ms <= TIMESTAMP_MAX:
        raise InvalidRecord(f"a record has a timestamp of {timestamp_ms} ms")
    return number, p


@lru_cache(maxsize=1024)
def _name(encoded: bytes) -> str:
    return encoded.decode("utf-8", "surrogateescape")


def _read_headers(d: bytes, p: int, stop: int) -> tuple[tuple[Header, ...], int]:
    count = d[p]
    if count < 128:
        p += 1
    else:
        count, p = read_unsigned(d, p, VARINT_BYTES_MAX)
    # In zigzag form a negative count is odd, and any other is twice itself: as many bytes as its headers need.
    if count & 1 or count > stop - p:
        raise InvalidRecord(f"a record says it has {zigzag_value(count)} headers in {stop - p} bytes")
    headers = []
    while count:
        count -= 2
        n = d[p]
        if n < 128:
            p += 1
        else:
            n, p = read_unsigned(d, p, VARINT_BYTES_MAX)
        if n & 1:
            raise InvalidRecord(f"a header has a name of {zigzag_value(n)} bytes")
        name = _name(d[p : (p := p + (n >> 1))])
        n = d[p]
        if n < 128:
            p += 1
        else:
            n, p = read_unsigned(d, p, VARINT_BYTES_MAX)
        headers.append((name, _null(n) if n & 1 else d[p : (p := p + (n >> 1))]))
    return tuple(headers), p


@lru_cache(maxsize=1024)
def _name_bytes(name: str) -> bytes:
    encoded = name.encode("utf-8", "surrogateescape")
    return zigzag(len(encoded)) + encoded


def _headers_bytes(headers: tuple[Header, ...]) -> bytes:
    pieces = [ZIGZAG[n] if (n := len(headers)) < ZIGZAG_END else zigzag(n)]
    append = pieces.append
    for name, value in headers:
        append(_name_bytes(name))
        if value is None:
            append(ZIGZAG[-1])
        else:
            append(ZIGZAG[n] if (n := len(value)) < ZIGZAG_END else zigzag(n))
            append(value)
    return b"".join(pieces)


def encode_records(rows: Sequence[Row], base_offset: int, base_timestamp: int) -> bytes:
    """The records of a batch, not compressed.

    Args:
        rows: tuples (offset, timestamp_ms, key, value, headers), no offset below ``base_offset``.
        base_offset: of the batch.
        base_timestamp: of the batch, in ms.
    """
    table, known = ZIGZAG, ZIGZAG_END
    no_headers, null = table[0], table[-1]
    join = b"".join
    pieces: list[bytes] = []
    append = pieces.append
    for offset, timestamp_ms, key, value, headers in rows:
        time_delta = timestamp_ms - base_timestamp
        delta = offset - base_offset
        record = join(
            (
                b"\0",
                table[time_delta] if -1 <= time_delta < known else zigzag(time_delta),
                table[delta] if delta < known else zigzag(delta),
                null if key is None else table[n] if (n := len(key)) < known else zigzag(n),
                key or b"",
                null if value is None else table[n] if (n := len(value)) < known else zigzag(n),
                value or b"",
                _headers_bytes(headers) if headers else no_headers,
            )
        )
        append(table[n] if (n := len(record)) < known else zigzag(n))
        append(record)
    return join(pieces)
