"""Deletion of records, groups and offsets, and refusals between the two group protocols.

On the sandbox and on Apache Kafka alike: answers and error codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    ConsumerGroupType,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from tests.clients.conftest import Kafka
from tests.clients.offsets import committed_offsets
from tests.clients.waiting import eventually, until_listed

pytestmark = [pytest.mark.clients, pytest.mark.timeout(60)]

Unique = Callable[[str], str]
OpenConsumer = Callable[..., Consumer]
EVENTS = 20


@pytest.fixture
def admin(kafka: Kafka) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.bootstrap})


@pytest.fixture
def topic(kafka: Kafka, admin: AdminClient, unique: Unique) -> str:
    """A topic of one partition with twenty events."""
    name = unique("deletes")
    admin.create_topics([NewTopic(name, num_partitions=1)])[name].result(timeout=15)
    until_listed(admin, name)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for number in range(EVENTS):
        producer.produce(name, str(number))
    assert producer.flush(20) == 0
    return name


@pytest.fixture
def consumer(kafka: Kafka) -> Iterator[OpenConsumer]:
    """Open consumers that are closed with the test."""
    opened: list[Consumer] = []

    def open_consumer(group: str, **settings: object) -> Consumer:
        config: dict[str, Any] = {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
        config.update({name.replace("_", "."): value for name, value in settings.items()})
        opened.append(Consumer(config))
        return opened[-1]

    yield open_consumer
    for each in opened:
        each.close()


def code_of(future: Future[Any]) -> int:
    """The error code of a call that must fail."""
    with pytest.raises(KafkaException) as refused:
        future.result(timeout=15)
    code: int = refused.value.args[0].code()
    return code


def delete_records(admin: AdminClient, topic: str, offset: int, partition: int = 0) -> Future[Any]:
    place = TopicPartition(topic, partition, offset)
    return admin.delete_records([place])[place]


def earliest(admin: AdminClient, topic: str) -> int:
    place = TopicPartition(topic, 0)
    asked = admin.list_offsets({place: OffsetSpec.earliest()})  # type: ignore[no-untyped-call]
    found: int = asked[place].result(timeout=15).offset
    return found


def join(consumer: Consumer, topic: str) -> None:
    """Subscribe, and wait for the partition."""
    consumer.subscribe([topic])

    def assigned() -> bool:
        consumer.poll(0.1)
        return bool(consumer.assignment())

    eventually(assigned, 20, lambda: "not assigned")


def test_deleted_records_are_gone_and_the_log_starts_after_them(
    admin: AdminClient, topic: str, consumer: OpenConsumer, unique: Unique
) -> None:
    assert delete_records(admin, topic, 12).result(timeout=15).low_watermark == 12
    assert earliest(admin, topic) == 12
    reader = consumer(unique("group"))
    reader.assign([TopicPartition(topic, 0, 3)])
    message = reader.poll(20)
    assert message is not None
    assert (message.offset(), message.value()) == (12, b"12")


def test_deleting_fewer_records_than_are_gone_changes_nothing(admin: AdminClient, topic: str) -> None:
    assert delete_records(admin, topic, 12).result(timeout=15).low_watermark == 12
    assert delete_records(admin, topic, 5).result(timeout=15).low_watermark == 12
    assert earliest(admin, topic) == 12


def test_every_record_is_deleted_and_offsets_go_on(kafka: Kafka, admin: AdminClient, topic: str) -> None:
    assert delete_records(admin, topic, -1).result(timeout=15).low_watermark == EVENTS
    offsets: list[int | None] = []
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    producer.produce(topic, "next", on_delivery=lambda _, message: offsets.append(message.offset()))
    assert producer.flush(20) == 0
    assert offsets == [EVENTS]


def test_records_beyond_the_end_cannot_be_deleted(admin: AdminClient, topic: str) -> None:
    assert code_of(delete_records(admin, topic, EVENTS + 1)) == KafkaError.OFFSET_OUT_OF_RANGE
    assert earliest(admin, topic) == 0


def test_records_of_a_compacted_topic_cannot_be_deleted(admin: AdminClient, unique: Unique) -> None:
    name = unique("compacted")
    settings = {"cleanup.policy": "compact"}
    admin.create_topics([NewTopic(name, num_partitions=1, config=settings)])[name].result(timeout=15)
    until_listed(admin, name)
    assert code_of(delete_records(admin, name, 0)) == KafkaError.POLICY_VIOLATION


def test_a_group_at_work_is_not_deleted(admin: AdminClient, topic: str, consumer: OpenConsumer, unique: Unique) -> None:
    group = unique("group")
    member = consumer(group)
    join(member, topic)
    assert code_of(admin.delete_consumer_groups([group])[group]) == KafkaError.NON_EMPTY_GROUP
    member.commit(offsets=[TopicPartition(topic, 0, 7)], asynchronous=False)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_group_without_members_is_deleted_with_its_offsets(
    kafka: Kafka, admin: AdminClient, topic: str, consumer: OpenConsumer, unique: Unique, protocol: str
) -> None:
    group = unique("group")
    member = consumer(group, group_protocol=protocol)
    join(member, topic)
    member.commit(offsets=[TopicPartition(topic, 0, 7)], asynchronous=False)
    member.close()
    assert committed_offsets(kafka.bootstrap, group) == {0: 7}
    admin.delete_consumer_groups([group])[group].result(timeout=15)
    assert committed_offsets(kafka.bootstrap, group) == {}
    assert code_of(admin.delete_consumer_groups([group])[group]) == KafkaError.GROUP_ID_NOT_FOUND


def test_offsets_are_altered_while_nobody_is_a_member(
    kafka: Kafka, admin: AdminClient, topic: str, consumer: OpenConsumer, unique: Unique
) -> None:
    group = unique("group")
    wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 11)])
    (answer,) = admin.alter_consumer_group_offsets([wanted]).values()
    assert [(each.offset, each.error) for each in answer.result(timeout=15).topic_partitions] == [(11, None)]
    assert committed_offsets(kafka.bootstrap, group) == {0: 11}
    member = consumer(group)
    member.subscribe([topic])
    message = member.poll(20)
    assert message is not None
    assert message.offset() == 11
    (refused,) = admin.alter_consumer_group_offsets([wanted]).values()
    (place,) = refused.result(timeout=15).topic_partitions
    assert place.error.code() == KafkaError.UNKNOWN_MEMBER_ID


def test_a_deleted_topic_takes_its_committed_offsets_along(
    kafka: Kafka, admin: AdminClient, topic: str, consumer: OpenConsumer, unique: Unique
) -> None:
    group = unique("group")
    consumer(group).commit(offsets=[TopicPartition(topic, 0, 7)], asynchronous=False)
    assert committed_offsets(kafka.bootstrap, group) == {0: 7}
    admin.delete_topics([topic])[topic].result(timeout=15)
    eventually(lambda: committed_offsets(kafka.bootstrap, group) == {}, 15, lambda: "the offset is still there")


def test_latest_is_the_last_stable_offset_for_who_reads_committed(
    kafka: Kafka, admin: AdminClient, topic: str, unique: Unique
) -> None:
    teller = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": unique("teller")})
    teller.init_transactions(20)
    teller.begin_transaction()
    teller.produce(topic, "open")
    assert teller.flush(20) == 0
    assert _latest(admin, topic, IsolationLevel.READ_COMMITTED) == EVENTS
    assert _latest(admin, topic, IsolationLevel.READ_UNCOMMITTED) == EVENTS + 1
    teller.commit_transaction(20)
    eventually(
        lambda: _latest(admin, topic, IsolationLevel.READ_COMMITTED) == EVENTS + 2, 15, lambda: "the marker is missing"
    )


def _latest(admin: AdminClient, topic: str, isolation: IsolationLevel) -> int:
    place = TopicPartition(topic, 0)
    asked = admin.list_offsets({place: OffsetSpec.latest()}, isolation_level=isolation)  # type: ignore[no-untyped-call]
    found: int = asked[place].result(timeout=15).offset
    return found


def test_a_group_says_which_protocol_it_has(
    admin: AdminClient, topic: str, consumer: OpenConsumer, unique: Unique
) -> None:
    classic, newer = unique("classic"), unique("newer")
    join(consumer(classic), topic)
    join(consumer(newer, group_protocol="consumer"), topic)
    listed = {each.group_id: each.type for each in admin.list_consumer_groups().result(timeout=15).valid}
    assert (listed[classic], listed[newer]) == (ConsumerGroupType.CLASSIC, ConsumerGroupType.CONSUMER)
    described = admin.describe_consumer_groups([newer])[newer].result(timeout=15)
    assert (described.type, described.partition_assignor) == (ConsumerGroupType.CONSUMER, "uniform")


def test_an_assignor_that_the_broker_does_not_have_is_refused(
    topic: str, consumer: OpenConsumer, unique: Unique
) -> None:
    member = consumer(unique("group"), group_protocol="consumer", group_remote_assignor="by.moonlight")
    member.subscribe([topic])
    told: list[KafkaError] = []

    def failed() -> bool:
        message = member.poll(0.2)
        if message is not None and (error := message.error()) is not None:
            told.append(error)
        return bool(told)

    eventually(failed, 20, lambda: "no error")
    assert told[0].code() == KafkaError._FATAL
    assert "assignor" in told[0].str()
