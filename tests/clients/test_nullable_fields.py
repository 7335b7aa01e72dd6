"""Fields that may be null, on the sandbox and on Apache Kafka alike: messages with success, and lists in requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from sandbox.kafka.errors import CODE
from sandbox.wire.messages.schemas import schemas
from tests.clients.conftest import Kafka
from tests.clients.raw_requests import RawClient
from tests.clients.waiting import eventually

pytestmark = [pytest.mark.clients, pytest.mark.timeout(60)]

Fields = dict[str, Any]
TOPIC_CONFIG, BROKER_CONFIG, GROUP_CONFIG = 2, 4, 32
JOIN = {
    "rebalance_timeout_ms": 5000,
    "member_epoch": 0,
    "subscribed_topic_names": [],
    "topic_partitions": [],
    "member_id": "AAAAAAAAAAAAAAAAAAAAAA",
}


def new_topic(name: str, **more: Any) -> Fields:
    return {"name": name, "num_partitions": 1, "replication_factor": 1, "assignments": [], "configs": [], **more}


def quota(*entity: tuple[str, str], remove: bool = False) -> Fields:
    parts = [{"entity_type": kind, "entity_name": name} for kind, name in entity]
    return {"entity": parts, "ops": [{"key": "producer_byte_rate", "value": 100.0, "remove": remove}]}


class Room:
    """A connection, and a topic with one partition."""

    def __init__(self, raw: RawClient, topic: str) -> None:
        self.raw, self.topic = raw, topic
        self.ask("CreateTopics", 7, topics=[new_topic(topic)], timeout_ms=10_000)
        eventually(lambda: self._has_leader(topic), 10, lambda: "the partition has no leader")
        for key_type in (0, 1):
            eventually(partial(self._has_coordinator, key_type), 20, lambda: "the coordinator is not there")
        group = {"group_ids": ["nobody"], "include_authorized_operations": False}
        eventually(
            lambda: self.ask("ConsumerGroupDescribe", 1, **group).groups[0].error_code == CODE["GROUP_ID_NOT_FOUND"],
            20,
            lambda: "the coordinator is still loading",
        )

    def _has_leader(self, topic: str) -> bool:
        wanted = {"partition_index": 0, "current_leader_epoch": -1, "timestamp": -1}
        answer = self.ask("ListOffsets", 7, replica_id=-1, topics=[{"name": topic, "partitions": [wanted]}])
        return answer.topics[0].partitions[0].error_code == 0  # type: ignore[no-any-return]

    def _has_coordinator(self, key_type: int) -> bool:
        answer = self.ask("FindCoordinator", 4, key_type=key_type, coordinator_keys=[self.topic])
        return answer.coordinators[0].error_code == 0  # type: ignore[no-any-return]

    def ask(self, api: str, version: int, **fields: Any) -> SimpleNamespace:
        return self.raw.ask(api, version, **fields)


@pytest.fixture
def room(kafka: Kafka, unique: Callable[[str], str]) -> Iterator[Room]:
    with RawClient(kafka.bootstrap) as raw:
        yield Room(raw, unique("nullable"))


# Per API: a version, a request that succeeds, and the message that goes with success.
SUCCESSES: tuple[tuple[str, int, Callable[[str], Fields], str | None], ...] = (
    ("FindCoordinator", 3, lambda topic: {"key": topic, "key_type": 0}, "NONE"),
    ("FindCoordinator", 4, lambda topic: {"key_type": 0, "coordinator_keys": [topic]}, ""),
    ("CreateTopics", 2, lambda topic: {"topics": [new_topic(f"{topic}-2")], "timeout_ms": 10_000}, None),
    ("CreateTopics", 7, lambda topic: {"topics": [new_topic(f"{topic}-7")], "timeout_ms": 10_000}, None),
    (
        "CreateTopics",
        7,
        lambda topic: {"topics": [new_topic(f"{topic}-v")], "timeout_ms": 10_000, "validate_only": True},
        None,
    ),
    (
        "CreatePartitions",
        3,
        lambda topic: {"topics": [{"name": topic, "count": 2, "assignments": None}], "timeout_ms": 10_000},
        None,
    ),
    (
        "DescribeConfigs",
        4,
        lambda topic: {"resources": [{"resource_type": TOPIC_CONFIG, "resource_name": topic}]},
        "",
    ),
    (
        "AlterConfigs",
        2,
        lambda topic: {"resources": [{"resource_type": TOPIC_CONFIG, "resource_name": topic, "configs": []}]},
        None,
    ),
    (
        "IncrementalAlterConfigs",
        1,
        lambda topic: {"resources": [{"resource_type": TOPIC_CONFIG, "resource_name": topic, "configs": []}]},
        None,
    ),
    (
        "AlterPartitionReassignments",
        1,
        lambda topic: {
            "timeout_ms": 10_000,
            "allow_replication_factor_change": True,
            "topics": [{"name": topic, "partitions": [{"partition_index": 0, "replicas": [1]}]}],
        },
        None,
    ),
    ("ListPartitionReassignments", 0, lambda topic: {"timeout_ms": 10_000, "topics": None}, None),
    ("DescribeClientQuotas", 1, lambda topic: {"components": [], "strict": False}, ""),
    (
        "AlterClientQuotas",
        1,
        lambda topic: {"entries": [quota(("user", topic))], "validate_only": True},
        None,
    ),
    ("DescribeUserScramCredentials", 0, lambda topic: {"users": []}, ""),
    (
        "AlterUserScramCredentials",
        0,
        lambda topic: {
            "deletions": [],
            "upsertions": [
                {"name": topic, "mechanism": 1, "iterations": 4096, "salt": b"salt", "salted_password": b"p" * 32}
            ],
        },
        None,
    ),
    (
        "DescribeQuorum",
        2,
        lambda topic: {"topics": [{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 0}]}]},
        "",
    ),
    ("UpdateFeatures", 1, lambda topic: {"timeout_ms": 10_000, "feature_updates": [], "validate_only": True}, None),
    ("DescribeCluster", 2, lambda topic: {"endpoint_type": 1}, None),
    ("DescribeProducers", 0, lambda topic: {"topics": [{"name": topic, "partition_indexes": [0]}]}, None),
    ("ConsumerGroupHeartbeat", 1, lambda topic: {"group_id": topic, **JOIN}, None),
    ("ConsumerGroupDescribe", 1, lambda topic: {"group_ids": [f"{topic}-joined"]}, None),
    ("DeleteTopics", 6, lambda topic: {"topics": [{"name": topic, "topic_id": None}], "timeout_ms": 10_000}, None),
)
# No success without an authorizer, several brokers, other voters, or log-in; Produce and DeleteGroups have own tests.
NEVER_SUCCEED = {
    "Produce",
    "DescribeAcls",
    "CreateAcls",
    "DeleteAcls",
    "ElectLeaders",
    "UnregisterBroker",
    "UnregisterController",
    "DeleteGroups",
    "SaslAuthenticate",
    "AddRaftVoter",
    "RemoveRaftVoter",
    "DescribeGroups",
}


def messages(answer: object) -> list[str | None]:
    """Every error_message of an answer."""
    if isinstance(answer, SimpleNamespace):
        own = [answer.error_message] if hasattr(answer, "error_message") else []
        return own + [found for value in vars(answer).values() for found in messages(value)]
    return [found for value in answer for found in messages(value)] if isinstance(answer, list) else []


def codes(answer: object) -> set[int]:
    """Every error_code of an answer."""
    if isinstance(answer, SimpleNamespace):
        own = {answer.error_code} if hasattr(answer, "error_code") else set()
        return own.union(*(codes(value) for value in vars(answer).values()))
    return set().union(*map(codes, answer)) if isinstance(answer, list) else set()


@pytest.mark.parametrize(
    ("api", "version", "fields", "message"),
    SUCCESSES,
    ids=[f"{one[0]}-{one[1]}-{i}" for i, one in enumerate(SUCCESSES)],
)
def test_success_carries_kafkas_message(
    room: Room, api: str, version: int, fields: Callable[[str], Fields], message: str | None
) -> None:
    if api == "ConsumerGroupDescribe":
        room.ask("ConsumerGroupHeartbeat", 1, group_id=f"{room.topic}-joined", **JOIN)
    answer = room.ask(api, version, **fields(room.topic))
    assert codes(answer) <= {0}
    assert set(messages(answer)) == {message}


def test_every_api_with_a_nullable_message_is_asked() -> None:
    def nullable(fields: list[dict[str, Any]]) -> bool:
        return any(
            (one["name"] == "error_message" and "nullable" in one) or nullable(one.get("fields", [])) for one in fields
        )

    known = {one["name"] for one in schemas().values() if "response" in one and nullable(one["response"]["fields"])}
    asked = {one[0] for one in SUCCESSES} | NEVER_SUCCEED
    assert {
        one for one in known - asked if not one.startswith(("Share", "Streams")) and "ShareGroup" not in one
    } == set()


@pytest.mark.parametrize("kind", ["topic", "broker", "group"])
def test_an_empty_list_of_keys_describes_every_setting_as_null_does(room: Room, kind: str) -> None:
    number, name = {"topic": (TOPIC_CONFIG, room.topic), "broker": (BROKER_CONFIG, "1"), "group": (GROUP_CONFIG, "g")}[
        kind
    ]

    def described(keys: list[str] | None) -> list[str]:
        resource = {"resource_type": number, "resource_name": name, "configuration_keys": keys}
        found = room.ask("DescribeConfigs", 4, resources=[resource]).results[0].configs
        return [one.name for one in found]

    assert len(described(None)) > 9
    assert sorted(described([])) == sorted(described(None))
    assert described(["nonsense"]) == []


def test_null_and_empty_lists_of_topics_mean_what_they_mean_on_kafka(room: Room) -> None:
    def offsets(topics: list[Any] | None) -> list[Any]:
        group = {"group_id": room.topic, "member_id": None, "member_epoch": -1, "topics": topics}
        return room.ask("OffsetFetch", 9, groups=[group], require_stable=True).groups[0].topics  # type: ignore[no-any-return]

    partition = {"partition_index": 0, "committed_offset": 0, "committed_leader_epoch": -1, "committed_metadata": ""}
    commit = {"group_id": room.topic, "generation_id_or_member_epoch": -1, "member_id": "", "group_instance_id": None}
    room.ask("OffsetCommit", 8, **commit, topics=[{"name": room.topic, "partitions": [partition]}])
    assert [one.name for one in offsets(None)] == [room.topic]
    assert offsets([]) == []

    metadata = {"allow_auto_topic_creation": False}
    assert room.topic in {one.name for one in room.ask("Metadata", 12, topics=None, **metadata).topics}
    assert room.ask("Metadata", 12, topics=[], **metadata).topics == []

    elect = {"election_type": 0, "timeout_ms": 10_000}
    every = room.ask("ElectLeaders", 2, topic_partitions=None, **elect).replica_election_results
    assert room.topic in {one.topic for one in every}
    assert room.ask("ElectLeaders", 2, topic_partitions=[], **elect).replica_election_results == []

    assert len(room.ask("DescribeLogDirs", 4, topics=None).results[0].topics) > 0
    assert room.ask("DescribeLogDirs", 4, topics=[]).results[0].topics == []

    users: list[SimpleNamespace] = [
        room.ask("DescribeUserScramCredentials", 0, users=one) for one in (None, list[Any]())
    ]
    assert users[0].results == users[1].results


def test_partitions_without_an_assignment_are_null_not_empty(room: Room) -> None:
    def grow(assignments: list[Any] | None) -> tuple[int, str | None]:
        topic = {"name": room.topic, "count": 2, "assignments": assignments}
        (found,) = room.ask("CreatePartitions", 3, topics=[topic], timeout_ms=10_000, validate_only=True).results
        return found.error_code, found.error_message

    assert grow(None) == (0, None)
    assert grow([]) == (
        CODE["INVALID_REPLICA_ASSIGNMENT"],
        "Attempted to add 1 additional partition(s), but only 0 assignment(s) were specified.",
    )


def test_a_refused_topic_has_a_message_and_no_settings(room: Room) -> None:
    (again,) = room.ask("CreateTopics", 7, topics=[new_topic(room.topic)], timeout_ms=10_000).topics
    assert (again.error_code, again.error_message, again.configs) == (
        CODE["TOPIC_ALREADY_EXISTS"],
        f"Topic '{room.topic}' already exists.",
        [],
    )
    assert (again.num_partitions, again.replication_factor, again.topic_id) == (-1, -1, UUID(int=0))


@pytest.mark.parametrize(("protocol_type", "protocol_name"), [(None, None), ("consumer", None), (None, "range")])
def test_syncgroup_needs_the_protocol(room: Room, protocol_type: str | None, protocol_name: str | None) -> None:
    answer = room.ask(
        "SyncGroup",
        5,
        group_id=room.topic,
        generation_id=1,
        member_id="nobody",
        protocol_type=protocol_type,
        protocol_name=protocol_name,
        assignments=[],
    )
    assert answer.error_code == CODE["INCONSISTENT_GROUP_PROTOCOL"]


def test_a_quotas_entity_is_answered_in_the_order_of_its_types(room: Room) -> None:
    pair = (("user", room.topic), ("client-id", room.topic))
    (altered,) = room.ask("AlterClientQuotas", 1, entries=[quota(*pair)], validate_only=False).entries
    kinds = ["client-id", "user"]
    assert [one.entity_type for one in altered.entity] == kinds

    def described() -> list[list[str]]:
        component = {"entity_type": "user", "match_type": 0, "match": room.topic}
        found = room.ask("DescribeClientQuotas", 1, components=[component], strict=False).entries
        return [[part.entity_type for part in one.entity] for one in found]

    eventually(lambda: described() == [kinds], 10, lambda: str(described()))
    room.ask("AlterClientQuotas", 1, entries=[quota(*pair, remove=True)], validate_only=False)
