"""Creates the event loop that serves the ports and counts the sockets that are ready in each turn.

Problem: requests that arrive together share one commit, so the commit waits for the loop's next turn, which first polls
the sockets again. Mostly, only one connection has sent something, and there is nothing to share. Then the turn ends
immediately.
"""

import asyncio
import errno
import logging
import os
import selectors
import sys
import time
from concurrent.futures import Future
from typing import Any, TypeVar

from sandbox.kafka.errors import SandboxError

T = TypeVar("T")
LOOP_CHECK_SECONDS = 1.0
NO_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""Errors after which asyncio stops accepting connections for a second, then tries again."""
REPEATED_SECONDS = 60.0
"""Minimum seconds between two log entries about connections that aren't accepted."""

logger = logging.getLogger("sandbox")


class Arrivals(selectors.DefaultSelector):
    """A selector that counts the ready sockets.

    Attributes:
        count: number of sockets that are ready in this turn.
    """

    count = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the ready sockets after at most `timeout` seconds; None waits forever."""
        ready = super().select(timeout)
        self.count = len(ready)
        return ready

    def leave_to_parent(self) -> None:
        """After a fork, close this process's copies of the sockets. Their numbers stay taken: others may close them."""
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (*(key.fd for key in self.get_map().values()), self.fileno()):
            os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)


def new_event_loop() -> tuple[asyncio.AbstractEventLoop, Arrivals | None]:
    """Return a loop and its counting selector. The selector is None on Windows, whose loop has none."""
    if sys.platform == "win32":
        return asyncio.new_event_loop(), None
    arrivals = Arrivals()
    loop = asyncio.SelectorEventLoop(arrivals)
    loop.set_exception_handler(AcceptFailures().handle)
    return loop, arrivals


class AcceptFailures:
    """Logs once that no connections are accepted, instead of a traceback for each attempt."""

    def __init__(self) -> None:
        self._logged_s: float | None = None

    def handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The loop's exception handler."""
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in NO_RESOURCES and "socket" in context):
            loop.default_exception_handler(context)
            return
        now_s = time.monotonic()
        if self._logged_s is None or now_s - self._logged_s >= REPEATED_SECONDS:
            self._logged_s = now_s
            logger.error(
                "No new connections are accepted for now: %s. They are accepted again when others end; a higher limit "
                "of open files (ulimit -n) allows more.",
                error.strerror,
            )


def result_of(future: "Future[T]", loop: asyncio.AbstractEventLoop) -> T:
    """Wait in another thread for the result of a call on the loop. Raises SandboxError if the loop has ended."""
    while True:
        try:
            return future.result(LOOP_CHECK_SECONDS)
        except TimeoutError:
            if future.done():
                return future.result()
            if loop.is_closed():
                raise SandboxError("This sandbox was closed before it came to this call.") from None


async def end_tasks() -> None:
    """Cancel all other tasks of this loop, and end its worker threads."""
    loop = asyncio.get_running_loop()
    left = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await loop.shutdown_default_executor()
