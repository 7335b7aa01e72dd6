"""Statistics of a topic's logs, as plain values: growth, keys, and the effects of operations."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AppendRate:
    """The recent rate at which events were written to a topic, by the broker's clock.

    Attributes:
        per_s: events per second over the last `RATE_NOW_MS` ms.
        counts: events in each step of time, the oldest first; the last step is not over yet.
        step_ms: the length of a step.
    """

    per_s: float
    counts: tuple[int, ...]
    step_ms: int


@dataclass(frozen=True, slots=True)
class KeyCount:
    """How often a key occurs in a sample.

    Attributes:
        key: None for events without a key.
        partitions: the partitions that have it, in order.
    """

    key: bytes | None
    events: int
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeySample:
    """The keys of the newest events of a topic.

    Attributes:
        events: how many events were read: the newest of each partition, in proportion to its size.
        of_events: how many the topic holds.
        keys: how many different keys were found, without null.
        top: the most frequent ones, most frequent first.
    """

    events: int
    of_events: int
    keys: int
    top: tuple[KeyCount, ...]


@dataclass(frozen=True, slots=True)
class KeyMove:
    """A key, its current partition, and its partition after partitions were added."""

    key: bytes
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class KeyMoves:
    """The effect of more partitions on the keys of a topic, from a sample of its newest events.

    Attributes:
        events: how many events were read.
        of_events: how many the topic holds.
        keys: how many different keys were found.
        moved: how many of them would go to another partition.
        partitioner: the partitioner that best explains the current places, used for the new places.
        explained: how many of the keys are where it puts them.
        examples: some keys that move.
        scattered: how many of the keys are in more than one partition already.
        scattered_example: one of them, None if there is none.
    """

    events: int
    of_events: int
    keys: int
    moved: int
    partitioner: str
    explained: int
    examples: tuple[KeyMove, ...]
    scattered: int = 0
    scattered_example: bytes | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """The events that one partition would lose at its start.

    Attributes:
        start: the current log start offset.
        after: the log start offset afterwards.
        end: the high watermark.
        events: how many events would be deleted.
        exact: False if `events` is an upper limit, because compaction or transaction markers left gaps.
        more: True if there may be more events to delete beyond the ones that were read.
    """

    partition: int
    start: int
    after: int
    end: int
    events: int
    exact: bool
    more: bool = False


@dataclass(frozen=True, slots=True)
class CompactionPreview:
    """The expected effect of compaction.

    Attributes:
        dirty: how many offsets were never compacted, over all partitions.
        sampled: how many of the newest of them were read.
        obsolete: how many of those have a later event with the same key, or no key.
        keys: how many different keys those have.
    """

    dirty: int
    sampled: int
    obsolete: int
    keys: int
