"""Copies a whole sandbox file, and checks and prepares a copy before it is used.

SQLite's backup API makes the copy from a read-only connection that holds one read transaction. So the copy is one
consistent state of the file, however much is written meanwhile; readers and the writer continue (WAL). The
connection that writes the file is not used. A copy that isn't open anywhere is read as `immutable`: no files are
created beside it.
"""

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sandbox.kafka.errors import BrokerError, FileRefused, SandboxError
from sandbox.kafka.producer_epoch import EPOCH_LAST
from sandbox.model import cancellation
from sandbox.model.alerts import ALERTS_SETTING
from sandbox.model.sql_tokens import quoted_name
from sandbox.storage.file import ofd_locks, row_checksums
from sandbox.storage.file.content import content_of
from sandbox.storage.file.database import Reader, StorageFailed, check_file, is_open_here
from sandbox.storage.file.guard import SHARED_BYTES
from sandbox.storage.file.migrations import make_version, migrate
from sandbox.storage.file.read_uri import read_uri
from sandbox.storage.file.readers import interrupting
from sandbox.storage.file.row_rules import breaches
from sandbox.storage.file.schema import VERSION

PAGES_PER_STEP = 2_000
PRODUCER_IDS_SPARED = 1_000
"""Producer ids that may be assigned between reading the file and replacing it, without another preparation."""
KEPT_SETTINGS = ("cluster.id", "kafka.port", ALERTS_SETTING)
"""Settings that belong to the file's place, not to its content: the cluster's id, its ports, and what to watch."""

Schema = dict[tuple[str, str], str]
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Identity:
    """State that a running sandbox keeps when its content is replaced, and numbers that must only grow.

    Attributes:
        settings: the file's own settings that `KEPT_SETTINGS` lists.
        leader_epochs: (topic, partition) to leader epoch.
        generations: group id to its generation or group epoch.
        last_producer_id: the largest that was ever assigned.
        last_schema_ids: the largest schema id that was ever assigned, by context.
        content: see `storage.file.content`.
    """

    settings: Mapping[str, str]
    leader_epochs: Mapping[tuple[str, int], int]
    generations: Mapping[str, int]
    last_producer_id: int
    last_schema_ids: Mapping[str, int]
    content: int

    def covers(self, now: "Identity") -> bool:
        """Return whether a copy that was prepared with this identity still has only larger numbers than `now`."""
        return (
            self.settings == now.settings
            and self.content >= now.content
            and self.last_producer_id + PRODUCER_IDS_SPARED >= now.last_producer_id
            and _cover(self.leader_epochs, now.leader_epochs)
            and _cover(self.generations, now.generations)
            and _cover(self.last_schema_ids, now.last_schema_ids)
        )

    def ahead(self, numbers: int) -> "Identity":
        """Return an identity whose numbers are larger, so that as many may be assigned while a copy is prepared."""
        return Identity(
            self.settings,
            {key: epoch + numbers for key, epoch in self.leader_epochs.items()},
            {group: generation + numbers for group, generation in self.generations.items()},
            self.last_producer_id + numbers,
            {context: last + numbers for context, last in self.last_schema_ids.items()},
            self.content + numbers,
        )


def _cover(prepared: Mapping[Key, int], found: Mapping[Key, int]) -> bool:
    return all(prepared.get(key, 0) >= value for key, value in found.items())


def address(path: Path, in_use: bool = False) -> str:
    """Return the URI to read a file by; nothing is created beside it if it isn't open anywhere."""
    quiet = not in_use and not _log_bytes(path) and not is_open_here(path)
    return read_uri(path, immutable=quiet)


def _log_bytes(path: Path) -> int:
    log = path.with_name(path.name + "-wal")
    return log.stat().st_size if log.exists() else 0


