"""Analyzes a sample of a topic's keys: the most frequent ones, and those that move when partitions are added."""

from collections import Counter
from collections.abc import Sequence

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.partitioner import PARTITIONERS
from sandbox.model.cluster import TopicDescription
from sandbox.model.logs import KeyCount, KeyMove, KeyMoves, KeySample

TOP_KEYS = 10
EXAMPLES = 8

Key = tuple[int, bytes | None]
"""Partition and key of one event."""


def frequent_keys(topic: TopicDescription, keys: Sequence[Key]) -> KeySample:
    """Return the most frequent keys in a sample of a topic's events."""
    counts = Counter(key for _, key in keys)
    most = dict(counts.most_common(TOP_KEYS))
    places: dict[bytes | None, set[int]] = {key: set() for key in most}
    for partition, key in keys:
        if key in places:
            places[key].add(partition)
    top = [KeyCount(key, events, tuple(sorted(places[key]))) for key, events in most.items()]
    return KeySample(len(keys), topic.events, len(counts) - (None in counts), tuple(top))


def key_moves(topic: TopicDescription, keys: Sequence[Key], partitions: int) -> KeyMoves:
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
