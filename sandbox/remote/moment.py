"""What the cluster told, kept for a moment: many pages at once ask once, and all of one page sees the same."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, cast

from sandbox.kafka.errors import ClusterAway

T = TypeVar("T")

AWAY_KEPT_S = 1.0
"""For how long a cluster that did not answer is not asked again: pages fail at once, and not one after the other."""


class Views:
    """Which thread is in the middle of a page: what it has seen, it sees until the page is done."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextmanager
    def one(self) -> Iterator[None]:
        """A context in which each `Moment` gives this thread one and the same value."""
        if getattr(self._local, "seen", None) is not None:
            yield
            return
        self._local.seen = {}
        try:
            yield
        finally:
            self._local.seen = None

    def seen(self) -> dict[object, Any] | None:
        """What this thread has seen, None where it is in no page."""
        return getattr(self._local, "seen", None)

    def forget(self) -> None:
        """Let this thread see what is new: it has just changed something."""
        if self.seen() is not None:
            self._local.seen = {}


class Moment(Generic[T]):
    """One thing that the cluster tells.

    Args:
        views: of the threads that ask.
        ask: asks the cluster.
        kept_s: for how long an answer is used again.
    """

    def __init__(self, views: Views, ask: Callable[[], T], kept_s: float) -> None:
        self._views = views
        self._ask = ask
        self._kept_s = kept_s
        self._lock = threading.Lock()
        self._at_s = float("-inf")
        self._value: T | None = None
        self._away: ClusterAway | None = None

    def get(self, *, kept_s: float | None = None) -> T:
        """The answer; raises what asking raises.

        Args:
            kept_s: how old it may be; None for the usual.
        """
        seen = self._views.seen()
        if seen is not None and self in seen:
            return cast(T, seen[self])
        with self._lock:
            age_s = time.monotonic() - self._at_s
            if self._away is not None and age_s < AWAY_KEPT_S:
                raise ClusterAway(self._away.detail)
            if self._away is not None or age_s >= (self._kept_s if kept_s is None else kept_s):
                self._renew()
            value = cast(T, self._value)
        if seen is not None:
            seen[self] = value
        return value

    def _renew(self) -> None:
        try:
            self._value = self._ask()
            self._away = None
        except ClusterAway as away:
            self._away = away
            raise
        finally:
            self._at_s = time.monotonic()

    @property
    def last(self) -> T | None:
        """What it told last, however old; None where it never did."""
        return self._value

    @property
    def away(self) -> ClusterAway | None:
        """Why it could not be told the last time, None where it could."""
        return self._away

    def forget(self) -> None:
        """Ask again the next time: something has changed."""
        self._at_s = float("-inf")
        seen = self._views.seen()
        if seen is not None:
            seen.pop(self, None)
