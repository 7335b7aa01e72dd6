"""A group of the consumer protocol (KIP-848): its epochs, target assignment, and reconciliation."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from sandbox.broker.groups.assignors import ASSIGNORS, NO_PARTITIONS, Partitions, Subscriber, TopicSize
from sandbox.broker.logs.topic import Topic
from sandbox.broker.name_pattern import NamePattern
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.model.groups import member_name, member_names
from sandbox.model.rebalance import Cause, Wait, rebalance_details
from sandbox.storage.groups.groups import CONSUMER_TYPE, Protocols, StoredRebalance

PROTOCOL_TYPE = "consumer"
FIRST_EPOCH = 1
"""A new group's epoch. Its first member raises it, so that member's epoch is 2, as in Apache Kafka 4.4."""


class ConsumerState(StrEnum):
    """The states of a group, as Kafka spells them."""

    EMPTY = "Empty"
    ASSIGNING = "Assigning"
    RECONCILING = "Reconciling"
    STABLE = "Stable"


class MemberState(StrEnum):
    """A member's progress towards the target of its epoch."""

    STABLE = "Stable"
    UNREVOKED = "UnrevokedPartitions"
    UNRELEASED = "UnreleasedPartitions"


@dataclass(slots=True)
class ClassicSession:
    """A member's session in the classic protocol.

    Attributes:
        session_timeout_ms: the session timeout that it asked for.
        protocols: (name, metadata) in its order of preference.
        join_deadline_ms: when it is removed unless it rejoins, or None.
        sync_deadline_ms: when it is removed unless it sends SyncGroup, or None.
    """

    session_timeout_ms: int
    protocols: Protocols
    join_deadline_ms: int | None = None
    sync_deadline_ms: int | None = None


@dataclass(slots=True)
class ConsumerMember:
    """One member.

    Attributes:
        rebalance_timeout_ms: how long it may take to revoke partitions.
        topics: the names that it subscribes to.
        pattern: the regular expression that it subscribes to, or "".
        assignor: the assignor that it votes for, or None.
        member_epoch: its epoch; -2 for a static member that left temporarily.
        previous_epoch: its previous epoch, which it may still send.
        assigned: its current partitions; no other member has them at the same time.
        revoking: partitions that it must revoke, and has not.
        target: its partitions in the target assignment.
        expires_ms: when its session ends.
        revoke_deadline_ms: when it is removed unless it revoked its partitions; None if it needs to revoke nothing.
        last_heartbeat_ms: the time of its last request, None since a restart.
        classic: its session if it uses the classic protocol, else None.
    """

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    expires_ms: int
    rack_id: str | None = None
    rebalance_timeout_ms: int = -1
    topics: tuple[str, ...] = ()
    pattern: str = ""
    assignor: str | None = None
    member_epoch: int = 0
    previous_epoch: int = 0
    state: MemberState = MemberState.STABLE
    assigned: Partitions = NO_PARTITIONS
    revoking: Partitions = NO_PARTITIONS
    target: Partitions = NO_PARTITIONS
    revoke_deadline_ms: int | None = None
    last_heartbeat_ms: int | None = None
    classic: ClassicSession | None = None

    def go_to(self, epoch: int) -> None:
        """Set the next member epoch."""
        self.previous_epoch, self.member_epoch = self.member_epoch, epoch

    def deadline_ms(self) -> int:
        """Return when the member is removed if it sends nothing."""
        deadline_ms = self.expires_ms
        if self.revoke_deadline_ms is not None:
            deadline_ms = min(deadline_ms, self.revoke_deadline_ms)
        if self.classic is not None:
            for due_ms in (self.classic.join_deadline_ms, self.classic.sync_deadline_ms):
                deadline_ms = deadline_ms if due_ms is None else min(deadline_ms, due_ms)
        return deadline_ms


