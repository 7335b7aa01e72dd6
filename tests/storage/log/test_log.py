"""Events and record batches as rows."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.kafka.event import Headers
from sandbox.storage.file.database import Database
from sandbox.storage.log import log
from sandbox.storage.log.log import BatchRow, EventColumns, Record

MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NUMBERS = count(1)
TEMPLATE = BatchRow(0, 0, 0, 0, 0, 0, 0, -1, -1, -1, 0, 0, 0, 0, 100, 0)

payloads = st.none() | st.binary(max_size=20) | st.text(max_size=8).map(lambda text: text.encode())
names = st.text(st.characters(codec="utf-8"), max_size=6) | st.binary(min_size=1, max_size=4).map(
    lambda name: name.decode("utf-8", "surrogateescape")
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with closing(Database(tmp_path_factory.mktemp("log") / "dev.db")) as opened:
        yield opened


def write(database: Database, batches: list[list[Record]]) -> int:
    """A new partition with these batches; its id."""
    partition_id = next(NUMBERS)
    base = 0
    for records in batches:
        stamps = [record[1] for record in records]
        row = TEMPLATE._replace(
            partition_id=partition_id,
            base_offset=base,
            last_offset=base + len(records) - 1,
            min_timestamp=min(stamps),
            max_timestamp=max(stamps),
        )
        log.insert_batch(database, row, EventColumns.of(records))
        base += len(records)
    database.commit()
    return partition_id


def stamped(batches: list[list[int]]) -> list[list[Record]]:
    return [[(delta, stamp, None, b"", ()) for delta, stamp in enumerate(stamps)] for stamps in batches]


@MANY
@given(st.lists(st.tuples(names, payloads), max_size=4).map(tuple))
def test_headers_come_back_from_their_json_byte_for_byte(headers: Headers) -> None:
    assert log.headers_from_json(log.headers_to_json(headers)) == headers


@MANY
@given(
    st.lists(st.tuples(payloads, payloads, st.lists(st.tuples(names, payloads), max_size=3)), min_size=1, max_size=5)
)
def test_events_come_back_from_their_rows_byte_for_byte(
    database: Database, events: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]]
) -> None:
    records: list[Record] = [(delta, delta, key, value, tuple(h)) for delta, (key, value, h) in enumerate(events)]
    partition_id = write(database, [records])
    assert log.read_records(database, partition_id, 0, len(records)) == [(*one[:4], one[4] or None) for one in records]


stamp_batches = st.lists(st.lists(st.integers(-3, 12), min_size=1, max_size=4), min_size=1, max_size=6)


@MANY
@given(stamp_batches, st.integers(-4, 14), st.data())
def test_the_offset_for_a_time_is_that_of_the_first_event_that_is_not_earlier(
    database: Database, batches: list[list[int]], at: int, data: st.DataObject
) -> None:
    stamps = [stamp for batch in batches for stamp in batch]
    start = data.draw(st.integers(0, len(stamps)))
    end = data.draw(st.integers(start, len(stamps)))
    partition_id = write(database, stamped(batches))
    expected = next(((offset, stamps[offset]) for offset in range(start, end) if stamps[offset] >= at), None)
    assert log.offset_for_time(database, partition_id, at, start, end) == expected


@MANY
@given(stamp_batches)
def test_the_largest_timestamp_is_that_of_the_first_event_that_has_it(
    database: Database, batches: list[list[int]]
) -> None:
    stamps = [stamp for batch in batches for stamp in batch]
    partition_id = write(database, stamped(batches))
    expected = (stamps.index(max(stamps)), max(stamps))
    assert log.largest_timestamp(database, partition_id, 0, len(stamps)) == expected


@MANY
@given(stamp_batches, st.data())
def test_the_largest_timestamp_ignores_deleted_events_of_a_batch(
    database: Database, stamps: list[list[int]], data: st.DataObject
) -> None:
    partition_id = write(database, stamped(stamps))
    every = [stamp for batch in stamps for stamp in batch]
    start = data.draw(st.integers(0, len(every) - 1))
    newest = max(every[start:])
    expected = every.index(newest, start), newest
    assert log.largest_timestamp(database, partition_id, start, len(every)) == expected


def test_an_empty_log_has_no_time_and_no_largest_timestamp(database: Database) -> None:
    assert log.offset_for_time(database, next(NUMBERS), 0, 0, 0) is None
    assert log.largest_timestamp(database, next(NUMBERS), 0, 0) is None
    assert log.last_batch(database, next(NUMBERS)) is None


def test_a_look_up_passes_over_a_thousand_batches_whose_latest_event_has_left(database: Database) -> None:
    """Their rows still have the time of an event that compaction removed; none of them may be returned."""
    partition_id = write(database, stamped([[5]] * 1500 + [[5]]))
    database.execute("INSERT INTO topics(name, topic_id, created_ms) VALUES(?, ?, 0)", (f"t{partition_id}",) * 2)
    topic = database.query("SELECT max(id) FROM topics")[0][0]
    row = "INSERT INTO partitions(id, topic, partition, cleaner_offset) VALUES(?, ?, 0, 1500)"
    database.execute(row, (partition_id, topic))
    database.execute("DELETE FROM events WHERE partition_id = ? AND offset < 1500", (partition_id,))
    database.commit()
    assert log.offset_for_time(database, partition_id, 5, 0, 1501) == (1500, 5)


def test_batches_are_read_from_the_one_that_holds_the_offset_up_to_a_size(database: Database) -> None:
    partition_id = write(database, stamped([[1, 1], [1, 1], [1, 1]]))

    def bases(offset: int, end: int, size_bytes: int) -> list[int]:
        return [one.base_offset for one in log.read_batches(database, partition_id, offset, end, size_bytes)]

    assert bases(0, 6, 1000) == [0, 2, 4]
    assert bases(3, 6, 1000) == [2, 4]
    assert bases(3, 4, 1000) == [2]
    assert bases(2, 6, 200) == [2, 4]
    assert bases(2, 6, 1) == [2]
    assert bases(6, 6, 1000) == []


def test_the_newest_five_batches_of_a_producer_are_found_oldest_first(database: Database) -> None:
    partition_id = next(NUMBERS)
    for number in range(7):
        row = TEMPLATE._replace(
            partition_id=partition_id,
            base_offset=number,
            last_offset=number,
            producer_id=9 if number != 3 else 8,
            producer_epoch=0,
            base_sequence=number,
        )
        log.insert_batch(database, row, EventColumns.of(stamped([[1]])[0]))
    database.commit()
    assert [one.base_offset for one in log.producer_batches(database, 9, partition_id)] == [1, 2, 4, 5, 6]
    assert log.producer_batches(database, -1, partition_id) == []


def test_a_file_read_by_another_connection_has_the_same_rows(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "dev.db")) as database:
        partition_id = write(database, [[(0, 1, b"k", b"a\0b", ())]])
        with database.reader() as reader:
            assert log.read_records(reader, partition_id, 0, 0) == [(0, 1, b"k", b"a\0b", None)]
