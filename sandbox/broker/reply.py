"""An answer that may be available only later, without an event loop."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Reply(Generic[T]):
    """One answer, set once, now or later.

    The broker's core has no event loop. If Kafka delays an answer (JoinGroup waits for the other members), the core
    returns a `Reply` and sets it when a later call or the clock decides it. Not thread-safe: the core runs on one
    thread.

    Attributes:
        done: True if the answer was set.
        drop: called if the client disconnects and nothing waits for the answer anymore; None if nothing needs to be
            done then.
        stored: True if the answer is about commits that have ended, whatever becomes of the turn in which it is set.
    """

    __slots__ = ("_callbacks", "_result", "done", "drop", "stored")

    def __init__(self, drop: Callable[[], None] | None = None, *, stored: bool = False) -> None:
        self.done = False
        self.drop = drop
        self.stored = stored
        self._result: T | None = None
        self._callbacks: list[Callable[[T], None]] = []

    @classmethod
    def of(cls, result: T) -> "Reply[T]":
        """Return a reply whose answer is already set."""
        reply = cls()
        reply.set(result)
        return reply

    def set(self, result: T) -> None:
        """Set the answer. Raises RuntimeError if it was set before."""
        if self.done:
            raise RuntimeError("this reply was given before")
        self.done = True
        self._result = result
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(result)

    def on_done(self, callback: Callable[[T], None]) -> None:
        """Call `callback` with the answer: immediately if it is set, otherwise when it is set."""
        if self.done:
            callback(self.result())
        else:
            self._callbacks.append(callback)

    def result(self) -> T:
        """Return the answer. Raises RuntimeError if it is not set yet."""
        if not self.done:
            raise RuntimeError("there is no answer yet")
        return self._result  # type: ignore[return-value]
