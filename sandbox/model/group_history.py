"""What the rows tell of a group's past: rates, small curves, rebalances and resets, as plain values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast events came into a partition, and how fast a group has committed its way through it.

    Attributes:
        in_per_s: events appended per second.
        out_per_s: events committed past per second, None where the group has no commit; 0 where it moved back.
    """

    in_per_s: float
    out_per_s: float | None


@dataclass(frozen=True, slots=True)
class Spark:
    """The lag of a group over the last minutes, all partitions together, in a few numbers.

    Attributes:
        since_ms: the moment of the first number; the last one is the lag as it stands.
        lags: oldest first; None for a moment before the first commit.
    """

    since_ms: int
    until_ms: int
    lags: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Handover:
    """A partition that changed hands in a rebalance.

    Attributes:
        partition: "topic-partition".
        before: who had it, in the words of `RebalanceStep`; None for nobody.
        after: who has it, None for nobody.
    """

    partition: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class RebalanceStep:
    """One rebalance, beside the one before it.

    A member is named as `sandbox.model.member_names` says.

    Attributes:
        id: rises with time.
        reason: in words, as the coordinator wrote it down: who caused it, and for whom it waited.
        members: how many the group has after it.
        joined: members that the one before did not have.
        left: members that only the one before had.
        moves: the partitions that changed hands.
        kept: how many partitions stayed where they were.
        compared: False for the first rebalance there is: with nothing before it, nothing is said to have moved.
    """

    id: int
    generation: int
    started_ms: int
    ended_ms: int
    reason: str
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
        older: what to ask for next (`before`), None where these are the last.
    """

    steps: tuple[RebalanceStep, ...]
    older: int | None


@dataclass(frozen=True, slots=True)
class Mark:
    """What is marked in a chart of lag.

    Attributes:
        kind: "rebalance", "reset" (an offset moved by no member: a tool or a program outside the group) or "moved back"
            (by a member).
        text: in words.
    """

    at_ms: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class LastReset:
    """The reset that a group has not gone on from: what its offsets were before.

    Attributes:
        at_ms: when it was committed.
        before: (topic, partition) to the offset that was committed before, None where there was none.
    """

    at_ms: int
    before: dict[tuple[str, int], int | None]
