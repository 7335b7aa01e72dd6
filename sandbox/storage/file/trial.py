"""A write that is made only to find out whether the file can be written."""

from sandbox.storage.file.database import Database

SETTING = "storage.trial"
ROOM_BYTES = 65_536


def use(database: Database) -> None:
    """Read a row; write some pages and take them away again, which a full disk refuses. Other rows stay as they are.

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
