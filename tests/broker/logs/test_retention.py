"""Retention by time and size, and DeleteRecords, over a broker with a clock that the test sets."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.broker.logs import retention
from sandbox.kafka.errors import BrokerError
from sandbox.storage.file.database import StorageFailed
from tests.broker.logs.log_room import EVENT_BYTES, TOPIC, LogRoom

MINUTE_MS = 60_000
CHECK_MS = 5 * MINUTE_MS
BATCH_BYTES = 61 + EVENT_BYTES

Open = Callable[..., LogRoom]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Open]:
    rooms: list[LogRoom] = []

    def open_one(**options: dict[str, str]) -> LogRoom:
        rooms.append(LogRoom(tmp_path / f"{len(rooms)}.db", **options))  # type: ignore[arg-type]
        return rooms[-1]

    yield open_one
    for each in rooms:
        each.close()


def test_events_that_are_too_old_leave_the_log_at_the_next_check(room: Open) -> None:
    log = room(topic_settings={"retention.ms": str(10 * MINUTE_MS)})
    log.append(("a", "old"))
    log.pass_ms(8 * MINUTE_MS)
    log.append(("b", "young"))
    log.pass_ms(8 * MINUTE_MS)
    assert log.partition.start == 1
    assert log.values() == ["young"]


def test_nothing_is_removed_before_it_is_too_old(room: Open) -> None:
    log = room(topic_settings={"retention.ms": str(20 * MINUTE_MS)})
    log.append(("a", "1"))
    log.pass_ms(20 * MINUTE_MS)
    assert (log.partition.start, log.values()) == (0, ["1"])
    log.pass_ms(CHECK_MS)
    assert (log.partition.start, log.values()) == (1, [])


def test_the_largest_timestamp_of_a_batch_says_how_old_it_is(room: Open) -> None:
    log = room(topic_settings={"retention.ms": str(MINUTE_MS)})
    log.append(("a", "future"), timestamp_ms=log.now_ms + 30 * MINUTE_MS)
    log.append(("b", "past"), timestamp_ms=log.now_ms - 30 * MINUTE_MS)
    log.pass_ms(2 * CHECK_MS)
    assert log.partition.start == 0, "a log is cut from its start only: the old batch waits for the one before it"
    log.pass_ms(40 * MINUTE_MS)
    assert log.partition.start == 2


def test_a_batch_without_timestamps_is_as_old_as_its_append(room: Open) -> None:
    log = room(topic_settings={"retention.ms": str(30 * MINUTE_MS)})
    log.append(("a", "1"), timestamp_ms=-1)
    log.pass_ms(2 * CHECK_MS)
    assert log.partition.start == 0
    log.pass_ms(30 * MINUTE_MS)
    assert log.partition.start == 1


def test_minus_one_keeps_events_for_ever(room: Open) -> None:
    log = room(topic_settings={"retention.ms": "-1", "retention.bytes": "-1"})
    log.append(("a", "1"), timestamp_ms=1)
    log.pass_ms(30 * CHECK_MS)
    assert log.values() == ["1"]


def test_a_log_loses_no_more_than_what_is_too_much(room: Open) -> None:
    log = room(topic_settings={"retention.bytes": str(2 * BATCH_BYTES + 1)})
    for value in "abcde":
        log.append((value, value))
    log.pass_ms(CHECK_MS)
    assert log.values() == ["c", "d", "e"], "with one batch less it would be smaller than retention.bytes"
    assert log.described().size_bytes == 3 * BATCH_BYTES


def test_a_topic_that_is_only_compacted_keeps_what_is_old(room: Open) -> None:
    log = room(topic_settings={"cleanup.policy": "compact", "retention.ms": "1", "retention.bytes": "1"})
    log.append(("a", "1"))
    log.append(("b", "2"))
    log.pass_ms(3 * CHECK_MS)
    assert (log.partition.start, log.values()) == (0, ["1", "2"])


def test_altered_retention_takes_effect_at_the_next_check(room: Open) -> None:
    log = room()
    log.append(("a", "1"))
    log.pass_ms(2 * CHECK_MS)
    assert log.values() == ["1"]
    log.broker.alter_topic(TOPIC, {"retention.ms": "1000"})
    log.broker.commit()
    log.pass_ms(CHECK_MS)
    assert log.values() == []


def test_retention_of_the_broker_serves_topics_without_their_own(room: Open) -> None:
    log = room(settings={"log.retention.hours": "1"})
    log.append(("a", "1"))
    log.pass_ms(59 * MINUTE_MS)
    assert log.values() == ["1"]
    log.pass_ms(10 * MINUTE_MS)
    assert log.values() == []


def test_retention_is_applied_when_the_sandbox_starts(room: Open) -> None:
    log = room(topic_settings={"retention.ms": "1000"})
    log.append(("a", "1"))
    log.now_ms += 2000
    log.restart()
    log.pass_ms(retention.PURGE_PAUSE_MS)
    assert (log.partition.start, log.values()) == (1, [])


def test_offsets_go_on_after_everything_was_removed_and_the_sandbox_restarted(room: Open) -> None:
    log = room(topic_settings={"retention.ms": "1000"})
    log.append(("a", "1"), ("a", "2"))
    log.pass_ms(2 * CHECK_MS)
    log.restart()
    assert log.rows("value") == []
    assert log.append(("a", "3")) == 2
    assert log.described().size_bytes == BATCH_BYTES


def test_rows_are_removed_some_at_a_time(room: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PURGE_ROWS", 10)
    log = room(topic_settings={"retention.ms": "1000"})
    log.append(*[("a", str(index)) for index in range(35)])
    log.now_ms += CHECK_MS
    left = []
    for _ in range(5):
        log.broker.tick(log.now_ms)
        log.broker.commit()
        left.append(len(log.rows("id")))
        assert log.partition.start == 35, "the log start offset rises first"
        log.now_ms += retention.PURGE_PAUSE_MS
    assert max(before - after for before, after in zip([35, *left], left, strict=False)) <= retention.PURGE_ROWS
    assert left[-1] == 0


def test_rows_that_were_not_removed_before_a_restart_are_removed_after_it(room: Open) -> None:
    log = room()
    log.append(("a", "1"), ("a", "2"))
    log.broker.retention.delete_records(log.partition, 1)
    log.broker.commit()
    assert len(log.rows("id")) == 2
    log.restart()
    log.pass_ms(retention.PURGE_PAUSE_MS)
    assert log.values() == ["2"]


def test_deleted_records_are_gone_and_the_rest_is_read_from_there(room: Open) -> None:
    log = room()
    log.append(("a", "0"), ("a", "1"), ("a", "2"))
    log.append(("a", "3"))
    assert log.broker.retention.delete_records(log.partition, 2) == 2
    log.broker.commit()
    assert log.offsets() == [2, 3]
    described = log.described()
    assert (described.start, described.end, described.events) == (2, 4, 2)
    assert log.broker.retention.delete_records(log.partition, 1) == 2, "a log start offset never falls"
    assert log.broker.retention.delete_records(log.partition, -1) == 4
    log.broker.commit()
    assert (log.offsets(), log.described().size_bytes) == ([], 0)


@pytest.mark.parametrize("offset", [-2, 2])
def test_records_outside_the_log_cannot_be_deleted(room: Open, offset: int) -> None:
    log = room()
    log.append(("a", "0"))
    with pytest.raises(BrokerError, match="OFFSET_OUT_OF_RANGE"):
        log.broker.retention.delete_records(log.partition, offset)


def test_records_of_a_compacted_topic_cannot_be_deleted(room: Open) -> None:
    log = room(topic_settings={"cleanup.policy": "compact"})
    log.append(("a", "0"))
    with pytest.raises(BrokerError, match="POLICY_VIOLATION"):
        log.broker.retention.delete_records(log.partition, 1)


def test_a_cut_that_could_not_be_written_did_not_happen(room: Open) -> None:
    log = room()
    log.append(("a", "0"), ("a", "1"))
    log.broker.retention.delete_records(log.partition, 1)
    log.broker.undo(StorageFailed("disk full"))
    assert (log.partition.start, log.offsets()) == (0, [0, 1])
    log.pass_ms(2 * retention.PURGE_PAUSE_MS)
    assert log.values() == ["0", "1"]


def test_an_event_that_is_in_the_log_cannot_be_deleted_by_hand(room: Open) -> None:
    log = room()
    log.append(("a", "0"), ("a", "1"))
    log.broker.retention.delete_records(log.partition, 1)
    log.broker.commit()
    with sqlite3.connect(log.path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM events WHERE offset = 1")
    connection.close()
