"""A group's history, as plain values: lag, rates, small charts, rebalances and resets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LagPoint:
    """Lag of one topic-partition at one moment, computed from the rows of commits and batches.

    Attributes:
        end: the log end offset then; the current log start offset if retention has deleted the batches of that time.
        lag: None before the first commit, and if the end is unknown.
        lag_ms: the age that the oldest unread event had; 0 if caught up, None if unknown.
    """

    at_ms: int
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int | None
    lag_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Rebalance:
    """One rebalance of a group, from its beginning to the assignment.

    Attributes:
        ended_ms: None while it is in progress.
        details: its causes, and the members that it waited for; see `sandbox.model.rebalance.rebalance_details`.
        assignment: name of a member (see `sandbox.model.groups`) to "topic-partition" names, after it.
    """

    generation: int
    started_ms: int
    ended_ms: int | None
    details: Mapping[str, Any]
    members: int
    assignment: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates at which events were appended to a partition, and committed by a group.

    Attributes:
        appended_per_s: events appended per second.
        committed_per_s: events committed per second, None if the group has no commit; 0 if it moved back.
    """

    appended_per_s: float
    committed_per_s: float | None


@dataclass(frozen=True, slots=True)
class LagSpark:
    """The total lag of a group over the last minutes, for a small chart.

    Attributes:
        since_ms: the moment of the first value; the last one is the current lag.
        lags: oldest first; None for a moment before the first commit.
    """

    since_ms: int
    until_ms: int
    lags: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Handover:
    """A partition whose owner changed in a rebalance.

    Attributes:
        partition: "topic-partition".
        before: the name of the former owner (see `RebalanceStep`); None for none.
        after: the name of the new owner, None for none.
    """

    partition: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class RebalanceStep:
    """One rebalance, compared with the previous one.

    Members are named by the rules of `sandbox.model.groups`.

    Attributes:
        id: increases with time.
        details: its causes, and the members that it waited for; see `sandbox.model.rebalance.rebalance_details`.
        members: the number of members after it.
        joined: members that the previous one did not have.
        left: members that only the previous one had.
        moves: the partitions whose owner changed.
        kept: how many partitions kept their owner.
        compared: False for the oldest rebalance, which has no previous one.
    """

    id: int
    generation: int
    started_ms: int
    ended_ms: int
    details: Mapping[str, Any]
    members: int
    joined: tuple[str, ...]
    left: tuple[str, ...]
    moves: tuple[Handover, ...]
    kept: int
    compared: bool


@dataclass(frozen=True, slots=True)
class RebalancePage:
    """Some rebalances of a group, newest first.

    Attributes:
        older: the argument `before` for the next page, None if there is none.
    """

    steps: tuple[RebalanceStep, ...]
    older: int | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark in a chart of lag.

    Attributes:
        kind: "rebalance", "reset" (an offset was moved by a tool or a program outside the group) or "moved back" (by a
            member).
        details: of a rebalance: `generation`, and the fields of `sandbox.model.rebalance.rebalance_details`. Of the
            others: the moved `partitions` as "topic partition", and how many `more`; only how many moved, in
            `partition_count`; or the details of a reset's activity.
    """

    at_ms: int
    kind: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LastReset:
    """A reset after which the group has not committed, with its offsets before the reset.

    Attributes:
        at_ms: when it was committed.
        before: (topic, partition) to the offset that was committed before, None if there was none.
    """

    at_ms: int
    before: dict[tuple[str, int], int | None]
