"""Streams groups, on the sandbox and on an Apache Kafka without them: clients get an error."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.kafka.errors import BY_CODE
from tests.clients.conftest import Kafka
from tests.clients.raw_requests import RawClient

pytestmark = [pytest.mark.clients, pytest.mark.timeout(60)]

MEMBER = "AAAAAAAAAAAAAAAAAAAAAA"
GROUP_CONFIG, SET, DELETE = 32, 0, 1
REQUESTS: tuple[tuple[str, int, dict[str, Any]], ...] = (
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


def test_the_feature_is_not_in_effect(raw: RawClient) -> None:
    answer = raw.ask("ApiVersions", 3, client_software_name="raw", client_software_version="1")
    assert "streams.version" not in {one.name for one in answer.finalized_features}


def alter(raw: RawClient, group: str, name: str, operation: int, value: str | None) -> SimpleNamespace:
    config = {"name": name, "config_operation": operation, "value": value}
    resource = {"resource_type": GROUP_CONFIG, "resource_name": group, "configs": [config]}
    (found,) = raw.ask("IncrementalAlterConfigs", 1, resources=[resource]).responses
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("streams.num.standby.replicas", "-1"),
        ("streams.session.timeout.ms", "1"),
    ],
)
def test_an_invalid_setting_of_such_a_group_is_refused(raw: RawClient, name: str, value: str) -> None:
    assert BY_CODE[alter(raw, "left-out", name, SET, value).error_code].name == "INVALID_CONFIG"


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
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
