"""The consumer protocol (KIP-848): epochs, targets, and how members come to them."""

from pathlib import Path

import pytest

from sandbox.broker.groups.calls import LeavingMember
from sandbox.kafka.errors import BrokerError
from tests.broker.groups.consumer_room import GROUP, REBALANCE_MS, SESSION_MS, ConsumerRoom


@pytest.fixture
def room(tmp_path: Path) -> ConsumerRoom:
    found = ConsumerRoom(tmp_path / "dev.db")
    found.topic("orders", 6)
    return found


def test_the_first_member_gets_everything_with_its_join(room: ConsumerRoom) -> None:
    answer = room.join("a")
    assert (answer.member_id, answer.member_epoch, answer.heartbeat_interval_ms) == ("a", 2, 5_000)
    assert room.written(answer.assigned) == "orders:0,1,2,3,4,5"
    assert room.state() == "Stable"


def test_the_broker_makes_a_member_id_for_a_client_of_version_0(room: ConsumerRoom) -> None:
    answer = room.join("", makes_member_id=False)
    assert answer.member_id == "00000002-uuid"
    assert list(room.group().members) == [answer.member_id]


def test_a_heartbeat_without_news_is_answered_without_an_assignment(room: ConsumerRoom) -> None:
    room.join("a")
    rows = room.database.query("SELECT * FROM groups")
    room.changes.clear()
    assert room.heartbeat("a", 2).assigned is None
    assert room.changes == []
    assert room.database.query("SELECT * FROM groups") == rows


def test_a_full_heartbeat_is_told_the_assignment_again(room: ConsumerRoom) -> None:
    room.join("a")
    answer = room.heartbeat("a", 2, "orders:0", topics=("orders",), rebalance_timeout_ms=REBALANCE_MS)
    assert room.written(answer.assigned) == "orders:0,1,2,3,4,5"


def test_a_partition_is_given_on_only_when_its_owner_has_let_go(room: ConsumerRoom) -> None:
    room.join("a")
    joined = room.join("b")
    assert (joined.member_epoch, joined.assigned) == (3, frozenset())
    assert room.state() == "Reconciling"
    told = room.heartbeat("a", 2, "orders:0,1,2,3,4,5")
    assert (told.member_epoch, room.written(told.assigned)) == (2, "orders:0,1,2")
    assert room.heartbeat("b", 3).assigned is None
    assert room.heartbeat("a", 2, "orders:0,1,2,3").member_epoch == 2, "it still has one of those"
    assert room.heartbeat("b", 3).assigned is None
    assert room.heartbeat("a", 2, "orders:0,1,2").member_epoch == 3
    assert room.written(room.heartbeat("b", 3).assigned) == "orders:3,4,5"
    assert room.state() == "Stable"


def test_a_member_that_says_nothing_of_its_partitions_still_has_them(room: ConsumerRoom) -> None:
    room.join("a")
    room.join("b")
    assert room.written(room.heartbeat("a", 2).assigned) == "orders:0,1,2"
    assert room.heartbeat("a", 2).member_epoch == 2
    assert room.member("b").assigned == frozenset()


def test_a_member_that_does_not_let_go_within_its_rebalance_timeout_is_put_out(room: ConsumerRoom) -> None:
    room.join("a")
    room.join("b")
    room.heartbeat("a", 2, "orders:0,1,2,3,4,5")
    room.pass_ms(REBALANCE_MS - 1)
    assert set(room.group().members) == {"a", "b"}
    room.pass_ms(1)
    assert (set(room.group().members), room.state(), room.group().generation) == ({"b"}, "Assigning", 4)
    assert room.refused("a", 2) == "UNKNOWN_MEMBER_ID"
    assert room.written(room.heartbeat("b", 3).assigned) == "orders:0,1,2,3,4,5"
    assert room.rebalances()[-1] == (
        4,
        "member b joined; a did not revoke its partitions within 30,000 ms",
        1,
    )


def test_a_member_that_let_go_in_time_is_not_put_out(room: ConsumerRoom) -> None:
    room.join("a")
    room.join("b")
    room.heartbeat("a", 2)
    room.heartbeat("a", 2, "orders:0,1,2")
    room.pass_ms(REBALANCE_MS)
    assert set(room.group().members) == {"a", "b"}


def test_a_silent_member_is_put_out_after_its_session(room: ConsumerRoom) -> None:
    room.join("a")
    room.pass_ms(1_000)
    room.join("b")
    room.pass_ms(SESSION_MS - 1_000)
    assert set(room.group().members) == {"b"}
    room.pass_ms(1_000)
    assert (room.state(), room.group().generation) == ("Empty", 5)
    assert room.rebalances()[-1][1] == (
        "member b joined; a's session of 45,000 ms timed out; b's session of 45,000 ms timed out"
    )


def test_a_member_that_leaves_frees_its_partitions_at_once(room: ConsumerRoom) -> None:
    room.join("a")
    room.join("b")
    room.settle()
    left = room.leave("b")
    assert (left.member_id, left.member_epoch, left.heartbeat_interval_ms) == ("b", -1, 0)
    assert room.state() == "Assigning"
    assert room.written(room.heartbeat("a", 3).assigned) == "orders:0,1,2,3,4,5"
    assert room.refused("b", -1) == "UNKNOWN_MEMBER_ID"


