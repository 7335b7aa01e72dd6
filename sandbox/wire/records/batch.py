"""Encodes and decodes record batches, the format in which Kafka transfers events. Magic 2 only.

A batch consists of a 61-byte header and its records, which may be compressed together::

    base offset 8 | batch length 4 | partition leader epoch 4 | magic 1 | crc 4 | attributes 2 | last offset delta 4 |
    base timestamp 8 | max timestamp 8 | producer id 8 | producer epoch 2 | base sequence 4 | count of records 4

The checksum (CRC-32C) covers everything after it. Base offset and leader epoch precede it, so that a broker can set
them without changing the rest. Records store their offset and timestamp relative to the batch's; see
:mod:`sandbox.wire.records.records`.

Source: https://kafka.apache.org/documentation/#recordbatch, and the checks of Kafka's broker for produced batches.
"""

import struct
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from operator import itemgetter

import google_crc32c

from sandbox.kafka.event import CREATE_TIME, LOG_APPEND_TIME
from sandbox.storage.log.log import EventColumns, Record
from sandbox.wire.records.compression import COMPRESSION_NAMES, CompressionError, compress, decompress
from sandbox.wire.records.records import (
    TIMESTAMP_MAX,
    BatchError,
    InvalidRecord,
    decode_records,
    decode_records_in_steps,
    encode_records,
)

__all__ = [
    "CREATE_TIME",
    "LOG_APPEND_TIME",
    "MAGIC",
    "MAGIC_AT",
    "BatchCorrupt",
    "BatchError",
    "InvalidRecord",
    "RecordBatch",
    "UnsupportedMagic",
    "batch_bytes",
    "count_of_records",
    "decode_batch_header",
    "decode_batch_in_steps",
    "decode_batches",
    "encode_batch",
    "rebase",
]

Buffer = bytes | bytearray | memoryview

MAGIC = 2
HEADER_BYTES = 61
DECOMPRESSED_BYTES_MAX = 128 * 1024 * 1024

_ATTRIBUTES_AT = 21
MAGIC_AT = 16
_LENGTH_AT = 8
_LENGTH_END = 12
_RECORDS_IN_BODY = HEADER_BYTES - _ATTRIBUTES_AT
_COMPRESSION_BITS = 0x07
_TIMESTAMP_TYPE_BIT = 0x08
_TRANSACTIONAL_BIT = 0x10
_CONTROL_BIT = 0x20
_DELETE_HORIZON_BIT = 0x40

_HEADER = struct.Struct(">qiibIhiqqqhii")
_BEFORE_CRC = struct.Struct(">qiibI")
_AFTER_CRC = struct.Struct(">hiqqqhii")
_INT32 = struct.Struct(">i")
_INT64 = struct.Struct(">q")
# Base timestamps so close to the 64-bit limits that a two-byte delta could exceed them are refused.
_BASE_TIMESTAMP_MAX = TIMESTAMP_MAX - 2**14


class BatchCorrupt(BatchError):
    """A batch that is truncated or was changed in transit. Kafka answers CORRUPT_MESSAGE."""


class UnsupportedMagic(BatchError):
    """A message set from before Kafka 0.11; ``magic`` is 0 or 1. Kafka answers UNSUPPORTED_FOR_MESSAGE_FORMAT."""

    def __init__(self, magic: int) -> None:
        super().__init__(f"a message set of magic {magic}: only record batches of magic {MAGIC} are read")
        self.magic = magic


NO_EVENTS = EventColumns((), (), (), ())


@dataclass(slots=True)
class RecordBatch:
    """A record batch's header, and its records if they were decoded.

    The offsets of ``records`` are offset deltas. With ``timestamp_type`` 1 every record has the append time,
    ``max_timestamp``. With ``delete_horizon`` set, ``base_timestamp`` is also the time from which tombstones may be
    deleted (KIP-534). ``raw`` is a view of the batch's ``size_bytes`` bytes.
    """

    base_offset: int
    last_offset_delta: int
    leader_epoch: int
    compression: int
    timestamp_type: int
    transactional: bool
    control: bool
    delete_horizon: bool
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    count: int
    crc: int
    size_bytes: int
    raw: memoryview
    records: EventColumns = NO_EVENTS


