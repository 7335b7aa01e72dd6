"""Whom a group waits for, as plain values: only its coordinator knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Awaited:
    """A member that its group waits for, or that has fallen silent.

    Attributes:
        name: see `sandbox.model.member_names`.
        what: "join" (to join again), "assign" (the leader's assignment), "sync" (it has a place in the generation, and
            did not ask for its partitions), "revoke" (to give partitions back), "away" (a static member that means to
            come back), "heartbeat" (nothing but a sign of life).
        silent: True where it was not heard of for longer than any heartbeat takes.
        heard_ms: when it was last heard of, None since a restart.
        session_ends_ms: when it is put out unless it is heard of before.
        until_ms: when the group goes on without what it waits for, None where its session alone decides.
        session_timeout_ms: the length of its session.
        static: True for a static member, which keeps its place until its session ends.
    """

    member_id: str
    name: str
    what: str
    silent: bool
    heard_ms: int | None
    session_ends_ms: int
    until_ms: int | None
    session_timeout_ms: int
    static: bool = False

    @property
    def decided_ms(self) -> int:
        """When the wait is over at the latest, as it stands: a member that is heard of has its session renewed."""
        if self.until_ms is None:
            return self.session_ends_ms
        return min(self.until_ms, self.session_ends_ms) if self.silent else self.until_ms


@dataclass(frozen=True, slots=True)
class GroupWaits:
    """What only the coordinator knows of a group: whom it waits for.

    Attributes:
        awaited: those who end their waits first come first.
        joining: names of members that wait for their first generation: no row has them yet.
        names: member id to name, of every member.
    """

    awaited: tuple[Awaited, ...] = ()
    joining: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
