"""Tests with a small write whether the file can be written."""

from sandbox.storage.file.database import Database

SETTING = "storage.trial"
ROOM_BYTES = 65_536


def use(database: Database) -> None:
    """Read a row, write some pages and delete them again, which a full disk refuses. Other rows are unchanged.

    Raises:
        StorageFailed: call `rollback`.
    """
    database.check_or_rescue()
    database.one("SELECT count(*) FROM topics")
    if database.read_only:
        return
    database.execute("INSERT OR REPLACE INTO settings(name, value) VALUES(?, ?)", (SETTING, "x" * ROOM_BYTES))
    database.commit()
    database.execute("DELETE FROM settings WHERE name = ?", (SETTING,))
