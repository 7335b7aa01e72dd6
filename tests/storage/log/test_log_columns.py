"""Events read a column at a time, against the same events read row by row."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.kafka.errors import EventsDamaged
from sandbox.storage.file.database import Database
from sandbox.storage.file.schema import OFFSET_BITS, OFFSET_LIMIT
from sandbox.storage.log import log, log_columns
from sandbox.storage.log.event_columns import EventColumns
from sandbox.storage.log.log import BatchRow, Record

NUMBERS = count(1)
TEMPLATE = BatchRow(0, 0, 0, 0, 0, 0, 0, -1, -1, -1, 0, 0, 0, 0, 100, 0)
NOW_MS = 1_700_000_000_000
ALL = log_columns.BYTES_MAX

payloads = st.none() | st.binary(max_size=12) | st.text(max_size=6).map(str.encode) | st.just(b"\0")
times = st.integers(NOW_MS - 100, NOW_MS + 100) | st.integers(-1, 2**62)
events = st.tuples(times, payloads, payloads)
plain = st.tuples(times, st.none(), st.binary(max_size=4)) | st.tuples(times, st.binary(max_size=4), st.none())
batches = st.lists(st.lists(events, min_size=1, max_size=6) | st.lists(plain, min_size=1, max_size=9), min_size=1)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with closing(Database(tmp_path_factory.mktemp("columns") / "dev.db")) as opened:
        yield opened


def write(database: Database, wanted: list[list[tuple[int, bytes | None, bytes | None]]]) -> list[BatchRow]:
    """A new partition with these batches, which are given back as they are stored."""
    partition_id, base = next(NUMBERS), 0
    for some in wanted:
        stamps = [one[0] for one in some]
        row = TEMPLATE._replace(
            partition_id=partition_id,
            base_offset=base,
            last_offset=base + len(some) - 1,
            min_timestamp=min(stamps),
            max_timestamp=max(stamps),
        )
        log.insert_batch(database, row, [(delta, *one, ()) for delta, one in enumerate(some)])
        base += len(some)
    database.commit()
    return log.read_batches(database, partition_id, 0, base, ALL)


def rows(database: Database, run: list[BatchRow], start: int = 0) -> list[Record]:
    return [record for batch in run for record in log.read_whole(database, batch, start)]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns are made of few events too, and of three at once."""
    monkeypatch.setattr(log_columns, "EVENTS_MIN", 1)
    monkeypatch.setattr(log_columns, "ROWS_PER_QUERY", 3)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches)
def test_columns_hold_what_the_rows_hold(
    database: Database, few: None, wanted: list[list[tuple[int, bytes | None, bytes | None]]]
) -> None:
    run = write(database, wanted)
    columns = log_columns.read_run(database, run, 0, OFFSET_LIMIT, ALL)
    assert columns is not None
    assert list(columns) == rows(database, run)


def test_a_log_start_offset_within_a_batch_cuts_it(database: Database, few: None) -> None:
    run = write(database, [[(NOW_MS, b"k", b"v%d" % one) for one in range(4)], [(NOW_MS, b"k", b"w")]])
    log.seal(database, run[0].partition_id, 0, 2)
    database.commit()
    run = log.read_batches(database, run[0].partition_id, 0, 5, ALL)
    columns = log_columns.read_run(database, run, 2, OFFSET_LIMIT, ALL)
    assert columns is not None
    assert [(one[0], one[3]) for one in columns] == [(2, b"v2"), (3, b"v3"), (4, b"w")]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("key", "'7'"),
        ("value", "'7'"),
        ("timestamp", "'7'"),
        ("timestamp", "timestamp || 'abc'"),
        ("headers", "'7'"),
    ],
)
def test_a_batch_with_a_changed_row_is_left_to_be_read_row_by_row(
    database: Database, few: None, column: str, value: str
) -> None:
    run = write(database, [[(NOW_MS, b"k", b"v")], [(NOW_MS, b"k", b"v"), (NOW_MS, b"l", b"w")]])
    place = (run[0].partition_id << OFFSET_BITS) + 2
    database.execute("DROP TRIGGER IF EXISTS events_are_immutable")
    for name in [row[0] for row in database.query("SELECT name FROM sqlite_master WHERE type = 'trigger'")]:
        database.execute(f"DROP TRIGGER {name}")
    database.execute(f"UPDATE events SET {column} = {value} WHERE id = ?", (place,))
    assert log_columns.read_run(database, run, 0, OFFSET_LIMIT, ALL) is None
    assert log_columns.read_run(database, run[1:], 0, OFFSET_LIMIT, ALL) is None, "its events have one timestamp"
    if column != "headers":
        with pytest.raises(EventsDamaged):
            rows(database, run)
    database.rollback()


