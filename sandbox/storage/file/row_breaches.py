"""Finds rows that no client of a sandbox could have written (`row_rules`), such as in an uploaded file.

Every row is checked, with one query per table, so that code that reads rows can trust them.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sandbox.kafka.broker_config import BROKER, BROKER_SETTING, GROUP, GROUP_SETTING, TOPIC_SETTING
from sandbox.kafka.errors import BrokerError
from sandbox.model.event_headers import headers_from_json
from sandbox.storage.file.row_rules import COLUMNS, LONG_MAX, NUMBER_MAX, PARTITION_IDS_MAX, RELATIONS, Rule
from sandbox.storage.file.schema import OFFSET_BITS, OFFSET_LIMIT
from sandbox.storage.file.tables import tables

SHOWN = 60
"""How many characters of a value are shown."""
LIVE_PARTITIONS = (
    "SELECT p.id, p.log_start_offset, p.compacted_events FROM partitions p JOIN topics t ON t.id = p.topic "
    "WHERE t.deleted_ms IS NULL ORDER BY p.id"
)
BATCH_OF_OTHER_SIZE = (
    "SELECT base_offset FROM batches b WHERE partition_id = :id AND base_offset >= :start AND "
    "(SELECT count(*) FROM events WHERE id BETWEEN :base + b.base_offset AND :base + b.last_offset) "
    "<> last_offset - base_offset + 1 - removed_events LIMIT 1"
)
SIZE_OF_LOG = (
    "SELECT (SELECT count(*) FROM events WHERE id BETWEEN :base + :start AND :base + :limit), "
    "coalesce(sum((SELECT count(*) FROM events WHERE id BETWEEN :base + max(b.base_offset, :start) "
    "AND :base + b.last_offset)), 0), max(last_offset) + 1 "
    "FROM batches b WHERE partition_id = :id AND last_offset >= :start"
)
"""A log's number of events, how many of them are in record batches, and its end."""
SEQUENCES = ("topics", "partitions", "producers", "commits", "rebalances", "activity")


class Breach(NamedTuple):
    """A row that breaks a rule.

    Attributes:
        row: the row's key as text, such as "id 3".
        reason: what is wrong with it, as a sentence without its full stop.
    """

    table: str
    row: str
    reason: str

    def text(self) -> str:
        """Return the breach as a sentence."""
        return f"{', '.join(filter(None, (self.table, self.row)))}: {self.reason}."


def breaches(connection: sqlite3.Connection) -> Iterator[Breach]:
    """Check every row, and yield one row for each rule that is broken.

    Args:
        connection: a connection to a file of this version whose schema was checked. Relations between rows are only
            checked if all columns have valid types.
    """
    for looks in ((_columns, _sequences), (_unreadable,), (_relations, _settings), (_logs,)):
        wrong = [breach for look in looks for breach in look(connection)]
        if wrong:
            yield from wrong
            return


def _columns(connection: sqlite3.Connection) -> Iterator[Breach]:
    for table, rules in COLUMNS.items():
        key = tables(connection).table(table).pks
        found = connection.execute(_query(table, rules, key)).fetchone()
        if found is not None:
            bad, value, *values = found
            row = ", ".join(f"{name} {_words(part)}" for name, part in zip(key, values, strict=True))
            yield Breach(table, row, f"{bad} is {_words(value)}, and must be {rules[bad].words}")


def _query(table: str, rules: dict[str, Rule], key: list[str]) -> str:
    """A query that selects one row that breaks a rule: the column, its value, and the row's key."""
    cases = " ".join(f"WHEN {rule.sql(column)} THEN '{column}'" for column, rule in rules.items())
    values = " ".join(f"WHEN '{column}' THEN {_shown(column)}" for column in rules)
    return (
        f"SELECT bad, CASE bad {values} END, {', '.join(map(_shown, key))} "
        f"FROM (SELECT *, CASE {cases} END AS bad FROM {table}) WHERE bad IS NOT NULL LIMIT 1"
    )


def _shown(column: str) -> str:
    """An SQL expression for the beginning of a value, safe to print for any type."""
    start = f"substr(CAST({column} AS BLOB), 1, 200)"
    return f"CASE WHEN typeof({column}) IN ('text', 'blob') THEN {start} ELSE {column} END"


