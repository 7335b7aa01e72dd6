"""Stops work that runs in another thread.

A `Cancellation` covers one piece of work: a request of the page, or everything that reads one file. Code that may run
for long registers how it is interrupted (`interruptible`) and checks between two steps (`check`). Both apply to every
cancellation that covers the current context, so the code in between needs no argument for it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

from sandbox.kafka.errors import SandboxError

AGAIN_S = 0.02
"""Interval of repeated interrupts, in seconds: an interrupt between two statements has no effect."""

_covering: ContextVar[tuple["Cancellation", ...]] = ContextVar("cancellations", default=())


class Cancelled(SandboxError):
    """The work was stopped before it ended. The text is the reason."""


class Cancellation:
    """One piece of work that can be stopped from any thread.

    Args:
        reason: the text of the `Cancelled` that is raised in the work.

    Attributes:
        cancelled: True after `cancel`.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.cancelled = False
        self._changed = threading.Condition()
        self._running: dict[object, tuple[int, Callable[[], None]]] = {}

    def cancel(self) -> None:
        """Interrupt running work, and refuse new work. Call it again until the work has ended (see `AGAIN_S`)."""
        self.cancelled = True
        with self._changed:
            for _, interrupt in self._running.values():
                interrupt()

    def cancel_and_wait(self, within_s: float) -> bool:
        """Cancel, and wait until the work of all other threads has ended.

        Returns:
            False if some of it still runs after `within_s` seconds.
        """
        until_s = time.monotonic() + within_s
        while True:
            self.cancel()
            with self._changed:
                if not any(thread != threading.get_ident() for thread, _ in self._running.values()):
                    return True
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return False
                self._changed.wait(min(AGAIN_S, left_s))

    def check(self) -> None:
        """Raise Cancelled after `cancel`."""
        if self.cancelled:
            raise Cancelled(self.reason)

    @contextmanager
    def covering(self) -> Iterator[None]:
        """Cover the block, and the threads to which its context is copied."""
        covering = _covering.get()
        token = _covering.set(covering if self in covering else (*covering, self))
        try:
            yield
        finally:
            _covering.reset(token)

    @contextmanager
    def running(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Register the block as running work. `interrupt` is never called after the block has ended.

        Raises:
            Cancelled: it was cancelled before.
        """
        key = object()
        with self._changed:
            self._running[key] = (threading.get_ident(), interrupt)
        try:
            self.check()
            yield
        finally:
            with self._changed:
                del self._running[key]
                self._changed.notify_all()


def uncover() -> None:
    """Remove all cancellations from the current context.

    Call it when a request starts. A connection's later requests inherit the context of an earlier one, because
    asyncio keeps the context in which reading was last resumed.
    """
    _covering.set(())


def check() -> None:
    """Raise Cancelled if a cancellation that covers the current context was cancelled."""
    for one in _covering.get():
        one.check()


def interrupted() -> Cancelled:
    """Return the error of an interrupted statement, with the reason if it is known."""
    reasons = (one.reason for one in _covering.get() if one.cancelled)
    return Cancelled(next(reasons, "The query was interrupted."))


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """Allow the cancellations that cover the current context to interrupt the block from another thread.

    Raises:
        Cancelled: it was cancelled before.
    """
    with ExitStack() as stack:
        for one in _covering.get():
            stack.enter_context(one.running(interrupt))
        yield
