"""Compaction, over a broker with a clock that the test sets."""

import sqlite3
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.broker.logs import compaction
from sandbox.kafka.errors import BrokerError
from sandbox.storage.file.database import StorageFailed
from tests.broker.logs.log_room import TOPIC, LogRoom, Written

COMPACT = {"cleanup.policy": "compact"}
DAY_MS = 24 * 3600 * 1000
BACKOFF_MS = 15_000

Open = Callable[..., LogRoom]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Open]:
    rooms: list[LogRoom] = []

    def open_one(**topic_settings: str) -> LogRoom:
        named = COMPACT | {name.replace("_", "."): value for name, value in topic_settings.items()}
        rooms.append(LogRoom(tmp_path / f"{len(rooms)}.db", named))
        return rooms[-1]

    yield open_one
    for each in rooms:
        each.close()


def test_the_last_value_of_each_key_stays_at_its_offset(room: Open) -> None:
    log = room()
    log.append(("a", "a0"), ("b", "b1"), ("a", "a2"))
    log.append(("a", "a3"), ("c", "c4"))
    log.append(("d", "d5"))
    assert log.compact() == 2
    assert log.offsets() == [1, 3, 4, 5]
    assert log.values() == ["b1", "a3", "c4", "d5"]
    assert (log.partition.start, log.partition.high_watermark) == (0, 6)


def test_a_log_is_compacted_when_half_of_it_is_dirty(room: Open) -> None:
    log = room()
    for index in range(4):
        log.append(("a", str(index)))
    log.pass_ms(2 * BACKOFF_MS)
    assert log.values() == ["3"]
    log.append(("b", "4"))
    log.append(("b", "5"))
    log.append(("c", "6"))
    log.append(("d", "7"))
    log.pass_ms(2 * BACKOFF_MS)
    assert log.values() == ["3", "5", "6", "7"]


def test_a_log_that_is_hardly_dirty_is_left_alone(room: Open) -> None:
    log = room()
    for index in range(10):
        log.append((f"key {index}", "x"))
    log.pass_ms(2 * BACKOFF_MS)
    log.append(("key 0", "y"))
    log.append(("key 1", "y"))
    log.pass_ms(20 * BACKOFF_MS)
    assert len(log.values()) == 12
    assert log.compact() == 2, "but it is on request"


def test_the_ratio_of_a_topic_decides(room: Open) -> None:
    log = room(min_cleanable_dirty_ratio="0.01")
    for index in range(10):
        log.append((f"key {index}", "x"))
    log.pass_ms(2 * BACKOFF_MS)
    log.append(("key 0", "y"))
    log.append(("key 1", "y"))
    log.pass_ms(2 * BACKOFF_MS)
    assert len(log.values()) == 10


def test_an_event_does_not_stay_dirty_for_longer_than_max_compaction_lag(room: Open) -> None:
    log = room(min_cleanable_dirty_ratio="1.0", max_compaction_lag_ms="60000")
    log.append(("a", "0"))
    log.append(("a", "1"))
    log.pass_ms(50_000)
    assert log.values() == ["0", "1"]
    log.pass_ms(30_000)
    assert log.values() == ["1"]


def test_an_event_stays_for_min_compaction_lag(room: Open) -> None:
    log = room(min_compaction_lag_ms="60000")
    log.append(("a", "0"))
    log.append(("a", "1"))
    log.append(("a", "2"))
    log.pass_ms(30_000)
    assert (log.compact(), log.values()) == (0, ["0", "1", "2"])
    log.pass_ms(60_000)
    assert log.values() == ["2"]


def test_a_young_event_does_not_hide_an_old_one(room: Open) -> None:
    log = room(min_compaction_lag_ms="60000")
    log.append(("a", "0"))
    log.append(("b", "1"))
    log.pass_ms(59_000)
    log.append(("a", "2"))
    log.now_ms += 2_000
    log.compact()
    assert log.values() == ["0", "1", "2"]


def test_the_last_batch_is_not_touched_but_hides_what_is_before_it(room: Open) -> None:
    log = room()
    log.append(("a", "0"))
    log.append(("a", "1"), ("a", "2"))
    log.compact()
    assert log.values() == ["1", "2"]


def test_a_tombstone_goes_delete_retention_ms_after_the_first_pass(room: Open) -> None:
    log = room(delete_retention_ms=str(DAY_MS))
    log.append(("a", "0"))
    log.append(("a", None))
    log.append(("b", "2"))
    log.pass_ms(BACKOFF_MS)
    assert log.values() == [None, "2"]
    log.pass_ms(DAY_MS - BACKOFF_MS)
    assert log.values() == [None, "2"]
    log.pass_ms(2 * BACKOFF_MS)
    assert log.values() == ["2"], "though nothing new was written"
    assert log.described().events == 1


