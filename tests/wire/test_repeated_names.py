"""Requests that name the same thing many times, or many things: the answer's size and the work follow the request's."""

from typing import Any

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BY_CODE
from tests.wire.raw_client import CREATE_TOPICS, METADATA, RawClient, rows

TIMES = 20_000
OFFSET_COMMIT, OFFSET_FETCH, DESCRIBE_GROUPS, DESCRIBE_CONFIGS, DESCRIBE_PRODUCERS = 8, 9, 15, 32, 61
DESCRIBE_USERS, ALTER_USERS, DESCRIBE_TRANSACTIONS, CONSUMER_GROUPS = 50, 51, 65, 69
ALL_OFFSETS = {"group_id": "readers", "member_id": None, "member_epoch": -1, "topics": None}
TOPIC_CONFIG = {"resource_type": 2, "resource_name": "orders", "configuration_keys": None}


@pytest.mark.parametrize(
    ("key", "version", "field", "named", "answered"),
    [
        (METADATA, 9, "topics", {"name": "orders"}, "topics"),
        (OFFSET_FETCH, 9, "groups", ALL_OFFSETS, "groups"),
        (DESCRIBE_GROUPS, 5, "groups", "readers", "groups"),
        (DESCRIBE_CONFIGS, 4, "resources", TOPIC_CONFIG, "results"),
        (DESCRIBE_PRODUCERS, 0, "topics", {"name": "orders", "partition_indexes": [0, 0, 1]}, "topics"),
        (DESCRIBE_TRANSACTIONS, 0, "transactional_ids", "pay", "transaction_states"),
        (CONSUMER_GROUPS, 1, "group_ids", "readers", "groups"),
    ],
)
@pytest.mark.timeout(60)
def test_what_is_named_many_times_is_described_once(
    served: Sandbox, client: RawClient, key: int, version: int, field: str, named: Any, answered: str
) -> None:
    served.create_topic("orders", partitions=100)
    client.produce("orders", rows(b"1"), producer_id=7, producer_epoch=0, base_sequence=0)
    answer = client.ask(key, version, {field: [named] * TIMES})
    assert len(getattr(answer, answered)) == 1


def test_a_producer_is_named_once_per_partition(served: Sandbox, client: RawClient) -> None:
    served.create_topic("orders", partitions=2)
    topics = [{"name": "orders", "partition_indexes": indexes} for indexes in ([0, 1], [1], [1, 0])]
    (found,) = client.ask(DESCRIBE_PRODUCERS, 0, {"topics": topics}).topics
    assert [one.partition_index for one in found.partitions] == [0, 1]


def test_offsets_that_are_asked_for_by_topic_are_all_answered(served: Sandbox, client: RawClient) -> None:
    groups = [{**ALL_OFFSETS, "topics": [{"name": name, "partition_indexes": [0]}]} for name in ("a", "b")]
    answer = client.ask(OFFSET_FETCH, 9, {"groups": groups})
    assert [topic.name for group in answer.groups for topic in group.topics] == ["a", "b"]


@pytest.mark.timeout(60)
def test_many_topics_are_compared_once_each(served: Sandbox, client: RawClient) -> None:
    client.socket.settimeout(60)
    topic: dict[str, Any] = {"num_partitions": 1, "replication_factor": 1, "assignments": [], "configs": []}
    topics = [topic | {"name": f"{number}/"} for number in range(TIMES * 5)] + [topic | {"name": "twice"}] * 2
    answer = client.ask(CREATE_TOPICS, 5, {"topics": topics, "timeout_ms": 1, "validate_only": True})
    assert {BY_CODE[one.error_code].name for one in answer.topics[:-2]} == {"INVALID_TOPIC_EXCEPTION"}
    assert [one.error_message for one in answer.topics[-2:]] == ["Duplicate topic name."] * 2


@pytest.mark.timeout(60)
def test_many_users_are_compared_once_each(served: Sandbox, client: RawClient) -> None:
    client.socket.settimeout(60)
    users = [f"user-{number}" for number in range(TIMES)]
    deletions = [{"name": user, "mechanism": 1} for user in users]
    altered = client.ask(ALTER_USERS, 0, {"deletions": deletions, "upsertions": []})
    assert [(one.user, BY_CODE[one.error_code].name) for one in altered.results] == [
        (user, "RESOURCE_NOT_FOUND") for user in users
    ]
    found = client.ask(DESCRIBE_USERS, 0, {"users": [{"name": user} for user in [*users, users[0]]]})
    assert [BY_CODE[one.error_code].name for one in found.results[:2]] == ["DUPLICATE_RESOURCE", "RESOURCE_NOT_FOUND"]
