"""A group of the classic protocol: its state table and its members.

**The theory.** A group's members share work (for consumers: partitions). The broker doesn't know the work; it only
collects all members, selects a protocol that all support, and distributes the leader's assignment:

1. *Join.* A member sends JoinGroup with the protocols that it supports. The group prepares a rebalance: it delays the
   answers until every known member has rejoined, or the longest rebalance timeout has passed. A heartbeat that answers
   REBALANCE_IN_PROGRESS informs a member of the rebalance.
2. *A generation begins.* Dynamic members that did not rejoin are removed. The generation increases by one, and the
   protocol with the most votes among those that all members support is selected. All JoinGroups are answered together;
   the leader's answer contains all members.
3. *Sync.* Every member sends SyncGroup; the leader's contains the assignment, and the answers to the others wait for
   it. Then the group is stable, and heartbeats answer NONE.

The generation is a fence: a request with another generation gets ILLEGAL_GENERATION and the member must rejoin, so that
a member that missed a rebalance can neither commit nor keep its old partitions. A *static* member (`group.instance.id`)
may return within its session under a new member id and keep its assignment without a rebalance (KIP-345); its old id is
fenced.

A member is alive while it sends heartbeats within its session timeout, or while the broker delays an answer to it. A
closed connection has no effect, because the client may return on another one.

**The table** maps (state, move) to the next state. A move that isn't in it is an error. Groups are Dead only for a
moment: a Dead group is removed, and an unknown group is answered as a Dead one.

Sources: KIP-62, KIP-134, KIP-345, KIP-394, KIP-559, KIP-800, KIP-814, and
https://kafka.apache.org/protocol#protocol_api_keys.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from sandbox.broker.groups.calls import JoinAnswer, JoinedMember, SyncAnswer
from sandbox.broker.reply import Reply, T
from sandbox.model.groups import member_name, member_names
from sandbox.model.rebalance import Cause, Wait
from sandbox.storage.groups.groups import CLASSIC_TYPE, Protocols


class State(StrEnum):
    """The states of a group, as Kafka spells them."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


class GroupEvent(StrEnum):
    """The events that change a group's state."""

    PREPARE = "a rebalance is prepared"
    ALL_JOINED = "all members have joined"
    NOBODY_LEFT = "the last member is gone"
    ASSIGNED = "the leader has assigned"
    FORGET = "the group is deleted, or its last offset has expired"


MOVES = {
    (State.EMPTY, GroupEvent.PREPARE): State.PREPARING_REBALANCE,
    (State.STABLE, GroupEvent.PREPARE): State.PREPARING_REBALANCE,
    (State.COMPLETING_REBALANCE, GroupEvent.PREPARE): State.PREPARING_REBALANCE,
    (State.PREPARING_REBALANCE, GroupEvent.ALL_JOINED): State.COMPLETING_REBALANCE,
    (State.PREPARING_REBALANCE, GroupEvent.NOBODY_LEFT): State.EMPTY,
    (State.COMPLETING_REBALANCE, GroupEvent.ASSIGNED): State.STABLE,
    (State.EMPTY, GroupEvent.FORGET): State.DEAD,
}

LOOKED_AT_MAX = 100
"""In a group with more members than this, not every call checks every member's deadline."""
UNKNOWN_JOIN = JoinAnswer("UNKNOWN_MEMBER_ID", "")
UNKNOWN_SYNC = SyncAnswer("UNKNOWN_MEMBER_ID")


class ImpossibleMove(Exception):
    """A move that the table doesn't have: a bug in the coordinator."""


@dataclass(slots=True)
class Member:
    """One member.

    Attributes:
        protocols: (name, metadata) in its order of preference.
        assignment: the leader's bytes for it, empty before its first assignment.
        expires_ms: when its session ends, unless an answer to it is delayed.
        last_heartbeat_ms: the time of its last request, None since a restart.
        is_new: True until its first JoinGroup is answered; until then it doesn't know its id and can't send heartbeats.
        join_reply: its delayed JoinGroup answer, or None.
        sync_reply: its delayed SyncGroup answer, or None.
    """

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: Protocols
    expires_ms: int
    last_heartbeat_ms: int | None = None
    assignment: bytes = b""
    is_new: bool = False
    join_reply: Reply[JoinAnswer] | None = None
    sync_reply: Reply[SyncAnswer] | None = None

    def renew(self, now_ms: int) -> None:
        """Restart the session."""
        self.expires_ms = now_ms + max(1, self.session_timeout_ms)

    def heard(self, now_ms: int) -> None:
        """Record a request of the member and restart its session."""
        self.last_heartbeat_ms = now_ms
        self.renew(now_ms)

    def deadline_ms(self) -> int | None:
        """Return when the member is removed if it sends nothing, or None while an answer to it is delayed."""
        held = self.join_reply is not None or self.sync_reply is not None
        return None if held and not self.is_new else self.expires_ms

    def metadata(self, protocol: str) -> bytes:
        """Return its metadata for a protocol, empty if it doesn't support it."""
        return dict(self.protocols).get(protocol, b"")


