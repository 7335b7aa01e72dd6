"""Counts events for commands: events in a sandbox file, only offsets in a cluster, where events can't be counted.

Rows have `events` (null for a cluster) and `offsets` (end minus start), like the page's `.json` addresses.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sandbox.cli.target import Target

if TYPE_CHECKING:
    from sandbox.model.topics import PartitionName


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
