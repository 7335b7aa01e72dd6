"""A clock for tests: it runs or is frozen, and moves forward on demand."""

import threading
import time

from sandbox.runtime.clock import system_clock
from sandbox.runtime.runtime import Runtime


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


RUNS = 400
"""Runs of the repeated work on the way."""
STEPS_MAX = 5_000
"""Steps in which work that was started is finished, per run. The rest continues in the background."""
SOON_MS = 1_000
"""A deadline this close belongs to work that was started: it pauses for some ms between its steps."""


def advance(runtime: Runtime, clock: SettableClock, by_ms: int) -> int:
    """Move the clock forward.

    Args:
        runtime: the owner of the file; its clock is `clock`.
        by_ms: 0 and up.

    Returns:
        The new time, in ms since 1970.

    Raises:
        BrokerError: KAFKA_STORAGE_ERROR if the file could not be written.
    """

    def run(now_ms: int) -> int:
        end_ms = now_ms + by_ms
        every_ms = max(SOON_MS, by_ms // RUNS)
        _finish_work(runtime, now_ms)
        while now_ms < end_ms:
            now_ms = clock.move_to(min(end_ms, _next_timeout_ms(runtime, now_ms), now_ms + every_ms))
            _finish_work(runtime, now_ms)
        runtime.restart_timer()
        return now_ms

    return runtime.call(run)


def _next_timeout_ms(runtime: Runtime, now_ms: int) -> int:
    """Return the next deadline of a member, a transaction or a lock, at least 1 ms from now."""
    timeouts = (runtime.coordinator.earliest_timeout_ms(), runtime.broker.transactions.earliest_timeout_ms())
    return max(now_ms + 1, min((one for one in timeouts if one is not None), default=1 << 62))


def _finish_work(runtime: Runtime, now_ms: int) -> None:
    """Run what is due, and the rest of the work that this starts, as if its pauses were over."""
    at_ms = now_ms
    for _ in range(STEPS_MAX):
        runtime.broker.tick(at_ms)
        runtime.coordinator.tick(now_ms)
        if runtime.broker.uncommitted:
            failed = runtime.broker.commit()
            if failed is not None:
                raise failed
        due_ms = runtime.broker.unfinished_ms()
        if due_ms is None:
            return
        at_ms = max(at_ms, due_ms)
