"""ConsumerGroupHeartbeat (KIP-848) request by request, on the sandbox and on Apache Kafka alike: epochs and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from sandbox.kafka.errors import BY_CODE
from tests.clients.conftest import Kafka
from tests.clients.waiting import eventually
from tests.wire.raw_client import RawClient

pytestmark = [pytest.mark.clients, pytest.mark.timeout(60)]

OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR, CREATE_TOPICS, HEARTBEAT, DESCRIBE = 8, 9, 10, 19, 68, 69
REBALANCE_MS = 1000


class Group:
    """One group of an own topic with six partitions, and another one with one, `known`."""

    def __init__(self, client: RawClient, topic: str, group: str) -> None:
        self._client = client
        self.topic, self.group = topic, group
        self._created: set[UUID] = set()
        # Topics appear in the order in which they were created.
        self.known = f"known-{topic}"
        self._create(self.known, 1)
        self._topic_id = self._create(topic, 6)
        eventually(self._is_ready, 20, lambda: "the group's coordinator is not there")

    def _create(self, topic: str, partitions: int) -> UUID:
        """Create a topic; its id."""
        wanted = {"name": topic, "num_partitions": partitions, "replication_factor": 1}
        found: UUID = self._client.ask(CREATE_TOPICS, 7, {"topics": [wanted]}).topics[0].topic_id
        self._created.add(found)
        return found

    def _is_ready(self) -> bool:
        self._client.ask(FIND_COORDINATOR, 6, {"key_type": 0, "coordinator_keys": [self.group]})
        return self.fetch(None, -1) == "NONE"

    def heartbeat(self, member: str, epoch: int, owned: list[int] | None = None, **more: Any) -> Any:
        """The answer: (member epoch, partitions of its own topics or None), or the name of the error."""
        partitions = None if owned is None else [{"topic_id": self._topic_id, "partitions": owned}]
        request = {"group_id": self.group, "member_id": member, "member_epoch": epoch, "topic_partitions": partitions}
        answer = self._client.ask(HEARTBEAT, 1, {**request, **more})
        if answer.error_code:
            return BY_CODE[answer.error_code].name
        if answer.assignment is None:
            return answer.member_epoch, None
        mine = [each for each in answer.assignment.topic_partitions if each.topic_id in self._created]
        return answer.member_epoch, sorted(one for each in mine for one in each.partitions)

    def join(self, member: str, **more: Any) -> Any:
        """Join, or join again."""
        first = {"rebalance_timeout_ms": REBALANCE_MS, "subscribed_topic_names": [self.topic], "topic_partitions": []}
        return self.heartbeat(member, 0, **{**first, **more})

    def commit(self, member: str, epoch: int, version: int = 9) -> str:
        """The error of a commit for partition 0."""
        partition = {"partition_index": 0, "committed_offset": 1}
        request = {
            "group_id": self.group,
            "member_id": member,
            "generation_id_or_member_epoch": epoch,
            "topics": [{"name": self.topic, "partitions": [partition]}],
        }
        answer = self._client.ask(OFFSET_COMMIT, version, request)
        return BY_CODE[answer.topics[0].partitions[0].error_code].name

    def fetch(self, member: str | None, epoch: int) -> str:
        """The error of fetching all offsets."""
        group = {"group_id": self.group, "member_id": member, "member_epoch": epoch, "topics": None}
        return BY_CODE[self._client.ask(OFFSET_FETCH, 9, {"groups": [group]}).groups[0].error_code].name

    def described(self) -> tuple[str, int, int, dict[str, int]]:
        """The state, the group's epoch, the target's, and the members with theirs."""
        found = self._client.ask(DESCRIBE, 1, {"group_ids": [self.group]}).groups[0]
        epochs = {member.member_id: member.member_epoch for member in found.members}
        return found.group_state, found.group_epoch, found.assignment_epoch, epochs


@pytest.fixture
def group(kafka: Kafka, unique: Callable[[str], str]) -> Iterator[Group]:
    client = RawClient(kafka.bootstrap)
    found = Group(client, unique("heartbeats"), unique("group"))
    # Apache Kafka's coordinator learns of a new topic a little later than the client that made it.
    eventually(lambda: _sees_topic(found), 20, lambda: "the coordinator does not see the topic")
    yield found
    client.close()


def _sees_topic(group: Group) -> bool:
    name, group.group = group.group, f"{group.group}-first"
    try:
        epoch, partitions = group.join("probe")
        if partitions == []:
            epoch, partitions = group.heartbeat("probe", epoch)
        group.heartbeat("probe", -1)
        return bool(partitions)
    finally:
        group.group = name


def test_partitions_move_when_they_were_let_go(group: Group) -> None:
    assert group.join("a") == (2, [0, 1, 2, 3, 4, 5])
    assert group.described() == ("Stable", 2, 2, {"a": 2})
    assert group.join("b") == (3, [])
    assert group.heartbeat("a", 2) == (2, [0, 1, 2])
    assert group.described() == ("Reconciling", 3, 3, {"a": 2, "b": 3})
    assert group.heartbeat("b", 3) == (3, None)
    assert group.heartbeat("a", 2, [0, 1, 2, 3, 4, 5]) == (2, None)
    assert group.heartbeat("a", 2, [0, 1, 2]) == (3, None)
    assert group.heartbeat("a", 2, [0, 1, 2]) == (3, None), "the answer may have got lost"
    assert group.heartbeat("a", 2, [0, 1, 2, 3]) == "FENCED_MEMBER_EPOCH"
    assert group.heartbeat("b", 3) == (3, [3, 4, 5])
    assert group.described() == ("Stable", 3, 3, {"a": 3, "b": 3})
    assert group.heartbeat("b", -1) == (-1, None)
    assert group.described() == ("Assigning", 4, 3, {"a": 3})
    assert group.heartbeat("a", 3) == (4, [0, 1, 2, 3, 4, 5])
    assert group.heartbeat("a", -1) == (-1, None)
    assert group.described() == ("Empty", 5, 5, {})


def test_a_member_that_keeps_what_it_should_give_back_is_put_out(group: Group) -> None:
    group.join("a")
    group.join("b")
    group.heartbeat("a", 2)
    eventually(lambda: group.described() == ("Assigning", 4, 3, {"b": 3}), 10, lambda: str(group.described()))
    assert group.heartbeat("a", 2) == "UNKNOWN_MEMBER_ID"
    assert group.heartbeat("b", 3) == (4, [0, 1, 2, 3, 4, 5])


def test_a_static_member_comes_back_to_its_place(group: Group) -> None:
    assert group.join("a", instance_id="i") == (2, [0, 1, 2, 3, 4, 5])
    assert group.join("b", instance_id="i") == "UNRELEASED_INSTANCE_ID"
    assert group.heartbeat("b", 2, instance_id="i") == "FENCED_INSTANCE_ID"
    assert group.heartbeat("a", 2, instance_id="j") == "UNKNOWN_MEMBER_ID"
    assert group.heartbeat("a", -2, instance_id="i") == (-2, None)
    assert group.heartbeat("a", 2, instance_id="i") == "FENCED_MEMBER_EPOCH"
    assert group.join("b", instance_id="i") == (2, [0, 1, 2, 3, 4, 5])
    assert group.heartbeat("a", 2, instance_id="i") == "FENCED_INSTANCE_ID"
    assert group.described() == ("Stable", 2, 2, {"b": 2})


def test_commits_and_fetches_of_a_stale_member_are_refused(group: Group) -> None:
    assert group.commit("a", 2) == "GROUP_ID_NOT_FOUND"
    assert group.commit("a", 2, version=8) == "ILLEGAL_GENERATION"
    group.join("a")
    assert group.commit("a", 2) == "NONE"
    assert group.commit("a", 3) == "STALE_MEMBER_EPOCH"
    assert group.commit("a", 2, version=8) == "UNSUPPORTED_VERSION"
    assert group.commit("", -1) == "UNKNOWN_MEMBER_ID"
    assert [group.fetch("a", 2), group.fetch("a", 3), group.fetch("z", 2)] == [
        "NONE",
        "STALE_MEMBER_EPOCH",
        "UNKNOWN_MEMBER_ID",
    ]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"member": ""}, "INVALID_REQUEST"),
        ({"rebalance_timeout_ms": -1}, "INVALID_REQUEST"),
        ({"topic_partitions": None}, "INVALID_REQUEST"),
        ({"subscribed_topic_names": None}, "INVALID_REQUEST"),
        ({"instance_id": ""}, "INVALID_REQUEST"),
        ({"server_assignor": "sticky"}, "UNSUPPORTED_ASSIGNOR"),
        ({"subscribed_topic_regex": "(a"}, "INVALID_REGULAR_EXPRESSION"),
        ({"subscribed_topic_regex": "(?=a)b"}, "INVALID_REGULAR_EXPRESSION"),
        ({"subscribed_topic_regex": r"(a)\1"}, "INVALID_REGULAR_EXPRESSION"),
        ({"subscribed_topic_regex": "a**"}, "INVALID_REGULAR_EXPRESSION"),
        ({"subscribed_topic_regex": "a{1001}"}, "INVALID_REGULAR_EXPRESSION"),
    ],
)
def test_a_join_that_makes_no_sense_is_refused(group: Group, request_: dict[str, Any], error: str) -> None:
    assert group.join(**{"member": "a", **request_}) == error


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("heartbeats.*", True),
        ("heartbeats", False),
        ("(?i)HEARTbeats-[[:xdigit:]]{10}", True),
        (r"\Qheartbeats\E\W\w+", True),
        (r"[^\d]+-(?:[a-f]|[0-9])*", True),
        (r"\bheart\b.*", False),
        ("(?P<word>heart|beats)+.{11}", True),
        (r"\pL+\p{Pd}\w{9}\z", False),
    ],
)
def test_an_expression_matches_as_on_kafka(group: Group, pattern: str, matches: bool) -> None:
    # Apache Kafka resolves it in the background; the topic that matches anyway shows when that is done.
    epoch, assigned = group.join("a", subscribed_topic_names=[], subscribed_topic_regex=f"(?:{pattern})|{group.known}")

    def resolved() -> bool:
        nonlocal epoch, assigned
        if not assigned:
            epoch, assigned = group.heartbeat("a", epoch)
        return bool(assigned)

    eventually(resolved, 15, lambda: "the expression is not resolved")
    assert assigned == ([0, 0, 1, 2, 3, 4, 5] if matches else [0])
