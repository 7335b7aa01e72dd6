"""Committed offsets, and what is asked of groups as a whole: list, describe, delete, reset, retention."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.broker.groups.calls import OffsetCommit, PartitionError
from tests.broker.groups.group_room import GROUP, Room

DAY_MS = 86_400_000


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path / "dev.db")
    yield room
    room.close()


def test_a_member_commits_and_the_group_reads_it_back(room: Room) -> None:
    (one,) = room.stable("one")
    assert room.commit(7, one, metadata="half way") == "NONE"
    (fetched,) = room.coordinator.fetch_offsets(GROUP, {"orders": [0]})
    assert tuple(fetched) == ("orders", 0, 7, 5, "half way")


def test_a_client_without_membership_commits_and_creates_its_group(room: Room) -> None:
    assert room.commit(7) == "NONE"
    (listed,) = room.coordinator.list()
    assert (listed.group, listed.state, listed.protocol_type, listed.type) == (GROUP, "Empty", "", "classic")
    assert room.committed() == 7


def test_an_unknown_group_takes_no_commit_of_a_member(room: Room) -> None:
    assert room.commit(7, generation=3) == "ILLEGAL_GENERATION"
    assert room.coordinator.list() == ()


def test_a_client_without_membership_cannot_commit_for_a_group_with_members(room: Room) -> None:
    room.stable("one")
    assert room.commit(7) == "UNKNOWN_MEMBER_ID"
    assert room.committed() == -1


def test_an_empty_group_takes_no_commit_of_an_old_member(room: Room) -> None:
    (one,) = room.stable("one")
    room.leave(one)
    assert room.commit(7, one) == "UNKNOWN_MEMBER_ID"
    assert room.commit(7) == "NONE"


def test_a_member_commits_its_old_generation_while_a_rebalance_is_prepared(room: Room) -> None:
    (one,) = room.stable("one")
    room.join("two")
    assert room.commit(7, one) == "NONE"


def test_a_member_cannot_commit_between_join_and_assignment(room: Room) -> None:
    joined = room.join("one").result()
    assert room.commit(7, joined) == "REBALANCE_IN_PROGRESS"


def test_metadata_that_is_too_long_is_refused_for_its_partition_alone(room: Room) -> None:
    offsets = [OffsetCommit("orders", 0, 1, -1, "x" * 4096), OffsetCommit("orders", 1, 1, -1, "x" * 4097)]
    outcome = room.coordinator.commit(GROUP, -1, "", None, offsets, room.now_ms)
    assert outcome == (PartitionError("orders", 0, "NONE"), PartitionError("orders", 1, "OFFSET_METADATA_TOO_LARGE"))
    assert (room.committed(partition=0), room.committed(partition=1)) == (1, -1)


def test_metadata_is_measured_as_kafka_does_in_utf_16_units(room: Room) -> None:
    assert room.commit(1, metadata="\N{GRINNING FACE}" * 2048) == "NONE"
    assert room.commit(1, metadata="\N{GRINNING FACE}" * 2049) == "OFFSET_METADATA_TOO_LARGE"


def test_an_unknown_partition_is_refused_for_itself_alone(room: Room) -> None:
    offsets = [OffsetCommit("orders", 0, 1), OffsetCommit("orders", 9, 1), OffsetCommit("nowhere", 0, 1)]

    def exists(topic: str, partition: int) -> bool:
        return topic == "orders" and partition < 3

    outcome = room.coordinator.commit(GROUP, -1, "", None, offsets, room.now_ms, exists=exists)
    assert [one.error for one in outcome] == ["NONE", "UNKNOWN_TOPIC_OR_PARTITION", "UNKNOWN_TOPIC_OR_PARTITION"]
    assert [one[:3] for one in room.coordinator.fetch_offsets(GROUP, None)] == [("orders", 0, 1)]
    refused = room.coordinator.commit("other", 3, "m", None, offsets, room.now_ms, exists=exists)
    assert [one.error for one in refused] == ["ILLEGAL_GENERATION", *["UNKNOWN_TOPIC_OR_PARTITION"] * 2]


@pytest.mark.parametrize(("sent", "given"), [("", ""), (None, ""), ("a\x00b\nü", "a\x00b\nü")])
def test_metadata_comes_back_as_it_was_sent_and_null_as_empty(room: Room, sent: str | None, given: str) -> None:
    room.commit(1, metadata=sent)
    assert room.coordinator.fetch_offsets(GROUP, None)[0].metadata == given


def test_an_unknown_group_has_no_offset_and_no_error(room: Room) -> None:
    fetched = room.coordinator.fetch_offsets("nobody", {"orders": [0, 1]})
    assert [tuple(one) for one in fetched] == [("orders", 0, -1, -1, ""), ("orders", 1, -1, -1, "")]
    assert room.coordinator.fetch_offsets("nobody", None) == ()


def test_each_commit_is_kept_in_the_history(room: Room) -> None:
    (one,) = room.stable("one")
    for offset in (3, 2):
        room.commit(offset, one)
        room.now_ms += 1
    history = room.database.query("SELECT offset, generation, member_id, committed_ms FROM commits ORDER BY id")
    assert history == [(3, 1, one.member_id, room.now_ms - 2), (2, 1, one.member_id, room.now_ms - 1)]
    assert room.committed() == 2


def test_watchers_hear_of_a_commit(room: Room) -> None:
    (one,) = room.stable("one")
    room.changes.clear()
    room.commit(1, one)
    assert room.changes == [(GROUP, "commit")]


def test_groups_are_listed_by_state_and_type(room: Room) -> None:
    room.stable("one")
    room.coordinator.commit("batch", -1, "", None, [OffsetCommit("orders", 0, 1)], room.now_ms)
    assert [(one.group, one.state) for one in room.coordinator.list()] == [(GROUP, "Stable"), ("batch", "Empty")]
    assert [one.group for one in room.coordinator.list(states=["empty", "Dead"])] == ["batch"]
    assert [one.group for one in room.coordinator.list(types=["Classic"])] == [GROUP, "batch"]
    assert room.coordinator.list(types=["consumer"]) == ()


def test_a_stable_group_is_described_with_protocol_and_metadata(room: Room) -> None:
    (one,) = room.stable("one")
    described = room.coordinator.describe(GROUP)
    assert (described.error, described.state, described.protocol_type) == ("NONE", "Stable", "consumer")
    assert (described.protocol, described.generation) == ("range", 1)
    (member,) = described.members
    assert (member.member_id, member.client_id, member.client_host) == (one.member_id, "one", "/127.0.0.1")
    assert (member.metadata, member.assignment, member.last_heartbeat_ms) == (b"orders", b"orders:0", room.now_ms)


def test_a_rebalancing_group_is_described_without_protocol_and_metadata(room: Room) -> None:
    room.stable("one")
    room.join("two")
    described = room.coordinator.describe(GROUP)
    assert (described.state, described.protocol) == ("PreparingRebalance", "")
    assert [member.metadata for member in described.members] == [b"", b""]


def test_an_unknown_group_is_described_as_dead(room: Room) -> None:
    described = room.coordinator.describe("nobody")
    assert (described.error, described.state, described.members) == ("GROUP_ID_NOT_FOUND", "Dead", ())


def test_only_an_empty_group_can_be_deleted(room: Room) -> None:
    (one,) = room.stable("one")
    room.commit(7, one)
    assert room.coordinator.delete(GROUP, room.now_ms) == "NON_EMPTY_GROUP"
    room.leave(one)
    assert room.coordinator.delete(GROUP, room.now_ms) == "NONE"
    assert room.coordinator.delete(GROUP, room.now_ms) == "GROUP_ID_NOT_FOUND"
    assert room.committed() == -1
    assert room.database.query("SELECT * FROM groups") == []
    assert room.database.query("SELECT count(*) FROM commits") == [(1,)]


def test_a_reset_is_refused_while_the_group_has_members(room: Room) -> None:
    (one,) = room.stable("one")
    room.commit(7, one)
    assert room.coordinator.set_offsets(GROUP, [OffsetCommit("orders", 0, 2)], room.now_ms) == "NON_EMPTY_GROUP"
    assert room.committed() == 7
    room.leave(one)
    assert room.coordinator.set_offsets(GROUP, [OffsetCommit("orders", 0, 2)], room.now_ms) == "NONE"
    assert room.committed() == 2


def test_a_reset_tells_of_an_offset_that_was_not_taken(room: Room) -> None:
    offsets = [OffsetCommit("orders", 0, 2, -1, "x" * 4097)]
    assert room.coordinator.set_offsets(GROUP, offsets, room.now_ms) == "OFFSET_METADATA_TOO_LARGE"
    assert room.committed() == -1


def test_offsets_are_deleted_but_not_in_topics_that_a_member_reads(room: Room) -> None:
    (one,) = room.stable("one")
    room.commit(7, one)
    room.commit(8, one, topic="payments")
    answer = room.coordinator.delete_offsets(GROUP, [("orders", 0), ("payments", 0)])
    assert answer.error == "NONE"
    assert [one.error for one in answer.partitions] == ["GROUP_SUBSCRIBED_TO_TOPIC", "NONE"]
    assert (room.committed(), room.committed("payments")) == (7, -1)


def test_where_a_subscription_cannot_be_read_no_offset_is_deleted(room: Room) -> None:
    joined = room.join(protocols=(("range", b"?"),)).result()
    room.sync(joined, {joined.member_id: b"?"})
    room.commit(7, joined)
    answer = room.coordinator.delete_offsets(GROUP, [("orders", 0)])
    assert answer.partitions[0].error == "GROUP_SUBSCRIBED_TO_TOPIC"


def test_offsets_of_another_kind_of_group_are_not_deleted_while_it_has_members(room: Room) -> None:
    room.join(protocol_type="connect")
    assert room.coordinator.delete_offsets(GROUP, [("orders", 0)]).error == "NON_EMPTY_GROUP"
    assert room.coordinator.delete_offsets("nobody", [("orders", 0)]).error == "GROUP_ID_NOT_FOUND"


def test_offsets_of_a_deleted_topic_go_with_it(room: Room) -> None:
    room.commit(7)
    room.commit(8, topic="payments")
    room.changes.clear()
    room.coordinator.remove_topic("orders")
    assert (room.committed(), room.committed("payments")) == (-1, 8)
    assert room.changes == [(GROUP, "commit")]


def test_offsets_of_an_empty_group_are_kept_for_seven_days_and_then_the_group_is_forgotten(room: Room) -> None:
    (one,) = room.stable("one")
    room.commit(7, one)
    for _ in range(200):
        room.pass_ms(5_000)
        room.heartbeat(one)
    room.leave(one)
    room.pass_ms(7 * DAY_MS - 1)
    assert room.committed() == 7, "retention counts from when the group became empty"
    room.pass_ms(600_001)
    assert room.committed() == -1
    assert room.coordinator.list() == ()


def test_offsets_of_a_group_that_only_commits_are_kept_from_each_commit_on(room: Room) -> None:
    room.commit(7)
    room.pass_ms(6 * DAY_MS)
    room.commit(8, partition=1)
    room.pass_ms(DAY_MS + 600_000)
    assert (room.committed(partition=0), room.committed(partition=1)) == (-1, 8)


def test_the_offsets_of_a_stable_group_expire_only_in_topics_that_it_reads_no_more(tmp_path: Path) -> None:
    room = Room(tmp_path / "dev.db", {"offsets.retention.minutes": "10"})
    (one,) = room.stable("one")
    room.commit(7, one)
    room.commit(8, one, topic="payments")
    for _ in range(400):
        room.pass_ms(5_000)
        assert room.heartbeat(one) == "NONE"
    assert (room.committed(), room.committed("payments")) == (7, -1)
    room.close()


def test_a_group_without_members_and_offsets_is_forgotten(room: Room) -> None:
    (one,) = room.stable("one")
    room.leave(one)
    room.pass_ms(600_000)
    assert room.coordinator.list() == ()
    assert room.database.query("SELECT * FROM groups") == []
