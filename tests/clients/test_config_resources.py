"""The settings of topics, brokers, groups and client metrics, by bare requests: as Apache Kafka has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from sandbox.kafka.errors import BY_CODE
from tests.clients.conftest import Kafka
from tests.clients.waiting import eventually
from tests.wire.raw_client import RawClient

pytestmark = [pytest.mark.clients, pytest.mark.timeout(60)]

DESCRIBE_CONFIGS, ALTER_CONFIGS, INCREMENTAL_ALTER, LIST_RESOURCES = 32, 33, 44, 74
TOPIC, BROKER, LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3
BROKER_CONFIG, DEFAULT_BROKER_CONFIG, DEFAULT_CONFIG, CLIENT_METRICS_CONFIG, GROUP_CONFIG = 2, 3, 5, 7, 8

Unique = Callable[[str], str]


@pytest.fixture
def raw(kafka: Kafka) -> Iterator[RawClient]:
    client = RawClient(kafka.bootstrap)
    yield client
    client.close()


@pytest.fixture
def topic(raw: RawClient, unique: Unique) -> str:
    name = unique("settings")
    body = {"topics": [{"name": name, "num_partitions": 1, "replication_factor": 1}], "timeout_ms": 10_000}
    assert raw.ask(19, 7, body).topics[0].error_code == 0
    eventually(lambda: raw.list_offset(name, -1).error_code == 0, 10, lambda: "the topic has no leader")
    return name


def describe(raw: RawClient, kind: int, name: str, *keys: str, synonyms: bool = True) -> SimpleNamespace:
    resource = {"resource_type": kind, "resource_name": name, "configuration_keys": list(keys) or None}
    body = {"resources": [resource], "include_synonyms": synonyms, "include_documentation": True}
    answer: SimpleNamespace = raw.ask(DESCRIBE_CONFIGS, 4, body).results[0]
    return answer


def value_of(raw: RawClient, kind: int, name: str, key: str) -> tuple[str | None, int]:
    """The value in effect, and where it comes from."""
    (found,) = describe(raw, kind, name, key).configs
    return found.value, found.config_source


def alter(raw: RawClient, kind: int, name: str, *changes: tuple[str, int, str | None], check: bool = False) -> str:
    configs = [{"name": key, "config_operation": operation, "value": value} for key, operation, value in changes]
    resource = {"resource_type": kind, "resource_name": name, "configs": configs}
    (answer,) = raw.ask(INCREMENTAL_ALTER, 1, {"resources": [resource], "validate_only": check}).responses
    return BY_CODE[answer.error_code].name


def replace(raw: RawClient, kind: int, name: str, **settings: str | None) -> str:
    configs = [{"name": key.replace("_", "."), "value": value} for key, value in settings.items()]
    resource = {"resource_type": kind, "resource_name": name, "configs": configs}
    (answer,) = raw.ask(ALTER_CONFIGS, 2, {"resources": [resource], "validate_only": False}).responses
    return BY_CODE[answer.error_code].name


def settle(raw: RawClient, kind: int, name: str, key: str, wanted: tuple[str | None, int]) -> None:
    eventually(
        lambda: value_of(raw, kind, name, key) == wanted, 10, lambda: f"{key} is {value_of(raw, kind, name, key)}"
    )


def test_a_setting_altered_for_all_brokers_gives_topics_their_default(raw: RawClient, topic: str) -> None:
    key = "log.message.timestamp.after.max.ms"
    try:
        assert alter(raw, BROKER, "", (key, SET, "1000")) == "NONE"
        settle(raw, BROKER, "1", key, ("1000", DEFAULT_BROKER_CONFIG))
        settle(raw, TOPIC, topic, "message.timestamp.after.max.ms", ("1000", DEFAULT_BROKER_CONFIG))
        assert alter(raw, BROKER, "1", (key, SET, "2000")) == "NONE"
        settle(raw, BROKER, "1", key, ("2000", BROKER_CONFIG))
        settle(raw, TOPIC, topic, "message.timestamp.after.max.ms", ("2000", BROKER_CONFIG))
        (found,) = describe(raw, BROKER, "1", key).configs
        assert [(one.value, one.source) for one in found.synonyms] == [
            ("2000", BROKER_CONFIG),
            ("1000", DEFAULT_BROKER_CONFIG),
            ("3600000", DEFAULT_CONFIG),
        ]
        assert [(one.name, one.value) for one in describe(raw, BROKER, "", key).configs] == [(key, "1000")]
    finally:
        for name in ("1", ""):
            assert alter(raw, BROKER, name, (key, DELETE, None)) == "NONE"
    settle(raw, TOPIC, topic, "message.timestamp.after.max.ms", ("3600000", DEFAULT_CONFIG))


def test_min_insync_replicas_always_has_one_value_for_all_brokers(raw: RawClient, topic: str) -> None:
    """KIP-966: eligible leader replicas need it."""
    key = "min.insync.replicas"
    try:
        for place in ((TOPIC, topic), (BROKER, "1"), (BROKER, "")):
            assert value_of(raw, *place, key) == ("1", DEFAULT_BROKER_CONFIG)
        (found,) = describe(raw, TOPIC, topic, key).configs
        assert [(one.value, one.source) for one in found.synonyms] == [
            ("1", DEFAULT_BROKER_CONFIG),
            ("1", DEFAULT_CONFIG),
        ]
        assert alter(raw, BROKER, "1", (key, SET, "2")) == "INVALID_CONFIG"
        assert alter(raw, BROKER, "1", (key, DELETE, None)) == "INVALID_CONFIG"
        assert alter(raw, BROKER, "", (key, DELETE, None)) == "INVALID_CONFIG"
        assert replace(raw, BROKER, "", log_retention_ms="5000") == "INVALID_CONFIG"
        assert alter(raw, BROKER, "", (key, SET, "2")) == "NONE"
        settle(raw, TOPIC, topic, key, ("2", DEFAULT_BROKER_CONFIG))
        assert replace(raw, BROKER, "", min_insync_replicas="3") == "NONE"
        settle(raw, BROKER, "1", key, ("3", DEFAULT_BROKER_CONFIG))
    finally:
        assert alter(raw, BROKER, "", (key, SET, "1")) == "NONE"
    settle(raw, TOPIC, topic, key, ("1", DEFAULT_BROKER_CONFIG))


def test_an_altered_broker_setting_is_in_effect(raw: RawClient, topic: str, kafka: Kafka) -> None:
    record = [(0, 1_700_000_000_000, b"key", b"x" * 500, ())]
    assert raw.produce(topic, record).error_code == 0
    try:
        assert alter(raw, BROKER, "1", ("message.max.bytes", SET, "300")) == "NONE"
        eventually(
            lambda: BY_CODE[raw.produce(topic, record).error_code].name == "MESSAGE_TOO_LARGE",
            10,
            lambda: "the batch is taken",
        )
    finally:
        assert alter(raw, BROKER, "1", ("message.max.bytes", DELETE, None)) == "NONE"
    eventually(lambda: raw.produce(topic, record).error_code == 0, 10, lambda: "the batch is refused")


@pytest.mark.parametrize(
    ("name", "change", "error"),
    [
        ("1", ("auto.create.topics.enable", SET, "false"), "INVALID_REQUEST"),
        ("1", ("num.partitions", SET, "3"), "INVALID_REQUEST"),
        ("1", ("log.retention.ms", SET, "soon"), "INVALID_REQUEST"),
        ("1", ("message.max.bytes", SET, "-5"), "INVALID_REQUEST"),
        ("1", ("log.cleanup.policy", SET, "bogus"), "INVALID_REQUEST"),
        ("7", ("log.retention.ms", SET, "5"), "INVALID_REQUEST"),
        ("x", ("log.retention.ms", SET, "5"), "INVALID_REQUEST"),
        ("1", ("log.retention.ms", APPEND, "5"), "INVALID_CONFIG"),
    ],
)
def test_a_broker_setting_that_cannot_be_altered_is_refused(
    raw: RawClient, name: str, change: tuple[str, int, str], error: str
) -> None:
    assert alter(raw, BROKER, name, change) == error


def test_a_change_that_is_only_checked_changes_nothing(raw: RawClient) -> None:
    assert alter(raw, BROKER, "", ("log.segment.bytes", SET, "2000000"), check=True) == "NONE"
    assert describe(raw, BROKER, "", "log.segment.bytes").configs == []


def test_a_broker_tells_which_settings_can_be_altered(raw: RawClient) -> None:
    found = {one.name: one for one in describe(raw, BROKER, "1").configs}
    assert {"log.retention.ms", "num.io.threads", "node.id", "ssl.keystore.password", "log.dirs"} <= found.keys()
    assert not found["message.max.bytes"].read_only
    assert found["num.partitions"].read_only
    assert found["ssl.keystore.password"].is_sensitive
    assert found["node.id"].value == "1"
    assert found["log.retention.hours"].value == "168"
    assert BY_CODE[describe(raw, BROKER, "7").error_code].name == "INVALID_REQUEST"
    assert BY_CODE[describe(raw, BROKER, "x").error_code].name == "INVALID_REQUEST"


def test_a_group_has_settings_of_its_own(raw: RawClient, unique: Unique) -> None:
    group, key = unique("group"), "consumer.heartbeat.interval.ms"
    found = {one.name for one in describe(raw, GROUP, group).configs}
    assert {"consumer.session.timeout.ms", key, "share.auto.offset.reset", "streams.num.standby.replicas"} <= found
    assert alter(raw, GROUP, group, (key, SET, "5500")) == "NONE"
    settle(raw, GROUP, group, key, ("5500", GROUP_CONFIG))
    assert _listed(raw, GROUP, group)
    assert alter(raw, GROUP, group, (key, DELETE, None)) == "NONE"
    eventually(lambda: value_of(raw, GROUP, group, key)[1] != GROUP_CONFIG, 10, lambda: "it is set")
    assert alter(raw, GROUP, group, (key, SET, "60000")) == "INVALID_CONFIG"
    assert alter(raw, GROUP, group, ("consumer.session.timeout.ms", SET, "5")) == "INVALID_CONFIG"
    assert alter(raw, GROUP, group, ("nonsense", SET, "5")) == "INVALID_CONFIG"
    assert alter(raw, GROUP, "", (key, SET, "5500")) == "INVALID_REQUEST"
    assert BY_CODE[describe(raw, GROUP, "").error_code].name == "INVALID_REQUEST"


def test_client_metrics_are_kept_though_nobody_is_asked_for_any(raw: RawClient, unique: Unique) -> None:
    name = unique("metrics")
    changes = [("interval.ms", SET, "5000"), ("match", SET, "client_id=x.*"), ("metrics", SET, "org.apache")]
    assert alter(raw, CLIENT_METRICS, name, *changes) == "NONE"
    settle(raw, CLIENT_METRICS, name, "interval.ms", ("5000", CLIENT_METRICS_CONFIG))
    assert _listed(raw, CLIENT_METRICS, name)
    assert [one.resource_name for one in raw.ask(LIST_RESOURCES, 0, {}).config_resources if one.resource_name == name]
    assert alter(raw, CLIENT_METRICS, name, ("interval.ms", SET, "5")) == "INVALID_REQUEST"
    assert alter(raw, CLIENT_METRICS, name, ("nonsense", SET, "5")) == "INVALID_REQUEST"
    assert alter(raw, CLIENT_METRICS, name, ("match", SET, "planet=1")) == "INVALID_CONFIG"
    assert alter(raw, CLIENT_METRICS, "", ("interval.ms", SET, "5000")) == "INVALID_REQUEST"
    assert replace(raw, CLIENT_METRICS, name) == "NONE"
    settle(raw, CLIENT_METRICS, name, "interval.ms", ("300000", DEFAULT_CONFIG))
    assert not _listed(raw, CLIENT_METRICS, name)


def _listed(raw: RawClient, kind: int, name: str) -> bool:
    answer = raw.ask(LIST_RESOURCES, 1, {"resource_types": [kind]})
    assert {one.resource_type for one in answer.config_resources} <= {kind}
    return name in {one.resource_name for one in answer.config_resources}


def test_every_resource_is_listed(raw: RawClient, topic: str) -> None:
    found = {(one.resource_type, one.resource_name) for one in raw.ask(LIST_RESOURCES, 1, {}).config_resources}
    assert {(TOPIC, topic), (BROKER, "1"), (LOGGER, "1")} <= found
    unknown = raw.ask(LIST_RESOURCES, 1, {"resource_types": [77]})
    assert BY_CODE[unknown.error_code].name == "UNSUPPORTED_VERSION"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (("nonsense", SET, "1"), "INVALID_CONFIG"),
        (("nonsense", DELETE, None), "NONE"),
        (("retention.ms", SET, None), "INVALID_REQUEST"),
        (("retention.ms", SET, "soon"), "INVALID_CONFIG"),
        (("retention.ms", APPEND, "5"), "INVALID_CONFIG"),
    ],
)
def test_a_topic_setting_is_checked(raw: RawClient, topic: str, change: tuple[str, int, str], error: str) -> None:
    assert alter(raw, TOPIC, topic, change) == error


def test_a_list_is_appended_to_and_subtracted_from(raw: RawClient, topic: str) -> None:
    assert alter(raw, TOPIC, topic, ("cleanup.policy", APPEND, "compact")) == "NONE"
    eventually(lambda: _policy(raw, topic) == {"compact", "delete"}, 10, lambda: str(_policy(raw, topic)))
    assert alter(raw, TOPIC, topic, ("cleanup.policy", SUBTRACT, "delete")) == "NONE"
    eventually(lambda: _policy(raw, topic) == {"compact"}, 10, lambda: str(_policy(raw, topic)))


def _policy(raw: RawClient, topic: str) -> set[str]:
    return set((value_of(raw, TOPIC, topic, "cleanup.policy")[0] or "").split(","))


def test_the_level_of_a_logger_is_altered_under_kafkas_name(raw: RawClient) -> None:
    logger = "kafka.server.KafkaApis"
    before = value_of(raw, LOGGER, "1", logger)[0]
    assert alter(raw, LOGGER, "1", (logger, SET, "LOUD")) == "INVALID_CONFIG"
    assert alter(raw, LOGGER, "1", (logger, SET, "debug")) == "INVALID_CONFIG"
    assert alter(raw, LOGGER, "1", (logger, SET, "FATAL")) == "NONE"
    assert value_of(raw, LOGGER, "1", logger)[0] == "FATAL"
    assert alter(raw, LOGGER, "1", (logger, DELETE, None)) == "NONE"
    assert value_of(raw, LOGGER, "1", logger)[0] == before


def test_resources_that_there_are_not_are_refused(raw: RawClient, topic: str) -> None:
    assert alter(raw, TOPIC, "none-" + topic, ("retention.ms", SET, "5")) == "UNKNOWN_TOPIC_OR_PARTITION"
    assert alter(raw, 64, "a", ("b", SET, "c")) == "INVALID_REQUEST"
    assert alter(raw, LOGGER, "1", ("no.such.logger", SET, "INFO")) == "INVALID_CONFIG"
    assert alter(raw, LOGGER, "1", ("root", APPEND, "INFO")) == "INVALID_REQUEST"
    assert alter(raw, LOGGER, "9", ("root", SET, "INFO")) == "INVALID_REQUEST"
    twice = [("retention.ms", SET, "5"), ("retention.ms", SET, "6")]
    assert alter(raw, TOPIC, topic, *twice) == "INVALID_REQUEST"
    assert replace(raw, LOGGER, "1", root="INFO") == "INVALID_REQUEST"
    assert replace(raw, TOPIC, topic, retention_ms=None) == "INVALID_REQUEST"
    assert replace(raw, TOPIC, topic, nonsense="x") == "INVALID_CONFIG"
    assert BY_CODE[describe(raw, TOPIC, "none-" + topic).error_code].name == "UNKNOWN_TOPIC_OR_PARTITION"
    assert BY_CODE[describe(raw, TOPIC, "bad name").error_code].name == "INVALID_TOPIC_EXCEPTION"
    assert BY_CODE[describe(raw, 64, "a").error_code].name == "INVALID_REQUEST"


def test_every_topic_setting_has_words(raw: RawClient, topic: str) -> None:
    found = describe(raw, TOPIC, topic).configs
    assert len(found) > 30
    assert all(one.documentation for one in found)
    assert {one.config_type for one in found} <= {1, 2, 3, 5, 6, 7}
