"""sqlite-utils over the sandbox's own connections: conversion and introspection of tables.

Its import takes longer than the rest of a start, so it is imported here, at the first use: no start of a current or a
new file uses it. The write turn doesn't use it either: an upsert of one row runs 17 statements, and creates and drops a
table to probe for ON CONFLICT. That changes `PRAGMA schema_version`, by which caches notice a restored snapshot.
"""

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite_utils


def tables(connection: sqlite3.Connection) -> "sqlite_utils.Database":
    """Return a connection's tables.

    sqlite-utils opens files with another SQLite library if one is installed (pysqlite3). Given a connection, it uses
    that one, which must be the standard library's: two SQLite libraries in one process break each other's locks.

    Args:
        connection: in autocommit mode. In a transaction, writes are part of it: sqlite-utils uses savepoints.
    """
    from sqlite_utils import Database

    # Plugins are other programs' code: they don't run on a sandbox file. The pragma is the connection's owner's choice.
    return Database(connection, execute_plugins=False, recursive_triggers=False)
