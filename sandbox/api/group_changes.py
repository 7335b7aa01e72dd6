"""Changes groups without members: commits and deletion. Also adds the coordinator's view of members."""

from collections.abc import Sequence
from dataclasses import replace

from sandbox.broker.groups.calls import DescribedMember, OffsetCommit
from sandbox.kafka.errors import BrokerError
from sandbox.model.groups import GroupDescription, GroupWaits, MemberDescription
from sandbox.runtime.runtime import Runtime
from sandbox.wire.group_bytes import subscribed_topics

PLACES_MAX = 4
"""A reset of more offsets than this is recorded without listing each of them."""


def commit_offsets(runtime: Runtime, group: str, offsets: Sequence[OffsetCommit], reset_to: str | None = None) -> None:
    """Commit offsets for a group that has no members. Creates the group if it doesn't exist.

    Args:
        reset_to: the reset's target as requested; None for a plain commit.

    Raises:
        BrokerError: NON_EMPTY_GROUP, UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST for a negative offset; nothing was
            committed.
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
        if reset_to is not None and offsets:
            topics = {one.topic for one in offsets}
            details = {"to": reset_to, "committed_offsets": len(offsets), "places": _places(offsets)}
            runtime.broker.turn.note("reset", details, topic=topics.pop() if len(topics) == 1 else None, group=group)

    runtime.call(commit)


def _places(offsets: Sequence[OffsetCommit]) -> list[dict[str, object]]:
    """Return the new offsets if they are few; empty if they are many."""
    if len(offsets) > PLACES_MAX:
        return []
    return [{"topic": one.topic, "partition": one.partition, "offset": one.offset} for one in offsets]


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
