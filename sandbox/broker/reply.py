"""An answer that may come later, without an event loop."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Reply(Generic[T]):
    """One answer, given once, now or later.

    The broker's core knows no event loop: where Kafka holds an answer back (JoinGroup waits for the other members) it
    returns a `Reply` and sets it when a later call, or the clock, decides. Not thread safe: one thread uses the core.

    Attributes:
        done: whether it was given.
        drop: what to call when nobody waits for it any more, because the client has gone; None where that changes
            nothing.
    """

    __slots__ = ("_callbacks", "_result", "done", "drop")

    def __init__(self, drop: Callable[[], None] | None = None) -> None:
        self.done = False
        self.drop = drop
        self._result: T | None = None
        self._callbacks: list[Callable[[T], None]] = []

    @classmethod
    def of(cls, result: T) -> "Reply[T]":
        """A reply that is given already."""
        reply = cls()
        reply.set(result)
        return reply

    def set(self, result: T) -> None:
        """Give the answer. A second answer is an error of the caller, and raises."""
        if self.done:
            raise RuntimeError("this reply was given before")
        self.done = True
        self._result = result
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(result)

    def on_done(self, callback: Callable[[T], None]) -> None:
        """Call `callback` with the answer: at once if it is given, else when it is."""
        if self.done:
            callback(self.result())
        else:
            self._callbacks.append(callback)

    def result(self) -> T:
        """The answer; raises RuntimeError where there is none yet."""
        if not self.done:
            raise RuntimeError("there is no answer yet")
        return self._result  # type: ignore[return-value]
