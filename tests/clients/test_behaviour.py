"""Answers and error codes that producers and consumers get, on the sandbox and on Apache Kafka alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from tests.clients.conftest import Kafka
from tests.clients.events import BASE_MS
from tests.clients.offsets import end_offsets, offset_of_largest_timestamp
from tests.clients.waiting import eventually, until_listed

pytestmark = [pytest.mark.clients, pytest.mark.timeout(60)]

Unique = Callable[[str], str]
OpenConsumer = Callable[..., Consumer]


@pytest.fixture
def topic(kafka: Kafka, unique: Unique) -> str:
    """A topic of one partition."""
    return create(kafka, unique("behaviour"))


@pytest.fixture
def consumer(kafka: Kafka, unique: Unique) -> Iterator[OpenConsumer]:
    """Open consumers that are closed with the test; each has a new group unless it names one."""
    opened: list[Consumer] = []

    def open_consumer(**settings: object) -> Consumer:
        config: dict[str, object] = {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": unique("group"),
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
        config.update({name.replace("_", "."): value for name, value in settings.items()})
        opened.append(Consumer(config))
        return opened[-1]

    yield open_consumer
    for each in opened:
        each.close()


def create(kafka: Kafka, topic: str, partitions: int = 1, **config: str) -> str:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    settings = {name.replace("_", "."): value for name, value in config.items()}
    admin.create_topics([NewTopic(topic, num_partitions=partitions, config=settings)])[topic].result(timeout=15)
    until_listed(admin, topic)
    return topic


def produce(
    kafka: Kafka, topic: str, values: list[bytes | None], *, times_ms: list[int] | None = None, **settings: object
) -> list[int | None]:
    """Produce to partition 0 and give the error code of each event, None if it was accepted."""
    config: dict[str, object] = {"bootstrap.servers": kafka.bootstrap, "linger.ms": 20}
    config.update({name.replace("_", "."): value for name, value in settings.items()})
    producer = Producer(config)
    codes: list[int | None] = [None] * len(values)

    def remember(number: int) -> Callable[[KafkaError | None, Message], None]:
        def delivered(error: KafkaError | None, _: Message) -> None:
            codes[number] = error.code() if error else None

        return delivered

    for number, value in enumerate(values):
        at_ms = times_ms[number] if times_ms else BASE_MS + number
        producer.produce(topic, value, partition=0, timestamp=at_ms, on_delivery=remember(number))
    assert producer.flush(20) == 0
    return codes


def take(consumer: Consumer, count: int, within_s: float = 15) -> list[Message]:
    """Poll until this number of events has arrived."""
    found: list[Message] = []
    deadline = time.monotonic() + within_s
    while len(found) < count and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None:
            if message.error() is not None:
                raise KafkaException(message.error())
            found.append(message)
    assert len(found) == count
    return found


def test_an_event_over_the_limit_is_refused_and_the_others_are_kept(kafka: Kafka, topic: str) -> None:
    assert produce(kafka, topic, [b"x" * 900_000]) == [None]
    assert produce(kafka, topic, [b"x" * 1_200_000], message_max_bytes=2_000_000) == [KafkaError.MSG_SIZE_TOO_LARGE]
    assert produce(kafka, topic, [b"small"]) == [None]
    assert end_offsets(kafka.bootstrap, topic, 1) == {0: 2}


def test_the_limit_of_a_topic_is_its_setting(kafka: Kafka, unique: Unique) -> None:
    topic = create(kafka, unique("narrow"), max_message_bytes="1000")
    assert produce(kafka, topic, [b"x" * 2000]) == [KafkaError.MSG_SIZE_TOO_LARGE]
    assert produce(kafka, topic, [b"x" * 500]) == [None]


def test_a_topic_is_created_on_first_use(kafka: Kafka, unique: Unique, consumer: OpenConsumer) -> None:
    topic = unique("first-use")
    assert produce(kafka, topic, [b"first"]) == [None]
    reader = consumer()
    reader.subscribe([topic])
    assert [message.value() for message in take(reader, 1)] == [b"first"]


def test_a_consumer_that_may_not_create_topics_is_told_that_there_is_none(
    kafka: Kafka, unique: Unique, consumer: OpenConsumer
) -> None:
    topic = unique("missing")
    reader = consumer(allow_auto_create_topics=False)
    reader.subscribe([topic])
    errors: list[int] = []

    def told() -> bool:
        message = reader.poll(0.2)
        error = message.error() if message is not None else None
        if error is not None:
            errors.append(error.code())
        return bool(errors)

    eventually(told, 15, lambda: "no error came")
    assert errors == [KafkaError.UNKNOWN_TOPIC_OR_PART]
    assert topic not in AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=15).topics


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_offsets_for_times_are_exact_within_a_batch(
    kafka: Kafka, topic: str, consumer: OpenConsumer, compression: str
) -> None:
    times_ms = [BASE_MS + after for after in (100, 300, 200, 300, 400)]
    assert produce(kafka, topic, [b"x"] * 5, times_ms=times_ms, compression_type=compression) == [None] * 5
    reader = consumer()
    wanted = {0: 0, 100: 0, 101: 1, 200: 1, 300: 1, 301: 4, 400: 4, 401: OFFSET_END}
    found = {
        after: reader.offsets_for_times([TopicPartition(topic, 0, BASE_MS + after)], timeout=15)[0].offset
        for after in wanted
    }
    assert found == wanted


def test_the_offset_of_the_largest_timestamp_is_known(kafka: Kafka, topic: str) -> None:
    times_ms = [BASE_MS + after for after in (100, 500, 200)]
    produce(kafka, topic, [b"x"] * 3, times_ms=times_ms)
    assert offset_of_largest_timestamp(kafka.bootstrap, topic, 0) == (1, BASE_MS + 500)


def test_an_empty_partition_starts_and_ends_at_zero(kafka: Kafka, topic: str, consumer: OpenConsumer) -> None:
    reader = consumer()
    assert reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=15) == (0, 0)
    assert reader.offsets_for_times([TopicPartition(topic, 0, 0)], timeout=15)[0].offset == OFFSET_END
    produce(kafka, topic, [b"x"] * 3)
    assert reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=15) == (0, 3)


def test_an_offset_beyond_the_end_is_out_of_range(kafka: Kafka, topic: str, consumer: OpenConsumer) -> None:
    produce(kafka, topic, [b"a", b"b"])
    strict = consumer(auto_offset_reset="error")
    strict.assign([TopicPartition(topic, 0, 100)])
    with pytest.raises(KafkaException) as refused:
        take(strict, 1)
    assert refused.value.args[0].code() == KafkaError._AUTO_OFFSET_RESET
    assert "OFFSET_OUT_OF_RANGE" in str(refused.value) or "out of range" in str(refused.value)
    lenient = consumer(auto_offset_reset="earliest")
    lenient.assign([TopicPartition(topic, 0, 100)])
    assert [message.value() for message in take(lenient, 2)] == [b"a", b"b"]


def test_a_consumer_reads_on_from_an_offset_inside_a_batch(kafka: Kafka, topic: str, consumer: OpenConsumer) -> None:
    produce(kafka, topic, [str(number).encode() for number in range(50)], compression_type="lz4")
    reader = consumer()
    reader.assign([TopicPartition(topic, 0, 33)])
    assert [message.offset() for message in take(reader, 17)] == list(range(33, 50))


def test_an_event_larger_than_the_fetch_limit_is_delivered(kafka: Kafka, topic: str, consumer: OpenConsumer) -> None:
    produce(kafka, topic, [b"x" * 100_000, b"y" * 100_000], linger_ms=0)
    reader = consumer(
        fetch_message_max_bytes=1000, fetch_max_bytes=1000, message_max_bytes=1000, receive_message_max_bytes=500_000
    )
    reader.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    assert [len(message.value() or b"") for message in take(reader, 2)] == [100_000, 100_000]


def test_a_waiting_fetch_is_answered_when_an_event_arrives(kafka: Kafka, topic: str, consumer: OpenConsumer) -> None:
    produce(kafka, topic, [b"first"])
    reader = consumer(fetch_wait_max_ms=20_000, socket_timeout_ms=60_000)
    reader.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    take(reader, 1)
    started = time.monotonic()
    produce(kafka, topic, [b"second"], linger_ms=0)
    assert take(reader, 1)[0].value() == b"second"
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_events_arrive_whatever_acknowledgement_is_asked_for(
    kafka: Kafka, topic: str, consumer: OpenConsumer, acks: str
) -> None:
    produce(kafka, topic, [b"a", b"b", b"c"], acks=acks)
    reader = consumer()
    reader.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    assert [message.value() for message in take(reader, 3)] == [b"a", b"b", b"c"]


def test_the_timestamp_is_the_producers_or_the_logs_by_the_topics_setting(
    kafka: Kafka, topic: str, unique: Unique, consumer: OpenConsumer
) -> None:
    stamped = create(kafka, unique("stamped"), message_timestamp_type="LogAppendTime")
    before_ms = int(time.time() * 1000)
    for each in (topic, stamped):
        produce(kafka, each, [b"x"], times_ms=[BASE_MS])
    reader = consumer()
    reader.assign([TopicPartition(topic, 0, OFFSET_BEGINNING), TopicPartition(stamped, 0, OFFSET_BEGINNING)])
    found = {message.topic(): message.timestamp() for message in take(reader, 2)}
    assert found[topic] == (TIMESTAMP_CREATE_TIME, BASE_MS)
    kind, at_ms = found[stamped]
    assert kind == TIMESTAMP_LOG_APPEND_TIME
    assert before_ms <= at_ms <= int(time.time() * 1000)


def test_commits_are_kept_with_their_metadata(topic: str, consumer: OpenConsumer) -> None:
    reader = consumer()
    reader.commit(offsets=[TopicPartition(topic, 0, 7, metadata="so far")], asynchronous=False)
    (found,) = reader.committed([TopicPartition(topic, 0)], timeout=15)
    assert (found.offset, found.metadata) == (7, "so far")


def test_a_commit_for_an_unknown_topic_is_refused(unique: Unique, consumer: OpenConsumer) -> None:
    reader = consumer()
    with pytest.raises(KafkaException) as refused:
        reader.commit(offsets=[TopicPartition(unique("missing"), 0, 1)], asynchronous=False)
    assert refused.value.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_a_group_goes_on_where_it_stopped(kafka: Kafka, topic: str, unique: Unique, consumer: OpenConsumer) -> None:
    group = unique("resumed")
    produce(kafka, topic, [str(number).encode() for number in range(10)])
    first = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    first.subscribe([topic])
    last = take(first, 4)[-1]
    first.commit(message=last, asynchronous=False)
    first.close()
    second = consumer(group_id=group)
    second.subscribe([topic])
    assert [message.offset() for message in take(second, 6)] == list(range(4, 10))


def test_who_is_no_member_cannot_commit_for_a_group_at_work(
    kafka: Kafka, topic: str, unique: Unique, consumer: OpenConsumer
) -> None:
    group = unique("fenced")
    produce(kafka, topic, [b"x"])
    member = consumer(group_id=group)
    member.subscribe([topic])
    take(member, 1)
    stranger = consumer(group_id=group)
    with pytest.raises(KafkaException) as refused:
        stranger.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)
    assert refused.value.args[0].code() == KafkaError.UNKNOWN_MEMBER_ID
    assert member.committed([TopicPartition(topic, 0)], timeout=15)[0].offset < 0


def test_members_that_share_no_assignor_are_refused(topic: str, unique: Unique, consumer: OpenConsumer) -> None:
    group = unique("disagreed")
    first = consumer(group_id=group, partition_assignment_strategy="range")
    first.subscribe([topic])
    eventually(lambda: first.poll(0.1) is None and len(first.assignment()) == 1, 15, lambda: "not assigned")
    second = consumer(group_id=group, partition_assignment_strategy="roundrobin")
    second.subscribe([topic])
    with pytest.raises(KafkaException) as refused:
        take(second, 1)
    assert refused.value.args[0].code() == KafkaError.INCONSISTENT_GROUP_PROTOCOL


def test_a_session_timeout_outside_the_limits_is_refused(topic: str, consumer: OpenConsumer) -> None:
    hasty = consumer(session_timeout_ms=100, heartbeat_interval_ms=30)
    hasty.subscribe([topic])
    with pytest.raises(KafkaException) as refused:
        take(hasty, 1)
    assert refused.value.args[0].code() == KafkaError.INVALID_SESSION_TIMEOUT


def test_a_new_topic_joins_a_subscription_by_pattern(kafka: Kafka, unique: Unique, consumer: OpenConsumer) -> None:
    prefix = unique("pattern")
    create(kafka, f"{prefix}-one")
    produce(kafka, f"{prefix}-one", [b"one"])
    reader = consumer(topic_metadata_refresh_interval_ms=300)
    reader.subscribe([f"^{prefix}-.*"])
    assert take(reader, 1)[0].topic() == f"{prefix}-one"
    reader.commit(asynchronous=False)
    create(kafka, f"{prefix}-two")
    produce(kafka, f"{prefix}-two", [b"two"])
    assert take(reader, 1)[0].topic() == f"{prefix}-two"


def test_an_idempotent_producer_keeps_its_order_over_many_batches(
    kafka: Kafka, topic: str, consumer: OpenConsumer
) -> None:
    values: list[bytes | None] = [str(number).encode() for number in range(500)]
    assert produce(kafka, topic, values, enable_idempotence=True, batch_num_messages=20) == [None] * 500
    reader = consumer(isolation_level="read_committed")
    reader.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    assert [message.value() for message in take(reader, 500)] == values
