"""What the Playground page asks of a playground: `backend.playground`."""

from collections.abc import Mapping
from typing import Any, Protocol

from sandbox.playground.description import ConsumerDescription, GroupFacts, ScenarioDescription
from sandbox.playground.spec import ConsumerSpec


class PlayedConsumer(Protocol):
    """One consumer of the playground."""

    @property
    def number(self) -> int:
        """1 and up."""

    @property
    def client_id(self) -> str:
        """Its client id."""

    def describe(self) -> ConsumerDescription:
        """As it stands."""

    def pause(self) -> None:
        """Stop handling events, and stay in the group."""

    def resume(self) -> None:
        """Go on."""

    def poll(self) -> None:
        """Handle one event, and be paused after it."""

    def commit(self) -> None:
        """Commit what it has handled."""

    def seek(self, to: int | str, *, topic: str | None = None, partition: int | None = None) -> None:
        """Go on reading elsewhere."""

    def change(self, **changes: Any) -> None:
        """Change what it does."""

    def crash(self) -> None:
        """Kill it."""

    def leave(self) -> None:
        """Let it leave its group and end."""


class PlayedScenarios(Protocol):
    """The guided scenarios."""

    def all(self) -> tuple[ScenarioDescription, ...]:
        """Each of them."""

    def one(self, name: str) -> ScenarioDescription:
        """One of them, with its things."""

    def start(self, name: str, *, pace: float = 1.0) -> ScenarioDescription:
        """Set it up."""

    def act(self, name: str, action: str) -> ScenarioDescription:
        """Press one of its buttons."""

    def remove(self, name: str) -> tuple[str, ...]:
        """End it, and delete what it made."""


class Playing(Protocol):
    """Consumers started from the page."""

    @property
    def scenarios(self) -> PlayedScenarios:
        """The guided scenarios."""

    @property
    def consumers_max(self) -> int:
        """How many may be at work at a time."""

    def connection(self) -> Mapping[str, Any]:
        """Where the cluster is; BROKER_NOT_AVAILABLE where no client can connect."""

    def start_spec(self, spec: ConsumerSpec) -> PlayedConsumer:
        """Start one."""

    def start_like(self, number: int) -> PlayedConsumer:
        """Start another one like it."""

    def consumer(self, number: int) -> PlayedConsumer:
        """One of them."""

    def consumers(self, group: str | None = None) -> tuple[ConsumerDescription, ...]:
        """Each of them, or those of a group."""

    def members(self, group: str) -> tuple[str, ...]:
        """The client ids of those at work in a group."""

    def stop_group(self, group: str) -> int:
        """Let those of a group leave it and end; how many."""

    def forget(self, group: str) -> int:
        """Forget those of a group that have ended; how many."""

    def facts(self, group: str) -> GroupFacts:
        """What those of a group did together."""
