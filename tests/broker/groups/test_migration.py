"""Groups that move between the classic and the consumer protocol while they have members."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sandbox.broker.groups.calls import JoinAnswer, JoinGroup, LeavingMember
from sandbox.broker.groups.classic_group import Group, State
from sandbox.broker.reply import Reply
from sandbox.kafka.errors import BrokerError
from sandbox.wire.messages import messages
from tests.broker.groups.consumer_room import GROUP, REBALANCE_MS, ConsumerRoom

SESSION_MS = 10_000


@pytest.fixture
def room(tmp_path: Path) -> Iterator[ConsumerRoom]:
    room = ConsumerRoom(tmp_path / "dev.db")
    room.topic("orders", 6)
    yield room
    room.database.close()


class Classic(NamedTuple):
    """A consumer of the classic protocol."""

    room: ConsumerRoom
    member_id: str = ""
    instance_id: str | None = None

    def join(self, *, owned: tuple[int, ...] = (), protocol: str = "range") -> Reply[JoinAnswer]:
        partitions = [{"topic": "orders", "partitions": list(owned)}] if owned else []
        metadata = messages.encode_subscription(1, {"topics": ["orders"], "owned_partitions": partitions})
        request = JoinGroup(
            GROUP,
            self.member_id,
            self.instance_id,
            "classic",
            "/127.0.0.1",
            SESSION_MS,
            REBALANCE_MS,
            "consumer",
            ((protocol, metadata),),
        )
        return self.room.coordinator.join(request, self.room.now_ms)

    def named(self, joined: JoinAnswer) -> "Classic":
        return self._replace(member_id=joined.member_id)

    def sync(self, generation: int, assigned: dict[str, tuple[int, ...]] | None = None) -> tuple[str, tuple[int, ...]]:
        """SyncGroup; as the leader with the assignment of each member. Returns the error and the partitions."""
        sent = {
            member: messages.encode_assignment(
                1, {"assigned_partitions": [{"topic": "orders", "partitions": list(some)}]}
            )
            for member, some in (assigned or {}).items()
        }
        now_ms = self.room.now_ms
        answer = self.room.coordinator.sync(
            GROUP, generation, self.member_id, self.instance_id, "consumer", "range", sent, now_ms
        ).result()
        if answer.error != "NONE":
            return answer.error, ()
        found = messages.decode_assignment(answer.assignment).assigned_partitions if answer.assignment else ()
        return "NONE", tuple(one for topic in found for one in topic.partitions)

    def heartbeat(self, generation: int) -> str:
        return self.room.coordinator.heartbeat(GROUP, generation, self.member_id, self.instance_id, self.room.now_ms)


def stable(room: ConsumerRoom) -> Classic:
    """A classic group in generation 1 with one member, which has every partition."""
    joining = Classic(room).join()
    room.pass_ms(1_000)
    member = Classic(room).named(joining.result())
    assert member.sync(1, {member.member_id: tuple(range(6))}) == ("NONE", (0, 1, 2, 3, 4, 5))
    return member


def classic_group(room: ConsumerRoom) -> Group:
    group = room.coordinator._table.classic(GROUP)
    assert group is not None
    return group


def test_a_classic_group_is_upgraded_and_its_members_give_up_partitions(room: ConsumerRoom) -> None:
    old = stable(room)
    joined = room.join("new")
    assert (joined.member_epoch, room.written(joined.assigned)) == (2, None or "")
    assert room.shares() == {old.member_id: "orders:0,1,2,3,4,5", "new": ""}
    assert old.heartbeat(1) == "REBALANCE_IN_PROGRESS"
    again = old.join(owned=(0, 1, 2, 3, 4, 5)).result()
    assert (again.error, again.generation, again.leader, again.members) == ("NONE", 1, "", ())
    assert old.sync(1) == ("NONE", (0, 1, 2))
    assert old.heartbeat(1) == "REBALANCE_IN_PROGRESS", "it must rejoin without the partitions that it revoked"
    assert room.written(room.heartbeat("new", 2).assigned) is None
    assert old.join(owned=(0, 1, 2)).result().generation == 2
    assert old.sync(2) == ("NONE", (0, 1, 2))
    assert room.written(room.heartbeat("new", 2).assigned) == "orders:3,4,5"
    assert (old.heartbeat(2), room.state()) == ("NONE", "Stable")
    assert [one.is_classic for one in room.coordinator.describe_consumer(GROUP).members] == [True, False]


def test_requests_that_a_classic_group_delays_are_answered_by_its_upgrade(room: ConsumerRoom) -> None:
    old = stable(room)
    delayed = Classic(room).join()
    assert not delayed.done
    room.join("new")
    assert delayed.result().error == "REBALANCE_IN_PROGRESS"
    assert set(room.shares()) == {old.member_id, delayed.result().member_id, "new"}


def test_the_last_consumer_protocol_member_that_leaves_downgrades_the_group(room: ConsumerRoom) -> None:
    old = stable(room)
    room.join("new")
    old.join().result()
    room.leave("new")
    group = classic_group(room)
    assert (group.state, group.generation, group.protocol) == (State.PREPARING_REBALANCE, 2, "range")
    assert old.heartbeat(2) == "REBALANCE_IN_PROGRESS"
    joined = old.join().result()
    assert (joined.generation, joined.leader) == (3, old.member_id)
    assert old.sync(3, {old.member_id: (0, 1)}) == ("NONE", (0, 1))
    assert [details for _, details, _ in room.rebalances()][-1] == "member new joined; member new left"
    room.restart()
    assert classic_group(room).state is State.STABLE


def test_a_member_whose_session_ends_downgrades_the_group_too(room: ConsumerRoom) -> None:
    old = stable(room)
    room.join("new")
    for _ in range(10):
        generation = old.join().result().generation
        old.sync(generation)
        room.pass_ms(SESSION_MS // 2)
    assert classic_group(room).generation == 3
    assert room.rebalances()[-1][1].endswith("session of 45,000 ms timed out")


@pytest.mark.parametrize(("policy", "upgrades"), [("disabled", False), ("downgrade", False), ("UPGRADE", True)])
def test_the_policy_decides(tmp_path: Path, policy: str, upgrades: bool) -> None:
    room = ConsumerRoom(tmp_path / "dev.db", {"group.consumer.migration.policy": policy})
    room.topic("orders", 6)
    old = stable(room)
    if not upgrades:
        with pytest.raises(BrokerError, match=r"GROUP_ID_NOT_FOUND: Cannot upgrade .* upgrade is disabled"):
            room.join("new")
        assert old.heartbeat(1) == "NONE", "a refused upgrade changes nothing"
    else:
        room.join("new")
        room.leave("new")
        assert room.group().type == "consumer", "a downgrade is not allowed"
        assert old.heartbeat(1) == "REBALANCE_IN_PROGRESS"
        assert (old.join().result().generation, old.sync(3)) == (3, ("NONE", (0, 1, 2, 3, 4, 5)))
    room.database.close()


def test_a_classic_member_that_does_not_rejoin_or_sync_in_time_is_removed(room: ConsumerRoom) -> None:
    old = stable(room)
    room.join("new")
    unsynced = Classic(room).named(Classic(room).join().result())
    for _ in range(REBALANCE_MS // 5_000):
        assert unsynced.heartbeat(3) in ("NONE", "REBALANCE_IN_PROGRESS")
        old.heartbeat(1)
        room.heartbeat("new", room.member("new").member_epoch)
        room.pass_ms(5_000)
    assert set(room.shares()) == {"new"}
    room.settle()
    causes = " ".join(details for _, details, _ in room.rebalances())
    assert "in time" in causes, causes


def test_classic_members_stay_members_after_a_restart(room: ConsumerRoom) -> None:
    old = stable(room)
    room.join("new")
    room.restart()
    assert old.heartbeat(1) == "REBALANCE_IN_PROGRESS"
    generation = old.join().result().generation
    assert (generation, old.sync(generation)) == (2, ("NONE", (0, 1, 2)))


def test_a_request_with_the_wrong_generation_is_refused(room: ConsumerRoom) -> None:
    old = stable(room)
    room.join("new")
    assert (old.heartbeat(7), old.sync(7)[0]) == ("ILLEGAL_GENERATION", "ILLEGAL_GENERATION")
    assert room.commit(5, old.member_id, 7, knows_epochs=False) == "ILLEGAL_GENERATION"
    assert room.commit(5, old.member_id, 1, knows_epochs=False) == "NONE"
    assert Classic(room, "nobody").heartbeat(1) == "UNKNOWN_MEMBER_ID"
    assert Classic(room, "new").heartbeat(2) == "UNKNOWN_MEMBER_ID", "a member of the consumer protocol"
    assert Classic(room).join(protocol="third").result().error == "INCONSISTENT_GROUP_PROTOCOL"


def test_a_static_member_moves_to_the_consumer_protocol_with_its_partitions(room: ConsumerRoom) -> None:
    joining = Classic(room, instance_id="one").join()
    room.pass_ms(1_000)
    member = Classic(room, instance_id="one").named(joining.result())
    member.sync(1, {member.member_id: tuple(range(6))})
    moved = room.join("new", instance_id="one")
    assert room.written(moved.assigned) == "orders:0,1,2,3,4,5"
    assert member.heartbeat(1) == "FENCED_INSTANCE_ID"
    assert [one.is_classic for one in room.coordinator.describe_consumer(GROUP).members] == [False]


def test_a_classic_member_leaves(room: ConsumerRoom) -> None:
    old = stable(room)
    room.join("new")
    room.coordinator.leave(GROUP, [LeavingMember(old.member_id)], room.now_ms)
    assert room.written(room.heartbeat("new", 2).assigned) == "orders:0,1,2,3,4,5"