@dataclass(slots=True)
class ConsumerGroup:
    """One group.

    Attributes:
        since_ms: when the group entered its current state.
        generation: the group epoch.
        assignment_epoch: the target's epoch.
        protocol: the assignor that computed the target.
        members: by member id, in the order in which they joined.
        subscribed: the topic names that members subscribe to, including matches of their expressions.
        metadata: (topic id, number of partitions) of the existing ones, as of the last heartbeat.
        started_ms: when the current rebalance began, or None.
        causes: the causes of the current rebalance.
        waited: ms that the rebalance has waited, by what it waited for.
        gone: number of removed members per client id since the last rebalance ended; the next rebalance names them too.
        ended: rebalances that ended in this call.
        outbox: answers to members of a classic group that was converted; otherwise empty, because this protocol answers
            every request immediately.
        changed: True if the group must be stored.
        downgrades: True if the group must be converted to the classic protocol, because the last member of the consumer
            protocol left.
    """

    group_id: str
    since_ms: int
    state: ConsumerState = ConsumerState.EMPTY
    generation: int = FIRST_EPOCH
    assignment_epoch: int = 0
    protocol: str = ""
    members: dict[str, ConsumerMember] = field(default_factory=dict)
    subscribed: frozenset[str] = frozenset()
    metadata: frozenset[tuple[UUID, int]] = frozenset()
    started_ms: int | None = None
    causes: list[Cause] = field(default_factory=list)
    waited: dict[Wait, int] = field(default_factory=dict)
    gone: Counter[str] = field(default_factory=Counter)
    ended: list[StoredRebalance] = field(default_factory=list)
    outbox: list[Callable[[], None]] = field(default_factory=list)
    changed: bool = False
    downgrades: bool = False

    @property
    def type(self) -> str:
        """The kind of group."""
        return CONSUMER_TYPE

    @property
    def protocol_type(self) -> str:
        """Always "consumer", the only protocol type of this protocol."""
        return PROTOCOL_TYPE

    @property
    def pending(self) -> tuple[str, ...]:
        """Pending member ids; always empty in this protocol."""
        return ()

    def bump(self, cause: Cause, now_ms: int) -> None:
        """Increase the group epoch, because something changed that the target depends on."""
        self.note(cause, now_ms)
        self.generation += 1

    def note(self, cause: Cause, now_ms: int) -> None:
        """Record a cause of a rebalance."""
        if self.started_ms is None:
            self.started_ms = now_ms
        self.causes.append(cause)
        self.changed = True

    def refusal(self, member_id: str, member_epoch: int) -> str | None:
        """Return the error for a request of this member, or None.

        It is UNKNOWN_MEMBER_ID, or for a wrong epoch STALE_MEMBER_EPOCH; ILLEGAL_GENERATION in the classic protocol.
        """
        member = self.members.get(member_id)
        if member is None:
            return "UNKNOWN_MEMBER_ID"
        if member.member_epoch == member_epoch:
            return None
        return "STALE_MEMBER_EPOCH" if member.classic is None else "ILLEGAL_GENERATION"

    def static_member(self, instance_id: str) -> ConsumerMember | None:
        """Return the member with a `group.instance.id`, or None."""
        return next((member for member in self.members.values() if member.instance_id == instance_id), None)

    def is_at_target(self, member: ConsumerMember) -> bool:
        """Return True if a member has exactly its target assignment."""
        return member.state is MemberState.STABLE and member.member_epoch == self.assignment_epoch

    def state_now(self) -> ConsumerState:
        """Return the state that follows from the members and the epochs."""
        if not self.members:
            return ConsumerState.EMPTY
        if self.generation > self.assignment_epoch:
            return ConsumerState.ASSIGNING
        if all(self.is_at_target(member) for member in self.members.values()):
            return ConsumerState.STABLE
        return ConsumerState.RECONCILING

    def reconcile(self, member: ConsumerMember, owned: Partitions | None, now_ms: int) -> None:
        """Move a member one step towards the target.

        Args:
            owned: the partitions that it reports; None if it reports none, and may still have all that it had.
        """
        if member.state is MemberState.UNREVOKED:
            if owned is not None and not owned & member.revoking:
                self._advance(member, member.member_epoch + 1, owned, now_ms)
        elif not self.is_at_target(member):
            self._advance(member, member.member_epoch, owned, now_ms)

    def _advance(self, member: ConsumerMember, epoch: int, owned: Partitions | None, now_ms: int) -> None:
        """Revoke partitions that aren't in the member's target; if it has none of them anymore, assign the free ones.

        Args:
            epoch: the member's epoch while it revokes partitions.
        """
        kept = member.assigned & member.target
        taken = member.assigned - member.target
        before = (member.state, member.member_epoch, member.previous_epoch, member.assigned, member.revoking)
        if taken and (owned is None or owned & taken):
            member.go_to(epoch)
            member.state, member.assigned, member.revoking = MemberState.UNREVOKED, kept, taken
            member.revoke_deadline_ms = now_ms + max(1, member.rebalance_timeout_ms)
        else:
            if member.revoke_deadline_ms is not None:
                wait: Wait = ("revocation", self.name_of(member))
                asked_ms = member.revoke_deadline_ms - max(1, member.rebalance_timeout_ms)
                self.waited[wait] = self.waited.get(wait, 0) + now_ms - asked_ms
            wanted = member.target - member.assigned
            free = wanted - self.held_by_others(member) if wanted else wanted
            member.go_to(self.assignment_epoch)
            member.state = MemberState.STABLE if free == wanted else MemberState.UNRELEASED
            member.assigned, member.revoking = kept | free, NO_PARTITIONS
            member.revoke_deadline_ms = None
        after = (member.state, member.member_epoch, member.previous_epoch, member.assigned, member.revoking)
        self.changed = self.changed or after != before

    def held_by_others(self, member: ConsumerMember) -> set[tuple[UUID, int]]:
        """Return the partitions that other members have, or have not revoked yet."""
        held: set[tuple[UUID, int]] = set()
        for other in self.members.values():
            if other is not member:
                held |= other.assigned
                held |= other.revoking
        return held

    def end_rebalance(self, now_ms: int, names: Callable[[Partitions], Iterable[str]]) -> None:
        """Update the state, and record the rebalance that ends with it."""
        if self.downgrades:
            return
        state = self.state_now()
        if state is ConsumerState.EMPTY and self.assignment_epoch != self.generation:
            # Without members there is nothing to compute: Kafka 4.4 sets the empty target's epoch to the group's.
            self.assignment_epoch, self.changed = self.generation, True
        if state is not self.state:
            self.state, self.since_ms, self.changed = state, now_ms, True
        if self.started_ms is None or state not in (ConsumerState.STABLE, ConsumerState.EMPTY):
            return
        assignment = {
            member.member_id: (member.client_id, tuple(names(member.assigned))) for member in self.members.values()
        }
        self.ended.append(
            StoredRebalance(
                self.group_id,
                self.generation,
                self.started_ms,
                now_ms,
                rebalance_details(self.causes, self.waited),
                len(self.members),
                assignment,
            )
        )
        self.started_ms, self.causes, self.waited, self.gone, self.changed = None, [], {}, Counter(), True

    def next_deadline_ms(self) -> int | None:
        """Return when time changes this group next, or None."""
        return min((member.deadline_ms() for member in self.members.values()), default=None)

    def names(self) -> dict[str, str]:
        """Return each member's name by member id; see `name_of`."""
        return member_names(
            ((one.member_id, one.client_id, one.instance_id) for one in self.members.values()), self.gone
        )

    def name_of(self, member: ConsumerMember) -> str:
        """Return a member's display name; see `member_name`."""
        alike = sum(other.client_id == member.client_id for other in self.members.values())
        alike += self.gone[member.client_id]
        return member_name(member.member_id, member.client_id, member.instance_id, alone=alike <= 1)


