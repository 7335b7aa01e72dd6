"""Share groups and streams groups, on the sandbox and on an Apache Kafka without them: clients get an error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, ShareConsumer

from sandbox.kafka.errors import BY_CODE
from tests.clients.conftest import Kafka
from tests.clients.raw_requests import RawClient

pytestmark = [pytest.mark.clients, pytest.mark.timeout(60)]

MEMBER = "AAAAAAAAAAAAAAAAAAAAAA"
GROUP_CONFIG, SET, DELETE = 32, 0, 1
REQUESTS: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("ShareGroupHeartbeat", 1, {"group_id": "g", "member_id": MEMBER, "subscribed_topic_names": ["t"]}),
    ("ShareGroupDescribe", 1, {"group_ids": ["g"]}),
    ("ShareFetch", 1, {"group_id": "g", "member_id": MEMBER, "batch_size": 1, "max_records": 1}),
    ("ShareFetch", 2, {"group_id": "g", "member_id": MEMBER, "batch_size": 1, "max_records": 1}),
    ("ShareAcknowledge", 1, {"group_id": "g", "member_id": MEMBER, "share_session_epoch": 1}),
    ("ShareAcknowledge", 2, {"group_id": "g", "member_id": MEMBER, "share_session_epoch": 1}),
    ("DescribeShareGroupOffsets", 0, {"groups": [{"group_id": "g", "topics": None}]}),
    ("AlterShareGroupOffsets", 0, {"group_id": "g"}),
    ("DeleteShareGroupOffsets", 0, {"group_id": "g"}),
    ("StreamsGroupHeartbeat", 0, {"group_id": "g", "member_id": MEMBER, "rebalance_timeout_ms": 1000}),
    ("StreamsGroupDescribe", 0, {"group_ids": ["g"]}),
)


@pytest.fixture
def raw(kafka: Kafka) -> Iterator[RawClient]:
    with RawClient(kafka.bootstrap) as found:
        yield found


@pytest.mark.parametrize(("api", "version", "fields"), REQUESTS, ids=[f"{one[0]}-{one[1]}" for one in REQUESTS])
def test_every_api_is_announced_and_refused(raw: RawClient, api: str, version: int, fields: dict[str, Any]) -> None:
    answer = raw.ask(api, version, **fields)
    (found,) = answer.groups if hasattr(answer, "groups") else (answer,)
    assert BY_CODE[found.error_code].name == "UNSUPPORTED_VERSION"


def test_neither_feature_is_in_effect(raw: RawClient) -> None:
    answer = raw.ask("ApiVersions", 3, client_software_name="raw", client_software_version="1")
    assert {"share.version", "streams.version"} & {one.name for one in answer.finalized_features} == set()


def test_a_share_consumer_gets_an_error_instead_of_silence(kafka: Kafka, unique: Callable[[str], str]) -> None:
    consumer = ShareConsumer({"bootstrap.servers": kafka.bootstrap, "group.id": unique("share")})
    consumer.subscribe([unique("topic")])
    with pytest.raises(KafkaException) as refused:
        _poll(consumer, within_s=30)
    assert (refused.value.args[0].code(), refused.value.args[0].fatal()) == (KafkaError.UNSUPPORTED_VERSION, True)
    consumer.close()


def _poll(consumer: ShareConsumer, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        consumer.poll(0.5)


def alter(raw: RawClient, group: str, name: str, operation: int, value: str | None) -> SimpleNamespace:
    config = {"name": name, "config_operation": operation, "value": value}
    resource = {"resource_type": GROUP_CONFIG, "resource_name": group, "configs": [config]}
    (found,) = raw.ask("IncrementalAlterConfigs", 1, resources=[resource]).responses
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("share.auto.offset.reset", "never"),
        ("share.isolation.level", "never"),
        ("share.session.timeout.ms", "x"),
        ("share.record.lock.duration.ms", "1"),
        ("streams.num.standby.replicas", "-1"),
        ("streams.session.timeout.ms", "1"),
    ],
)
def test_an_invalid_setting_of_such_a_group_is_refused(raw: RawClient, name: str, value: str) -> None:
    assert BY_CODE[alter(raw, "left-out", name, SET, value).error_code].name == "INVALID_CONFIG"


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("share.auto.offset.reset", "earliest", "share"),
        ("share.isolation.level", "read_committed", "share"),
        ("share.session.timeout.ms", "45000", "share"),
        ("errors.deadletterqueue.topic.name", "dlq.orders", "share"),
        ("streams.num.standby.replicas", "1", "streams"),
        ("streams.session.timeout.ms", "45000", "streams"),
    ],
)
def test_the_sandbox_refuses_every_setting_that_nothing_would_come_of(
    kafka: Kafka, raw: RawClient, name: str, value: str, kind: str
) -> None:
    if kafka.name != "sandbox":
        pytest.skip("Apache Kafka stores them for the day on which the feature is switched on")
    refused = alter(raw, "left-out", name, SET, value)
    assert BY_CODE[refused.error_code].name == "INVALID_CONFIG"
    assert refused.error_message == (
        f"{name} cannot be set: this broker has no {kind} groups, the {kind}.version feature is 0."
    )
    assert alter(raw, "left-out", name, DELETE, None).error_code == 0, "what an older version stored can be removed"
