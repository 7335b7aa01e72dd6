"""A share group (KIP-932): its members, their heartbeats and epochs. Changes groups in memory only."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from sandbox.broker.groups.assignors import NO_PARTITIONS, SIMPLE, Partitions, Subscriber, TopicSize, assign_simple
from sandbox.broker.groups.calls import HeartbeatAnswer, LeavingMember, LeftMember
from sandbox.broker.groups.consumer_group import TopicLookup
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.kafka.errors import BrokerError
from sandbox.model.groups import member_name, member_names
from sandbox.model.rebalance import Cause, rebalance_details
from sandbox.storage.groups.groups import SHARE_TYPE, StoredRebalance

PROTOCOL_TYPE = "share"
JOIN_EPOCH = 0
LEAVE_EPOCH = -1


class ShareState(StrEnum):
    """The states of a group, as Kafka spells them."""

    EMPTY = "Empty"
    STABLE = "Stable"


@dataclass(slots=True)
class ShareMember:
    """One member.

    Attributes:
        topics: the names that it subscribes to.
        assigned: its partitions.
        expires_ms: when its session ends.
        last_heartbeat_ms: the time of its last request, None since a restart.
    """

    member_id: str
    client_id: str
    client_host: str
    expires_ms: int
    rack_id: str | None = None
    topics: tuple[str, ...] = ()
    member_epoch: int = 0
    previous_epoch: int = 0
    assigned: Partitions = NO_PARTITIONS
    target: Partitions = NO_PARTITIONS
    last_heartbeat_ms: int | None = None

    @property
    def instance_id(self) -> None:
        """Always None: share groups have no static members."""
        return None

    @property
    def pattern(self) -> str:
        """Always "": share groups have no regular expressions."""
        return ""

    @property
    def classic(self) -> None:
        """Always None: no member of a share group uses the classic protocol."""
        return None


@dataclass(slots=True)
class ShareGroup:
    """One group; the attributes are `ConsumerGroup`'s."""

    group_id: str
    since_ms: int
    state: ShareState = ShareState.EMPTY
    generation: int = 0
    assignment_epoch: int = 0
    members: dict[str, ShareMember] = field(default_factory=dict)
    metadata: frozenset[tuple[UUID, int]] = frozenset()
    started_ms: int | None = None
    causes: list[Cause] = field(default_factory=list)
    gone: Counter[str] = field(default_factory=Counter)
    ended: list[StoredRebalance] = field(default_factory=list)
    outbox: list[Callable[[], None]] = field(default_factory=list)
    changed: bool = False

    @property
    def type(self) -> str:
        """The kind of group."""
        return SHARE_TYPE

    @property
    def protocol(self) -> str:
        """The assignor."""
        return SIMPLE

    @property
    def protocol_type(self) -> str:
        """Always "share"."""
        return PROTOCOL_TYPE

    @property
    def pending(self) -> tuple[str, ...]:
        """Pending member ids; always empty in this protocol."""
        return ()

    @property
    def subscribed(self) -> frozenset[str]:
        """The topics that members subscribe to."""
        return frozenset(name for member in self.members.values() for name in member.topics)

    def bump(self, cause: Cause, now_ms: int) -> None:
        """Increase the group epoch, because something changed that the target depends on."""
        if self.started_ms is None:
            self.started_ms = now_ms
        self.causes.append(cause)
        self.generation += 1
        self.changed = True

    def member(self, member_id: str) -> ShareMember:
        """Return a member. Raises BrokerError UNKNOWN_MEMBER_ID."""
        found = self.members.get(member_id)
        if found is None:
            raise BrokerError("UNKNOWN_MEMBER_ID", f"Member {member_id} is not a member of group {self.group_id}.")
        return found

    def end_rebalance(self, now_ms: int, names: Callable[[Partitions], Iterable[str]]) -> None:
        """Update the state, and record the change of the assignment."""
        state = ShareState.STABLE if self.members else ShareState.EMPTY
        if state is not self.state:
            self.state, self.since_ms, self.changed = state, now_ms, True
        if self.started_ms is None:
            return
        self.ended.append(
            StoredRebalance(
                self.group_id,
                self.generation,
                self.started_ms,
                now_ms,
                rebalance_details(self.causes, {}),
                len(self.members),
                {one.member_id: (one.client_id, tuple(names(one.target))) for one in self.members.values()},
            )
        )
        self.started_ms, self.causes, self.gone, self.changed = None, [], Counter(), True

    def next_deadline_ms(self) -> int | None:
        """Return when time changes this group next, or None."""
        return min((member.expires_ms for member in self.members.values()), default=None)

    def names(self) -> dict[str, str]:
        """Return each member's name by member id; see `name_of`."""
        return member_names(((one.member_id, one.client_id, None) for one in self.members.values()), self.gone)

    def name_of(self, member: ShareMember) -> str:
        """Return a member's display name; see `member_name`."""
        alike = sum(other.client_id == member.client_id for other in self.members.values())
        alike += self.gone[member.client_id]
        return member_name(member.member_id, member.client_id, None, alone=alike <= 1)


