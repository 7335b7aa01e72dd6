"""Protocols of the cluster that the playground uses, and of the playground that its scenarios use."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from sandbox.model.groups import GroupDescription
from sandbox.model.topics import TopicDescription
from sandbox.playground.consumer import PlaygroundConsumer
from sandbox.playground.description import ConsumerDescription, GroupFacts

if TYPE_CHECKING:
    from sandbox.registry.registry import SchemaRegistry


class Ground(Protocol):
    """The cluster of the playground. `Sandbox` implements it."""

    @property
    def schema_registry(self) -> "Callable[[], SchemaRegistry] | None":
        """Returns the schema registry; None if there is none."""

    def topic(self, topic: str) -> TopicDescription:
        """Return one topic."""

    def topics(self) -> tuple[TopicDescription, ...]:
        """Return all topics."""

    def create_topic(
        self, topic: str, *, partitions: int | None = None, settings: Mapping[str, str] | None = None
    ) -> TopicDescription:
        """Create a topic."""

    def create_partitions(self, topic: str, count: int) -> TopicDescription:
        """Increase a topic's partitions to a total of `count`."""

    def delete_topic(self, topic: str) -> None:
        """Delete a topic."""

    def group(self, group: str) -> GroupDescription:
        """Return one consumer group."""

    def groups(self) -> tuple[GroupDescription, ...]:
        """Return all consumer groups."""

    def delete_group(self, group: str) -> None:
        """Delete a consumer group."""


class Room(Protocol):
    """The part of `sandbox.playground.Playground` that scenarios use."""

    ground: Ground
    clock: Callable[[], int]

    @property
    def registry(self) -> "SchemaRegistry":
        """The schema registry of the cluster."""

    def connection(self) -> Mapping[str, Any]:
        """Return librdkafka's connection settings."""

    def start(self, group: str, topics: Iterable[str], **more: Any) -> PlaygroundConsumer:
        """Start a consumer."""

    def start_like(self, number: int) -> PlaygroundConsumer:
        """Start another consumer with the settings of consumer `number`."""

    def consumer(self, number: int) -> PlaygroundConsumer:
        """Return one consumer."""

    def consumers(self, group: str | None = None) -> tuple[ConsumerDescription, ...]:
        """Describe all consumers, or the consumers of one group."""

    def stop_group(self, group: str) -> int:
        """Stop a group's consumers."""

    def forget(self, group: str) -> int:
        """Forget a group's consumers that have ended."""

    def facts(self, group: str) -> GroupFacts:
        """Return what a group's consumers did in total."""
