"""The steps that bring a new or older file to the version of this program. `schema` says what each table is."""

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
    """The statements of a script, triggers whole. (`executescript` would commit the transaction.)"""
    statements: list[str] = []
    pending = ""
    for line in script.strip().splitlines(keepends=True):
        pending += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    return statements


def _with_checksums(tables: str) -> str:
    """The tables as they are once they have the column, in SQLite's words: a new file need not be altered."""
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
"""What each version added: the first makes a file, the step at index n brings version n to version n + 1."""
NEW = (
    _with_checksums(TABLES),
    GUARDS,
    VIEWS,
    LAG_WITH_RANGE,
    _with_checksums(BESIDE_THE_LOG),
    CHECKSUM_GUARDS,
    IDENTITY,
)
"""All of them at once, for a new file."""


def make_version(connection: sqlite3.Connection, version: int) -> None:
    """Make the tables of a version, 1 or higher, in an empty database."""
    for step in STEPS[:version]:
        for script in step:
            for statement in split_statements(script):
                connection.execute(statement)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file to `schema.VERSION`, in one transaction: a process that dies in it leaves the file as it was.

    Args:
        connection: to a file that is new, or of this or an older version. It commits by itself (no isolation level).
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
