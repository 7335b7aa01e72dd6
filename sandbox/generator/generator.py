"""A running generator: a thread that builds events from a template and appends them at a rate.

The rate follows the clock. A generator that falls behind catches up on at most one second of events and skips the rest,
so it never floods a log after a slow disk recovers.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from sandbox.generator.template import Encoders, EventTemplate
from sandbox.kafka.errors import SandboxError
from sandbox.kafka.event import NewEvent
from sandbox.model.overview import Change
from sandbox.model.topics import TopicDescription

RATE_MAX = 2000.0
"""Highest rate of one generator in events/s: what the page's server sustains beside its other work."""
RATE_MIN = 0.01
RATES_MAX = 4000.0
"""Events/s of all running generators together."""
RUNNING_MAX = 8
COUNT_MAX = 1_000_000
"""Events of one run. One that was started without an end, and forgotten, does not fill the disk."""
DURATION_MAX_S = 7 * 86_400.0
ENDED_MAX = 20
"""Ended runs that are remembered."""

RUNNING, DONE, STOPPED, FAILED = "running", "done", "stopped", "failed"


@dataclass(frozen=True, slots=True)
class GeneratorOrder:
    """What a generator should do.

    Attributes:
        topic: an existing topic.
        template: the template of the events.
        name: the template's name, or "" if it has none.
        rate: events/s, `RATE_MIN` to `RATE_MAX`.
        count: number of events, 1 to `COUNT_MAX`; None for `COUNT_MAX`.
        duration_s: stop after this many seconds, more than 0; None for no limit.
        seed: the same seed generates the same events.
    """

    topic: str
    template: EventTemplate
    name: str = ""
    rate: float = 10.0
    count: int | None = None
    duration_s: float | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GeneratorRun:
    """The current state of a generator.

    Attributes:
        id: the generator's number, from 1, in the order of their starts.
        order: what it should do.
        state: "running", "done" (completed its order), "stopped" or "failed".
        sent: number of stored events.
        rate_now: events/s over the last seconds; over the whole run after it has ended.
        partitions: (partition, stored events), by partition.
        last: partition and offset of the latest event; None before the first.
        started_ms: ms since 1970.
        ended_ms: ms since 1970; None while it is running.
        error: why it failed, or None.
    """

    id: int
    order: GeneratorOrder
    state: str
    sent: int
    rate_now: float
    partitions: tuple[tuple[int, int], ...]
    last: tuple[int, int] | None
    started_ms: int
    ended_ms: int | None
    error: str | None


BATCH_MAX = 200
"""Events of one commit: a bound on how long it holds up everybody else."""
REST_MIN_S = 0.05
LATE_MAX_S = 1.0
WINDOW_S = 5.0


