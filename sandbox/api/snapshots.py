"""Snapshots of a sandbox: take, restore, fork, compare.

    sandbox.snapshots.take("before the test")
    ...
    sandbox.snapshots.restore("before the test")

A snapshot is a whole sandbox file in the folder `FILE-snapshots/`. Restoring one puts its content in place of the
file's, in one transaction: a process that dies meanwhile leaves the old state or the new one, never a mixture. Topics,
events, groups, committed offsets, settings and users are then those of the snapshot; ports and the cluster id stay.

Real Kafka has nothing like it. To clients it looks like brokers that were restarted and have lost the end of their
logs: connections are closed, consumers join their groups again and begin at the committed offsets, leader epochs are
higher, and a producer with idempotence that wrote since is refused as one that the broker knows no more
(OUT_OF_ORDER_SEQUENCE_NUMBER). Every producer with a transactional id is fenced (INVALID_PRODUCER_EPOCH), and its open
transaction aborted: what the snapshot has of it may be a part.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from sandbox.kafka.errors import BrokerError, SandboxError
from sandbox.model.process import bind_to_process
from sandbox.runtime.runtime import Runtime
from sandbox.snapshots.compared import compare
from sandbox.snapshots.description import (
    NOW,
    Comparison,
    ForkDescription,
    Restored,
    RestorePreview,
    Snapshot,
    UndoPoint,
)
from sandbox.snapshots.folder import SnapshotFolder
from sandbox.snapshots.forks import Forks
from sandbox.storage.file import snapshots as copies
from sandbox.storage.file.database import Reader

AUTOMATIC_BYTES_MAX = 256 * 1024 * 1024
UPLOAD_BYTES_MAX = 1024 * 1024 * 1024


class Bystander(Protocol):
    """Who writes into the sandbox by itself, and must rest while its content is replaced."""

    def rest(self) -> None:
        """Stop writing."""

    def go_on(self) -> None:
        """Do what the file now says."""


class Snapshots:
    """The snapshots of one sandbox; every method may be called from any thread.

    Args:
        runtime: whose they are.
        note_activity: writes down what was done, as (kind, words).

    Attributes:
        automatic_bytes_max: of a larger file no automatic snapshot is taken; 256 MiB.
        upload_bytes_max: how large a file `add` takes; 1 GiB.
        bystanders: who rests during a restore.
    """

    def __init__(self, runtime: Runtime, note_activity: Callable[[str, str], None] = lambda kind, words: None) -> None:
        bind_to_process(self)
        self._runtime = runtime
        self._note_activity = note_activity
        self._folder = SnapshotFolder(runtime.database.path, runtime.clock)
        self._forks = Forks(runtime.clock, runtime.brokers, runtime.broker.config.overrides)
        # One thing at a time that copies or replaces the file; looking is always possible.
        self._lock = threading.RLock()
        self.automatic_bytes_max = AUTOMATIC_BYTES_MAX
        self.upload_bytes_max = UPLOAD_BYTES_MAX
        self.bystanders: tuple[Bystander, ...] = ()

    # Looking

    def list(self) -> tuple[Snapshot, ...]:
        """Every snapshot, the newest first."""
        return self._folder.list()

    def get(self, name: str) -> Snapshot:
        """One snapshot; BrokerError RESOURCE_NOT_FOUND where there is none."""
        return self._folder.get(name)

    def compare(self, left: str, right: str = NOW) -> Comparison:
        """What differs between two snapshots, or a snapshot and now.

        Args:
            left, right: names; "now" is the file as it is.

        Raises:
            BrokerError: RESOURCE_NOT_FOUND.
        """
        with self._runtime.database.working(), self._state(left) as a, self._state(right) as b:
            return compare(left, a, right, b)

    @contextmanager
    def _state(self, name: str) -> Iterator[Reader]:
        if name == NOW:
            with self._runtime.database.reader() as reader:
                yield reader
        else:
            self.get(name)
            with copies.opened(self._folder.path(name)) as reader:
                yield reader

    def preview_restore(self, name: str) -> RestorePreview:
        """What `restore` would do; nothing is changed."""
        ports = self._runtime.kafka
        return RestorePreview(
            self.get(name), self.compare(name), len(ports.clients()) if ports else 0, self.automatic_refusal()
        )

    # Taking

    def take(self, name: str | None = None, note: str = "") -> Snapshot:
        """Take a snapshot of the file as it is. Clients go on meanwhile.

        Args:
            name: letters, digits, spaces and . , + - _ ( ); None for one made of the time.
            note: what to remember about it, at most 500 characters.

        Raises:
            BrokerError: INVALID_REQUEST for the name, DUPLICATE_RESOURCE, KAFKA_STORAGE_ERROR without room on the disk.
        """
        self._runtime.check_place()
        with self._runtime.database.working(), self._lock:
            taken = self._folder.take(name, note)
        self._note_activity("snapshot", f"took {taken.name}")
        return taken

    def before(self, action: str) -> UndoPoint:
        """Take an automatic snapshot before something is destroyed, so that it can be undone. The newest ten are kept.

        Args:
            action: what is about to be done, such as "delete topic orders".

        Returns:
            Its name; or why there is none. It never refuses the action itself.
        """
        refusal = self.automatic_refusal()
        if refusal is not None:
            return UndoPoint(None, refusal)
        try:
            self._runtime.check_place()
            with self._runtime.database.working(), self._lock:
                taken = self._folder.take(kind="automatic", action=action)
                self._folder.prune()
        except (SandboxError, OSError) as error:
            return UndoPoint(None, f"No automatic snapshot could be taken: {error}")
        return UndoPoint(taken.name)

    def automatic_refusal(self) -> str | None:
        """Why no automatic snapshot would be taken now, as a sentence with the way out; None where one would be."""
        size_bytes = self._runtime.database.size_bytes()
        if size_bytes > self.automatic_bytes_max:
            return (
                f"There is no automatic snapshot, and so no undo: the file has {size_bytes / 1e6:,.0f} MB, and above "
                f"{self.automatic_bytes_max / 1e6:,.0f} MB none is taken. Take one by hand first."
            )
        refusal = self._folder.room_refusal(size_bytes)
        return f"There is no automatic snapshot, and so no undo: {refusal}." if refusal else None

    def add(self, source: IO[bytes], name: str | None = None, note: str = "") -> Snapshot:
        """Take a sandbox file from elsewhere as a snapshot, after it was looked over.

        Raises:
            BrokerError: INVALID_REQUEST for the name, DUPLICATE_RESOURCE, MESSAGE_TOO_LARGE.
            FileRefused: it is no whole sandbox file of this version or an older one.
        """
        with self._runtime.database.working():
            return self._folder.add(source, name, note, bytes_max=self.upload_bytes_max)

    # Changing

    def rename(self, name: str, new_name: str) -> Snapshot:
        """Give a snapshot another name."""
        return self._folder.rename(name, new_name)

    def note(self, name: str, note: str) -> Snapshot:
        """Write about a snapshot, at most 500 characters."""
        return self._folder.note(name, note)

    def delete(self, name: str) -> None:
        """Delete a snapshot; BrokerError RESOURCE_NOT_FOUND where there is none."""
        self._folder.delete(name)

    def restore(self, name: str) -> Restored:
        """Put everything back as it was when a snapshot was taken. An automatic snapshot of now is taken first.

        Clients are disconnected, and find the same ports; see the text of this module for what they notice.

        Raises:
            BrokerError: RESOURCE_NOT_FOUND, KAFKA_STORAGE_ERROR; nothing was changed.
            FileRefused: the snapshot is damaged; nothing was changed.
        """
        with self._runtime.database.working(), self._lock:
            found = self.get(name)
            self._runtime.check_writable()
            staged = self._folder.part()
            try:
                # Before the automatic snapshot, which may push out the one that is restored.
                self._copied(name, staged, times=2)
                for one in self.bystanders:
                    one.rest()
                try:
                    undo = self.before(f"undo {found.action}" if found.action else f"restore {name}")
                    self._replace(staged)
                finally:
                    for one in self.bystanders:
                        one.go_on()
            finally:
                staged.unlink(missing_ok=True)
        self._note_activity("snapshot", f"restored {name}" + (f"; what was before is {undo.name}" if undo.name else ""))
        return Restored(found, undo)

    def _replace(self, staged: Path) -> None:
        with self._runtime.database.reader() as reader:
            identity = copies.read_identity(reader)
        copies.make_ready(staged, identity)
        copies.fit_pages(staged, self._runtime.database.page_size_bytes())
        self._replace_content(staged)

    def _replace_content(self, source: Path) -> None:
        """Put the content of a file that was made ready in place of this one's: in the file, and in memory.

        Clients are disconnected, and find the same ports. KAFKA_STORAGE_ERROR: all is as it was, but for those.
        """
        runtime = self._runtime

        def replace(now_ms: int) -> None:
            # Those who wait for this commit are answered before they are disconnected.
            runtime.broker.commit()
            if runtime.kafka is not None:
                runtime.kafka.disconnect()
            runtime.database.replace_content(source)
            runtime.broker.reload(now_ms)
            runtime.coordinator.load(now_ms)

        runtime.call(replace)

    def _copied(self, name: str, target: Path, times: int = 1) -> None:
        """A whole copy of a snapshot, or of now, of this version, where the disk has room for so many of it."""
        source = self._runtime.database.path if name == NOW else self._folder.path(name)
        refusal = self._folder.room_refusal(times * source.stat().st_size)
        if refusal:
            raise BrokerError("KAFKA_STORAGE_ERROR", f"There is no room: {refusal}.")
        if name == NOW:
            self._runtime.check_place()
        copies.copy_file(source, target, in_use=name == NOW)
        # One that was put there by hand may come from anywhere.
        copies.check_copy(target, foreign=name != NOW and self.get(name).kind == "found")

    # Forks

    def fork(self, name: str = NOW) -> ForkDescription:
        """Open a copy of a snapshot, or of now, beside: in a process of its own, on ports of its own.

        It ends with this process. Its file lies in the folder `forks` of the snapshots, and stays.

        Raises:
            BrokerError: RESOURCE_NOT_FOUND, POLICY_VIOLATION where there are eight already.
            SandboxError: it did not start.
        """
        self._runtime.check_open()
        self._forks.check_room()
        started = self._forks.start(name, self.copy(name))
        self._note_activity("snapshot", f"forked {name}, at {started.kafka}")
        return started

    def copy(self, name: str = NOW) -> Path:
        """Copy a snapshot, or the file as it is, to a file that is a sandbox of its own; where it lies."""
        if name != NOW:
            self.get(name)
        with self._runtime.database.working(), self._lock:
            part = self._folder.part()
            try:
                self._copied(name, part)
                copies.make_ready(part, None)
                folder = self._folder.folder / "forks"
                folder.mkdir(exist_ok=True)
                number = 1
                while (file := folder / f"{name}-{number}.db").exists():
                    number += 1
                part.rename(file)
            finally:
                part.unlink(missing_ok=True)
        return file

    def forks(self) -> tuple[ForkDescription, ...]:
        """Every fork that was not stopped, the newest first."""
        return self._forks.list()

    def stop_fork(self, id: int, *, delete: bool = False) -> ForkDescription:
        """End a fork; `delete` deletes its file too. BrokerError RESOURCE_NOT_FOUND where there is none."""
        return self._forks.stop(id, delete=delete)

    def close(self) -> None:
        """End every fork."""
        self._forks.close()
