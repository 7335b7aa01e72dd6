"""Checksums of the rows outside the log: settings, partitions, groups, commits, transactions and others.

Problem: a bit flip in a committed offset or a setting changes the sandbox's behaviour, and nothing reports it. Trade:
each of these rows has a CRC-32C of its columns, which triggers of the sandbox's own connection compute. The triggers
are temporary, so other programs that open the file don't run them. Consequence: rows that another program writes into
these tables have a wrong checksum or none, and `sandbox check` reports them.

A row that is overwritten as a whole gets a new checksum. A row that is changed in part gets one only if its old
checksum was correct; otherwise the change would hide the damage.
"""

import sqlite3
from collections.abc import Sequence

import google_crc32c

INSERTED = (
    "producers",
    "transaction_partitions",
    "transaction_groups",
    "pending_offsets",
    "group_members",
    "commits",
    "rebalances",
    "activity",
    "schemas",
    "schema_references",
    "share_partitions",
    "share_records",
)
"""Tables whose rows are only inserted or replaced."""
REWRITTEN = (
    "settings",
    "topic_settings",
    "resource_settings",
    "client_quotas",
    "scram_credentials",
    "committed_offsets",
    "event_templates",
    "schema_configs",
    "schema_modes",
    "deserializers",
)
"""Tables whose rows are overwritten as a whole."""
ALTERED = ("topics", "partitions", "transactions", "log_transactions", "groups", "schema_contexts", "schema_versions")
"""Tables whose rows are updated in part."""
TABLES = (*INSERTED, *REWRITTEN, *ALTERED)
CHECKSUM = "checksum"

Value = str | bytes | int | float | None


def checksum(*values: Value) -> int:
    """Return the checksum of a row, 0 to 2**32 - 1; `values` are its columns in order."""
    return int(google_crc32c.value("\x00".join(map(str, values)).encode("utf-8", "surrogateescape")))


def columns(connection: sqlite3.Connection) -> dict[str, tuple[list[str], list[str]]]:
    """Return the columns that each table's checksum covers, in order, and the columns of its primary key."""
    found: dict[str, tuple[list[str], list[str]]] = {table: ([], []) for table in TABLES}
    for table, name, key in connection.execute(
        "SELECT t.name, c.name, c.pk FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table' "
        "ORDER BY t.name, c.cid"
    ):
        if table in found and name != CHECKSUM:
            found[table][0].append(name)
            if key:
                found[table][1].append(name)
    return found


def keep(connection: sqlite3.Connection) -> None:
    """Create the triggers that set the checksum of every row that this connection writes.

    Args:
        connection: a connection to a file of a version with checksums; it may lack the tables of later ones.
    """
    connection.create_function("row_checksum", -1, checksum, deterministic=True)
    for table, (names, key) in columns(connection).items():
        if not names:
            continue
        place = " AND ".join(f"{name} = NEW.{name}" for name in key)
        old, new = _call("OLD", names), _call("NEW", names)
        connection.execute(
            f"CREATE TEMP TRIGGER {table}_written AFTER INSERT ON main.{table} BEGIN "
            f"UPDATE {table} SET {CHECKSUM} = {new} WHERE {place}; END"
        )
        if table in INSERTED:
            continue
        again = new
        if table in ALTERED:
            again = f"CASE WHEN coalesce(OLD.{CHECKSUM} = {old}, 1) THEN {new} ELSE OLD.{CHECKSUM} END"
        connection.execute(
            f"CREATE TEMP TRIGGER {table}_changed AFTER UPDATE OF {', '.join(names)} ON main.{table} BEGIN "
            f"UPDATE {table} SET {CHECKSUM} = {again} WHERE {place}; END"
        )


def _call(row: str, names: Sequence[str]) -> str:
    return f"row_checksum({', '.join(f'{row}.{name}' for name in names)})"