class Destination(Protocol):
    """The log that receives the events."""

    def topic(self, topic: str) -> TopicDescription:
        """Return a topic. Raises BrokerError if it doesn't exist."""

    def append_all(self, topic: str, events: Sequence[NewEvent]) -> list[tuple[int, int]]:
        """Append events in one commit, all or none; partition and offset of each."""

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` on each change. Returns a function that unsubscribes it."""


class Pace:
    """Computes how many events are due, from the time that has passed.

    Args:
        rate: events/s, more than 0.
        now_s: the start time in seconds, of a monotonic clock.
    """

    def __init__(self, rate: float, now_s: float) -> None:
        self._rate = rate
        self._start_s = now_s
        self._sent = 0

    def due(self, now_s: float) -> int:
        """Return how many events to send now. Events that are later than `LATE_MAX_S` are skipped."""
        late_s = now_s - self._start_s - self._sent / self._rate
        if late_s > max(LATE_MAX_S, 2 / self._rate):
            self._start_s += late_s
        return max(0, int((now_s - self._start_s) * self._rate) + 1 - self._sent)

    def sent(self, events: int) -> None:
        """Count events that were sent."""
        self._sent += events

    def rest_s(self, now_s: float) -> float:
        """How long to rest until an event is due, at least `REST_MIN_S`: several may be due by then."""
        return max(REST_MIN_S, self._start_s + self._sent / self._rate - now_s)


class Generator:
    """One generator. It runs until its order is complete or `stop` is called.

    Args:
        id: the generator's number.
        order: the validated order.
        log: receives the events.
        now_ms: returns the time in ms since 1970.
        ended: called in the generator's thread after it has ended.
        encoders: looks up the schemas that a template names; None if there is no registry.
    """

    def __init__(
        self,
        id: int,
        order: GeneratorOrder,
        log: Destination,
        now_ms: Callable[[], int],
        ended: Callable[[GeneratorRun], None] = lambda run: None,
        encoders: Encoders | None = None,
    ) -> None:
        self.id = id
        self._encoders = encoders
        self.order = order
        self._log = log
        self._now_ms = now_ms
        self._ended = ended
        self._stopping = threading.Event()
        self._topic_changed = threading.Event()
        self._lock = threading.Lock()
        self._state = RUNNING
        self._error: str | None = None
        self._sent = 0
        self._partitions: Counter[int] = Counter()
        self._last: tuple[int, int] | None = None
        self._started_ms = now_ms()
        self._ended_ms: int | None = None
        self._window: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        # A daemon: a program that forgets to stop it still ends.
        self._thread = threading.Thread(target=self._run, name=f"generator-{id}", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """True until the generator has ended."""
        return self._state == RUNNING

    def stop(self, wait_s: float = 5.0) -> None:
        """Stop the generator, and wait up to `wait_s` seconds for it to end."""
        self._stopping.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(wait_s)

    def join(self, wait_s: float | None) -> bool:
        """Wait until the generator has ended. Returns False if it is still running after `wait_s` seconds."""
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def description(self) -> GeneratorRun:
        """Return the current state and counts."""
        with self._lock:
            return GeneratorRun(
                self.id,
                self.order,
                self._state,
                self._sent,
                self._rate_now(),
                tuple(sorted(self._partitions.items())),
                self._last,
                self._started_ms,
                self._ended_ms,
                self._error,
            )

    def _rate_now(self) -> float:
        if self._ended_ms is not None:
            return self._sent * 1000 / max(1, self._ended_ms - self._started_ms)
        (then_s, before), now_s = self._window[0], time.monotonic()
        return (self._sent - before) / max(0.25, now_s - then_s)

    def _run(self) -> None:
        unsubscribe = self._log.subscribe(self._heard)
        state, error = FAILED, None
        try:
            state = self._work()
        except SandboxError as refusal:
            # A sandbox that was closed meanwhile is no failure of the generator.
            state, error = (STOPPED, None) if self._stopping.is_set() else (FAILED, str(refusal))
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"
        finally:
            unsubscribe()
            with self._lock:
                self._state, self._error, self._ended_ms = state, error, self._clock()
            self._ended(self.description())

    def _clock(self) -> int:
        return max(self._started_ms, self._now_ms())

    def _heard(self, change: Change) -> None:
        if change.kind == "topics" and self.order.topic in change.topics:
            self._topic_changed.set()

    def _work(self) -> str:
        order = self.order
        left = order.count or COUNT_MAX
        events = order.template.events(order.seed, left, now_ms=self._now_ms, encoders=self._encoders)
        started_s = time.monotonic()
        end_s = None if order.duration_s is None else started_s + order.duration_s
        pace = Pace(order.rate, started_s)
        while left and not self._stopping.is_set():
            now_s = time.monotonic()
            if end_s is not None and now_s >= end_s:
                break
            batch = list(islice(events, min(left, BATCH_MAX, pace.due(now_s))))
            if batch:
                self._append(batch)
                left -= len(batch)
                pace.sent(len(batch))
            now_s = time.monotonic()
            rest_s = pace.rest_s(now_s) if left else 0
            self._stopping.wait(rest_s if end_s is None else max(0.0, min(rest_s, end_s - now_s)))
        return STOPPED if left and self._stopping.is_set() else DONE

    def _append(self, batch: list[NewEvent]) -> None:
        if self._topic_changed.is_set():
            # Appending would create a topic again that was just deleted.
            self._topic_changed.clear()
            self._log.topic(self.order.topic)
        places = self._log.append_all(self.order.topic, batch)
        now_s = time.monotonic()
        with self._lock:
            self._sent += len(places)
            self._partitions.update(partition for partition, _ in places)
            self._last = places[-1]
            self._window.append((now_s, self._sent))
            while len(self._window) > 2 and self._window[1][0] < now_s - WINDOW_S:
                self._window.popleft()
