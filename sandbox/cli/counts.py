"""How many events there are, as commands show it: counted in a sandbox file, and offsets of a cluster, which can't be.

Rows have `events`, null for a cluster, and `offsets`, the end minus the start, as the page's `.json` addresses do.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sandbox.cli.target import Target

if TYPE_CHECKING:
    from sandbox.cli.log_offsets import Place


def count_all(target: Target, spans: "Mapping[Place, tuple[int, int]]") -> "dict[Place, int | None]":
    """How many events whole logs have; None where that can't be counted."""
    if target.file is None:
        return dict.fromkeys(spans)
    from sandbox.storage.log.event_counts import events_by_partition

    found = events_by_partition(target.file.resolve())
    return {place: found.get(place) for place in spans}


def count_between(target: Target, spans: "Mapping[Place, tuple[int, int]]") -> "dict[Place, int | None]":
    """How many events logs have from an offset to before another; None where that can't be counted."""
    if target.file is None:
        return dict.fromkeys(spans)
    from sandbox.storage.log.event_counts import events_between

    found = events_between(target.file.resolve(), spans)
    return {place: found.get(place) for place in spans}


def count_unread(target: Target, group: str) -> "dict[Place, int]":
    """How many events a group has not read, by partition; empty for a cluster, where that can't be counted."""
    if target.file is None:
        return {}
    from sandbox.storage.file.database import Reader
    from sandbox.storage.file.read_only import read_only
    from sandbox.storage.groups.group_descriptions import describe_groups

    with read_only(target.file.resolve()) as connection:
        found = describe_groups(Reader(connection), 0, group)
    partitions = found[0].partitions if found else ()
    return {(one.topic, one.partition): one.unread for one in partitions if one.unread is not None}


def total(counts: "Mapping[Place, int | None]") -> int | None:
    """The sum; None if one of them is unknown."""
    known = [count for count in counts.values() if count is not None]
    return sum(known) if len(known) == len(counts) else None


def counted(events: int | None, offsets: int) -> str:
    """A number with its unit: events where they are counted, else offsets."""
    number, unit = (offsets, "offset") if events is None else (events, "event")
    return f"{number} {unit}{'' if number == 1 else 's'}"


def column(target: Target) -> str:
    """The field of a row that a table shows."""
    return "offsets" if target.file is None else "events"