@pytest.mark.parametrize("changed", [{"min_timestamp": "x"}, {"min_timestamp": b"x"}, {"size_bytes": "x"}])
def test_a_batch_that_is_not_as_it_was_written_is_left_to_be_read_row_by_row(
    database: Database, few: None, changed: dict[str, Any]
) -> None:
    (batch,) = write(database, [[(NOW_MS, b"k", b"v"), (NOW_MS, b"l", b"w")]])
    assert log_columns.read_run(database, [batch], 0, OFFSET_LIMIT, ALL) is not None
    assert log_columns.read_run(database, [batch._replace(**changed)], 0, OFFSET_LIMIT, ALL) is None
    database.rollback()


def test_what_is_not_plain_is_left_to_be_read_row_by_row(database: Database, few: None) -> None:
    mark = log_columns._MARK
    (marked,) = write(database, [[(NOW_MS, b"k", b"before" + mark + b"after"), (NOW_MS, b"l", b"w")]])
    assert log_columns.read_run(database, [marked], 0, OFFSET_LIMIT, ALL) is None
    assert rows(database, [marked])[0][3] == b"before" + mark + b"after"
    (whole,) = write(database, [[(NOW_MS, b"k", b"v")] * 3])
    assert log_columns.read_run(database, [whole], 0, OFFSET_LIMIT, whole.size_bytes - 1) is None
    assert log_columns.read_columns(database, whole.partition_id, 0, 3, NOW_MS) is None, "the last offset has no event"
    with_header = TEMPLATE._replace(partition_id=next(NUMBERS), last_offset=1)
    log.insert_batch(database, with_header, [(0, 5, None, b"a", ()), (1, 5, None, b"b", (("h", b"1"),))])
    assert log_columns.read_run(database, [with_header], 0, OFFSET_LIMIT, ALL) is None
    database.rollback()


def test_the_size_of_what_was_compressed_is_asked_for(database: Database, few: None) -> None:
    (batch,) = write(database, [[(NOW_MS, b"key", b"v" * 1000), (NOW_MS, None, b"v" * 1000)]])
    compressed = batch._replace(compression=1)
    assert log_columns.data_bytes(database, [compressed], 0, 1) == 2003
    assert log_columns.read_run(database, [compressed], 0, OFFSET_LIMIT, 2002) is None


def test_no_timestamp_of_a_batch_that_has_but_one_is_read(
    database: Database, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (same,) = write(database, [[(NOW_MS, b"k", b"v%d" % at) for at in range(4)]])
    (apart,) = write(database, [[(NOW_MS + at, b"k", b"v") for at in range(4)]])
    monkeypatch.setattr(log_columns, "_read", None)
    columns = log_columns.read_run(database, [same], 0, OFFSET_LIMIT, ALL)
    assert columns is not None
    assert columns.same_ms
    assert list(columns) == rows(database, [same])
    assert list(columns[1:3]) == rows(database, [same])[1:3]
    assert columns.span_ms == (NOW_MS, NOW_MS)
    assert log_columns.read_run(database, [apart], 0, OFFSET_LIMIT, ALL) is None


def test_columns_are_a_sequence_of_rows() -> None:
    columns = EventColumns(7, 1000, [0, 5, 9], [b"a", None, b"c"], None)
    expected = [(7, 1000, b"a", None, None), (8, 1005, None, None, None), (9, 1009, b"c", None, None)]
    assert list(columns) == expected
    assert [columns[0], columns[1], columns[-1]] == expected
    assert list(columns[1:]) == expected[1:]
    assert columns.timestamps == [1000, 1005, 1009]
    assert columns.span_ms == (1000, 1009)
    with pytest.raises(IndexError):
        columns[3]
    with pytest.raises(ValueError, match="one after another"):
        columns[::2]
