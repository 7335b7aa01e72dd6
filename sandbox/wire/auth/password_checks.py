"""Checks passwords in a thread: a check is deliberately slow (milliseconds) and would block the event loop.

There is one such thread. Further checks are queued, at most one per connection.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

Outcome = Callable[[], bytes]
"""Returns the answer, or raises the error."""


class PasswordChecks:
    """Runs checks, one after the other."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None

    def run(self, check: Callable[[], bytes], then: Callable[[Outcome], None]) -> None:
        """Run a check in the thread, then call `then` with its outcome on the running event loop."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "sandbox-passwords")
        loop = asyncio.get_running_loop()

        def done(future: Future[bytes]) -> None:
            if not future.cancelled():
                # If the loop has ended, the outcome is not needed.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(then, future.result)

        self._executor.submit(check).add_done_callback(done)

    def close(self) -> None:
        """Cancel the queued checks, and end the thread."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)
