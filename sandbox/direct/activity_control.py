"""What happened in a sandbox, from Python.

for entry in sandbox.activity.read(ActivityQuery(topic="orders")).entries:
    print(entry.at_ms, entry.kind, entry.detail)
"""

from sandbox.activity_record import ActivityPage, ActivityQuery
from sandbox.runtime import Runtime
from sandbox.storage.activity import ActivityMemory
from sandbox.storage.content import OfContent


class ActivityControl:
    """The stream of what happened.

    Args:
        runtime: the owner of the file.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._memory = OfContent(ActivityMemory)

    def read(self, query: ActivityQuery | None = None) -> ActivityPage:
        """A part of it, newest first; the newest of everything where no query is given."""
        with self._runtime.database.reader() as reader:
            return self._memory.of(reader).read(reader, query or ActivityQuery(), self._runtime.clock())

    def note(self, kind: str, detail: str, *, topic: str | None = None, group: str | None = None) -> None:
        """Write down what happened outside the broker, such as a snapshot.

        Args:
            kind: a name of `sandbox.activity_record.KINDS`.
            detail: what, in words.
        """

        def note(now_ms: int) -> None:
            self._runtime.broker.turn.note(kind, detail, topic=topic, group=group)
            # What no other change tells of is told to the open pages so.
            self._runtime.broker.cluster_changed()

        # A file that must not change is not told either: what was done is beside it, such as a snapshot.
        if not self._runtime.read_only:
            self._runtime.call(note)
