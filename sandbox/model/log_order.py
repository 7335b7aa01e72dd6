"""Merges events for export: offset order in each partition, merged by time across partitions."""

from collections.abc import Iterable, Iterator
from heapq import merge

from sandbox.kafka.event import Event


def merged_by_time(events: Iterable[Event]) -> Iterator[Event]:
    """Merge the partitions of some events by timestamp, without reordering any partition.

    A producer may write timestamps that go backwards. The offset is the only order that consumers see, so it takes
    precedence over the timestamp.

    Args:
        events: in any order.

    Returns:
        The same events. Events of one topic and partition are in offset order.
    """
    partitions: dict[tuple[str, int], list[Event]] = {}
    for event in events:
        partitions.setdefault((event.topic, event.partition), []).append(event)
    for found in partitions.values():
        found.sort(key=lambda event: event.offset)
    # merge() only ever compares the first event of each partition, so it keeps the order within one.
    return merge(*partitions.values(), key=lambda event: (event.timestamp_ms, event.partition))
