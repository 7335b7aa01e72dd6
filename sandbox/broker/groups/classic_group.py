"""One consumer group: the table of its states, and its members.

**The theory.** A group's members share work (for consumers: partitions), and the broker does not know what the work
is. It only gets all members into one room, lets them elect a protocol, and hands the leader's assignment around:

1. *Join.* A member sends JoinGroup with the protocols that it speaks. The group prepares a rebalance: JoinGroups are
   held back until every known member has joined again, or the longest rebalance timeout has passed. A member learns of
   it from a heartbeat that answers REBALANCE_IN_PROGRESS.
2. *A generation begins.* Dynamic members that did not come are dropped. The generation goes up by one, the protocol
   with most votes among those that all members speak is selected, and all JoinGroups are answered at once; the leader's
   answer names all members.
3. *Sync.* Everybody sends SyncGroup; the leader's carries the assignment. The others' are held back until it has come.
   Then the group is stable, and heartbeats answer NONE.

A generation is a fence: whoever comes with another one is told ILLEGAL_GENERATION and must join again, so that a member
that slept through a rebalance can neither commit nor keep its old partitions. A *static* member (`group.instance.id`)
may come back within its session under a new member id and keep its assignment without a rebalance (KIP-345); its old
id is fenced.

A member is alive while it heartbeats within its session timeout, or while the broker itself holds back an answer to it.
A connection that closes means nothing: the client may come back on another one.

**The table** (state, move) -> state. A move that is not in it is an error by look-up. Groups are Dead only for a
moment: a Dead group is forgotten, and an unknown group answers as a Dead one.

Sources: KIP-62, KIP-134, KIP-345, KIP-394, KIP-559, KIP-800, KIP-814, and
https://kafka.apache.org/protocol#protocol_api_keys.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from sandbox.broker.groups.calls import JoinAnswer, JoinedMember, SyncAnswer
from sandbox.broker.reply import Reply, T
from sandbox.model.member_names import member_name, member_names
from sandbox.storage.groups.groups import Protocols


class State(StrEnum):
    """The states of a group, as Kafka spells them."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


class Move(StrEnum):
    """What may happen to a group."""

    PREPARE = "a rebalance is prepared"
    ALL_JOINED = "all members have joined"
    NOBODY_LEFT = "the last member is gone"
    ASSIGNED = "the leader has assigned"
    FORGET = "the group is deleted, or its last offset has expired"


MOVES = {
    (State.EMPTY, Move.PREPARE): State.PREPARING_REBALANCE,
    (State.STABLE, Move.PREPARE): State.PREPARING_REBALANCE,
    (State.COMPLETING_REBALANCE, Move.PREPARE): State.PREPARING_REBALANCE,
    (State.PREPARING_REBALANCE, Move.ALL_JOINED): State.COMPLETING_REBALANCE,
    (State.PREPARING_REBALANCE, Move.NOBODY_LEFT): State.EMPTY,
    (State.COMPLETING_REBALANCE, Move.ASSIGNED): State.STABLE,
    (State.EMPTY, Move.FORGET): State.DEAD,
}

LOOKED_AT_MAX = 100
"""In a larger group not every call looks at the deadline of every member."""
UNKNOWN_JOIN = JoinAnswer("UNKNOWN_MEMBER_ID", "")
UNKNOWN_SYNC = SyncAnswer("UNKNOWN_MEMBER_ID")


class ImpossibleMove(Exception):
    """A move that the table does not have: a fault of the coordinator."""


