"""A group of hundreds of members: the work grows with their number, and answers go out in slices."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.broker.groups.calls import JoinAnswer, JoinGroup
from sandbox.broker.reply import Reply
from tests.broker.groups.group_room import GROUP, RANGE, SESSION_MS, Room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path / "dev.db")
    yield room
    room.close()


def joining(member_id: str) -> JoinGroup:
    return JoinGroup(GROUP, member_id, None, "app", "/127.0.0.1", SESSION_MS, 60_000, "consumer", RANGE, None, True)


def member_ids(room: Room, members: int) -> list[str]:
    return [room.coordinator.join(joining(""), room.now_ms).result().member_id for _ in range(members)]


def join(room: Room, members: int) -> list[Reply[JoinAnswer]]:
    return [room.coordinator.join(joining(one), room.now_ms) for one in member_ids(room, members)]


def calls(do: Callable[[], object]) -> int:
    """How many functions of the group's modules are called."""
    count = 0

    def seen(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(seen)
    try:
        do()
    finally:
        sys.setprofile(None)
    return count


def test_the_work_of_joining_grows_with_the_members_and_not_with_their_square(tmp_path: Path) -> None:
    counts = []
    for members in (300, 900):
        room = Room(tmp_path / f"{members}.db")
        counts.append(calls(lambda room=room, members=members: join(room, members)))  # type: ignore[misc]
        room.close()
    assert counts[1] < 4.5 * counts[0]


def test_the_answers_of_a_large_group_are_given_in_slices_until_all_have_one(room: Room) -> None:
    replies = join(room, 700)
    done = []
    while not all(reply.done for reply in replies):
        done.append(sum(reply.done for reply in replies))
        due_ms = room.coordinator.next_deadline_ms()
        assert due_ms is not None
        assert due_ms <= room.now_ms
        room.coordinator.tick(room.now_ms)
    assert done == [200, 400, 600]
    assert {reply.result().generation for reply in replies} == {1}
    assert sum(bool(reply.result().members) for reply in replies) == 1


def test_each_silent_member_of_a_large_group_is_dropped_at_its_session_timeout(room: Room) -> None:
    replies = join(room, 300)
    while not all(reply.done for reply in replies):
        room.coordinator.tick(room.now_ms)
    joined = [reply.result() for reply in replies]
    for one in joined:
        assignments = {other.member_id: b"orders:0" for other in one.members}
        room.coordinator.sync(GROUP, 1, one.member_id, None, "consumer", "range", assignments, room.now_ms)
    room.coordinator.tick(room.now_ms)
    assert room.state() == "Stable"
    for _ in range(3):
        room.pass_ms(SESSION_MS // 2)
        for one in joined[1:]:
            assert room.coordinator.heartbeat(GROUP, 1, one.member_id, None, room.now_ms) in (
                "NONE",
                "REBALANCE_IN_PROGRESS",
            )
    assert len(room.group().members) == 299
    assert joined[0].member_id not in room.group().members
