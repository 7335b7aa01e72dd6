"""Takes, restores, forks and compares snapshots of a sandbox.

    sandbox.snapshots.take("before the test")
    ...
    sandbox.snapshots.restore("before the test")

A snapshot is a whole sandbox file in the folder `FILE-snapshots/`. Restoring one replaces the file's content
atomically: if the process dies meanwhile, the file has the old state or the new one, never a mixture. Topics, events,
groups, committed offsets, settings and users are then the snapshot's; ports, the cluster id, alerts and the webhook
stay. Events that are acknowledged while it is prepared are replaced too.

Kafka has no equivalent. To clients it looks like a restart of brokers that have lost the end of their logs:
connections are closed, consumers rejoin their groups and start at the committed offsets, leader epochs are higher, and
an idempotent producer that has written since is refused as unknown (OUT_OF_ORDER_SEQUENCE_NUMBER). Every transactional
producer is fenced (INVALID_PRODUCER_EPOCH) and its open transaction is aborted, because the snapshot may have only a
part of it.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from enum import Enum, auto
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from sandbox.kafka.errors import BrokerError, SandboxError
from sandbox.kafka.event import Event, NewEvent
from sandbox.model.activity import Details
from sandbox.model.process import bind_to_process
from sandbox.model.topics import TopicDescription
from sandbox.runtime.runtime import Runtime
from sandbox.snapshots.description import (
    NOW,
    Comparison,
    ForkDescription,
    Restored,
    RestoredTopic,
    RestorePreview,
    Snapshot,
    UndoPoint,
    compare,
)
from sandbox.snapshots.events import EventDifferences, compare_events, events_of
from sandbox.snapshots.folder import AUTOMATIC_BYTES_MAX, SnapshotFolder
from sandbox.snapshots.forks import Forks
from sandbox.storage.file import ofd_locks
from sandbox.storage.file import snapshots as copies
from sandbox.storage.file.database import Reader
from sandbox.storage.log.message_rows import read_event
from sandbox.storage.log.topic_descriptions import describe_topics

COPIED_AT_ONCE = 2_000
"""Events of a topic that are copied in one commit."""
UPLOAD_BYTES_MAX = 1024 * 1024 * 1024
REPLACE_TRIES = 5
"""How often a restore tries to replace the log, while pages or other programs read the file."""
REPLACE_PAUSE_S = 0.05
IDS_SPARED = 100
"""How many ids of each kind may be assigned while a restore is prepared again, times the number of the try."""

logger = logging.getLogger("sandbox")


class Bystander(Protocol):
    """A writer inside this process that must stop while the sandbox's content is replaced."""

    def rest(self) -> None:
        """Stop writing."""

    def go_on(self) -> None:
        """Continue, according to the file's new content."""


class TopicStore(Protocol):
    """Creates, fills and deletes topics: a `Sandbox`."""

    def topics(self) -> tuple[TopicDescription, ...]:
        """Return all topics."""

    def create_topic(
        self, topic: str, *, partitions: int | None = None, settings: Mapping[str, str] | None = None
    ) -> TopicDescription:
        """Create a topic."""

    def delete_topic(self, topic: str) -> None:
        """Delete a topic."""

    def append_all(self, topic: str, events: Sequence[NewEvent]) -> Sequence[tuple[int, int]]:
        """Append events in one commit; return each one's partition and offset."""

    def commit(self, group: str, topic: str, partition: int, offset: int) -> None:
        """Commit an offset for a group without members."""


class _Prepared(NamedTuple):
    """A copy that is ready to replace the content of this sandbox.

    Attributes:
        log: a log that makes it the file's content, and the log's index; None if this system can't replace a log.
    """

    copy: Path
    identity: copies.Identity
    log: tuple[Path, Path] | None


class _Outcome(Enum):
    """What one try to replace the content did. Nothing has changed after IN_USE and OUTDATED."""

    REPLACED = auto()
    IN_USE = auto()
    OUTDATED = auto()


