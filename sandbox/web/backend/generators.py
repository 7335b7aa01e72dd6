"""What the page asks of generators: `backend.generators`. `sandbox.generators.Generators` has all of it."""

from typing import Protocol

from sandbox.generator.run import GeneratorRun
from sandbox.generator.template import EventTemplate


class EventGenerators(Protocol):
    """Generators and templates. Where templates cannot be saved, `Backend.lacks` names "generators.save"."""

    def examples(self) -> dict[str, EventTemplate]:
        """The templates that come with the sandbox, by name."""

    def saved(self) -> dict[str, EventTemplate]:
        """The templates that were saved, by name."""

    def save(self, name: str, template: EventTemplate) -> None:
        """Keep a template under a name."""

    def delete(self, name: str) -> None:
        """Forget a saved template."""

    def start(
        self,
        topic: str,
        template: EventTemplate | str,
        *,
        rate: float = 10.0,
        count: int | None = None,
        duration_s: float | None = None,
        seed: int | None = None,
        name: str = "",
    ) -> GeneratorRun:
        """Start a generator."""

    def list(self) -> tuple[GeneratorRun, ...]:
        """Every run that is remembered, newest first."""

    def get(self, id: int) -> GeneratorRun:
        """One run."""

    def stop(self, id: int) -> GeneratorRun:
        """Stop a run."""

    def stop_all(self) -> None:
        """Stop every run."""

    def clear(self) -> None:
        """Forget the runs that have ended."""
