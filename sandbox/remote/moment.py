"""Short-lived cache of a cluster's answers: concurrent pages share one request, and each page sees one state."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, cast

from sandbox.kafka.errors import ClusterAway

T = TypeVar("T")

AWAY_KEPT_S = 1.0
"""How long a cluster that didn't answer isn't asked again: pages fail immediately instead of one after another."""


class Views:
    """Tracks the threads that are rendering a page: a thread sees the same values until its page is complete."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextmanager
    def one(self) -> Iterator[None]:
        """A context in which each `Moment` returns the same value to this thread."""
        if getattr(self._local, "seen", None) is not None:
            yield
            return
        self._local.seen = {}
        try:
            yield
        finally:
            self._local.seen = None

    def seen(self) -> dict[object, Any] | None:
        """Return the values that this thread has seen; None if it isn't rendering a page."""
        return getattr(self._local, "seen", None)

    def forget(self) -> None:
        """Show new values to this thread, because it changed something."""
        if self.seen() is not None:
            self._local.seen = {}


class Moment(Generic[T]):
    """One cached answer.

    Args:
        views: the consistent views of the requesting threads.
        ask: requests the value from the cluster.
        kept_s: how long an answer is reused.
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
        """Return the value. Raises the errors of the request.

        Args:
            kept_s: maximum age; None for the default.
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
        """The latest value, of any age; None if there was none."""
        return self._value

    @property
    def away(self) -> ClusterAway | None:
        """Why the latest request failed; None if it succeeded."""
        return self._away

    def forget(self) -> None:
        """Request the value again next time, because something changed."""
        self._at_s = float("-inf")
        seen = self._views.seen()
        if seen is not None:
            seen.pop(self, None)
