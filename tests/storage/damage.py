"""Changes in a closed file as only a broken disk makes them: the file's guards are dropped meanwhile."""

import sqlite3
from contextlib import closing
from pathlib import Path


def damage(file: Path, statement: str, *parameters: object) -> None:
    """Run a statement that the file's triggers would refuse; it must change one row."""
    with closing(sqlite3.connect(file)) as connection, connection:
        guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(statement, parameters).rowcount == 1
        for _, sql in guards:
            connection.execute(sql)
