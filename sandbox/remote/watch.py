"""What has changed in a cluster, told to whoever watches.

A cluster tells nothing by itself: it is asked, while somebody watches, about once a second, and more rarely where an
answer takes long.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.kafka.errors import BrokerError, ClusterAway
from sandbox.model.cluster import Change

EVERY_S = 1.0
JOIN_S = 1.0
SHARE = 4
"""A look that took t is followed by a rest of SHARE times t: watching takes a part of anybody's time, never more."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """A cluster as it was at one moment. What two of them have different has changed.

    Attributes:
        away: why it did not answer, None where it did.
        shape: brokers, leaders and in-sync sets.
        topics: name to what its events are told by.
        commits: group to its committed offsets.
        groups: group to its state and members.
    """

    away: str | None = None
    shape: Any = None
    topics: Mapping[str, Any] = field(default_factory=dict)
    commits: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, Any] = field(default_factory=dict)


def changes(before: Look, after: Look, at_ms: int) -> Iterator[Change]:
    """What is different between two looks."""
    none: frozenset[str] = frozenset()
    if before.away != after.away:
        yield Change("cluster", none, none, at_ms)
    if after.away is not None or before.away is not None:
        return
    if before.shape != after.shape:
        yield Change("cluster", none, none, at_ms)
    made = frozenset(set(before.topics) ^ set(after.topics))
    if made:
        yield Change("topics", made, none, at_ms)
    for kind, old, new in (
        ("events", before.topics, after.topics),
        ("commit", before.commits, after.commits),
        ("group", before.groups, after.groups),
    ):
        names = frozenset(name for name in {*old, *new} if old.get(name) != new.get(name))
        if kind == "events":
            names -= made
        if names:
            yield Change(kind, names if kind == "events" else none, none if kind == "events" else names, at_ms)


class Watch:
    """Watches while anybody wants to know.

    Args:
        look: looks at the cluster now.
        every_s: between two looks.
    """

    def __init__(self, look: Callable[[], Look], every_s: float = EVERY_S) -> None:
        self._look = look
        self._every_s = every_s
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[Change], None]] = []
        self._thread: threading.Thread | None = None
        self._soon = threading.Event()
        self._closed = False

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` after each change that is seen, on a thread of its own. Returns what ends it."""
        with self._lock:
            self._callbacks.append(callback)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="cluster-watch", daemon=True)
                self._thread.start()

        def end() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)
            self._soon.set()

        return end

    @property
    def watching(self) -> bool:
        """Whether it looks at the cluster at the moment."""
        return self._thread is not None

    def tell(self, change: Change) -> None:
        """Tell of a change that this program has made itself."""
        with self._lock:
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            callback(change)

    def close(self) -> None:
        """Stop watching."""
        with self._lock:
            self._closed = True
            self._callbacks.clear()
            thread = self._thread
        self._soon.set()
        if thread is not None:
            thread.join(JOIN_S)

    def _run(self) -> None:
        before: Look | None = None
        while True:
            started_s = time.monotonic()
            after = self._looked()
            if before is not None and after is not None:
                for change in changes(before, after, int(time.time() * 1000)):
                    self.tell(change)
            before = after if after is not None else before
            took_s = time.monotonic() - started_s
            self._soon.clear()
            with self._lock:
                if not self._callbacks:
                    self._thread = None
                    return
            self._soon.wait(max(self._every_s, took_s * SHARE))

    def _looked(self) -> Look | None:
        try:
            return self._look()
        except ClusterAway as away:
            return Look(away=away.detail)
        except BrokerError:
            return None
        except Exception:
            log.exception("the cluster could not be looked at")
            return None
