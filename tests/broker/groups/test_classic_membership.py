"""JoinGroup, SyncGroup, Heartbeat and LeaveGroup of dynamic members."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.broker.groups.calls import LeavingMember
from tests.broker.groups.group_room import GROUP, RANGE, Room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path / "dev.db")
    yield room
    room.close()


def test_the_first_member_joins_at_once_leads_and_is_told_all_members(room: Room) -> None:
    joined = room.join("one").result()
    assert (joined.error, joined.generation, joined.protocol_type, joined.protocol) == ("NONE", 1, "consumer", "range")
    assert joined.leader == joined.member_id
    assert [tuple(one) for one in joined.members] == [(joined.member_id, None, b"orders")]
    assert room.state() == "CompletingRebalance"


def test_the_leaders_assignment_makes_the_group_stable(room: Room) -> None:
    joined = room.join().result()
    synced = room.sync(joined, {joined.member_id: b"orders:0"}).result()
    assert (synced.error, synced.protocol_type, synced.protocol) == ("NONE", "consumer", "range")
    assert synced.assignment == b"orders:0"
    assert room.state() == "Stable"


def test_a_new_member_waits_until_the_others_have_joined_again(room: Room) -> None:
    (one,) = room.stable("one")
    two = room.join("two")
    assert not two.done
    assert room.heartbeat(one) == "REBALANCE_IN_PROGRESS"
    again = room.join("one", one.member_id).result()
    assert (again.generation, two.result().generation) == (2, 2)
    assert two.result().leader == one.member_id
    assert len(again.members) == 2
    assert two.result().members == ()


def test_a_second_member_is_awaited_by_the_rebalance_timeout_and_not_by_the_session_timeout(room: Room) -> None:
    (one,) = room.stable("one")
    two = room.join("two", rebalance_ms=20_000)
    for _ in range(11):
        room.pass_ms(5_000)
        assert room.heartbeat(one) == "REBALANCE_IN_PROGRESS"
    assert not two.done, "the longest rebalance timeout of the members counts: 60 s"
    room.pass_ms(5_000)
    assert two.result().generation == 2
    assert [member.member_id for member in two.result().members] == [two.result().member_id]
    assert room.heartbeat(one) == "UNKNOWN_MEMBER_ID"


def test_a_followers_sync_is_held_until_the_leader_has_assigned(room: Room) -> None:
    one, two = room.stable("one", "two")
    first, second = room.join("one", one.member_id), room.join("two", two.member_id)
    leader, follower = first.result(), second.result()
    waiting = room.sync(follower)
    assert not waiting.done
    room.sync(leader, {leader.member_id: b"orders:0", follower.member_id: b"orders:1"})
    assert waiting.result().assignment == b"orders:1"
    assert room.sync(follower).result().assignment == b"orders:1", "a later SyncGroup gets it too"


def test_a_member_that_the_leader_left_out_has_an_empty_assignment(room: Room) -> None:
    one, two = room.stable("one", "two")
    first, second = room.join("one", one.member_id), room.join("two", two.member_id)
    room.sync(first.result(), {one.member_id: b"orders:0,1", "stranger": b"orders:9"})
    assert room.sync(second.result()).result().assignment == b""


def test_a_stale_generation_is_fenced(room: Room) -> None:
    (one,) = room.stable("one")
    for generation in (0, 2, -1):
        assert room.heartbeat(one, generation=generation) == "ILLEGAL_GENERATION"
        assert room.sync(one, generation=generation).result().error == "ILLEGAL_GENERATION"
        assert room.commit(5, one, generation=generation) == "ILLEGAL_GENERATION"
    assert room.heartbeat(one) == "NONE"


def test_an_unknown_member_is_refused_everywhere(room: Room) -> None:
    (one,) = room.stable("one")
    stranger = one._replace(member_id="stranger")
    assert room.join("x", "stranger").result().error == "UNKNOWN_MEMBER_ID"
    assert room.sync(stranger).result().error == "UNKNOWN_MEMBER_ID"
    assert room.heartbeat(stranger) == "UNKNOWN_MEMBER_ID"
    assert room.commit(5, stranger) == "UNKNOWN_MEMBER_ID"
    assert room.leave(stranger) == ["UNKNOWN_MEMBER_ID"]
    assert room.state() == "Stable"


def test_an_unknown_group_knows_no_member(room: Room) -> None:
    (one,) = room.stable("one")
    assert room.join("x", "y", group="other").result().error == "UNKNOWN_MEMBER_ID"
    assert room.coordinator.heartbeat("other", 1, one.member_id, None, room.now_ms) == "UNKNOWN_MEMBER_ID"
    synced = room.coordinator.sync("other", 1, one.member_id, None, None, None, {}, room.now_ms)
    assert synced.result().error == "UNKNOWN_MEMBER_ID"
    left = room.coordinator.leave("other", [LeavingMember(one.member_id)], room.now_ms)
    assert left.error == "NONE"
    assert [member.error for member in left.members] == ["UNKNOWN_MEMBER_ID"]
    assert [group.group for group in room.coordinator.list()] == [GROUP], "asking created no group"


def test_an_empty_group_id_is_invalid(room: Room) -> None:
    assert room.join(group="").result().error == "INVALID_GROUP_ID"
    assert room.coordinator.heartbeat("", 1, "m", None, room.now_ms) == "INVALID_GROUP_ID"
    assert room.coordinator.leave("", [LeavingMember("m")], room.now_ms).error == "INVALID_GROUP_ID"
    assert room.coordinator.sync("", 1, "m", None, None, None, {}, 0).result().error == "INVALID_GROUP_ID"


@pytest.mark.parametrize(
    ("session_ms", "error"), [(5_999, True), (6_000, False), (1_800_000, False), (1_800_001, True)]
)
def test_a_session_timeout_outside_the_brokers_limits_is_refused(room: Room, session_ms: int, error: bool) -> None:
    assert room.join(session_ms=session_ms).result().error == ("INVALID_SESSION_TIMEOUT" if error else "NONE")


def test_from_version_4_on_a_member_gets_its_id_first(room: Room) -> None:
    refused = room.join("one", require_id=True).result()
    assert (refused.error, refused.generation) == ("MEMBER_ID_REQUIRED", -1)
    assert refused.member_id.startswith("one-")
    assert room.coordinator.describe(GROUP).members == ()
    joined = room.join("one", refused.member_id, require_id=True).result()
    assert (joined.error, joined.member_id, joined.generation) == ("NONE", refused.member_id, 1)


def test_consumers_that_start_together_meet_in_one_rebalance(room: Room) -> None:
    ids = [room.join(client, require_id=True).result().member_id for client in ("one", "two")]
    first = room.join("one", ids[0], require_id=True)
    assert not first.done, "the second has said that it is about to join"
    second = room.join("two", ids[1], require_id=True)
    assert first.result().generation == second.result().generation == 1
    assert len(first.result().members) == 2


def test_a_member_id_that_never_joins_holds_up_a_first_rebalance_for_half_a_second_only(room: Room) -> None:
    room.join("ghost", require_id=True)
    one = room.join("one", room.join("one", require_id=True).result().member_id, require_id=True)
    room.pass_ms(499)
    assert not one.done
    room.pass_ms(1)
    assert one.result().generation == 1


def test_a_leader_that_joins_again_causes_a_rebalance(room: Room) -> None:
    one, two = room.stable("one", "two")
    again = room.join("one", one.member_id)
    assert not again.done
    assert room.state() == "PreparingRebalance"
    assert room.heartbeat(two) == "REBALANCE_IN_PROGRESS"


def test_a_follower_that_joins_again_unchanged_gets_the_current_generation(room: Room) -> None:
    _, two = room.stable("one", "two")
    again = room.join("two", two.member_id).result()
    assert (again.generation, again.members) == (two.generation, ())
    assert room.state() == "Stable"


def test_a_follower_that_changes_its_subscription_causes_a_rebalance(room: Room) -> None:
    one, two = room.stable("one", "two")
    again = room.join("two", two.member_id, protocols=(("range", b"orders,payments"),))
    assert not again.done
    leader = room.join("one", one.member_id).result()
    assert {member.metadata for member in leader.members} == {b"orders", b"orders,payments"}


def test_a_lost_answer_is_given_again_before_the_assignment(room: Room) -> None:
    joined = room.join("one").result()
    again = room.join("one", joined.member_id).result()
    assert again == joined
    assert room.state() == "CompletingRebalance"


def test_a_member_that_joins_between_join_and_sync_sends_everybody_back(room: Room) -> None:
    one, two = room.stable("one", "two")
    first, second = room.join("one", one.member_id), room.join("two", two.member_id)
    waiting = room.sync(second.result())
    three = room.join("three")
    assert waiting.result().error == "REBALANCE_IN_PROGRESS"
    assert room.sync(first.result()).result().error == "REBALANCE_IN_PROGRESS"
    again = [room.join("one", one.member_id), room.join("two", two.member_id)]
    assert {reply.result().generation for reply in (*again, three)} == {4}


def test_changed_metadata_between_join_and_sync_causes_a_rebalance(room: Room) -> None:
    joined = room.join("one").result()
    again = room.join("one", joined.member_id, protocols=(("range", b"payments"),)).result()
    assert again.generation == 2
    assert again.members[0].metadata == b"payments"


def test_a_generation_that_ends_before_its_assignment_leaves_none_behind(room: Room) -> None:
    one, _ = room.stable("one", "two")
    room.leave(one)
    two = room.join("two", room.coordinator.describe(GROUP).members[0].member_id).result()
    assert room.coordinator.describe(GROUP).members[0].assignment == b"orders:1", "it still has the old one"
    room.join("two", two.member_id, protocols=(("range", b"payments"),))
    assert room.coordinator.describe(GROUP).members[0].assignment == b""


def test_a_join_counts_as_a_sign_of_life(room: Room) -> None:
    one, _ = room.stable("one", "two")
    room.pass_ms(2_000)
    room.join("one", one.member_id)
    assert room.coordinator.describe(GROUP).members[0].last_heartbeat_ms == room.now_ms


def test_a_member_that_shares_no_protocol_is_refused(room: Room) -> None:
    room.stable("one")
    assert room.join("two", protocols=(("sticky", b""),)).result().error == "INCONSISTENT_GROUP_PROTOCOL"
    assert room.join("two", protocol_type="connect").result().error == "INCONSISTENT_GROUP_PROTOCOL"
    assert room.join("two", protocols=()).result().error == "INCONSISTENT_GROUP_PROTOCOL"
    assert room.state() == "Stable"


def test_a_group_is_not_created_by_a_member_without_protocols(room: Room) -> None:
    assert room.join(protocols=()).result().error == "INCONSISTENT_GROUP_PROTOCOL"
    assert room.join(protocol_type="").result().error == "INCONSISTENT_GROUP_PROTOCOL"
    assert room.coordinator.list() == ()


def test_a_sync_for_another_protocol_is_refused(room: Room) -> None:
    joined = room.join().result()
    assert room.sync(joined, protocol="sticky").result().error == "INCONSISTENT_GROUP_PROTOCOL"
    assert room.sync(joined, protocol_type="connect").result().error == "INCONSISTENT_GROUP_PROTOCOL"
    synced = room.sync(joined, {joined.member_id: b"orders:0"}, protocol_type="consumer", protocol="range")
    assert synced.result().error == "NONE"


def test_the_protocol_with_most_votes_is_selected(room: Room) -> None:
    both, other = (("range", b"r"), ("sticky", b"s")), (("sticky", b"s"), ("range", b"r"))
    first = room.join("one", protocols=both).result()
    replies = [room.join("two", protocols=other), room.join("three", protocols=other)]
    leader = room.join("one", first.member_id, protocols=both).result()
    assert {reply.result().protocol for reply in replies} == {leader.protocol} == {"sticky"}
    assert {member.metadata for member in leader.members} == {b"s"}


def test_a_member_that_leaves_causes_a_rebalance_among_the_others(room: Room) -> None:
    one, two = room.stable("one", "two")
    assert room.leave(one) == ["NONE"]
    assert room.heartbeat(two) == "REBALANCE_IN_PROGRESS"
    again = room.join("two", two.member_id).result()
    assert (again.leader, len(again.members)) == (two.member_id, 1)


def test_a_group_whose_last_member_leaves_is_empty_in_the_next_generation(room: Room) -> None:
    one, two = room.stable("one", "two")
    assert room.leave(one, two) == ["NONE", "NONE"]
    described = room.coordinator.describe(GROUP)
    assert (described.state, described.generation, described.protocol) == ("Empty", 3, "")
    assert described.protocol_type == "consumer"
    assert room.join("three").result().generation == 4


def test_a_member_that_leaves_while_its_join_is_held_is_answered(room: Room) -> None:
    (one,) = room.stable("one")
    pending = room.join("two", require_id=True).result()
    held = room.join("two", pending.member_id, require_id=True)
    room.leave(pending)
    assert held.result().error == "UNKNOWN_MEMBER_ID"
    assert room.join("one", one.member_id).result().generation == 2


def test_a_member_that_leaves_while_its_sync_is_held_is_answered(room: Room) -> None:
    one, two = room.stable("one", "two")
    room.join("one", one.member_id)
    second = room.join("two", two.member_id).result()
    waiting = room.sync(second)
    room.leave(second)
    assert waiting.result().error == "UNKNOWN_MEMBER_ID"


def test_a_pending_member_id_can_leave_and_is_awaited_no_longer(room: Room) -> None:
    ghost = room.join("ghost", require_id=True).result()
    one = room.join("one", room.join("one", require_id=True).result().member_id, require_id=True)
    assert not one.done
    assert room.leave(ghost) == ["NONE"]
    assert one.result().generation == 1


def test_a_join_that_is_sent_again_answers_the_first_and_holds_the_second(room: Room) -> None:
    one, two = room.stable("one", "two")
    first = room.join("one", one.member_id)
    second = room.join("one", one.member_id)
    assert first.result().error == "REBALANCE_IN_PROGRESS"
    room.join("two", two.member_id)
    assert second.result().generation == 3


def test_a_sync_that_is_sent_again_answers_the_first_and_holds_the_second(room: Room) -> None:
    one, two = room.stable("one", "two")
    leading, following = room.join("one", one.member_id), room.join("two", two.member_id)
    first, second = room.sync(following.result()), room.sync(following.result())
    assert first.result().error == "REBALANCE_IN_PROGRESS"
    room.sync(leading.result(), {two.member_id: b"orders:0"})
    assert second.result().assignment == b"orders:0"


def test_a_full_group_takes_no_more_members(tmp_path: Path) -> None:
    room = Room(tmp_path / "dev.db", {"group.max.size": "2"})
    one, two = room.stable("one", "two")
    assert room.join("three").result().error == "GROUP_MAX_SIZE_REACHED"
    assert room.state() == "Stable"
    first, second = room.join("one", one.member_id), room.join("two", two.member_id)
    assert (first.result().error, second.result().error) == ("NONE", "NONE")
    room.close()


def test_of_the_members_of_a_full_group_those_that_join_first_stay(tmp_path: Path) -> None:
    room = Room(tmp_path / "dev.db", {"group.max.size": "2"})
    one, two = room.stable("one", "two")
    first = room.join("one", one.member_id)
    late = room.join("three")
    assert late.done is False
    assert room.join("two", two.member_id).result().error == "GROUP_MAX_SIZE_REACHED"
    assert {first.result().generation, late.result().generation} == {3}
    room.close()


def test_a_group_can_come_back_with_another_protocol_type_once_it_is_empty(room: Room) -> None:
    (one,) = room.stable("one")
    room.leave(one)
    joined = room.join("worker", protocol_type="connect", protocols=(("default", b"x"),)).result()
    assert (joined.error, joined.protocol_type, joined.protocol) == ("NONE", "connect", "default")


def test_reasons_of_rebalances_are_kept_in_plain_words(room: Room) -> None:
    one, two = room.stable("one", "two")
    room.leave(two, reason="the consumer is being closed")
    again = room.join("one", one.member_id).result()
    room.sync(again, {one.member_id: b"orders:0"})
    assert room.rebalances() == [
        (2, "member one joined; member two joined", 2),
        (3, "member two left (the consumer is being closed)", 1),
    ]


def test_a_rebalance_keeps_who_got_what(room: Room) -> None:
    room.stable("one")
    ((assignment,),) = room.database.query("SELECT assignment FROM rebalances")
    assert assignment == '{"one-00000001-uuid": {"client_id": "one", "partitions": ["orders-0"]}}'


def test_watchers_hear_of_each_change_of_a_group(room: Room) -> None:
    (one,) = room.stable("one")
    assert set(room.changes) == {(GROUP, "group")}
    room.changes.clear()
    room.heartbeat(one)
    assert room.changes == []
    room.leave(one)
    assert room.changes == [(GROUP, "group")]


def test_an_answer_finds_the_group_whole_and_its_rows_written(room: Room) -> None:
    seen: list[tuple[str, str]] = []
    (one,) = room.stable("one")
    two = room.join("two")
    two.on_done(
        lambda answer: seen.append(
            (room.heartbeat(answer), room.database.query("SELECT state FROM groups")[0][0]),
        )
    )
    room.join("one", one.member_id, protocols=RANGE)
    assert seen == [("NONE", "CompletingRebalance")]
