"""Descriptions of topics and partitions, each read in one transaction."""

from dataclasses import dataclass

PartitionName = tuple[str, int]
"""A topic and a partition number."""


@dataclass(frozen=True, slots=True)
class PartitionDescription:
    """The state of a partition.

    Attributes:
        partition: 0 and up.
        start: the log start offset, the first one that can be read.
        end: the high watermark, the offset that the next event gets.
        events: the number of events; end - start if they can't be counted.
        size_bytes: the size of the record batches as produced.
        last_timestamp_ms: the timestamp of the last event, or None for an empty log.
        last_append_ms: when the last batch was written, by the broker's clock, or None.
        leader: broker id of the leader, -1 for none.
        replicas: broker ids.
        isr: broker ids of the in-sync replicas.
        counted: False if `events` counts offsets: a cluster doesn't report compacted offsets and transaction markers.
    """

    partition: int
    start: int
    end: int
    events: int
    size_bytes: int
    last_timestamp_ms: int | None
    last_append_ms: int | None
    leader: int
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    counted: bool = True

    @property
    def offsets(self) -> int:
        """How many offsets there are from the start to the end."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """The state of a topic.

    Attributes:
        topic_id: Kafka's UUID, as text.
        events: how many can be read, over all partitions.
        settings: only settings that were set for this topic.
        groups: ids of the groups that have committed here or have members reading it.
    """

    topic: str
    topic_id: str
    created_ms: int
    events: int
    size_bytes: int
    last_append_ms: int | None
    settings: dict[str, str]
    partitions: tuple[PartitionDescription, ...]
    groups: tuple[str, ...]

    @property
    def counted(self) -> bool:
        """False if `events` counts offsets."""
        return all(one.counted for one in self.partitions)

    @property
    def offsets(self) -> int:
        """How many offsets there are, over all partitions that can be read."""
        return sum(one.offsets for one in self.partitions if one.start >= 0)