def decode_batch_header(data: Buffer, position: int = 0) -> RecordBatch:
    """Decode the header of the batch at ``position``. Doesn't check its records or its checksum.

    Args:
        data: one or more batches.
        position: the position of the batch.

    Returns:
        The batch without ``records``.

    Raises:
        BatchCorrupt: the batch is truncated, or its length or magic is invalid.
        UnsupportedMagic: the batch is a message set of magic 0 or 1.
    """
    left = len(data) - position
    if left <= MAGIC_AT:
        raise BatchCorrupt(f"{left} bytes at {position} are too few for a record batch")
    magic = data[position + MAGIC_AT]
    if magic in (0, 1):
        raise UnsupportedMagic(magic)
    if magic != MAGIC:
        raise BatchCorrupt(f"Invalid magic found in record: {magic}")
    if left < HEADER_BYTES:
        raise BatchCorrupt(f"{left} bytes at {position} are too few for the header of a record batch")
    (length,) = _INT32.unpack_from(data, position + _LENGTH_AT)
    size_bytes = length + _LENGTH_END
    if not HEADER_BYTES <= size_bytes <= left:
        raise BatchCorrupt(f"the batch at {position} says that it has {size_bytes} bytes; {left} are left")
    base_offset, _, leader_epoch, _, crc, attributes, last_offset_delta, *rest = _HEADER.unpack_from(data, position)
    base_timestamp, max_timestamp, producer_id, producer_epoch, base_sequence, count = rest
    # Positional, in the order of the class: keyword arguments take twice the time, and most batches are small.
    return RecordBatch(
        base_offset,
        last_offset_delta,
        leader_epoch,
        attributes & _COMPRESSION_BITS,
        LOG_APPEND_TIME if attributes & _TIMESTAMP_TYPE_BIT else CREATE_TIME,
        attributes & _TRANSACTIONAL_BIT != 0,
        attributes & _CONTROL_BIT != 0,
        attributes & _DELETE_HORIZON_BIT != 0,
        base_timestamp,
        max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        count,
        crc,
        size_bytes,
        memoryview(data)[position : position + size_bytes],
    )


def batch_bytes(data: Buffer) -> int:
    """Return the size in bytes that the header of the batch at the start of ``data`` (17 bytes or more) states."""
    (length,) = _INT32.unpack_from(data, _LENGTH_AT)
    return int(length) + _LENGTH_END


def count_of_records(data: Buffer) -> int:
    """Return the number of records that the header at the start of ``data`` states, 0 if it is cut short."""
    return int(_INT32.unpack_from(data, HEADER_BYTES - _INT32.size)[0]) if len(data) >= HEADER_BYTES else 0


def _check_header(batch: RecordBatch, gaps_allowed: bool) -> None:
    if batch.compression >= len(COMPRESSION_NAMES):
        raise InvalidRecord(f"there is no compression {batch.compression}")
    if batch.count < 0 or batch.last_offset_delta < 0:
        raise InvalidRecord(f"a batch of {batch.count} records with a last offset delta of {batch.last_offset_delta}")
    if not gaps_allowed and batch.count != batch.last_offset_delta + 1:
        raise InvalidRecord(
            f"a batch of {batch.count} records must have a last offset delta of {batch.count - 1}, "
            f"not {batch.last_offset_delta}"
        )
    if abs(batch.base_timestamp) > _BASE_TIMESTAMP_MAX:
        raise InvalidRecord(f"a base timestamp of {batch.base_timestamp} ms")


def decode_batches(
    data: Buffer,
    *,
    gaps_allowed: bool = False,
    decompressed_bytes_max: int = DECOMPRESSED_BYTES_MAX,
) -> list[RecordBatch]:
    """Decode and check the record batches in ``data``, with their records.

    Args:
        data: the records of one partition, as in Produce or Fetch.
        gaps_allowed: False requires what a broker requires of a producer: at least one record, and offset deltas 0, 1,
            2 ... True accepts the result of compaction: ascending deltas up to the batch's last, or no records.
        decompressed_bytes_max: the maximum decompressed size of one batch's records.

    Raises:
        BatchCorrupt: a batch is truncated, or its checksum is wrong.
        UnsupportedMagic: there is a message set of magic 0 or 1.
        InvalidRecord: a record or the batch breaks a rule, or the records exceed the size limit.
    """
    batches = []
    position = 0
    end = len(data)
    while position < end:
        batch = decode_batch_header(data, position)
        body, start = _body(batch, position, gaps_allowed, decompressed_bytes_max)
        _take_records(batch, decode_records(body, start, batch.count, batch.base_timestamp), gaps_allowed)
        batches.append(batch)
        position += batch.size_bytes
    return batches


def decode_batch_in_steps(data: Buffer) -> Generator[None, None, RecordBatch]:
    """Decode and check one produced record batch as `decode_batches` does. It can be interrupted at each `yield`.

    Raises: as `decode_batches`.
    """
    batch = decode_batch_header(data)
    body, start = _body(batch, 0, False, DECOMPRESSED_BYTES_MAX)
    records = yield from decode_records_in_steps(body, start, batch.count, batch.base_timestamp)
    _take_records(batch, records, gaps_allowed=False)
    return batch


def _body(batch: RecordBatch, position: int, gaps_allowed: bool, decompressed_bytes_max: int) -> tuple[bytes, int]:
    """Return the uncompressed bytes that hold the records, and the position of the first record."""
    body = bytes(batch.raw[_ATTRIBUTES_AT:])
    if google_crc32c.value(body) != batch.crc:
        raise BatchCorrupt(f"the checksum of the batch at {position} is {batch.crc:#010x}, but not of its bytes")
    _check_header(batch, gaps_allowed)
    if not batch.compression:
        return body, _RECORDS_IN_BODY
    try:
        return decompress(batch.compression, memoryview(body)[_RECORDS_IN_BODY:], decompressed_bytes_max), 0
    except CompressionError as error:
        raise InvalidRecord(str(error)) from None


