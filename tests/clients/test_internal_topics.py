"""Kafka's internal topics, which tools read to follow groups; the sandbox makes their records from its rows."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.clients.conftest import Kafka
from tests.clients.raw_requests import RawClient
from tests.clients.waiting import eventually

pytestmark = [pytest.mark.clients, pytest.mark.timeout(90)]

OFFSETS, TRANSACTIONS = "__consumer_offsets", "__transaction_state"
READ_S = 20

Commit = tuple[str, str, int, int]
"""Group, topic, partition and offset."""


@pytest.fixture
def admin(kafka: Kafka) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.bootstrap})


@pytest.fixture
def topic(admin: AdminClient, unique: Callable[[str], str]) -> str:
    name = unique("followed")
    admin.create_topics([NewTopic(name, 2)])[name].result()
    return name


def commit(kafka: Kafka, group: str, topic: str, *offsets: int) -> None:
    """Commit an offset in each partition from 0 on."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group})
    try:
        wanted = [TopicPartition(topic, number, offset, "m") for number, offset in enumerate(offsets)]
        consumer.commit(offsets=wanted, asynchronous=False)
    finally:
        consumer.close()


def commits(reader: Consumer, group: str) -> Iterator[Commit]:
    """Yield a group's commits as the topic has them."""
    deadline = time.monotonic() + READ_S
    while time.monotonic() < deadline:
        message = reader.poll(0.2)
        if message is None or message.error() is not None:
            continue
        key, value = message.key() or b"", message.value()
        (version, length) = struct.unpack_from(">hh", key)
        if version > 1 or value is None or key[4 : 4 + length].decode() != group:
            continue
        (topic_length,) = struct.unpack_from(">h", key, 4 + length)
        name = key[6 + length : 6 + length + topic_length].decode()
        (partition,) = struct.unpack(">i", key[-4:])
        value_version, offset = struct.unpack_from(">hq", value)
        assert value_version in (3, 4)
        yield group, name, partition, offset
    raise AssertionError("the commits did not come")


def test_commits_are_read_from_the_offsets_topic(
    kafka: Kafka, admin: AdminClient, topic: str, unique: Callable[[str], str]
) -> None:
    group = unique("watched")
    commit(kafka, group, topic, 3, 4)
    listed = admin.list_topics(timeout=10).topics
    assert {topic, OFFSETS} <= set(listed)
    described = admin.describe_topics(TopicCollection([OFFSETS, topic]))
    assert (described[OFFSETS].result().is_internal, described[topic].result().is_internal) == (True, False)
    reader = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": unique("reader"),
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    try:
        reader.subscribe([OFFSETS])
        found = commits(reader, group)
        assert {next(found), next(found)} == {(group, topic, 0, 3), (group, topic, 1, 4)}
        commit(kafka, group, topic, 9)
        assert next(found) == (group, topic, 0, 9), "a new commit wakes the reader"
        reader.commit(asynchronous=False)
        assert [one.offset > 0 for one in reader.committed(reader.assignment())] == [True]
    finally:
        reader.close()


def test_clients_cannot_write_to_internal_topics(kafka: Kafka, topic: str, unique: Callable[[str], str]) -> None:
    commit(kafka, unique("watched"), topic, 1)
    errors: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "message.timeout.ms": 10_000})
    producer.produce(OFFSETS, b"x", partition=0, on_delivery=lambda error, message: errors.append(error))
    producer.flush(15)
    assert [error and error.code() for error in errors] == [KafkaError.TOPIC_EXCEPTION]


def test_topics_can_be_listed_without_the_internal_ones(kafka: Kafka, topic: str, unique: Callable[[str], str]) -> None:
    commit(kafka, unique("watched"), topic, 1)
    with RawClient(kafka.bootstrap) as raw:
        listed = {one.name: one.is_internal for one in raw.ask("Metadata", 13, topics=None).topics}
        paged = {one.name: one.is_internal for one in raw.ask("DescribeTopicPartitions", 0, topics=[]).topics}
    assert listed[OFFSETS] is paged[OFFSETS] is True
    assert listed[topic] is paged[topic] is False


def test_the_sandbox_says_that_the_state_of_transactions_cannot_be_read(
    kafka: Kafka, admin: AdminClient, topic: str, unique: Callable[[str], str]
) -> None:
    if kafka.name != "sandbox":
        pytest.skip("Apache Kafka lets clients read it")
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": unique("transaction")})
    producer.init_transactions(10)
    eventually(lambda: TRANSACTIONS in admin.list_topics(timeout=10).topics, 10, lambda: "the topic is not listed")
    reader = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": unique("r"), "auto.offset.reset": "earliest"})
    try:
        reader.assign([TopicPartition(TRANSACTIONS, 0, 0)])
        message = reader.poll(10)
        error = None if message is None else message.error()
        assert error is not None
        assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    finally:
        reader.close()
    with pytest.raises(KafkaException, match="is an internal topic, and can't be created"):
        admin.create_topics([NewTopic("__share_group_state", 1)])["__share_group_state"].result()
