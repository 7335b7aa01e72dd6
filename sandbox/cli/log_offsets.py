"""Reads offsets of logs with the admin client, and counts events."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click
from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition, admin

from sandbox.cli.status import Failed
from sandbox.cli.target import TIMEOUT_S, Target
from sandbox.model.topics import PartitionName

if TYPE_CHECKING:
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


def count_all(target: Target, spans: "Mapping[PartitionName, tuple[int, int]]") -> "dict[PartitionName, int | None]":
    """Return the number of events in whole logs; None if they can't be counted."""
    if target.file is None:
        return dict.fromkeys(spans)
    from sandbox.storage.log.event_counts import events_by_partition

    found = events_by_partition(target.file.resolve())
    return {place: found.get(place) for place in spans}


def count_between(
    target: Target, spans: "Mapping[PartitionName, tuple[int, int]]"
) -> "dict[PartitionName, int | None]":
    """Return the number of events from an offset (included) to another (excluded); None if they can't be counted."""
    if target.file is None:
        return dict.fromkeys(spans)
    from sandbox.storage.log.event_counts import events_between

    found = events_between(target.file.resolve(), spans)
    return {place: found.get(place) for place in spans}


def count_unread(target: Target, group: str) -> "dict[PartitionName, int]":
    """Return a group's unread events by partition; empty for a cluster, where they can't be counted."""
    if target.file is None:
        return {}
    from sandbox.storage.file.database import Reader
    from sandbox.storage.file.read_only import read_only
    from sandbox.storage.groups.group_descriptions import describe_groups

    with read_only(target.file.resolve()) as connection:
        found = describe_groups(Reader(connection), 0, group)
    partitions = found[0].partitions if found else ()
    return {(one.topic, one.partition): one.unread for one in partitions if one.unread is not None}


def total(counts: "Mapping[PartitionName, int | None]") -> int | None:
    """Return the sum, or None if one of the counts is unknown."""
    known = [count for count in counts.values() if count is not None]
    return sum(known) if len(known) == len(counts) else None


def counted(events: int | None, offsets: int) -> str:
    """Format a count with its unit: events if they were counted, else offsets."""
    number, unit = (offsets, "offset") if events is None else (events, "event")
    return f"{number} {unit}{'' if number == 1 else 's'}"


def column(target: Target) -> str:
    """Return the field of a row that a table shows."""
    return "offsets" if target.file is None else "events"