def test_an_administrator_puts_members_out(room: ConsumerRoom) -> None:
    room.join("a")
    room.join("b", instance_id="i-b")
    leaving = [LeavingMember("a"), LeavingMember("", "i-b", "moved"), LeavingMember("z"), LeavingMember("z", "i-z")]
    left = room.coordinator.leave(GROUP, leaving, room.now_ms)
    assert [one.error for one in left.members] == ["NONE", "NONE", "UNKNOWN_MEMBER_ID", "UNKNOWN_MEMBER_ID"]
    assert room.state() == "Empty"


def test_another_epoch_is_fenced(room: ConsumerRoom) -> None:
    room.join("a")
    room.join("b")
    room.settle()
    assert room.refused("a", 4) == "FENCED_MEMBER_EPOCH"
    assert room.refused("a", 2) == "FENCED_MEMBER_EPOCH", "it does not say what it has"
    assert room.refused("a", 2, "orders:0,3") == "FENCED_MEMBER_EPOCH", "it has what it must not have"
    assert room.refused("z", 2) == "UNKNOWN_MEMBER_ID"


def test_a_lost_answer_is_given_again(room: ConsumerRoom) -> None:
    room.join("a")
    room.join("b")
    room.heartbeat("a", 2)
    assert room.heartbeat("a", 2, "orders:0,1,2").member_epoch == 3
    assert room.heartbeat("a", 2, "orders:0,1,2").member_epoch == 3


def test_a_member_that_joins_again_is_told_what_it_has(room: ConsumerRoom) -> None:
    room.join("a")
    again = room.join("a")
    assert (again.member_epoch, room.written(again.assigned)) == (2, "orders:0,1,2,3,4,5")
    assert room.group().generation == 2


def test_a_member_cannot_join_again_while_it_must_let_go(room: ConsumerRoom) -> None:
    room.join("a")
    room.join("b")
    room.heartbeat("a", 2)
    with pytest.raises(BrokerError, match=r"smaller member epoch \(0\)"):
        room.join("a")


def test_a_target_that_changes_again_is_followed_from_where_the_member_is(room: ConsumerRoom) -> None:
    room.join("a")
    room.join("b")
    room.heartbeat("a", 2)
    room.join("c")
    assert room.group().assignment_epoch == 4
    second = room.heartbeat("a", 2, "orders:0,1,2")
    assert (second.member_epoch, room.written(second.assigned)) == (3, "orders:0,1")
    assert room.heartbeat("a", 3, "orders:0,1").member_epoch == 4
    room.settle()
    assert room.shares() == {"a": "orders:0,1", "b": "orders:3,4", "c": "orders:2,5"}


def test_new_partitions_are_found_by_the_next_heartbeat(room: ConsumerRoom) -> None:
    room.join("a")
    room.topic("orders", 8)
    assert room.state() == "Stable"
    answer = room.heartbeat("a", 2)
    assert (answer.member_epoch, room.written(answer.assigned)) == (3, "orders:0,1,2,3,4,5,6,7")
    assert room.rebalances()[-1][1] == "the partitions of its topics changed"


def test_a_topic_that_is_created_later_is_found_by_the_next_heartbeat(room: ConsumerRoom) -> None:
    assert room.join("a", "payments").assigned == frozenset()
    room.topic("payments", 1)
    assert room.written(room.heartbeat("a", 2).assigned) == "payments:0"


def test_a_topic_that_is_deleted_must_be_let_go(room: ConsumerRoom) -> None:
    room.topic("payments", 1)
    room.join("a", "orders", "payments")
    room.delete_topic("payments")
    told = room.heartbeat("a", 2)
    assert (told.member_epoch, room.written(told.assigned)) == (2, "orders:0,1,2,3,4,5")
    assert room.heartbeat("a", 2, "orders:0,1,2,3,4,5").member_epoch == 3


def test_a_topic_that_is_made_anew_is_another_topic(room: ConsumerRoom) -> None:
    room.topic("payments", 1)
    room.join("a", "payments")
    old = room.member("a").assigned
    room.delete_topic("payments")
    room.topic("payments", 1)
    assert room.heartbeat("a", 2, old).assigned == frozenset()
    assert room.written(room.heartbeat("a", 2, "payments:0").assigned) == "payments:0"
    assert room.member("a").assigned != old


def test_a_subscription_that_changes_gives_a_new_target(room: ConsumerRoom) -> None:
    room.topic("payments", 2)
    room.join("a")
    told = room.heartbeat("a", 2, "orders:0,1,2,3,4,5", topics=("payments",))
    assert (told.member_epoch, told.assigned) == (2, frozenset())
    room.settle()
    assert room.shares() == {"a": "payments:0,1"}
    assert room.heartbeat("a", 3, topics=("payments",)).member_epoch == 3, "the same subscription changes nothing"


