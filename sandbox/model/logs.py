"""What the logs of a topic tell beside their offsets: how fast they grow, which keys they hold, what an operation
would take from them. Plain values, as in `sandbox.model.cluster`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AppendRate:
    """How many events were written to a topic lately, by the broker's clock.

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
    """How often a key was found in a sample.

    Attributes:
        key: None for events without a key.
        partitions: where it was found, in order.
    """

    key: bytes | None
    events: int
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeySample:
    """The keys of the newest events of a topic.

    Attributes:
        events: how many events were looked at: the newest of each partition, in proportion to what it holds.
        of_events: how many the topic holds.
        keys: how many different keys were found, null left out.
        top: the most frequent ones, most first.
    """

    events: int
    of_events: int
    keys: int
    top: tuple[KeyCount, ...]


@dataclass(frozen=True, slots=True)
class KeyMove:
    """A key, the partition that it goes to now, and the one after partitions were added."""

    key: bytes
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class KeyMoves:
    """What more partitions do to the keys of a topic, by a sample of its newest events.

    Attributes:
        events: how many events were looked at.
        of_events: how many the topic holds.
        keys: how many different keys were found.
        moved: how many of them go to another partition than now.
        partitioner: the one that explains where they lie now, and was asked for the new place.
        explained: how many of the keys lie where it puts them.
        examples: some that move.
        scattered: how many of the keys lie in more than one partition already.
        scattered_example: one of them, None where there is none.
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
    """What one partition loses at its start.

    Attributes:
        start: the log start offset now.
        after: the log start offset then.
        end: the high watermark.
        events: how many events go.
        exact: False where `events` is the most that can go: compaction or transaction markers left gaps in between.
        more: True where there may be more to go than was looked at.
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
    """What compaction would find to do.

    Attributes:
        dirty: how many offsets were never compacted, over all partitions.
        sampled: how many of the newest of them were looked at.
        obsolete: how many of those have a later event with the same key, or no key.
        keys: how many different keys those have.
    """

    dirty: int
    sampled: int
    obsolete: int
    keys: int
