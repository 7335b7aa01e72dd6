"""Creates a new file, and migrates an older one to this program's version. `schema` describes the tables."""

import sqlite3
from collections.abc import Callable

from sandbox.storage.file import row_checksums
from sandbox.storage.file.schema import (
    APPLICATION_ID,
    BESIDE_THE_LOG,
    CHECKSUM_GUARDS,
    DESERIALIZERS,
    DROP_HISTORY_GUARDS,
    GUARDS,
    HISTORY_GUARDS,
    LAG_WITH_RANGE,
    LAG_WITHOUT_COMMIT,
    SCHEMA_REGISTRY,
    SHARE_GROUPS,
    TABLES,
    VIEWS,
)

Part = str | Callable[[sqlite3.Connection], None]
"""A part of a step: a script, or a function that converts rows. A file without rows needs no conversion."""

IDENTITY = f"PRAGMA application_id = {APPLICATION_ID};"
LATER = SCHEMA_REGISTRY + SHARE_GROUPS + DESERIALIZERS
SUMMED = ("batches", *(table for table in row_checksums.TABLES if f"CREATE TABLE {table}(" not in LATER))
"""Tables to which version 3 added the checksum; later tables were created with it."""


def split_statements(script: str) -> list[str]:
    """Split a script into statements, triggers whole. (`executescript` would commit the transaction.)"""
    statements: list[str] = []
    pending = ""
    for line in script.strip().splitlines(keepends=True):
        pending += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    return statements


def _before_checksums(tables: str) -> str:
    return tables.replace(", checksum INTEGER", "")


def _rename_sentences(connection: sqlite3.Connection) -> None:
    """Rename the columns of version 5, even if the user added a view or trigger over a table that no longer exists.

    By default SQLite then refuses to rename a column. With `writable_schema` it leaves that view as it is;
    `legacy_alter_table` is not enough.
    """
    connection.execute("PRAGMA writable_schema = ON")
    try:
        connection.execute("ALTER TABLE rebalances RENAME COLUMN reason TO details")
        connection.execute("ALTER TABLE activity RENAME COLUMN detail TO details")
    finally:
        connection.execute("PRAGMA writable_schema = OFF")


def _convert_sentences(connection: sqlite3.Connection) -> None:
    """Convert rows that version 4 wrote; the imports are for such a file alone."""
    if connection.execute("SELECT EXISTS(SELECT 1 FROM activity) OR EXISTS(SELECT 1 FROM rebalances)").fetchone()[0]:
        from sandbox.storage.file.sentences import convert_sentences

        convert_sentences(connection)


STEPS: tuple[tuple[Part, ...], ...] = (
    (
        _before_checksums(TABLES).replace("  details TEXT NOT NULL,", "  reason TEXT NOT NULL,"),
        GUARDS,
        VIEWS,
        IDENTITY,
    ),
    (_before_checksums(BESIDE_THE_LOG).replace("  details TEXT NOT NULL", "  detail TEXT NOT NULL"),),
    (
        "".join(f"ALTER TABLE {table} ADD COLUMN checksum INTEGER;\n" for table in SUMMED),
        CHECKSUM_GUARDS,
        DROP_HISTORY_GUARDS,
        HISTORY_GUARDS.replace("ended_ms, details", "ended_ms, reason").replace(
            "group_id, details", "group_id, detail"
        ),
    ),
    (LAG_WITH_RANGE,),
    (
        DROP_HISTORY_GUARDS,
        _rename_sentences,
        _convert_sentences,
        HISTORY_GUARDS,
    ),
    (SCHEMA_REGISTRY,),
    (SHARE_GROUPS,),
    (LAG_WITHOUT_COMMIT,),
    (DESERIALIZERS,),
)
"""What each version added: the first creates a file, the step at index n migrates version n to version n + 1."""
NEW: tuple[Part, ...] = (
    TABLES,
    GUARDS,
    VIEWS,
    LAG_WITHOUT_COMMIT,
    BESIDE_THE_LOG,
    CHECKSUM_GUARDS,
    DROP_HISTORY_GUARDS,
    HISTORY_GUARDS,
    SCHEMA_REGISTRY,
    SHARE_GROUPS,
    DESERIALIZERS,
    IDENTITY,
)
"""All steps combined, for a new file."""


def _run(connection: sqlite3.Connection, parts: tuple[Part, ...]) -> None:
    for part in parts:
        if isinstance(part, str):
            for statement in split_statements(part):
                connection.execute(statement)
        else:
            part(connection)


def make_version(connection: sqlite3.Connection, version: int) -> None:
    """Create the tables of a version, 1 or higher, in an empty database."""
    for step in STEPS[:version]:
        _run(connection, step)


def migrate(connection: sqlite3.Connection) -> None:
    """Migrate a file to `schema.VERSION`, in one transaction: if the process dies, the file stays unchanged.

    Args:
        connection: to a new file, or one of this or an older version. Must be in autocommit mode (no isolation level).
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for step in STEPS[version:] if version else (NEW,):
            _run(connection, step)
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
