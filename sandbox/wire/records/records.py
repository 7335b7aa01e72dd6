"""Decodes and encodes the records inside a batch, after decompression and before compression.

This is the hot path. The loops read and write one- and two-byte varints inline and call a function only for longer
ones, because a call costs as much as a quarter of a record. Clients are not trusted: a record must not exceed its
length, nor its length the batch; a varint has at most five bytes, or ten; a count is compared with the number of bytes
before its loop begins.

Every number in a record is a varint in zigzag form::

    length | attributes 1 | timestamp delta | offset delta | key length, key | value length, value | count of headers |
    each header: name length, name, value length, value

Source: https://kafka.apache.org/documentation/#record.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from operator import length_hint

from sandbox.kafka.event import Headers
from sandbox.storage.log.log import EventColumns, Record

ZIGZAG_END = 1 << 13


def zigzag(value: int) -> bytes:
    """Encode ``value``, a signed number of at most 64 bits, as a varint."""
    left = (value << 1) ^ (value >> 63)
    written = bytearray()
    while left > 0x7F:
        written.append(left & 0x7F | 0x80)
        left >>= 7
    written.append(left)
    return bytes(written)


def zigzag_value(number: int) -> int:
    """Decode an unsigned number from zigzag form."""
    return (number >> 1) ^ -(number & 1)


def read_unsigned(data: bytes, position: int, bytes_max: int) -> tuple[int, int]:
    """Return the unsigned number of the varint at ``position``, and the position after it.

    Raises:
        IndexError: the data ends within it.
        OverflowError: it has more than ``bytes_max`` bytes.
    """
    value = shift = 0
    for at in range(position, position + bytes_max):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
    raise OverflowError(f"a varint at {position} has more than {bytes_max} bytes")


# The varints of 0 to ZIGZAG_END - 1, followed by the varint of -1 (the length of null), so that ZIGZAG[-1] is right
# too.
ZIGZAG = [bytes((value << 1,)) for value in range(64)]
_LOW = bytes(range(0x80, 0x100, 2))
ZIGZAG += [
    pair for high in range(1, ZIGZAG_END >> 6) for pair in map(bytes, zip(_LOW, bytes((high,)) * 64, strict=True))
]
ZIGZAG += [zigzag(-1)]

# The reverse table: the signed values of the unsigned numbers below SIGNED_END.
SIGNED_END = 2 * ZIGZAG_END
SIGNED = [0] * SIGNED_END
SIGNED[0::2] = range(ZIGZAG_END)
SIGNED[1::2] = range(-1, -ZIGZAG_END - 1, -1)

# What the second byte of a two-byte number adds to the first, whose top bit marks the second byte.
HIGH = [(byte << 7) - 0x80 for byte in range(0x80)]


# A record of length, attributes, two deltas, two lengths and a count of headers
RECORD_BYTES_MIN = 7
RECORDS_PER_STEP = 5_000
"""After how many records, which take about 5 ms, decoding in steps can be interrupted."""
VARINT_BYTES_MAX = 5
VARLONG_BYTES_MAX = 10
TIMESTAMP_MAX = 2**63 - 1
CACHED_NAME_BYTES = 100
"""Longer header names are not cached: a client chooses them."""


class BatchError(ValueError):
    """Bytes that aren't an acceptable record batch."""


class InvalidRecord(BatchError):
    """A batch that arrived unchanged, but breaks a rule. Kafka answers INVALID_RECORD."""


def decode_records(body: bytes, position: int, count: int, base_timestamp: int) -> EventColumns:
    """Decode the records from ``position`` to the end of ``body``.

    Args:
        body: uncompressed records.
        position: the position of the first record.
        count: the number of records in the batch's header.
        base_timestamp: the batch's base timestamp, in ms.

    Returns:
        The events; their offsets are the records' offset deltas.

    Raises:
        InvalidRecord: a record breaks a rule, or there are more or fewer than ``count``.
    """
    columns = _empty_columns(body, position, count, base_timestamp)
    places = iter(range(count))
    end = _read_some(columns, places, places, body, position, base_timestamp)
    return _complete(columns, body, end)


def decode_records_in_steps(
    body: bytes, position: int, count: int, base_timestamp: int
) -> Generator[None, None, EventColumns]:
    """Decode records as `decode_records` does. It can be interrupted at each `yield`."""
    columns = _empty_columns(body, position, count, base_timestamp)
    places = iter(range(count))
    while length_hint(places):
        some = islice(places, RECORDS_PER_STEP)
        position = _read_some(columns, places, some, body, position, base_timestamp)
        yield
    return _complete(columns, body, position)


def _empty_columns(body: bytes, position: int, count: int, base_timestamp: int) -> "_Columns":
    if count * RECORD_BYTES_MIN > len(body) - position:
        raise InvalidRecord(f"{len(body) - position} bytes cannot hold {count} records")
    return _Columns(range(count), [base_timestamp] * count, [None] * count, [None] * count)


