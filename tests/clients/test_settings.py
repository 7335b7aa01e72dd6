"""Every setting's name, type, default, valid values and documentation, against Apache Kafka's own definitions."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from sandbox.kafka.broker_config import BROKER_SETTINGS
from sandbox.kafka.errors import BY_CODE, BrokerError
from sandbox.kafka.resource_settings import CLIENT_METRICS_SETTINGS, GROUP_SETTINGS
from sandbox.kafka.setting import DOUBLE, INT, LIST, LONG, SHORT, STRING, TYPE_NAMES, Setting
from sandbox.kafka.topic_settings import TOPIC_SETTINGS
from tests.clients.apache_kafka import KafkaUnavailableError, find_or_fetch
from tests.clients.conftest import Kafka
from tests.clients.processes import ROOT
from tests.clients.raw_requests import RawClient

pytestmark = [pytest.mark.clients, pytest.mark.timeout(120)]

PROGRAM = ROOT / "tests" / "clients" / "programs" / "java_settings" / "SettingsProgram.java"
PROGRAM_S = 60
TABLES = {
    "broker": BROKER_SETTINGS,
    "topic": TOPIC_SETTINGS,
    "group": GROUP_SETTINGS,
    "client-metrics": CLIENT_METRICS_SETTINGS,
}
OTHER_DEFAULTS: dict[str, tuple[str | None, str]] = {
    "group.initial.rebalance.delay.ms": ("3000", "0"),
    "group.coordinator.rebalance.protocols": ("classic,consumer,streams", "classic,consumer"),
    "streams.assignor.name": (None, "sticky"),
}
"""Settings with another default than Kafka defines: Kafka's, and the one that the sandbox or a broker setting gives."""
INTERNAL = {"group.consumer.assignor.offload.enable", "consumer.assignor.offload.enable"}
"""Internal settings of Apache Kafka, which describes them only because the tests' configuration sets them."""
NUMBERS = {"topic": 2, "broker": 4, "client-metrics": 16, "group": 32}
DEFAULT_CONFIG = 5


class Fact(NamedTuple):
    """What a setting is."""

    type: str
    default: str | None
    valid: str
    mode: str
    documented: bool


@pytest.mark.apache_kafka
def test_every_setting_is_as_apache_kafka_defines_it() -> None:
    try:
        jars = find_or_fetch()
    except KafkaUnavailableError as missing:
        pytest.skip(f"no Apache Kafka: {missing}")
    command = ["java", "-cp", f"{jars}/*", str(PROGRAM)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_S, check=True)
    theirs: dict[str, Fact] = {}
    for line in done.stdout.splitlines():
        kind, name, type_, default, valid, mode, documented = line.split("\t")
        value = None if default == "none" else default[1:]
        theirs[f"{kind} {name}"] = Fact(type_, value, valid, mode, documented == "documented")
    ours = {f"{kind} {one.name}": _fact(kind, one) for kind, table in TABLES.items() for one in table}
    assert len(theirs) > 400
    assert set(ours) == set(theirs)
    assert {name: (theirs[name], ours[name]) for name in theirs if theirs[name] != ours[name]} == {}


def _fact(kind: str, one: Setting) -> Fact:
    default = OTHER_DEFAULTS[one.name][0] if one.name in OTHER_DEFAULTS else one.default
    mode = "per-broker" if one.per_broker else "cluster-wide" if one.dynamic else "read-only"
    return Fact(TYPE_NAMES[one.type], default, one.valid, mode, bool(one.text))


@pytest.fixture
def raw(kafka: Kafka) -> Iterator[RawClient]:
    with RawClient(kafka.bootstrap) as found:
        yield found


@pytest.mark.parametrize("kind", list(TABLES))
def test_a_client_is_shown_type_default_and_documentation(
    raw: RawClient, unique: Callable[[str], str], kind: str
) -> None:
    name = {"topic": unique("settings"), "broker": "1"}.get(kind, "settings")
    if kind == "topic":
        raw.ask("CreateTopics", 7, topics=[{"name": name, "num_partitions": 1, "replication_factor": 1}])
    resource = {"resource_type": NUMBERS[kind], "resource_name": name, "configuration_keys": None}
    answer = raw.ask("DescribeConfigs", 4, resources=[resource], include_synonyms=True, include_documentation=True)
    (found,) = answer.results
    shown = {one.name: one for one in found.configs if one.name not in INTERNAL}
    table = {one.name: one for one in TABLES[kind]}
    assert set(shown) == set(table)
    assert {one: TYPE_NAMES[shown[one].config_type] for one in shown} == {
        one: TYPE_NAMES[table[one].type] for one in table
    }
    assert [one for one in shown if not shown[one].documentation] == []
    assert [one for one in shown if shown[one].read_only == (kind != "broker" or table[one].dynamic)] == []
    for one, config in shown.items():
        expected = (table[one].default, *OTHER_DEFAULTS.get(one, ()))
        names = (one, table[one].broker_name)
        defaults = {found.value for found in config.synonyms if found.source == DEFAULT_CONFIG and found.name in names}
        assert defaults <= set(expected), one


def test_documentation_is_sent_only_if_it_is_asked_for(raw: RawClient) -> None:
    resource = {"resource_type": NUMBERS["broker"], "resource_name": "1", "configuration_keys": ["log.retention.ms"]}
    (found,) = raw.ask("DescribeConfigs", 4, resources=[resource]).results
    assert [one.documentation for one in found.configs] == [None]