@dataclass(slots=True)
class Member:
    """One member.

    Attributes:
        protocols: (name, metadata) in its order of preference.
        assignment: the leader's bytes for it, empty before the first.
        expires_ms: when its session ends, unless an answer is held back.
        last_heartbeat_ms: when it was last heard of, None since a restart.
        is_new: True until its first JoinGroup is answered; it does not know its id yet and cannot heartbeat.
        join_reply: its JoinGroup that is held back, or None.
        sync_reply: its SyncGroup that is held back, or None.
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
        """Its session begins anew."""
        self.expires_ms = now_ms + max(1, self.session_timeout_ms)

    def heard(self, now_ms: int) -> None:
        """It has sent something: its session begins anew."""
        self.last_heartbeat_ms = now_ms
        self.renew(now_ms)

    def deadline_ms(self) -> int | None:
        """When it is dropped unless it is heard of, None while an answer to it is held back."""
        held = self.join_reply is not None or self.sync_reply is not None
        return None if held and not self.is_new else self.expires_ms

    def metadata(self, protocol: str) -> bytes:
        """Its metadata for a protocol, empty where it does not speak it."""
        return dict(self.protocols).get(protocol, b"")


class MemberCounts:
    """How many members speak each protocol, and how many have each client id.

    Each join asks for both. Counting all members each time would take a group of thousands seconds to form.
    """

    def __init__(self, members: Iterable[Member]) -> None:
        self.protocols: Counter[str] = Counter()
        self.client_ids: Counter[str] = Counter()
        for member in members:
            self.add(member)

    def add(self, member: Member) -> None:
        """Count one more member."""
        self.protocols.update({name for name, _ in member.protocols})
        self.client_ids[member.client_id] += 1

    def remove(self, member: Member) -> None:
        """Count one member less."""
        self.protocols.subtract({name for name, _ in member.protocols})
        self.client_ids[member.client_id] -= 1


@dataclass(frozen=True, slots=True)
class EndedRebalance:
    """A rebalance that has ended, to be written down.

    Attributes:
        assignment: (member id, client id, the leader's bytes) of each member.
    """

    generation: int
    started_ms: int
    ended_ms: int
    reason: str
    assignment: tuple[tuple[str, str, bytes], ...]


@dataclass(slots=True)
class Group:
    """One group.

    Attributes:
        protocol_type: "consumer", "connect", ...; "" for a group that only commits offsets.
        protocol: the one selected for this generation, "" for none.
        leader: member id, None where there is none.
        since_ms: since when it is in this state.
        members: by member id, in the order in which they came.
        pending: member ids given with MEMBER_ID_REQUIRED that have not joined yet, and when they expire.
        unsynced: members of this generation that have not sent SyncGroup.
        join_deadline_ms: when the rebalance goes on without those that are missing.
        sync_deadline_ms: when the unsynced members are dropped.
        initial_delay_ms: `group.initial.rebalance.delay.ms` while a first rebalance waits for it, else 0.
        initial_left_ms: by how much that wait may still be prolonged.
        newcomer: True where a member has joined during that wait.
        started_ms: when the rebalance began that goes on, or None.
        reasons: why.
        waited: whom or what it has waited for, in words, and for how many ms.
        gone: how many members of each client id went since the last rebalance ended: the next one tells of them too.
        ended: rebalances that ended in this call.
        outbox: answers decided in this call; given when the group's state is whole again.
        changed: True where the rows are older than this.
        looked_until_ms: until when no deadline of a member of a large group passes.
        counts: of the members; None until somebody asks, and after a member's protocols changed.
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
    reasons: list[str] = field(default_factory=list)
    waited: dict[str, int] = field(default_factory=dict)
    gone: Counter[str] = field(default_factory=Counter)
    ended: list[EndedRebalance] = field(default_factory=list)
    outbox: list["partial[None]"] = field(default_factory=list)
    changed: bool = False
    looked_until_ms: int = 0
    counts: MemberCounts | None = None

    def move(self, move: Move, now_ms: int) -> None:
        """Go to the next state.

        Raises:
            ImpossibleMove: the table does not have it.
        """
        following = MOVES.get((self.state, move))
        if following is None:
            raise ImpossibleMove(f"group {self.group_id} is {self.state}: impossible that {move}")
        self.state = following
        self.since_ms = now_ms
        self.changed = True

    def answer(self, reply: Reply[T] | None, answer: T) -> None:
        """Decide an answer; it is given at the end of the coordinator's call. None is nobody to answer."""
        if reply is not None:
            self.outbox.append(partial(reply.set, answer))

    def add(self, member: Member, protocol_type: str) -> None:
        """Add a member; the first one becomes leader and gives the group its protocol type."""
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
        """Remove a member or a pending member id. What it waits for is answered UNKNOWN_MEMBER_ID."""
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
        """Give a static member a new member id; all else stays. Whoever waits under the old id is fenced."""
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
        """The member id that a `group.instance.id` has now, or None."""
        if instance_id is None:
            return None
        return next((member.member_id for member in self.members.values() if member.instance_id == instance_id), None)

    def refusal(self, member_id: str, instance_id: str | None) -> str | None:
        """Why a request of this member is refused: FENCED_INSTANCE_ID, UNKNOWN_MEMBER_ID, or None where it is not."""
        if instance_id is not None:
            current = self.static_member_id(instance_id)
            if current is not None and current != member_id:
                return "FENCED_INSTANCE_ID"
            if current is None:
                return "UNKNOWN_MEMBER_ID"
        return None if member_id in self.members else "UNKNOWN_MEMBER_ID"

    def shared_protocols(self) -> set[str]:
        """The protocols that all members speak."""
        return {name for name, count in self._counts().protocols.items() if count == len(self.members) > 0}

    def _counts(self) -> MemberCounts:
        if self.counts is None:
            self.counts = MemberCounts(self.members.values())
        return self.counts

    def supports(self, protocol_type: str, names: Iterable[str]) -> bool:
        """Whether a member with these protocols can be in the group."""
        if self.state is State.EMPTY or not self.members:
            return bool(protocol_type) and any(True for _ in names)
        return protocol_type == self.protocol_type and not self.shared_protocols().isdisjoint(names)

    def vote(self) -> str:
        """The protocol with most votes: each member votes for the first of its own that all speak."""
        shared = self.shared_protocols()
        votes: dict[str, int] = {}
        for member in self.members.values():
            choice = next(name for name, _ in member.protocols if name in shared)
            votes[choice] = votes.get(choice, 0) + 1
        return max(votes, key=lambda name: votes[name])

    def joined_members(self) -> tuple[JoinedMember, ...]:
        """All members, as the leader is told of them."""
        return tuple(
            JoinedMember(member.member_id, member.instance_id, member.metadata(self.protocol))
            for member in self.members.values()
        )

    def all_joined(self) -> bool:
        """Whether every known member, and everybody who was given a member id, waits for the generation to begin."""
        return not self.pending and all(member.join_reply is not None for member in self.members.values())

    def rebalance_timeout_ms(self) -> int:
        """The longest of the members' rebalance timeouts, at least 1."""
        return max(1, *(member.rebalance_timeout_ms for member in self.members.values()), 1)

    def next_deadline_ms(self) -> int | None:
        """When time itself changes this group next, None for never."""
        deadlines = [self.join_deadline_ms, self.sync_deadline_ms, *self.pending.values()]
        deadlines += [member.deadline_ms() for member in self.members.values()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def early_deadline_ms(self, now_ms: int, least_session_ms: int) -> int | None:
        """As `next_deadline_ms`, but possibly too early: the deadlines of thousands of members are not all looked at.

        What changes after such a look is at least a session away from it.

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
        """Member id to the name of each member, as `name_of` gives it."""
        return member_names(
            ((one.member_id, one.client_id, one.instance_id) for one in self.members.values()), self.gone
        )

    def name_of(self, member: Member) -> str:
        """A member in words, see `member_name`."""
        alike = self._counts().client_ids[member.client_id] + self.gone[member.client_id]
        return member_name(member.member_id, member.client_id, member.instance_id, alone=alike <= 1)
