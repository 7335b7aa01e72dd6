"""Consumer groups from outside: what they have read, their history, and their offsets set anew."""

from sandbox.broker.group_calls import OffsetCommit
from sandbox.description import GroupDescription, LagPoint, PartitionLag, Rebalance, ResetLine
from sandbox.errors import BrokerError
from sandbox.group_changes import commit_offsets, delete_group, with_heartbeats
from sandbox.resets import plan_reset
from sandbox.runtime import Runtime
from sandbox.storage import group_descriptions


class GroupControl:
    """The part of the direct API that is about groups.

    Args:
        runtime: the owner of the file.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database

    def groups(self) -> tuple[GroupDescription, ...]:
        """Every group, by id."""
        with self._database.reader() as reader:
            return group_descriptions.describe_groups(reader, self._runtime.clock())

    def group(self, group: str) -> GroupDescription:
        """One group; BrokerError GROUP_ID_NOT_FOUND where there is none."""
        with self._database.reader() as reader:
            found = group_descriptions.describe_groups(reader, self._runtime.clock(), group)
        if not found:
            raise BrokerError("GROUP_ID_NOT_FOUND", f"There is no group {group}.")
        return with_heartbeats(self._runtime, found[0])

    def lag(self, group: str) -> tuple[PartitionLag, ...]:
        """How far a group is in each partition."""
        return self.group(group).partitions

    def lag_history(self, group: str, *, since_ms: int, points: int = 120) -> list[LagPoint]:
        """How far a group was, at `points` moments from `since_ms` to now, from the rows."""
        with self._database.reader() as reader:
            return group_descriptions.lag_history(reader, group, since_ms, self._runtime.clock(), points)

    def rebalances(self, group: str, limit: int = 50) -> list[Rebalance]:
        """The newest rebalances of a group, newest first."""
        with self._database.reader() as reader:
            return group_descriptions.list_rebalances(reader, group, limit)

    def commit(self, group: str, topic: str, partition: int, offset: int, metadata: str = "") -> None:
        """Commit an offset for a group without members.

        Raises:
            BrokerError: NON_EMPTY_GROUP, UNKNOWN_TOPIC_OR_PARTITION.
        """
        commit_offsets(self._runtime, group, [OffsetCommit(topic, partition, offset, -1, metadata)])

    def preview_reset(
        self, group: str, *, topic: str | None = None, partition: int | None = None, to: str
    ) -> list[ResetLine]:
        """What `reset` would do, partition by partition."""
        with self._database.reader() as reader:
            return plan_reset(reader, group, self._runtime.clock(), topic, partition, to)

    def reset(self, group: str, *, topic: str | None = None, partition: int | None = None, to: str) -> list[ResetLine]:
        """Move the committed offsets of a group that has no members.

        Args:
            topic: only this one; every topic that the group has committed in where None.
            partition: only this one.
            to: "earliest", "latest", "offset:N", "time:MS", "shift:+N", "shift:-N" or "group:OTHER". Offsets outside
                a log are moved to its start or end.

        Raises:
            BrokerError: NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, INVALID_REQUEST.
        """
        plan = self.preview_reset(group, topic=topic, partition=partition, to=to)
        offsets = [OffsetCommit(line.topic, line.partition, line.after, -1, "") for line in plan]
        commit_offsets(self._runtime, group, offsets)
        return plan

    def delete_group(self, group: str) -> None:
        """Delete a group that has no members, and its offsets."""
        delete_group(self._runtime, group)