def _words(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        words = value.decode("utf-8", "replace")
        return repr(words if len(words) <= SHOWN else words[:SHOWN] + "…")
    return f"{value:,}" if isinstance(value, int) else repr(value)


def _sequences(connection: sqlite3.Connection) -> Iterator[Breach]:
    """Check the AUTOINCREMENT counters: one that is too large refuses every new row."""
    seen = set()
    for name, last in connection.execute("SELECT name, seq FROM sqlite_sequence"):
        if name not in SEQUENCES:
            continue
        most = PARTITION_IDS_MAX if name == "partitions" else NUMBER_MAX
        if name in seen or not isinstance(last, int) or not 0 <= last <= most:
            yield Breach("sqlite_sequence", f"name {name!r}", f"seq is {last!r}, or is there twice")
        seen.add(name)


def _unreadable(connection: sqlite3.Connection) -> Iterator[Breach]:
    """Find text that is not UTF-8, and headers that are not a list of names and values."""
    for table, rules in COLUMNS.items():
        last: object = "the first row"
        try:
            for row in connection.execute(f"SELECT {', '.join(rules)} FROM {table}"):
                last = f"the row after {row[0]!r}"
                if table == "events" and row[-1] is not None:
                    headers_from_json(row[-1])
        except (sqlite3.OperationalError, UnicodeError):
            yield Breach(table, str(last), "a text is not UTF-8")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            yield Breach(table, f"id {row[0]}", "headers is not a list of names and values")


def _relations(connection: sqlite3.Connection) -> Iterator[Breach]:
    for table, query, reason in RELATIONS:
        found = connection.execute(f"{query} LIMIT 1").fetchone()
        if found is not None:
            yield Breach(table, str(found[0]), reason)


def _settings(connection: sqlite3.Connection) -> Iterator[Breach]:
    for topic, name, value in connection.execute("SELECT topic, name, value FROM topic_settings"):
        setting = TOPIC_SETTING.get(name)
        reason = "there is no such topic setting" if setting is None else _refusal(setting.check, value)
        if reason:
            yield Breach("topic_settings", f"topic {topic}, name {name[:SHOWN]!r}", reason)
    known = {BROKER: BROKER_SETTING, GROUP: GROUP_SETTING}
    for kind, resource, name, value in connection.execute(
        "SELECT resource_type, resource, name, value FROM resource_settings"
    ):
        setting = known.get(kind, {}).get(name)
        reason = None if setting is None else _refusal(setting.check, value)
        if kind == GROUP and setting is None:
            reason = "there is no such group setting"
        if kind == BROKER and setting is not None and not setting.dynamic:
            reason = "it cannot be changed while the broker runs"
        if reason:
            yield Breach("resource_settings", f"{kind} {resource[:SHOWN]!r}, name {name[:SHOWN]!r}", reason)
    for name, value in connection.execute("SELECT name, value FROM settings WHERE name GLOB 'demo.*'"):
        try:
            names = json.loads(value)
        except (ValueError, RecursionError):
            names = None
        if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
            yield Breach("settings", f"name {name[:SHOWN]!r}", "its value is not a list of names")


def _refusal(check: Callable[[str], str], value: str) -> str | None:
    try:
        check(value)
    except BrokerError as error:
        return error.detail[:300].rstrip(".")
    return None


def _logs(connection: sqlite3.Connection) -> Iterator[Breach]:
    """Check that each event is in a record batch of its partition, and that each record batch has its events."""
    partitions = [row[0] for row in connection.execute("SELECT id FROM partitions ORDER BY id")]
    below = 0
    for partition_id in (*partitions, (LONG_MAX >> OFFSET_BITS) + 1):
        outside = connection.execute(
            "SELECT id FROM events WHERE id BETWEEN ? AND ? LIMIT 1", (below, (partition_id << OFFSET_BITS) - 1)
        ).fetchone()
        if outside is not None:
            yield Breach("events", f"id {outside[0]}", "its partition does not exist")
            return
        below = (partition_id + 1) << OFFSET_BITS
    for partition_id, start, compacted in connection.execute(LIVE_PARTITIONS).fetchall():
        yield from _log(connection, partition_id, start, compacted)


def _log(connection: sqlite3.Connection, partition_id: int, start: int, compacted: int) -> Iterator[Breach]:
    names = {"id": partition_id, "start": start, "base": partition_id << OFFSET_BITS, "limit": OFFSET_LIMIT - 1}
    for base_offset in connection.execute(BATCH_OF_OTHER_SIZE, names):
        row = f"partition_id {partition_id}, base_offset {base_offset[0]}"
        yield Breach("batches", row, "it does not have as many events as its offsets say")
    events, in_batches, end = connection.execute(SIZE_OF_LOG, names).fetchone()
    if events != in_batches:
        yield Breach("events", f"partition_id {partition_id}", "some of its events are in no record batch")
    if compacted > max(0, (end or 0) - start):
        yield Breach("partitions", f"id {partition_id}", "compacted_events is larger than the log")
