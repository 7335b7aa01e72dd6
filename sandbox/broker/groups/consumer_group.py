"""One group of the consumer protocol (KIP-848): its epochs, and how a member is brought to the target.

**The theory.** In the classic protocol everybody stops, meets, and goes on with a new assignment. Here nobody meets.
The broker computes what each member is to have, the *target*, and brings every member to it on its own, by what it
answers to heartbeats:

1. *Something changes:* a member comes, goes, subscribes to something else, or a topic gets partitions. The **group
   epoch** goes up by one. At the next heartbeat of any member the assignor computes a new target; the **target
   assignment epoch** is now the group epoch.
2. *A member must give something back.* It is told of an assignment without it, and stays in its **member epoch** until
   a heartbeat shows that it has let go (`UNREVOKED`). If that takes longer than its rebalance timeout, it is put out.
3. *A member gets the rest* of its target: what nobody else has any more. With that answer its member epoch becomes the
   target's. While others still hold some of it, it asks on (`UNRELEASED`).

So a partition is never given to a member before the one that had it has said that it let go, and members that keep
what they have are not disturbed. The member epoch is a fence: commits with another one are refused, and a member that
comes with an old one must let go of everything and join again; except with the epoch just before and nothing that it
may not have: then it was the broker's answer that got lost.

The group's state follows from the epochs: *Empty* without members, *Assigning* while the target is older than the
group, *Reconciling* while a member is not where the target wants it, else *Stable*. A Dead group is forgotten.

Source: KIP-848; https://kafka.apache.org/protocol (ConsumerGroupHeartbeat).
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from sandbox.broker.groups.assignors import NO_PARTITIONS, Partitions
from sandbox.broker.groups.classic_rebalance import in_words
from sandbox.model.member_names import member_name, member_names
from sandbox.storage.groups.groups import StoredRebalance

PROTOCOL_TYPE = "consumer"
FIRST_EPOCH = 1
"""The epoch of a new group. Its first member raises it, so that member's epoch is 2, as in Apache Kafka 4.4."""


class ConsumerState(StrEnum):
    """The states of a group, as Kafka spells them."""

    EMPTY = "Empty"
    ASSIGNING = "Assigning"
    RECONCILING = "Reconciling"
    STABLE = "Stable"


class MemberState(StrEnum):
    """Where a member is on its way to the target of its epoch."""

    STABLE = "Stable"
    UNREVOKED = "UnrevokedPartitions"
    UNRELEASED = "UnreleasedPartitions"


