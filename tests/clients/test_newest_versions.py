"""The newest versions of requests that Kafka 4.4 brought, as single requests, on both brokers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from sandbox.kafka.errors import BY_CODE
from sandbox.wire.api_table import advertised
from sandbox.wire.apis.features import FEATURES
from tests.clients.conftest import Kafka
from tests.clients.raw_requests import RawClient
from tests.clients.transaction_requests import Teller
from tests.clients.waiting import eventually

pytestmark = [pytest.mark.clients, pytest.mark.timeout(90)]


@pytest.mark.parametrize(
    ("version", "timestamp", "error"),
    [(11, -6, "NONE"), (11, -5, "NONE"), (10, -6, "UNSUPPORTED_VERSION"), (11, -7, "UNSUPPORTED_VERSION")],
)
def test_offsets_of_tiered_storage_do_not_exist(
    kafka: Kafka, unique: Callable[[str], str], version: int, timestamp: int, error: str
) -> None:
    topic = unique("tiered")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 1)])[topic].result()
    wanted = {"name": topic, "partitions": [{"partition_index": 0, "timestamp": timestamp}]}

    def answer() -> tuple[str, int]:
        asked = {"replica_id": -1, "topics": [wanted], "timeout_ms": 1000}
        with RawClient(kafka.bootstrap) as raw:
            (found,) = raw.ask("ListOffsets", version, **asked).topics[0].partitions
        return BY_CODE[found.error_code].name, found.offset

    # A broker may learn of a new topic a moment after its creation was answered.
    eventually(lambda: answer()[0] != "UNKNOWN_TOPIC_OR_PARTITION", 20, lambda: f"the topic is unknown: {answer()}")
    assert answer() == (error, -1)


def test_transaction_markers_carry_a_transaction_version(kafka: Kafka, unique: Callable[[str], str]) -> None:
    topics = [{"name": unique("nowhere"), "partition_indexes": [0]}]
    marker = {"producer_id": 999_999, "producer_epoch": 0, "transaction_result": False, "topics": topics}
    with RawClient(kafka.bootstrap) as raw:
        answer = raw.ask("WriteTxnMarkers", 2, markers=[{**marker, "coordinator_epoch": 0, "transaction_version": 2}])
    assert BY_CODE[answer.markers[0].topics[0].partitions[0].error_code].name == "UNKNOWN_TOPIC_OR_PARTITION"


@pytest.mark.parametrize(
    ("own_cluster", "node", "error"),
    [
        (None, -1, "NONE"),
        (True, 1, "NONE"),
        (True, -1, "INVALID_REQUEST"),
        (None, 1, "INVALID_REQUEST"),
        (False, 1, "REBOOTSTRAP_REQUIRED"),
        (True, 2, "REBOOTSTRAP_REQUIRED"),
    ],
)
def test_a_client_that_expects_another_broker_must_bootstrap_again(
    kafka: Kafka, own_cluster: bool | None, node: int, error: str
) -> None:
    with RawClient(kafka.bootstrap) as raw:
        own = raw.ask("Metadata", 13, topics=[]).cluster_id
        expected = None if own_cluster is None else own if own_cluster else "another"
        software = {"client_software_name": "raw", "client_software_version": "1"}
        answer = raw.ask("ApiVersions", 5, cluster_id=expected, node_id=node, **software)
    assert BY_CODE[answer.error_code].name == error
    assert bool(answer.api_keys) == (error == "NONE")


BETWEEN_BROKERS = set(range(83, 88))


def test_every_api_and_feature_has_apache_kafkas_versions(kafka: Kafka) -> None:
    with RawClient(kafka.bootstrap) as raw:
        answers = {
            version: raw.ask("ApiVersions", version, client_software_name="raw", client_software_version="1")
            for version in (3, 4)
        }
    offered = {one.api_key: (one.min_version, one.max_version) for one in answers[4].api_keys}
    ours = {one["api_key"]: (one["min_version"], one["max_version"]) for one in advertised()}
    assert {key: span for key, span in offered.items() if key not in BETWEEN_BROKERS} == ours
    supported = {one.name: (one.min_version, one.max_version) for one in answers[4].supported_features}
    assert supported == {one.name: (one.first, one.last) for one in FEATURES}
    assert [one.name for one in answers[3].supported_features] == ["metadata.version"], (
        "a lowest version of 0 is left out"
    )
    levels = {one.name: one.max_version_level for one in answers[4].finalized_features}
    assert levels == {one.name: one.level for one in FEATURES if one.level}


def test_a_controller_that_there_is_not_cannot_be_unregistered(kafka: Kafka) -> None:
    with RawClient(kafka.bootstrap) as raw:
        itself, other = (raw.ask("UnregisterController", 0, controller_id=one) for one in (1, 77))
    assert (BY_CODE[itself.error_code].name, itself.error_message) == (
        "INVALID_REQUEST",
        "Controller cannot unregister itself while it is active.",
    )
    assert (BY_CODE[other.error_code].name, other.error_message) == (
        "CONTROLLER_ID_NOT_REGISTERED",
        "Controller ID 77 is not currently registered.",
    )


def test_deleted_groups_have_room_for_a_message(kafka: Kafka, unique: Callable[[str], str]) -> None:
    with RawClient(kafka.bootstrap) as raw:
        (found,) = raw.ask("DeleteGroups", 3, groups_names=[unique("nobody")]).results
    assert (BY_CODE[found.error_code].name, found.error_message) == ("GROUP_ID_NOT_FOUND", None)


def test_offsets_in_a_transaction_name_topics_by_id(kafka: Kafka, unique: Callable[[str], str]) -> None:
    topic, group = unique("by-id"), unique("by-id")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 1)])[topic].result()
    with RawClient(kafka.bootstrap) as raw:
        topic_id = raw.ask("Metadata", 13, topics=[{"name": topic}]).topics[0].topic_id
        teller = Teller(raw, topic, unique("by-id"))
        teller.find_coordinator(teller.name, 1)
        teller.init()
        assert teller.stage(group, 7, version=6, topic_id=topic_id) == "NONE"
        assert teller.stage(group, 7, version=6, topic_id=UUID(int=7)) == "UNKNOWN_TOPIC_ID"
        stale = {"topic_id": topic_id, "generation_id_or_member_epoch": 5, "member_id": "m"}
        assert teller.stage(unique("nobody"), 7, version=6, **stale) == "GROUP_ID_NOT_FOUND"
        assert teller.stage(unique("nobody"), 7, version=5, **stale) == "ILLEGAL_GENERATION"


def texts(answer: object) -> list[str | None]:
    """Every error message in an answer."""
    found = []
    for name, value in vars(answer).items():
        if name == "error_message":
            found.append(value)
        for one in value if isinstance(value, list) else ():
            found += texts(one) if hasattr(one, "__dict__") else []
    return found


NO_TOPIC = "This server does not host this topic-partition."
BROKER_CONFIG, SET = 4, 0


@pytest.mark.parametrize(
    ("api", "version", "fields", "text"),
    [
        ("DeleteTopics", 6, {"topics": [{"name": "nowhere"}]}, NO_TOPIC),
        (
            "DeleteTopics",
            6,
            {"topics": [{"name": None, "topic_id": UUID(int=7)}]},
            "This server does not host this topic ID.",
        ),
        ("DescribeProducers", 0, {"topics": [{"name": "nowhere", "partition_indexes": [0]}]}, NO_TOPIC),
        ("CreatePartitions", 3, {"topics": [{"name": "nowhere", "count": 2}]}, None),
        (
            "CreateTopics",
            7,
            {"topics": [{"name": "nowhere", "num_partitions": 1, "replication_factor": 3}]},
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because "
            "only 1 broker(s) are registered or some brokers have all their log directories cordoned.",
        ),
        (
            "IncrementalAlterConfigs",
            1,
            {
                "resources": [
                    {
                        "resource_type": BROKER_CONFIG,
                        "resource_name": "1",
                        "configs": [{"name": "log.dirs", "config_operation": SET, "value": "/elsewhere"}],
                    }
                ]
            },
            "Cannot update these configs dynamically: [log.dirs]",
        ),
        ("ConsumerGroupDescribe", 1, {"group_ids": ["nobody"]}, "Group nobody not found."),
        ("DescribeGroups", 6, {"groups": ["nobody"]}, "Group nobody not found."),
    ],
)
def test_errors_have_the_texts_that_kafkas_tools_print(
    kafka: Kafka, api: str, version: int, fields: dict[str, Any], text: str | None
) -> None:
    with RawClient(kafka.bootstrap) as raw:
        waits = {"timeout_ms": 10_000} if api in ("DeleteTopics", "CreatePartitions", "CreateTopics") else {}
        assert texts(raw.ask(api, version, **fields, **waits)) == [text]