def _read_some(
    columns: "_Columns", places: Iterator[int], some: Iterator[int], body: bytes, position: int, base_timestamp: int
) -> int:
    """Read the records that `some` takes from `places`, the numbers of those that are left."""
    count = len(columns.times)
    try:
        return _read_records(columns, some, body, position, base_timestamp)
    except IndexError:
        raise InvalidRecord(f"record {_current(places, count)} is cut short by the end of the batch") from None
    except OverflowError as error:
        raise InvalidRecord(f"record {_current(places, count)}: {error}") from None


def _complete(columns: "_Columns", body: bytes, end: int) -> EventColumns:
    count = len(columns.times)
    if end > len(body):
        raise InvalidRecord(f"record {count - 1} is cut short by the end of the batch")
    if end < len(body):
        raise InvalidRecord(f"{len(body) - end} bytes follow the last record")
    return EventColumns(columns.offsets, columns.times, columns.keys, columns.values, columns.headers)


@dataclass(slots=True)
class _Columns:
    """Columns that are being filled."""

    offsets: range | list[int]
    times: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[Headers] | None = None


def _current(places: Iterator[int], count: int) -> int:
    """Return the number of the record that was being read."""
    return count - length_hint(places) - 1


def _read_records(columns: _Columns, places: Iterator[int], d: bytes, p: int, base_timestamp: int) -> int:
    """Fill the columns from ``p`` of ``d``; return the position after the records. IndexError if truncated."""
    times, keys, values = columns.times, columns.keys, columns.values
    headers = columns.headers
    offsets = columns.offsets if isinstance(columns.offsets, list) else []
    for at in places:
        n = d[p]
        if n < 128:
            p += 1
        elif (b := d[p + 1]) < 128:
            n += HIGH[b]
            p += 2
        else:
            n, p = read_unsigned(d, p, VARINT_BYTES_MAX)
        # Twice the position of the record's end: odd for a negative length, so that no end matches.
        twice_stop = p + p + n
        n = d[p + 1]
        if n < 128:
            p += 2
        elif (b := d[p + 2]) < 128:
            n += HIGH[b]
            p += 3
        else:
            n, p = _read_timestamp_delta(d, p + 1, base_timestamp)
        if n:
            times[at] += SIGNED[n] if n < SIGNED_END else zigzag_value(n)
        n = d[p]
        if n < 128:
            p += 1
        elif (b := d[p + 1]) < 128:
            n += HIGH[b]
            p += 2
        else:
            n, p = read_unsigned(d, p, VARINT_BYTES_MAX)
        if n != at + at or offsets:
            # There are gaps.
            offsets = columns.offsets = offsets or list(range(at))
            offsets.append(zigzag_value(n))
        n, p = (n, p + 1) if (n := d[p]) < 128 else read_unsigned(d, p, VARINT_BYTES_MAX)
        keys[at] = _null(n) if n & 1 else d[p : (p := p + (n >> 1))]
        n = d[p]
        if n < 128:
            p += 1
        elif (b := d[p + 1]) < 128:
            n += HIGH[b]
            p += 2
        else:
            n, p = read_unsigned(d, p, VARINT_BYTES_MAX)
        values[at] = _null(n) if n & 1 else d[p : (p := p + (n >> 1))]
        if d[p]:
            headers = columns.headers = headers or [()] * len(times)
            headers[at], p = _read_headers(d, p, twice_stop >> 1)
        else:
            p += 1
        if p + p != twice_stop:
            raise InvalidRecord(f"record {at} ends at byte {p}, but its length says {twice_stop // 2}")
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


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


_name = lru_cache(maxsize=1024)(_decoded)


def _read_headers(d: bytes, p: int, stop: int) -> tuple[Headers, int]:
    count = d[p]
    if count < 128:
        p += 1
    else:
        count, p = read_unsigned(d, p, VARINT_BYTES_MAX)
    # In zigzag form a negative count is odd; any other is doubled, which is the minimum size of its headers in bytes.
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
        name = (_name if n <= 2 * CACHED_NAME_BYTES else _decoded)(d[p : (p := p + (n >> 1))])
        n = d[p]
        if n < 128:
            p += 1
        else:
            n, p = read_unsigned(d, p, VARINT_BYTES_MAX)
        headers.append((name, _null(n) if n & 1 else d[p : (p := p + (n >> 1))]))
    return tuple(headers), p


def _encoded(name: str) -> bytes:
    encoded = name.encode("utf-8", "surrogateescape")
    return zigzag(len(encoded)) + encoded


_name_bytes = lru_cache(maxsize=1024)(_encoded)


def _headers_bytes(headers: Headers) -> bytes:
    pieces = [ZIGZAG[n] if (n := len(headers)) < ZIGZAG_END else zigzag(n)]
    append = pieces.append
    for name, value in headers:
        append((_name_bytes if len(name) <= CACHED_NAME_BYTES else _encoded)(name))
        if value is None:
            append(ZIGZAG[-1])
        else:
            append(ZIGZAG[n] if (n := len(value)) < ZIGZAG_END else zigzag(n))
            append(value)
    return b"".join(pieces)


def encode_records(rows: Iterable[Record], base_offset: int, base_timestamp: int) -> bytes:
    """Encode a batch's records, without compression.

    Args:
        rows: the events; no offset is below ``base_offset``.
        base_offset: the batch's base offset.
        base_timestamp: the batch's base timestamp, in ms.
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
