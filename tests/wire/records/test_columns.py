"""Records written from columns and read into columns, against those that are written and read one by one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.storage.log.event_columns import EventColumns
from sandbox.wire.records import columns as record_columns
from sandbox.wire.records import strides as record_strides
from sandbox.wire.records.batch import decode_batches, encode_batch
from sandbox.wire.records.columns import encode_columns
from sandbox.wire.records.rows import BatchError, Row, decode_records, encode_records
from sandbox.wire.records.strides import decode_alike
from sandbox.wire.records.varint import ZIGZAG_END

NOW_MS = 1_700_000_000_000
LENGTHS = st.integers(0, 70) | st.just(64) | st.sampled_from([8191, 8192, 9000])
TIMES = st.integers(0, 130) | st.integers(-200, 20_000) | st.just(2**40)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(TIMES, st.none() | LENGTHS, st.none() | LENGTHS), min_size=1, max_size=12),
    st.integers(0, 70) | st.sampled_from([ZIGZAG_END - 3, (64 << 14) - 3, (64 << 21) - 3]),
    st.integers(-5, 5),
)
def test_columns_are_written_as_rows_are(
    records: list[tuple[int, int | None, int | None]], delta: int, shift: int
) -> None:
    times, sized = [one[0] for one in records], [one[1:] for one in records]
    keys, values = ([None if size is None else b"x" * size for size in sizes] for sizes in zip(*sized, strict=True))
    for own_keys, own_values in ((keys, values), (None, values), (keys, None)):
        columns = EventColumns(100 + delta, NOW_MS, times, own_keys, own_values)
        assert encode_columns(columns, 100, NOW_MS + shift) == encode_records(list(columns), 100, NOW_MS + shift)


@pytest.mark.parametrize("count", [64, 1000, 1001, 2500, ZIGZAG_END + 10])
def test_many_records_are_written_in_parts_as_rows_are(count: int) -> None:
    columns = EventColumns(5, NOW_MS, [one // 40 for one in range(count)], [b"key"] * count, [b"v" * 100] * count)
    assert count > record_columns.ONE_BYTE_END - 1
    assert encode_columns(columns, 5, NOW_MS) == encode_records(list(columns), 5, NOW_MS)


def body_of(rows: list[Row]) -> bytes:
    return encode_records(rows, 0, NOW_MS)


def alike(count: int, key: bytes | None = b"key", value: bytes | None = b"v" * 100, step: int = 40) -> list[Row]:
    return [(one, NOW_MS + one // step, key, value, ()) for one in range(count)]


@pytest.mark.parametrize("key", [None, b"", b"key", b"k" * 100])
@pytest.mark.parametrize("value", [None, b"", b"value", b"v" * 8000])
@pytest.mark.parametrize("step", [1, 40])
def test_alike_records_are_read_as_they_are_one_by_one(key: bytes | None, value: bytes | None, step: int) -> None:
    rows = alike(300, key, value, step)
    columns = decode_alike(body_of(rows), 0, 300, NOW_MS)
    assert columns is not None
    assert [(*row[:4], ()) for row in columns] == rows


def test_records_of_two_lengths_and_of_deltas_of_three_bytes_are_read_as_they_are_one_by_one() -> None:
    rows = alike(ZIGZAG_END + 20)
    rows[200:300] = [(*row[:2], None, b"other", ()) for row in rows[200:300]]
    columns = decode_alike(body_of(rows), 0, len(rows), NOW_MS)
    assert columns is not None
    assert [(*row[:4], ()) for row in columns] == rows


def test_times_before_that_of_the_batch_are_read() -> None:
    rows: list[Row] = [(one, NOW_MS - one % 7, b"k", b"v", ()) for one in range(64)]
    columns = decode_alike(body_of(rows), 0, 64, NOW_MS)
    assert columns is not None
    assert columns.timestamps == [row[1] for row in rows]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(alike(record_strides.RECORDS_MIN - 1), id="few"),
        pytest.param([(*row[:3], b"v" * (row[0] % 5), ()) for row in alike(200)], id="different"),
        pytest.param([(*row[:4], (("h", b"1"),)) for row in alike(200)], id="headers"),
        pytest.param(alike(200, value=b"v" * 8192), id="long"),
        pytest.param([(row[0], NOW_MS + 9000, *row[2:]) for row in alike(200)], id="late"),
        pytest.param([(row[0] + 1, *row[1:]) for row in alike(60)], id="offsets"),
    ],
)
def test_other_records_are_left_to_be_read_one_by_one(rows: list[Row]) -> None:
    assert decode_alike(body_of(rows), 0, len(rows), NOW_MS) is None


def one_by_one(body: bytes, count: int) -> list[Row] | None:
    try:
        found = decode_records(body, 0, count, NOW_MS)
    except BatchError:
        return None
    return found if [row[0] for row in found] == list(range(count)) else None


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 6000), st.integers(0, 255), st.integers(-2, 2))
def test_no_changed_byte_is_believed_that_is_refused_one_by_one(at: int, byte: int, more: int) -> None:
    body = bytearray(body_of(alike(70, b"k", b"v", 20)) + body_of(alike(0)))
    body[at % len(body)] = byte
    count = 70 + more
    columns = decode_alike(bytes(body), 0, count, NOW_MS)
    if columns is not None:
        assert [(*row[:4], ()) for row in columns] == one_by_one(bytes(body), count)


@given(st.integers(0, 400))
@settings(max_examples=100, deadline=None)
def test_records_that_are_cut_short_are_left_to_be_refused(left: int) -> None:
    body = body_of(alike(70, b"k", b"v", 20))
    assert decode_alike(body[: -1 - left], 0, 70, NOW_MS) is None


def test_a_batch_gives_columns_only_where_it_is_asked_to() -> None:
    raw = encode_batch(0, alike(100))
    (columns,), (rows,) = decode_batches(raw, as_columns=True), decode_batches(raw)
    assert isinstance(columns.records, EventColumns)
    assert isinstance(rows.records, list)
    assert [(*row[:4], ()) for row in columns.records] == rows.records
    (stamped,) = decode_batches(encode_batch(0, alike(100), timestamp_type=1), as_columns=True)
    assert isinstance(stamped.records, list)
    assert {row[1] for row in stamped.records} == {stamped.max_timestamp}
