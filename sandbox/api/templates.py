"""Event templates that are saved in the sandbox file."""

from sandbox.runtime.runtime import Runtime
from sandbox.storage import event_templates


class FileTemplates:
    """Templates kept in the sandbox file.

    Args:
        runtime: the sandbox.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def load(self) -> dict[str, str]:
        """Every one, by name."""
        with self._runtime.database.reader() as reader:
            return event_templates.load_templates(reader)

    def save(self, name: str, template: str) -> None:
        """Keep one, in place of one of that name."""
        database = self._runtime.database
        self._runtime.call(lambda now_ms: event_templates.save_template(database, name, template, now_ms))

    def delete(self, name: str) -> bool:
        """Forget one; False where there is none."""
        return self._runtime.call(lambda now_ms: event_templates.delete_template(self._runtime.database, name))
