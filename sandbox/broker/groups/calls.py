"""Requests to the group coordinator and its responses, as plain values without wire bytes.

Errors are Kafka's names (`sandbox.kafka.errors.TABLE`), "NONE" for success. Fields have the names of the protocol's
messages (https://kafka.apache.org/protocol#protocol_messages).
"""

from typing import NamedTuple

from sandbox.storage.groups.groups import Protocols

NO_GENERATION = -1
UNKNOWN_MEMBER = ""
"""The member id of somebody who has none yet."""


class JoinGroup(NamedTuple):
    """One JoinGroup.

    Attributes:
        member_id: "" where the member has none yet.
        instance_id: `group.instance.id` of a static member, else None.
        client_host: as DescribeGroups shall show it.
        session_timeout_ms: how long the member may be silent.
        rebalance_timeout_ms: how long others wait for it to join again.
        protocols: (name, metadata) in order of preference.
        reason: why it joins, in the client's words (KIP-800), None where it says nothing.
        require_known_member_id: True for version 4 and up: a dynamic member gets its id first (KIP-394).
        supports_skip_assignment: True for version 9 and up: a static leader that comes back is told to skip the
            assignment (KIP-814).
    """

    group: str
    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocol_type: str
    protocols: Protocols
    reason: str | None = None
    require_known_member_id: bool = False
    supports_skip_assignment: bool = False


class JoinedMember(NamedTuple):
    """One member, as the leader is told of it: its metadata for the protocol that was selected."""

    member_id: str
    instance_id: str | None
    metadata: bytes


class JoinAnswer(NamedTuple):
    """The answer to a JoinGroup.

    Attributes:
        generation: -1 with an error.
        protocol_type: None with an error.
        protocol: the protocol selected, None with an error.
        members: all members for the leader, none for the others.
    """

    error: str
    member_id: str
    generation: int = NO_GENERATION
    protocol_type: str | None = None
    protocol: str | None = None
    leader: str = ""
    skip_assignment: bool = False
    members: tuple[JoinedMember, ...] = ()


class SyncAnswer(NamedTuple):
    """The answer to a SyncGroup: the member's assignment, as the leader sent it, or an error."""

    error: str
    protocol_type: str | None = None
    protocol: str | None = None
    assignment: bytes = b""


class LeavingMember(NamedTuple):
    """One member of a LeaveGroup. With an instance id and member id "", an administrator removes a static member."""

    member_id: str
    instance_id: str | None = None
    reason: str | None = None


class LeftMember(NamedTuple):
    """What became of one `LeavingMember`."""

    member_id: str
    instance_id: str | None
    error: str


class LeaveAnswer(NamedTuple):
    """The answer to a LeaveGroup.

    Attributes:
        error: of the whole request. Before version 3 the answer has one error: this one, else the only member's.
    """

    error: str
    members: tuple[LeftMember, ...] = ()


class OffsetCommit(NamedTuple):
    """One offset to commit.

    Attributes:
        offset: the next offset to read.
        leader_epoch: of the last event read, -1 for unknown.
        metadata: whatever the client attaches, None for null.
    """

    topic: str
    partition: int
    offset: int
    leader_epoch: int = -1
    metadata: str | None = None


class PartitionError(NamedTuple):
    """The outcome for one partition."""

    topic: str
    partition: int
    error: str


class FetchedOffset(NamedTuple):
    """One committed offset as OffsetFetch gives it: offset -1, leader epoch -1 and metadata "" where there is none."""

    topic: str
    partition: int
    offset: int
    leader_epoch: int
    metadata: str


class ListedGroup(NamedTuple):
    """One group in a list. `type` is "consumer" for a group of the consumer protocol (KIP-848), else "classic"."""

    group: str
    protocol_type: str
    state: str
    type: str = "classic"


class DescribedMember(NamedTuple):
    """One member as DescribeGroups shows it.

    Attributes:
        metadata: for the protocol in use; empty unless the group is Stable.
        last_heartbeat_ms: when it was last heard of, None since a restart.
    """

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    metadata: bytes
    assignment: bytes
    session_timeout_ms: int
    last_heartbeat_ms: int | None


class DescribedGroup(NamedTuple):
    """One group as DescribeGroups shows it.

    Attributes:
        error: GROUP_ID_NOT_FOUND for an unknown group, whose state is Dead. (Before version 6 the answer has no error.)
        protocol: "" unless the group is Stable.
        error_message: a sentence about the error, None where there is none.
    """

    error: str
    group: str
    state: str
    protocol_type: str = ""
    protocol: str = ""
    generation: int = NO_GENERATION
    members: tuple[DescribedMember, ...] = ()
    error_message: str | None = None


class DeleteOffsetsAnswer(NamedTuple):
    """The answer to an OffsetDelete: an error of the whole, or one for each partition."""

    error: str
    partitions: tuple[PartitionError, ...] = ()
