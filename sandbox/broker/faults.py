"""Faults on demand: what is made to go wrong, for whom, and how often.

A fault says whom it concerns (an API, a topic, a client id, a broker; None for any) and what happens to them: the
answer comes late, is an error of Kafka's, asks the client to slow down, or the connection is dropped. Requests that get
an error or are dropped are not carried out. Nothing here is stored: faults end with the process.
"""

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from sandbox.errors import BY_NAME, BrokerError

LATENCY_MS_MAX = 600_000
HITS_REMEMBERED = 500


@dataclass(slots=True)
class Fault:
    """One fault.

    Attributes:
        api: Kafka's name of the API, such as "Produce"; None for every one but ApiVersions.
        topic: the name of a topic that the request must name.
        client_id: the client's `client.id`.
        broker: the id of a broker.
        latency_ms: how long the request waits before it is handled; what follows on its connection waits too.
        error: the name of Kafka's error that is answered.
        drop: True closes the connection.
        throttle_ms: what the answer says that the client should wait (quotas, KIP-219).
        probability: of each request to be hit, above 0, up to 1.
        times: how often it may hit; None for without end.
        hits: how often it has.
        id: a number of its own, 1 and up.
    """

    api: str | None = None
    topic: str | None = None
    client_id: str | None = None
    broker: int | None = None
    latency_ms: int = 0
    error: str | None = None
    drop: bool = False
    throttle_ms: int = 0
    probability: float = 1.0
    times: int | None = None
    hits: int = 0
    id: int = 0

    def check(self, apis: Collection[str]) -> None:
        """Refuse a fault that could not be: INVALID_REQUEST with the reason."""
        if self.api is not None and self.api not in apis:
            raise BrokerError("INVALID_REQUEST", f"There is no API {self.api!r}. There are: {', '.join(sorted(apis))}.")
        if self.error is not None and self.error not in BY_NAME:
            raise BrokerError("INVALID_REQUEST", f"{self.error!r} is not one of Kafka's errors.")
        if self.error == "NONE":
            raise BrokerError("INVALID_REQUEST", "NONE is no error.")
        for name, value in (("latency_ms", self.latency_ms), ("throttle_ms", self.throttle_ms)):
            if not 0 <= value <= LATENCY_MS_MAX:
                raise BrokerError("INVALID_REQUEST", f"{name} is from 0 to {LATENCY_MS_MAX} ms, not {value}.")
        if not 0 < self.probability <= 1:
            raise BrokerError("INVALID_REQUEST", "probability is above 0, and at most 1.")
        if self.times is not None and self.times < 1:
            raise BrokerError("INVALID_REQUEST", "times is 1 or more, or None for without end.")
        if not (self.latency_ms or self.error or self.drop or self.throttle_ms):
            raise BrokerError("INVALID_REQUEST", "Say what shall happen: latency_ms, error, drop or throttle_ms.")
        if self.error and self.drop:
            raise BrokerError("INVALID_REQUEST", "A dropped connection gets no answer: choose error or drop.")

    @property
    def spent(self) -> bool:
        """Whether it has hit as often as it may, and hits no more."""
        return self.times is not None and self.hits >= self.times

    def text(self) -> str:
        """What it does, in words."""
        whom = [
            f"{word} {value}"
            for word, value in (
                ("topic", self.topic),
                ("client", self.client_id),
                ("broker", self.broker),
            )
            if value is not None
        ]
        effects = [
            *([f"{self.latency_ms} ms later"] if self.latency_ms else []),
            *([f"answered {self.error}"] if self.error else []),
            *(["connection dropped"] if self.drop else []),
            *([f"throttled {self.throttle_ms} ms"] if self.throttle_ms else []),
        ]
        often = [
            *([f"with probability {self.probability:g}"] if self.probability < 1 else []),
            *([f"{self.times} times"] if self.times is not None else []),
        ]
        return " ".join([", ".join([self.api or "every API", *whom]) + ":", ", ".join(effects), *often])


@dataclass(frozen=True, slots=True)
class Hit:
    """One request that a fault hit."""

    at_ms: int
    fault: int
    api: str
    client_id: str | None
    broker: int
    text: str


@dataclass(slots=True)
class Faults:
    """The faults of a sandbox.

    Args:
        draw: gives a number from 0 up to 1, for probabilities.
    """

    draw: Callable[[], float]
    hits: deque[Hit] = field(default_factory=lambda: deque(maxlen=HITS_REMEMBERED))
    _faults: dict[int, Fault] = field(default_factory=dict)
    _next: int = 1

    def add(self, fault: Fault) -> Fault:
        """Let a fault begin."""
        fault.id = self._next
        self._next += 1
        self._faults[fault.id] = fault
        return fault

    def remove(self, id: int) -> bool:
        """End a fault; False where there is none of that id."""
        return self._faults.pop(id, None) is not None

    def clear(self) -> None:
        """End all of them."""
        self._faults.clear()

    def list(self) -> tuple[Fault, ...]:
        """Those that are in force, also those that have hit as often as they may."""
        return tuple(self._faults.values())

    def match(
        self, api: str, topics: Callable[[], Collection[str]], client_id: str | None, broker: int, now_ms: int
    ) -> Fault | None:
        """The first fault that hits a request, counted as a hit; None where it goes through."""
        for fault in self._faults.values():
            if (
                not fault.spent
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

    def __bool__(self) -> bool:
        return bool(self._faults)
