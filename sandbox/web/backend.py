"""What the page asks of a sandbox. `sandbox.sandbox.Sandbox` has all of it; the tests have a small one in memory."""

from collections.abc import Callable, Mapping
from typing import Protocol

from sandbox.description import (
    Change,
    GroupDescription,
    LagPoint,
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


class Backend(Protocol):
    """Every method may be called from any thread, and raises `BrokerError` with Kafka's own error."""

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
