"""Statistics of a topic's logs: growth, keys, and the effects of operations."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.partitioner import PARTITIONERS
from sandbox.model.topics import TopicDescription


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


TOP_KEYS = 10
EXAMPLES = 8

SampledKey = tuple[int, bytes | None]
"""Partition and key of one event."""


def frequent_keys(topic: TopicDescription, keys: Sequence[SampledKey]) -> KeySample:
    """Return the most frequent keys in a sample of a topic's events."""
    counts = Counter(key for _, key in keys)
    most = dict(counts.most_common(TOP_KEYS))
    places: dict[bytes | None, set[int]] = {key: set() for key in most}
    for partition, key in keys:
        if key in places:
            places[key].add(partition)
    top = [KeyCount(key, events, tuple(sorted(places[key]))) for key, events in most.items()]
    return KeySample(len(keys), topic.events, len(counts) - (None in counts), tuple(top))


def key_moves(topic: TopicDescription, keys: Sequence[SampledKey], partitions: int) -> KeyMoves:
    """Return where the keys in a sample would go if a topic had more partitions.

    Args:
        keys: keys of its newest events, newest first in each partition: a key's first occurrence is its current place.
        partitions: the new total number of partitions.

    Raises:
        BrokerError: INVALID_PARTITIONS if it has as many already.
    """
    now = len(topic.partitions)
    if partitions <= now:
        raise BrokerError(
            "INVALID_PARTITIONS", f"{topic.topic} has {now} partitions: more can be added, none can be taken away."
        )
    places: dict[bytes, int] = {}
    scattered = set()
    for partition, key in keys:
        if key is not None and places.setdefault(key, partition) != partition:
            scattered.add(key)
    explained, partitioner = max(
        (sum(one.partition_for(key, now) == place for key, place in places.items()), name)
        for name, one in reversed(PARTITIONERS.items())
    )
    choose = PARTITIONERS[partitioner].partition_for
    moves = [
        KeyMove(key, before, after)
        for key in sorted(places)
        if (before := choose(key, now)) is not None
        and (after := choose(key, partitions)) is not None
        and before != after
    ]
    return KeyMoves(
        len(keys),
        topic.events,
        len(places),
        len(moves),
        partitioner,
        explained,
        tuple(moves[:EXAMPLES]),
        len(scattered),
        min(scattered, default=None),
    )
