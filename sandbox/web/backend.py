"""What the page asks of a sandbox. `sandbox.sandbox.Sandbox` has all of it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from sandbox.broker.faults import Fault, Hit
from sandbox.description import (
    BrokerDescription,
    Change,
    ClientDescription,
    GroupDescription,
    LagPoint,
    LeaderMove,
    MessagePage,
    MessageQuery,
    Overview,
    Rebalance,
    ResetLine,
    TopicDescription,
)
from sandbox.event import Event, Headers


class DemoSwitch(Protocol):
    """The demo's events and groups, where they were asked for: `backend.demo`, or absent."""

    @property
    def state(self) -> str:
        """What the file says: "never", "on", "off" or "removed"."""

    def switch_on(self) -> object:
        """Load the samples where they are missing, and set its producers and consumers to work."""

    def switch_off(self) -> object:
        """Stop its producers and consumers, also for the next start; its topics stay."""

    def remove(self) -> object:
        """Stop it, and delete its topics and groups."""


class Brokers(Protocol):
    """The simulated brokers: `backend.cluster`."""

    def brokers(self) -> tuple[BrokerDescription, ...]:
        """Every broker, up or down."""

    def clients(self) -> tuple[ClientDescription, ...]:
        """Every open connection of a Kafka client."""

    def coordinator(self, key: str) -> int:
        """The broker that coordinates a group, -1 where none is up."""

    def preview(self, broker: int) -> tuple[LeaderMove, ...]:
        """The leaders that `stop` would move, or `start` where the broker is down."""

    def stop(self, broker: int) -> None:
        """Stop a broker."""

    def start(self, broker: int) -> None:
        """Start it again."""

    def move_leader(self, topic: str, partition: int, broker: int) -> None:
        """Make a broker the leader of a partition."""

    def prefer_leaders(self) -> int:
        """Give every partition back to the first of its replicas; how many moved."""


class Injected(Protocol):
    """What `inject` gives back."""

    @property
    def fault(self) -> Fault:
        """The fault that began."""


class FaultList(Protocol):
    """What is made to go wrong: `backend.faults`."""

    @property
    def apis(self) -> tuple[str, ...]:
        """Kafka's names of the APIs that a fault can hit."""

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
        probability: float = 1.0,
        times: int | None = None,
    ) -> Injected:
        """Let requests go wrong from now on."""

    def remove(self, id: int) -> None:
        """End a fault."""

    def clear(self) -> None:
        """End all faults."""

    def list(self) -> tuple[Fault, ...]:
        """Every fault that was injected and not removed."""

    def hits(self) -> tuple[Hit, ...]:
        """The newest requests that were hit, oldest of them first."""


class Backend(Protocol):
    """Every method may be called from any thread, and raises `BrokerError` with Kafka's own error."""

    def one_view(self) -> AbstractContextManager[object]:
        """A context in which everything that this thread reads comes from one read transaction."""

    @property
    def cluster(self) -> Brokers:
        """The simulated brokers."""

    @property
    def faults(self) -> FaultList:
        """What is made to go wrong."""

    def overview(self) -> Overview:
        """The sandbox as a whole."""

    def topics(self) -> tuple[TopicDescription, ...]:
        """Every topic, by name."""

    def topic(self, topic: str) -> TopicDescription:
        """One topic."""

    def create_topic(
        self, topic: str, *, partitions: int | None = None, settings: Mapping[str, str] | None = None
    ) -> TopicDescription:
        """Create it."""

    def delete_topic(self, topic: str) -> None:
        """Delete it with all its events."""

    def create_partitions(self, topic: str, count: int) -> TopicDescription:
        """Give it `count` partitions in all."""

    def alter_topic(self, topic: str, settings: Mapping[str, str | None]) -> None:
        """Change settings; None takes one back to its default."""

    def append(
        self,
        topic: str,
        value: bytes | str | None,
        *,
        key: bytes | str | None = None,
        headers: Headers = (),
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> Event:
        """Store one event, and return it as stored."""

    def event(self, topic: str, partition: int, offset: int) -> Event:
        """One event by its address."""

    def messages(self, query: MessageQuery) -> MessagePage:
        """One page of events."""

    def partition_for(self, topic: str, key: bytes | None, partitioner: str = "murmur2") -> int | None:
        """Where a key goes; None where the partitioner leaves the choice open."""

    def groups(self) -> tuple[GroupDescription, ...]:
        """Every group."""

    def group(self, group: str) -> GroupDescription:
        """One group."""

    def lag_history(self, group: str, *, since_ms: int, points: int = 120) -> list[LagPoint]:
        """Its lag over time."""

    def rebalances(self, group: str, limit: int = 50) -> list[Rebalance]:
        """Its latest rebalances, newest first."""

    def preview_reset(
        self, group: str, *, topic: str | None = None, partition: int | None = None, to: str
    ) -> list[ResetLine]:
        """What a reset would do."""

    def reset(self, group: str, *, topic: str | None = None, partition: int | None = None, to: str) -> list[ResetLine]:
        """Reset committed offsets."""

    def delete_group(self, group: str) -> None:
        """Delete a group that has no members."""

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Be told of each change; returns what ends it."""
