"""Reads stretches of several logs at a time with one consumer without a group, within a time limit."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaException,
    Message,
    TopicPartition,
)

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import CREATE_TIME, LOG_APPEND_TIME, Event, Headers
from sandbox.model import cancellation
from sandbox.remote.connection import ClusterConnection

CONSUME_AT_ONCE = 500
CONSUME_WAIT_S = 0.1
_END = "_PARTITION_EOF"
_GONE = ("OFFSET_OUT_OF_RANGE", "_AUTO_OFFSET_RESET")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of one log: from `first`, up to but not including `until`."""

    first: int
    until: int


def event_of(message: Message) -> Event:
    """Convert a consumer's message to an event. It is unknown if the transaction was aborted."""
    kind, timestamp_ms = message.timestamp()
    if kind == TIMESTAMP_NOT_AVAILABLE:
        timestamp_ms = -1
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    return Event(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp_ms=timestamp_ms,
        timestamp_type=LOG_APPEND_TIME if kind == TIMESTAMP_LOG_APPEND_TIME else CREATE_TIME,
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=_headers(message),
    )


def _bytes(data: object) -> bytes | None:
    return data.encode() if isinstance(data, str) else data if isinstance(data, bytes) else None


def _headers(message: Message) -> Headers:
    try:
        found: Any = message.headers() or []
    except UnicodeDecodeError:
        # The client library can't return a name that is not UTF-8, nor the headers beside it.
        return (("(a header whose name is not UTF-8)", None),)
    return tuple((name, _bytes(content)) for name, content in found)


def read_stretches(
    connection: ClusterConnection,
    topic: str,
    stretches: Mapping[int, Stretch],
    take: Callable[[Event], bool],
    deadline_s: float,
) -> set[int]:
    """Read a stretch of each of some partitions of a topic.

    Args:
        connection: the cluster.
        stretches: the offsets to read, by partition.
        take: called with each event, by partition and offset; returns False to skip the rest of that partition.
        deadline_s: when to stop, by `time.monotonic`.

    Returns:
        The partitions whose stretch was read completely. For the others the time was insufficient.

    Raises:
        BrokerError: the cluster refuses the request; ClusterAway if it doesn't answer.
    """
    wanted = {(topic, partition): stretch for partition, stretch in stretches.items()}
    return {partition for _, partition in read_places(connection, wanted, take, deadline_s)}


def read_places(
    connection: ClusterConnection,
    stretches: Mapping[tuple[str, int], Stretch],
    take: Callable[[Event], bool],
    deadline_s: float,
) -> set[tuple[str, int]]:
    """As `read_stretches`, of partitions of any topics."""
    left = {place: stretch.until for place, stretch in stretches.items() if stretch.first < stretch.until}
    done = set(stretches) - set(left)
    if not left:
        return done
    consumer = connection.consumer()
    try:
        connection.ask(
            lambda _: consumer.assign([TopicPartition(*place, stretches[place].first) for place in sorted(left)])
        )
        heard_s = time.monotonic()
        while left:
            cancellation.check()
            now_s = time.monotonic()
            if now_s >= deadline_s:
                break
            first = consumer.poll(min(CONSUME_WAIT_S, max(0.01, deadline_s - now_s)))
            # `consume` waits until it has the requested number, so request no more than exists.
            messages = [] if first is None else [first, *consumer.consume(CONSUME_AT_ONCE, 0)]
            if messages:
                heard_s = time.monotonic()
            elif now_s - heard_s > connection.timeout_s:
                raise connection.away("it gives no events")
            for message in messages:
                _one(connection, consumer, message, left, take)
    except KafkaException as error:
        raise connection.error_of(error) from None
    finally:
        connection.keep(consumer)
    return done | (set(stretches) - set(left))


def _one(
    connection: ClusterConnection,
    consumer: Consumer,
    message: Message,
    left: dict[tuple[str, int], int],
    take: Callable[[Event], bool],
) -> None:
    partition = message.partition()
    place = (message.topic() or "", -1 if partition is None else partition)
    error = message.error()
    if error is not None:
        if error.name() == _END or error.name() in _GONE:
            _leave(consumer, place, left)
            return
        refused: BrokerError = connection.error_of(error)
        if error.name() in ("_TRANSPORT", "_ALL_BROKERS_DOWN") and not error.fatal():
            return  # the client tries again until the time is up
        raise refused
    until = left.get(place)
    if until is None:
        return
    event = event_of(message)
    wanted = event.offset < until and take(event)
    if not wanted or event.offset >= until - 1:
        _leave(consumer, place, left)


def _leave(consumer: Consumer, place: tuple[str, int], left: dict[tuple[str, int], int]) -> None:
    if left.pop(place, None) is not None and left:
        consumer.pause([TopicPartition(*place)])
