"""The steps that bring a file to the version of this program. `schema` says what each table is."""

from typing import TYPE_CHECKING

from sandbox.storage.schema import APPLICATION_ID, BESIDE_THE_LOG, GUARDS, TABLES, VIEWS

if TYPE_CHECKING:
    import sqlite_utils


def apply_migrations(database: "sqlite_utils.Database") -> None:
    """Bring a new or older file to `VERSION`. Each step is one transaction: it is whole, or it did not happen."""
    from sqlite_utils.migrations import Migrations

    migrations = Migrations("sandbox")

    @migrations()
    def create_file(db: "sqlite_utils.Database") -> None:
        for statements in (TABLES, GUARDS, VIEWS):
            for statement in split_statements(statements):
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")

    @migrations()
    def add_activity_and_templates(db: "sqlite_utils.Database") -> None:
        for statement in split_statements(BESIDE_THE_LOG):
            db.execute(statement)
        db.execute("PRAGMA user_version = 2")

    with database.atomic():
        # The table of migrations too: a process that dies here leaves no file that looks like another program's.
        migrations.apply(database)


def split_statements(script: str) -> list[str]:
    """The statements of a script, triggers whole. (`executescript` would commit the migration's transaction.)"""
    from sqlite3 import complete_statement

    statements: list[str] = []
    pending = ""
    for line in script.strip().splitlines(keepends=True):
        pending += line
        if line.rstrip().endswith(";") and complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    return statements