class SandboxSnapshots:
    """The snapshots of one sandbox. All methods are thread-safe.

    Args:
        runtime: the owner of the file.
        note_activity: records an action in the activity stream, as (kind, details).
        store: the sandbox's topics.

    Attributes:
        automatic_bytes_max: no automatic snapshot is taken of a larger file; 256 MiB.
        upload_bytes_max: maximum size of a file for `add`; 1 GiB.
        bystanders: writers that are paused during a restore.
    """

    def __init__(self, runtime: Runtime, note_activity: Callable[[str, Details], None], store: TopicStore) -> None:
        bind_to_process(self)
        self._store = store
        self._runtime = runtime
        self._note_activity = note_activity
        self._folder = SnapshotFolder(runtime.database.path, runtime.clock)
        self._forks = Forks(runtime.clock, runtime.brokers, runtime.broker.config.overrides)
        # Serializes operations that copy or replace the file. Reading needs no lock.
        self._lock = threading.RLock()
        self.automatic_bytes_max = AUTOMATIC_BYTES_MAX
        self.upload_bytes_max = UPLOAD_BYTES_MAX
        self.bystanders: tuple[Bystander, ...] = ()

    # Reading

    def list(self) -> tuple[Snapshot, ...]:
        """Return all snapshots, newest first."""
        return self._folder.list()

    def get(self, name: str) -> Snapshot:
        """Return one snapshot. Raises BrokerError RESOURCE_NOT_FOUND if it doesn't exist."""
        return self._folder.get(name)

    def compare(self, left: str, right: str = NOW) -> Comparison:
        """Compare two snapshots, or a snapshot and the current state.

        Args:
            left, right: names; "now" is the current state of the file.

        Raises:
            BrokerError: RESOURCE_NOT_FOUND.
        """
        with self._runtime.database.working(), self._state(left) as a, self._state(right) as b:
            return compare(left, a, right, b)

    def compare_events(self, left: str, right: str = NOW) -> EventDifferences:
        """Return the events that were added, removed or changed from one state to another: at most 200, within 1 s.

        Args:
            left, right: names; "now" is the current state of the file.

        Raises:
            BrokerError: RESOURCE_NOT_FOUND.
        """
        with self._runtime.database.working(), self._state(left) as a, self._state(right) as b:
            return compare_events(a, b, compare(left, a, right, b))

    def event(self, name: str, topic: str, partition: int, offset: int) -> Event:
        """Return one event of a snapshot.

        Raises:
            BrokerError: RESOURCE_NOT_FOUND for the snapshot, UNKNOWN_TOPIC_OR_PARTITION, OFFSET_OUT_OF_RANGE.
        """
        with self._state(name) as reader:
            return read_event(reader, topic, partition, offset)

    def topics(self, name: str) -> tuple[TopicDescription, ...]:
        """Return the topics of a snapshot. Raises BrokerError RESOURCE_NOT_FOUND if the snapshot doesn't exist."""
        with self._state(name) as reader:
            return describe_topics(reader)

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
        """Return the effect of `restore`. Changes nothing."""
        ports = self._runtime.kafka
        return RestorePreview(
            self.get(name), self.compare(name), len(ports.clients()) if ports else 0, self.automatic_refusal()
        )

    # Taking

    def take(self, name: str | None = None, note: str = "") -> Snapshot:
        """Take a snapshot of the current state. Clients are not interrupted.

        Args:
            name: letters, digits, spaces and . , + - _ ( ); None for a name generated from the time.
            note: a note of at most 500 characters.

        Raises:
            BrokerError: INVALID_REQUEST for the name, DUPLICATE_RESOURCE, KAFKA_STORAGE_ERROR if the disk has no room.
        """
        self._runtime.check_place()
        with self._runtime.database.working(), self._lock:
            taken = self._folder.take(name, note)
        self._note_activity("snapshot", {"action": "taken", "name": taken.name})
        return taken

    def before(self, action: str) -> UndoPoint:
        """Take an automatic snapshot before a destructive action, so that it can be undone. The newest ten are kept.

        Args:
            action: the action, such as "delete topic orders".

        Returns:
            The snapshot's name, or why none was taken. Never refuses the action itself.
        """
        refusal = self.automatic_refusal()
        if refusal is not None:
            return UndoPoint(None, refusal)
        try:
            self._runtime.check_place()
        except SandboxError as error:
            return UndoPoint(None, f"No automatic snapshot could be taken: {error}")
        with self._runtime.database.working(), self._lock:
            return self._folder.take_before(action)

    def automatic_refusal(self) -> str | None:
        """Return why no automatic snapshot would be taken now, as a sentence with what to do; None if one would be."""
        return self._folder.automatic_refusal(self._runtime.database.size_bytes(), self.automatic_bytes_max)

    def add(self, source: IO[bytes], name: str | None = None, note: str = "") -> Snapshot:
        """Store a sandbox file from elsewhere as a snapshot, after checking it.

        Raises:
            BrokerError: INVALID_REQUEST for the name, DUPLICATE_RESOURCE, MESSAGE_TOO_LARGE.
            FileRefused: it isn't a complete sandbox file of this version or an older one.
        """
        with self._runtime.database.working():
            return self._folder.add(source, name, note, bytes_max=self.upload_bytes_max)

    # Changing

    def rename(self, name: str, new_name: str) -> Snapshot:
        """Rename a snapshot."""
        return self._folder.rename(name, new_name)

    def note(self, name: str, note: str) -> Snapshot:
        """Set a snapshot's note, cut to 500 characters."""
        return self._folder.note(name, note)

    def delete(self, name: str) -> None:
        """Delete a snapshot. Raises BrokerError RESOURCE_NOT_FOUND if it doesn't exist."""
        self._folder.delete(name)

    def restore(self, name: str) -> Restored:
        """Restore a snapshot. An automatic snapshot of the current state is taken first.

        Clients are disconnected, and can reconnect to the same ports. The module's docstring describes what they
        notice.

        Raises:
            BrokerError: RESOURCE_NOT_FOUND; nothing was changed. KAFKA_STORAGE_ERROR; nothing was changed, unless the
                message says that the snapshot was restored.
            FileRefused: the snapshot is damaged; nothing was changed.
        """
        with self._runtime.database.working(), self._lock:
            found = self.get(name)
            self._runtime.check_writable()
            staged = self._folder.part()
            try:
                # Copied first: taking the automatic snapshot may delete the oldest automatic one, maybe this one.
                self._copied(name, staged, times=2)
                prepared = self._prepare(staged)
                with self._bystanders_at_rest():
                    undo = self.before(f"undo {found.action}" if found.action else f"restore {name}")
                    self._replace(staged, prepared)
            finally:
                with suppress(OSError):
                    for part in staged.parent.glob(staged.name + "*"):
                        part.unlink(missing_ok=True)
        self._note_restored(name, undo)
        return Restored(found, undo)

    @contextmanager
    def _bystanders_at_rest(self) -> Iterator[None]:
        try:
            for one in self.bystanders:
                one.rest()
            yield
        finally:
            for one in self.bystanders:
                try:
                    one.go_on()
                except Exception:
                    # The other writers continue, and the restore, if it is done, stays done.
                    logger.exception("A writer that was paused for a restore does not continue.")

    def _note_restored(self, name: str, undo: UndoPoint) -> None:
        """Record a restore in the activity stream, if possible: it is done in any case."""
        try:
            self._note_activity("snapshot", {"action": "restored", "name": name, "undo": undo.name})
        except SandboxError as error:
            logger.warning("The snapshot %s was restored, but the activity stream does not show it: %s", name, error)

    def _prepare(self, staged: Path, spared: int = 0) -> "_Prepared":
        """Prepare a copy to become the content of this sandbox.

        Args:
            spared: how many ids of each kind may be assigned here before the copy must be prepared again.
        """
        database = self._runtime.database
        with database.reader() as reader:
            identity = copies.read_identity(reader).ahead(spared)
        copies.make_ready(staged, identity)
        copies.fit_pages(staged, database.page_size_bytes())
        log = copies.make_log(staged, identity.content + 1) if ofd_locks.AVAILABLE else None
        return _Prepared(staged, identity, log)

    def _replace(self, staged: Path, prepared: "_Prepared") -> None:
        """Replace this file's content with a prepared file's, in the file and in memory.

        Clients are disconnected, and can reconnect to the same ports. The log is replaced, in one short step. If
        somebody keeps the file open, every page is copied instead, while all others wait. If an id was assigned since
        the preparation, which the copy would assign again, it is prepared again. After KAFKA_STORAGE_ERROR, nothing
        else has changed.
        """
        runtime = self._runtime
        for number in count(1):
            by_log = prepared.log is not None and number <= REPLACE_TRIES
            try:
                outcome = runtime.call(partial(self._replace_log if by_log else self._replace_pages, prepared))
            finally:
                if runtime.database.writes_back:
                    self._write_back()
            if outcome is _Outcome.REPLACED:
                break
            if outcome is _Outcome.OUTDATED:
                prepared = self._prepare(staged, number * IDS_SPARED)
            else:
                threading.Event().wait(REPLACE_PAUSE_S)

    def _write_back(self) -> None:
        """Write the log that replaced another into the file. If that fails, the next commit does it."""
        database = self._runtime.database
        try:
            database.write_back()
        except Exception as error:
            logger.warning("%s: its log is written into the file later: %s", database.path, error)
        finally:
            with suppress(SandboxError):
                # Unless the sandbox is closed, which also writes the log into the file.
                self._runtime.call(lambda now_ms: database.written_back())

    def _outdated(self, prepared: "_Prepared") -> bool:
        # The writer's connection also sees what this turn has not committed yet.
        return not prepared.identity.covers(copies.read_identity(self._runtime.database))

    def _replace_log(self, prepared: "_Prepared", now_ms: int) -> "_Outcome":
        database = self._runtime.database
        assert prepared.log is not None, "this system can't replace a log"
        if self._outdated(prepared):
            return _Outcome.OUTDATED
        with database.without_readers() as alone:
            if not alone:
                return _Outcome.IN_USE
            self._disconnect()
            if not database.replace_log(*prepared.log):
                return _Outcome.IN_USE
        self._reload(now_ms)
        return _Outcome.REPLACED

    def _replace_pages(self, prepared: "_Prepared", now_ms: int) -> "_Outcome":
        if self._outdated(prepared):
            return _Outcome.OUTDATED
        self._disconnect()
        self._runtime.database.replace_content(prepared.copy)
        self._reload(now_ms)
        return _Outcome.REPLACED

    def _disconnect(self) -> None:
        """Disconnect all clients, unless another program's lock prevents writes. Commits what is pending."""
        runtime = self._runtime
        # Requests that wait for this commit are answered before clients are disconnected.
        runtime.broker.commit()
        runtime.database.check_unlocked()
        if runtime.kafka is not None:
            runtime.kafka.disconnect()
            # The end of a share session releases records, which is a write.
            error = runtime.broker.commit()
            if error is not None:
                raise error

    def _reload(self, now_ms: int) -> None:
        failed = self._runtime.broker.reload(now_ms)
        if failed is not None:
            raise BrokerError(
                "KAFKA_STORAGE_ERROR",
                f"The snapshot was restored, but cannot be read yet. {failed.words} Clients are refused until then.",
            )

    def _copied(self, name: str, target: Path, times: int = 1) -> None:
        """Copy a snapshot, or the current state, and upgrade the copy, if the disk has room for `times` copies."""
        source = self._runtime.database.path if name == NOW else self._folder.path(name)
        refusal = self._folder.room_refusal(times * source.stat().st_size)
        if refusal:
            raise BrokerError("KAFKA_STORAGE_ERROR", f"There is no room: {refusal}.")
        if name == NOW:
            self._runtime.check_place()
        copies.copy_file(source, target, in_use=name == NOW)
        # A snapshot that was put into the folder by hand may come from anywhere.
        copies.check_copy(target, foreign=name != NOW and self.get(name).kind == "found")

    # One topic

    def copy_topic(self, name: str, topic: str, to: str) -> RestoredTopic:
        """Copy one topic of a snapshot to a new topic, with its partitions, settings and events.

        Keys, values, headers, partitions and timestamps stay. Events of aborted and open transactions are left out.

        Args:
            name: the snapshot.
            topic: the topic in the snapshot.
            to: the new topic.

        Raises:
            BrokerError: RESOURCE_NOT_FOUND for the snapshot, UNKNOWN_TOPIC_OR_PARTITION, TOPIC_ALREADY_EXISTS.
        """
        with self._runtime.database.working(), self._lock, self._state(name) as reader:
            return self._fill(reader, _topic_in(reader, name, topic), to)

    def restore_topic(self, name: str, topic: str) -> RestoredTopic:
        """Replace one topic by its state in a snapshot; everything else stays. An automatic snapshot is taken first.

        The topic is deleted and created again, so consumers of it meet a new topic. Committed offsets are restored for
        groups without members: each group is before the same event as in the snapshot. Events have the same offsets, if
        the snapshot's log began at 0 and had no gaps.

        Raises:
            BrokerError: RESOURCE_NOT_FOUND for the snapshot, UNKNOWN_TOPIC_OR_PARTITION; nothing was changed.
        """
        with self._runtime.database.working(), self._lock, self._state(name) as reader:
            found = _topic_in(reader, name, topic)
            self._runtime.check_writable()
            undo = self.before(f"restore topic {topic} of {name}")
            if any(one.topic == topic for one in self._store.topics()):
                self._store.delete_topic(topic)
            restored = replace(self._fill(reader, found, topic, with_offsets=True), undo=undo)
        self._note_restored(f"{name}: {topic}", undo)
        return restored

    def _fill(self, reader: Reader, found: TopicDescription, to: str, *, with_offsets: bool = False) -> RestoredTopic:
        self._store.create_topic(to, partitions=len(found.partitions), settings=dict(found.settings))
        wanted = copies.read_offsets(reader).items() if with_offsets else ()
        # For each committed offset, how many of the copied events are before it.
        offsets = {(group, partition): 0 for (group, topic, partition), _ in wanted if topic == found.topic}
        committed = {(group, partition): at for (group, topic, partition), (at, _) in wanted if topic == found.topic}
        events, renumbered = 0, False
        chunk: list[Event] = []
        for event in chain(events_of(reader, found.topic), (None,)):
            if event is not None:
                chunk.append(event)
            if not chunk or (event is not None and len(chunk) < COPIED_AT_ONCE):
                continue
            new = [NewEvent(one.value, one.key, one.headers, _time(one), one.partition) for one in chunk]
            places = self._store.append_all(to, new)
            renumbered = renumbered or any(offset != one.offset for (_, offset), one in zip(places, chunk, strict=True))
            for place, at in committed.items():
                offsets[place] += sum(one.partition == place[1] and one.offset < at for one in chunk)
            events += len(chunk)
            chunk = []
        groups, left_out = set(), set()
        for (group, partition), offset in offsets.items():
            try:
                self._store.commit(group, to, partition, offset)
                groups.add(group)
            except BrokerError:
                left_out.add(group)
        return RestoredTopic(to, events, tuple(sorted(groups)), tuple(sorted(left_out)), renumbered, UndoPoint(None))

    # Forks

    def fork(self, name: str = NOW) -> ForkDescription:
        """Open a copy of a snapshot, or of the current state, in a separate process, on separate ports.

        The fork ends with this process. Its file, in the snapshots' subfolder `forks`, stays.

        Raises:
            BrokerError: RESOURCE_NOT_FOUND, or POLICY_VIOLATION if there are eight already.
            SandboxError: it didn't start.
        """
        self._runtime.check_open()
        self._forks.check_room()
        started = self._forks.start(name, self.copy(name))
        self._note_activity("snapshot", {"action": "forked", "name": name, "address": started.kafka})
        return started

    def copy(self, name: str = NOW) -> Path:
        """Copy a snapshot, or the current state, to a new sandbox file. Returns its path."""
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
        """Return all forks that weren't stopped, newest first."""
        return self._forks.list()

    def stop_fork(self, id: int, *, delete: bool = False) -> ForkDescription:
        """Stop a fork; `delete` also deletes its file. Raises BrokerError RESOURCE_NOT_FOUND if it doesn't exist."""
        return self._forks.stop(id, delete=delete)

    def close(self) -> None:
        """Stop all forks."""
        self._forks.close()


def _topic_in(reader: Reader, name: str, topic: str) -> TopicDescription:
    found = next((one for one in describe_topics(reader) if one.topic == topic), None)
    if found is None:
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"The snapshot {name!r} has no topic {topic!r}.")
    return found


def _time(event: Event) -> int | None:
    return event.timestamp_ms if event.timestamp_ms >= 0 else None
