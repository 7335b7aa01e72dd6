"""Stores snapshots in the folder `dev.db-snapshots/` beside a sandbox file, each as a complete sandbox file.

A snapshot appears under its name only when it is complete and on the disk: it is written under a name that begins with
a dot, and then renamed. `NAME.json` beside `NAME.db` caches its summary. If that is missing or older than the snapshot,
it is computed again from the snapshot.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import IO, Any

from sandbox.kafka.errors import BrokerError, FileRefused, SandboxError
from sandbox.model import cancellation
from sandbox.snapshots.description import NOW, Snapshot, UndoPoint
from sandbox.storage.file.snapshots import check_copy, copy_file, opened, read_groups
from sandbox.storage.log.topic_descriptions import describe_topics

NAME = re.compile(r"\w[\w .,+()-]*")
DEVICE = re.compile(r"(?i)(con|prn|aux|nul|(com|lpt)[0-9¹²³])( *\..*)?")
"""Names that Windows takes for a device, whatever follows a dot."""
NAME_BYTES_MAX = 120
NOTE_MAX = 500
AUTOMATIC_KEPT = 10
AUTOMATIC_BYTES_MAX = 256 * 1024 * 1024
"""No automatic snapshot is taken of a larger file."""
ROOM_BYTES = 64 * 1024 * 1024
"""Free space that must remain on the disk after a copy."""
CHUNK_BYTES = 1024 * 1024
STALE_S = 600
"""An unfinished snapshot that wasn't written for this many seconds was left by a process that died."""


def check_name(name: str) -> str:
    """Return a snapshot's name if it is valid. Raises BrokerError INVALID_REQUEST with the reason if it isn't."""
    fine = NAME.fullmatch(name) and name[-1] not in " ." and len(name.encode()) <= NAME_BYTES_MAX
    if not fine or name.lower() == NOW or DEVICE.fullmatch(name):
        raise BrokerError(
            "INVALID_REQUEST",
            f"{name[:NAME_BYTES_MAX]!r} cannot be the name of a snapshot: letters, digits, spaces and . , + - _ ( ) "
            f"can, up to {NAME_BYTES_MAX} bytes, with a letter or digit first; not {NOW!r}, which means "
            "the file as it is, and not a device name of Windows.",
        )
    return name


