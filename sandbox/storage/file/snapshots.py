"""Copies of a whole sandbox file, and what is done to a copy before it is used.

A copy is made by SQLite's backup API from a read-only connection that holds one read transaction: it is one state of
the file, however much is written meanwhile, and it holds up nobody (WAL). The one connection that writes the file is
not used. A copy that nobody has open is read as `immutable`, which makes no files beside it.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.kafka.errors import FileRefused
from sandbox.storage.file import row_checksums
from sandbox.storage.file.database import Reader, StorageFailed, check_file
from sandbox.storage.file.migrations import migrate
from sandbox.storage.file.read_uri import read_uri
from sandbox.storage.file.schema import VERSION

PAGES_PER_STEP = 2_000
PRODUCER_IDS_SPARED = 1_000
"""Producer ids that may be given between a look at the file and the moment when it is replaced."""
KEPT_SETTINGS = ("cluster.id", "kafka.port")
"""Settings of a file that belong to the place, not to its content: who it is, and where it listens."""

Schema = dict[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a running sandbox keeps when its content is replaced.

    Attributes:
        settings: of the file itself, those of `KEPT_SETTINGS`.
        leader_epochs: (topic, partition) to leader epoch.
        last_producer_id: the greatest that was ever given.
    """

    settings: Mapping[str, str]
    leader_epochs: Mapping[tuple[str, int], int]
    last_producer_id: int


def address(path: Path, in_use: bool = False) -> str:
    """The URI by which a file is read, and nothing is made beside it where nobody has it open."""
    quiet = not in_use and not _log_bytes(path)
    return read_uri(path, immutable=quiet)


def _log_bytes(path: Path) -> int:
    log = path.with_name(path.name + "-wal")
    return log.stat().st_size if log.exists() else 0


