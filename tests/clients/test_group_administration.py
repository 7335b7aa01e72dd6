"""Administration of groups and their offsets, in both protocols, on the sandbox and on Apache Kafka alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import kafka.errors
import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    ConsumerGroupType,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic
from kafka import KafkaAdminClient
from kafka import TopicPartition as PythonPartition
from kafka.admin import MemberToRemove
from kafka.structs import OffsetAndMetadata

from tests.clients.conftest import Kafka
from tests.clients.waiting import eventually, until_listed

pytestmark = [pytest.mark.clients, pytest.mark.timeout(90)]

Unique = Callable[[str], str]


@pytest.fixture
def admin(kafka: Kafka) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.bootstrap})


@pytest.fixture
def python_admin(kafka: Kafka) -> Iterator[Any]:
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    yield admin
    admin.close()


@pytest.fixture
def topic(admin: AdminClient, unique: Unique) -> str:
    name = unique("administered")
    admin.create_topics([NewTopic(name, num_partitions=2)])[name].result(timeout=15)
    until_listed(admin, name)
    return name


@pytest.fixture(params=["classic", "consumer"])
def member(request: pytest.FixtureRequest, kafka: Kafka, topic: str, unique: Unique) -> Iterator[tuple[str, Consumer]]:
    """A group id, and its one member, which owns the topic and has committed offset 3 of partition 0."""
    group = unique(request.param)
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": group,
            "group.protocol": request.param,
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    eventually(lambda: consumer.poll(0.05) is None and len(consumer.assignment()) == 2, 20, lambda: "not assigned")
    consumer.commit(offsets=[TopicPartition(topic, 0, 3, metadata="three")], asynchronous=False)
    yield group, consumer
    consumer.close()


def test_offsets_of_a_group_are_made_listed_and_altered(admin: AdminClient, topic: str, unique: Unique) -> None:
    group = unique("made")
    assert alter(admin, group, TopicPartition(topic, 0, 5), TopicPartition(topic, 1, 6)) == {0: None, 1: None}
    assert offsets(admin, group) == {0: 5, 1: 6}
    assert alter(admin, group, TopicPartition(topic, 1, 2)) == {1: None}
    assert offsets(admin, group, TopicPartition(topic, 1)) == {1: 2}
    assert alter(admin, group, TopicPartition(topic, 7, 2)) == {7: KafkaError.UNKNOWN_TOPIC_OR_PART}
    admin.delete_consumer_groups([group])[group].result(timeout=15)
    assert offsets(admin, group, TopicPartition(topic, 1)) == {1: -1001}
    with pytest.raises(KafkaException, match="GROUP_ID_NOT_FOUND"):
        admin.delete_consumer_groups([group])[group].result(timeout=15)


def test_a_group_at_work_is_left_alone(admin: AdminClient, topic: str, member: tuple[str, Consumer]) -> None:
    group, consumer = member
    assert alter(admin, group, TopicPartition(topic, 0, 1)) == {0: KafkaError.UNKNOWN_MEMBER_ID}
    with pytest.raises(KafkaException, match="NON_EMPTY_GROUP"):
        admin.delete_consumer_groups([group])[group].result(timeout=15)
    assert offsets(admin, group) == {0: 3}
    consumer.close()
    assert alter(admin, group, TopicPartition(topic, 0, 1)) == {0: None}
    assert offsets(admin, group) == {0: 1}
    admin.delete_consumer_groups([group])[group].result(timeout=15)
    assert offsets(admin, group) == {}


def test_a_group_is_listed_with_its_type_and_described(
    admin: AdminClient, topic: str, member: tuple[str, Consumer]
) -> None:
    group, consumer = member
    kind = ConsumerGroupType.CONSUMER if group.startswith("consumer") else ConsumerGroupType.CLASSIC
    listed = {each.group_id: each for each in admin.list_consumer_groups(types={kind}).result(timeout=15).valid}
    assert (listed[group].type, listed[group].state) == (kind, ConsumerGroupState.STABLE)
    described = admin.describe_consumer_groups([group])[group].result(timeout=15)
    assert (described.type, described.state, len(described.members)) == (kind, ConsumerGroupState.STABLE, 1)
    owned = described.members[0].assignment.topic_partitions
    assert sorted((each.topic, each.partition) for each in owned) == [(topic, 0), (topic, 1)]
    consumer.close()
    described = admin.describe_consumer_groups([group])[group].result(timeout=15)
    assert (described.type, described.state, described.members) == (kind, ConsumerGroupState.EMPTY, [])


def test_kafka_python_deletes_offsets_when_nobody_subscribes(
    python_admin: Any, admin: AdminClient, topic: str, member: tuple[str, Consumer]
) -> None:
    group, consumer = member
    place = PythonPartition(topic, 0)
    assert python_admin.delete_group_offsets(group, [place])[place] is kafka.errors.GroupSubscribedToTopicError
    consumer.close()
    assert python_admin.delete_group_offsets(group, [place])[place] is kafka.errors.NoError
    assert offsets(admin, group) == {}


def test_kafka_python_alters_and_lists_offsets_with_metadata(python_admin: Any, topic: str, unique: Unique) -> None:
    group, place = unique("python"), PythonPartition(topic, 1)
    altered = python_admin.alter_group_offsets(group, {place: OffsetAndMetadata(4, "half way", -1)})
    assert altered[place] is kafka.errors.NoError
    assert python_admin.list_group_offsets([group])[group] == {place: OffsetAndMetadata(4, "half way", -1)}
    assert python_admin.delete_groups([group]) == {group: "OK"}


def test_kafka_python_puts_a_member_out(python_admin: Any, admin: AdminClient, member: tuple[str, Consumer]) -> None:
    group, _ = member
    (described,) = admin.describe_consumer_groups([group])[group].result(timeout=15).members
    removed = python_admin.remove_group_members(group, [MemberToRemove(member_id=described.member_id)])
    assert list(removed.values()) == [kafka.errors.NoError]
    found = admin.describe_consumer_groups([group])[group].result(timeout=15)
    assert described.member_id not in {each.member_id for each in found.members}


def alter(admin: AdminClient, group: str, *places: TopicPartition) -> dict[int, int | None]:
    """Alter committed offsets; the error of each partition."""
    request = ConsumerGroupTopicPartitions(group, list(places))
    try:
        done = admin.alter_consumer_group_offsets([request])[group].result(timeout=15)
    except KafkaException as error:
        return {place.partition: error.args[0].code() for place in places}
    return {place.partition: None if place.error is None else place.error.code() for place in done.topic_partitions}


def offsets(admin: AdminClient, group: str, *places: TopicPartition) -> dict[int, int]:
    """The committed offsets of a group, by partition; all where none is named."""
    request = ConsumerGroupTopicPartitions(group, list(places) or None)
    found = admin.list_consumer_group_offsets([request])[group].result(timeout=15)
    return {place.partition: place.offset for place in found.topic_partitions}
