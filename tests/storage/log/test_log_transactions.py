"""Transactions as people see them: pages of events, single events, and counts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.model.messages import MessageQuery
from sandbox.storage.log.log_transactions import count_markers, markers
from sandbox.storage.log.message_rows import read_from
from sandbox.storage.log.topic_descriptions import describe_topics
from sandbox.storage.search.messages import MessageSearch, read_event
from tests.broker.logs.transaction_room import TOPIC, TransactionRoom


@pytest.fixture
def room(tmp_path: Path) -> Iterator[TransactionRoom]:
    """Offsets of partition 0: 0 plain, 1 and 2 aborted, 3 its marker, 4 committed, 5 its marker, 6 open."""
    made = TransactionRoom(tmp_path / "dev.db")
    made.plain("plain")
    teller = made.init()
    made.transact(teller, "gone", "too", commit=False)
    made.transact(teller, "here")
    made.add(teller)
    made.write(teller, "waits")
    yield made
    made.close()


@pytest.mark.parametrize("order", ["offset", "oldest", "newest"])
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_page_has_every_event_and_no_marker(room: TransactionRoom, order: str, limit: int) -> None:
    found: list[tuple[int, bool, bool]] = []
    cursor: str | None = None
    while True:
        with room.database.reader() as reader:
            query = MessageQuery(TOPIC, order=order, limit=limit, cursor=cursor)
            page = MessageSearch(reader, query).page(room.now_ms)
        assert page.total == 5
        found += [(event.offset, event.transactional, event.aborted) for event in page.events]
        cursor = page.next
        if cursor is None:
            break
    expected = [(0, False, False), (1, True, True), (2, True, True), (4, True, False), (6, True, False)]
    assert found == (expected[::-1] if order == "newest" else expected)


def test_a_marker_asked_for_by_its_offset_is_shown_as_such(room: TransactionRoom) -> None:
    with room.database.reader() as reader:
        assert read_event(reader, TOPIC, 0, 3).control
        assert not read_event(reader, TOPIC, 0, 4).control


def test_an_event_of_an_open_transaction_is_known_as_such(room: TransactionRoom) -> None:
    with room.database.reader() as reader:
        found = [read_event(reader, TOPIC, 0, offset) for offset in (0, 1, 4, 6)]
    assert [event.pending for event in found] == [False, False, False, True]
    assert [event.aborted for event in found] == [False, True, False, False]


def test_counts_leave_markers_out_and_offsets_do_not(room: TransactionRoom) -> None:
    with room.database.reader() as reader:
        (topic,) = describe_topics(reader, TOPIC)
        assert (topic.events, topic.partitions[0].end) == (5, 7)
        assert markers(reader, room.partition().id, 0, 100) == {3, 5}
        assert count_markers(reader, [(room.partition().id, 4)]) == 1


def test_a_marker_between_two_events_that_are_read_together_is_no_event(tmp_path: Path) -> None:
    room = TransactionRoom(tmp_path / "dev.db")
    producer = room.init()
    room.add(producer, 0)
    room.write(producer, "within")
    room.plain("before")
    room.end(producer)
    room.plain("behind")
    with room.database.reader() as reader:
        found = read_from(reader, TOPIC, 0, 0, 100)
    room.close()
    assert [(event.offset, event.value) for event in found] == [(0, b"within"), (1, b"before"), (3, b"behind")]
