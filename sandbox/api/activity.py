"""The activity of a sandbox: what happened, newest first.

for entry in sandbox.activity.read(ActivityQuery(topic="orders")).entries:
    print(entry.at_ms, entry.kind, entry.details)
"""

from collections.abc import Sequence
from dataclasses import replace

from sandbox.model.activity import ActivityEntry, ActivityPage, ActivityQuery, Details
from sandbox.runtime.runtime import Runtime
from sandbox.storage.activity import ActivityMemory
from sandbox.storage.file.content import OfContent

TOLD_WITHIN_MS = 1_000
"""Activity is recorded at the end of the turn that caused it, at most this many ms later."""


class SandboxActivity:
    """The stream of activity.

    Args:
        runtime: the owner of the file.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._memory = OfContent(ActivityMemory)

    def read(self, query: ActivityQuery | None = None) -> ActivityPage:
        """Return the entries that match a query, newest first; without a query, the newest of all kinds."""
        with self._runtime.database.reader() as reader:
            found = self._memory.of(reader).read(reader, query or ActivityQuery(), self._runtime.clock())
        return replace(found, entries=_told_once(found.entries))

    def note(self, kind: str, details: Details, *, topic: str | None = None, group: str | None = None) -> None:
        """Record something that happened outside the broker, such as a snapshot.

        Args:
            kind: a name of `sandbox.model.activity.KINDS`.
            details: the kind's fields; see `sandbox.model.activity`.
        """

        def note(now_ms: int) -> None:
            self._runtime.broker.turn.note(kind, details, topic=topic, group=group)
            # Notify open pages: no other change does.
            self._runtime.broker.cluster_changed()

        # A read-only file isn't written: the action's result is beside it, such as a snapshot.
        if not self._runtime.read_only:
            self._runtime.call(note)


def _told_once(entries: Sequence[ActivityEntry]) -> tuple[ActivityEntry, ...]:
    """Leave out the commits of a reset if the reset itself is listed."""
    hidden: set[int] = set()
    for reset in entries:
        if reset.kind != "reset":
            continue
        own = [
            (place, entry.count)
            for place, entry in enumerate(entries)
            if (entry.kind, entry.group) == ("committed", reset.group)
            and reset.topic in (None, entry.topic)
            and 0 <= reset.at_ms - entry.at_ms <= TOLD_WITHIN_MS
        ]
        # If the sum is larger, the group has also committed separately.
        if sum(count for _, count in own) == reset.details.get("committed_offsets"):
            hidden.update(place for place, _ in own)
    return tuple(entry for place, entry in enumerate(entries) if place not in hidden)
