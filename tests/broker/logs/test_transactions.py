"""Transactions: who may write, what readers see, and how they end."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.broker.logs.transactions import TransactionState
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.producer_epoch import EPOCH_LAST
from sandbox.storage.file.database import StorageFailed
from sandbox.storage.log import log_transactions
from tests.broker.logs.transaction_room import TIMEOUT_MS, Producer, TransactionRoom


@pytest.fixture
def room(tmp_path: Path) -> Iterator[TransactionRoom]:
    made = TransactionRoom(tmp_path / "dev.db")
    yield made
    made.close()


def refusal(error: pytest.ExceptionInfo[BrokerError]) -> str:
    return error.value.error.name


# Readers


def test_events_of_an_open_transaction_are_beyond_the_last_stable_offset(room: TransactionRoom) -> None:
    teller = room.init()
    room.plain("before")
    room.add(teller)
    room.write(teller, "one", "two")
    room.plain("after")
    assert (room.partition().high_watermark, room.partition().last_stable_offset) == (4, 1)
    assert room.read_committed() == ["before"]


def test_a_commit_shows_all_events_and_takes_one_offset(room: TransactionRoom) -> None:
    room.transact(room.init(), "one", "two")
    assert (room.partition().high_watermark, room.partition().last_stable_offset) == (3, 3)
    assert room.read_committed() == ["one", "two"]
    assert room.events() == [(0, "one"), (1, "two")]


def test_an_abort_leaves_the_events_in_the_log_and_hides_them(room: TransactionRoom) -> None:
    teller = room.init()
    room.transact(teller, "gone", commit=False)
    room.transact(teller, "here")
    assert room.read_committed() == ["here"]
    assert room.events() == [(0, "gone"), (2, "here")]


def test_transactions_of_two_producers_in_one_partition_are_told_apart(room: TransactionRoom) -> None:
    first, second = room.init("first"), room.init("second")
    room.add(first)
    room.add(second)
    room.write(first, "a1")
    room.write(second, "b1")
    room.write(first, "a2")
    room.end(second)
    assert room.partition().last_stable_offset == 0
    room.end(first, commit=False)
    assert room.read_committed() == ["b1"]
    assert room.partition().last_stable_offset == room.partition().high_watermark


def test_a_reader_in_the_middle_of_an_aborted_transaction_is_told_of_it(room: TransactionRoom) -> None:
    teller = room.init()
    room.transact(teller, "a", "b", "c", commit=False)
    room.transact(teller, "d")
    assert room.read_committed(offset=2) == ["d"]
    found = log_transactions.aborted_transactions(room.database, room.partition().id, 4, 6)
    assert found == []


def test_an_abort_without_events_is_none_that_readers_are_told_of(room: TransactionRoom) -> None:
    teller = room.init()
    room.add(teller)
    room.end(teller, commit=False)
    assert log_transactions.aborted_transactions(room.database, room.partition().id, 0, 9) == []
    assert room.partition().aborted_until == -1


def test_a_transaction_over_two_partitions_ends_in_both_at_once(room: TransactionRoom) -> None:
    teller = room.init()
    room.add(teller, 0, 1)
    room.write(teller, "left")
    room.write(teller, "right", partition=1)
    room.end(teller)
    assert (room.read_committed(0), room.read_committed(1)) == (["left"], ["right"])


# Restarts and failures


def test_an_open_transaction_stays_open_through_a_restart_and_can_be_committed(room: TransactionRoom) -> None:
    teller = room.init()
    room.add(teller)
    room.write(teller, "one")
    room.restart()
    assert room.partition().last_stable_offset == 0
    room.write(teller, "two")
    room.end(teller)
    assert room.read_committed() == ["one", "two"]


def test_what_was_aborted_is_known_after_a_restart(room: TransactionRoom) -> None:
    teller = room.init()
    room.transact(teller, "gone", commit=False)
    room.transact(teller, "here")
    room.restart()
    assert room.read_committed() == ["here"]
    assert room.broker.transactions.describe("teller").state is TransactionState.COMPLETE_COMMIT


def test_an_end_that_cannot_be_stored_did_not_happen_anywhere(
    room: TransactionRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    teller = room.init()
    room.add(teller, 0, 1)
    room.write(teller, "left")
    room.write(teller, "right", partition=1)
    room.stage(teller, "app", 7)
    with monkeypatch.context() as patch:
        patch.setattr(room.database, "commit", failing_commit)
        room.end(teller)
    assert (room.read_committed(0), room.read_committed(1), room.committed("app")) == ([], [], None)
    assert room.broker.transactions.describe("teller").ongoing
    room.end(teller)
    assert (room.read_committed(0), room.read_committed(1), room.committed("app")) == (["left"], ["right"], 7)


def failing_commit() -> None:
    raise StorageFailed("the disk is full")


def test_how_a_transaction_ended_cannot_be_changed(room: TransactionRoom) -> None:
    room.transact(room.init(), "one", commit=False)
    with pytest.raises(sqlite3.IntegrityError, match="stays so"):
        room.database.execute("UPDATE log_transactions SET aborted = 0")
    room.database.rollback()


# Who may write


def test_a_second_producer_fences_the_first_and_aborts_its_transaction(room: TransactionRoom) -> None:
    zombie = room.init()
    room.add(zombie)
    room.write(zombie, "lost")
    heir = room.init()
    assert (heir.producer_id, heir.epoch) == (zombie.producer_id, 2)
    for refused, expected in (
        (lambda: room.write(zombie, "late"), "INVALID_PRODUCER_EPOCH"),
        (lambda: room.add(zombie), "PRODUCER_FENCED"),
        (lambda: room.end(zombie), "PRODUCER_FENCED"),
    ):
        with pytest.raises(BrokerError) as error:
            refused()
        assert refusal(error) == expected
    room.transact(heir, "kept")
    assert room.read_committed() == ["kept"]


def test_a_partition_that_was_not_added_is_refused(room: TransactionRoom) -> None:
    teller = room.init()
    room.add(teller, 0)
    with pytest.raises(BrokerError) as error:
        room.write(teller, "x", partition=1)
    assert refusal(error) == "INVALID_TXN_STATE"


def test_a_write_may_add_its_partition(room: TransactionRoom) -> None:
    teller = room.init()
    room.write(teller, "x", partition=1, joins=True)
    room.end(teller, version=2)
    assert room.read_committed(1) == ["x"]


@pytest.mark.parametrize(
    ("name", "producer_id", "epoch", "expected"),
    [
        ("", 0, 0, "INVALID_REQUEST"),
        ("nobody", 0, 0, "INVALID_PRODUCER_ID_MAPPING"),
        ("teller", 99, 0, "INVALID_PRODUCER_ID_MAPPING"),
        ("teller", 0, 1, "PRODUCER_FENCED"),
        ("teller", 0, -1, "PRODUCER_FENCED"),
    ],
)
def test_a_producer_that_is_not_the_current_one_is_refused(
    room: TransactionRoom, name: str, producer_id: int, epoch: int, expected: str
) -> None:
    teller = room.init()
    with pytest.raises(BrokerError) as error:
        room.add(Producer(name, producer_id or teller.producer_id, epoch))
    assert refusal(error) == expected


def test_a_duplicate_in_a_transaction_is_answered_with_its_old_offset(room: TransactionRoom) -> None:
    teller = room.init()
    room.add(teller)
    first = room.write(teller, "one", "two")
    teller.sequences[0] = 0
    again = room.write(teller, "one", "two")
    assert (again.duplicate, again.base_offset) == (True, first.base_offset)
    room.end(teller)
    assert room.read_committed() == ["one", "two"]


@pytest.mark.parametrize("timeout_ms", [0, -1, 900_001])
def test_a_timeout_outside_its_limits_is_refused(room: TransactionRoom, timeout_ms: int) -> None:
    with pytest.raises(BrokerError) as error:
        room.init(timeout_ms=timeout_ms)
    assert refusal(error) == "INVALID_TRANSACTION_TIMEOUT"


# Ends


@pytest.mark.parametrize("commit", [True, False])
def test_nothing_can_be_ended_before_it_began(room: TransactionRoom, commit: bool) -> None:
    with pytest.raises(BrokerError) as error:
        room.end(room.init(), commit=commit)
    assert refusal(error) == "INVALID_TXN_STATE"


def test_the_same_end_may_be_asked_for_again_and_the_other_may_not(room: TransactionRoom) -> None:
    teller = room.init()
    room.transact(teller, "one")
    end = room.partition().next
    room.end(teller)
    assert room.partition().next == end
    with pytest.raises(BrokerError) as error:
        room.end(teller, commit=False)
    assert refusal(error) == "INVALID_TXN_STATE"


def test_every_end_of_version_2_raises_the_epoch_and_begins_the_sequence_anew(room: TransactionRoom) -> None:
    teller = room.init()
    for expected in (1, 2, 3):
        room.write(teller, "x", joins=True)
        room.end(teller, version=2)
        assert (teller.epoch, teller.sequences) == (expected, {})
    room.restart()
    teller.sequences[0] = 5
    with pytest.raises(BrokerError) as error:
        room.write(teller, "y", joins=True)
    assert refusal(error) == "OUT_OF_ORDER_SEQUENCE_NUMBER"


def test_an_end_of_version_2_that_is_asked_for_again_gets_the_same_answer(room: TransactionRoom) -> None:
    teller = room.init()
    room.write(teller, "x", joins=True)
    again = Producer(teller.transactional_id, teller.producer_id, teller.epoch)
    room.end(teller, version=2)
    room.end(again, version=2)
    assert (again.producer_id, again.epoch) == (teller.producer_id, teller.epoch)


def test_after_the_last_epoch_comes_a_new_producer_id(room: TransactionRoom) -> None:
    teller = room.init()
    found = room.broker.transactions.describe("teller")
    found.producer_epoch = teller.epoch = EPOCH_LAST
    room.write(teller, "x", joins=True)
    spent = teller.producer_id
    room.end(teller, version=2)
    assert (teller.producer_id > spent, teller.epoch) == (True, 0)
    assert room.read_committed() == ["x"]
    found.producer_epoch = EPOCH_LAST
    assert room.init().epoch == 0


# KIP-360


def test_a_producer_may_raise_its_own_epoch_and_ask_twice(room: TransactionRoom) -> None:
    teller = room.init()
    init = room.broker.transactions.init_producer_id
    assert init("teller", TIMEOUT_MS, teller.producer_id, 0, room.now_ms) == (teller.producer_id, 1)
    assert init("teller", TIMEOUT_MS, teller.producer_id, 0, room.now_ms) == (teller.producer_id, 1)
    assert init("teller", TIMEOUT_MS, teller.producer_id, 1, room.now_ms) == (teller.producer_id, 2)
    with pytest.raises(BrokerError) as error:
        init("teller", TIMEOUT_MS, teller.producer_id, 0, room.now_ms)
    assert refusal(error) == "PRODUCER_FENCED"


# Time


def test_a_transaction_that_is_open_too_long_is_aborted_and_its_producer_fenced(room: TransactionRoom) -> None:
    teller = room.init(timeout_ms=5_000)
    room.add(teller)
    room.write(teller, "late")
    due_ms = room.now_ms + 5_000
    assert room.broker.transactions.next_deadline_ms() == due_ms
    room.broker.tick(due_ms - 1)
    assert room.partition().last_stable_offset == 0
    room.broker.tick(due_ms)
    room.broker.commit()
    assert (room.read_committed(), room.partition().last_stable_offset) == ([], 2)
    with pytest.raises(BrokerError) as error:
        room.end(teller)
    assert refusal(error) == "PRODUCER_FENCED"


def test_a_timeout_counts_on_through_a_restart(room: TransactionRoom) -> None:
    teller = room.init(timeout_ms=5_000)
    room.add(teller)
    room.write(teller, "late")
    room.restart()
    room.broker.tick(room.now_ms + 5_000)
    room.broker.commit()
    assert room.partition().last_stable_offset == room.partition().high_watermark


def test_a_clock_jump_whose_tick_cannot_be_written_extends_no_transaction(room: TransactionRoom) -> None:
    teller = room.init(timeout_ms=5_000)
    room.add(teller)
    room.broker.commit()
    set_ms = room.now_ms - 900_000
    room.broker.clock_moved(set_ms - room.now_ms, set_ms - room.now_ms, set_ms)
    room.broker.tick(set_ms)
    room.broker.undo(StorageFailed("disk full"))
    room.broker.tick(set_ms)
    room.broker.commit()
    assert room.broker.transactions.next_deadline_ms() == set_ms + 5_000
    room.broker.tick(set_ms + 5_000)
    room.broker.commit()
    with pytest.raises(BrokerError) as error:
        room.end(teller)
    assert refusal(error) == "PRODUCER_FENCED"


def test_a_producer_that_timed_out_goes_on_with_the_epoch_that_fenced_it(room: TransactionRoom) -> None:
    teller = room.init(timeout_ms=5_000)
    room.add(teller)
    room.broker.tick(room.now_ms + 5_000)
    given = room.broker.transactions.init_producer_id("teller", 5_000, teller.producer_id, 0, room.now_ms)
    assert given == (teller.producer_id, 1)


def test_a_transactional_id_that_nobody_uses_is_forgotten(room: TransactionRoom) -> None:
    idle, busy = room.init("idle"), room.init("busy")
    room.add(busy)
    week_ms = room.broker.config.number("transactional.id.expiration.ms")
    room.broker.tick(room.now_ms + week_ms + 3_600_001)
    room.broker.commit()
    assert [one.transactional_id for one in room.broker.transactions.list(room.now_ms)] == ["busy"]
    room.restart()
    with pytest.raises(BrokerError) as error:
        room.add(idle)
    assert refusal(error) == "INVALID_PRODUCER_ID_MAPPING"