def test_a_key_that_comes_back_is_kept(room: Open) -> None:
    log = room(delete_retention_ms="0")
    log.append(("a", None))
    log.append(("a", "1"))
    log.append(("b", "2"))
    log.compact()
    assert log.values() == ["1", "2"]


def test_events_without_a_key_go(room: Open) -> None:
    log = room()
    log.broker.alter_topic(TOPIC, {"cleanup.policy": "delete"})
    log.append((None, "0"), ("a", "1"))
    log.append(("b", "2"))
    log.broker.alter_topic(TOPIC, COMPACT)
    log.broker.commit()
    log.compact()
    assert log.values() == ["1", "2"]


def test_a_topic_that_is_not_compacted_is_refused(room: Open) -> None:
    log = room(cleanup_policy="delete")
    log.append(("a", "0"))
    with pytest.raises(BrokerError, match="INVALID_REQUEST"):
        log.compact()


def test_the_end_of_the_log_stays_where_it_is_after_a_restart(room: Open) -> None:
    log = room(delete_retention_ms="0")
    log.append(("a", "0"))
    log.append(("a", None))
    log.compact()
    log.pass_ms(10 * BACKOFF_MS)
    log.restart()
    assert log.append(("b", "2")) == 2
    log.pass_ms(10 * BACKOFF_MS)
    assert log.values() == ["2"]


def test_a_pass_that_was_cut_off_by_a_restart_begins_anew(room: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "STEP_BATCHES", 2)
    log = room()
    for index in range(10):
        log.append((f"key {index % 3}", str(index)))
    work = log.broker.compaction.begin(log.partition, log.now_ms)
    assert work is not None
    while not work.removed:
        assert log.broker.compaction.step(work, log.now_ms)
        log.broker.commit()
    log.restart()
    assert 3 < len(log.values()) < 10
    log.pass_ms(BACKOFF_MS)
    assert log.values() == ["7", "8", "9"]


def test_no_step_looks_at_more_than_a_few_hundred_events_beyond_one_batch(room: Open) -> None:
    log = room()
    for first in range(0, 3_000, 50):
        log.append(*((f"key {number % 7}", str(number)) for number in range(first, first + 50)))
    work = log.broker.compaction.begin(log.partition, log.now_ms)
    assert work is not None
    largest, before, more = 0, work.position, True
    while more:
        more = log.broker.compaction.step(work, log.now_ms)
        largest = max(largest, work.position - before)
        before = work.position
    assert 0 < largest <= 500


def test_a_pass_that_could_not_be_written_did_not_happen(room: Open) -> None:
    log = room()
    for index in range(5):
        log.append(("a", str(index)))
    work = log.broker.compaction.begin(log.partition, log.now_ms)
    assert work is not None
    while log.broker.compaction.step(work, log.now_ms):
        pass
    log.broker.undo(StorageFailed("disk full"))
    assert log.values() == list("01234")
    log.pass_ms(BACKOFF_MS)
    assert log.values() == ["4"]


def test_a_topic_deleted_during_a_pass_ends_it(room: Open) -> None:
    log = room()
    for index in range(5):
        log.append(("a", str(index)))
    work = log.broker.compaction.begin(log.partition, log.now_ms)
    assert work is not None
    log.broker.delete_topic(TOPIC, log.now_ms)
    assert not log.broker.compaction.step(work, log.now_ms)


def test_a_producers_newest_batches_still_tell_duplicates(room: Open) -> None:
    log = room()
    for index in range(8):
        log.append(("a", str(index)), producer_id=7, producer_epoch=0, base_sequence=index)
    log.append(("a", "last"))
    log.compact()
    assert log.values() == ["last"]
    log.restart()
    before = log.partition.next
    assert log.append(("a", "7"), producer_id=7, producer_epoch=0, base_sequence=7) == 7
    assert log.partition.next == before, "it was written before, though the event is gone"
    assert log.append(("a", "8"), producer_id=7, producer_epoch=0, base_sequence=8) == 9


def test_look_ups_by_time_find_what_is_left(room: Open) -> None:
    log = room()
    for index in range(6):
        log.append(("a" if index < 5 else "b", str(index)), timestamp_ms=1000 + index)
    log.compact()
    first = log.broker.log.offset_for_time(log.partition, 1001)
    largest = log.broker.log.largest_timestamp(log.partition)
    assert (first, largest) == ((4, 1004), (5, 1005))


def test_events_in_the_middle_of_a_log_cannot_be_deleted_by_hand_before_or_after_a_pass(room: Open) -> None:
    log = room()
    for index in range(4):
        log.append((f"key {index % 2}", str(index)))
    for _ in range(2):
        with sqlite3.connect(log.path) as connection:
            for statement in ("DELETE FROM events", "DELETE FROM batches", "UPDATE batches SET size_bytes = 1"):
                with pytest.raises(sqlite3.IntegrityError):
                    connection.execute(statement)
        connection.close()
        log.compact()
    assert log.values() == ["2", "3"]


