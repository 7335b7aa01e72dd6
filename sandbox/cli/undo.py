"""Automatic snapshots before commands that destroy data, as the page takes them, so that they can be undone."""

import shlex
from typing import TYPE_CHECKING

from sandbox.cli.target import Target

if TYPE_CHECKING:
    from sandbox.snapshots.description import UndoPoint


def undo_point(target: Target, action: str) -> "UndoPoint | None":
    """Take an automatic snapshot of the target's file.

    Args:
        target: the command's target.
        action: the coming action, such as "delete topic orders".

    Returns:
        The snapshot's name, or why none was taken; None for a cluster.
    """
    if target.file is None:
        return None
    from sandbox.snapshots.description import UndoPoint
    from sandbox.snapshots.folder import SnapshotFolder

    folder = SnapshotFolder(target.file)
    places = (folder.file, folder.file.with_name(folder.file.name + "-wal"))
    refusal = folder.automatic_refusal(sum(place.stat().st_size for place in places if place.exists()))
    return UndoPoint(None, refusal) if refusal else folder.take_before(action)


def undo_text(target: Target, point: "UndoPoint | None") -> str:
    """Return how to undo what was done, as a line that begins with a line break; empty for a cluster."""
    if point is None:
        return ""
    if point.name is None:
        return f"\n{point.skipped}"
    command = ("sandbox", "snapshots", "restore", point.name, "--file", str(target.file))
    return f"\nUndo with: {shlex.join(command)}"


def undo_name(point: "UndoPoint | None") -> dict[str, str | None]:
    """Return the field of a JSON answer that names the snapshot; none for a cluster."""
    return {} if point is None else {"undo": point.name}