MIGRATES = {"upgrade": ("upgrade", "bidirectional"), "downgrade": ("downgrade", "bidirectional")}
"""The values of `group.consumer.migration.policy` that allow a conversion."""


def migrates(config: BrokerConfig, direction: str) -> bool:
    """Return True if `group.consumer.migration.policy` allows an "upgrade" or a "downgrade"."""
    return config.get("group.consumer.migration.policy").lower() in MIGRATES[direction]


def may_downgrade(group: ConsumerGroup, config: BrokerConfig) -> bool:
    """Return True if a group is to be converted: all its members use the classic protocol."""
    return (
        bool(group.members)
        and all(member.classic is not None for member in group.members.values())
        and migrates(config, "downgrade")
        and len(group.members) <= config.number("group.max.size")
    )


PATTERNS_MAX = 1_000
"""The maximum number of regular expressions whose matches are cached."""


class TopicLookup(NamedTuple):
    """The broker's current topics."""

    by_name: Mapping[str, Topic]
    by_id: Mapping[UUID, Topic]


NO_TOPICS = TopicLookup({}, {})


class Subscriptions:
    """Resolves members' subscriptions to topics.

    Args:
        topics: the current topics, read at each call.
    """

    def __init__(self, topics: TopicLookup) -> None:
        self._topics = topics
        self._names: tuple[str, ...] = ()
        self._matches: dict[str, frozenset[str]] = {}

    def matches(self, pattern: str) -> frozenset[str]:
        """Return the topics whose names currently match a regular expression.

        Raises:
            PatternError: the expression is invalid.
        """
        names = tuple(self._topics.by_name)
        if names != self._names or len(self._matches) >= PATTERNS_MAX:
            self._names, self._matches = names, {}
        if pattern not in self._matches:
            compiled = NamePattern(pattern)
            self._matches[pattern] = frozenset(name for name in names if compiled.matches(name))
        return self._matches[pattern]

    def topic_id(self, name: str) -> UUID | None:
        """Return a topic's id, or None if it doesn't exist."""
        topic = self._topics.by_name.get(name)
        return None if topic is None else topic.topic_id

    def names_of(self, member: ConsumerMember) -> frozenset[str]:
        """Return the names that a member subscribes to, existing or not, and the matches of its expression."""
        return frozenset(member.topics) | (self.matches(member.pattern) if member.pattern else frozenset())

    def refresh(self, group: ConsumerGroup) -> frozenset[tuple[UUID, int]]:
        """Update a group's subscribed names. Returns the ids and numbers of partitions of the existing topics."""
        group.subscribed = frozenset(name for member in group.members.values() for name in self.names_of(member))
        found = (self._topics.by_name.get(name) for name in group.subscribed)
        return frozenset((topic.topic_id, len(topic.partitions)) for topic in found if topic is not None)

    def assign(self, group: ConsumerGroup, assignors: Iterable[str]) -> None:
        """Compute the target for the group's epoch.

        Args:
            assignors: the names of the enabled assignors, the default first.
        """
        subscribers = [self._subscriber(member) for member in group.members.values()]
        sizes = {
            topic_id: TopicSize(self._topics.by_id[topic_id].name, partitions)
            for topic_id, partitions in sorted(group.metadata)
        }
        group.protocol = _elected(group, tuple(assignors))
        target = ASSIGNORS[group.protocol](subscribers, sizes)
        for member in group.members.values():
            member.target = target.get(member.member_id, NO_PARTITIONS)
        group.assignment_epoch = group.generation
        group.changed = True

    def _subscriber(self, member: ConsumerMember) -> Subscriber:
        topics = (self._topics.by_name.get(name) for name in self.names_of(member))
        ids = frozenset(topic.topic_id for topic in topics if topic is not None)
        return Subscriber(member.member_id, member.instance_id, ids, member.target)

    def by_topic(self, partitions: Partitions) -> dict[str, tuple[int, ...]]:
        """Group partitions by topic name, sorted, without partitions of deleted topics."""
        found: dict[str, list[int]] = {}
        for topic_id, partition in partitions:
            topic = self._topics.by_id.get(topic_id)
            if topic is not None:
                found.setdefault(topic.name, []).append(partition)
        return {name: tuple(sorted(found[name])) for name in sorted(found)}

    def names(self, partitions: Partitions) -> tuple[str, ...]:
        """Return partitions in words: "orders-0", "orders-1"."""
        return tuple(f"{topic}-{one}" for topic, several in self.by_topic(partitions).items() for one in several)


def sizes_of(group: ConsumerGroup) -> frozenset[tuple[UUID, int]]:
    """Return the ids and numbers of partitions of the topics that the target covers. It contains all of their
    partitions.
    """
    counts: dict[UUID, int] = {}
    for member in group.members.values():
        for topic_id, _ in member.target:
            counts[topic_id] = counts.get(topic_id, 0) + 1
    return frozenset(counts.items())


def _elected(group: ConsumerGroup, assignors: tuple[str, ...]) -> str:
    """Return the assignor with the most votes; if tied or without votes, the one named first."""
    votes = [member.assignor for member in group.members.values() if member.assignor in assignors]
    return max(assignors, key=votes.count)
