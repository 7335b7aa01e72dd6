"""Effects of a transaction outside the log: on groups' offsets, and on what people and administrators see."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.kafka.errors import BrokerError
from sandbox.storage.groups.groups import CommittedOffset, GroupStore
from sandbox.storage.log import log_transactions
from tests.broker.logs.transaction_room import TOPIC, TransactionRoom


@pytest.fixture
def room(tmp_path: Path) -> Iterator[TransactionRoom]:
    made = TransactionRoom(tmp_path / "dev.db")
    yield made
    made.close()


def refusal(error: pytest.ExceptionInfo[BrokerError]) -> str:
    return error.value.error.name


def test_offsets_are_committed_with_the_transaction(room: TransactionRoom) -> None:
    teller = room.init()
    room.stage(teller, "app", 5)
    assert (room.committed("app"), room.broker.transactions.pending("app")) == (None, {(TOPIC, 0)})
    room.restart()
    room.end(teller)
    assert (room.committed("app"), room.broker.transactions.pending("app")) == (5, set())


def test_offsets_are_dropped_with_an_aborted_transaction(room: TransactionRoom) -> None:
    teller = room.init()
    room.stage(teller, "app", 5)
    room.end(teller, commit=False)
    assert (room.committed("app"), room.broker.transactions.pending("app")) == (None, set())


def test_a_commit_that_came_after_the_staged_one_stays(room: TransactionRoom) -> None:
    teller = room.init()
    room.stage(teller, "app", 5)
    GroupStore(room.database).commit("app", [CommittedOffset(TOPIC, 0, 9, -1, "", room.now_ms)], -1, "")
    room.end(teller)
    assert room.committed("app") == 9


def test_a_group_that_waits_for_a_transaction_is_not_without_offsets(room: TransactionRoom) -> None:
    store = GroupStore(room.database)
    room.stage(room.init(), "app", 5)
    assert store.has_offsets("app")
    store.delete("app")
    assert not store.has_offsets("app")


# What people see


def test_the_messages_view_says_what_became_of_each_event(room: TransactionRoom) -> None:
    teller, other = room.init(), room.init("other")
    room.plain("plain")
    room.transact(teller, "gone", commit=False)
    room.transact(teller, "here")
    room.add(other)
    room.write(other, "waits")
    with room.database.reader() as reader:
        rows = reader.query('SELECT offset, value, "transaction" FROM messages ORDER BY offset')
        count = reader.one("SELECT count(*) FROM messages")
    assert rows == [
        (0, "plain", None),
        (1, "gone", "aborted"),
        (3, "here", "committed"),
        (5, "waits", "open"),
    ]
    assert count == (4,)


def test_transactional_ids_are_listed_by_what_is_asked(room: TransactionRoom) -> None:
    first, second = room.init("pay-1"), room.init("ship-1")
    room.add(first)
    room.now_ms += 10_000

    def names(**filters: object) -> list[str]:
        found = room.broker.transactions.list(room.now_ms, **filters)  # type: ignore[arg-type]
        return [one.transactional_id for one in found]

    assert names() == ["pay-1", "ship-1"]
    assert names(states=["Ongoing"]) == ["pay-1"]
    assert names(producer_ids=[second.producer_id]) == ["ship-1"]
    assert names(pattern="pay-.*") == ["pay-1"]
    assert names(pattern="pay") == []
    assert names(open_ms=20_000) == ["ship-1"]
    with pytest.raises(BrokerError) as error:
        names(pattern="(")
    assert refusal(error) == "INVALID_REGULAR_EXPRESSION"


@pytest.mark.timeout(60)
def test_an_expression_over_transactional_ids_takes_linear_time(room: TransactionRoom) -> None:
    room.init("a" * 200 + "!")
    for expression in ("(a+)+", "(" * 3000 + ")" * 3000):
        assert room.broker.transactions.list(room.now_ms, pattern=expression) == ()
    with pytest.raises(BrokerError) as error:
        room.broker.transactions.list(room.now_ms, pattern="a{1001}")
    assert refusal(error) == "INVALID_REGULAR_EXPRESSION"


def test_the_producers_of_a_partition_are_known_after_a_restart(room: TransactionRoom) -> None:
    teller = room.init()
    room.add(teller)
    room.write(teller, "a", "b")
    room.restart()
    (found,) = log_transactions.active_producers(room.database, room.partition().id, 0)
    assert (found.producer_id, found.producer_epoch, found.last_sequence, found.marked) == (
        teller.producer_id,
        0,
        1,
        False,
    )
    assert room.partition().open_transactions == {teller.producer_id: 0}
    assert log_transactions.active_producers(room.database, room.partition().id, room.now_ms + 1) == []


def test_a_deleted_topic_leaves_nothing_of_its_transactions(room: TransactionRoom) -> None:
    teller = room.init()
    room.transact(teller, "one")
    room.add(teller)
    room.write(teller, "two")
    room.broker.delete_topic(TOPIC, room.now_ms)
    room.end(teller)
    room.broker.tick(room.now_ms)
    room.broker.commit()
    assert room.database.query("SELECT * FROM log_transactions") == []
