"""A run of a generator: what was asked for, and what came of it. And the bounds of all of them."""

from dataclasses import dataclass

from sandbox.generator.template import EventTemplate

RATE_MAX = 2000.0
"""Events/s of one generator: what the page's own server can make beside its other work."""
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
    """What a generator is to do.

    Attributes:
        topic: where to; it must exist.
        template: what the events look like.
        name: what the template is called, or "" where it has no name.
        rate: events/s, `RATE_MIN` to `RATE_MAX`.
        count: end after so many events, 1 to `COUNT_MAX`; None for `COUNT_MAX`.
        duration_s: end after so long, more than 0; None for no such end.
        seed: the same seed makes the same events.
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
    """A generator as it is now.

    Attributes:
        id: 1 and up, in the order in which they were started.
        order: what it was asked to do.
        state: "running", "done" (it came to its end), "stopped" or "failed".
        sent: events that were stored.
        rate_now: events/s over the last seconds; over the whole run once it has ended.
        partitions: (partition, events stored there), by partition.
        last: partition and offset of its latest event, None before the first.
        started_ms: ms since 1970.
        ended_ms: the same, None while it runs.
        error: why it failed, else None.
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
