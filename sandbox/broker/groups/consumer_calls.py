"""What the coordinator is asked by members of the consumer protocol (KIP-848), and what it answers.

Field names are those of the protocol's messages ConsumerGroupHeartbeat and ConsumerGroupDescribe. Refusals are raised:
`BrokerError` with Kafka's name, and a sentence that the client shows.
"""

from typing import NamedTuple

from sandbox.broker.groups.assignors import NO_PARTITIONS, Partitions

JOIN_EPOCH = 0
LEAVE_EPOCH = -1
STATIC_LEAVE_EPOCH = -2
"""The epoch with which a static member leaves for a while: its place is kept for its session."""


class ConsumerHeartbeat(NamedTuple):
    """One ConsumerGroupHeartbeat.

    Attributes:
        member_id: made by the client; "" only when it joins by version 0, where the broker makes it.
        member_epoch: the member's, 0 to join, -1 to leave, -2 to leave as a static member that comes back.
        instance_id: `group.instance.id` of a static member, else None.
        rack_id: None where unchanged or unknown.
        client_host: as ConsumerGroupDescribe shall show it.
        rebalance_timeout_ms: how long it may take to give partitions back; -1 where unchanged.
        topics: the names that it subscribes to; None where unchanged.
        pattern: a regular expression that it subscribes to, "" for none; None where unchanged.
        assignor: the assignor that it votes for; None for none, or unchanged.
        owned: the partitions that it has now; None where unchanged since its last heartbeat.
        makes_member_id: True for version 1 and up: the client must make its member id.
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
        """Whether it has all that a member can say: it joins, or has lost an answer, and wants its assignment told."""
        if self.member_epoch == JOIN_EPOCH:
            return True
        subscribes = self.topics is not None or self.pattern is not None
        return self.rebalance_timeout_ms != -1 and subscribes and self.owned is not None


class HeartbeatAnswer(NamedTuple):
    """The answer to a ConsumerGroupHeartbeat.

    Attributes:
        member_epoch: the member's from now on; of one that left, as it was sent.
        heartbeat_interval_ms: when to come again; 0 for one that left.
        assigned: the partitions that the member may have now; None where it knows.
    """

    member_id: str
    member_epoch: int
    heartbeat_interval_ms: int = 0
    assigned: Partitions | None = None


class DescribedConsumer(NamedTuple):
    """One member, as ConsumerGroupDescribe shows it.

    Attributes:
        assigned: what it may have now.
        target: what it is to have.
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
