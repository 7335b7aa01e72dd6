"""Administration that one broker of Apache Kafka cannot be asked about: several brokers, restarts, the file itself."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BY_CODE
from sandbox.kafka.event import NewEvent
from sandbox.wire.api_table import APIS
from tests.clock import Clock
from tests.wire.raw_client import RawClient, records_of, rows

DELETE_RECORDS, DESCRIBE_CONFIGS, LOG_DIRS, INCREMENTAL_ALTER = 21, 32, 35, 44
ELECT, REASSIGN, QUOTAS, ALTER_QUOTAS, SCRAM, ALTER_SCRAM = 43, 45, 48, 49, 50, 51
BROKER, LOGGER, CLIENT_METRICS, GROUP = 4, 8, 16, 32


@pytest.fixture
def brokers(file: Path, clock: Clock) -> Iterator[Sandbox]:
    """A sandbox of three brokers."""
    with Sandbox(file, clock=clock, brokers=3) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        yield sandbox


def ask(box: Sandbox, key: int, version: int, body: dict[str, Any], broker: int | None = None) -> SimpleNamespace:
    """Ask one broker, the first that is up where None."""
    addresses = {one.broker: one.address for one in box.brokers.list() if one.address}
    client = RawClient(addresses[min(addresses) if broker is None else broker])
    try:
        return client.ask(key, version, body)
    finally:
        client.close()


def election(topic: str) -> dict[str, Any]:
    return {"election_type": 0, "topic_partitions": [{"topic": topic, "partitions": [0]}], "timeout_ms": 1000}


def test_the_preferred_leader_is_elected_when_it_is_back(brokers: Sandbox) -> None:
    brokers.create_topic("orders", partitions=1, settings={})
    body = {
        "timeout_ms": 1000,
        "topics": [{"name": "orders", "partitions": [{"partition_index": 0, "replicas": [2, 3]}]}],
    }
    assert ask(brokers, REASSIGN, 1, body).responses[0].partitions[0].error_code == 0
    assert _partition(brokers).leader == 2
    brokers.brokers.stop(2)
    assert _partition(brokers).leader == 3
    brokers.brokers.start(2)
    assert _partition(brokers).leader == 3
    (elected,) = ask(brokers, ELECT, 2, election("orders")).replica_election_results[0].partition_result
    assert (elected.error_code, _partition(brokers).leader) == (0, 2)
    (again,) = ask(brokers, ELECT, 2, election("orders")).replica_election_results[0].partition_result
    assert BY_CODE[again.error_code].name == "ELECTION_NOT_NEEDED"


def _partition(box: Sandbox) -> Any:
    return box._broker.topics["orders"].partitions[0]


def test_a_preferred_leader_that_is_down_is_not_available(brokers: Sandbox) -> None:
    brokers.create_topic("orders", partitions=1)
    partition = _partition(brokers)
    body = {
        "timeout_ms": 1000,
        "topics": [{"name": "orders", "partitions": [{"partition_index": 0, "replicas": [1, 2]}]}],
    }
    ask(brokers, REASSIGN, 1, body)
    brokers.brokers.stop(1)
    assert partition.leader == 2
    (elected,) = ask(brokers, ELECT, 2, election("orders")).replica_election_results[0].partition_result
    assert BY_CODE[elected.error_code].name == "PREFERRED_LEADER_NOT_AVAILABLE"


def test_a_reassignment_survives_a_restart(file: Path, clock: Clock) -> None:
    with Sandbox(file, clock=clock, brokers=3) as box:
        box.serve(kafka_port=0, web_port=None)
        box.create_topic("orders", partitions=1)
        body = {
            "timeout_ms": 1000,
            "topics": [{"name": "orders", "partitions": [{"partition_index": 0, "replicas": [3, 1]}]}],
        }
        ask(box, REASSIGN, 1, body)
    with Sandbox(file, clock=clock, brokers=3) as box:
        assert (_partition(box).replicas, _partition(box).leader) == ((3, 1), 3)


def test_only_the_leader_deletes_records(brokers: Sandbox) -> None:
    brokers.create_topic("orders", partitions=1)
    leader = _partition(brokers).leader
    body = {"topics": [{"name": "orders", "partitions": [{"partition_index": 0, "offset": -1}]}], "timeout_ms": 1000}
    codes = {
        broker: BY_CODE[ask(brokers, DELETE_RECORDS, 2, body, broker).topics[0].partitions[0].error_code].name
        for broker in (1, 2, 3)
    }
    assert codes == {broker: "NONE" if broker == leader else "NOT_LEADER_OR_FOLLOWER" for broker in (1, 2, 3)}


def test_a_broker_tells_the_sizes_of_its_own_replicas(brokers: Sandbox, file: Path) -> None:
    brokers.create_topic("orders", partitions=3)
    for partition in range(3):
        brokers.append("orders", "x", partition=partition)
    found = {}
    for broker in (1, 2, 3):
        (directory,) = ask(brokers, LOG_DIRS, 4, {"topics": None}, broker).results
        assert directory.log_dir == str(file)
        found[broker] = {one.partition_index for topic in directory.topics for one in topic.partitions}
    partitions = brokers._broker.topics["orders"].partitions
    assert found == {broker: {one.partition for one in partitions if broker in one.replicas} for broker in (1, 2, 3)}


def test_what_was_altered_survives_a_restart(file: Path, clock: Clock) -> None:
    settings = [
        {
            "resource_type": kind,
            "resource_name": name,
            "configs": [{"name": key, "config_operation": 0, "value": value}],
        }
        for kind, name, key, value in (
            (BROKER, "", "log.retention.ms", "5000"),
            (GROUP, "app", "consumer.session.timeout.ms", "50000"),
        )
    ]
    quota = {
        "entity": [{"entity_type": "user", "entity_name": None}],
        "ops": [{"key": "producer_byte_rate", "value": 5.0}],
    }
    credential = {"name": "ann", "mechanism": 1, "iterations": 4096, "salt": b"s", "salted_password": b"p"}
    with Sandbox(file, clock=clock) as box:
        box.serve(kafka_port=0, web_port=None)
        ask(box, INCREMENTAL_ALTER, 1, {"resources": settings, "validate_only": False})
        ask(box, ALTER_QUOTAS, 1, {"entries": [quota], "validate_only": False})
        ask(box, ALTER_SCRAM, 0, {"deletions": [], "upsertions": [credential]})
    with Sandbox(file, clock=clock) as box:
        box.serve(kafka_port=0, web_port=None)
        assert box._broker.config.number("log.retention.ms") == 5000
        assert box._broker.config.group_number("app", "consumer.session.timeout.ms") == 50_000
        assert box._broker.config.group_number("other", "consumer.session.timeout.ms") == 45_000
        (entry,) = ask(box, QUOTAS, 1, {"components": [], "strict": False}).entries
        assert [(one.entity_type, one.entity_name) for one in entry.entity] == [("user", None)]
        assert [one.user for one in ask(box, SCRAM, 0, {"users": None}).results] == ["ann"]


def test_retention_of_the_broker_can_be_altered_while_it_runs(served: Sandbox, clock: Clock) -> None:
    served.append_many("orders", [NewEvent(b"x")] * 10)
    served.apply_retention()
    assert served.topic("orders").events == 10
    clock.pass_ms(10_000)
    change = {"name": "log.retention.ms", "config_operation": 0, "value": "5000"}
    resource = {"resource_type": BROKER, "resource_name": "", "configs": [change]}
    ask(served, INCREMENTAL_ALTER, 1, {"resources": [resource], "validate_only": False})
    assert served.apply_retention() == 10
    assert served.topic("orders").events == 0


def test_the_level_of_a_logger_can_be_altered(served: Sandbox) -> None:
    def level() -> str:
        resource = {"resource_type": LOGGER, "resource_name": "1", "configuration_keys": ["sandbox.wire"]}
        (found,) = ask(served, DESCRIBE_CONFIGS, 4, {"resources": [resource]}).results[0].configs
        return str(found.value)

    def alter(operation: int, value: str | None) -> str:
        change = {"name": "sandbox.wire", "config_operation": operation, "value": value}
        resource = {"resource_type": LOGGER, "resource_name": "1", "configs": [change]}
        (answer,) = ask(served, INCREMENTAL_ALTER, 1, {"resources": [resource], "validate_only": False}).responses
        return BY_CODE[answer.error_code].name

    before = level()
    assert alter(0, "LOUD") == "INVALID_CONFIG"
    assert (alter(0, "FATAL"), level()) == ("NONE", "FATAL")
    assert (alter(1, None), level()) == ("NONE", before)


def test_a_compacted_log_is_fetched_with_its_gaps(served: Sandbox, client: RawClient) -> None:
    served.create_topic("orders", settings={"cleanup.policy": "compact"})
    for index in range(10):
        client.produce("orders", rows(str(index).encode(), key=f"key {index % 2}".encode()))
    first = client.fetch("orders", 0)
    assert len(records_of(first)) == 10
    assert served.compact("orders") == 8
    for offset in range(10):
        found = client.fetch("orders", offset)
        expected = [place for place in (8, 9) if place >= offset]
        assert [record[0] for record in records_of(found) if record[0] >= offset] == expected
        assert (found.error_code, found.high_watermark, found.log_start_offset) == (0, 10, 0)


def test_a_fetch_that_waits_is_told_when_its_offset_is_gone(served: Sandbox, client: RawClient) -> None:
    served.append_many("orders", [NewEvent(b"x")] * 5)
    served.delete_records("orders", {0: 3})
    assert BY_CODE[client.fetch("orders", 2, max_wait_ms=30_000).error_code].name == "OFFSET_OUT_OF_RANGE"
    assert [record[0] for record in records_of(client.fetch("orders", 3)) if record[0] >= 3] == [3, 4]


ADMIN_KEYS = (17, 21, 29, 30, 31, 34, 35, 36, 38, 39, 40, 41, 43, 45, 46, 48, 49, 50, 51, 55, 57, 64, 74, 75, 80, 81)


def test_every_api_of_an_admin_client_is_served() -> None:
    assert set(ADMIN_KEYS) <= {api.key for api in APIS}


@pytest.mark.parametrize("key", ADMIN_KEYS)
def test_an_empty_request_is_answered_in_every_version(served: Sandbox, key: int) -> None:
    (api,) = (one for one in APIS if one.key == key)
    for version in range(api.first, api.last + 1):
        assert ask(served, key, version, {}) is not None


@pytest.mark.parametrize("expression", ["(" * 3000 + ")" * 3000, "a{99999999999}", "("])
def test_an_expression_that_python_cannot_compile_is_refused(brokers: Sandbox, expression: str) -> None:
    config = {"name": "match", "config_operation": 0, "value": f"client_id={expression}"}
    resource = {"resource_type": CLIENT_METRICS, "resource_name": "all", "configs": [config]}
    body = {"resources": [resource], "validate_only": False}
    (answer,) = ask(brokers, INCREMENTAL_ALTER, 1, body).responses
    assert BY_CODE[answer.error_code].name == "INVALID_CONFIG"