def test_a_step_is_bounded(room: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "STEP_BATCHES", 7)
    log = room()
    for index in range(50):
        log.append(("a", str(index)))
    work = log.broker.compaction.begin(log.partition, log.now_ms)
    assert work is not None
    removed = [0]
    while log.broker.compaction.step(work, log.now_ms):
        log.broker.commit()
        removed.append(work.removed)
    assert max(after - before for before, after in pairwise(removed)) <= 7
    assert work.removed == 49


def test_more_keys_than_one_pass_remembers_are_left_for_the_next(room: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "KEYS_MAX", 3)
    log = room()
    for index in range(12):
        log.append((f"key {index % 6}", str(index)))
    log.append(("end", "end"))
    work = log.broker.compaction.begin(log.partition, log.now_ms)
    assert work is not None
    while log.broker.compaction.step(work, log.now_ms):
        pass
    assert (work.removed, len(log.values())) == (0, 13), "the keys of the first three events come again later"
    log.compact()
    assert log.values() == [*map(str, range(6, 12)), "end"]


EVENTS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.one_of(st.none(), st.text("xyz", max_size=3))), min_size=1, max_size=6
)
ACTIONS = st.lists(
    st.one_of(EVENTS, st.just("compact"), st.just("restart"), st.just("pass"), st.integers(0, 40)),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_what_is_left_is_the_last_of_each_key_as_it_was_written(actions: list[Any]) -> None:
    """Appends, passes, deleted records, time and restarts in any order, against the list of all that was written."""
    with TemporaryDirectory() as folder:
        log = LogRoom(Path(folder) / "x.db", {"cleanup.policy": "compact,delete", "delete.retention.ms": "30000"})
        written: list[Written] = []
        for action in actions:
            if action == "compact":
                log.compact()
            elif action == "restart":
                log.restart()
            elif action == "pass":
                log.pass_ms(BACKOFF_MS + 1)
            elif isinstance(action, int):
                log.broker.retention.delete_records(log.partition, min(action, log.partition.high_watermark))
                log.broker.commit()
            else:
                log.append(*action)
                written += action
            _check(log, written)
        log.close()


def _check(log: LogRoom, written: list[Written]) -> None:
    offsets = log.offsets()
    kept = {offset: (key, value) for offset, key, value in log.rows("offset, key, value")}
    assert all(kept[offset] == written[offset] for offset in offsets), "an event is as it was written, or gone"
    last = {key: offset for offset, (key, _) in enumerate(written)}
    wanted = {at for at in last.values() if at >= log.partition.start and written[at][1] is not None}
    assert wanted <= set(offsets), "the last value of each key is there"
    described = log.described()
    assert (described.end, described.events) == (len(written), len(offsets))
    assert described.size_bytes == log.batch_sizes()


TRANSACTION: dict[str, Any] = {"producer_id": 7, "producer_epoch": 0, "transactional": True}


def _transaction(log: LogRoom, key: str, value: str, *, commit: bool) -> None:
    log.append((key, value), base_sequence=0, **TRANSACTION)
    log.broker.log.append_marker(log.partition, 7, 0, commit, log.now_ms)
    log.broker.commit()


def test_an_aborted_event_hides_nothing_and_goes(room: Open) -> None:
    log = room()
    log.append(("a", "committed"))
    _transaction(log, "a", "aborted", commit=False)
    log.append(("b", "last"))
    log.compact()
    assert log.values()[0] == "committed"
    assert "aborted" not in log.values()


def test_a_committed_event_hides_those_before_it(room: Open) -> None:
    log = room()
    log.append(("a", "old"))
    _transaction(log, "a", "new", commit=True)
    log.append(("b", "last"))
    log.compact()
    assert "old" not in log.values()
    assert "new" in log.values()


def test_nothing_after_the_beginning_of_an_open_transaction_is_touched(room: Open) -> None:
    log = room()
    log.append(("a", "0"))
    log.append(("a", "1"))
    log.append(("a", "2"), base_sequence=0, **TRANSACTION)
    log.append(("c", "3"))
    log.append(("c", "4"))
    log.compact()
    assert log.values() == ["1", "2", "3", "4"]


def test_a_topic_that_is_no_longer_compacted_is_passed_over(room: Open) -> None:
    log = room()
    log.append(("a", "0"))
    log.append(("a", "1"))
    log.broker.compaction.tick(log.now_ms - 1, log.now_ms - 1)
    log.broker.alter_topic(TOPIC, {"cleanup.policy": "delete"})
    log.broker.commit()
    log.pass_ms(2 * BACKOFF_MS)
    assert log.values() == ["0", "1"]
