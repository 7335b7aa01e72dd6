"""Answers and error codes that admin clients get, from the sandbox and from Apache Kafka alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupState, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    ResourceType,
)
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource as PythonConfigResource
from kafka.admin import ConfigResourceType
from kafka.admin import NewPartitions as PythonNewPartitions
from kafka.admin import NewTopic as PythonNewTopic
from kafka.errors import InvalidPartitionsError, InvalidReplicationFactorError, TopicAlreadyExistsError

from tests.clients.conftest import Kafka
from tests.clients.offsets import committed_offsets
from tests.clients.waiting import eventually, until_listed

pytestmark = [pytest.mark.clients, pytest.mark.timeout(60)]

Unique = Callable[[str], str]


@pytest.fixture
def admin(kafka: Kafka) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.bootstrap})


@pytest.fixture
def python_admin(kafka: Kafka) -> Iterator[Any]:
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    yield admin
    admin.close()


def code_of(future: Future[Any]) -> int:
    """The error code of a call that must fail."""
    with pytest.raises(KafkaException) as refused:
        future.result(timeout=15)
    code: int = refused.value.args[0].code()
    return code


def create(admin: AdminClient, topic: str, partitions: int = 3, **config: str) -> None:
    settings = {name.replace("_", "."): value for name, value in config.items()}
    admin.create_topics([NewTopic(topic, num_partitions=partitions, config=settings)])[topic].result(timeout=15)
    until_listed(admin, topic)


def topic_settings(admin: AdminClient, topic: str) -> dict[str, ConfigEntry]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    found: dict[str, ConfigEntry] = admin.describe_configs([resource])[resource].result(timeout=15)
    return found


def source_of(entry: ConfigEntry) -> ConfigSource:
    """Where a setting comes from; the library gives the bare number."""
    return ConfigSource(entry.source)


def alter(admin: AdminClient, topic: str, name: str, value: str, operation: AlterConfigOpType) -> Future[Any]:
    entry = ConfigEntry(name, value, incremental_operation=operation)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    return admin.incremental_alter_configs([resource])[resource]


def test_a_created_topic_is_described_as_it_was_asked_for(admin: AdminClient, unique: Unique) -> None:
    topic = unique("described")
    create(admin, topic, partitions=4)
    described = admin.describe_topics(TopicCollection([topic]))[topic].result(timeout=15)
    (broker,) = admin.list_topics(timeout=15).brokers
    assert [each.id for each in described.partitions] == [0, 1, 2, 3]
    assert {each.leader.id for each in described.partitions} == {broker}
    assert [[node.id for node in each.replicas] for each in described.partitions] == [[broker]] * 4
    assert [[node.id for node in each.isr] for each in described.partitions] == [[broker]] * 4
    assert not described.is_internal
    assert str(described.topic_id) != "AAAAAAAAAAAAAAAAAAAAAA"


def test_a_topic_that_exists_is_not_created_again(admin: AdminClient, unique: Unique) -> None:
    topic = unique("twice")
    create(admin, topic)
    again = admin.create_topics([NewTopic(topic, num_partitions=1)])[topic]
    assert code_of(again) == KafkaError.TOPIC_ALREADY_EXISTS


@pytest.mark.parametrize("name", ["a b", "a/b", "..", "x" * 250])
def test_a_topic_name_that_kafka_forbids_is_refused(admin: AdminClient, name: str) -> None:
    assert code_of(admin.create_topics([NewTopic(name, num_partitions=1)])[name]) == KafkaError.TOPIC_EXCEPTION


def test_a_topic_with_a_setting_that_does_not_exist_is_refused(admin: AdminClient, unique: Unique) -> None:
    topic = unique("setting")
    created = admin.create_topics([NewTopic(topic, num_partitions=1, config={"no.such.setting": "1"})])[topic]
    assert code_of(created) == KafkaError.INVALID_CONFIG
    assert topic not in admin.list_topics(timeout=15).topics


def test_validate_only_creates_nothing(admin: AdminClient, unique: Unique) -> None:
    topic = unique("validated")
    admin.create_topics([NewTopic(topic, num_partitions=1)], validate_only=True)[topic].result(timeout=15)
    assert topic not in admin.list_topics(timeout=15).topics


def test_a_deleted_topic_is_gone_and_its_successor_starts_empty(admin: AdminClient, unique: Unique) -> None:
    topic = unique("deleted")
    create(admin, topic)
    before = admin.describe_topics(TopicCollection([topic]))[topic].result(timeout=15)
    admin.delete_topics([topic])[topic].result(timeout=15)
    eventually(lambda: topic not in admin.list_topics(timeout=15).topics, 10, lambda: "the topic is still listed")
    assert code_of(admin.delete_topics([topic])[topic]) == KafkaError.UNKNOWN_TOPIC_OR_PART
    create(admin, topic)
    after = admin.describe_topics(TopicCollection([topic]))[topic].result(timeout=15)
    assert str(after.topic_id) != str(before.topic_id)


def test_describing_an_unknown_topic_says_so_and_does_not_create_it(admin: AdminClient, unique: Unique) -> None:
    topic = unique("unknown")
    described = admin.describe_topics(TopicCollection([topic]))[topic]
    assert code_of(described) == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert topic not in admin.list_topics(timeout=15).topics


def test_partitions_are_added_but_never_removed(admin: AdminClient, unique: Unique) -> None:
    topic = unique("grown")
    create(admin, topic, partitions=2)
    admin.create_partitions([NewPartitions(topic, 5)])[topic].result(timeout=15)
    eventually(
        lambda: len(admin.list_topics(topic, timeout=15).topics[topic].partitions) == 5, 10, lambda: "not 5 partitions"
    )
    assert code_of(admin.create_partitions([NewPartitions(topic, 4)])[topic]) == KafkaError.INVALID_PARTITIONS
    assert code_of(admin.create_partitions([NewPartitions(topic, 5)])[topic]) == KafkaError.INVALID_PARTITIONS
    unknown = unique("unknown")
    refused = admin.create_partitions([NewPartitions(unknown, 4)])[unknown]
    assert code_of(refused) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_the_settings_of_a_new_topic_are_kafkas_defaults(admin: AdminClient, unique: Unique) -> None:
    topic = unique("defaults")
    create(admin, topic, retention_ms="604800000")
    settings = topic_settings(admin, topic)
    expected = {
        "cleanup.policy": "delete",
        "compression.type": "producer",
        "max.message.bytes": "1048588",
        "message.timestamp.type": "CreateTime",
        "retention.bytes": "-1",
        "retention.ms": "604800000",
    }
    assert {name: settings[name].value for name in expected} == expected
    assert source_of(settings["retention.ms"]) == ConfigSource.DYNAMIC_TOPIC_CONFIG
    assert source_of(settings["cleanup.policy"]) == ConfigSource.DEFAULT_CONFIG
    assert settings["cleanup.policy"].is_default


def test_a_setting_is_altered_and_taken_back(admin: AdminClient, unique: Unique) -> None:
    topic = unique("altered")
    create(admin, topic)
    alter(admin, topic, "max.message.bytes", "2000", AlterConfigOpType.SET).result(timeout=15)
    eventually(
        lambda: topic_settings(admin, topic)["max.message.bytes"].value == "2000", 10, lambda: "it was not altered"
    )
    changed = topic_settings(admin, topic)["max.message.bytes"]
    assert (source_of(changed), changed.is_default) == (ConfigSource.DYNAMIC_TOPIC_CONFIG, False)
    alter(admin, topic, "max.message.bytes", "", AlterConfigOpType.DELETE).result(timeout=15)
    eventually(
        lambda: topic_settings(admin, topic)["max.message.bytes"].value == "1048588",
        10,
        lambda: "it was not taken back",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("no.such.setting", "1"), ("retention.ms", "soon"), ("retention.ms", "-2"), ("cleanup.policy", "burn")],
)
def test_a_setting_that_makes_no_sense_is_refused(admin: AdminClient, unique: Unique, name: str, value: str) -> None:
    topic = unique("nonsense")
    create(admin, topic)
    before = {entry.name: entry.value for entry in topic_settings(admin, topic).values()}
    assert code_of(alter(admin, topic, name, value, AlterConfigOpType.SET)) == KafkaError.INVALID_CONFIG
    assert {entry.name: entry.value for entry in topic_settings(admin, topic).values()} == before


def test_settings_of_an_unknown_topic_are_refused(admin: AdminClient, unique: Unique) -> None:
    topic = unique("unknown")
    resource = ConfigResource(ResourceType.TOPIC, topic)
    assert code_of(admin.describe_configs([resource])[resource]) == KafkaError.UNKNOWN_TOPIC_OR_PART
    refused = alter(admin, topic, "retention.ms", "1000", AlterConfigOpType.SET)
    assert code_of(refused) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_the_cluster_is_one_broker_that_is_its_controller(admin: AdminClient, kafka: Kafka) -> None:
    cluster = admin.describe_cluster().result(timeout=15)
    (node,) = cluster.nodes
    assert f"{node.host}:{node.port}" == kafka.bootstrap
    assert cluster.controller.id == node.id
    assert cluster.cluster_id == admin.list_topics(timeout=15).cluster_id
    resource = ConfigResource(ResourceType.BROKER, str(node.id))
    settings = admin.describe_configs([resource])[resource].result(timeout=15)
    assert settings["auto.create.topics.enable"].value == "true"


def test_a_group_that_does_not_exist_is_dead_and_has_no_offsets(
    admin: AdminClient, kafka: Kafka, unique: Unique
) -> None:
    group = unique("nobody")
    described = admin.describe_consumer_groups([group])[group].result(timeout=15)
    assert described.state == ConsumerGroupState.DEAD
    assert described.members == []
    assert committed_offsets(kafka.bootstrap, group) == {}
    listed = admin.list_consumer_groups().result(timeout=15)
    assert group not in {each.group_id for each in listed.valid}


def test_a_group_is_listed_and_described_while_it_lives_and_after(
    admin: AdminClient, kafka: Kafka, unique: Unique
) -> None:
    topic, group = unique("grouped"), unique("group")
    create(admin, topic, partitions=2)
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group, "client.id": "reader"})
    consumer.subscribe([topic])
    eventually(lambda: consumer.poll(0.05) is None and len(consumer.assignment()) == 2, 20, lambda: "not assigned")
    described = admin.describe_consumer_groups([group])[group].result(timeout=15)
    assert described.state == ConsumerGroupState.STABLE
    assert described.partition_assignor == "range"
    (member,) = described.members
    assert member.client_id == "reader"
    assert member.host.lstrip("/") == "127.0.0.1"
    assert sorted((each.topic, each.partition) for each in member.assignment.topic_partitions) == [
        (topic, 0),
        (topic, 1),
    ]
    consumer.commit(offsets=[TopicPartition(topic, 1, 0)], asynchronous=False)
    consumer.close()
    described = admin.describe_consumer_groups([group])[group].result(timeout=15)
    assert (described.state, described.members) == (ConsumerGroupState.EMPTY, [])
    listed = {each.group_id: each for each in admin.list_consumer_groups().result(timeout=15).valid}
    assert (listed[group].state, listed[group].is_simple_consumer_group) == (ConsumerGroupState.EMPTY, False)
    only_stable = admin.list_consumer_groups(states={ConsumerGroupState.STABLE}).result(timeout=15)
    assert group not in {each.group_id for each in only_stable.valid}


def test_kafka_python_administers_a_topic(python_admin: Any, unique: Unique) -> None:
    topic = unique("python")
    python_admin.create_topics([PythonNewTopic(topic, 2, 1, topic_configs={"retention.ms": "1000000"})])
    with pytest.raises(TopicAlreadyExistsError):
        python_admin.create_topics([PythonNewTopic(topic, 2, 1)])
    python_admin.wait_for_topics([topic])
    assert topic in python_admin.list_topics()
    (described,) = python_admin.describe_topics([topic])
    assert len(described["partitions"]) == 2
    python_admin.create_partitions({topic: PythonNewPartitions(3)})
    eventually(lambda: len(python_admin.describe_topics([topic])[0]["partitions"]) == 3, 10, lambda: "not 3 partitions")
    resource = PythonConfigResource(ConfigResourceType.TOPIC, topic)
    assert _modified(python_admin.describe_configs([resource]), topic) == {"retention.ms": "1000000"}
    python_admin.alter_configs([PythonConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "3000"})])
    eventually(
        lambda: _modified(python_admin.describe_configs([resource]), topic).get("max.message.bytes") == "3000",
        10,
        lambda: "it was not altered",
    )
    python_admin.delete_topics([topic])
    eventually(lambda: topic not in python_admin.list_topics(), 10, lambda: "the topic is still listed")


def test_kafka_python_is_refused_impossible_topics(python_admin: Any, unique: Unique) -> None:
    with pytest.raises(InvalidPartitionsError):
        python_admin.create_topics([PythonNewTopic(unique("none"), 0, 1)])
    with pytest.raises(InvalidReplicationFactorError):
        python_admin.create_topics([PythonNewTopic(unique("three"), 1, 3)])


def test_kafka_python_sees_the_cluster_and_the_groups(
    python_admin: Any, admin: AdminClient, kafka: Kafka, unique: Unique
) -> None:
    topic, group = unique("grouped"), unique("group")
    create(admin, topic)
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 2, 5, metadata="half way")], asynchronous=False)
    consumer.close()
    cluster = python_admin.describe_cluster()
    assert len(cluster["brokers"]) == 1
    assert group in {each["group_id"] for each in python_admin.list_groups()}
    described = python_admin.describe_groups([group])
    assert described[group]["group_state"] == "Empty"
    offsets = python_admin.list_group_offsets([group])[group]
    # librdkafka commits the zero byte that ends its string.
    found = {(each.topic, each.partition): (kept.offset, kept.metadata.rstrip("\0")) for each, kept in offsets.items()}
    assert found == {(topic, 2): (5, "half way")}


def _modified(described: Any, topic: str) -> dict[str, str]:
    return {name: setting["value"] for name, setting in described["topic"][topic].items()}
