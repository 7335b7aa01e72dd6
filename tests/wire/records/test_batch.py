"""Record batches against other codecs, against bytes built by hand, and against lies."""

import itertools
import re
import struct
import warnings
from typing import Any

import google_crc32c
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder as AiokafkaBuilder
from aiokafka.record.memory_records import MemoryRecords as AiokafkaRecords
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.storage.log.log import Record
from sandbox.wire.records import batch as record_batch
from sandbox.wire.records import records as record_format
from sandbox.wire.records.batch import (
    BatchCorrupt,
    InvalidRecord,
    UnsupportedMagic,
    decode_batch_header,
    decode_batch_in_steps,
    decode_batches,
    encode_batch,
    rebase,
)
from sandbox.wire.records.compression import COMPRESSION_NAMES, compress
from sandbox.wire.records.records import SIGNED, SIGNED_END, ZIGZAG, ZIGZAG_END, read_unsigned, zigzag, zigzag_value

with warnings.catch_warnings():  # kafka-python warns of itself
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka.record.default_records import DefaultRecordBatchBuilder as KafkaPythonBuilder
    from kafka.record.memory_records import MemoryRecords as KafkaPythonRecords

CODECS = [pytest.param(number, id=name) for number, name in enumerate(COMPRESSION_NAMES)]
NOW_MS = 1_700_000_000_000

TEXTS = st.one_of(st.none(), st.binary(max_size=40), st.integers(60, 9000).map(lambda size: b"x" * size))
NAMES = st.binary(max_size=80).map(lambda name: name.decode("utf-8", "surrogateescape"))
HEADERS = st.lists(st.tuples(NAMES, TEXTS), max_size=4).map(tuple)
TIMES = st.one_of(st.just(-1), st.integers(NOW_MS - 70, NOW_MS + 20_000), st.integers(0, 2**62))
RECORDS = st.lists(st.tuples(TIMES, TEXTS, TEXTS, HEADERS), min_size=1, max_size=30)

PLAIN: list[Record] = [
    (0, NOW_MS, b"key", b"value", ()),
    (1, NOW_MS + 5, None, b"", ()),
    (2, NOW_MS - 5, b"", None, (("a", b"1"), ("a", None), ("\udcff", b""))),
]
# Oracles that decode header names can do so only where they are UTF-8.
READABLE: list[Record] = [
    (offset, NOW_MS + offset, (b"k", None, b"", b"k" * 200)[offset % 4], (b"v" * 100, b"", None)[offset % 3], headers)
    for offset in range(200)
    for headers in [(("h", b"1"), ("h", None)) if offset % 5 == 0 else ()]
]


def rows_of(records: list[Any], base_offset: int = 0, gaps: list[int] | None = None) -> list[Record]:
    offsets = [base_offset + index for index in range(len(records))]
    if gaps is not None:
        offsets = [base_offset + sum(gaps[: index + 1]) + index for index in range(len(records))]
    return [(offset, *record) for offset, record in zip(offsets, records, strict=True)]


def batch_bytes(
    records: bytes, count: int, *, last: int | None = None, attributes: int = 0, base: int = NOW_MS
) -> bytes:
    """A batch built by hand from the page of the format, with a checksum that is right."""
    last = count - 1 if last is None else last
    covered = struct.pack(">hiqqqhii", attributes, last, base, base, -1, -1, -1, count) + records
    head = struct.pack(">qiibI", 0, 9 + len(covered), 0, 2, google_crc32c.value(covered))
    return head + covered


def record_bytes(body: bytes) -> bytes:
    """A record with the length that its body has."""
    return zigzag(len(body)) + body


