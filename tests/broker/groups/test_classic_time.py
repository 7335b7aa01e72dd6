"""Deadlines of groups: sessions, rebalance timeouts, the first delay, deadlines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.groups.group_room import GROUP, SESSION_MS, Room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path / "dev.db")
    yield room
    room.close()


def test_a_member_that_is_silent_is_dropped_at_its_session_timeout(room: Room) -> None:
    (one,) = room.stable("one")
    room.pass_ms(SESSION_MS - 1)
    assert room.state() == "Stable"
    room.pass_ms(1)
    assert room.state() == "Empty"
    assert room.heartbeat(one) == "UNKNOWN_MEMBER_ID"
    assert room.rebalances()[-1] == (2, "one's session of 6,000 ms timed out", 0)


def test_a_heartbeat_renews_the_session(room: Room) -> None:
    (one,) = room.stable("one")
    for _ in range(5):
        room.pass_ms(SESSION_MS - 1)
        assert room.heartbeat(one) == "NONE"


def test_a_heartbeat_before_the_assignment_is_answered_and_renews_the_session(room: Room) -> None:
    joined = room.join("one").result()
    room.pass_ms(SESSION_MS - 1)
    assert room.heartbeat(joined) == "NONE"
    room.pass_ms(SESSION_MS - 1)
    assert room.state() == "CompletingRebalance"


def test_a_heartbeat_during_a_rebalance_tells_of_it_and_renews_the_session(room: Room) -> None:
    (one,) = room.stable("one")
    room.join("two")
    room.pass_ms(SESSION_MS - 1)
    assert room.heartbeat(one) == "REBALANCE_IN_PROGRESS"
    room.pass_ms(SESSION_MS - 1)
    assert room.join("one", one.member_id).result().error == "NONE"


def test_a_commit_renews_the_session(room: Room) -> None:
    (one,) = room.stable("one")
    room.pass_ms(SESSION_MS - 1)
    assert room.commit(1, one) == "NONE"
    room.pass_ms(SESSION_MS - 1)
    assert room.heartbeat(one) == "NONE"


def test_a_held_join_keeps_its_member_alive(room: Room) -> None:
    one, two = room.stable("one", "two")
    held = room.join("one", one.member_id)
    for _ in range(4):
        room.pass_ms(SESSION_MS - 1)
        room.heartbeat(two)
    assert not held.done
    assert room.join("two", two.member_id).result().generation == held.result().generation == 3


def test_a_held_sync_keeps_its_member_alive(room: Room) -> None:
    one, two = room.stable("one", "two")
    leading, following = room.join("one", one.member_id), room.join("two", two.member_id)
    held = room.sync(following.result())
    for _ in range(4):
        room.pass_ms(SESSION_MS - 1)
        room.heartbeat(leading.result())
    room.sync(leading.result(), {two.member_id: b"orders:0"})
    assert held.result().assignment == b"orders:0"
    room.pass_ms(SESSION_MS - 1)
    assert room.heartbeat(following.result()) == "NONE", "its session began anew with the answer"


def test_a_new_member_that_waits_for_five_minutes_counts_as_gone(room: Room) -> None:
    (one,) = room.stable("one")
    held = room.join("two", rebalance_ms=600_000)
    for _ in range(59):
        room.pass_ms(5_000)
        room.heartbeat(one)
    assert not held.done
    room.pass_ms(5_000)
    assert held.result().error == "UNKNOWN_MEMBER_ID"


def test_a_dead_leader_is_dropped_while_a_follower_waits_for_the_assignment(room: Room) -> None:
    one, two = room.stable("one", "two")
    room.join("one", one.member_id)
    following = room.join("two", two.member_id).result()
    held = room.sync(following)
    room.pass_ms(SESSION_MS)
    assert held.result().error == "REBALANCE_IN_PROGRESS"
    again = room.join("two", two.member_id).result()
    assert (again.generation, again.leader) == (4, two.member_id)


def test_members_that_do_not_join_again_in_time_are_dropped(room: Room) -> None:
    one, two = room.stable("one", "two")
    held = room.join("one", one.member_id)
    for _ in range(12):
        room.heartbeat(two)
        room.pass_ms(5_000)
    leader = held.result()
    assert [member.member_id for member in leader.members] == [one.member_id]
    room.sync(leader, {})
    assert room.rebalances()[-1][1] == "leader one joined again; two did not join again in time; waited 1 min for two"


def test_a_member_that_dies_during_a_rebalance_is_not_awaited_longer_than_its_session(room: Room) -> None:
    one, _ = room.stable("one", "two")
    held = room.join("one", one.member_id)
    room.pass_ms(SESSION_MS)
    assert len(held.result().members) == 1


def test_members_that_never_sync_are_dropped_after_the_rebalance_timeout(room: Room) -> None:
    one, two = room.stable("one", "two")
    leading = room.join("one", one.member_id)
    silent = room.join("two", two.member_id).result()
    room.sync(leading.result(), {one.member_id: b"orders:0"})
    for _ in range(12):
        room.heartbeat(leading.result())
        room.heartbeat(silent)
        room.pass_ms(5_000)
    assert room.state() == "PreparingRebalance"
    assert [member.member_id for member in room.coordinator.describe(GROUP).members] == [one.member_id]
    again = room.join("one", one.member_id).result()
    room.sync(again, {})
    assert room.rebalances()[-1][1] == "two joined, but sent no SyncGroup in time"


def test_a_group_whose_leader_never_assigns_rebalances_without_it(room: Room) -> None:
    one, two = room.stable("one", "two")
    leading = room.join("one", one.member_id)
    following = room.join("two", two.member_id)
    held = room.sync(following.result())
    for _ in range(12):
        room.heartbeat(leading.result())
        room.pass_ms(5_000)
    assert held.result().error == "REBALANCE_IN_PROGRESS"
    assert room.join("two", two.member_id).result().leader == two.member_id


def test_a_member_id_that_never_joins_expires_with_its_session(room: Room) -> None:
    (one,) = room.stable("one")
    room.join("ghost", require_id=True)
    again = room.join("one", one.member_id)
    assert not again.done, "the ghost has said that it is about to join"
    room.pass_ms(SESSION_MS)
    assert again.result().generation == 2


def test_a_member_id_that_has_expired_is_unknown(room: Room) -> None:
    ghost = room.join("ghost", require_id=True).result()
    room.pass_ms(SESSION_MS)
    assert room.join("ghost", ghost.member_id, require_id=True).result().error == "UNKNOWN_MEMBER_ID"


def test_with_a_delay_an_empty_group_waits_for_more_members_and_longer_while_they_come(tmp_path: Path) -> None:
    room = Room(tmp_path / "dev.db", {"group.initial.rebalance.delay.ms": "3000"})
    one = room.join("one")
    room.pass_ms(2_000)
    two = room.join("two")
    room.pass_ms(1_000)
    assert not one.done, "a newcomer prolongs the wait by another delay"
    room.pass_ms(2_999)
    assert not one.done
    room.pass_ms(1)
    assert one.result().generation == two.result().generation == 1
    room.close()


def test_the_initial_delay_is_prolonged_up_to_the_rebalance_timeout(tmp_path: Path) -> None:
    room = Room(tmp_path / "dev.db", {"group.initial.rebalance.delay.ms": "3000"})
    one = room.join("one", rebalance_ms=10_000)
    for number in range(9):
        room.pass_ms(1_000)
        room.join(f"more-{number}", rebalance_ms=10_000)
    assert not one.done
    room.pass_ms(1_000)
    assert len(one.result().members) == 10
    room.close()


def test_nothing_is_due_in_a_group_without_members_but_the_check_of_retention(room: Room) -> None:
    room.commit(5)
    assert room.coordinator.next_deadline_ms() == room.now_ms + 600_000


def test_the_next_deadline_is_that_of_the_first_session_to_end(room: Room) -> None:
    start_ms = room.now_ms
    room.stable("one")
    assert room.coordinator.next_deadline_ms() == start_ms + SESSION_MS


def test_after_a_tick_every_deadline_lies_ahead(room: Room) -> None:
    one, two = room.stable("one", "two")
    room.join("three", rebalance_ms=0, session_ms=6_000)
    room.join("one", one.member_id, rebalance_ms=0)
    for _ in range(50):
        room.now_ms += 1_000
        room.coordinator.tick(room.now_ms)
        deadline_ms = room.coordinator.next_deadline_ms()
        assert deadline_ms is not None
        assert deadline_ms > room.now_ms
    assert room.heartbeat(two) == "UNKNOWN_MEMBER_ID"