@dataclass(slots=True)
class Consumer:
    """One member.

    Attributes:
        rebalance_timeout_ms: how long it may take to give partitions back.
        topics: the names that it subscribes to.
        pattern: the regular expression that it subscribes to, "" for none.
        assignor: the assignor that it votes for, or None.
        member_epoch: -2 for a static member that is away.
        previous_epoch: the one before, which it may still come with.
        assigned: what it may have; no other member ever may at the same time.
        revoking: what it was told to let go, and has not.
        target: what it is to have.
        expires_ms: when its session ends.
        revoke_deadline_ms: when it is put out unless it has let go; None where nothing is asked of it.
        last_heartbeat_ms: when it was last heard of, None since a restart.
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

    def go_to(self, epoch: int) -> None:
        """Take the next member epoch."""
        self.previous_epoch, self.member_epoch = self.member_epoch, epoch

    def deadline_ms(self) -> int:
        """When time puts it out."""
        return self.expires_ms if self.revoke_deadline_ms is None else min(self.expires_ms, self.revoke_deadline_ms)


@dataclass(slots=True)
class ConsumerGroup:
    """One group.

    Attributes:
        since_ms: since when it is in this state.
        generation: the group epoch.
        assignment_epoch: the target's.
        protocol: the assignor of the target.
        members: by member id, in the order in which they came.
        subscribed: the names of topics that members subscribe to, matches of their expressions included.
        metadata: (topic id, partitions) of those that exist, as of the last heartbeat.
        started_ms: when the rebalance began that goes on, or None.
        reasons: why.
        waited: what it has waited for, in words, and for how many ms.
        gone: how many members of each client id went since the last rebalance ended: the next one tells of them too.
        ended: rebalances that ended in this call.
        outbox: always empty: every answer of this protocol is given at once.
        changed: True where the rows are older than this.
    """

    group_id: str
    since_ms: int
    state: ConsumerState = ConsumerState.EMPTY
    generation: int = FIRST_EPOCH
    assignment_epoch: int = 0
    protocol: str = ""
    members: dict[str, Consumer] = field(default_factory=dict)
    subscribed: frozenset[str] = frozenset()
    metadata: frozenset[tuple[UUID, int]] = frozenset()
    started_ms: int | None = None
    reasons: list[str] = field(default_factory=list)
    waited: dict[str, int] = field(default_factory=dict)
    gone: Counter[str] = field(default_factory=Counter)
    ended: list[StoredRebalance] = field(default_factory=list)
    outbox: list[Callable[[], None]] = field(default_factory=list)
    changed: bool = False

    @property
    def protocol_type(self) -> str:
        """Always "consumer": the protocol knows no other."""
        return PROTOCOL_TYPE

    @property
    def pending(self) -> tuple[str, ...]:
        """Member ids that were given out and not used: there are none in this protocol."""
        return ()

    def bump(self, reason: str, now_ms: int) -> None:
        """Something changed that the target must follow: the next group epoch."""
        if self.started_ms is None:
            self.started_ms = now_ms
        self.reasons.append(reason)
        self.generation += 1
        self.changed = True

    def refusal(self, member_id: str, member_epoch: int) -> str | None:
        """Why a request of this member is refused: UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, or None where it is not."""
        member = self.members.get(member_id)
        if member is None:
            return "UNKNOWN_MEMBER_ID"
        return None if member.member_epoch == member_epoch else "STALE_MEMBER_EPOCH"

    def static_member(self, instance_id: str) -> Consumer | None:
        """The member that has a `group.instance.id`, or None."""
        return next((member for member in self.members.values() if member.instance_id == instance_id), None)

    def is_at_target(self, member: Consumer) -> bool:
        """Whether a member has what the target wants it to have, and nothing else."""
        return member.state is MemberState.STABLE and member.member_epoch == self.assignment_epoch

    def state_now(self) -> ConsumerState:
        """The state that follows from the members and the epochs."""
        if not self.members:
            return ConsumerState.EMPTY
        if self.generation > self.assignment_epoch:
            return ConsumerState.ASSIGNING
        if all(self.is_at_target(member) for member in self.members.values()):
            return ConsumerState.STABLE
        return ConsumerState.RECONCILING

    def reconcile(self, member: Consumer, owned: Partitions | None, now_ms: int) -> None:
        """Bring a member one step nearer to the target.

        Args:
            owned: what it says that it has; None where it does not say, and may have all that it had.
        """
        if member.state is MemberState.UNREVOKED:
            if owned is not None and not owned & member.revoking:
                self._advance(member, member.member_epoch + 1, owned, now_ms)
        elif not self.is_at_target(member):
            self._advance(member, member.member_epoch, owned, now_ms)

    def _advance(self, member: Consumer, epoch: int, owned: Partitions | None, now_ms: int) -> None:
        """Take from a member what it is not to have; where it has let go of that, give it what is free.

        Args:
            epoch: the member's epoch while something is taken from it.
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
                what = f"{self.name_of(member)} to give partitions back"
                asked_ms = member.revoke_deadline_ms - max(1, member.rebalance_timeout_ms)
                self.waited[what] = self.waited.get(what, 0) + now_ms - asked_ms
            wanted = member.target - member.assigned
            free = wanted - self._held_by_others(member) if wanted else wanted
            member.go_to(self.assignment_epoch)
            member.state = MemberState.STABLE if free == wanted else MemberState.UNRELEASED
            member.assigned, member.revoking = kept | free, NO_PARTITIONS
            member.revoke_deadline_ms = None
        after = (member.state, member.member_epoch, member.previous_epoch, member.assigned, member.revoking)
        self.changed = self.changed or after != before

    def _held_by_others(self, member: Consumer) -> set[tuple[UUID, int]]:
        held: set[tuple[UUID, int]] = set()
        for other in self.members.values():
            if other is not member:
                held |= other.assigned
                held |= other.revoking
        return held

    def end_rebalance(self, now_ms: int, names: Callable[[Partitions], Iterable[str]]) -> None:
        """Take the state that follows, and write down the rebalance that ends with it."""
        state = self.state_now()
        if state is ConsumerState.EMPTY and self.assignment_epoch != self.generation:
            # Without members there is nothing to compute: Kafka 4.4 takes the empty target as of the group's epoch.
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
                in_words(self.reasons, self.waited),
                len(self.members),
                assignment,
            )
        )
        self.started_ms, self.reasons, self.waited, self.gone, self.changed = None, [], {}, Counter(), True

    def next_deadline_ms(self) -> int | None:
        """When time itself changes this group next, None for never."""
        return min((member.deadline_ms() for member in self.members.values()), default=None)

    def names(self) -> dict[str, str]:
        """Member id to the name of each member, as `name_of` gives it."""
        return member_names(
            ((one.member_id, one.client_id, one.instance_id) for one in self.members.values()), self.gone
        )

    def name_of(self, member: Consumer) -> str:
        """A member in words, see `member_name`."""
        alike = sum(other.client_id == member.client_id for other in self.members.values())
        alike += self.gone[member.client_id]
        return member_name(member.member_id, member.client_id, member.instance_id, alone=alike <= 1)
