"""Reads partitions and offsets of logs with the admin client, for several commands."""

from collections.abc import Iterable
from typing import Any

import click
from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition, admin

from sandbox.cli.status import Failed
from sandbox.cli.target import TIMEOUT_S
from sandbox.model.topics import PartitionName

KAFKA_ADMIN: Any = admin
"""confluent_kafka.admin, whose classes have no type annotations."""


def places_of(client: Any, topic: str) -> list[PartitionName]:
    """Return a topic's partitions in order. Raises Failed if the topic doesn't exist; it is not created."""
    # Requesting the metadata of one topic may create it. Listing all topics never does.
    topics = client.list_topics(timeout=TIMEOUT_S).topics
    if topic not in topics:
        known = ", ".join(sorted(name for name in topics if not name.startswith("__"))[:20])
        raise Failed(f"UNKNOWN_TOPIC_OR_PARTITION: there is no topic {topic}. Topics here: {known or 'none'}")
    return [(topic, partition) for partition in sorted(topics[topic].partitions)]


def offsets_at_time(client: Any, places: Iterable[PartitionName], timestamp_ms: int) -> dict[PartitionName, int]:
    """Return the first offset at or after a time for each partition, without partitions that have no such event.

    Args:
        timestamp_ms: milliseconds since 1970. A time before 1970 is before every event.
    """
    if timestamp_ms < 0:
        # In ListOffsets, negative times have other meanings: -1 is the end of the log.
        return _offsets(client, places, KAFKA_ADMIN.OffsetSpec.earliest())
    found = _offsets(client, places, KAFKA_ADMIN.OffsetSpec.for_timestamp(timestamp_ms))
    return {place: offset for place, offset in found.items() if offset >= 0}


def ends_of(client: Any, places: Iterable[PartitionName]) -> dict[PartitionName, int]:
    """Return the high watermark of each partition."""
    return _offsets(client, places, KAFKA_ADMIN.OffsetSpec.latest())


def stable_ends_of(client: Any, places: Iterable[PartitionName]) -> dict[PartitionName, int]:
    """Return the last stable offset of each partition, up to which this program's read_committed consumers read."""
    return _offsets(client, places, KAFKA_ADMIN.OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)


def tell_held_back(client: Any, places: Iterable[PartitionName]) -> None:
    """Report on stderr which events a read_committed consumer doesn't receive because of an open transaction."""
    places = list(places)
    # In this order, so that events that are written meanwhile don't look held back.
    ends = ends_of(client, places)
    stable = stable_ends_of(client, places)
    for (topic, partition), end in ends.items():
        first = stable[topic, partition]
        if first < end:
            held = f"{topic}, partition {partition}: offsets {first} to {end - 1} are held back"
            click.echo(f"{held} by an open transaction; read again once it has ended.", err=True)


def _offsets(
    client: Any, places: Iterable[PartitionName], spec: Any, isolation: Any = IsolationLevel.READ_UNCOMMITTED
) -> dict[PartitionName, int]:
    asked = {TopicPartition(topic, partition): spec for topic, partition in places}
    if not asked:
        return {}
    futures = client.list_offsets(asked, isolation_level=isolation, request_timeout=TIMEOUT_S)
    return {(place.topic, place.partition): future.result().offset for place, future in futures.items()}


def ranges(client: Any, places: Iterable[PartitionName]) -> dict[PartitionName, tuple[int, int]]:
    """Return the log start offset and high watermark of each partition."""
    places = list(places)
    starts = _offsets(client, places, KAFKA_ADMIN.OffsetSpec.earliest())
    ends = ends_of(client, places)
    return {place: (starts[place], ends[place]) for place in places}


def committed_offsets(client: Any, group: str) -> dict[PartitionName, int]:
    """Return the group's committed offsets by partition."""
    asked = [ConsumerGroupTopicPartitions(group)]
    found = client.list_consumer_group_offsets(asked, request_timeout=TIMEOUT_S)[group].result().topic_partitions
    for place in found:
        if place.error is not None:
            raise KafkaException(place.error)
    return {(place.topic, place.partition): place.offset for place in found if place.offset >= 0}
