"""Computes a reset: the offsets that would be committed, partition by partition."""

from collections.abc import Mapping

from sandbox.kafka.errors import BrokerError, shown_name
from sandbox.model.groups import GroupDescription, PartitionLag, ResetLine
from sandbox.model.topics import PartitionName
from sandbox.storage.file.database import Reader
from sandbox.storage.groups.group_descriptions import describe_groups
from sandbox.storage.groups.group_history import last_reset
from sandbox.storage.groups.unread import count_unread
from sandbox.storage.log.topic_descriptions import partition_ids
from sandbox.storage.search.messages import offsets_for_time

MODES = "earliest, latest, offset:N, time:MS, shift:+N, shift:-N, group:OTHER, back"


def plan_reset(
    reader: Reader, group: str, now_ms: int, topic: str | None, partition: int | None, to: str
) -> list[ResetLine]:
    """Compute what a reset would change.

    Args:
        topic: only this one, which the group need not have read yet; None for the topics it reads or has committed in,
            and with "group" the other group's topics.
        partition: only this one.
        to: one of `MODES`; "back" means the offsets before the last reset.

    Raises:
        BrokerError: GROUP_ID_NOT_FOUND, UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST.
    """
    found = describe_groups(reader, now_ms, group)
    known = {(one.topic, one.partition): one for one in (found[0].partitions if found else ())}
    if topic is None and not found:
        raise BrokerError("GROUP_ID_NOT_FOUND", f"There is no group {shown_name(group)}. Name a topic to make one.")
    target = _Target(reader, now_ms, found[0] if found else None, to)
    topics = {topic} if topic is not None else {one for one, _ in known} | target.topics
    places = _places(reader, sorted(topics), partition)
    lines = []
    for name, (_, start, end) in places.items():
        after = target.offset(name, (start, end), known.get(name))
        if after is not None:
            lines.append(_line(reader, name, places[name], known.get(name), after))
    return lines


def _places(reader: Reader, topics: list[str], partition: int | None) -> dict[PartitionName, tuple[int, int, int]]:
    """Return the row id, start and end of each (topic, partition) that is reset."""
    places = {}
    for topic in topics:
        bounds = partition_ids(reader, topic)
        if bounds is None or (partition is not None and partition not in bounds):
            where = topic if partition is None else f"{topic}-{partition}"
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic or partition {shown_name(where)}.")
        for number, place in bounds.items():
            if partition is None or number == partition:
                places[topic, number] = place
    return places


class _Target:
    """The target of a reset. Data that all partitions share is read once.

    Args:
        group: the group to reset; None if it doesn't exist yet.
        to: one of `MODES`.
    """

    def __init__(self, reader: Reader, now_ms: int, group: GroupDescription | None, to: str) -> None:
        self._reader = reader
        self._to = to
        self._mode, _, self._argument = to.partition(":")
        self._at_time: dict[str, dict[int, int | None]] = {}
        self._number = 0
        self._offsets: Mapping[PartitionName, int | None] = {}
        if self._mode == "group" and self._argument:
            other = describe_groups(reader, now_ms, self._argument)
            if not other:
                raise BrokerError("GROUP_ID_NOT_FOUND", f"There is no group {shown_name(self._argument)}.")
            self._offsets = {(one.topic, one.partition): one.committed for one in other[0].partitions}
        elif to == "back":
            self._offsets = _before(reader, group)
        elif to not in ("earliest", "latest"):
            self._number = self._integer()

    @property
    def topics(self) -> set[str]:
        """The topics for which the target has offsets."""
        return {topic for (topic, _), offset in self._offsets.items() if offset is not None}

    def _integer(self) -> int:
        refused = BrokerError("INVALID_REQUEST", f"A reset goes to one of: {MODES}; not {self._to!r}.")
        try:
            number = int(self._argument)
        except ValueError:
            raise refused from None
        if self._mode not in ("offset", "time", "shift") or (self._mode == "offset" and number < 0):
            raise refused
        return number

    def offset(self, name: PartitionName, bounds: tuple[int, int], current: PartitionLag | None) -> int | None:
        """Return a partition's new offset; None to leave it unchanged."""
        start, end = bounds
        wanted: int | None
        if self._to == "earliest":
            return start
        if self._to == "latest":
            return end
        if self._mode == "time":
            return self._offset_at_time(name, end)
        if self._mode == "offset":
            wanted = self._number
        elif self._mode == "shift":
            committed = current.committed if current else None
            wanted = None if committed is None else committed + self._number
        else:
            wanted = self._offsets.get(name)
        return None if wanted is None else min(max(wanted, start), end)

    def _offset_at_time(self, name: PartitionName, end: int) -> int:
        topic, partition = name
        if topic not in self._at_time:
            self._at_time[topic] = offsets_for_time(self._reader, topic, self._number)
        at = self._at_time[topic][partition]
        return end if at is None else at


def _before(reader: Reader, group: GroupDescription | None) -> Mapping[PartitionName, int | None]:
    """Return the offsets before the last reset."""
    names = [(one.topic, one.partition) for one in (group.partitions if group else ()) if one.committed is not None]
    found = last_reset(reader, group.group, names, group.generation > 0) if group else None
    if found is None:
        raise BrokerError(
            "INVALID_REQUEST", "There is no reset to go back from: the group has committed since, or was never reset."
        )
    return found.before


def _line(
    reader: Reader, name: PartitionName, place: tuple[int, int, int], current: PartitionLag | None, after: int
) -> ResetLine:
    partition_id, start, end = place
    before = current.committed if current else None
    at = start if before is None else min(max(before, start), end)
    passed = count_unread(reader, partition_id, at, end) - count_unread(reader, partition_id, after, end)
    return ResetLine(
        topic=name[0],
        partition=name[1],
        before=before,
        after=after,
        start=start,
        end=end,
        lag_after=end - after,
        skipped=max(0, passed),
        repeated=max(0, -passed),
    )
