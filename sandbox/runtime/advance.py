"""Moves a test's clock forward, and runs everything that becomes due on the way, in the order of its deadlines.

Deadlines of members, transactions and locks of share groups are met to the millisecond. Work that repeats (retention,
compaction, expiry of offsets) is due every few minutes or seconds, which would be a million runs per year. Its result
depends on ages alone, so `RUNS` runs over the whole way, and one at the end, have the same outcome.
"""

from sandbox.runtime.runtime import Runtime
from sandbox.runtime.settable_clock import SettableClock

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
