"""Describes in words what a restore deletes and brings back, for its preview and for the notice of an undo."""

from dataclasses import replace

from sandbox.kafka.errors import SandboxError
from sandbox.snapshots.description import RestorePreview, Snapshot
from sandbox.web.responses import backend, capabilities


class RestoreWords:
    """What a restore would delete and bring back, for people.

    Attributes:
        lost, back: (topic, events), most events first.
        commits_lost: offsets committed after the snapshot.
        nothing_lost: True if the restore deletes nothing.
        events_since: how many of the lost events are in partitions that were written to after the snapshot.
        nothing_since: True if nothing was added after the snapshot that the restore would delete.
    """

    def __init__(self, preview: RestorePreview) -> None:
        comparison = preview.comparison
        self.lost = sorted(comparison.events_lost().items(), key=lambda one: (-one[1], one[0]))
        self.back = sorted(comparison.events_back().items(), key=lambda one: (-one[1], one[0]))
        self.events_lost = sum(count for _, count in self.lost)
        self.events_back = sum(count for _, count in self.back)
        self.commits_lost = tuple(
            one for one in comparison.offsets if one.right_ms is not None and one.right_ms > preview.snapshot.taken_ms
        )
        self.groups_moved = sorted({one.group for one in comparison.offsets})
        self.nothing_lost = not (self.lost or self.commits_lost or comparison.topics_right or comparison.groups_right)
        taken_ms = preview.snapshot.taken_ms
        since = tuple(one for one in comparison.partitions if (one.right_ms or 0) > taken_ms and one.right is not None)
        self.events_since = sum(replace(comparison, partitions=since).events_lost().values())
        created = any(one.left is None for one in since)
        self.nothing_since = not (self.events_since or created or self.commits_lost)


def undo_notice(name: str | None) -> tuple[Snapshot, RestoreWords] | None:
    """Return the notice's automatic snapshot, and what restoring it would also delete; None if it no longer exists."""
    if not name or not capabilities().snapshots:
        return None
    try:
        preview = backend().snapshots.preview_restore(name)
    except SandboxError:
        return None
    return preview.snapshot, RestoreWords(preview)
