"""Reads the system clock and detects when it was set.

Problem: timestamps come from the system clock, but it is set by hand, by time servers and by hosts of virtual machines,
and it continues while the machine sleeps. Timeouts must not depend on it. Trade: the core has a single time, `now_ms`.
Each time the loop reads it, it is compared with a monotonic clock. If they moved apart, every deadline is moved by the
same amount before anything else happens. Consequence: a timeout lasts as long as it should, and stored timestamps match
the system clock.
"""

import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from sandbox.broker.broker import Broker
from sandbox.broker.logs.retention import AgeHold
from sandbox.model.times import duration

LEAST_MS = 200
"""A smaller difference is not a jump: the clocks are read one after the other, and time servers correct drift."""
READ_MS = 50
"""If reading both clocks takes longer, they are not compared, because the process was interrupted in between."""
REPORTED_MS = 2_000


def system_clock() -> int:
    """Return the time in ms since 1970."""
    return time.time_ns() // 1_000_000


def running_s() -> float:
    """Return a monotonic time in seconds that stops while the machine sleeps (not on Windows)."""
    return time.monotonic()


def passed_s() -> float:
    """Return a monotonic time in seconds that includes the time while the machine sleeps."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()


class Jump(NamedTuple):
    """A difference between the system clock's progress and the time that the machine was running.

    Attributes:
        by_ms: the difference; below 0 if the clock was set back.
        set_ms: the part of it by which the clock was set; the machine slept for the rest.
    """

    by_ms: int
    set_ms: int


class WatchedClock:
    """The time in ms since 1970, for the thread that owns the deadlines.

    Args:
        clock: returns the time in ms since 1970. It may be set.
        jumped: called with each jump and the time after it, before that time is returned.
        running: see `running_s`; None for a clock that a test sets, which never jumps.
        passed: see `passed_s`.
    """

    def __init__(
        self,
        clock: Callable[[], int],
        jumped: Callable[[Jump, int], None],
        running: Callable[[], float] | None = running_s,
        passed: Callable[[], float] = passed_s,
    ) -> None:
        self._clock = clock
        self._jumped = jumped
        self._running = running
        self._passed = passed
        self._apart_ms = 0
        self._slept_ms = 0
        if running is not None:
            self._apart_ms = clock() - int(1000 * running())
            self._slept_ms = self._slept()

    def _slept(self) -> int:
        return int(1000 * (self._passed() - self._running())) if self._running is not None else 0

    def __call__(self) -> int:
        """Return the current time. A jump since the last call is reported first."""
        now_ms = self._clock()
        if self._running is not None and abs(now_ms - 1000 * self._running() - self._apart_ms) > LEAST_MS:
            return self._after_jump(self._running)
        return now_ms

    def _after_jump(self, running: Callable[[], float]) -> int:
        before_s = running()
        now_ms = self._clock()
        if 1000 * (running() - before_s) > READ_MS:
            return now_ms
        apart_ms, slept_ms = now_ms - int(1000 * before_s), self._slept()
        by_ms = apart_ms - self._apart_ms
        if abs(by_ms) > LEAST_MS:
            slept_for_ms = slept_ms - self._slept_ms
            self._apart_ms, self._slept_ms = apart_ms, slept_ms
            self._jumped(Jump(by_ms, by_ms - max(0, slept_for_ms)), now_ms)
        return now_ms


logger = logging.getLogger("sandbox")


def trouble(hold: AgeHold) -> str | None:
    """Return the page's message while deletion by age is on hold, with what to do; None if it isn't."""
    if not hold.jump_ms:
        return None
    until = datetime.fromtimestamp(hold.until_ms / 1000, UTC)
    return (
        f"The system clock was set forward by {duration(hold.jump_ms)}. Until {until:%Y-%m-%d %H:%M} UTC nothing is "
        "deleted because of its age; then retention counts from the new time. If the clock is wrong, set it right "
        "before that. To keep events for longer, raise the topic's retention.ms."
    )


def report(broker: Broker, set_ms: int) -> None:
    """Report that the clock was set by `set_ms` (more than an hour); below 0 if it was set back."""
    words = f"set {'forward' if set_ms > 0 else 'back'} by {duration(abs(set_ms))}"
    logger.warning("%s", trouble(broker.age_hold) or f"The system clock was {words}.")
    broker.turn.note("clock", {"by_ms": set_ms})
