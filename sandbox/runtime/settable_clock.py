"""A clock for tests: it runs or is frozen, and moves forward on demand."""

import threading
import time

from sandbox.runtime.clock import system_clock


class SettableClock:
    """The time in ms since 1970. Thread-safe.

    While it runs, it follows a monotonic clock, so a change of the system clock does not reach it.

    Args:
        start_ms: the first time; None for the system clock's.
        frozen: True if it is frozen from the start.
    """

    def __init__(self, start_ms: int | None = None, *, frozen: bool = False) -> None:
        self._lock = threading.Lock()
        self._base_ms = system_clock() if start_ms is None else start_ms
        self._since_s: float | None = None if frozen else time.monotonic()

    def __call__(self) -> int:
        """Return the time."""
        with self._lock:
            return self._now_ms()

    def _now_ms(self) -> int:
        return self._base_ms + (0 if self._since_s is None else int(1000 * (time.monotonic() - self._since_s)))

    @property
    def frozen(self) -> bool:
        """True while it is frozen."""
        return self._since_s is None

    def freeze(self) -> None:
        """Stop at the current time."""
        with self._lock:
            self._base_ms, self._since_s = self._now_ms(), None

    def resume(self) -> None:
        """Run again, from the time at which it was frozen."""
        with self._lock:
            self._base_ms, self._since_s = self._now_ms(), time.monotonic()

    def move_to(self, time_ms: int) -> int:
        """Move forward to a time, if it is later than now. Returns the time after that."""
        with self._lock:
            now_ms = self._now_ms()
            self._base_ms += max(0, time_ms - now_ms)
            return max(now_ms, time_ms)
