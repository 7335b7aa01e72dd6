"""A file as an older version wrote it, converted from a current one."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sandbox.storage.file.migrations import make_version

SENTENCES = {
    ("activity", "detail"): "coalesce(details ->> '$.text', details)",
    ("rebalances", "reason"): "coalesce(details ->> '$.text', details)",
}
"""Columns that version 5 renamed: an older version stored a sentence."""


def make_older(file: Path, version: int) -> None:
    """Put what a closed file holds, as far as an older version knew it, into a file of that version's tables."""
    older = file.with_name(file.name + ".older")
    with closing(sqlite3.connect(older, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        make_version(connection, version)
        connection.execute("ATTACH ? AS today", (str(file),))
        tables = [row[0] for row in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
        for table in sorted(tables, key="sqlite_sequence".__eq__):
            if table == "sqlite_sequence":
                connection.execute("DELETE FROM main.sqlite_sequence")
            names = [row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")]
            values = ", ".join(SENTENCES.get((table, name), name) for name in names)
            connection.execute(
                f"INSERT OR REPLACE INTO main.{table}({', '.join(names)}) SELECT {values} FROM today.{table}"
            )
        connection.execute(f"PRAGMA user_version = {version}")
    older.replace(file)