@pytest.mark.parametrize("codec", CODECS)
@settings(deadline=None, max_examples=60, database=None)
@given(records=RECORDS, base_offset=st.integers(0, 2**62), epoch=st.integers(0, 2**31 - 1))
def test_rows_come_back_as_they_were(codec: int, records: list[Any], base_offset: int, epoch: int) -> None:
    rows = rows_of(records, base_offset)
    encoded = encode_batch(
        base_offset, rows, compression=codec, leader_epoch=epoch, producer_id=7, producer_epoch=3, base_sequence=11
    )
    (batch,) = decode_batches(encoded)
    assert [(base_offset + delta, *rest) for delta, *rest in batch.records] == rows
    assert (batch.base_offset, batch.last_offset_delta, batch.count) == (base_offset, len(rows) - 1, len(rows))
    assert (batch.leader_epoch, batch.compression, batch.timestamp_type) == (epoch, codec, 0)
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (7, 3, 11)
    assert batch.base_timestamp == rows[0][1]
    assert batch.max_timestamp == max(row[1] for row in rows)
    assert (batch.size_bytes, bytes(batch.raw)) == (len(encoded), encoded)


@settings(deadline=None, max_examples=60, database=None)
@given(RECORDS, st.data())
def test_a_batch_that_was_compacted_has_gaps(records: list[Any], data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.integers(0, 300), min_size=len(records), max_size=len(records)))
    rows = rows_of(records, 50, gaps)
    (batch,) = decode_batches(encode_batch(50, rows, last_offset=rows[-1][0] + 9), gaps_allowed=True)
    assert [(50 + delta, *rest) for delta, *rest in batch.records] == rows
    assert batch.last_offset_delta == rows[-1][0] + 9 - 50


def test_a_batch_may_be_empty_after_compaction() -> None:
    encoded = encode_batch(10, [], last_offset=14)
    (batch,) = decode_batches(encoded, gaps_allowed=True)
    assert (batch.count, list(batch.records), batch.last_offset_delta, batch.size_bytes) == (0, [], 4, 61)
    assert (batch.base_timestamp, batch.max_timestamp) == (-1, -1)
    with pytest.raises(InvalidRecord):
        decode_batches(encoded)


def test_a_batch_has_the_bytes_that_the_format_says() -> None:
    record = bytes.fromhex("00 00 00 06") + b"key" + bytes.fromhex("0a") + b"value" + bytes.fromhex("02 02 68 01")
    golden = batch_bytes(record_bytes(record), 1)
    assert encode_batch(0, [(0, NOW_MS, b"key", b"value", (("h", None),))]) == golden
    assert list(decode_batches(golden)[0].records) == [(0, NOW_MS, b"key", b"value", (("h", None),))]
    fields = [
        "0000000000000000",  # base offset
        "00000043",  # batch length
        "00000000",  # partition leader epoch
        "02",  # magic
        "ec06f54a",  # checksum
        "0000",  # attributes
        "00000000",  # last offset delta
        "0000018bcfe56800",  # base timestamp
        "0000018bcfe56800",  # max timestamp
        "ffffffffffffffff",  # producer id
        "ffff",  # producer epoch
        "ffffffff",  # base sequence
        "00000001",  # count of records
        "22" + "00" + "00" + "00" + "066b6579" + "0a76616c7565" + "02" + "0268" + "01",
    ]
    assert golden.hex() == "".join(fields)


def test_the_marks_of_a_batch_come_back() -> None:
    encoded = encode_batch(0, PLAIN, transactional=True, control=True, delete_horizon=True, base_timestamp=5)
    batch = decode_batch_header(encoded)
    assert (batch.transactional, batch.control, batch.delete_horizon, batch.base_timestamp) == (True, True, True, 5)
    assert len(batch.records) == 0
    plain = decode_batch_header(encode_batch(0, PLAIN))
    assert (plain.transactional, plain.control, plain.delete_horizon) == (False, False, False)


def test_with_log_append_time_every_record_has_the_time_of_appending() -> None:
    encoded = encode_batch(0, PLAIN, timestamp_type=record_batch.LOG_APPEND_TIME, max_timestamp=NOW_MS + 99)
    (batch,) = decode_batches(encoded)
    assert batch.timestamp_type == record_batch.LOG_APPEND_TIME
    assert [record[1] for record in batch.records] == [NOW_MS + 99] * 3


