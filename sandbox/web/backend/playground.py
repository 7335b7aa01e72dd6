"""The interface of the Playground page: `backend.playground`."""

from collections.abc import Mapping
from typing import Any, Protocol

from sandbox.playground.description import ConsumerDescription, GroupFacts, ScenarioDescription
from sandbox.playground.spec import ConsumerSpec


class PlayedConsumer(Protocol):
    """One consumer of the playground."""

    @property
    def number(self) -> int:
        """The consumer's number, 1 and up."""

    @property
    def client_id(self) -> str:
        """The consumer's client id."""

    def describe(self) -> ConsumerDescription:
        """Return the consumer's current state."""

    def pause(self) -> None:
        """Stop processing events, but stay in the group."""

    def resume(self) -> None:
        """Continue after `pause`."""

    def poll(self) -> None:
        """Process one event, then pause."""

    def commit(self) -> None:
        """Commit the processed events."""

    def seek(self, to: int | str, *, topic: str | None = None, partition: int | None = None) -> None:
        """Continue reading at another offset."""

    def change(self, **changes: Any) -> None:
        """Change the consumer's behaviour."""

    def crash(self) -> None:
        """Kill the consumer without leaving the group."""

    def leave(self) -> None:
        """Leave the group and end."""


class PlayedScenarios(Protocol):
    """The guided scenarios."""

    def all(self) -> tuple[ScenarioDescription, ...]:
        """Return all scenarios."""

    def one(self, name: str) -> ScenarioDescription:
        """Return one scenario with its topic, group and consumers."""

    def start(self, name: str, *, pace: float = 1.0) -> ScenarioDescription:
        """Set up a scenario."""

    def act(self, name: str, action: str) -> ScenarioDescription:
        """Run one of a scenario's actions."""

    def remove(self, name: str) -> tuple[str, ...]:
        """End a scenario, and delete its topic and group."""


class Playing(Protocol):
    """Consumers started from the page."""

    @property
    def scenarios(self) -> PlayedScenarios:
        """The guided scenarios."""

    @property
    def consumers_max(self) -> int:
        """The maximum number of running consumers."""

    def connection(self) -> Mapping[str, Any]:
        """Return how to connect to the cluster; BrokerError BROKER_NOT_AVAILABLE if no client can connect."""

    def start_spec(self, spec: ConsumerSpec) -> PlayedConsumer:
        """Start a consumer."""

    def start_like(self, number: int) -> PlayedConsumer:
        """Start another consumer with the same settings."""

    def consumer(self, number: int) -> PlayedConsumer:
        """Return one consumer."""

    def consumers(self, group: str | None = None) -> tuple[ConsumerDescription, ...]:
        """Return all consumers, or those of one group."""

    def members(self, group: str) -> tuple[str, ...]:
        """Return the client ids of the consumers running in a group."""

    def stop_group(self, group: str) -> int:
        """Make all consumers of a group leave and end; return how many."""

    def forget(self, group: str) -> int:
        """Remove a group's ended consumers from the list; return how many."""

    def facts(self, group: str) -> GroupFacts:
        """Return the combined results of a group's consumers."""
