"""Requests of members of the consumer protocol (KIP-848), and the coordinator's answers.

Fields have the names of the messages ConsumerGroupHeartbeat and ConsumerGroupDescribe. Errors are raised as
`BrokerError` with Kafka's name and a sentence that the client shows.
"""

from typing import NamedTuple

from sandbox.broker.groups.assignors import NO_PARTITIONS, Partitions

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


class DescribedConsumerGroup(NamedTuple):
    """One group, as ConsumerGroupDescribe shows it."""

    group: str
    state: str
    epoch: int
    assignment_epoch: int
    assignor: str
    members: tuple[DescribedConsumer, ...]