def test_rebase_moves_a_batch_and_leaves_its_checksum() -> None:
    moved = rebase(decode_batches(encode_batch(0, PLAIN))[0].raw, 1234, 7)
    assert moved == encode_batch(1234, [(row[0] + 1234, *row[1:]) for row in PLAIN], leader_epoch=7)


def test_several_batches_are_read_one_after_another() -> None:
    data = b"head" + encode_batch(0, PLAIN) + encode_batch(3, [(3, NOW_MS, None, b"x", ())], compression=4)
    first, second = decode_batches(memoryview(data)[4:])
    assert (len(first.records), second.base_offset, second.records[0][3]) == (3, 3, b"x")
    assert decode_batches(b"") == []


@pytest.mark.parametrize("codec", CODECS)
def test_what_aiokafka_writes_is_read(codec: int) -> None:
    builder = AiokafkaBuilder(
        magic=2, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=10**6,
    )  # fmt: skip
    for offset, timestamp_ms, key, value, headers in READABLE:
        builder.append(offset, timestamp_ms, key, value, list(headers or ()))
    assert list(decode_batches(bytes(builder.build()))[0].records) == READABLE


@pytest.mark.parametrize("codec", CODECS)
def test_aiokafka_reads_what_is_written(codec: int) -> None:
    batches = AiokafkaRecords(encode_batch(0, READABLE, compression=codec))
    batch = batches.next_batch()
    assert batch.validate_crc()
    assert [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in batch] == READABLE
    assert not batches.has_next()


# kafka-python's gzip alone needs no further package.
@pytest.mark.parametrize("codec", [0, 1])
def test_what_kafka_python_writes_is_read(codec: int) -> None:
    builder = KafkaPythonBuilder(
        magic=2, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=10**6,
    )  # fmt: skip
    for offset, timestamp_ms, key, value, headers in READABLE:
        builder.append(offset, timestamp_ms, key, value, list(headers or ()))
    assert list(decode_batches(bytes(builder.build()))[0].records) == READABLE


@pytest.mark.parametrize("codec", [0, 1])
def test_kafka_python_reads_what_is_written(codec: int) -> None:
    batch = KafkaPythonRecords(encode_batch(0, READABLE, compression=codec)).next_batch()
    assert batch.validate_crc()
    assert [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in batch] == READABLE


def test_a_changed_byte_is_seen_by_the_checksum() -> None:
    encoded = bytearray(encode_batch(0, PLAIN))
    for position in range(21, len(encoded)):
        encoded[position] ^= 0x10
        with pytest.raises(BatchCorrupt, match="checksum"):
            decode_batches(encoded)
        encoded[position] ^= 0x10


def test_a_batch_cut_short_anywhere_is_corrupt() -> None:
    encoded = encode_batch(0, PLAIN)
    for size_bytes in range(1, len(encoded)):
        with pytest.raises(BatchCorrupt):
            decode_batches(encoded[:size_bytes])


@pytest.mark.parametrize("length", [-1, 0, 48, 2**31 - 1])
def test_a_batch_with_a_length_that_cannot_be_is_corrupt(length: int) -> None:
    encoded = bytearray(encode_batch(0, PLAIN))
    encoded[8:12] = struct.pack(">i", length)
    with pytest.raises(BatchCorrupt):
        decode_batches(encoded)


@pytest.mark.parametrize("magic", [0, 1])
def test_old_message_sets_are_refused_by_name(magic: int) -> None:
    message = struct.pack(">qiIbb", 0, 14, 0, magic, 0) + struct.pack(">ii", -1, -1)
    with pytest.raises(UnsupportedMagic) as refused:
        decode_batches(message)
    assert refused.value.magic == magic


@pytest.mark.parametrize("magic", [3, 127, 255])
def test_a_magic_that_never_was_is_corrupt(magic: int) -> None:
    encoded = bytearray(encode_batch(0, PLAIN))
    encoded[16] = magic
    with pytest.raises(BatchCorrupt):
        decode_batches(encoded)


