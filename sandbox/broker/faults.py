"""Injected faults: which requests they affect, and how often.

A fault matches requests by API, topic, client id and broker (None matches all) and has an effect: a delay, one of
Kafka's errors, a throttle time, a slow end of a transaction, or a dropped connection. A request that is refused
or dropped isn't carried out.
Nothing is stored: faults end with the process.
"""

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from sandbox.model.faults import Fault, Hit

HITS_REMEMBERED = 500


@dataclass(slots=True)
class FaultInjector:
    """The faults of a sandbox.

    Args:
        draw: returns a random number from 0 up to but not including 1, for probabilities.
    """

    draw: Callable[[], float]
    hits: deque[Hit] = field(default_factory=lambda: deque(maxlen=HITS_REMEMBERED))
    _faults: dict[int, Fault] = field(default_factory=dict)
    _next: int = 1
    _ending: dict[str, tuple[int, Fault]] = field(default_factory=dict)

    def add(self, fault: Fault) -> Fault:
        """Start a fault and assign its id."""
        fault.id = self._next
        self._next += 1
        self._faults[fault.id] = fault
        return fault

    def remove(self, id: int) -> bool:
        """Stop a fault. Returns False if no fault has this id."""
        return self._faults.pop(id, None) is not None

    def clear(self) -> None:
        """Stop all faults."""
        self._faults.clear()

    def list(self) -> tuple[Fault, ...]:
        """Return the active faults, including those that have reached their maximum number of hits."""
        return tuple(self._faults.values())

    def match(
        self, api: str, topics: Callable[[], Collection[str]], client_id: str | None, broker: int, now_ms: int
    ) -> Fault | None:
        """Return the first fault that affects a request and count a hit, or None."""
        for fault in self._faults.values():
            if (
                not fault.used_up
                and fault.api in (None, api)
                and fault.broker in (None, broker)
                and fault.client_id in (None, client_id)
                and (fault.topic is None or fault.topic in topics())
                and (fault.probability >= 1 or self.draw() < fault.probability)
            ):
                fault.hits += 1
                self.hits.append(Hit(now_ms, fault.id, api, client_id, broker, fault.text()))
                return fault
        return None

    def ends_slowly(self, transactional_id: str, fault: Fault, now_ms: int) -> None:
        """Make `is_ending` true for a transactional id, for the fault's `transaction_end_ms`."""
        self._ending[transactional_id] = now_ms + fault.transaction_end_ms, fault

    def is_ending(self, transactional_id: str | None, now_ms: int) -> bool:
        """Return True while requests of a transactional id must get CONCURRENT_TRANSACTIONS."""
        if transactional_id is None or transactional_id not in self._ending:
            return False
        until_ms, fault = self._ending[transactional_id]
        if now_ms < until_ms and fault.id in self._faults:
            return True
        del self._ending[transactional_id]
        return False

    def __bool__(self) -> bool:
        return bool(self._faults)