class MemberCounts:
    """The number of members that support each protocol, and that have each client id.

    Each join needs both. Counting all members each time would make a group of thousands take seconds to form.
    """

    def __init__(self, members: Iterable[Member]) -> None:
        self.protocols: Counter[str] = Counter()
        self.client_ids: Counter[str] = Counter()
        for member in members:
            self.add(member)

    def add(self, member: Member) -> None:
        """Count an additional member."""
        self.protocols.update({name for name, _ in member.protocols})
        self.client_ids[member.client_id] += 1

    def remove(self, member: Member) -> None:
        """Remove a member from the counts."""
        self.protocols.subtract({name for name, _ in member.protocols})
        self.client_ids[member.client_id] -= 1


@dataclass(frozen=True, slots=True)
class EndedRebalance:
    """A finished rebalance that will be stored.

    Attributes:
        details: see `sandbox.model.rebalance.rebalance_details`.
        assignment: (member id, client id, the leader's bytes) of each member.
    """

    generation: int
    started_ms: int
    ended_ms: int
    details: Mapping[str, Any]
    assignment: tuple[tuple[str, str, bytes], ...]


@dataclass(slots=True)
class Group:
    """One group.

    Attributes:
        protocol_type: "consumer", "connect", ...; "" for a group that only commits offsets.
        protocol: the protocol selected for this generation, or "".
        leader: the leader's member id, or None.
        since_ms: when the group entered its current state.
        members: by member id, in the order in which they joined.
        pending: member ids assigned with MEMBER_ID_REQUIRED that have not joined yet, and when they expire.
        unsynced: members of this generation that have not sent SyncGroup.
        join_deadline_ms: when the rebalance continues without missing members.
        sync_deadline_ms: when unsynced members are removed.
        initial_delay_ms: `group.initial.rebalance.delay.ms` during the initial wait of a first rebalance, else 0.
        initial_left_ms: by how much the initial wait may still be extended.
        newcomer: True if a member has joined during the initial wait.
        started_ms: when the current rebalance began, or None.
        causes: the causes of the current rebalance.
        waited: ms that the rebalance has waited, by what it waited for.
        gone: number of removed members per client id since the last rebalance ended; the next rebalance names them too.
        ended: rebalances that ended in this call.
        outbox: answers decided in this call; sent when the group's state is consistent again.
        changed: True if the group must be stored.
        looked_until_ms: no member's deadline in a large group is earlier than this.
        counts: counts over the members; None until needed, and after a member's protocols changed.
    """

    group_id: str
    since_ms: int
    state: State = State.EMPTY
    generation: int = 0
    protocol_type: str = ""
    protocol: str = ""
    leader: str | None = None
    members: dict[str, Member] = field(default_factory=dict)
    pending: dict[str, int] = field(default_factory=dict)
    unsynced: set[str] = field(default_factory=set)
    join_deadline_ms: int | None = None
    sync_deadline_ms: int | None = None
    initial_delay_ms: int = 0
    initial_left_ms: int = 0
    newcomer: bool = False
    started_ms: int | None = None
    causes: list[Cause] = field(default_factory=list)
    waited: dict[Wait, int] = field(default_factory=dict)
    gone: Counter[str] = field(default_factory=Counter)
    ended: list[EndedRebalance] = field(default_factory=list)
    outbox: list["partial[None]"] = field(default_factory=list)
    changed: bool = False
    looked_until_ms: int = 0
    counts: MemberCounts | None = None

    @property
    def type(self) -> str:
        """The kind of group."""
        return CLASSIC_TYPE

    def move(self, move: GroupEvent, now_ms: int) -> None:
        """Change to the next state.

        Raises:
            ImpossibleMove: the table doesn't have this move.
        """
        following = MOVES.get((self.state, move))
        if following is None:
            raise ImpossibleMove(f"group {self.group_id} is {self.state}: impossible that {move}")
        self.state = following
        self.since_ms = now_ms
        self.changed = True

    def answer(self, reply: Reply[T] | None, answer: T) -> None:
        """Decide an answer; it is sent at the end of the coordinator's call. Does nothing if `reply` is None."""
        if reply is not None:
            self.outbox.append(partial(reply.set, answer))

    def add(self, member: Member, protocol_type: str) -> None:
        """Add a member. The first one becomes the leader and sets the group's protocol type."""
        if not self.members:
            self.protocol_type = protocol_type
        if self.leader is None:
            self.leader = member.member_id
        self.pending.pop(member.member_id, None)
        self.members[member.member_id] = member
        if self.counts is not None:
            self.counts.add(member)
        self.changed = True

    def remove(self, member_id: str) -> None:
        """Remove a member or a pending member id. Its delayed requests are answered UNKNOWN_MEMBER_ID."""
        self.pending.pop(member_id, None)
        member = self.members.pop(member_id, None)
        if member is None:
            return
        if self.counts is not None:
            self.counts.remove(member)
        self.gone[member.client_id] += 1
        self.unsynced.discard(member_id)
        self.answer(member.join_reply, UNKNOWN_JOIN)
        self.answer(member.sync_reply, UNKNOWN_SYNC)
        if self.leader == member_id:
            self.leader = next(iter(self.members), None)
        self.changed = True

    def replace(self, old_id: str, new_id: str, now_ms: int) -> Member:
        """Give a static member a new member id; everything else stays. Requests delayed under the old id are fenced."""
        member = self.members.pop(old_id)
        self.answer(member.join_reply, JoinAnswer("FENCED_INSTANCE_ID", old_id))
        self.answer(member.sync_reply, SyncAnswer("FENCED_INSTANCE_ID"))
        member.member_id, member.join_reply, member.sync_reply, member.is_new = new_id, None, None, False
        member.heard(now_ms)
        self.members[new_id] = member
        if self.leader == old_id:
            self.leader = new_id
        if old_id in self.unsynced:
            self.unsynced.remove(old_id)
            self.unsynced.add(new_id)
        self.changed = True
        return member

    def static_member_id(self, instance_id: str | None) -> str | None:
        """Return the current member id of a `group.instance.id`, or None."""
        if instance_id is None:
            return None
        return next((member.member_id for member in self.members.values() if member.instance_id == instance_id), None)

    def refusal(self, member_id: str, instance_id: str | None) -> str | None:
        """Return the error for a request of this member, FENCED_INSTANCE_ID or UNKNOWN_MEMBER_ID, or None."""
        if instance_id is not None:
            current = self.static_member_id(instance_id)
            if current is not None and current != member_id:
                return "FENCED_INSTANCE_ID"
            if current is None:
                return "UNKNOWN_MEMBER_ID"
        return None if member_id in self.members else "UNKNOWN_MEMBER_ID"

    def shared_protocols(self) -> set[str]:
        """Return the protocols that all members support."""
        return {name for name, count in self._counts().protocols.items() if count == len(self.members) > 0}

    def _counts(self) -> MemberCounts:
        if self.counts is None:
            self.counts = MemberCounts(self.members.values())
        return self.counts

    def supports(self, protocol_type: str, names: Iterable[str]) -> bool:
        """Return True if a member with these protocols can join the group."""
        if self.state is State.EMPTY or not self.members:
            return bool(protocol_type) and any(True for _ in names)
        return protocol_type == self.protocol_type and not self.shared_protocols().isdisjoint(names)

    def vote(self) -> str:
        """Return the protocol with the most votes. Each member votes for its first protocol that all support."""
        shared = self.shared_protocols()
        votes: dict[str, int] = {}
        for member in self.members.values():
            choice = next(name for name, _ in member.protocols if name in shared)
            votes[choice] = votes.get(choice, 0) + 1
        return max(votes, key=lambda name: votes[name])

    def joined_members(self) -> tuple[JoinedMember, ...]:
        """Return all members, for the leader's answer."""
        return tuple(
            JoinedMember(member.member_id, member.instance_id, member.metadata(self.protocol))
            for member in self.members.values()
        )

    def all_joined(self) -> bool:
        """Return True if every known member has joined, and no member id is pending."""
        return not self.pending and all(member.join_reply is not None for member in self.members.values())

    def rebalance_timeout_ms(self) -> int:
        """Return the longest of the members' rebalance timeouts in ms, at least 1."""
        return max(1, *(member.rebalance_timeout_ms for member in self.members.values()), 1)

    def next_deadline_ms(self) -> int | None:
        """Return when time changes this group next, or None."""
        deadlines = [self.join_deadline_ms, self.sync_deadline_ms, *self.pending.values()]
        deadlines += [member.deadline_ms() for member in self.members.values()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def early_deadline_ms(self, now_ms: int, least_session_ms: int) -> int | None:
        """Return a lower bound of `next_deadline_ms` that doesn't check thousands of members in each call.

        A deadline that is set after such a check is at least one session timeout later.

        Args:
            least_session_ms: `group.min.session.timeout.ms`.
        """
        if len(self.members) + len(self.pending) <= LOOKED_AT_MAX:
            return self.next_deadline_ms()
        if self.looked_until_ms <= now_ms:
            due_ms = self.next_deadline_ms()
            soon_ms = now_ms + max(1, least_session_ms)
            self.looked_until_ms = soon_ms if due_ms is None else min(due_ms, soon_ms)
        deadlines = (self.join_deadline_ms, self.sync_deadline_ms, self.looked_until_ms)
        return min(deadline for deadline in deadlines if deadline is not None)

    def names(self) -> dict[str, str]:
        """Return each member's name by member id; see `name_of`."""
        return member_names(
            ((one.member_id, one.client_id, one.instance_id) for one in self.members.values()), self.gone
        )

    def name_of(self, member: Member) -> str:
        """Return a member's display name; see `member_name`."""
        alike = self._counts().client_ids[member.client_id] + self.gone[member.client_id]
        return member_name(member.member_id, member.client_id, member.instance_id, alone=alike <= 1)
