"""The event loop that serves the ports, and knows how much came in a turn.

Problem: requests that arrive together share one commit, so the commit waits until all that came was handled: for the
next turn of the loop, which begins by asking the system once more what has come. Mostly one connection has sent
something, and there is nothing to share. Then the turn ends at once.
"""

import asyncio
import os
import selectors
import sys
from concurrent.futures import Future
from typing import TypeVar

from sandbox.kafka.errors import SandboxError

T = TypeVar("T")
LOOP_CHECK_SECONDS = 1.0


class Arrivals(selectors.DefaultSelector):
    """Asks the system what has come.

    Attributes:
        count: on how many sockets something has come in this turn.
    """

    count = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What has come, after at most `timeout` seconds; None waits for ever."""
        ready = super().select(timeout)
        self.count = len(ready)
        return ready

    def leave_to_parent(self) -> None:
        """After a fork: close this process's copies of the sockets. Their numbers stay taken: others may close them."""
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (*(key.fd for key in self.get_map().values()), self.fileno()):
            os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)


def new_event_loop() -> tuple[asyncio.AbstractEventLoop, Arrivals | None]:
    """A loop, and what tells of its arrivals: None where a loop has no selector, on Windows."""
    if sys.platform == "win32":
        return asyncio.new_event_loop(), None
    arrivals = Arrivals()
    return asyncio.SelectorEventLoop(arrivals), arrivals


def result_of(future: "Future[T]", loop: asyncio.AbstractEventLoop) -> T:
    """The result of a call that was handed to a loop, for another thread; SandboxError where the loop has ended."""
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
