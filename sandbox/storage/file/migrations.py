"""Creates a new file, and migrates an older one to this program's version. `schema` describes the tables."""

import re
import sqlite3

from sandbox.storage.file import row_checksums
from sandbox.storage.file.schema import (
    APPLICATION_ID,
    BESIDE_THE_LOG,
    CHECKSUM_GUARDS,
    GUARDS,
    LAG_WITH_RANGE,
    TABLES,
    VIEWS,
)

_CONSTRAINT = re.compile(r",\n  (PRIMARY KEY|UNIQUE)\(")
IDENTITY = f"PRAGMA application_id = {APPLICATION_ID};"
SUMMED = ("batches", *row_checksums.TABLES)


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


def _with_checksums(tables: str) -> str:
    """Return the tables with the checksum column, as SQLite would store them after ALTER TABLE."""
    statements = []
    for statement in split_statements(tables):
        words = statement
        if statement.startswith("CREATE TABLE ") and statement.split("(", 1)[0].split()[2] in SUMMED:
            words = _CONSTRAINT.sub(r", checksum INTEGER\g<0>", statement, count=1)
            if words == statement:
                words = statement.replace("\n)", "\n, checksum INTEGER)", 1)
        statements.append(words)
    return "\n".join(statements)


STEPS = (
    (TABLES, GUARDS, VIEWS, IDENTITY),
    (BESIDE_THE_LOG,),
    ("".join(f"ALTER TABLE {table} ADD COLUMN checksum INTEGER;\n" for table in SUMMED), CHECKSUM_GUARDS),
    (LAG_WITH_RANGE,),
)
"""What each version added: the first creates a file, the step at index n migrates version n to version n + 1."""
NEW = (
    _with_checksums(TABLES),
    GUARDS,
    VIEWS,
    LAG_WITH_RANGE,
    _with_checksums(BESIDE_THE_LOG),
    CHECKSUM_GUARDS,
    IDENTITY,
)
"""All steps combined, for a new file."""


def make_version(connection: sqlite3.Connection, version: int) -> None:
    """Create the tables of a version, 1 or higher, in an empty database."""
    for step in STEPS[:version]:
        for script in step:
            for statement in split_statements(script):
                connection.execute(statement)


def migrate(connection: sqlite3.Connection) -> None:
    """Migrate a file to `schema.VERSION`, in one transaction: if the process dies, the file stays unchanged.

    Args:
        connection: to a new file, or one of this or an older version. Must be in autocommit mode (no isolation level).
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for step in STEPS[version:] if version else (NEW,):
            for script in step:
                for statement in split_statements(script):
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