def test_an_expression_matches_topics_that_come_later_too(room: ConsumerRoom) -> None:
    assert room.written(room.join("a", pattern="(orders|pay.*)").assigned) == "orders:0,1,2,3,4,5"
    room.topic("payments", 1)
    room.topic("repayments", 1)
    assert room.written(room.heartbeat("a", 2).assigned) == "orders:0,1,2,3,4,5 payments:0"
    room.heartbeat("a", 3, "orders:0,1,2,3,4,5", pattern="")
    room.settle()
    assert room.shares() == {"a": ""}


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"member_id": ""}, "INVALID_REQUEST"),
        ({"group": ""}, "INVALID_REQUEST"),
        ({"instance_id": ""}, "INVALID_REQUEST"),
        ({"rack_id": ""}, "INVALID_REQUEST"),
        ({"rebalance_timeout_ms": -1}, "INVALID_REQUEST"),
        ({"owned": None}, "INVALID_REQUEST"),
        ({"topics": None}, "INVALID_REQUEST"),
        ({"epoch": -2}, "INVALID_REQUEST"),
        ({"epoch": -3}, "INVALID_REQUEST"),
        ({"assignor": "sticky"}, "UNSUPPORTED_ASSIGNOR"),
        ({"pattern": "(orders"}, "INVALID_REGULAR_EXPRESSION"),
        ({"epoch": 1}, "GROUP_ID_NOT_FOUND"),
        ({"epoch": -1}, "GROUP_ID_NOT_FOUND"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_and_leaves_no_group(
    room: ConsumerRoom, more: dict[str, object], error: str
) -> None:
    request: dict[str, object] = {
        "member_id": "a",
        "epoch": 0,
        "owned": frozenset(),
        "topics": ("orders",),
        "rebalance_timeout_ms": REBALANCE_MS,
    }
    assert room.refused(**(request | more)) == error  # type: ignore[arg-type]
    assert room.coordinator.list() == ()


def test_a_full_group_takes_nobody_new(room: ConsumerRoom) -> None:
    room.settings["group.consumer.max.size"] = "1"
    room.join("a")
    with pytest.raises(BrokerError, match="GROUP_MAX_SIZE_REACHED"):
        room.join("b")
    assert room.join("a").member_epoch == 2


def test_most_votes_elect_the_assignor(room: ConsumerRoom) -> None:
    room.join("a", assignor="range")
    assert room.group().protocol == "range"
    room.join("b")
    assert room.group().protocol == "range", "who does not vote does not count"
    room.join("c", assignor="uniform")
    assert room.group().protocol == "uniform", "of two with as many votes, the default"


def test_only_members_with_their_epoch_may_commit(room: ConsumerRoom) -> None:
    room.join("a")
    assert room.commit(1, "a", 2) == "NONE"
    assert room.commit(2, "a", 3) == "STALE_MEMBER_EPOCH"
    assert room.commit(2, "z", 2) == "UNKNOWN_MEMBER_ID"
    assert room.commit(2) == "UNKNOWN_MEMBER_ID", "the group has members"
    assert room.commit(2, "a", 2, knows_epochs=False) == "UNSUPPORTED_VERSION"
    assert room.committed() == 1
    room.leave("a")
    assert room.commit(3) == "NONE", "it has none any more"


def test_a_commit_for_a_group_that_is_not_there_is_refused_by_version(room: ConsumerRoom) -> None:
    assert room.commit(1, "a", 2) == "GROUP_ID_NOT_FOUND"
    assert room.commit(1, "a", 2, knows_epochs=False) == "ILLEGAL_GENERATION"


def test_a_stale_member_fetches_no_offsets(room: ConsumerRoom) -> None:
    room.join("a")
    refusal = room.coordinator.fetch_refusal
    assert refusal(GROUP, "a", 2) == "NONE"
    assert refusal(GROUP, None, -1) == "NONE", "an administrator"
    assert refusal(GROUP, "a", 1) == "STALE_MEMBER_EPOCH"
    assert refusal(GROUP, "z", 2) == "UNKNOWN_MEMBER_ID"
    assert refusal("nobody", "z", 1) == "NONE"


def test_the_history_tells_who_had_what_and_why(room: ConsumerRoom) -> None:
    room.join("a")
    room.join("b")
    room.settle()
    assert room.rebalances() == [(2, "member a joined", 1), (3, "member b joined", 2)]
    (assignment,) = room.database.query("SELECT assignment FROM rebalances WHERE generation = 3")
    assert '"orders-0", "orders-1", "orders-2"' in assignment[0]


def test_the_rows_show_the_group_as_it_is(room: ConsumerRoom) -> None:
    room.join("a")
    room.join("b")
    room.heartbeat("a", 2)
    assert room.database.query("SELECT type, state, protocol, generation, assignment_epoch FROM groups") == [
        ("consumer", "Reconciling", "uniform", 3, 3)
    ]
    assert room.database.query("SELECT member_id, assigned FROM group_members ORDER BY member_id") == [
        ("a", '{"orders": [0, 1, 2]}'),
        ("b", "{}"),
    ]
    assert room.changes[-1] == (GROUP, "group")
