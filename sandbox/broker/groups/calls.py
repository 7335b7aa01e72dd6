"""Requests to the group coordinator and its answers, as plain values without wire bytes.

Errors are Kafka's names (`sandbox.kafka.errors.TABLE`), "NONE" for success. Fields have the names of the protocol's
messages (https://kafka.apache.org/protocol#protocol_messages).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from sandbox.broker.groups.assignors import NO_PARTITIONS, Partitions
from sandbox.storage.groups.groups import Protocols

NO_GENERATION = -1
UNKNOWN_MEMBER = ""
"""The member id in the first request of a member that has none yet."""
REASON_CHARACTERS_MAX = 255
"""A longer reason of a client (KIP-800) is cut."""


class JoinGroup(NamedTuple):
    """A JoinGroup request.

    Attributes:
        member_id: "" if the member has none yet.
        instance_id: `group.instance.id` of a static member, else None.
        client_host: the host that DescribeGroups shows.
        session_timeout_ms: the member is removed after this time without a heartbeat.
        rebalance_timeout_ms: how long the group waits for it to rejoin.
        protocols: (name, metadata) in order of preference.
        reason: the client's reason for joining (KIP-800), or None.
        require_known_member_id: True for version 4 and later: a dynamic member gets its id first (KIP-394).
        supports_skip_assignment: True for version 9 and later: a static leader that returns must skip the
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


class Subscription(NamedTuple):
    """A consumer's metadata, decoded.

    Attributes:
        version: the version of the metadata; assignments are encoded with the same.
        owned: the partitions that it has, by topic.
    """

    version: int
    topics: tuple[str, ...]
    owned: Mapping[str, tuple[int, ...]] = {}
    rack_id: str | None = None


class MemberBytes(NamedTuple):
    """Reads and writes what consumers send each other through the coordinator, for groups that migrate.

    Attributes:
        subscription: decodes a consumer's metadata; None if it can't.
        has_user_data: returns True if an assignment has data of its assignor, which a migration would lose.
        assignment: encodes an assignment: its version, and the partitions by topic.
    """

    subscription: Callable[[bytes], Subscription | None] = lambda data: None
    has_user_data: Callable[[bytes], bool] = lambda data: False
    assignment: Callable[[int, Mapping[str, tuple[int, ...]]], bytes] = lambda version, by_topic: b""


NO_MEMBER_BYTES = MemberBytes()


class JoinedMember(NamedTuple):
    """One member in the leader's answer, with its metadata for the selected protocol."""

    member_id: str
    instance_id: str | None
    metadata: bytes


class JoinAnswer(NamedTuple):
    """The answer to a JoinGroup.

    Attributes:
        generation: -1 with an error.
        protocol_type: None with an error.
        protocol: the selected protocol, None with an error.
        members: all members in the leader's answer, empty in the others.
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
    """The outcome for one `LeavingMember`."""

    member_id: str
    instance_id: str | None
    error: str


class LeaveAnswer(NamedTuple):
    """The answer to a LeaveGroup.

    Attributes:
        error: the whole request's error. Before version 3 the answer has one error: this one, or the only member's.
    """

    error: str
    members: tuple[LeftMember, ...] = ()


class OffsetCommit(NamedTuple):
    """One offset to commit.

    Attributes:
        offset: the offset of the next event to read.
        leader_epoch: the leader epoch of the last event read, -1 if unknown.
        metadata: text that the client attaches, or None.
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
    """One committed offset in an OffsetFetch answer. Without a commit: offset -1, leader epoch -1 and metadata ""."""

    topic: str
    partition: int
    offset: int
    leader_epoch: int
    metadata: str


class ListedGroup(NamedTuple):
    """One group in a list. `type` is "consumer" for the consumer protocol (KIP-848), else "classic"."""

    group: str
    protocol_type: str
    state: str
    type: str = "classic"


class DescribedMember(NamedTuple):
    """One member, as DescribeGroups shows it.

    Attributes:
        metadata: its metadata for the current protocol; empty unless the group is Stable.
        last_heartbeat_ms: the time of its last request, None since a restart.
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
    """One group, as DescribeGroups shows it.

    Attributes:
        error: GROUP_ID_NOT_FOUND for an unknown group, whose state is Dead. (Before version 6 the answer has no error.)
        protocol: "" unless the group is Stable.
        error_message: a sentence about the error, or None.
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
    """The answer to an OffsetDelete: an error of the whole request, or one for each partition."""

    error: str
    partitions: tuple[PartitionError, ...] = ()


JOIN_EPOCH = 0
LEAVE_EPOCH = -1
STATIC_LEAVE_EPOCH = -2
"""The epoch with which a static member leaves temporarily; its place is kept for its session."""


class ConsumerHeartbeat(NamedTuple):
    """A ConsumerGroupHeartbeat request.

    Attributes:
        member_id: created by the client; "" only to join with version 0, where the broker creates it.
        member_epoch: the member's epoch; 0 to join, -1 to leave, -2 to leave temporarily as a static member.
        instance_id: `group.instance.id` of a static member, else None.
        rack_id: None if unchanged or unknown.
        client_host: the host that ConsumerGroupDescribe shows.
        rebalance_timeout_ms: how long the member may take to revoke partitions; -1 if unchanged.
        topics: the names that it subscribes to; None if unchanged.
        pattern: a regular expression that it subscribes to, or ""; None if unchanged.
        assignor: the assignor that it votes for; None for none, or unchanged.
        owned: the partitions that it has now; None if unchanged since its last heartbeat.
        makes_member_id: True for version 1 and later: the client must create its member id.
    """

    group: str
    member_id: str
    member_epoch: int
    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    rebalance_timeout_ms: int = -1
    topics: tuple[str, ...] | None = None
    pattern: str | None = None
    assignor: str | None = None
    owned: Partitions | None = None
    makes_member_id: bool = True

    @property
    def is_full(self) -> bool:
        """True if the request has all fields: the member joins, or lost an answer and needs its assignment again."""
        if self.member_epoch == JOIN_EPOCH:
            return True
        subscribes = self.topics is not None or self.pattern is not None
        return self.rebalance_timeout_ms != -1 and subscribes and self.owned is not None


class HeartbeatAnswer(NamedTuple):
    """The answer to a ConsumerGroupHeartbeat.

    Attributes:
        member_epoch: the member's new epoch; for a leaving member, the epoch that it sent.
        heartbeat_interval_ms: the time until the next heartbeat; 0 for a leaving member.
        assigned: the member's current partitions; None if unchanged.
    """

    member_id: str
    member_epoch: int
    heartbeat_interval_ms: int = 0
    assigned: Partitions | None = None


class DescribedConsumer(NamedTuple):
    """One member, as ConsumerGroupDescribe shows it.

    Attributes:
        assigned: its current partitions.
        target: its partitions in the target assignment.
        is_classic: True if it uses the classic protocol, while its group migrates.
    """

    member_id: str
    instance_id: str | None
    rack_id: str | None
    member_epoch: int
    client_id: str
    client_host: str
    topics: tuple[str, ...]
    pattern: str
    assigned: Partitions = NO_PARTITIONS
    target: Partitions = NO_PARTITIONS
    is_classic: bool = False


class DescribedConsumerGroup(NamedTuple):
    """One group, as ConsumerGroupDescribe shows it."""

    group: str
    state: str
    epoch: int
    assignment_epoch: int
    assignor: str
    members: tuple[DescribedConsumer, ...]
