"""Consumer groups: their committed offsets, history and resets."""

from dataclasses import replace

from sandbox.api.group_changes import commit_offsets, delete_group, delete_offsets, with_members
from sandbox.api.group_history import SandboxGroupHistory
from sandbox.api.resets import plan_reset
from sandbox.broker.groups.calls import OffsetCommit
from sandbox.kafka.errors import BrokerError, shown_name
from sandbox.model.group_history import LagPoint, Rebalance
from sandbox.model.groups import GroupDescription, GroupSummary, PartitionLag, ResetLine
from sandbox.runtime.runtime import Runtime
from sandbox.storage.file.content import OfContent
from sandbox.storage.groups.group_descriptions import describe_groups
from sandbox.storage.groups.group_rebalances import list_rebalances
from sandbox.storage.groups.group_summaries import GroupSummaries


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
        """Reset the committed offsets of a group without members.

        Args:
            topic: only this one; None for all topics in which the group has committed.
            partition: only this one.
            to: "earliest", "latest", "offset:N", "time:MS", "shift:+N", "shift:-N", "group:OTHER", or "back": the
                offsets before the last reset. Offsets outside a log are moved to its start or end.

        Raises:
            BrokerError: NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, INVALID_REQUEST.
        """
        plan = self.preview_reset(group, topic=topic, partition=partition, to=to)
        offsets = [OffsetCommit(line.topic, line.partition, line.after, -1, "") for line in plan]
        commit_offsets(self._runtime, group, offsets, to)
        return plan

    def delete_group(self, group: str) -> None:
        """Delete a group that has no members, and its offsets."""
        delete_group(self._runtime, group)

    def delete_offsets(self, group: str, topic: str) -> int:
        """Delete the committed offsets of a group in a topic that none of its members subscribes to.

        Returns:
            The number of partitions with a deleted offset.

        Raises:
            BrokerError: GROUP_ID_NOT_FOUND, GROUP_SUBSCRIBED_TO_TOPIC; nothing was deleted then.
        """
        found = self.group(group).partitions
        partitions = [(one.topic, one.partition) for one in found if one.topic == topic and one.committed is not None]
        delete_offsets(self._runtime, group, partitions)
        return len(partitions)
