"""Groups of the consumer protocol through restarts, undone turns, retention, and next to the classic protocol."""

from pathlib import Path

import pytest

from sandbox.broker.groups.calls import JoinGroup
from sandbox.kafka.errors import BrokerError
from tests.broker.groups.consumer_room import GROUP, REBALANCE_MS, SESSION_MS, ConsumerRoom

RETENTION_MS = 60_000
CHECK_MS = 600_000


@pytest.fixture
def room(tmp_path: Path) -> ConsumerRoom:
    found = ConsumerRoom(tmp_path / "dev.db", {"offsets.retention.minutes": "1"})
    found.topic("orders", 6)
    return found


def classic(member_id: str = "", *, require_id: bool = False) -> JoinGroup:
    return JoinGroup(
        GROUP, member_id, None, "old", "/127.0.0.1", 6_000, 6_000, "consumer", (("range", b""),), None, require_id
    )


def test_a_group_goes_on_after_a_restart_where_it_was(room: ConsumerRoom) -> None:
    room.join("a", rack_id="r1", assignor="range", instance_id="i")
    room.join("b", "orders", "payments", pattern="x.*", client="app")
    room.heartbeat("a", 2, "orders:0,1,2,3,4,5", instance_id="i")
    before = room.group()
    room.restart()
    after = room.group()
    for member in before.members.values():
        member.last_heartbeat_ms = None
    assert after.members == before.members
    assert (after.generation, after.assignment_epoch, after.state, after.protocol) == (3, 3, "Reconciling", "range")
    assert (after.metadata, after.subscribed) == (before.metadata, before.subscribed)
    assert room.heartbeat("a", 2, "orders:0,1,2", instance_id="i").member_epoch == 3
    assert room.written(room.heartbeat("b", 3).assigned) == "orders:3,4,5"
    assert room.rebalances()[-1][1] == "the sandbox restarted during a rebalance"


def test_sessions_begin_anew_with_a_restart(room: ConsumerRoom) -> None:
    room.join("a")
    room.restart(after_ms=10 * SESSION_MS)
    room.pass_ms(SESSION_MS - 1)
    assert room.heartbeat("a", 2).member_epoch == 2


def test_the_time_to_let_go_begins_anew_with_a_restart(room: ConsumerRoom) -> None:
    room.join("a")
    room.join("b")
    room.heartbeat("a", 2)
    room.restart(after_ms=10 * REBALANCE_MS)
    room.pass_ms(REBALANCE_MS - 1)
    assert set(room.group().members) == {"a", "b"}
    room.pass_ms(1)
    assert set(room.group().members) == {"b"}


def test_partitions_that_came_just_before_a_restart_are_found_after_it(room: ConsumerRoom) -> None:
    room.join("a")
    room.topic("orders", 7)
    room.restart()
    assert room.written(room.heartbeat("a", 2).assigned) == "orders:0,1,2,3,4,5,6"


def test_a_restart_alone_changes_no_epoch(room: ConsumerRoom) -> None:
    room.join("a")
    room.restart()
    assert room.heartbeat("a", 2).member_epoch == 2
    assert room.group().generation == 2


def test_a_member_whose_join_was_undone_joins_again(room: ConsumerRoom) -> None:
    room.database.commit()
    room.join("a")
    room.database.rollback()
    room.coordinator.reload()
    again = room.join("a")
    assert (again.member_epoch, room.written(again.assigned)) == (2, "orders:0,1,2,3,4,5")
    room.pass_ms(1_000)
    assert room.database.query("SELECT member_id FROM group_members") == [("a",)]


def test_an_empty_classic_group_becomes_one_of_the_consumer_protocol(room: ConsumerRoom) -> None:
    room.commit(7)
    assert room.coordinator.list()[0].type == "classic"
    assert room.join("a").member_epoch == 2
    listed = room.coordinator.list(states=["stable"], types=["Consumer"])
    assert [(one.group, one.protocol_type, one.type) for one in listed] == [(GROUP, "consumer", "consumer")]
    assert room.committed() == 7


def test_a_classic_group_with_malformed_metadata_is_not_converted(room: ConsumerRoom) -> None:
    room.coordinator.join(classic(), room.now_ms)
    with pytest.raises(BrokerError, match="GROUP_ID_NOT_FOUND: Cannot upgrade"):
        room.join("a")
    assert room.refused("a", 2) == "GROUP_ID_NOT_FOUND"
    with pytest.raises(BrokerError, match="is not a consumer group"):
        room.coordinator.describe_consumer(GROUP)