def _attempts(setting: Setting) -> list[str]:
    """Values at and beyond the ends of what is valid, and of another form."""
    found = ["", " ", "x", setting.default or ""]
    if setting.type in (INT, LONG, SHORT, DOUBLE):
        found += ["1_000", "0x10", "+5", " 7 ", "007", "1e3", "1.5", "5d", "9223372036854775807", "9223372036854775808"]
        found += ["2147483647", "2147483648", "-9223372036854775809"]
        for end in re.findall(r"-?\d+", setting.valid):
            found += [str(int(end) - 1), end, str(int(end) + 1)]
    elif setting.type in (LIST, STRING):
        found += ["a,", ",a", "a , b", "*", "0:1", "0:1,1:1", "0:x"]
        for word in re.findall(r"[A-Za-z_]+", setting.valid):
            found += [word, word.upper(), f"{word},", f"{word} , {word}", f" {word} "]
    else:
        found += ["TRUE", "False ", "yes", "1"]
    return list(dict.fromkeys(found))


# What Apache Kafka 4.4 answers: accepted, or refused with the rest of the sentence.
EDGES: dict[str, list[tuple[str, str | None]]] = {
    "segment.bytes": [("100", "Value must be at least 1048576"), ("1048575", "Value must be at least 1048576")],
    "compression.gzip.level": [
        ("0", "Value must be between 1 and 9 or equal to -1"),
        ("10", "Value must be between 1 and 9 or equal to -1"),
        ("-1", None),
        ("9", None),
    ],
    "compression.zstd.level": [("23", "Value must be no more than 22"), ("-131072", None)],
    "retention.ms": [("-2", "Value must be at least -1"), ("-1", None), ("9223372036854775807", None)],
    "retention.bytes": [("-3", None), ("9223372036854775808", "Not a number of type LONG")],
    "min.insync.replicas": [("0", "Value must be at least 1"), ("2147483648", "Not a number of type INT")],
    "min.cleanable.dirty.ratio": [("1.1", "Value must be no more than 1"), ("1", None), ("0.5f", None)],
    "max.message.bytes": [("1_000", "Not a number of type INT"), ("0x10", "Not a number of type INT"), ("+5", None)],
    "preallocate": [("yes", "Expected value to be either true or false"), ("TRUE", None)],
    "compression.type": [
        ("LZ4", "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"),
        (" lz4 ", None),
    ],
    "cleanup.policy": [("delete,compact", None), ("", None), ("none", "String must be one of: compact, delete")],
    "follower.replication.throttled.replicas": [("*", None), ("0:1,1:1", None), ("", None)],
}


@pytest.mark.parametrize(
    ("name", "value", "reason"), [(name, value, reason) for name, all_ in EDGES.items() for value, reason in all_]
)
def test_a_topic_takes_the_values_that_kafka_takes(
    raw: RawClient, unique: Callable[[str], str], name: str, value: str, reason: str | None
) -> None:
    error, message = _create(raw, unique("edges"), name, value)
    if reason is None:
        assert (error, message) == ("NONE", None)
    else:
        shown = {"1.1": "1.1"}.get(value, value.strip())
        assert (error, message) == ("INVALID_CONFIG", f"Invalid value {shown} for configuration {name}: {reason}")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("cleanup.policy", "compact,", "Configuration 'cleanup.policy' values must not be empty."),
        (
            "leader.replication.throttled.replicas",
            "0:x",
            "Invalid value [0:x] for configuration leader.replication.throttled.replicas: "
            "leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following "
            "format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
        ),
        (
            "remote.storage.enable",
            "true",
            "Tiered Storage functionality is disabled in the broker. "
            "Topic cannot be configured with remote log storage.",
        ),
        ("nonsense", "1", "Unknown topic config name: nonsense"),
    ],
)
def test_a_topic_refuses_a_setting_with_kafkas_sentence(
    raw: RawClient, unique: Callable[[str], str], name: str, value: str, message: str
) -> None:
    assert _create(raw, unique("sentences"), name, value) == ("INVALID_CONFIG", message)


@pytest.mark.parametrize("setting", TOPIC_SETTINGS, ids=lambda setting: setting.name)
def test_a_topic_takes_and_refuses_what_the_table_says(
    raw: RawClient, unique: Callable[[str], str], setting: Setting
) -> None:
    for value in _attempts(setting):
        try:
            setting.check(value)
            expected = "NONE"
        except BrokerError:
            expected = "INVALID_CONFIG"
        if setting.name == "remote.storage.enable" and value.strip().lower() == "true":
            expected = "INVALID_CONFIG"
        found, message = _create(raw, unique("attempts"), setting.name, value)
        assert found == expected, f"{value!r}: {message}"


def _create(raw: RawClient, topic: str, name: str, value: str) -> tuple[str, str | None]:
    wanted: dict[str, Any] = {"name": topic, "num_partitions": 1, "replication_factor": 1}
    wanted["configs"] = [{"name": name, "value": value}]
    (found,) = raw.ask("CreateTopics", 7, topics=[wanted], timeout_ms=10_000, validate_only=True).topics
    return BY_CODE[found.error_code].name, found.error_message
