"""Resetting a group: what would be committed, partition by partition, before anything is."""

from sandbox.description import PartitionLag, ResetLine
from sandbox.errors import BrokerError
from sandbox.storage.database import Reader
from sandbox.storage.group_descriptions import describe_groups
from sandbox.storage.messages import offsets_for_time
from sandbox.storage.topic_descriptions import partition_ids

MODES = "earliest, latest, offset:N, time:MS, shift:+N, shift:-N, group:OTHER"


def plan_reset(
    reader: Reader, group: str, now_ms: int, topic: str | None, partition: int | None, to: str
) -> list[ResetLine]:
    """What a reset would do.

    Args:
        topic: only this one, which the group need not have read yet; None for those it has committed in or reads.
        partition: only this one.
        to: one of `MODES`.

    Raises:
        BrokerError: GROUP_ID_NOT_FOUND, UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST.
    """
    found = describe_groups(reader, now_ms, group)
    known = {(one.topic, one.partition): one for one in (found[0].partitions if found else ())}
    if topic is None and not found:
        raise BrokerError("GROUP_ID_NOT_FOUND", f"There is no group {group}. Name a topic to make one.")
    lines = []
    for name in [topic] if topic is not None else sorted({one for one, _ in known}):
        places = partition_ids(reader, name)
        if places is None or (partition is not None and partition not in places):
            where = name if partition is None else f"{name}-{partition}"
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic or partition {where}.")
        for number, (_, start, end) in places.items():
            if partition is None or number == partition:
                after = _target(reader, now_ms, name, number, (start, end), known.get((name, number)), to)
                if after is not None:
                    lines.append(_line(name, number, (start, end), known.get((name, number)), after))
    return lines


def _target(
    reader: Reader,
    now_ms: int,
    topic: str,
    partition: int,
    bounds: tuple[int, int],
    current: PartitionLag | None,
    to: str,
) -> int | None:
    """The offset that a partition would get; None to leave it as it is."""
    start, end = bounds
    mode, _, argument = to.partition(":")
    if mode == "earliest" and not argument:
        return start
    if mode == "latest" and not argument:
        return end
    if mode == "group" and argument:
        other = describe_groups(reader, now_ms, argument)
        if not other:
            raise BrokerError("GROUP_ID_NOT_FOUND", f"There is no group {argument}.")
        offsets = {(one.topic, one.partition): one.committed for one in other[0].partitions}
        wanted = offsets.get((topic, partition))
        return None if wanted is None else min(max(wanted, start), end)
    try:
        number = int(argument)
    except ValueError:
        raise BrokerError("INVALID_REQUEST", f"A reset goes to one of: {MODES}; not {to!r}.") from None
    if mode == "time":
        at = offsets_for_time(reader, topic, number)[partition]
        return end if at is None else at
    if mode == "offset" and number >= 0:
        wanted = number
    elif mode == "shift":
        if current is None or current.committed is None:
            return None
        wanted = current.committed + number
    else:
        raise BrokerError("INVALID_REQUEST", f"A reset goes to one of: {MODES}; not {to!r}.")
    return min(max(wanted, start), end)


def _line(topic: str, partition: int, bounds: tuple[int, int], current: PartitionLag | None, after: int) -> ResetLine:
    start, end = bounds
    before = current.committed if current else None
    at = start if before is None else before
    return ResetLine(
        topic=topic,
        partition=partition,
        before=before,
        after=after,
        start=start,
        end=end,
        lag_after=end - after,
        skipped=max(0, after - max(at, start)),
        repeated=max(0, min(at, end) - after),
    )