class SnapshotFolder:
    """The snapshots of one file. The file may be open or closed.

    Args:
        file: the sandbox file.
        clock: returns the current time in ms.
    """

    def __init__(self, file: Path, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self.file = Path(os.path.realpath(file))
        self.folder = self.file.with_name(self.file.name + "-snapshots")
        self._clock = clock
        self._parts = count(1)

    # Reading

    def list(self) -> tuple[Snapshot, ...]:
        """Return all snapshots, newest first."""
        found = [self._described(path) for path in self.folder.glob("*.db") if NAME.fullmatch(path.stem)]
        return tuple(
            sorted((one for one in found if one is not None), key=lambda one: (one.taken_ms, one.name), reverse=True)
        )

    def get(self, name: str) -> Snapshot:
        """Return one snapshot. Raises BrokerError RESOURCE_NOT_FOUND if it's missing, FileRefused if it's damaged."""
        found = self._described(self._existing(name))
        if found is None:
            raise FileRefused(f"The snapshot {name!r} is damaged, or no sandbox file.")
        return found

    def _existing(self, name: str) -> Path:
        path = self.path(name)
        if not path.exists():
            raise BrokerError("RESOURCE_NOT_FOUND", f"There is no snapshot {name!r}.")
        return path

    def path(self, name: str) -> Path:
        """Return the path of a snapshot, which need not exist."""
        return self.folder / f"{check_name(name)}.db"

    def room_refusal(self, size_bytes: int) -> str | None:
        """Return why the disk has no room for a copy of this size, or None if it has."""
        free = shutil.disk_usage(self.folder if self.folder.exists() else self.folder.parent).free
        if free < size_bytes + ROOM_BYTES:
            return f"the disk has {free / 1e6:,.0f} MB free, and a copy needs {(size_bytes + ROOM_BYTES) / 1e6:,.0f} MB"
        return None

    def automatic_refusal(self, size_bytes: int, size_bytes_max: int = AUTOMATIC_BYTES_MAX) -> str | None:
        """Return why no automatic snapshot is taken of a file of this size, with what to do; None if one is."""
        if size_bytes > size_bytes_max:
            return (
                f"There is no automatic snapshot, and so no undo: the file has {size_bytes / 1e6:,.0f} MB, and above "
                f"{size_bytes_max / 1e6:,.0f} MB none is taken. Take one by hand first."
            )
        refusal = self.room_refusal(size_bytes)
        return f"There is no automatic snapshot, and so no undo: {refusal}." if refusal else None

    # Changing

    def take_before(self, action: str) -> UndoPoint:
        """Take an automatic snapshot before a destructive action. The newest ten are kept.

        Returns:
            The snapshot's name, or why none was taken.
        """
        try:
            taken = self.take(kind="automatic", action=action)
            self.prune()
        except (SandboxError, OSError) as error:
            return UndoPoint(None, f"No automatic snapshot could be taken: {error}")
        return UndoPoint(taken.name)

    def take(
        self, name: str | None = None, note: str = "", *, kind: str = "taken", action: str = "", in_use: bool = True
    ) -> Snapshot:
        """Copy the file in its current state.

        Args:
            name: None for a name generated from the time.
            kind, action: see `Snapshot`.
            in_use: True if another process or thread may be writing the file.

        Raises:
            BrokerError: INVALID_REQUEST for the name, DUPLICATE_RESOURCE, KAFKA_STORAGE_ERROR if the disk has no room.
            FileRefused: it can't be copied.
        """
        wanted = self._new_name(name, "auto" if kind == "automatic" else "snapshot")
        part = self.part()
        try:
            refusal = self.room_refusal(self.file.stat().st_size)
            if refusal:
                raise BrokerError("KAFKA_STORAGE_ERROR", f"There is no room: {refusal}.")
            copy_file(self.file, part, in_use=in_use)
            return self._keep(part, wanted, note, kind, action)
        finally:
            part.unlink(missing_ok=True)

    def add(self, source: IO[bytes], name: str | None, note: str = "", *, bytes_max: int) -> Snapshot:
        """Store a sandbox file from elsewhere as a snapshot, after checking it.

        Args:
            source: its content.
            bytes_max: its maximum size.

        Raises:
            BrokerError: INVALID_REQUEST for the name, DUPLICATE_RESOURCE, MESSAGE_TOO_LARGE.
            FileRefused: it isn't a complete sandbox file of this version or an older one.
        """
        wanted = self._new_name(name, "upload")
        part = self.part()
        try:
            with part.open("xb") as writing:
                left = bytes_max
                while chunk := source.read(CHUNK_BYTES):
                    cancellation.check()
                    left -= len(chunk)
                    if left < 0:
                        raise BrokerError(
                            "MESSAGE_TOO_LARGE", f"A snapshot has at most {bytes_max / 1e6:,.0f} MB here."
                        )
                    writing.write(chunk)
            try:
                check_copy(part, foreign=True)
            except FileRefused as refusal:
                # The message must name the uploaded file, not the temporary file.
                raise FileRefused(str(refusal).replace(str(part), wanted).replace(part.name, wanted)) from None
            return self._keep(part, wanted, note, "uploaded", "")
        finally:
            part.unlink(missing_ok=True)

    def rename(self, name: str, new_name: str) -> Snapshot:
        """Rename a snapshot. Raises the errors of `take`."""
        found = self.get(name)
        if new_name == name:
            return found
        target = self.path(self._new_name(new_name, ""))
        self._write_facts(target, asdict(found))
        self.path(name).rename(target)
        _facts_path(self.path(name)).unlink(missing_ok=True)
        return self.get(new_name)

    def note(self, name: str, note: str) -> Snapshot:
        """Set a snapshot's note, cut to 500 characters."""
        found = self.get(name)
        self._write_facts(self.path(name), asdict(found) | {"note": note.strip()[:NOTE_MAX]})
        return self.get(name)

    def delete(self, name: str) -> None:
        """Delete a snapshot. Raises BrokerError RESOURCE_NOT_FOUND if it doesn't exist."""
        path = self._existing(name)
        for ending in ("", "-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        _facts_path(path).unlink(missing_ok=True)

    def prune(self) -> None:
        """Delete all automatic snapshots except the newest ten."""
        for one in [one for one in self.list() if one.kind == "automatic"][AUTOMATIC_KEPT:]:
            try:
                self.delete(one.name)
            except (OSError, SandboxError):
                continue

    def remove_parts(self) -> None:
        """Delete unfinished files whose process has died. The file's owner calls this when it opens the file."""
        for part in self.folder.glob(".part-*"):
            with suppress(OSError):
                if not _is_written(part):
                    part.unlink()

    def part(self) -> Path:
        """Return a path for an unfinished file. Creates the folder, and deletes stale unfinished files."""
        self.folder.mkdir(exist_ok=True)
        limit_s = time.time() - STALE_S
        for old in self.folder.glob(".part-*"):
            with suppress(OSError):
                if old.stat().st_mtime < limit_s:
                    old.unlink()
        return self.folder / f".part-{os.getpid()}-{id(self)}-{next(self._parts)}.db"

    def _new_name(self, name: str | None, made_of: str) -> str:
        if name is None:
            stem = time.strftime(f"{made_of}-%Y-%m-%d-%H%M%S", time.gmtime(self._clock() / 1000))
            names = (stem, *(f"{stem}-{n}" for n in range(2, 1000)))
            return next(one for one in names if not self.path(one).exists())
        taken = {path.name.lower() for path in self.folder.glob("*.db")}
        if self.path(name).name.lower() in taken:
            raise BrokerError("DUPLICATE_RESOURCE", f"There is a snapshot {name!r} already: choose another name.")
        return name

    def _keep(self, part: Path, name: str, note: str, kind: str, action: str) -> Snapshot:
        path = self.path(name)
        facts = {"taken_ms": self._clock(), "note": note.strip()[:NOTE_MAX], "kind": kind, "action": action}
        self._write_facts(path, facts | _contents(part) | _stamp(part))
        part.rename(path)
        _sync_folder(self.folder)
        return self.get(name)

    def _described(self, path: Path) -> Snapshot | None:
        try:
            facts = self._facts(path)
            return Snapshot(
                name=path.stem,
                taken_ms=int(facts["taken_ms"]),
                size_bytes=path.stat().st_size,
                note=str(facts["note"]),
                kind=str(facts["kind"]),
                action=str(facts["action"]),
                topics=int(facts["topics"]),
                events=int(facts["events"]),
                groups=int(facts["groups"]),
                file=str(path),
            )
        except (OSError, SandboxError, KeyError, ValueError, TypeError):
            return None

    def _facts(self, path: Path) -> dict[str, Any]:
        stamp = _stamp(path)
        try:
            known = json.loads(_facts_path(path).read_text(encoding="utf-8"))
            known = known if isinstance(known, dict) else {}
        except (OSError, ValueError):
            known = {}
        if known.keys() >= {"taken_ms", "topics"} and all(known.get(name) == value for name, value in stamp.items()):
            return known
        made = {"taken_ms": stamp["mtime_ns"] // 1_000_000, "note": "", "kind": "found", "action": ""}
        facts = {**made, **known, **_contents(path), **stamp}
        self._write_facts(path, facts)
        return facts

    def _write_facts(self, path: Path, facts: dict[str, Any]) -> None:
        stamp = (
            _stamp(path) if path.exists() else {name: facts[name] for name in ("mtime_ns", "bytes") if name in facts}
        )
        if not stamp:
            # After a rename, the file keeps its time and size.
            stamp = _stamp(Path(facts["file"]))
        kept = {name: facts[name] for name in ("taken_ms", "note", "kind", "action", "topics", "events", "groups")}
        part = self.part().with_suffix(".json")
        part.write_text(json.dumps(kept | stamp, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(_facts_path(path))


def _is_written(part: Path) -> bool:
    """True if another process, such as `sandbox snapshots take`, may still be writing an unfinished file."""
    pid = part.name.split("-")[1]
    # In a container, a restarted process often has the same id. Windows refuses to delete an open file.
    if os.name == "nt" or not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _facts_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _stamp(path: Path) -> dict[str, int]:
    found = path.stat()
    return {"mtime_ns": found.st_mtime_ns, "bytes": found.st_size}


def _contents(path: Path) -> dict[str, int]:
    with opened(path) as reader:
        topics = describe_topics(reader)
        groups = read_groups(reader)
    return {"topics": len(topics), "events": sum(topic.events for topic in topics), "groups": len(groups)}


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
