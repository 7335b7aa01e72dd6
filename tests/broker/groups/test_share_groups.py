"""Share groups (KIP-932): members, epochs, and the `simple` assignor."""

from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest

from sandbox.broker.groups.assignors import NO_PARTITIONS, Partitions, Subscriber, TopicSize, assign_simple
from sandbox.broker.groups.calls import HeartbeatAnswer
from sandbox.broker.groups.share_group import ShareHeartbeat
from sandbox.kafka.errors import BrokerError
from tests.broker.groups.consumer_room import ConsumerRoom

GROUP, SESSION_MS = "work", 45_000


@pytest.fixture
def room(tmp_path: Path) -> ConsumerRoom:
    found = ConsumerRoom(tmp_path / "dev.db")
    found.topic("orders", 2)
    return found


def beat(
    room: ConsumerRoom, member: str, epoch: int, topics: tuple[str, ...] | None = None, group: str = GROUP
) -> HeartbeatAnswer:
    request = ShareHeartbeat(group, member, epoch, client_id=f"client-{member}", topics=topics)
    return room.coordinator.share_heartbeat(request, room.now_ms)


def join(room: ConsumerRoom, member: str, *topics: str) -> HeartbeatAnswer:
    return beat(room, member, 0, topics or ("orders",))


def error_of(room: ConsumerRoom, *args: object) -> str:
    with pytest.raises(BrokerError) as refused:
        beat(room, *args)  # type: ignore[arg-type]
    return str(refused.value)


def test_members_share_partitions_when_there_are_more_of_them(room: ConsumerRoom) -> None:
    assert room.written(join(room, "a").assigned) == "orders:0,1"
    epochs = [join(room, member).member_epoch for member in "bcd"]
    assert epochs == [2, 3, 4]
    numbers = Counter(number for member in "abcd" for _, number in join(room, member).assigned or ())
    assert numbers == {0: 2, 1: 2}


def test_a_heartbeat_without_news_has_no_assignment_and_writes_nothing(room: ConsumerRoom) -> None:
    join(room, "a")
    rows = room.database.query("SELECT * FROM group_members")
    assert beat(room, "a", 1).assigned is None
    assert room.database.query("SELECT * FROM group_members") == rows


def test_a_wrong_epoch_is_fenced_and_the_previous_one_is_not(room: ConsumerRoom) -> None:
    join(room, "a")
    join(room, "b")
    assert beat(room, "a", 1).member_epoch == 2
    assert beat(room, "a", 1).member_epoch == 2, "the answer was lost"
    assert "greater member epoch (3) than the one known by the group coordinator (2)" in error_of(room, "a", 3)
    join(room, "c")
    beat(room, "a", 2)
    assert "smaller member epoch (1)" in error_of(room, "a", 1)


def test_kinds_of_groups_do_not_mix(room: ConsumerRoom) -> None:
    room.coordinator.set_offsets("old", [], room.now_ms)
    room.join("a")
    assert error_of(room, "x", 0, ("orders",), "app") == "GROUP_ID_NOT_FOUND: Group app is not a share group."
    join(room, "a")
    assert [(one.group, one.type, one.state) for one in room.coordinator.list()] == [
        ("app", "consumer", "Stable"),
        ("work", "share", "Stable"),
    ]
    assert room.coordinator.describe(GROUP).error == "GROUP_ID_NOT_FOUND"


def test_unknown_members_and_groups_are_refused(room: ConsumerRoom) -> None:
    assert error_of(room, "a", 1) == "GROUP_ID_NOT_FOUND: Share group work not found."
    join(room, "a")
    assert error_of(room, "b", 1) == "UNKNOWN_MEMBER_ID: Member b is not a member of group work."
    assert error_of(room, "b", 0, ()) == "INVALID_REQUEST: SubscribedTopicNames must be set in first request."
    assert error_of(room, "b", -2) == "INVALID_REQUEST: MemberEpoch is invalid."


def test_a_silent_member_is_removed_and_its_partitions_move(room: ConsumerRoom) -> None:
    join(room, "a")
    join(room, "b")
    room.pass_ms(SESSION_MS - 1)
    beat(room, "b", 2)
    room.pass_ms(1)
    assert list(room.coordinator.share_group(GROUP).members) == ["b"]
    assert room.written(beat(room, "b", 2).assigned) == "orders:0,1"


def test_members_and_windows_survive_a_restart(room: ConsumerRoom) -> None:
    join(room, "a")
    room.database.commit()
    room.restart()
    assert beat(room, "a", 1).assigned is None
    assert [number for number, _ in room.coordinator.shares.windows(GROUP)] == [
        one.id for one in room.topics.by_name["orders"].partitions
    ]


def test_deleting_a_group_deletes_its_windows(room: ConsumerRoom) -> None:
    join(room, "a")
    assert room.coordinator.delete(GROUP, room.now_ms) == "NON_EMPTY_GROUP"
    beat(room, "a", -1)
    assert room.coordinator.delete(GROUP, room.now_ms) == "NONE"
    assert room.database.query("SELECT count(*) FROM share_partitions") == [(0,)]


def test_a_share_group_has_no_committed_offsets(room: ConsumerRoom) -> None:
    join(room, "a")
    assert room.coordinator.set_offsets(GROUP, [], room.now_ms) == "NON_EMPTY_GROUP"


def test_the_assignor_moves_as_few_as_possible_and_leaves_no_partition_alone() -> None:
    topic = UUID(int=1)

    def spread(had: dict[str, Partitions], partitions: int) -> dict[str, Partitions]:
        members = [Subscriber(one, None, frozenset({topic}), found) for one, found in had.items()]
        return assign_simple(members, {topic: TopicSize("orders", partitions)})

    for partitions in (1, 2, 3, 7):
        target: dict[str, Partitions] = {}
        for size in range(1, 9):
            before = target
            target = spread({**before, f"m{size}": NO_PARTITIONS}, partitions)
            owners = Counter(number for one in target.values() for _, number in one)
            assert set(owners) == set(range(partitions))
            assert max(owners.values()) == -(-size // partitions)
            loads = [len(one) for one in target.values()]
            assert max(loads) - min(loads) <= 1
    assert spread({"a": frozenset({(topic, 1)}), "b": NO_PARTITIONS}, 2)["a"] == {(topic, 1)}