GOOD = record_bytes(b"\0\0\0\1\1\0")
ENDLESS = b"\xff" * 5

LIES = {
    "more records than bytes": batch_bytes(GOOD, 1000),
    "more records than there are": batch_bytes(GOOD + b"\x0c" * 6, 2),
    "fewer records than there are": batch_bytes(GOOD + GOOD, 1),
    "billions of records": batch_bytes(GOOD, 2**31 - 1),
    "a negative count": batch_bytes(GOOD, -1, last=0),
    "a count unlike the last offset": batch_bytes(GOOD, 1, last=5),
    "a negative last offset": batch_bytes(GOOD, 1, last=-1),
    "no such compression": batch_bytes(GOOD, 1, attributes=5),
    "not the compression it says": batch_bytes(GOOD, 1, attributes=4),
    "a length beyond the batch": batch_bytes(zigzag(500) + b"\0\0\0\1\1\0", 1),
    "a length too small": batch_bytes(zigzag(5) + b"\0\0\0\1\1\0", 1),
    "a negative length": batch_bytes(zigzag(-7) + b"\0\0\0\1\1\0", 1),
    "a length without end": batch_bytes(ENDLESS + b"\xff" + b"\0" * 9, 1),
    "a timestamp without end": batch_bytes(zigzag(20) + b"\0" + b"\xff" * 19, 1),
    "a timestamp beyond 64 bits": batch_bytes(record_bytes(b"\0" + zigzag(2**63 - 1) + b"\0\1\1\0"), 1),
    "a base timestamp at the end of 64 bits": batch_bytes(GOOD, 1, base=2**63 - 1),
    "an offset without end": batch_bytes(record_bytes(b"\0\0" + ENDLESS + b"\x01\1\1\0"), 1),
    "an offset that skips": batch_bytes(record_bytes(b"\0\0\2\1\1\0"), 1),
    "an offset below zero": batch_bytes(record_bytes(b"\0\0\1\1\1\0"), 1),
    "an offset twice": batch_bytes(GOOD + GOOD, 2),
    "a key beyond the record": batch_bytes(record_bytes(b"\0\0\0\x50\1\0"), 1),
    "a key of -2 bytes": batch_bytes(record_bytes(b"\0\0\0\3\1\0"), 1),
    "a key without end": batch_bytes(record_bytes(b"\0\0\0" + ENDLESS + b"\1\1\0"), 1),
    "a value beyond the record": batch_bytes(record_bytes(b"\0\0\0\1\x50\0") + GOOD, 2),
    "a value of -2 bytes": batch_bytes(record_bytes(b"\0\0\0\1\3\0"), 1),
    "a value of gigabytes": batch_bytes(record_bytes(b"\0\0\0\1" + zigzag(2**31 - 1) + b"\0"), 1),
    "headers below zero": batch_bytes(record_bytes(b"\0\0\0\1\1\1"), 1),
    "more headers than bytes": batch_bytes(record_bytes(b"\0\0\0\1\1\x20"), 1),
    "billions of headers": batch_bytes(record_bytes(b"\0\0\0\1\1" + zigzag(2**31 - 1)), 1),
    "a header without a name": batch_bytes(record_bytes(b"\0\0\0\1\1\2\1\1"), 1),
    "a header beyond the record": batch_bytes(record_bytes(b"\0\0\0\1\1\2\2a\x50"), 1),
    "a header value of -2 bytes": batch_bytes(record_bytes(b"\0\0\0\1\1\2\2a\3"), 1),
    "no records": batch_bytes(b"", 0),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_batch_that_lies_is_invalid(lie: str) -> None:
    with pytest.raises(InvalidRecord):
        decode_batches(LIES[lie])


def test_the_good_record_that_the_lies_are_made_of_is_accepted() -> None:
    assert list(decode_batches(batch_bytes(GOOD, 1))[0].records) == [(0, NOW_MS, None, None, ())]


def in_steps(data: bytes) -> tuple[int, record_batch.RecordBatch]:
    """Return the number of interruptions, and the decoded batch."""
    steps = decode_batch_in_steps(data)
    for count in itertools.count():
        try:
            next(steps)
        except StopIteration as end:
            return count, end.value
    raise AssertionError


def test_a_batch_that_is_decoded_in_steps_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Record] = [
        (number, NOW_MS + number, None, b"x" * number, (("h", b"1"),) if number in (7, 30) else ())
        for number in range(100)
    ]
    monkeypatch.setattr(record_format, "RECORDS_PER_STEP", 9)
    data = encode_batch(0, rows)
    count, batch = in_steps(data)
    assert count == 12
    assert list(batch.records) == rows == list(decode_batches(data)[0].records)


