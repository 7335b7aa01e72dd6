"""Groups: committed offsets, history and resets; windows and records of share groups."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sandbox.api.group_history import SandboxGroupHistory
from sandbox.broker.groups.calls import DescribedMember, OffsetCommit
from sandbox.broker.shares.window import RecordState, Window
from sandbox.kafka.errors import BrokerError, shown_name
from sandbox.model.group_history import LagPoint, Rebalance
from sandbox.model.groups import (
    GroupDescription,
    GroupSummary,
    GroupWaits,
    MemberDescription,
    PartitionLag,
    ResetLine,
    ShareWindow,
)
from sandbox.model.topics import PartitionName
from sandbox.runtime.runtime import Runtime
from sandbox.storage.file.content import OfContent
from sandbox.storage.file.database import Reader
from sandbox.storage.groups.group_descriptions import describe_groups
from sandbox.storage.groups.group_history import last_reset, list_rebalances
from sandbox.storage.groups.group_summaries import GroupSummaries
from sandbox.storage.groups.groups import SHARE_TYPE
from sandbox.storage.groups.shares import describe_windows
from sandbox.storage.groups.unread import count_unread
from sandbox.storage.log.topic_descriptions import partition_ids
from sandbox.storage.search.messages import offsets_for_time
from sandbox.wire.group_bytes import subscribed_topics

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
    places = _logs_of(reader, sorted(topics), partition)
    lines = []
    for name, (_, start, end) in places.items():
        after = target.offset(name, (start, end), known.get(name))
        if after is not None:
            lines.append(_line(reader, name, places[name], known.get(name), after))
    return lines


def _logs_of(reader: Reader, topics: list[str], partition: int | None) -> dict[PartitionName, tuple[int, int, int]]:
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


PLACES_MAX = 4
"""A reset of more offsets than this is recorded without listing each of them."""


def set_offsets(
    runtime: Runtime, group: str, offsets: Mapping[PartitionName, int | None], reset_to: str | None = None
) -> None:
    """Set committed offsets of a group that has no members, in one commit. Creates the group if it doesn't exist.

    Args:
        offsets: by topic and partition; None deletes the committed offset.
        reset_to: the reset's target as requested; None for a plain commit.

    Raises:
        BrokerError: NON_EMPTY_GROUP, UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST for a negative offset; nothing was
            changed.
    """
    commits = [OffsetCommit(*name, offset, -1, "") for name, offset in offsets.items() if offset is not None]
    forgotten = [name for name, offset in offsets.items() if offset is None]

    def change(now_ms: int) -> None:
        _commit(runtime, group, commits, reset_to, now_ms)
        if forgotten:
            answer = runtime.coordinator.delete_offsets(group, forgotten)
            if answer.error == "NON_EMPTY_GROUP":
                raise BrokerError(answer.error, f"Group {group} has members. Stop them first: Kafka refuses this too.")

    runtime.call(change)


def commit_offsets(runtime: Runtime, group: str, offsets: Sequence[OffsetCommit], reset_to: str | None = None) -> None:
    """Commit offsets for a group that has no members. Creates the group if it doesn't exist.

    Args:
        reset_to: the reset's target as requested; None for a plain commit.

    Raises:
        BrokerError: NON_EMPTY_GROUP, UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST for a negative offset; nothing was
            committed.
    """
    runtime.call(lambda now_ms: _commit(runtime, group, offsets, reset_to, now_ms))


def _commit(runtime: Runtime, group: str, offsets: Sequence[OffsetCommit], reset_to: str | None, now_ms: int) -> None:
    for one in offsets:
        if not 0 <= one.offset < 2**63:
            raise BrokerError("INVALID_REQUEST", f"An offset to commit is 0 or more, not {one.offset}.")
        runtime.broker.topic(one.topic).partition(one.partition)
    error = runtime.coordinator.set_offsets(group, offsets, now_ms)
    if error == "NON_EMPTY_GROUP":
        raise BrokerError(error, f"Group {group} has members. Stop them first: Kafka refuses this too.")
    if error != "NONE":
        raise BrokerError(error)
    if reset_to is not None and offsets:
        topics = {one.topic for one in offsets}
        details = {"to": reset_to, "committed_offsets": len(offsets), "places": _places(offsets)}
        runtime.broker.turn.note("reset", details, topic=topics.pop() if len(topics) == 1 else None, group=group)


def _places(offsets: Sequence[OffsetCommit]) -> list[dict[str, object]]:
    """Return the new offsets if they are few; empty if they are many."""
    if len(offsets) > PLACES_MAX:
        return []
    return [{"topic": one.topic, "partition": one.partition, "offset": one.offset} for one in offsets]


def set_start_offsets(runtime: Runtime, group: str, starts: Mapping[PartitionName, int], reset_to: str) -> None:
    """Set start offsets of a share group without members. The state of every record in flight is forgotten.

    Raises:
        BrokerError: GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP, UNKNOWN_TOPIC_OR_PARTITION.
    """

    def change(now_ms: int) -> None:
        _check_no_members(runtime, group)
        for (topic, partition), offset in starts.items():
            runtime.coordinator.shares.begin(group, runtime.broker.topic(topic).partition(partition), offset)
        topics = {topic for topic, _ in starts}
        if topics:
            details = {"to": reset_to, "committed_offsets": len(starts), "places": []}
            runtime.broker.turn.note("reset", details, topic=topics.pop() if len(topics) == 1 else None, group=group)

    runtime.call(change)


def delete_start_offsets(runtime: Runtime, group: str, topic: str) -> None:
    """Delete the state of a share group without members in a topic; see `set_start_offsets`."""

    def delete(now_ms: int) -> None:
        _check_no_members(runtime, group)
        runtime.coordinator.shares.delete(group, [one.id for one in runtime.broker.topic(topic).partitions])
        runtime.broker.turn.note("deleted", {"resource": "committed_offsets"}, topic=topic, group=group)

    runtime.call(delete)


def _check_no_members(runtime: Runtime, group: str) -> None:
    if runtime.coordinator.share_group(group).members:
        raise BrokerError("NON_EMPTY_GROUP", f"Group {group} has members. Stop them first: Kafka refuses this too.")


def delete_group(runtime: Runtime, group: str) -> None:
    """Delete a group without members, and its offsets. Raises NON_EMPTY_GROUP or GROUP_ID_NOT_FOUND."""

    def delete(now_ms: int) -> None:
        error = runtime.coordinator.delete(group, now_ms)
        if error != "NONE":
            raise BrokerError(error, f"Group {group} cannot be deleted: {BrokerError(error).detail}")

    runtime.call(delete)


def delete_offsets(runtime: Runtime, group: str, partitions: Sequence[tuple[str, int]]) -> None:
    """Delete committed offsets of a group, in topics that none of its members subscribes to.

    Raises:
        BrokerError: GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP, GROUP_SUBSCRIBED_TO_TOPIC; nothing was deleted in that topic.
    """

    def delete(now_ms: int) -> None:
        answer = runtime.coordinator.delete_offsets(group, partitions)
        errors = [answer.error, *(one.error for one in answer.partitions)]
        error = next((one for one in errors if one != "NONE"), None)
        if error is not None:
            raise BrokerError(error, f"The offsets of {group} cannot be deleted: {BrokerError(error).detail}")
        for topic in {topic for topic, _ in partitions}:
            runtime.broker.turn.note("deleted", {"resource": "committed_offsets"}, topic=topic, group=group)

    runtime.call(delete)


def with_members(runtime: Runtime, group: GroupDescription) -> GroupDescription:
    """Add what isn't stored: each member's last heartbeat, the requests of classic members, and the members that a
    rebalance waits for.
    """
    if not group.members and group.state == "Empty":
        return replace(group, waits=GroupWaits())

    def ask(now_ms: int) -> tuple[dict[str, int | None], dict[str, DescribedMember], GroupWaits]:
        described = runtime.coordinator.describe(group.group).members
        heard = runtime.coordinator.last_heartbeats(group.group)
        return heard, {one.member_id: one for one in described}, runtime.coordinator.waits(group.group, now_ms)

    heard, described, waits = runtime.call(ask, changes=False)
    members = (_with_call(one, heard.get(one.member_id), described.get(one.member_id)) for one in group.members)
    return replace(group, members=tuple(members), waits=waits)


def _with_call(member: MemberDescription, heard_ms: int | None, known: DescribedMember | None) -> MemberDescription:
    topics = subscribed_topics(known.metadata) if known and known.metadata else None
    subscription = member.subscription if topics is None else tuple(sorted(topics))
    return replace(member, last_heartbeat_ms=heard_ms, subscription=subscription)


class SandboxGroups:
    """The direct API's operations on groups.

    Args:
        runtime: the owner of the file.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self.group_history = SandboxGroupHistory(runtime)
        self._summaries = OfContent(GroupSummaries)

    def groups(self) -> tuple[GroupDescription, ...]:
        """Return all groups, sorted by id."""
        with self._database.reader() as reader:
            found = describe_groups(reader, self._runtime.clock())
        return tuple(self._with_coordinator(one) for one in found)

    def group_summaries(self) -> tuple[GroupSummary, ...]:
        """Return summaries of all groups, sorted by id: less detail than `groups`, for much less work."""
        with self._database.reader() as reader:
            return self._summaries.of(reader).read(reader, self._runtime.clock())

    def _with_coordinator(self, group: GroupDescription) -> GroupDescription:
        return replace(group, coordinator=self._runtime.broker.cluster.coordinator(group.group))

    def group(self, group: str) -> GroupDescription:
        """Return one group. Raises BrokerError GROUP_ID_NOT_FOUND if it doesn't exist."""
        with self._database.reader() as reader:
            found = describe_groups(reader, self._runtime.clock(), group)
        if not found:
            raise BrokerError("GROUP_ID_NOT_FOUND", f"There is no group {shown_name(group)}.")
        return with_members(self._runtime, self._with_coordinator(found[0]))

    def lag(self, group: str) -> tuple[PartitionLag, ...]:
        """Return a group's committed offset and lag in each partition."""
        return self.group(group).partitions

    def lag_history(self, group: str, *, since_ms: int, points: int = 120) -> list[LagPoint]:
        """Return a group's lag at `points` times from `since_ms` until now, computed from the rows."""
        return self.group_history.lag(group, since_ms=since_ms, points=points)

    def rebalances(self, group: str, limit: int = 50) -> list[Rebalance]:
        """Return the latest rebalances of a group, newest first."""
        with self._database.reader() as reader:
            return list_rebalances(reader, group, limit)

    def commit(self, group: str, topic: str, partition: int, offset: int, metadata: str = "") -> None:
        """Commit an offset for a group without members.

        Raises:
            BrokerError: NON_EMPTY_GROUP, UNKNOWN_TOPIC_OR_PARTITION.
        """
        commit_offsets(self._runtime, group, [OffsetCommit(topic, partition, offset, -1, metadata)])

    def preview_reset(
        self, group: str, *, topic: str | None = None, partition: int | None = None, to: str
    ) -> list[ResetLine]:
        """Preview `reset`, partition by partition."""
        with self._database.reader() as reader:
            return plan_reset(reader, group, self._runtime.clock(), topic, partition, to)

    def reset(self, group: str, *, topic: str | None = None, partition: int | None = None, to: str) -> list[ResetLine]:
        """Reset the committed offsets, or the start offsets of a share group, of a group without members.

        Args:
            topic: only this one; None for all topics in which the group has committed.
            partition: only this one.
            to: "earliest", "latest", "offset:N", "time:MS", "shift:+N", "shift:-N", "group:OTHER", or "back": the
                offsets before the last reset. Offsets outside a log are moved to its start or end.

        Raises:
            BrokerError: NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, INVALID_REQUEST.
        """
        plan = self.preview_reset(group, topic=topic, partition=partition, to=to)
        if self._is_share(group):
            set_start_offsets(self._runtime, group, {(line.topic, line.partition): line.after for line in plan}, to)
            return plan
        after: dict[PartitionName, int | None] = {(line.topic, line.partition): line.after for line in plan}
        if to == "back":
            # Partitions that had no commit have none again.
            with self._database.reader() as reader:
                before = _before(reader, describe_groups(reader, self._runtime.clock(), group)[0])
            after |= {
                name: None
                for name, offset in before.items()
                if offset is None and topic in (None, name[0]) and partition in (None, name[1])
            }
        set_offsets(self._runtime, group, after, to)
        return plan

    def restore_offsets(self, group: str, offsets: Mapping[PartitionName, int | None]) -> int:
        """Restore committed offsets of a group without members, such as those from before a reset, in one commit.

        Args:
            offsets: by topic and partition; None deletes the committed offset.

        Returns:
            The number of partitions with a changed offset.

        Raises:
            BrokerError: NON_EMPTY_GROUP, UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST; nothing was changed.
        """
        if self._is_share(group):
            starts = {name: offset for name, offset in offsets.items() if offset is not None}
            set_start_offsets(self._runtime, group, starts, "back")
            return len(starts)
        set_offsets(self._runtime, group, offsets, "back")
        return len(offsets)

    def _is_share(self, group: str) -> bool:
        with self._database.reader() as reader:
            found = describe_groups(reader, self._runtime.clock(), group)
        return bool(found) and found[0].type == SHARE_TYPE

    def delete_group(self, group: str) -> None:
        """Delete a group that has no members, and its offsets."""
        delete_group(self._runtime, group)

    def delete_offsets(self, group: str, topic: str) -> int:
        """Delete the committed offsets of a group in a topic that none of its members subscribes to.

        A share group must have no members. It starts anew in the topic, where `share.auto.offset.reset` says.

        Returns:
            The number of partitions with a deleted offset.

        Raises:
            BrokerError: GROUP_ID_NOT_FOUND, GROUP_SUBSCRIBED_TO_TOPIC; nothing was deleted then.
        """
        found = self.group(group).partitions
        partitions = [(one.topic, one.partition) for one in found if one.topic == topic and one.committed is not None]
        if self._is_share(group):
            delete_start_offsets(self._runtime, group, topic)
        else:
            delete_offsets(self._runtime, group, partitions)
        return len(partitions)


