"""Detects changes in a cluster by polling, and notifies subscribers.

A cluster sends no notifications. It is polled about once per second while there are subscribers, and less often if its
answers are slow.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.kafka.errors import BrokerError, ClusterAway
from sandbox.model.overview import Change

EVERY_S = 1.0
JOIN_S = 1.0
SHARE = 4
"""A poll that took t is followed by a pause of SHARE times t, which bounds the load of watching."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClusterState:
    """The state of a cluster at one moment. The difference between two of them is what changed.

    Attributes:
        away: why the cluster didn't answer; None if it did.
        shape: brokers, leaders and in-sync replicas.
        topics: a value per topic that changes when its events do.
        commits: committed offsets, by group.
        groups: state and members, by group.
    """

    away: str | None = None
    shape: Any = None
    topics: Mapping[str, Any] = field(default_factory=dict)
    commits: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, Any] = field(default_factory=dict)


def changes(before: ClusterState, after: ClusterState, at_ms: int) -> Iterator[Change]:
    """Return the changes between two states."""
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
    """Polls the cluster while somebody is subscribed.

    Args:
        look: reads the cluster's current state.
        every_s: interval between two polls.
    """

    def __init__(self, look: Callable[[], ClusterState], every_s: float = EVERY_S) -> None:
        self._look = look
        self._every_s = every_s
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[Change], None]] = []
        self._thread: threading.Thread | None = None
        self._soon = threading.Event()
        self._closed = False

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` after each change, in a separate thread. Returns a function that unsubscribes it."""
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
        """True while the cluster is polled."""
        return self._thread is not None

    def tell(self, change: Change) -> None:
        """Report a change that this program made."""
        with self._lock:
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            callback(change)

    def close(self) -> None:
        """Stop polling."""
        with self._lock:
            self._closed = True
            self._callbacks.clear()
            thread = self._thread
        self._soon.set()
        if thread is not None:
            thread.join(JOIN_S)

    def _run(self) -> None:
        before: ClusterState | None = None
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

    def _looked(self) -> ClusterState | None:
        try:
            return self._look()
        except ClusterAway as away:
            return ClusterState(away=away.detail)
        except BrokerError:
            return None
        except Exception:
            log.exception("the cluster could not be looked at")
            return None
