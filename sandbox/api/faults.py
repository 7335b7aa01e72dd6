"""Inject faults into requests.

    with sandbox.inject("Produce", topic="orders", error="NOT_ENOUGH_REPLICAS", times=3):
        ...    # the next three Produce requests to orders get this error

Injected faults are logged, and the page labels them. A fault ends with the `with` block, with `remove`, or with the
process.
"""

import logging
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from sandbox.broker.faults import FaultInjector
from sandbox.kafka.errors import BrokerError
from sandbox.model.activity import Details
from sandbox.model.faults import Fault, Hit
from sandbox.runtime.runtime import Runtime
from sandbox.wire.api_table import API_VERSIONS, APIS

T = TypeVar("T")

logger = logging.getLogger("sandbox.faults")


class Injection:
    """One injected fault; a context manager that ends it.

    Attributes:
        fault: the fault, with the number of requests it has affected.
    """

    def __init__(self, control: "SandboxFaults", fault: Fault) -> None:
        self._control = control
        self.fault = fault

    @property
    def hits(self) -> int:
        """The number of affected requests."""
        return self.fault.hits

    def remove(self) -> None:
        """End the fault. Idempotent."""
        self._control.remove(self.fault.id)

    def __enter__(self) -> "Injection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


class SandboxFaults:
    """The injected faults of a sandbox.

    Args:
        runtime: the sandbox.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def apis(self) -> tuple[str, ...]:
        """Kafka's names of the APIs that a fault can affect: all except ApiVersions."""
        return tuple(sorted(one.name for one in APIS if one.key != API_VERSIONS))

    @property
    def _faults(self) -> FaultInjector:
        return self._runtime.faults

    def inject(
        self,
        api: str | None = None,
        *,
        topic: str | None = None,
        client_id: str | None = None,
        broker: int | None = None,
        latency_ms: int = 0,
        error: str | None = None,
        drop: bool = False,
        throttle_ms: int = 0,
        transaction_end_ms: int = 0,
        probability: float = 1.0,
        times: int | None = None,
    ) -> Injection:
        """Inject a fault; see `sandbox.model.faults.Fault` for the arguments.

        Raises:
            BrokerError: INVALID_REQUEST, with the reason.
        """
        matched = (api, topic, client_id, broker)
        fault = Fault(*matched, latency_ms, error, drop, throttle_ms, transaction_end_ms, probability, times)
        fault.check({one.name for one in APIS})
        if api is not None and api not in self.apis:
            raise BrokerError(
                "INVALID_REQUEST", f"{api} can't be affected: clients begin with it, and would not continue."
            )
        self._change(lambda: self._faults.add(fault), lambda: {"action": "injected", "fault": fault.fields()})
        logger.warning("injected fault %d: %s", fault.id, fault.text())
        return Injection(self, fault)

    def remove(self, id: int) -> None:
        """End a fault. Does nothing if it doesn't exist."""
        if not self._runtime.closed and self._change(
            lambda: self._faults.remove(id), lambda: {"action": "ended", "fault": {"id": id}}
        ):
            logger.warning("removed fault %d", id)

    def clear(self) -> None:
        """End all faults."""
        self._change(self._faults.clear, lambda: {"action": "cleared"})

    def list(self) -> tuple[Fault, ...]:
        """Return all faults that were not removed."""
        return self._faults.list()

    def hits(self) -> tuple[Hit, ...]:
        """Return the latest affected requests, oldest first."""
        return tuple(self._faults.hits)

    def _change(self, function: Callable[[], T], details: Callable[[], Details]) -> T:
        def change(now_ms: int) -> T:
            # Notify open pages, which label injected faults.
            self._runtime.broker.cluster_changed()
            done = function()
            if done is not False:
                self._runtime.broker.turn.note("injected", details())
            return done

        return self._runtime.call(change)
