"""A share group (KIP-932): its members and their epochs.

Members of a share group share partitions, so nothing has to be revoked before it is assigned: the broker computes the
target at each change, and a member has it with its next heartbeat. Which member gets which record is decided by the
windows of `sandbox.broker.shares`, not by the assignment.

The group's state follows from its members: *Empty* without members, else *Stable*.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from sandbox.broker.groups.assignors import NO_PARTITIONS, Partitions
from sandbox.broker.groups.share_assignor import SIMPLE
from sandbox.kafka.errors import BrokerError
from sandbox.model.member_names import member_name, member_names
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
