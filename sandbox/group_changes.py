"""Changes to groups from outside: commits for a group without members, and its end."""

from collections.abc import Sequence

from sandbox.broker.group_calls import OffsetCommit
from sandbox.errors import BrokerError
from sandbox.runtime import Runtime


def commit_offsets(runtime: Runtime, group: str, offsets: Sequence[OffsetCommit]) -> None:
    """Commit offsets for a group that has no members, which it may create.

    Raises:
        BrokerError: NON_EMPTY_GROUP, UNKNOWN_TOPIC_OR_PARTITION; nothing was committed then.
    """

    def commit(now_ms: int) -> None:
        for one in offsets:
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
