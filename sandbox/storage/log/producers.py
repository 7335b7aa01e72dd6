"""Assigns producer ids."""

from sandbox.storage.file.database import Database


def new_producer_id(database: Database, now_ms: int) -> int:
    """Return a producer id that was never assigned before."""
    cursor = database.execute("INSERT INTO producers(created_ms) VALUES(?)", (now_ms,))
    return cursor.lastrowid or 0
