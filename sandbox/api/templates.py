"""Event templates that are saved in the sandbox file."""

from sandbox.runtime.runtime import Runtime
from sandbox.storage import resources


class FileTemplates:
    """Event templates that are saved in the sandbox file.

    Args:
        runtime: the owner of the file.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def load(self) -> dict[str, str]:
        """Return all templates by name."""
        with self._runtime.database.reader() as reader:
            return resources.load_templates(reader)

    def save(self, name: str, template: str) -> None:
        """Save a template. Replaces the template of the same name."""
        database = self._runtime.database
        self._runtime.call(lambda now_ms: resources.save_template(database, name, template, now_ms))

    def delete(self, name: str) -> bool:
        """Delete a template. Returns False if no template has this name."""
        return self._runtime.call(lambda now_ms: resources.delete_template(self._runtime.database, name))
