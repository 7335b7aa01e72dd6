"""Faults that a broker injects on demand, and the requests that they affected."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

from sandbox.kafka.errors import BY_NAME, BrokerError

LATENCY_MS_MAX = 600_000
END_TXN = "EndTxn"


@dataclass(slots=True)
class Fault:
    """One injected fault.

    Attributes:
        api: Kafka's name of the API, such as "Produce"; None for all except ApiVersions.
        topic: the name of a topic that the request must contain.
        client_id: the client's `client.id`.
        broker: the id of a broker.
        latency_ms: delay before the request is handled; later requests of its connection wait too.
        error: the name of the Kafka error in the response.
        drop: True closes the connection.
        throttle_ms: the throttle time in the response (quotas, KIP-219).
        transaction_end_ms: for EndTxn: how long the producer gets CONCURRENT_TRANSACTIONS after the answer, as in Kafka
            until every partition has its marker.
        probability: the probability that a matching request is affected, above 0, up to 1.
        times: the maximum number of affected requests; None for no limit.
        hits: the number of affected requests so far.
        id: a unique number, 1 and up.
    """

    api: str | None = None
    topic: str | None = None
    client_id: str | None = None
    broker: int | None = None
    latency_ms: int = 0
    error: str | None = None
    drop: bool = False
    throttle_ms: int = 0
    transaction_end_ms: int = 0
    probability: float = 1.0
    times: int | None = None
    hits: int = 0
    id: int = 0

    def check(self, apis: Collection[str]) -> None:
        """Raise INVALID_REQUEST with the reason if the fault is not valid."""
        if self.api is not None and self.api not in apis:
            raise BrokerError("INVALID_REQUEST", f"There is no API {self.api!r}. There are: {', '.join(sorted(apis))}.")
        if self.error is not None and self.error not in BY_NAME:
            raise BrokerError("INVALID_REQUEST", f"{self.error!r} is not one of Kafka's errors.")
        if self.error == "NONE":
            raise BrokerError("INVALID_REQUEST", "NONE is no error.")
        for name in ("latency_ms", "throttle_ms", "transaction_end_ms"):
            value = getattr(self, name)
            if not 0 <= value <= LATENCY_MS_MAX:
                raise BrokerError("INVALID_REQUEST", f"{name} is from 0 to {LATENCY_MS_MAX} ms, not {value}.")
        if not 0 < self.probability <= 1:
            raise BrokerError("INVALID_REQUEST", "probability is above 0, and at most 1.")
        if self.times is not None and self.times < 1:
            raise BrokerError("INVALID_REQUEST", "times is 1 or more, or None for unlimited.")
        if not (self.latency_ms or self.error or self.drop or self.throttle_ms or self.transaction_end_ms):
            raise BrokerError(
                "INVALID_REQUEST",
                "Say what shall happen: latency_ms, error, drop, throttle_ms or transaction_end_ms.",
            )
        if self.transaction_end_ms and self.api != END_TXN:
            raise BrokerError("INVALID_REQUEST", f"transaction_end_ms needs the API {END_TXN}.")
        if self.transaction_end_ms and (self.error or self.drop):
            raise BrokerError(
                "INVALID_REQUEST", "With error or drop the transaction does not end: leave transaction_end_ms out."
            )
        if self.error and self.drop:
            raise BrokerError("INVALID_REQUEST", "A dropped connection gets no answer: choose error or drop.")

    @property
    def used_up(self) -> bool:
        """True if it has affected `times` requests, and is no longer active."""
        return self.times is not None and self.hits >= self.times

    def fields(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults, except `hits`."""
        values = {one.name: (getattr(self, one.name), one.default) for one in fields(self) if one.name != "hits"}
        return {name: value for name, (value, default) in values.items() if value != default}

    def text(self) -> str:
        """Describe the fault in words."""
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
            *([f"transaction ends {self.transaction_end_ms} ms later"] if self.transaction_end_ms else []),
        ]
        often = [
            *([f"with probability {self.probability:g}"] if self.probability < 1 else []),
            *([f"{self.times} times"] if self.times is not None else []),
        ]
        return " ".join([", ".join([self.api or "every API", *whom]) + ":", ", ".join(effects), *often])


@dataclass(frozen=True, slots=True)
class Hit:
    """One request that a fault affected."""

    at_ms: int
    fault: int
    api: str
    client_id: str | None
    broker: int
    text: str
