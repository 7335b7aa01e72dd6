"""The rest of administration, by bare requests: the sandbox and Apache Kafka must give the same answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from sandbox.kafka.errors import BY_CODE
from tests.clients.conftest import Kafka
from tests.clients.waiting import eventually
from tests.wire.raw_client import RawClient

pytestmark = [pytest.mark.clients, pytest.mark.timeout(60)]

CREATE_TOPICS, DELETE_RECORDS, PRODUCE_KEY, DESCRIBE_CONFIGS, INCREMENTAL_ALTER, ALTER_CONFIGS = 19, 21, 0, 32, 44, 33
ELECT, REASSIGN, LIST_REASSIGNMENTS, LOG_DIRS, ALTER_LOG_DIRS = 43, 45, 46, 35, 34
LIST_RESOURCES, TOPIC_PARTITIONS, QUORUM, FEATURES, UNREGISTER = 74, 75, 55, 57, 64
TOPIC, BROKER, LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3
TOPIC_OPERATIONS, CLUSTER_OPERATIONS = 3576, 8096

Unique = Callable[[str], str]


@pytest.fixture
def raw(kafka: Kafka) -> Iterator[RawClient]:
    client = RawClient(kafka.bootstrap)
    yield client
    client.close()


@pytest.fixture
def topic(raw: RawClient, unique: Unique) -> str:
    """A topic of three partitions."""
    return create(raw, unique("admin"))


def create(raw: RawClient, name: str, **settings: str) -> str:
    configs = [{"name": key.replace("_", "."), "value": value} for key, value in settings.items()]
    wanted = {"name": name, "num_partitions": 3, "replication_factor": 1, "configs": configs}
    answer = raw.ask(CREATE_TOPICS, 7, {"topics": [wanted], "timeout_ms": 10_000})
    assert answer.topics[0].error_code == 0
    for partition in range(3):
        eventually(
            lambda partition=partition: raw.list_offset(name, -1, partition=partition).error_code == 0,  # type: ignore[misc]
            10,
            lambda: "a partition has no leader",
        )
    return name


def named(code: int) -> str:
    """The name of an error."""
    return BY_CODE[code].name


# Records


def delete_records(raw: RawClient, topic: str, offset: int, partition: int = 0, version: int = 2) -> tuple[str, int]:
    body = {
        "topics": [{"name": topic, "partitions": [{"partition_index": partition, "offset": offset}]}],
        "timeout_ms": 10_000,
    }
    answer = raw.ask(DELETE_RECORDS, version, body).topics[0].partitions[0]
    return named(answer.error_code), answer.low_watermark


@pytest.mark.parametrize("version", [0, 1, 2])
def test_records_are_deleted_below_an_offset(raw: RawClient, topic: str, version: int) -> None:
    raw.produce(topic, [(index, 1_700_000_000_000 + index, None, b"x", ()) for index in range(10)])
    assert delete_records(raw, topic, 4, version=version) == ("NONE", 4)
    assert delete_records(raw, topic, 2, version=version) == ("NONE", 4), "a log start offset never falls"
    assert raw.list_offset(topic, -2).offset == 4
    assert named(raw.fetch(topic, 3).error_code) == "OFFSET_OUT_OF_RANGE"
    assert delete_records(raw, topic, -1, version=version) == ("NONE", 10)
    assert raw.list_offset(topic, -1).offset == 10


def test_deleting_records_is_refused_where_there_are_none_such(raw: RawClient, topic: str, unique: Unique) -> None:
    assert delete_records(raw, topic, 1) == ("OFFSET_OUT_OF_RANGE", -1)
    assert delete_records(raw, topic, -2) == ("OFFSET_OUT_OF_RANGE", -1)
    assert delete_records(raw, topic, 0, partition=9) == ("UNKNOWN_TOPIC_OR_PARTITION", -1)
    assert delete_records(raw, unique("none"), 0) == ("UNKNOWN_TOPIC_OR_PARTITION", -1)
    compacted = create(raw, unique("compacted"), cleanup_policy="compact")
    assert delete_records(raw, compacted, -1) == ("POLICY_VIOLATION", -1)
    both = create(raw, unique("both"), cleanup_policy="compact,delete")
    assert delete_records(raw, both, -1) == ("NONE", 0)


# Partitions and log directories


def test_log_directories_tell_the_size_of_each_partition(raw: RawClient, topic: str) -> None:
    raw.produce(topic, [(0, 1_700_000_000_000, b"key", b"x" * 1000, ())], partition=1)
    body = {"topics": [{"topic": topic, "partitions": [1, 2, 9]}]}
    for version in (1, 2, 3, 4):
        eventually(
            lambda version=version: sizes(raw.ask(LOG_DIRS, version, body)) == {1: 1073, 2: 0},  # type: ignore[misc]
            10,
            lambda: "not every partition has its log",
        )
        answer = raw.ask(LOG_DIRS, version, body)
        (directory,) = answer.results
        assert (answer.error_code, directory.error_code, directory.log_dir != "") == (0, 0, True)
        assert (directory.total_bytes > 0) == (version >= 4)
    assert raw.ask(LOG_DIRS, 4, {"topics": []}).results[0].topics == []


def sizes(answer: SimpleNamespace) -> dict[int, int]:
    return {one.partition_index: one.partition_size for topic in answer.results[0].topics for one in topic.partitions}


def test_a_replica_can_only_go_to_a_log_directory_that_there_is(raw: RawClient, topic: str) -> None:
    own = raw.ask(LOG_DIRS, 4, {"topics": []}).results[0].log_dir

    def codes(path: str) -> dict[int, str]:
        body = {"dirs": [{"path": path, "topics": [{"name": topic, "partitions": [0, 9]}]}]}
        (found,) = raw.ask(ALTER_LOG_DIRS, 2, body).results
        return {one.partition_index: named(one.error_code) for one in found.partitions}

    assert codes("/nowhere") == {0: "LOG_DIR_NOT_FOUND", 9: "LOG_DIR_NOT_FOUND"}
    assert codes(own) == {0: "NONE", 9: "UNKNOWN_TOPIC_OR_PARTITION"}


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("version", [0, 1, 2])
def test_no_leader_needs_to_be_elected(raw: RawClient, topic: str, kind: int, version: int) -> None:
    wanted = [{"topic": topic, "partitions": [0, 9]}, {"topic": "none-" + topic, "partitions": [0]}]
    body = {"election_type": kind, "topic_partitions": wanted, "timeout_ms": 10_000}
    answer = raw.ask(ELECT, version, body)
    found = {one.topic: one.partition_result for one in answer.replica_election_results}
    assert answer.error_code == 0
    assert [(named(one.error_code), one.error_message) for one in found[topic]] == [
        ("ELECTION_NOT_NEEDED", "Leader election not needed for topic partition."),
        ("UNKNOWN_TOPIC_OR_PARTITION", f"No such partition as {topic}-9"),
    ]
    assert [one.error_message for one in found["none-" + topic]] == [f"No such topic as none-{topic}"]


def test_an_election_of_all_leaders_names_none_that_needs_none(raw: RawClient, topic: str) -> None:
    answer = raw.ask(ELECT, 2, {"election_type": 0, "topic_partitions": None, "timeout_ms": 10_000})
    assert {one.topic: one.partition_result for one in answer.replica_election_results}[topic] == []
    unknown = raw.ask(
        ELECT, 2, {"election_type": 5, "topic_partitions": [{"topic": topic, "partitions": [0]}], "timeout_ms": 10_000}
    )
    assert named(unknown.error_code) == "INVALID_REQUEST"


def reassign(raw: RawClient, topic: str, replicas: list[int] | None, partition: int = 0) -> tuple[str, str | None]:
    body = {
        "timeout_ms": 10_000,
        "topics": [{"name": topic, "partitions": [{"partition_index": partition, "replicas": replicas}]}],
    }
    answer = raw.ask(REASSIGN, 1, body)
    assert answer.error_code == 0
    (found,) = answer.responses[0].partitions
    return named(found.error_code), found.error_message


def test_a_partition_is_reassigned_to_brokers_that_there_are(raw: RawClient, topic: str, unique: Unique) -> None:
    start = "The manual partition assignment includes"
    unknown = f"{start} broker 7, but no such broker is registered."
    assert reassign(raw, topic, [1]) == ("NONE", None)
    assert reassign(raw, topic, [7]) == ("INVALID_REPLICA_ASSIGNMENT", unknown)
    assert reassign(raw, topic, [1, 7]) == ("INVALID_REPLICA_ASSIGNMENT", unknown)
    assert reassign(raw, topic, []) == ("INVALID_REPLICA_ASSIGNMENT", f"{start} an empty replica list.")
    twice = f"{start} the broker 1 more than once."
    assert reassign(raw, topic, [1, 1]) == ("INVALID_REPLICA_ASSIGNMENT", twice)
    assert reassign(raw, topic, None)[0] == "NO_REASSIGNMENT_IN_PROGRESS"
    assert reassign(raw, topic, [1], partition=9)[0] == "UNKNOWN_TOPIC_OR_PARTITION"
    assert reassign(raw, unique("none"), [1])[0] == "UNKNOWN_TOPIC_OR_PARTITION"
    for topics in (None, [], [{"name": topic, "partition_indexes": [0]}]):
        answer = raw.ask(LIST_REASSIGNMENTS, 0, {"timeout_ms": 10_000, "topics": topics})
        assert (answer.error_code, answer.topics) == (0, [])


def page(raw: RawClient, names: list[str], limit: int, cursor: tuple[str, int] | None = None) -> SimpleNamespace:
    at = None if cursor is None else {"topic_name": cursor[0], "partition_index": cursor[1]}
    return raw.ask(
        TOPIC_PARTITIONS,
        0,
        {"topics": [{"name": name} for name in names], "response_partition_limit": limit, "cursor": at},
    )


def test_topics_are_described_page_by_page(raw: RawClient, unique: Unique) -> None:
    start = unique("paged")
    names = [create(raw, f"{start}-{letter}") for letter in "ab"]
    found: list[tuple[str, int]] = []
    cursor: tuple[str, int] | None = None
    pages = 0
    while pages == 0 or cursor is not None:
        answer = page(raw, names, 2, cursor)
        found += [(one.name, partition.partition_index) for one in answer.topics for partition in one.partitions]
        after = answer.next_cursor
        cursor = None if after is None else (after.topic_name, after.partition_index)
        pages += 1
    assert found == [(name, partition) for name in names for partition in range(3)]
    assert pages == 3


def test_a_described_topic_names_its_leaders_and_replicas(raw: RawClient, topic: str) -> None:
    (found,) = page(raw, [topic], 2000).topics
    (first, *_) = found.partitions
    assert (found.error_code, found.topic_id != UUID(int=0), found.is_internal) == (0, True, False)
    assert found.topic_authorized_operations == TOPIC_OPERATIONS
    assert (first.leader_id, first.replica_nodes, first.isr_nodes, first.offline_replicas) == (1, [1], [1], [])
    assert (first.eligible_leader_replicas, first.last_known_elr) == ([], [])


def test_topics_that_cannot_be_described_say_why(raw: RawClient, topic: str) -> None:
    missing = "0-none-" + topic
    answer = page(raw, [topic, missing, "bad name"], 2000)
    assert [(one.name, named(one.error_code)) for one in answer.topics] == [
        (missing, "UNKNOWN_TOPIC_OR_PARTITION"),
        (topic, "NONE"),
        ("bad name", "INVALID_TOPIC_EXCEPTION"),
    ]
    assert [named(one.error_code) for one in page(raw, [topic], 2, (topic, -1)).topics] == ["INVALID_REQUEST"]
    assert [named(one.error_code) for one in page(raw, [topic], 2, ("zz" + topic, 0)).topics] == ["INVALID_REQUEST"]
    assert page(raw, [topic], 2, (topic, 8)).topics[0].partitions == []
    assert len(page(raw, [topic], 0).topics[0].partitions) == 1


# What is off


def test_without_an_authorizer_acls_are_security_disabled(raw: RawClient) -> None:
    operation = {"operation": 3, "permission_type": 3}
    creation = {"resource_type": 2, "resource_name": "t", "principal": "User:a", "host": "*"} | operation
    for version in (1, 2, 3):
        described = raw.ask(29, version, {"resource_type_filter": 1, "operation": 1, "permission_type": 1})
        assert (named(described.error_code), described.resources) == ("SECURITY_DISABLED", [])
        created = raw.ask(30, version, {"creations": [creation] * 2})
        assert [named(one.error_code) for one in created.results] == ["SECURITY_DISABLED"] * 2
        deleted = raw.ask(31, version, {"filters": [{"resource_type_filter": 2, "operation": 1, "permission_type": 1}]})
        assert [named(one.error_code) for one in deleted.filter_results] == ["SECURITY_DISABLED"]


@pytest.mark.parametrize(
    ("key", "versions", "body"),
    [
        (38, (1, 2, 3), {"renewers": [], "max_lifetime_ms": -1}),
        (39, (1, 2), {"hmac": b"x", "renew_period_ms": 1}),
        (40, (1, 2), {"hmac": b"x", "expiry_time_period_ms": 1}),
        (41, (1, 2, 3), {"owners": None}),
    ],
)
def test_delegation_tokens_are_refused_without_authentication(
    raw: RawClient, key: int, versions: tuple[int, ...], body: Mapping[str, Any]
) -> None:
    for version in versions:
        assert named(raw.ask(key, version, body).error_code) == "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED"


def test_a_listener_without_sasl_refuses_handshakes(kafka: Kafka) -> None:
    for key, version, body in ((17, 0, {"mechanism": "PLAIN"}), (17, 1, {"mechanism": "x"}), (36, 2, {})):
        raw = RawClient(kafka.bootstrap)
        assert named(raw.ask(key, version, {"auth_bytes": b"x"} if key == 36 else body).error_code) == (
            "ILLEGAL_SASL_STATE"
        )
        raw.close()


def test_the_quorum_has_the_broker_as_its_voter(raw: RawClient) -> None:
    body = {"topics": [{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 0}]}]}
    answer = raw.ask(QUORUM, 2, body)
    (found,) = answer.topics[0].partitions
    assert (answer.error_code, found.error_code, found.leader_id) == (0, 0, 1)
    assert [voter.replica_id for voter in found.current_voters] == [1]
    assert found.observers == []
    assert [node.node_id for node in answer.nodes] == [1]
    other = {"topics": [{"topic_name": "orders", "partitions": [{"partition_index": 0}]}]}
    assert named(raw.ask(QUORUM, 2, other).topics[0].partitions[0].error_code) == "UNKNOWN_TOPIC_OR_PARTITION"


def update(raw: RawClient, feature: str, level: int, kind: int = 1, version: int = 2) -> tuple[str, int]:
    updates = [{"feature": feature, "max_version_level": level, "upgrade_type": kind}]
    body = {"timeout_ms": 10_000, "feature_updates": updates, "validate_only": True}
    answer = raw.ask(FEATURES, version, body)
    return named(answer.error_code), len(answer.results)


def test_features_stay_at_their_level(raw: RawClient) -> None:
    assert update(raw, "transaction.version", 2) == ("NONE", 0)
    assert update(raw, "transaction.version", 2, version=1) == ("NONE", 1)
    assert update(raw, "transaction.version", 99) == ("INVALID_UPDATE_VERSION", 0)
    assert update(raw, "transaction.version", 0) == ("INVALID_UPDATE_VERSION", 0)
    assert update(raw, "transaction.version", 2, kind=9) == ("INVALID_UPDATE_VERSION", 0)
    assert update(raw, "nonsense", 1) == ("INVALID_UPDATE_VERSION", 0)


def test_a_broker_that_there_is_not_cannot_be_unregistered(raw: RawClient) -> None:
    answer = raw.ask(UNREGISTER, 0, {"broker_id": 7})
    assert (named(answer.error_code), answer.error_message) == (
        "BROKER_ID_NOT_REGISTERED",
        "Broker ID 7 is not currently registered",
    )


def test_the_voters_of_the_quorum_are_fixed(raw: RawClient) -> None:
    removed = raw.ask(81, 0, {"cluster_id": None, "voter_id": 2, "voter_directory_id": UUID(int=5)})
    assert named(removed.error_code) == "UNSUPPORTED_VERSION"
    voter = {"cluster_id": "other", "timeout_ms": 1000, "voter_id": 2, "voter_directory_id": UUID(int=5)}
    assert named(raw.ask(80, 0, voter | {"listeners": []}).error_code) == "INCONSISTENT_CLUSTER_ID"


def test_telemetry_is_not_offered(raw: RawClient) -> None:
    offered = {api.api_key for api in raw.api_versions().api_keys}
    assert not offered & {71, 72}, (
        "a broker without a telemetry plugin offers neither (KIP-714): see Non-goals in docs/design.md"
    )


def test_authorized_operations_are_all_that_there_are(raw: RawClient, topic: str) -> None:
    cluster = raw.ask(60, 1, {"include_cluster_authorized_operations": True, "endpoint_type": 1})
    assert cluster.cluster_authorized_operations == CLUSTER_OPERATIONS
    described = raw.ask(3, 12, {"topics": [{"name": topic}], "include_topic_authorized_operations": True})
    assert described.topics[0].topic_authorized_operations == TOPIC_OPERATIONS
    plain = raw.ask(3, 12, {"topics": [{"name": topic}]})
    assert plain.topics[0].topic_authorized_operations == -(2**31)
    controllers = raw.ask(60, 1, {"endpoint_type": 2})
    assert named(controllers.error_code) == "MISMATCHED_ENDPOINT_TYPE"
