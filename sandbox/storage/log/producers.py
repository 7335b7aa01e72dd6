"""Producer ids as rows."""

from sandbox.storage.file.database import Database


def new_producer_id(database: Database, now_ms: int) -> int:
    """A producer id that was never given before."""
    cursor = database.execute("INSERT INTO producers(created_ms) VALUES(?)", (now_ms,))
    return cursor.lastrowid or 0
