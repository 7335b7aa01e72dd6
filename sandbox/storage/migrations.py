"""The steps that bring a new or older file to the version of this program. `schema` says what each table is."""

import sqlite3

from sandbox.storage.schema import APPLICATION_ID, BESIDE_THE_LOG, GUARDS, TABLES, VIEWS

STEPS = (
    (*(TABLES, GUARDS, VIEWS), f"PRAGMA application_id = {APPLICATION_ID};"),
    (BESIDE_THE_LOG,),
)
"""What each version added: the first makes a new file, the step at index n brings version n to version n + 1."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file to `schema.VERSION`, in one transaction: a process that dies in it leaves the file as it was.

    Args:
        connection: to a file that is new, or of this or an older version. It commits by itself (no isolation level).
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for step in STEPS[version:]:
            for script in step:
                for statement in split_statements(script):
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


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
