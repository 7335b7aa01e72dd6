"""Creates a new file, and migrates an older one to this program's version. `schema` describes the tables."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from sandbox.storage.file import row_checksums
from sandbox.storage.file.row_checksums import CHECKSUM
from sandbox.storage.file.schema import (
    APPLICATION_ID,
    BESIDE_THE_LOG,
    CHECKSUM_GUARDS,
    DESERIALIZERS,
    DROP_HISTORY_GUARDS,
    GUARDS,
    HISTORY_GUARDS,
    LAG_WITH_RANGE,
    LAG_WITHOUT_COMMIT,
    SCHEMA_REGISTRY,
    SHARE_GROUPS,
    TABLES,
    VIEWS,
)

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


_PIECES = re.compile(r"; |, (?=member |static member |leader )")
_LOST = re.compile(r" (left|was put out|timed out|did not|was not heard of|joined and then)")
_RESET = re.compile(r"([\d,]+) committed offset")
_PLACE = r"([A-Za-z0-9._-]{1,249})/(\d{1,9})/(\d{1,18})"
_RETURNED = re.compile(rf"(?:([\d,]+) dead letters; the last: )?{_PLACE} is {_PLACE} now")


def convert_sentences(connection: sqlite3.Connection) -> None:
    """Convert the rows of `activity` and `rebalances`, whose columns are named `details` already.

    Args:
        connection: in the migration's transaction. The triggers that forbid updates must have been dropped.
    """
    database = tables(connection)
    connection.create_function("row_checksum", -1, row_checksums.checksum, deterministic=True)
    for table, convert in (("activity", activity_details), ("rebalances", rebalance_details)):
        names = [column.name for column in database[table].columns if column.name != CHECKSUM]
        # A damaged row keeps its wrong checksum, so that `sandbox check` still reports it.
        intact = _intact(connection, table, names)
        _make_text(connection, table)
        checksum = f"row_checksum({', '.join(names)})"
        database.table(table).convert("details", convert)
        connection.executemany(f"UPDATE {table} SET {CHECKSUM} = {checksum} WHERE id = ?", ((id,) for id in intact))


def _intact(connection: sqlite3.Connection, table: str, names: Sequence[str]) -> list[int]:
    """Return the ids of the rows whose checksum is right. A function of SQL would fail on text that is not UTF-8."""
    before, connection.text_factory = connection.text_factory, lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        rows = connection.execute(f"SELECT id, {CHECKSUM}, {', '.join(names)} FROM {table}")
        return [id for id, stored, *values in rows if stored == row_checksums.checksum(*values)]
    finally:
        connection.text_factory = before


def _make_text(connection: sqlite3.Connection, table: str) -> None:
    """Replace what is not UTF-8 text in `details`, so that one damaged row doesn't prevent the conversion."""
    texts = []
    for id, kind, raw in connection.execute(f"SELECT id, typeof(details), CAST(details AS BLOB) FROM {table}"):
        text = (raw or b"").decode("utf-8", "replace")
        if kind != "text" or text.encode() != raw:
            texts.append((text, id))
    connection.executemany(f"UPDATE {table} SET details = ? WHERE id = ?", texts)


def activity_details(sentence: str) -> str:
    """Return the details of a row of `activity`, as JSON."""
    if found := _RETURNED.fullmatch(sentence):
        count, *places = found.groups()
        details = {"dead_letters": _number(count or "1"), "from": _place(places[:3]), "to": _place(places[3:])}
    else:
        details = {"text": sentence}
        if found := _RESET.match(sentence):
            details["committed_offsets"] = _number(found[1])
    return json.dumps(details, ensure_ascii=False)


def rebalance_details(sentence: str) -> str:
    """Return the details of a row of `rebalances`, as JSON: its causes are the members that joined and left."""
    causes = []
    for piece in _PIECES.split(sentence):
        kind = "left" if _LOST.search(piece) else "joined" if " joined" in piece else None
        if kind is not None and "joined again" not in piece:
            causes.append({"cause": kind, "text": piece})
    return json.dumps({"text": sentence, "causes": causes}, ensure_ascii=False)


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _place(parts: Iterable[str]) -> dict[str, object]:
    topic, partition, offset = parts
    return {"topic": topic, "partition": int(partition), "offset": int(offset)}


