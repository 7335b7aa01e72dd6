"""A generator's order and its current state, and the limits of all generators."""

from dataclasses import dataclass

from sandbox.generator.template import EventTemplate

RATE_MAX = 2000.0
"""Highest rate of one generator in events/s: what the page's server sustains beside its other work."""
RATE_MIN = 0.01
RATES_MAX = 4000.0
"""Events/s of all running generators together."""
RUNNING_MAX = 8
COUNT_MAX = 1_000_000
"""Events of one run. One that was started without an end, and forgotten, does not fill the disk."""
DURATION_MAX_S = 7 * 86_400.0
ENDED_MAX = 20
"""Ended runs that are remembered."""

RUNNING, DONE, STOPPED, FAILED = "running", "done", "stopped", "failed"


@dataclass(frozen=True, slots=True)
class GeneratorOrder:
    """What a generator should do.

    Attributes:
        topic: an existing topic.
        template: the template of the events.
        name: the template's name, or "" if it has none.
        rate: events/s, `RATE_MIN` to `RATE_MAX`.
        count: number of events, 1 to `COUNT_MAX`; None for `COUNT_MAX`.
        duration_s: stop after this many seconds, more than 0; None for no limit.
        seed: the same seed generates the same events.
    """

    topic: str
    template: EventTemplate
    name: str = ""
    rate: float = 10.0
    count: int | None = None
    duration_s: float | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GeneratorRun:
    """The current state of a generator.

    Attributes:
        id: the generator's number, from 1, in the order of their starts.
        order: what it should do.
        state: "running", "done" (completed its order), "stopped" or "failed".
        sent: number of stored events.
        rate_now: events/s over the last seconds; over the whole run after it has ended.
        partitions: (partition, stored events), by partition.
        last: partition and offset of the latest event; None before the first.
        started_ms: ms since 1970.
        ended_ms: ms since 1970; None while it is running.
        error: why it failed, or None.
    """

    id: int
    order: GeneratorOrder
    state: str
    sent: int
    rate_now: float
    partitions: tuple[tuple[int, int], ...]
    last: tuple[int, int] | None
    started_ms: int
    ended_ms: int | None
    error: str | None
