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
ENDING_MAX = 10_000
"""Transactional ids whose transaction ends slowly. With more, the oldest one ends."""


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
    _ending: dict[str, Fault] = field(default_factory=dict)

    def add(self, fault: Fault) -> Fault:
        """Start a fault and assign its id."""
        fault.id = self._next
        self._next += 1
        self._faults[fault.id] = fault
        return fault

    def remove(self, id: int) -> bool:
        """Stop a fault, and end the transactions that it keeps. Returns False if no fault has this id."""
        self._ending = {name: fault for name, fault in self._ending.items() if fault.id != id}
        return self._faults.pop(id, None) is not None

    def clear(self) -> None:
        """Stop all faults, and end the transactions that they keep."""
        self._ending.clear()
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

    def keep_ending(self, transactional_id: str, fault: Fault) -> Callable[[], None]:
        """Make `is_ending` true for a transactional id until the returned function is called or the fault stops."""
        if fault.id not in self._faults:
            return lambda: None
        self._ending[transactional_id] = fault
        if len(self._ending) > ENDING_MAX:
            del self._ending[next(iter(self._ending))]

        def ended() -> None:
            if self._ending.get(transactional_id) is fault:
                del self._ending[transactional_id]

        return ended

    def is_ending(self, transactional_id: str | None) -> bool:
        """Return True while requests of a transactional id must get CONCURRENT_TRANSACTIONS."""
        return transactional_id in self._ending

    def __bool__(self) -> bool:
        return bool(self._faults)
