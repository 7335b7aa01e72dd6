"""Groups from outside: commits for a group without members, its end, and what only the coordinator knows of members."""

from collections.abc import Sequence
from dataclasses import replace

from sandbox.broker.group_calls import OffsetCommit
from sandbox.description import GroupDescription
from sandbox.errors import BrokerError
from sandbox.runtime import Runtime


def commit_offsets(runtime: Runtime, group: str, offsets: Sequence[OffsetCommit]) -> None:
    """Commit offsets for a group that has no members, which it may create.

    Raises:
        BrokerError: NON_EMPTY_GROUP, UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST for an offset below 0; nothing was
            committed then.
    """

    def commit(now_ms: int) -> None:
        for one in offsets:
            if not 0 <= one.offset < 2**63:
                raise BrokerError("INVALID_REQUEST", f"An offset to commit is 0 or more, not {one.offset}.")
            runtime.broker.topic(one.topic).partition(one.partition)
        error = runtime.coordinator.set_offsets(group, offsets, now_ms)
        if error == "NON_EMPTY_GROUP":
            raise BrokerError(error, f"Group {group} has members. Stop them first: Kafka refuses this too.")
        if error != "NONE":
            raise BrokerError(error)

    runtime.call(commit)


def delete_group(runtime: Runtime, group: str) -> None:
    """Delete a group that has no members, and its offsets; NON_EMPTY_GROUP or GROUP_ID_NOT_FOUND where it stays."""

    def delete(now_ms: int) -> None:
        error = runtime.coordinator.delete(group, now_ms)
        if error != "NONE":
            raise BrokerError(error, f"Group {group} cannot be deleted: {BrokerError(error).detail}")

    runtime.call(delete)


def with_heartbeats(runtime: Runtime, group: GroupDescription) -> GroupDescription:
    """A group with the time at which each member was last heard of, which is not in the file."""
    if not group.members:
        return group
    heard = runtime.call(lambda now_ms: runtime.coordinator.last_heartbeats(group.group))
    members = tuple(replace(member, last_heartbeat_ms=heard.get(member.member_id)) for member in group.members)
    return replace(group, members=members)