def _take_records(batch: RecordBatch, records: EventColumns, gaps_allowed: bool) -> None:
    batch.records = records
    _check_offsets(batch, gaps_allowed)
    if batch.timestamp_type == LOG_APPEND_TIME:
        batch.records = records.stamped(batch.max_timestamp)


def _check_offsets(batch: RecordBatch, gaps_allowed: bool) -> None:
    deltas = batch.records.offsets
    if isinstance(deltas, range):
        if len(deltas) <= batch.last_offset_delta + 1:
            return
    elif not gaps_allowed:
        at = next(index for index, delta in enumerate(deltas) if index != delta)
        raise InvalidRecord(f"record {at} has an offset delta of {deltas[at]}: they must be 0, 1, 2 ...")
    before = -1
    for index, delta in enumerate(deltas):
        if not before < delta <= batch.last_offset_delta:
            last = batch.last_offset_delta
            raise InvalidRecord(f"record {index} has an offset delta of {delta}, after {before} and of at most {last}")
        before = delta


def _last_offset(base_offset: int, rows: Sequence[Record], last_offset: int | None) -> int:
    first, last = (rows[0][0], rows[-1][0]) if rows else (base_offset, base_offset)
    if last_offset is None:
        last_offset = last
    if not base_offset <= first <= last <= last_offset:
        raise ValueError(f"rows outside the offsets {base_offset} to {last_offset} of their batch")
    return last_offset


def _attributes(compression: int, timestamp_type: int, transactional: bool, control: bool, delete_horizon: bool) -> int:
    return (
        compression
        | timestamp_type * _TIMESTAMP_TYPE_BIT
        | transactional * _TRANSACTIONAL_BIT
        | control * _CONTROL_BIT
        | delete_horizon * _DELETE_HORIZON_BIT
    )


def encode_batch(
    base_offset: int,
    rows: Sequence[Record],
    *,
    last_offset: int | None = None,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    transactional: bool = False,
    control: bool = False,
    delete_horizon: bool = False,
    timestamp_type: int = CREATE_TIME,
    leader_epoch: int = 0,
    compression: int = 0,
    base_timestamp: int | None = None,
    max_timestamp: int | None = None,
) -> bytes:
    """Encode a record batch.

    Args:
        base_offset: the batch's first offset; at most the first row's.
        rows: tuples (offset, timestamp_ms, key, value, headers) with ascending offsets; gaps, or no rows, are allowed.
        last_offset: the batch's last offset; None for the last row's, or ``base_offset`` without rows. Readers continue
            after it, so it must not change when compaction removes the last record.
        producer_id: like ``producer_epoch`` and ``base_sequence``, -1 for a producer that isn't idempotent.
        transactional: True if the batch belongs to a transaction.
        control: True for a transaction marker, which isn't an event.
        delete_horizon: True if ``base_timestamp`` is the time from which tombstones may be deleted (KIP-534).
        timestamp_type: 0 for CreateTime; 1 for LogAppendTime, where readers see ``max_timestamp`` in every record.
        leader_epoch: the partition's leader epoch.
        compression: 0 to 4: none, gzip, snappy, lz4, zstd.
        base_timestamp: in ms; None for the first row's, or -1 without rows.
        max_timestamp: in ms; None for the rows' largest, or -1 without rows.

    Raises:
        ValueError: offsets that descend or are outside the batch, or an unknown compression.
        struct.error: a number that doesn't fit its field.
    """
    last_offset = _last_offset(base_offset, rows, last_offset)
    if base_timestamp is None:
        base_timestamp = rows[0][1] if rows else -1
    if max_timestamp is None:
        max_timestamp = max(map(itemgetter(1), rows)) if rows else -1
    records = encode_records(rows, base_offset, base_timestamp)
    if compression:
        records = compress(compression, records)
    attributes = _attributes(compression, timestamp_type, transactional, control, delete_horizon)
    times = (base_timestamp, max_timestamp)
    producer = (producer_id, producer_epoch, base_sequence)
    after_crc = _AFTER_CRC.pack(attributes, last_offset - base_offset, *times, *producer, len(rows))
    crc = google_crc32c.extend(google_crc32c.value(after_crc), records)
    length = HEADER_BYTES - _LENGTH_END + len(records)
    return b"".join((_BEFORE_CRC.pack(base_offset, length, leader_epoch, MAGIC, crc), after_crc, records))


def rebase(raw: Buffer, base_offset: int, leader_epoch: int) -> bytes:
    """Return the same batch with another base offset and leader epoch. The checksum covers neither.

    Args:
        raw: one whole batch of magic 2, such as ``RecordBatch.raw``.
        base_offset: its first record's offset.
        leader_epoch: the partition's leader epoch.
    """
    view = memoryview(raw)
    return b"".join((_INT64.pack(base_offset), view[8:12], _INT32.pack(leader_epoch), view[16:]))