@pytest.mark.parametrize("step", [1, 9, 50, 1_000])
def test_an_error_of_a_batch_that_is_decoded_in_steps_is_the_same(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr(record_format, "RECORDS_PER_STEP", step)
    good = [record_bytes(b"\0\0" + zigzag(number) + b"\1\1\0") for number in range(50)]
    gap = [*good[:30], record_bytes(b"\0\0" + zigzag(31) + b"\1\1\0"), *good[31:]]
    beyond = [*good[:30], record_bytes(b"\0\0" + zigzag(30) + b"\1\x20\0"), *good[31:]]
    for pieces in (gap, beyond, good[:-1], [*good, b"\0"]):
        data = batch_bytes(b"".join(pieces), 50)
        with pytest.raises(InvalidRecord) as at_once:
            decode_batches(data)
        with pytest.raises(InvalidRecord, match=re.escape(str(at_once.value))):
            in_steps(data)


@pytest.mark.parametrize("offsets", [b"\2\0", b"\0\0", b"\0\6"])
def test_offsets_with_gaps_ascend_up_to_the_last_of_the_batch(offsets: bytes) -> None:
    records = b"".join(record_bytes(b"\0\0" + bytes([offset]) + b"\1\1\0") for offset in offsets)
    with pytest.raises(InvalidRecord, match="offset delta"):
        decode_batches(batch_bytes(records, 2, last=2), gaps_allowed=True)


@pytest.mark.parametrize("codec", CODECS[1:])
def test_records_that_decompress_beyond_the_limit_are_invalid(codec: int) -> None:
    bomb = encode_batch(0, [(0, NOW_MS, None, bytes(1 << 20), ())], compression=codec)
    assert len(bomb) < 100_000
    with pytest.raises(InvalidRecord, match="more than 65536 bytes"):
        decode_batches(bomb, decompressed_bytes_max=1 << 16)


@settings(deadline=None, max_examples=300, database=None)
@given(st.binary(max_size=60), st.integers(0, 5), st.integers(0, 4))
def test_no_records_raise_anything_but_invalid(records: bytes, count: int, codec: int) -> None:
    body = compress(codec, records)
    try:
        (batch,) = decode_batches(batch_bytes(body, count, attributes=codec), gaps_allowed=True)
    except InvalidRecord:
        return
    assert len(batch.records) == count


@pytest.mark.parametrize(
    ("base_offset", "rows", "last_offset"),
    [(5, PLAIN, None), (0, PLAIN[::-1], None), (0, PLAIN, 1), (5, [], 4)],
)
def test_rows_outside_their_batch_are_refused(base_offset: int, rows: list[Record], last_offset: int | None) -> None:
    with pytest.raises(ValueError, match="outside the offsets"):
        encode_batch(base_offset, rows, last_offset=last_offset)


@settings(max_examples=300, deadline=None, database=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_a_varint_comes_back(value: int) -> None:
    encoded = zigzag(value)
    number, end = read_unsigned(encoded, 0, 10)
    assert (zigzag_value(number), end) == (value, len(encoded))


def test_the_tables_of_varints_are_right() -> None:
    assert len(ZIGZAG) == ZIGZAG_END + 1
    assert all(ZIGZAG[value] == zigzag(value) for value in range(-1, ZIGZAG_END))
    assert [zigzag_value(number) for number in range(SIGNED_END)] == SIGNED
