"""A topic's log end offsets and a group's commits, read through confluent-kafka."""

from __future__ import annotations

from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

# The library's own types leave OffsetSpec out.
SPEC: Any = OffsetSpec


def end_offsets(bootstrap: str, topic: str, partitions: int) -> dict[int, int]:
    """The end offset of each partition of a topic."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    asked = {TopicPartition(topic, number): SPEC.latest() for number in range(partitions)}
    answers = admin.list_offsets(asked)
    return {each.partition: future.result(timeout=10).offset for each, future in answers.items()}


def offset_of_largest_timestamp(bootstrap: str, topic: str, partition: int) -> tuple[int, int]:
    """The offset of the event with the largest timestamp, and that timestamp in milliseconds."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    asked = TopicPartition(topic, partition)
    found = admin.list_offsets({asked: SPEC.max_timestamp()})[asked].result(timeout=10)
    return found.offset, found.timestamp


def committed_offsets(bootstrap: str, group: str) -> dict[int, int]:
    """What a group has committed, by partition. The group reads one topic."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    answer = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(timeout=10)
    return {each.partition: each.offset for each in answer.topic_partitions or []}