class ShareHeartbeat(NamedTuple):
    """A ShareGroupHeartbeat request.

    Attributes:
        member_id: created by the client.
        member_epoch: the member's epoch; 0 to join, -1 to leave.
        rack_id: None if unchanged or unknown.
        topics: the names that it subscribes to; None if unchanged.
    """

    group: str
    member_id: str
    member_epoch: int
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    topics: tuple[str, ...] | None = None


class ShareMembership:
    """The rules for members of share groups.

    Args:
        config: group settings, read at each call.
        topics: the current topics.
        share: called with a group id and partitions that were assigned.
    """

    def __init__(self, config: BrokerConfig, topics: TopicLookup, share: Callable[[str, Partitions], None]) -> None:
        self._config = config
        self._topics = topics
        self._share = share

    def check(self, request: ShareHeartbeat) -> None:
        """Refuse an invalid heartbeat, without regard to the group's state. Raises BrokerError INVALID_REQUEST."""
        reason = None
        if not request.member_id.strip():
            reason = "MemberId can't be empty."
        elif not request.group.strip():
            reason = "GroupId can't be empty."
        elif request.rack_id is not None and not request.rack_id.strip():
            reason = "RackId can't be empty."
        elif request.member_epoch == JOIN_EPOCH and not request.topics:
            reason = "SubscribedTopicNames must be set in first request."
        elif request.member_epoch < LEAVE_EPOCH:
            reason = "MemberEpoch is invalid."
        if reason is not None:
            raise BrokerError("INVALID_REQUEST", reason)

    def heartbeat(self, group: ShareGroup, request: ShareHeartbeat, now_ms: int) -> HeartbeatAnswer:
        """Handle a member that joins or is alive. Changes nothing if it raises.

        Raises:
            BrokerError: GROUP_MAX_SIZE_REACHED, UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH.
        """
        size_max = self._config.number("group.share.max.size")
        if request.member_id not in group.members and len(group.members) >= size_max:
            raise BrokerError(
                "GROUP_MAX_SIZE_REACHED", f"The share group has reached its maximum capacity of {size_max} members."
            )
        joins = request.member_id not in group.members and request.member_epoch == JOIN_EPOCH
        member = ShareMember(request.member_id, "", "", now_ms) if joins else group.member(request.member_id)
        _check_epoch(member, request.member_epoch)
        group.members[member.member_id] = member
        assigned_before = member.assigned
        self.heard(group, member, now_ms)
        subscription_changed = self._update(group, member, request)
        metadata = self._metadata(group)
        if joins:
            group.bump(Cause("joined", group.name_of(member)), now_ms)
        elif subscription_changed:
            group.bump(Cause("resubscribed", group.name_of(member)), now_ms)
        elif metadata != group.metadata:
            group.bump(Cause("partitions_changed"), now_ms)
        group.metadata = metadata
        self._assign(group)
        if member.member_epoch != group.assignment_epoch or member.assigned != member.target:
            member.previous_epoch, member.member_epoch = member.member_epoch, group.assignment_epoch
            member.assigned = member.target
            group.changed = True
        group.end_rebalance(now_ms, self._names)
        full = request.member_epoch == JOIN_EPOCH or request.topics is not None
        return HeartbeatAnswer(
            member.member_id,
            member.member_epoch,
            self._config.group_number(group.group_id, "share.heartbeat.interval.ms"),
            member.assigned if full or member.assigned != assigned_before else None,
        )

    def _update(self, group: ShareGroup, member: ShareMember, request: ShareHeartbeat) -> bool:
        """Apply a heartbeat's fields to its member. Returns True if the subscription changed."""
        before = (member.rack_id, member.client_id, member.client_host)
        topics = member.topics
        member.client_id, member.client_host = request.client_id, request.client_host
        if request.rack_id is not None:
            member.rack_id = request.rack_id
        if request.topics is not None:
            member.topics = tuple(sorted(set(request.topics)))
        group.changed = group.changed or before != (member.rack_id, member.client_id, member.client_host)
        return member.topics != topics

    def _metadata(self, group: ShareGroup) -> frozenset[tuple[UUID, int]]:
        found = (self._topics.by_name.get(name) for name in group.subscribed)
        return frozenset((topic.topic_id, len(topic.partitions)) for topic in found if topic is not None)

    def _assign(self, group: ShareGroup) -> None:
        """Compute the target, if the group changed since the last one."""
        if group.assignment_epoch == group.generation:
            return
        sizes = {
            topic_id: TopicSize(self._topics.by_id[topic_id].name, partitions)
            for topic_id, partitions in sorted(group.metadata)
        }
        ids = {topic.name: topic_id for topic_id, topic in sizes.items()}
        subscribers = [
            Subscriber(one.member_id, None, frozenset(ids[name] for name in one.topics if name in ids), one.target)
            for one in group.members.values()
        ]
        target = assign_simple(subscribers, sizes) if subscribers else {}
        for member in group.members.values():
            member.target = target.get(member.member_id, NO_PARTITIONS)
        group.assignment_epoch, group.changed = group.generation, True
        self._share(group.group_id, frozenset(place for partitions in target.values() for place in partitions))

    def _names(self, partitions: Partitions) -> Iterable[str]:
        return [f"{topic}-{one}" for topic, several in self.by_topic(partitions).items() for one in several]

    def by_topic(self, partitions: Partitions) -> dict[str, tuple[int, ...]]:
        """Group partitions by topic name, sorted, without partitions of deleted topics."""
        found: dict[str, list[int]] = {}
        for topic_id, partition in sorted(partitions):
            topic = self._topics.by_id.get(topic_id)
            if topic is not None:
                found.setdefault(topic.name, []).append(partition)
        return {name: tuple(found[name]) for name in sorted(found)}

    def leave(self, group: ShareGroup, request: ShareHeartbeat, now_ms: int) -> HeartbeatAnswer:
        """Remove a member that leaves. Raises BrokerError UNKNOWN_MEMBER_ID."""
        member = group.member(request.member_id)
        self._remove(group, member, Cause("left", group.name_of(member)), now_ms)
        return HeartbeatAnswer(request.member_id, request.member_epoch)

    def leave_by_request(self, leaving: Collection[LeavingMember]) -> tuple[LeftMember, ...]:
        """LeaveGroup, which doesn't find members of share groups."""
        return tuple(LeftMember(one[0], one[1], "UNKNOWN_MEMBER_ID") for one in leaving)

    def _remove(self, group: ShareGroup, member: ShareMember, cause: Cause, now_ms: int) -> None:
        del group.members[member.member_id]
        group.gone[member.client_id] += 1
        group.metadata = self._metadata(group)
        group.bump(cause, now_ms)
        self._assign(group)
        group.end_rebalance(now_ms, self._names)

    def expire(self, group: ShareGroup, now_ms: int) -> None:
        """Remove members whose session ended."""
        session_ms = self.session_ms(group)
        for member in [one for one in group.members.values() if one.expires_ms <= now_ms]:
            self._remove(group, member, Cause("session_timeout", group.name_of(member), timeout_ms=session_ms), now_ms)

    def heard(self, group: ShareGroup, member: ShareMember, now_ms: int) -> None:
        """Record a request of the member and restart its session."""
        member.last_heartbeat_ms = now_ms
        member.expires_ms = now_ms + max(1, self.session_ms(group))

    def restored(self, group: ShareGroup, now_ms: int) -> None:
        """Complete a group that was loaded from its rows: sessions start now."""
        group.metadata = self._metadata(group)
        for member in group.members.values():
            member.expires_ms = now_ms + max(1, self.session_ms(group))

    def session_ms(self, group: ShareGroup) -> int:
        """Return `share.session.timeout.ms` of a group."""
        return self._config.group_number(group.group_id, "share.session.timeout.ms")


def _check_epoch(member: ShareMember, sent: int) -> None:
    """Refuse an epoch that isn't the member's, except the previous one if an answer may have been lost."""
    known = member.member_epoch
    if sent in (JOIN_EPOCH, known) or (sent < known and sent == member.previous_epoch):
        return
    word, more = "greater", ""
    if sent < known:
        word, more = "smaller", f", and it does not match the previous member epoch ({member.previous_epoch})"
    raise BrokerError(
        "FENCED_MEMBER_EPOCH",
        f"The share group member has a {word} member epoch ({sent}) than the one known by the group coordinator "
        f"({known}){more}. The member must abandon all its partitions and rejoin.",
    )
