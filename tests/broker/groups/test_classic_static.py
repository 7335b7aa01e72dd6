"""Static members: `group.instance.id` (KIP-345, KIP-814)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.broker.groups.calls import LeavingMember
from sandbox.broker.groups.classic_membership import STATIC_JOIN_WAIT_MS, STATIC_JOIN_WAITS_MS
from tests.broker.groups.group_room import GROUP, Room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path / "dev.db")
    yield room
    room.close()


def static_pair(room: Room) -> tuple[str, str]:
    """A Stable group of the static members i-1, which leads, and i-2; their member ids."""
    one, two = room.stable("one", "two", instances=("i-1", "i-2"))
    return one.member_id, two.member_id


def test_a_static_member_needs_no_member_id_first(room: Room) -> None:
    joined = room.join_first("one", instance="i-1", require_id=True)
    assert joined.error == "NONE"
    assert joined.member_id.startswith("i-1-")
    assert joined.members[0].instance_id == "i-1"


def test_a_static_member_that_comes_back_keeps_its_assignment_without_a_rebalance(room: Room) -> None:
    one_id, two_id = static_pair(room)
    back = room.join("two", instance="i-2").result()
    assert back.error == "NONE"
    assert back.member_id != two_id
    assert (back.generation, back.leader, back.members) == (2, one_id, ())
    assert room.sync(back, instance="i-2").result().assignment == b"orders:1"
    assert room.state() == "Stable"
    assert len(room.rebalances()) == 1


def test_the_old_id_of_a_static_member_is_fenced_everywhere(room: Room) -> None:
    _, two_id = static_pair(room)
    back = room.join("two", instance="i-2").result()
    old = type(back)("NONE", two_id, generation=back.generation)
    assert room.heartbeat(old, instance="i-2") == "FENCED_INSTANCE_ID"
    assert room.sync(old, instance="i-2").result().error == "FENCED_INSTANCE_ID"
    assert room.commit(1, old, instance="i-2") == "FENCED_INSTANCE_ID"
    assert room.join("two", two_id, instance="i-2").result().error == "FENCED_INSTANCE_ID"
    left = room.coordinator.leave(GROUP, [LeavingMember(two_id, "i-2")], room.now_ms)
    assert left.members[0].error == "FENCED_INSTANCE_ID"
    assert room.heartbeat(back, instance="i-2") == "NONE"


def test_a_static_leader_that_comes_back_is_told_to_skip_the_assignment(room: Room) -> None:
    static_pair(room)
    back = room.join("one", instance="i-1", skip=True).result()
    assert (back.generation, back.leader, back.skip_assignment) == (2, back.member_id, True)
    assert len(back.members) == 2
    assert room.sync(back, instance="i-1").result().assignment == b"orders:0"


def test_before_version_9_a_static_leader_that_comes_back_is_not_told_that_it_leads(room: Room) -> None:
    one_id, _ = static_pair(room)
    back = room.join("one", instance="i-1").result()
    assert (back.leader, back.skip_assignment, back.members) == (one_id, False, ())
    assert back.member_id != one_id
    again = room.join("one", back.member_id, instance="i-1")
    assert not again.done, "it still leads, and may cause a rebalance"


def test_a_static_member_that_comes_back_and_changes_the_vote_causes_a_rebalance(room: Room) -> None:
    both, other = (("range", b""), ("sticky", b"")), (("sticky", b""), ("range", b""))
    first = room.join_first("one", instance="i-1", protocols=both)
    room.sync(first, {first.member_id: b"orders:0"}, instance="i-1")
    back = room.join("one", instance="i-1", protocols=other).result()
    assert (back.generation, back.protocol) == (2, "sticky")
    assert room.state() == "CompletingRebalance"


def test_a_static_member_that_comes_back_before_the_assignment_causes_a_rebalance(room: Room) -> None:
    one_id, two_id = static_pair(room)
    leader = room.join("one", one_id, instance="i-1")
    follower = room.join("two", two_id, instance="i-2").result()
    waiting = room.sync(follower, instance="i-2")
    back = room.join("two", instance="i-2")
    assert waiting.result().error == "FENCED_INSTANCE_ID"
    assert not back.done
    assert room.sync(leader.result(), instance="i-1").result().error == "REBALANCE_IN_PROGRESS"
    room.join("one", one_id, instance="i-1")
    assert back.result().generation == 4


def test_two_processes_with_one_instance_id_are_told_apart_while_they_wait(room: Room) -> None:
    _, two_id = static_pair(room)
    room.join("three")
    first = room.join("two", two_id, instance="i-2")
    second = room.join("two", instance="i-2")
    assert first.result().error == "FENCED_INSTANCE_ID"
    assert not second.done


def test_an_unknown_instance_id_with_a_member_id_is_refused(room: Room) -> None:
    one_id, _ = static_pair(room)
    assert room.join("one", one_id, instance="i-9").result().error == "UNKNOWN_MEMBER_ID"


def test_a_static_member_is_not_dropped_for_missing_a_rebalance(room: Room) -> None:
    one_id, two_id = static_pair(room)
    one = room.join("one", one_id, instance="i-1", rebalance_ms=4_000)
    room.join("two", two_id, instance="i-2", rebalance_ms=4_000)
    room.sync(one.result(), {}, instance="i-1")
    three = room.join("three", rebalance_ms=4_000)
    room.join("one", one_id, instance="i-1", rebalance_ms=4_000)
    assert not three.done
    room.pass_ms(4_000)
    assert three.result().generation == 4
    assert {member.instance_id for member in room.coordinator.describe(GROUP).members} == {"i-1", "i-2", None}


def test_a_static_leader_that_misses_a_rebalance_hands_the_lead_to_somebody_who_is_there(room: Room) -> None:
    first = room.join_first("one", instance="i-1", rebalance_ms=2_000)
    room.sync(first, {first.member_id: b"orders:0"}, instance="i-1")
    two = room.join("two", rebalance_ms=2_000)
    room.pass_ms(2_000)
    joined = two.result()
    assert (joined.leader, len(joined.members)) == (joined.member_id, 2)
    room.sync(joined, {first.member_id: b"orders:0", joined.member_id: b"orders:1"})
    assert room.state() == "Stable"


def test_where_no_static_member_joins_in_time_their_sessions_decide(room: Room) -> None:
    joined = room.join_first("one", instance="i-1", rebalance_ms=2_000)
    room.sync(joined, {}, instance="i-1")
    two = room.join("two", rebalance_ms=2_000)
    room.leave(type(joined)("NONE", room.coordinator.describe(GROUP).members[1].member_id))
    assert two.result().error == "UNKNOWN_MEMBER_ID"
    room.pass_ms(5_999)
    assert room.state() == "PreparingRebalance"
    room.pass_ms(1)
    assert room.state() == "Empty"


def test_an_administrator_removes_a_static_member_by_its_instance_id(room: Room) -> None:
    static_pair(room)
    leaving = [LeavingMember("", "i-2"), LeavingMember("", "i-9"), LeavingMember("", None)]
    left = room.coordinator.leave(GROUP, leaving, room.now_ms)
    assert [member.error for member in left.members] == ["NONE", "UNKNOWN_MEMBER_ID", "UNKNOWN_MEMBER_ID"]
    assert [member.instance_id for member in room.coordinator.describe(GROUP).members] == ["i-1"]


def test_static_members_that_start_together_meet_in_one_generation(room: Room) -> None:
    waiting = [room.join("one", instance="i-1")]
    for number in (2, 3):
        room.pass_ms(STATIC_JOIN_WAIT_MS - 1)
        waiting.append(room.join("one", instance=f"i-{number}"))
    room.pass_ms(STATIC_JOIN_WAITS_MS)
    joined = [reply.result() for reply in waiting]
    assert [one.generation for one in joined] == [1, 1, 1]
    assert len(joined[0].members) == 3


def test_the_wait_for_static_members_ends_even_if_more_keep_coming(room: Room) -> None:
    first = room.join("one", instance="i-1")
    for number in range(2, 12):
        room.pass_ms(STATIC_JOIN_WAITS_MS // 10)
        room.join("one", instance=f"i-{number}")
    assert first.result().generation == 1
    assert len(first.result().members) == 10


def test_a_group_with_an_initial_delay_waits_for_that_instead(tmp_path: Path) -> None:
    room = Room(tmp_path / "delayed.db", {"group.initial.rebalance.delay.ms": "3000"})
    waiting = room.join("one", instance="i-1")
    room.pass_ms(2_999)
    assert room.state() == "PreparingRebalance"
    room.pass_ms(1)
    assert waiting.result().generation == 1
    room.close()
