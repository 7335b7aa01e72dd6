"""The members that a group waits for, while it waits and in its history."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.model.groups import Awaited
from tests.broker.groups.consumer_room import ConsumerRoom
from tests.broker.groups.group_room import GROUP, REBALANCE_MS, SESSION_MS, Room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    opened = Room(tmp_path / "dev.db")
    yield opened
    opened.close()


def awaited(room: Room | ConsumerRoom) -> tuple[Awaited, ...]:
    return room.coordinator.waits(GROUP, room.now_ms).awaited


def test_a_member_that_is_heard_of_is_awaited_by_nobody(room: Room) -> None:
    one, two = room.stable("one", "two")
    room.pass_ms(3_500)
    assert awaited(room) == ()
    assert room.coordinator.waits(GROUP, room.now_ms).names == {one.member_id: "one", two.member_id: "two"}
    assert room.coordinator.waits("no such group", room.now_ms).names == {}


def test_a_killed_member_is_awaited_until_its_session_ends(room: Room) -> None:
    one, two = room.stable("one", "two")
    began_ms = room.now_ms
    room.pass_ms(4_100)
    room.heartbeat(one)
    (silent,) = awaited(room)
    assert (silent.member_id, silent.name, silent.what, silent.silent) == (two.member_id, "two", "heartbeat", True)
    assert silent.decided_ms == silent.session_ends_ms == began_ms + SESSION_MS
    room.heartbeat(two)
    assert awaited(room) == ()


def test_a_member_that_works_without_polling_is_awaited_until_the_rebalance_timeout(room: Room) -> None:
    (one,) = room.stable("one")
    began_ms = room.now_ms
    room.join("new")
    for _ in range(4):
        room.pass_ms(2_500)
        assert room.heartbeat(one) == "REBALANCE_IN_PROGRESS"
    (busy,) = awaited(room)
    assert (busy.name, busy.what, busy.silent) == ("one", "join", False)
    assert busy.decided_ms == began_ms + REBALANCE_MS
    assert room.coordinator.waits(GROUP, room.now_ms).joining == ("new",)
    leading = room.join("one", one.member_id).result()
    room.sync(leading, {one.member_id: b"orders:0"})
    assert room.rebalances()[-1][1] == "member new joined; waited 10 s for one"
    assert awaited(room) == ()


def test_of_a_member_that_was_killed_before_a_rebalance_the_session_decides_and_the_history_says_so(room: Room) -> None:
    one, two = room.stable("app", "app")
    began_ms = room.now_ms
    held = room.join("app", one.member_id)
    room.pass_ms(4_500)
    (killed,) = awaited(room)
    assert (killed.member_id, killed.what, killed.silent) == (two.member_id, "join", True)
    assert killed.decided_ms == began_ms + SESSION_MS < (killed.until_ms or 0)
    room.pass_ms(2_000)
    room.sync(held.result(), {})
    name = killed.name
    assert name.startswith("app-0")
    reason = room.rebalances()[-1][1]
    assert reason.endswith(f"; {name}'s session of 6,000 ms timed out; waited 6 s for {name}")


def test_a_rebalance_names_everybody_as_it_did_when_the_first_went(room: Room) -> None:
    one, two = room.stable("app", "app")
    room.pass_ms(3_000)
    room.heartbeat(one)
    room.pass_ms(3_000)
    room.pass_ms(2_000)
    leading = room.join("app", one.member_id).result()
    room.sync(leading, {})
    first, second = (one.member_id[: len("app-") + 8], two.member_id[: len("app-") + 8])
    assert first != second
    assert room.rebalances()[-1][1] == f"{second}'s session of 6,000 ms timed out; waited 2 s for {first}"


def test_the_assignment_of_a_slow_leader_is_awaited_and_told(room: Room) -> None:
    one, two = room.stable("one", "two")
    room.join("one", one.member_id)
    following = room.join("two", two.member_id).result()
    room.sync(following)
    room.pass_ms(3_000)
    (leader,) = awaited(room)
    assert (leader.member_id, leader.what) == (one.member_id, "assign")
    leading = room.group().members[one.member_id]
    assert leading.join_reply is None
    room.coordinator.sync(GROUP, room.group().generation, one.member_id, None, None, None, {}, room.now_ms)
    assert room.rebalances()[-1][1].endswith("; waited 3 s for the assignment by one")


def test_the_time_that_a_sandbox_was_stopped_is_not_told_as_a_wait(room: Room) -> None:
    one, two = room.stable("one", "two")
    room.join("three")
    room.coordinator.tick(room.now_ms)
    room.restart(after_ms=8 * 3_600_000)
    leading = room.join("one", one.member_id)
    room.join("two", two.member_id)
    room.sync(leading.result(), {})
    assert room.rebalances()[-1][1] == "the sandbox restarted during a rebalance"


def test_a_static_member_that_waits_itself_and_restarts_is_not_told_as_waited_for(room: Room) -> None:
    changed = (("range", b"orders,clicks"),)
    one, two = room.stable("one", "two", instances=(None, "i-2"))
    room.join("two", two.member_id, instance="i-2", protocols=changed)
    room.pass_ms(2_000)
    room.heartbeat(one)
    room.pass_ms(2_000)
    back = room.join("two", instance="i-2", protocols=changed)
    joined = room.join("one", one.member_id).result()
    room.sync(joined if joined.leader == joined.member_id else back.result(), {})
    assert room.rebalances()[-1][1].endswith("; waited 4 s for one")


def test_a_short_wait_is_not_told(room: Room) -> None:
    (one,) = room.stable("one")
    room.join("new")
    room.pass_ms(900)
    room.sync(room.join("one", one.member_id).result(), {})
    assert room.rebalances()[-1][1] == "member new joined"


def test_only_the_longest_waits_are_told(room: Room) -> None:
    joined = room.stable(*(f"c{number}" for number in range(6)))
    room.join("c0", joined[0].member_id)
    for one in joined[1:]:
        room.pass_ms(1_000)
        held = room.join(one.member_id.partition("-")[0], one.member_id)
    leader = room.group().leader or ""
    assert held.done
    room.coordinator.sync(GROUP, room.group().generation, leader, None, None, None, {}, room.now_ms)
    assert room.rebalances()[-1][1].endswith("; waited 5 s for c5, 4 s for c4, 3 s for c3, and for 2 more")


def test_a_member_of_the_consumer_protocol_is_awaited_until_it_gives_back_what_it_had(tmp_path: Path) -> None:
    room = ConsumerRoom(tmp_path / "dev.db")
    room.topic("orders", 2)
    room.join("a")
    room.settle()
    room.join("b")
    asked_ms = room.now_ms
    room.heartbeat("a", room.member("a").member_epoch, "orders:0,1")
    (one,) = awaited(room)
    assert (one.name, one.what, one.silent, one.decided_ms) == ("a", "revoke", False, asked_ms + 30_000)
    room.pass_ms(5_000)
    room.settle()
    assert awaited(room) == ()
    assert room.rebalances()[-1][1] == "member b joined; waited 5 s for a to revoke partitions"
    room.pass_ms(10_100)
    assert [(silent.name, silent.what) for silent in awaited(room)] == [("a", "heartbeat"), ("b", "heartbeat")]
    room.database.close()
