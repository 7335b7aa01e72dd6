"""Reads events with a consumer that belongs to no group and commits nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_NOT_AVAILABLE, KafkaException, TopicPartition

from sandbox.cli.status import Failed
from sandbox.kafka.event import CREATE_TIME, LOG_APPEND_TIME, Event
from sandbox.model.topics import PartitionName

BATCH_EVENTS = 500
POLL_S = 0.5
STALLED_S = 30.0
"""Seconds without any event after which a bounded read gives up."""


def event_of(message: Any) -> Event:
    """Return the event in a `confluent_kafka.Message`.

    Raises:
        Failed: the client library can't return a header's name, because it is not UTF-8.
    """
    kind, timestamp_ms = message.timestamp()
    try:
        headers = tuple(message.headers() or ())
    except (UnicodeDecodeError, SystemError) as error:
        place = f"{message.topic()}-{message.partition()} offset {message.offset()}"
        raise Failed(f"{place}: a header has a name that is not UTF-8, which the Kafka client cannot read") from error
    return Event(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        timestamp_ms=-1 if kind == TIMESTAMP_NOT_AVAILABLE else timestamp_ms,
        timestamp_type=LOG_APPEND_TIME if kind == TIMESTAMP_LOG_APPEND_TIME else CREATE_TIME,
        key=message.key(),
        value=message.value(),
        headers=headers,
    )


def read_between(consumer: Any, spans: Mapping[PartitionName, tuple[int, int]]) -> Iterator[list[Event]]:
    """Read ranges of offsets, and stop.

    Args:
        consumer: from `Target.consumer`, without an assignment.
        spans: first offset (included) and last offset (excluded), by partition. Empty spans are skipped.

    Yields:
        Events as they arrive: each partition in order, each offset once.
    """
    ends = {place: end for place, (first, end) in spans.items() if first < end}
    if not ends:
        return
    consumer.assign([TopicPartition(topic, partition, spans[(topic, partition)][0]) for topic, partition in ends])
    waited_s = 0.0
    while ends:
        events = []
        messages = consumer.consume(BATCH_EVENTS, POLL_S)
        waited_s = 0.0 if messages else waited_s + POLL_S
        if waited_s >= STALLED_S:
            raise Failed(f"no event came for {STALLED_S:g} s; {len(ends)} partitions were not read to their end")
        for message in messages:
            place = (message.topic(), message.partition())
            at = _offset_of(message)
            if place in ends and message.error() is None and at < ends[place]:
                events.append(event_of(message))
                at += 1
            if place in ends and at >= ends[place]:
                del ends[place]
        if events:
            yield events
    consumer.unassign()


def read_on(consumer: Any, firsts: Mapping[PartitionName, int]) -> Iterator[list[Event]]:
    """Read from some offsets, and follow the log. Yields an empty list if no event arrives for a while."""
    consumer.assign([TopicPartition(topic, partition, first) for (topic, partition), first in firsts.items()])
    while True:
        messages = consumer.consume(BATCH_EVENTS, POLL_S)
        yield [event_of(message) for message in messages if _offset_of(message) >= 0 and message.error() is None]


def _offset_of(message: Any) -> int:
    """Return the offset of a message, or of its partition's end. Raises the client's errors."""
    error = message.error()
    if error is not None and error.name() != "_PARTITION_EOF":
        raise KafkaException(error)
    offset: int = message.offset()
    return offset