def test_an_empty_consumer_group_becomes_one_of_the_classic_protocol(room: ConsumerRoom) -> None:
    room.join("a")
    room.leave("a")
    joined = room.coordinator.join(classic(), room.now_ms).result()
    assert joined.error == "NONE"
    assert room.coordinator.list()[0].type == "classic"
    room.restart()
    assert room.coordinator.describe(GROUP).error == "NONE"


def test_the_consumer_protocol_can_be_disabled(tmp_path: Path) -> None:
    room = ConsumerRoom(tmp_path / "classic.db", {"group.coordinator.rebalance.protocols": "classic"})
    room.topic("orders", 6)
    with pytest.raises(BrokerError, match="UNSUPPORTED_VERSION"):
        room.join("a")
    assert room.coordinator.list() == ()
    room.database.close()


def test_the_classic_protocol_does_not_know_consumer_groups(room: ConsumerRoom) -> None:
    room.join("a")
    described = room.coordinator.describe(GROUP)
    assert (described.error, described.state) == ("GROUP_ID_NOT_FOUND", "Dead")
    assert described.error_message == "Group app is not a classic group."
    assert room.coordinator.heartbeat(GROUP, 1, "a", None, room.now_ms) == "UNKNOWN_MEMBER_ID"
    synced = room.coordinator.sync(GROUP, 1, "a", None, None, None, {}, room.now_ms)
    assert synced.result().error == "UNKNOWN_MEMBER_ID"


def test_a_group_is_described_with_its_targets(room: ConsumerRoom) -> None:
    room.join("a", rack_id="r")
    room.join("b", pattern="or.*")
    found = room.coordinator.describe_consumer(GROUP)
    assert (found.state, found.epoch, found.assignment_epoch, found.assignor) == ("Reconciling", 3, 3, "uniform")
    a, b = found.members
    assert (a.rack_id, a.topics, a.pattern, a.member_epoch, a.client_host) == ("r", ("orders",), "", 2, "/127.0.0.1")
    assert (room.written(a.assigned), room.written(a.target)) == ("orders:0,1,2,3,4,5", "orders:0,1,2")
    assert (b.pattern, room.written(b.assigned), room.written(b.target)) == ("or.*", "", "orders:3,4,5")
    for group_id, error in (("", "INVALID_GROUP_ID"), ("nobody", "GROUP_ID_NOT_FOUND")):
        with pytest.raises(BrokerError, match=error):
            room.coordinator.describe_consumer(group_id)


def test_only_an_empty_group_is_deleted(room: ConsumerRoom) -> None:
    room.join("a")
    assert room.coordinator.delete(GROUP, room.now_ms) == "NON_EMPTY_GROUP"
    assert room.coordinator.set_offsets(GROUP, [], room.now_ms) == "NON_EMPTY_GROUP"
    room.leave("a")
    assert room.coordinator.delete(GROUP, room.now_ms) == "NONE"
    assert room.coordinator.list() == ()
    assert room.database.query("SELECT group_id FROM groups") == []


def test_offsets_are_deleted_but_not_in_topics_that_a_member_subscribes_to(room: ConsumerRoom) -> None:
    room.join("a", pattern="or.*")
    room.commit(3, "a", 2)
    outcome = room.coordinator.delete_offsets(GROUP, [("orders", 0), ("payments", 0)]).partitions
    assert [one.error for one in outcome] == ["GROUP_SUBSCRIBED_TO_TOPIC", "NONE"]
    room.leave("a")
    room.coordinator.delete_offsets(GROUP, [("orders", 0)])
    assert room.committed() == -1


def test_offsets_expire_by_their_age_once_nobody_subscribes(room: ConsumerRoom) -> None:
    room.join("a")
    room.commit(3, "a", 2)
    for _ in range(CHECK_MS // 30_000 + 1):
        room.pass_ms(30_000)
        room.heartbeat("a", 2)
    assert room.committed() == 3
    room.leave("a")
    room.pass_ms(CHECK_MS)
    assert room.committed() == -1
    assert room.coordinator.list() == ()