Part = str | Callable[[sqlite3.Connection], None]
"""A part of a step: a script, or a function that converts rows. A file without rows needs no conversion."""

IDENTITY = f"PRAGMA application_id = {APPLICATION_ID};"
LATER = SCHEMA_REGISTRY + SHARE_GROUPS + DESERIALIZERS
SUMMED = ("batches", *(table for table in row_checksums.TABLES if f"CREATE TABLE {table}(" not in LATER))
"""Tables to which version 3 added the checksum; later tables were created with it."""


def split_statements(script: str) -> list[str]:
    """Split a script into statements, triggers whole. (`executescript` would commit the transaction.)"""
    statements: list[str] = []
    pending = ""
    for line in script.strip().splitlines(keepends=True):
        pending += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    return statements


def _before_checksums(tables: str) -> str:
    return tables.replace(", checksum INTEGER", "")


def _rename_sentences(connection: sqlite3.Connection) -> None:
    """Rename the columns of version 5, even if the user added a view or trigger over a table that no longer exists.

    By default SQLite then refuses to rename a column. With `writable_schema` it leaves that view as it is;
    `legacy_alter_table` is not enough.
    """
    connection.execute("PRAGMA writable_schema = ON")
    try:
        connection.execute("ALTER TABLE rebalances RENAME COLUMN reason TO details")
        connection.execute("ALTER TABLE activity RENAME COLUMN detail TO details")
    finally:
        connection.execute("PRAGMA writable_schema = OFF")


def _convert_sentences(connection: sqlite3.Connection) -> None:
    """Convert rows that version 4 wrote; the imports are for such a file alone."""
    if connection.execute("SELECT EXISTS(SELECT 1 FROM activity) OR EXISTS(SELECT 1 FROM rebalances)").fetchone()[0]:
        convert_sentences(connection)


STEPS: tuple[tuple[Part, ...], ...] = (
    (
        _before_checksums(TABLES).replace("  details TEXT NOT NULL,", "  reason TEXT NOT NULL,"),
        GUARDS,
        VIEWS,
        IDENTITY,
    ),
    (_before_checksums(BESIDE_THE_LOG).replace("  details TEXT NOT NULL", "  detail TEXT NOT NULL"),),
    (
        "".join(f"ALTER TABLE {table} ADD COLUMN checksum INTEGER;\n" for table in SUMMED),
        CHECKSUM_GUARDS,
        DROP_HISTORY_GUARDS,
        HISTORY_GUARDS.replace("ended_ms, details", "ended_ms, reason").replace(
            "group_id, details", "group_id, detail"
        ),
    ),
    (LAG_WITH_RANGE,),
    (
        DROP_HISTORY_GUARDS,
        _rename_sentences,
        _convert_sentences,
        HISTORY_GUARDS,
    ),
    (SCHEMA_REGISTRY,),
    (SHARE_GROUPS,),
    (LAG_WITHOUT_COMMIT,),
    (DESERIALIZERS,),
)
"""What each version added: the first creates a file, the step at index n migrates version n to version n + 1."""
NEW: tuple[Part, ...] = (
    TABLES,
    GUARDS,
    VIEWS,
    LAG_WITHOUT_COMMIT,
    BESIDE_THE_LOG,
    CHECKSUM_GUARDS,
    DROP_HISTORY_GUARDS,
    HISTORY_GUARDS,
    SCHEMA_REGISTRY,
    SHARE_GROUPS,
    DESERIALIZERS,
    IDENTITY,
)
"""All steps combined, for a new file."""


def _run(connection: sqlite3.Connection, parts: tuple[Part, ...]) -> None:
    for part in parts:
        if isinstance(part, str):
            for statement in split_statements(part):
                connection.execute(statement)
        else:
            part(connection)


def make_version(connection: sqlite3.Connection, version: int) -> None:
    """Create the tables of a version, 1 or higher, in an empty database."""
    for step in STEPS[:version]:
        _run(connection, step)


def migrate(connection: sqlite3.Connection) -> None:
    """Migrate a file to `schema.VERSION`, in one transaction: if the process dies, the file stays unchanged.

    Args:
        connection: to a new file, or one of this or an older version. Must be in autocommit mode (no isolation level).
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for step in STEPS[version:] if version else (NEW,):
            _run(connection, step)
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
