"""Stores the event templates that were saved under a name."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sandbox.storage.file.database import Database, Reader
from sandbox.storage.file.read_uri import read_uri


def load_templates(reader: Reader) -> dict[str, str]:
    """Return every template, as JSON, by name."""
    return dict(reader.rows("SELECT name, template FROM event_templates ORDER BY name"))


def save_template(database: Database, name: str, template: str, now_ms: int) -> None:
    """Write a template, replacing the earlier one of that name."""
    database.execute(
        "INSERT INTO event_templates(name, template, updated_ms) VALUES(?, ?, ?) "
        "ON CONFLICT(name) DO UPDATE SET template = excluded.template, updated_ms = excluded.updated_ms",
        (name, template, now_ms),
    )


def delete_template(database: Database, name: str) -> bool:
    """Delete a template; return False if it does not exist."""
    return database.execute("DELETE FROM event_templates WHERE name = ?", (name,)).rowcount > 0


def read_template(path: Path, name: str) -> str | None:
    """Read a template, as JSON, from a file that another process may own; None if the template or the file is missing.

    Args:
        path: the sandbox file. It is only read.
        name: the template's name.
    """
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(read_uri(path), uri=True)) as connection:
            row = connection.execute("SELECT template FROM event_templates WHERE name = ?", (name,)).fetchone()
    except sqlite3.Error:
        return None
    return row[0] if row else None
