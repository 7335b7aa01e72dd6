"""The interface of generators: `backend.generators`. `sandbox.generators.Generators` implements all of it."""

from typing import Protocol

from sandbox.generator.run import GeneratorRun
from sandbox.generator.template import EventTemplate


class EventGenerators(Protocol):
    """Generators and templates. `Capabilities.save_templates` is False if templates can't be saved."""

    def examples(self) -> dict[str, EventTemplate]:
        """The built-in templates, by name."""

    def saved(self) -> dict[str, EventTemplate]:
        """The saved templates, by name."""

    def save(self, name: str, template: EventTemplate) -> None:
        """Save a template under a name."""

    def delete(self, name: str) -> None:
        """Delete a saved template."""

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
        """Return all runs in memory, newest first."""

    def get(self, id: int) -> GeneratorRun:
        """Return one run."""

    def stop(self, id: int) -> GeneratorRun:
        """Stop one run."""

    def stop_all(self) -> None:
        """Stop all runs."""

    def clear(self) -> None:
        """Remove finished runs from the list."""
