"""The members that a group waits for, as plain values. Only the group's coordinator knows them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Awaited:
    """A member that its group waits for, or that has become silent.

    Attributes:
        name: see `sandbox.model.member_names`.
        what: "join" (to rejoin), "assign" (the leader's assignment), "sync" (it is in the generation, but has not
            requested its partitions), "revoke" (to release partitions), "away" (a static member that is expected to
            return), "heartbeat" (only a heartbeat).
        silent: True if it has been silent for longer than any heartbeat interval.
        heard_ms: time of its last request, None since a restart.
        session_ends_ms: when it is removed, unless it sends a request before.
        until_ms: when the group continues without it, None if only its session decides.
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
        """When the wait ends at the latest, as of now: a request from the member renews its session."""
        if self.until_ms is None:
            return self.session_ends_ms
        return min(self.until_ms, self.session_ends_ms) if self.silent else self.until_ms


@dataclass(frozen=True, slots=True)
class GroupWaits:
    """The members that a group waits for, which only its coordinator knows.

    Attributes:
        awaited: sorted by the end of the wait, earliest first.
        joining: names of members that wait for their first generation: they have no rows yet.
        names: member id to name, of every member.
    """

    awaited: tuple[Awaited, ...] = ()
    joining: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