@contextmanager
def opened(path: Path, *, in_use: bool = False) -> Iterator[Reader]:
    """Read a copy, or a file that somebody may be writing, in one read transaction; FileRefused where that fails."""
    try:
        with closing(sqlite3.connect(address(path, in_use), uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            yield Reader(connection)
    except (sqlite3.Error, StorageFailed) as error:
        raise FileRefused(f"{path} cannot be read: {error}.") from error


def copy_file(source: Path, target: Path, *, in_use: bool) -> None:
    """Copy one state of a sandbox file.

    Args:
        source: the file, or a copy of it.
        target: a new file, whole and on the disk when this returns; the caller renames it.
        in_use: True where somebody may be writing the source.

    Raises:
        FileRefused: it cannot be read, or the copy cannot be written; a part of it may be left.
    """
    try:
        with closing(sqlite3.connect(address(source, in_use), uri=True, isolation_level=None)) as reading:
            reading.execute("BEGIN")
            # The read transaction begins with the first look. Held, it keeps the backup from beginning anew
            # whenever somebody writes.
            reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
            with closing(sqlite3.connect(target, isolation_level=None)) as writing:
                writing.execute("PRAGMA journal_mode = OFF").fetchone()
                writing.execute("PRAGMA synchronous = OFF")
                reading.backup(writing, pages=PAGES_PER_STEP, sleep=0)
    except sqlite3.Error as error:
        raise FileRefused(f"{source} cannot be copied to {target}: {error}.") from error
    sync(target)


def sync(path: Path) -> None:
    """See to it that a file is on the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _altered(path: Path) -> Iterator[sqlite3.Connection]:
    """Write into a copy that nobody else has: one transaction, and one file again afterwards."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            connection.execute("PRAGMA synchronous = OFF")
            yield connection
    except sqlite3.Error as error:
        raise FileRefused(f"{path.name} cannot be used: {error}.") from error
    sync(path)


def check_copy(path: Path, *, foreign: bool) -> None:
    """Look whether a copy that nobody else has is a whole sandbox file, and bring it up to date.

    Args:
        path: the copy.
        foreign: True where it may come from anywhere, and triggers of others are not welcome.

    Raises:
        FileRefused: it is no sandbox file, of a newer version, damaged, or has tables or triggers that are not ours.
    """
    current = check_file(path)
    with _altered(path) as connection:
        try:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            raise FileRefused(f"The file is damaged: {error}.") from error
        if found != ("ok",):
            raise FileRefused(f"The file is damaged: {found[0] if found else 'it cannot be checked'}.")
        if not schema_of(connection):
            raise FileRefused("The file is empty: it holds no sandbox.")
        if not current:
            migrate(connection)
        check_schema(schema_of(connection), foreign)
        if connection.execute("PRAGMA user_version").fetchone() != (VERSION,):
            raise FileRefused(f"The file is not of version {VERSION}.")


def schema_of(connection: sqlite3.Connection) -> Schema:
    """The statements that make what a file has."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {(kind, name): " ".join(sql.split()) for kind, name, sql in rows}


def check_schema(found: Schema, foreign: bool) -> None:
    """Refuse what differs from a new file of ours, but for tables, indexes and views that somebody added.

    Raises:
        FileRefused: with the first difference.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        ours = schema_of(connection)
    for (kind, name), sql in ours.items():
        if found.get((kind, name)) != sql:
            raise FileRefused(f"The file's {kind} {name} is not that of a sandbox.")
    added = sorted(name for kind, name in found.keys() - ours.keys() if kind == "trigger")
    if added and foreign:
        raise FileRefused(f"The file has a trigger that is not ours: {added[0]}. Drop it, and upload the file again.")


def read_identity(reader: Reader) -> Identity:
    """What a running sandbox keeps when its content is replaced."""
    epochs = reader.query(
        "SELECT t.name, p.partition, max(p.leader_epoch) FROM topics t JOIN partitions p ON p.topic = t.id "
        "GROUP BY t.name, p.partition"
    )
    row = reader.one("SELECT seq FROM sqlite_sequence WHERE name = 'producers'")
    settings = reader.query("SELECT name, value FROM settings")
    return Identity(
        {name: value for name, value in settings if name.startswith(KEPT_SETTINGS)},
        {(topic, partition): epoch for topic, partition, epoch in epochs},
        row[0] if row else 0,
    )


def make_ready(path: Path, identity: Identity | None) -> None:
    """Make a checked copy ready to be the content of a sandbox at work.

    The members of its groups are left out: their clients are not connected here, and join again. So a group does not
    wait for members that never come, and each consumer begins where the copy says. Where it replaces something,
    leader epochs rise, so that clients notice a log that has become shorter, and no producer id is given twice.

    Args:
        identity: of the sandbox that it goes into; None for a fork, which is somebody of its own.
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
            _raise_producer_ids(connection, identity.last_producer_id + PRODUCER_IDS_SPARED)
        connection.execute("COMMIT")


def _raise_producer_ids(connection: sqlite3.Connection, last: int) -> None:
    changed = connection.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'producers'", (last,))
    if not changed.rowcount:
        connection.execute("INSERT INTO sqlite_sequence(name, seq) VALUES('producers', ?)", (last,))


def fit_pages(path: Path, size_bytes: int) -> None:
    """Give a copy the page size of the file that it is to replace the content of, where it has another one."""
    with closing(sqlite3.connect(address(path), uri=True, isolation_level=None)) as connection:
        if connection.execute("PRAGMA page_size").fetchone() == (size_bytes,):
            return
    with _altered(path) as connection:
        connection.execute(f"PRAGMA page_size = {int(size_bytes)}")
        connection.execute("VACUUM")


Offset = tuple[str, str, int]


def read_offsets(reader: Reader) -> dict[Offset, tuple[int, int]]:
    """(group, topic, partition) to committed offset, and when it was committed."""
    rows = reader.rows("SELECT group_id, topic, partition, offset, committed_ms FROM committed_offsets")
    return {(group, topic, partition): (offset, at_ms) for group, topic, partition, offset, at_ms in rows}


def read_groups(reader: Reader) -> frozenset[str]:
    """The ids of all groups."""
    return frozenset(row[0] for row in reader.query("SELECT group_id FROM groups"))


def batch_at(reader: Reader, topic: str, partition: int, offset: int) -> tuple[int, int] | None:
    """What tells the batch that holds an offset from another one: its base offset, and when it was appended."""
    row = reader.one(
        "SELECT b.base_offset, b.appended_ms FROM batches b JOIN partitions p ON p.id = b.partition_id "
        "JOIN topics t ON t.id = p.topic WHERE t.name = ? AND t.deleted_ms IS NULL AND p.partition = ? "
        "AND b.base_offset <= ? ORDER BY b.base_offset DESC LIMIT 1",
        (topic, partition, offset),
    )
    return (row[0], row[1]) if row else None
