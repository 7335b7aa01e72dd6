"""What the playground stands on, and what its scenarios need of the playground."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from sandbox.model.cluster import GroupDescription, TopicDescription
from sandbox.playground.consumer import PlaygroundConsumer
from sandbox.playground.description import ConsumerDescription, GroupFacts


class Ground(Protocol):
    """The cluster that the playground is on. A `Sandbox` is one."""

    def topic(self, topic: str) -> TopicDescription:
        """One topic."""

    def topics(self) -> tuple[TopicDescription, ...]:
        """Every topic."""

    def create_topic(
        self, topic: str, *, partitions: int | None = None, settings: Mapping[str, str] | None = None
    ) -> TopicDescription:
        """Create it."""

    def create_partitions(self, topic: str, count: int) -> TopicDescription:
        """Give it `count` partitions in all."""

    def delete_topic(self, topic: str) -> None:
        """Delete it."""

    def group(self, group: str) -> GroupDescription:
        """One group."""

    def groups(self) -> tuple[GroupDescription, ...]:
        """Every group."""

    def delete_group(self, group: str) -> None:
        """Delete it."""


class Room(Protocol):
    """What a scenario needs of the playground; see `sandbox.playground.Playground`."""

    ground: Ground
    clock: Callable[[], int]

    def connection(self) -> Mapping[str, Any]:
        """Librdkafka's settings that say where the cluster is."""

    def start(self, group: str, topics: Iterable[str], **more: Any) -> PlaygroundConsumer:
        """Start a consumer."""

    def start_like(self, number: int) -> PlaygroundConsumer:
        """Start another one like it."""

    def consumer(self, number: int) -> PlaygroundConsumer:
        """One of them."""

    def consumers(self, group: str | None = None) -> tuple[ConsumerDescription, ...]:
        """Each of them."""

    def stop_group(self, group: str) -> int:
        """End those of a group."""

    def forget(self, group: str) -> int:
        """Forget those that have ended."""

    def facts(self, group: str) -> GroupFacts:
        """What those of a group did."""