class SandboxShareGroups:
    """The direct API's operations on share groups: `sandbox.share_groups`.

    Args:
        runtime: the owner of the file.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def windows(self, group: str) -> tuple[ShareWindow, ...]:
        """Return a group's window in each partition; none if there is no such share group."""
        with self._runtime.database.reader() as reader:
            return describe_windows(reader, group)

    def release(self, group: str, topic: str, partition: int, offsets: Iterable[int]) -> int:
        """Release acquired records, as if their locks had expired. Returns how many were acquired.

        Raises:
            BrokerError: GROUP_ID_NOT_FOUND, UNKNOWN_TOPIC_OR_PARTITION.
        """
        wanted = tuple(offsets)

        def change(now_ms: int) -> int:
            partition_id, window = self._window(group, topic, partition)
            held = [one for one in wanted if _state(window, one) is RecordState.ACQUIRED]
            self._runtime.coordinator.shares.release(group, partition_id, held)
            return len(held)

        return self._runtime.call(change)

    def archive(self, group: str, topic: str, partition: int, offsets: Iterable[int]) -> int:
        """Archive records that are acquired or available, so that they are not delivered again. Returns how many.

        Raises:
            BrokerError: GROUP_ID_NOT_FOUND, UNKNOWN_TOPIC_OR_PARTITION.
        """
        wanted = tuple(offsets)

        def change(now_ms: int) -> int:
            partition_id, window = self._window(group, topic, partition)
            waiting = RecordState.ACQUIRED, RecordState.AVAILABLE
            found = [one for one in wanted if _state(window, one) in waiting]
            self._runtime.coordinator.shares.archive(group, partition_id, found)
            return len(found)

        return self._runtime.call(change)

    def _window(self, group: str, topic: str, partition: int) -> tuple[int, Window]:
        self._runtime.coordinator.share_group(group)
        place = self._runtime.broker.topic(topic).partition(partition)
        window = self._runtime.coordinator.shares.window(group, place.id)
        if window is None:
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"The group doesn't share {topic}-{partition}.")
        return place.id, window


def _state(window: Window, offset: int) -> RecordState | None:
    record = window.records.get(offset)
    return None if record is None else record.state
