"""The clock, and when it was set or went on while the machine slept."""

import time
from collections.abc import Callable

LEAST_MS = 2_000
"""A smaller difference is that of two clocks, not a jump."""


def system_clock() -> int:
    """The time in ms since 1970."""
    return time.time_ns() // 1_000_000


class ClockJumps:
    """Compares a clock with one that is never set, and that stands still while the machine sleeps.

    Args:
        clock: the time in ms since 1970.
        steady_s: the other one, in seconds; None where the clock is made by hand and means what it shows.
    """

    def __init__(self, clock: Callable[[], int], steady_s: Callable[[], float] | None) -> None:
        self._clock = clock
        self._steady_s = steady_s
        self._apart_ms = self._difference_ms()

    def _difference_ms(self) -> int:
        return 0 if self._steady_s is None else self._clock() - int(1000 * self._steady_s())

    def look(self) -> int:
        """How far the clock jumped since the last look, in ms; below 0 where it was set back, 0 where it did not."""
        apart_ms = self._difference_ms()
        jump_ms = apart_ms - self._apart_ms
        if abs(jump_ms) < LEAST_MS:
            return 0
        self._apart_ms = apart_ms
        return jump_ms