@contextmanager
def opened(path: Path, *, in_use: bool = False) -> Iterator[Reader]:
    """Read a copy, or a file in use, in one read transaction; FileRefused if that fails."""
    try:
        with closing(sqlite3.connect(address(path, in_use), uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            with interrupting(connection):
                yield Reader(connection)
    except (sqlite3.Error, StorageFailed) as error:
        cancellation.check()
        raise FileRefused(f"{path} cannot be read: {error}.") from error


def copy_file(source: Path, target: Path, *, in_use: bool) -> None:
    """Copy one consistent state of a sandbox file.

    Args:
        source: the file, or a copy of it.
        target: a new file, complete and synced to disk when this returns; the caller renames it.
        in_use: True if somebody may be writing the source.

    Raises:
        FileRefused: the source cannot be read, or the copy cannot be written; a partial copy may be left.
        BrokerError: KAFKA_STORAGE_ERROR if the disk is full.
    """
    try:
        with closing(sqlite3.connect(address(source, in_use), uri=True, isolation_level=None)) as reading:
            reading.execute("BEGIN")
            # The read transaction begins with the first read. It keeps the backup from restarting whenever
            # somebody writes.
            reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
            with closing(sqlite3.connect(target, isolation_level=None)) as writing:
                writing.execute("PRAGMA journal_mode = OFF").fetchone()
                writing.execute("PRAGMA synchronous = OFF")
                reading.backup(writing, pages=PAGES_PER_STEP, sleep=0, progress=_check_cancelled)
    except sqlite3.Error as error:
        raise _refusal(f"{source} cannot be copied to {target}", error) from error
    sync(target)


def _refusal(words: str, error: Exception) -> SandboxError:
    # A snapshot is not at fault if the disk is full, and must not be thrown away.
    no_room = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    if no_room or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return BrokerError("KAFKA_STORAGE_ERROR", f"{words}: {error}. Make room on the disk, and try again.")
    return FileRefused(f"{words}: {error}.")


def _check_cancelled(_status: int, _left: int, _pages: int) -> None:
    cancellation.check()


def sync(path: Path) -> None:
    """Sync a file to disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _altered(path: Path) -> Iterator[sqlite3.Connection]:
    """Write to a private copy, and leave it as a single file without a log."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            connection.execute("PRAGMA synchronous = OFF")
            with interrupting(connection):
                yield connection
    except sqlite3.Error as error:
        cancellation.check()
        raise _refusal(f"{path.name} cannot be used", error) from error
    sync(path)


def check_copy(path: Path, *, foreign: bool) -> None:
    """Check that a private copy is a complete sandbox file, and migrate it to this version.

    Args:
        path: the copy.
        foreign: True if it may come from anywhere: then every row is checked as a client's request would be, and
            triggers, views and anything else that could run code are refused.

    Raises:
        FileRefused: it is not a sandbox file, has a newer version, is damaged, has foreign tables or triggers, or has
            rows that no client could have written.
    """
    current = check_file(path)
    with _altered(path) as connection:
        try:
            if foreign:
                _check_foreign_schema(connection)
            # Only integrity_check checks uniqueness. It also evaluates expressions of the schema, which was checked
            # above.
            found = connection.execute(f"PRAGMA {'integrity_check' if foreign else 'quick_check'}(1)").fetchone()
        except sqlite3.DatabaseError as error:
            cancellation.check()
            raise FileRefused(f"The file is damaged: {error}.") from error
        if found != ("ok",):
            raise FileRefused(f"The file is damaged: {found[0] if found else 'it cannot be checked'}.")
        if not schema_of(connection):
            raise FileRefused("The file is empty: it holds no sandbox.")
        if not current:
            migrate(connection)
        check_schema(schema_of(connection), VERSION)
        if connection.execute("PRAGMA user_version").fetchone() != (VERSION,):
            raise FileRefused(f"The file is not of version {VERSION}.")
        if foreign:
            breach = next(breaches(connection), None)
            if breach is not None:
                raise FileRefused(f"The file has a row that no client can have written. {breach.text()}")


def schema_of(connection: sqlite3.Connection) -> Schema:
    """Return the statements that create the file's tables, indexes, triggers and views."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {(kind, name): " ".join(sql.split()) for kind, name, sql in rows}


def check_schema(found: Schema, version: int) -> Schema:
    """Refuse a schema that lacks or changes parts of ours; tables, indexes, triggers and views may be added.

    Returns:
        The additions.

    Raises:
        FileRefused: with the first difference.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        make_version(connection, version)
        ours = schema_of(connection)
    for (kind, name), sql in ours.items():
        if found.get((kind, name)) != sql:
            raise FileRefused(f"The file's {kind} {name} differs from a sandbox's.")
    return {key: sql for key, sql in found.items() if key not in ours}


def _check_foreign_schema(connection: sqlite3.Connection) -> None:
    """Refuse a schema that would run foreign code when rows are read, written or checked.

    A table with plain columns may stay, with its plain indexes. Statistics are deleted: they can make queries slow.

    Raises:
        FileRefused: with the first foreign object, and advice.
    """
    found = schema_of(connection)
    if not found:
        return
    if connection.execute("PRAGMA encoding").fetchone() != ("UTF-8",):
        raise FileRefused("The file's text is not encoded as UTF-8: no sandbox writes such a file.")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    added = check_schema(found, version)
    for kind, name in sorted(added):
        if name.startswith("sqlite_stat"):
            connection.execute(f"DELETE FROM {quoted_name(name)}")
            continue
        reason = _runs_code(connection, kind, name, added)
        if reason is not None:
            raise FileRefused(f"The file has {reason}: {name}. Drop it, and upload the file again.")


def _runs_code(connection: sqlite3.Connection, kind: str, name: str, added: Schema) -> str | None:
    """Return why an added object is refused, None if it is harmless."""
    if kind == "index":
        (table,) = connection.execute("SELECT tbl_name FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        computed = any(row[1] == -2 for row in connection.execute(f"PRAGMA index_info({quoted_name(name)})"))
        if ("table", table) not in added:
            return f"an index on the table {table} that is not ours"
        return "an index with an expression" if computed or " WHERE " in added[kind, name].upper() else None
    if kind == "table":
        sql = added[kind, name].upper()
        hidden = any(row[6] for row in connection.execute(f"PRAGMA table_xinfo({quoted_name(name)})"))
        plain = sql.startswith("CREATE TABLE") and not hidden and "CHECK" not in sql
        return None if plain else "a table that is virtual, or has a generated column or a CHECK"
    return f"a {kind} that is not ours"


def read_identity(reader: Reader) -> Identity:
    """Read the state that a running sandbox keeps when its content is replaced."""
    epochs = reader.query(
        "SELECT t.name, p.partition, max(p.leader_epoch) FROM topics t JOIN partitions p ON p.topic = t.id "
        "GROUP BY t.name, p.partition"
    )
    row = reader.one("SELECT seq FROM sqlite_sequence WHERE name = 'producers'")
    settings = reader.query("SELECT name, value FROM settings")
    return Identity(
        {name: value for name, value in settings if name.startswith(KEPT_SETTINGS)},
        {(topic, partition): epoch for topic, partition, epoch in epochs},
        dict(reader.query("SELECT group_id, generation FROM groups")),
        row[0] if row else 0,
        dict(reader.query("SELECT context, last_id FROM schema_contexts")),
        content_of(reader),
    )


def make_ready(path: Path, identity: Identity | None) -> None:
    """Prepare a checked copy to become the content of a running sandbox.

    Group members are deleted: their clients are not connected here, and join again. So a group does not wait for
    members that are gone, and each consumer starts at the copy's committed offsets. If the copy replaces other
    content, leader epochs rise, so that clients notice a log that became shorter, generations rise, no producer id and
    no schema id is assigned twice, and every transactional producer is fenced.

    Args:
        identity: the identity of the sandbox whose content is replaced; None for a fork, which gets its own.
    """
    with _altered(path) as connection:
        row_checksums.keep(connection)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM group_members")
        connection.execute(
            "UPDATE groups SET state = 'Empty', leader = NULL, protocol = '', generation = generation + 1"
        )
        for name in KEPT_SETTINGS:
            connection.execute("DELETE FROM settings WHERE name = ? OR name LIKE ? || '.%'", (name, name))
        if identity is not None:
            connection.executemany("INSERT INTO settings(name, value) VALUES(?, ?)", identity.settings.items())
            rows = connection.execute(
                "SELECT p.id, t.name, p.partition, p.leader_epoch FROM partitions p JOIN topics t ON t.id = p.topic"
            ).fetchall()
            connection.executemany(
                "UPDATE partitions SET leader_epoch = ? WHERE id = ?",
                [(1 + max(epoch, identity.leader_epochs.get((topic, n), 0)), id) for id, topic, n, epoch in rows],
            )
            connection.executemany(
                "UPDATE groups SET generation = ?1 WHERE group_id = ?2 AND generation < ?1",
                [(generation + 1, group) for group, generation in identity.generations.items()],
            )
            _raise_producer_ids(connection, identity.last_producer_id + PRODUCER_IDS_SPARED)
            _raise_schema_ids(connection, identity.last_schema_ids)
            _fence_producers(connection)
        connection.execute("COMMIT")


def _raise_producer_ids(connection: sqlite3.Connection, last: int) -> None:
    changed = connection.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'producers'", (last,))
    if not changed.rowcount:
        connection.execute("INSERT INTO sqlite_sequence(name, seq) VALUES('producers', ?)", (last,))


def _raise_schema_ids(connection: sqlite3.Connection, last: Mapping[str, int]) -> None:
    """Raise the last schema ids: clients cache schemas by their ids, and events outside the file may have them."""
    connection.executemany(
        "INSERT INTO schema_contexts(context, last_id) VALUES(?, ?) "
        "ON CONFLICT(context) DO UPDATE SET last_id = excluded.last_id WHERE excluded.last_id > last_id",
        last.items(),
    )


def _fence_producers(connection: sqlite3.Connection) -> None:
    """Fence every current transactional producer: the copy lacks what it wrote since, and which producer it replaced.

    An epoch that was assigned after the copy must not be assigned again. With the last epoch, the next
    producer gets a new producer id. Open transactions are aborted as soon as the copy is in use.
    """
    connection.execute(
        "UPDATE transactions SET producer_epoch = ?, last_producer_id = -1, last_producer_epoch = -1, "
        "started_ms = CASE state WHEN 'Ongoing' THEN 0 ELSE started_ms END",
        (EPOCH_LAST,),
    )


def fit_pages(path: Path, size_bytes: int) -> None:
    """Change a copy's page size to the one of the file whose content it will replace, if they differ."""
    with closing(sqlite3.connect(address(path), uri=True, isolation_level=None)) as connection:
        if connection.execute("PRAGMA page_size").fetchone() == (size_bytes,):
            return
    with _altered(path) as connection:
        connection.execute(f"PRAGMA page_size = {int(size_bytes)}")
        connection.execute("VACUUM")


def make_log(source: Path, content: int) -> tuple[Path, Path]:
    """Make a write-ahead log that holds every page of a prepared copy, and its index; see `Database.replace_log`.

    SQLite itself writes the log, of an empty database beside the copy.

    Args:
        source: the copy.
        content: the schema version that the content gets, by which caches notice it (`storage.file.content`).

    Returns:
        The paths of the log, synced to disk, and of the index. Earlier ones of the same copy are replaced.

    Raises:
        FileRefused: it cannot be written; partial files may be left, whose names begin with the copy's.
        BrokerError: KAFKA_STORAGE_ERROR if the disk is full; the same may be left.
    """
    empty = source.with_name(source.name + "-empty")
    log, index = (source.with_name(source.name + ending) for ending in ("-log", "-index"))
    try:
        with (
            closing(sqlite3.connect(address(source), uri=True, isolation_level=None)) as reading,
            closing(sqlite3.connect(empty, isolation_level=None)) as writing,
        ):
            (page_bytes,) = reading.execute("PRAGMA page_size").fetchone()
            writing.execute(f"PRAGMA page_size = {page_bytes}")
            writing.execute("PRAGMA journal_mode = WAL").fetchone()
            writing.execute("PRAGMA wal_autocheckpoint = 0").fetchone()
            writing.execute("PRAGMA synchronous = OFF")
            reading.backup(writing, pages=PAGES_PER_STEP, sleep=0, progress=_check_cancelled)
            writing.execute(f"PRAGMA schema_version = {content}")
            shutil.copyfile(f"{empty}-shm", index)
            # Closing the connection deletes the log, but not this second name of it.
            log.unlink(missing_ok=True)
            os.link(f"{empty}-wal", log)
            with _kept_open(empty):
                writing.close()
    except (sqlite3.Error, OSError) as error:
        raise _refusal(f"{source.name} cannot be prepared", error) from error
    finally:
        for ending in ("", "-wal", "-shm"):
            empty.with_name(empty.name + ending).unlink(missing_ok=True)
    sync(log)
    return log, index


@contextmanager
def _kept_open(path: Path) -> Iterator[None]:
    """Hold the lock by which SQLite believes that a file is open elsewhere, so that closing it does no checkpoint."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        ofd_locks.lock(descriptor, *SHARED_BYTES, exclusive=False)
        yield
    finally:
        os.close(descriptor)


Offset = tuple[str, str, int]


def read_offsets(reader: Reader) -> dict[Offset, tuple[int, int]]:
    """Return the committed offset and its commit time (ms) by (group, topic, partition)."""
    rows = reader.rows("SELECT group_id, topic, partition, offset, committed_ms FROM committed_offsets")
    return {(group, topic, partition): (offset, at_ms) for group, topic, partition, offset, at_ms in rows}


def read_groups(reader: Reader) -> frozenset[str]:
    """Return the ids of all groups."""
    return frozenset(row[0] for row in reader.query("SELECT group_id FROM groups"))


def batch_at(reader: Reader, topic: str, partition: int, offset: int) -> tuple[int, int] | None:
    """Return base offset and append time (ms) of the batch that holds an offset; together they identify it."""
    row = reader.one(
        "SELECT b.base_offset, b.appended_ms FROM batches b JOIN partitions p ON p.id = b.partition_id "
        "JOIN topics t ON t.id = p.topic WHERE t.name = ? AND t.deleted_ms IS NULL AND p.partition = ? "
        "AND b.base_offset <= ? ORDER BY b.base_offset DESC LIMIT 1",
        (topic, partition, offset),
    )
    return (row[0], row[1]) if row else None
