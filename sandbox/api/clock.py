"""The clock of a sandbox that was opened with a `SettableClock`, for tests.

with Sandbox("test.db", clock=SettableClock()) as sandbox:
    sandbox.append("orders", "old")
    sandbox.clock.advance("8d")        # retention.ms is 7 days by default
    assert sandbox.read("orders") == []
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.kafka.errors import SandboxError
from sandbox.model.times import duration_in_ms
from sandbox.runtime.runtime import Runtime
from sandbox.runtime.settable_clock import SettableClock, advance


class SandboxClock:
    """The time of one sandbox, which a test controls. All methods are thread-safe.

    It sets the broker's time: ages, timeouts and the timestamps of `append`. Clients have separate timers, which
    it does not reach.

    Args:
        runtime: the owner of the file.

    Raises:
        SandboxError: the sandbox was opened with another clock.
    """

    def __init__(self, runtime: Runtime) -> None:
        clock: Callable[[], int] | Any = runtime.clock
        if not isinstance(clock, SettableClock):
            reason = "This sandbox follows the system clock. Open it with Sandbox(..., clock=SettableClock())."
            raise SandboxError(reason)
        self._clock = clock
        self._runtime = runtime

    @property
    def now_ms(self) -> int:
        """The time in ms since 1970."""
        return self._clock()

    @property
    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(self._clock() / 1000, UTC)

    @property
    def frozen(self) -> bool:
        """True while the clock is frozen."""
        return self._clock.frozen

    def freeze(self) -> None:
        """Stop the clock. Sessions and transactions then never time out, until `advance` or `resume`."""
        self._clock.freeze()
        self._runtime.call(lambda now_ms: self._runtime.restart_timer())

    def resume(self) -> None:
        """Let the clock run again, from the time at which it was frozen."""
        self._clock.resume()
        self._runtime.call(lambda now_ms: self._runtime.restart_timer())

    def advance(self, by: str | timedelta | float) -> datetime:
        """Move the clock forward. What becomes due on the way happens before this returns, in the order of its time:
        session and transaction timeouts, locks of share groups, retention, compaction with its delete horizons, expiry
        of offsets.

        A connected consumer sends no heartbeat meanwhile. If its session times out, it is removed from its group, and
        joins again at its next heartbeat.

        Args:
            by: text such as "8d", "45s" or "1h 30m", a timedelta, or seconds; 0 and up.

        Returns:
            The new time, in UTC.

        Raises:
            ValueError: `by` isn't a duration.
        """
        advance(self._runtime, self._clock, duration_in_ms(by))
        return self.now
