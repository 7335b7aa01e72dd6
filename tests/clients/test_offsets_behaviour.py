"""Commits that are refused, and offsets of subscribed topics, request by request on the sandbox and on Apache Kafka."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from sandbox.kafka.errors import BY_CODE
from tests.clients.conftest import Kafka
from tests.clients.raw_requests import RawClient
from tests.clients.waiting import eventually

pytestmark = [pytest.mark.clients, pytest.mark.timeout(60)]

NULL_BYTES = struct.pack(">i", -1)
JUNK = b"hello world"
DELETED, SUBSCRIBED = ("GROUP_SUBSCRIBED_TO_TOPIC", "NONE"), ("GROUP_SUBSCRIBED_TO_TOPIC", "GROUP_SUBSCRIBED_TO_TOPIC")


class Room:
    """A connection, two topics with one partition each, and a group that does not exist yet."""

    def __init__(self, raw: RawClient, name: str) -> None:
        self.raw = raw
        self.group, self.topic, self.other = f"{name}-group", name, f"{name}-other"
        wanted = [{"name": one, "num_partitions": 1, "replication_factor": 1} for one in (self.topic, self.other)]
        raw.ask("CreateTopics", 7, topics=wanted, timeout_ms=10_000)
        eventually(self._is_coordinated, 20, lambda: "the group's coordinator is not there")
        eventually(self._sees_topics, 20, lambda: "the coordinator does not see the topics")

    def _is_coordinated(self) -> bool:
        self.raw.ask("FindCoordinator", 4, key_type=0, coordinator_keys=[self.group])
        return self.state() == ("GROUP_ID_NOT_FOUND", "Dead")

    def _sees_topics(self) -> bool:
        commit = {"group_id": f"{self.group}-first", "generation_id_or_member_epoch": -1, "member_id": ""}
        topics = [partitions_of(self.topic), partitions_of(self.other)]
        return errors(self.raw.ask("OffsetCommit", 8, **commit, topics=topics)) == ["NONE", "NONE"]

    def state(self) -> tuple[str, str]:
        """The group's error and state."""
        (found,) = self.raw.ask("DescribeGroups", 6, groups=[self.group]).groups
        return BY_CODE[found.error_code].name, found.group_state

    def is_listed(self) -> bool:
        return self.group in {one.group_id for one in self.raw.ask("ListGroups", 5).groups}

    def commit(self, *topics: dict[str, Any], version: int = 8, generation: int = -1, member: str = "") -> list[str]:
        """The errors of a commit, one per partition."""
        commit = {"group_id": self.group, "generation_id_or_member_epoch": generation, "member_id": member}
        return errors(self.raw.ask("OffsetCommit", version, **commit, topics=list(topics)))

    def join(self, subscription: bytes) -> tuple[int, str]:
        """Become the group's only member; its generation and member id."""
        joined = self.raw.ask(
            "JoinGroup",
            3,
            group_id=self.group,
            session_timeout_ms=10_000,
            rebalance_timeout_ms=1000,
            member_id="",
            protocol_type="consumer",
            protocols=[{"name": "range", "metadata": subscription}],
        )
        member = joined.member_id
        assignments = [{"member_id": member, "assignment": b""}]
        synced = self.raw.ask(
            "SyncGroup",
            2,
            group_id=self.group,
            generation_id=joined.generation_id,
            member_id=member,
            assignments=assignments,
        )
        assert (joined.error_code, synced.error_code) == (0, 0)
        return joined.generation_id, member


@pytest.fixture
def room(kafka: Kafka, unique: Callable[[str], str]) -> Iterator[Room]:
    with RawClient(kafka.bootstrap) as raw:
        yield Room(raw, unique("offsets"))


def partitions_of(topic: str | None, partition: int = 0, *, metadata: str = "", **more: Any) -> dict[str, Any]:
    one = {"partition_index": partition, "committed_offset": 0, "committed_metadata": metadata}
    return {"name": topic, "partitions": [one], **more}


def errors(answer: Any) -> list[str]:
    return [BY_CODE[one.error_code].name for topic in answer.topics for one in topic.partitions]


@pytest.mark.parametrize(
    ("wanted", "version", "error"),
    [
        (lambda room: partitions_of(f"{room.topic}-missing"), 2, "UNKNOWN_TOPIC_OR_PARTITION"),
        (lambda room: partitions_of(f"{room.topic}-missing"), 8, "UNKNOWN_TOPIC_OR_PARTITION"),
        (lambda room: partitions_of(f"{room.topic}-missing"), 9, "UNKNOWN_TOPIC_OR_PARTITION"),
        (lambda room: partitions_of(""), 8, "UNKNOWN_TOPIC_OR_PARTITION"),
        (lambda room: partitions_of(room.topic, 7), 8, "UNKNOWN_TOPIC_OR_PARTITION"),
        (lambda room: partitions_of(None, topic_id=UUID(int=5)), 10, "UNKNOWN_TOPIC_ID"),
        (lambda room: partitions_of(room.topic, metadata="m" * 5000), 8, "OFFSET_METADATA_TOO_LARGE"),
    ],
    ids=["v2", "v8", "v9", "no name", "partition", "topic id", "metadata"],
)
def test_a_commit_that_is_refused_leaves_no_group(
    room: Room, wanted: Callable[[Room], dict[str, Any]], version: int, error: str
) -> None:
    assert room.commit(wanted(room), version=version) == [error]
    assert (room.state(), room.is_listed()) == (("GROUP_ID_NOT_FOUND", "Dead"), False)


def test_a_commit_of_nothing_leaves_no_group(room: Room) -> None:
    assert room.commit() == []
    assert (room.state(), room.is_listed()) == (("GROUP_ID_NOT_FOUND", "Dead"), False)


def test_one_partition_that_is_committed_makes_a_group(room: Room) -> None:
    found = room.commit(partitions_of(f"{room.topic}-missing"), partitions_of(room.topic))
    assert found == ["UNKNOWN_TOPIC_OR_PARTITION", "NONE"]
    assert (room.state(), room.is_listed()) == (("NONE", "Empty"), True)


def subscription(version: int, topic: str, rest: bytes) -> bytes:
    return struct.pack(">hih", version, 1, len(topic)) + topic.encode() + rest


@pytest.mark.parametrize(
    ("version", "rest", "outcome"),
    [
        (0, NULL_BYTES, DELETED),
        (0, NULL_BYTES + JUNK, DELETED),
        (1, NULL_BYTES, DELETED),
        (1, NULL_BYTES + struct.pack(">i", 0), DELETED),
        (2, NULL_BYTES + struct.pack(">i", 0), DELETED),
        (3, NULL_BYTES, DELETED),
        (9, NULL_BYTES + JUNK, DELETED),
        (-1, NULL_BYTES, DELETED),
        (0, b"", SUBSCRIBED),
        (1, b"", SUBSCRIBED),
        (0, struct.pack(">i", 50) + b"x", SUBSCRIBED),
    ],
)
def test_offsetdelete_reads_the_part_of_a_subscription_that_every_version_has(
    room: Room, version: int, rest: bytes, outcome: tuple[str, str]
) -> None:
    generation, member = room.join(subscription(version, room.topic, rest))
    assert _commit_and_delete(room, generation, member) == outcome


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0", JUNK])
def test_a_subscription_that_cannot_be_read_may_be_for_any_topic(room: Room, data: bytes) -> None:
    generation, member = room.join(data)
    assert _commit_and_delete(room, generation, member) == SUBSCRIBED


def _commit_and_delete(room: Room, generation: int, member: str) -> tuple[str, str]:
    """Commit for a subscribed topic and another one, and delete both offsets."""
    wanted = (partitions_of(room.topic), partitions_of(room.other))
    assert room.commit(*wanted, version=7, generation=generation, member=member) == ["NONE", "NONE"]
    first, second = errors(
        room.raw.ask(
            "OffsetDelete",
            0,
            group_id=room.group,
            topics=[{"name": one["name"], "partitions": [{"partition_index": 0}]} for one in wanted],
        )
    )
    room.raw.ask("LeaveGroup", 2, group_id=room.group, member_id=member)
    return first, second
