"""Rules for the rows of a sandbox file: each column's type and range, and how rows depend on each other.

SQLite takes any value in any column, and an uploaded file may hold rows that no client could have written: a topic
`<script>`, an offset of 2**63 - 1, a batch without its events. The ranges come from the protocol and the sandbox's own
limits. Some leave room above, because a restore raises leader epochs and ids.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sandbox.kafka.broker_config import BROKER, BROKER_SETTING, CLIENT_METRICS, GROUP, GROUP_SETTING, TOPIC_SETTING
from sandbox.kafka.errors import BrokerError
from sandbox.model.activity import KINDS
from sandbox.model.alerts import ALERTS_SETTING, alerts_from_text
from sandbox.model.deserializers import AUTOMATIC, FORMATS, PARTS, WITH_SCHEMA
from sandbox.model.jsonl import headers_from_json
from sandbox.model.messages import FILTERS_SETTING
from sandbox.model.registry import MODES as SCHEMA_MODES
from sandbox.model.registry import SCHEMA_BYTES_MAX as SCHEMA_TEXT_MAX
from sandbox.model.registry import SCHEMA_TYPES
from sandbox.storage.file.migrations import tables
from sandbox.storage.file.schema import OFFSET_BITS, OFFSET_LIMIT

INT_MAX, LONG_MAX = 2**31 - 1, 2**63 - 1
EPOCH_MAX = 2**30
"""The largest leader epoch or generation: a restore raises it."""
NUMBER_MAX = 2**53
"""The largest id that SQLite assigns: a table that has the id LONG_MAX accepts no more rows."""
PARTITION_IDS_MAX = 2**22
OFFSET_MAX = OFFSET_LIMIT // 2
"""The largest offset in a log, which leaves room for later events."""
TIME_MAX = 253_402_300_799_999
"""The end of the year 9999, in ms."""
BYTES_MAX = 100 * 1024 * 1024
"""The largest key, value or headers: `socket.request.max.bytes`, the largest request."""
TEXT_MAX = 1024 * 1024
STRING_MAX = 32_767
"""The longest string of the protocol, in bytes."""
GROUP_STATES = (
    "Empty",
    "PreparingRebalance",
    "CompletingRebalance",
    "Stable",
    "Dead",
    "Assigning",
    "Reconciling",
)
TRANSACTION_STATES = ("Empty", "Ongoing", "CompleteCommit", "CompleteAbort")


class Rule(NamedTuple):
    """The values that a column may hold.

    Attributes:
        breach: an SQL condition on "{c}", the column, which is true for a value that is not allowed.
        words: a description of the allowed values.
        optional: True if the column may be NULL.
    """

    breach: str
    words: str
    optional: bool = False

    def sql(self, column: str) -> str:
        """Return the condition for one column."""
        breach = f"({self.breach.format(c=column)})"
        return f"({column} IS NOT NULL AND {breach})" if self.optional else f"({column} IS NULL OR {breach})"


def whole(least: int, most: int, *, optional: bool = False) -> Rule:
    """A rule for integers from `least` to `most`."""
    # SQLite reads the digits without their sign, so the smallest 64-bit number needs an expression.
    low = "(-9223372036854775807 - 1)" if least == -(2**63) else str(least)
    return Rule(
        f"typeof({{c}}) <> 'integer' OR {{c}} NOT BETWEEN {low} AND {most}",
        f"a whole number from {least:,} to {most:,}",
        optional,
    )


def text(bytes_max: int, *, optional: bool = False) -> Rule:
    """A rule for text of at most `bytes_max` bytes."""
    return Rule(
        f"typeof({{c}}) <> 'text' OR length(CAST({{c}} AS BLOB)) > {bytes_max}",
        f"a text of at most {bytes_max:,} bytes",
        optional,
    )


def one_of(*words: str) -> Rule:
    """A rule for one of several fixed words."""
    listed = ", ".join(f"'{word}'" for word in words)
    return Rule(f"typeof({{c}}) <> 'text' OR {{c}} NOT IN ({listed})", f"one of {', '.join(words)}")


def topic_name(*, optional: bool = False) -> Rule:
    """A rule for topic names, as Kafka defines them."""
    return Rule(
        "typeof({c}) <> 'text' OR {c} IN ('', '.', '..') OR {c} GLOB '*[^a-zA-Z0-9._-]*' OR length({c}) > 249 "
        "OR length(CAST({c} AS BLOB)) <> length({c})",
        "a topic's name: 1 to 249 ASCII letters, digits, '.', '_' and '-'",
        optional,
    )


BYTES = Rule(
    f"typeof({{c}}) NOT IN ('text', 'blob') OR length(CAST({{c}} AS BLOB)) > {BYTES_MAX}",
    f"a text or bytes, at most {BYTES_MAX:,}",
    optional=True,
)
SECRET = Rule("typeof({c}) <> 'blob' OR length({c}) NOT BETWEEN 1 AND 1024", "1 to 1,024 bytes")
JSON_OBJECT = Rule(
    f"typeof({{c}}) <> 'text' OR length(CAST({{c}} AS BLOB)) > {16 * TEXT_MAX} OR NOT json_valid({{c}}) "
    "OR json_type({c}) <> 'object'",
    "a JSON object",
)
JSON_ARRAY = Rule(JSON_OBJECT.breach.replace("'object'", "'array'"), "a JSON array")
UUID = Rule(
    "typeof({c}) <> 'text' OR {c} NOT GLOB '" + "-".join("[0-9a-f]" * n for n in (8, 4, 4, 4, 12)) + "'", "a UUID"
)
REPLICAS = Rule(
    "typeof({c}) <> 'text' OR {c} GLOB '*[^1-9,]*' OR {c} NOT GLOB '[1-9]*' OR {c} GLOB '*,' OR {c} GLOB '*,,*' "
    "OR {c} GLOB '*[1-9][1-9]*' OR length({c}) > 17",
    "ids of brokers, from 1 to 9, with commas between them",
    optional=True,
)
FLAG, ID, TIME, OFFSET = whole(0, 1), whole(1, NUMBER_MAX), whole(0, TIME_MAX), whole(0, OFFSET_MAX)
ANY_LONG = whole(-LONG_MAX - 1, LONG_MAX)
STRING = text(STRING_MAX)
PARTITION = whole(0, INT_MAX)
PRODUCER, EPOCH = whole(-1, LONG_MAX), whole(-1, 2**15 - 1)
SIZE = whole(0, 2**62)
PARTITION_ID = whole(1, PARTITION_IDS_MAX)
CONTEXT = Rule(
    "typeof({c}) <> 'text' OR {c} NOT GLOB '[.*]*' OR instr({c}, ':') "
    f"OR length(CAST({{c}} AS BLOB)) > {STRING_MAX}",
    "a context of the schema registry: a text that begins with '.'",
)
SCHEMA_ID, SCHEMA_VERSION = whole(0, INT_MAX), whole(1, INT_MAX)

COLUMNS: dict[str, dict[str, Rule]] = {
    "settings": {"name": STRING, "value": text(TEXT_MAX)},
    "topics": {
        "id": ID,
        "name": topic_name(),
        "topic_id": UUID,
        "created_ms": TIME,
        "replication_factor": whole(1, 2**15 - 1),
        "deleted_ms": TIME._replace(optional=True),
    },
    "topic_settings": {"topic": ID, "name": STRING, "value": text(TEXT_MAX)},
    "resource_settings": {
        "resource_type": one_of(BROKER, GROUP, CLIENT_METRICS),
        "resource": STRING,
        "name": STRING,
        "value": text(TEXT_MAX),
    },
    "client_quotas": {
        "entity": JSON_OBJECT,
        "name": STRING,
        "value": Rule("typeof({c}) <> 'real' OR NOT ({c} > 0 AND {c} < 1e308)", "a number above 0"),
    },
    "scram_credentials": {
        "user": STRING,
        "mechanism": one_of("SCRAM-SHA-256", "SCRAM-SHA-512"),
        "iterations": whole(4_096, 16_384),
        "salt": SECRET,
        "stored_key": SECRET,
        "server_key": SECRET,
    },
    "partitions": {
        "id": PARTITION_ID,
        "topic": ID,
        "partition": whole(0, 9_999),
        "log_start_offset": whole(0, OFFSET_LIMIT),
        "log_start_bytes": SIZE,
        "cleaner_offset": whole(0, 0),
        "first_dirty_offset": OFFSET,
        "compacted_events": OFFSET,
        "compacted_bytes": SIZE,
        "leader_epoch": whole(0, EPOCH_MAX),
        "replicas": REPLICAS,
    },
    "events": {
        "id": whole(0, LONG_MAX),
        "timestamp": ANY_LONG,
        "key": BYTES,
        "value": BYTES,
        "headers": JSON_ARRAY._replace(optional=True),
    },
    "batches": {
        "partition_id": PARTITION_ID,
        "base_offset": OFFSET,
        "last_offset": OFFSET,
        "min_timestamp": ANY_LONG,
        "max_timestamp": ANY_LONG,
        "timestamp_type": FLAG,
        "appended_ms": TIME,
        "producer_id": PRODUCER,
        "producer_epoch": EPOCH,
        "base_sequence": whole(-1, INT_MAX),
        "transactional": FLAG,
        "control": FLAG,
        "compression": whole(0, 4),
        "leader_epoch": whole(-1, EPOCH_MAX),
        "size_bytes": whole(0, INT_MAX),
        "bytes_before": SIZE,
        "removed_events": whole(0, INT_MAX),
        "delete_horizon_ms": ANY_LONG._replace(optional=True),
    },
    "producers": {"producer_id": ID, "created_ms": TIME},
    "transactions": {
        "transactional_id": STRING,
        "producer_id": PRODUCER,
        "producer_epoch": EPOCH,
        "last_producer_id": PRODUCER,
        "last_producer_epoch": EPOCH,
        "timeout_ms": whole(0, INT_MAX),
        "state": one_of(*TRANSACTION_STATES),
        "version": whole(0, 2),
        "started_ms": TIME._replace(optional=True),
        "updated_ms": TIME,
    },
    "transaction_partitions": {"transactional_id": STRING, "topic": topic_name(), "partition": PARTITION},
    "transaction_groups": {"transactional_id": STRING, "group_id": STRING},
    "pending_offsets": {
        "producer_id": PRODUCER,
        "group_id": STRING,
        "topic": topic_name(),
        "partition": PARTITION,
        "offset": whole(0, LONG_MAX),
        "leader_epoch": whole(-1, INT_MAX),
        "metadata": text(STRING_MAX, optional=True),
        "generation": whole(-1, INT_MAX),
        "member_id": STRING,
        "position": whole(0, NUMBER_MAX),
    },
    "log_transactions": {
        "partition_id": PARTITION_ID,
        "producer_id": PRODUCER,
        "first_offset": OFFSET,
        "last_offset": OFFSET._replace(optional=True),
        "aborted": FLAG._replace(optional=True),
    },
    "groups": {
        "group_id": STRING,
        "state": one_of(*GROUP_STATES),
        "protocol_type": STRING,
        "protocol": STRING,
        "generation": whole(0, EPOCH_MAX),
        "leader": text(STRING_MAX, optional=True),
        "updated_ms": TIME,
        "type": one_of("classic", "consumer", "share"),
        "assignment_epoch": whole(0, EPOCH_MAX),
    },
    "group_members": {
        "group_id": STRING,
        "member_id": STRING,
        "instance_id": text(STRING_MAX, optional=True),
        "client_id": STRING,
        "client_host": STRING,
        "session_timeout_ms": whole(0, INT_MAX),
        "rebalance_timeout_ms": whole(-1, INT_MAX),
        "protocols": JSON_ARRAY,
        "assignment": Rule("typeof({c}) <> 'blob'", "bytes"),
        "assigned": JSON_OBJECT,
        "consumer": JSON_OBJECT._replace(optional=True),
    },
    "share_partitions": {
        "group_id": STRING,
        "partition_id": PARTITION_ID,
        "start_offset": whole(0, LONG_MAX, optional=True),
        "end_offset": whole(0, LONG_MAX, optional=True),
    },
    "share_records": {
        "group_id": STRING,
        "partition_id": PARTITION_ID,
        "offset": OFFSET,
        "state": one_of("available", "acquired", "acknowledged", "archived"),
        "deliveries": whole(0, INT_MAX),
        "member_id": STRING,
        "acquired_ms": TIME,
        "locked_until_ms": TIME._replace(optional=True),
    },
    "committed_offsets": {
        "group_id": STRING,
        "topic": topic_name(),
        "partition": PARTITION,
        "offset": whole(0, LONG_MAX),
        "leader_epoch": whole(-1, INT_MAX),
        "metadata": text(STRING_MAX, optional=True),
        "committed_ms": TIME,
        "position": whole(0, NUMBER_MAX),
    },
    "commits": {
        "id": ID,
        "group_id": STRING,
        "topic": topic_name(),
        "partition": PARTITION,
        "offset": whole(0, LONG_MAX),
        "metadata": text(STRING_MAX, optional=True),
        "committed_ms": TIME,
        "generation": whole(-1, INT_MAX),
        "member_id": STRING,
    },
    "rebalances": {
        "id": ID,
        "group_id": STRING,
        "generation": whole(0, INT_MAX),
        "started_ms": TIME,
        "ended_ms": TIME,
        "details": JSON_OBJECT,
        "members": whole(0, INT_MAX),
        "assignment": JSON_OBJECT,
    },
    "activity": {
        "id": ID,
        "at_ms": TIME,
        "kind": one_of(*KINDS),
        "topic": topic_name(optional=True),
        "partition": PARTITION._replace(optional=True),
        "group_id": text(STRING_MAX, optional=True),
        "details": JSON_OBJECT,
    },
    "event_templates": {"name": STRING, "template": JSON_OBJECT, "updated_ms": TIME},
    "schema_contexts": {"context": CONTEXT, "last_id": whole(0, INT_MAX)},
    "schemas": {
        "context": CONTEXT,
        "schema_id": SCHEMA_ID,
        "guid": UUID,
        "schema_type": one_of(*SCHEMA_TYPES),
        "schema": text(SCHEMA_TEXT_MAX),
        "metadata": JSON_OBJECT._replace(optional=True),
        "rule_set": JSON_OBJECT._replace(optional=True),
        "registered_ms": TIME,
    },
    "schema_references": {
        "context": CONTEXT,
        "schema_id": SCHEMA_ID,
        "position": whole(0, INT_MAX),
        "name": STRING,
        "subject": STRING,
        "version": SCHEMA_VERSION,
        "target_context": CONTEXT,
        "target_subject": STRING,
    },
    "schema_versions": {
        "context": CONTEXT,
        "subject": STRING,
        "version": SCHEMA_VERSION,
        "schema_id": SCHEMA_ID,
        "registered_ms": TIME,
        "deleted": FLAG,
    },
    "schema_configs": {"context": CONTEXT, "subject": STRING, "config": JSON_OBJECT},
    "schema_modes": {"context": CONTEXT, "subject": STRING, "mode": one_of(*SCHEMA_MODES)},
    "deserializers": {
        "topic": STRING,
        "part": one_of(*PARTS),
        "format": one_of(*(one for one in FORMATS if one != AUTOMATIC)),
        "schema": text(SCHEMA_TEXT_MAX, optional=True),
        "files": JSON_OBJECT._replace(optional=True),
        "message": text(STRING_MAX, optional=True),
        "updated_ms": TIME,
    },
}
"""The rule of each column except the checksum. A table's key columns are first, as in messages about a row."""

RELATIONS: tuple[tuple[str, str, str], ...] = (
    (
        "topics",
        "SELECT 'name ' || name FROM topics WHERE deleted_ms IS NULL GROUP BY name HAVING count(*) > 1",
        "there are several topics of that name",
    ),
    (
        "partitions",
        "SELECT 'id ' || id FROM partitions WHERE topic NOT IN (SELECT id FROM topics)",
        "its topic does not exist",
    ),
    (
        "topics",
        "SELECT 'name ' || name FROM topics t WHERE deleted_ms IS NULL AND (SELECT count(*) = 0 OR "
        "count(DISTINCT partition) <> count(*) OR max(partition) <> count(*) - 1 FROM partitions WHERE topic = t.id)",
        "its partitions are not numbered from 0 without a gap",
    ),
    (
        "partitions",
        "SELECT 'id ' || p.id FROM partitions p JOIN topics t ON t.id = p.topic WHERE t.deleted_ms IS NULL "
        f"AND log_start_offset > {OFFSET_MAX}",
        f"log_start_offset is above {OFFSET_MAX:,}",
    ),
    (
        "topic_settings",
        "SELECT 'topic ' || topic FROM topic_settings WHERE topic NOT IN (SELECT id FROM topics)",
        "its topic does not exist",
    ),
    (
        "batches",
        "SELECT 'partition_id ' || partition_id || ', base_offset ' || base_offset FROM batches "
        "WHERE partition_id NOT IN (SELECT id FROM partitions)",
        "its partition does not exist",
    ),
    (
        "batches",
        "SELECT 'partition_id ' || partition_id || ', base_offset ' || base_offset FROM batches "
        "WHERE last_offset < base_offset OR min_timestamp > max_timestamp "
        f"OR last_offset - base_offset >= {INT_MAX} OR removed_events > last_offset - base_offset + 1",
        "its offsets, timestamps or removed_events are not in order",
    ),
    (
        "batches",
        "SELECT 'partition_id ' || partition_id || ', base_offset ' || base_offset FROM (SELECT *, "
        "lag(last_offset, 1, -1) OVER before AS ended, lag(bytes_before, 1, 0) OVER before AS bytes FROM batches "
        "WINDOW before AS (PARTITION BY partition_id ORDER BY base_offset)) WHERE base_offset <= ended "
        "OR bytes_before < bytes",
        "it overlaps the record batch before it",
    ),
    (
        "share_partitions",
        "SELECT 'group_id ' || group_id || ', partition_id ' || partition_id FROM share_partitions "
        "WHERE partition_id NOT IN (SELECT id FROM partitions) OR start_offset > end_offset "
        "OR (start_offset IS NULL) <> (end_offset IS NULL)",
        "its partition does not exist, or it ends before it begins",
    ),
    (
        "share_records",
        "SELECT 'group_id ' || r.group_id || ', partition_id ' || r.partition_id || ', offset ' || r.offset "
        "FROM share_records r LEFT JOIN share_partitions p USING(group_id, partition_id) WHERE p.start_offset IS NULL "
        "OR r.offset NOT BETWEEN p.start_offset AND p.end_offset - 1 "
        "OR (r.state = 'acquired') <> (r.locked_until_ms IS NOT NULL)",
        "it is outside its window, or its lock does not fit its state",
    ),
    (
        "log_transactions",
        "SELECT 'partition_id ' || partition_id || ', first_offset ' || first_offset FROM log_transactions "
        "WHERE partition_id NOT IN (SELECT id FROM partitions) OR last_offset < first_offset "
        "OR (last_offset IS NULL) <> (aborted IS NULL)",
        "its partition does not exist, or it ends before it begins",
    ),
    (
        "schema_versions",
        "SELECT 'subject ' || subject || ', version ' || version FROM schema_versions v WHERE NOT EXISTS "
        "(SELECT 1 FROM schemas s WHERE s.context = v.context AND s.schema_id = v.schema_id)",
        "its schema does not exist",
    ),
    (
        "schemas",
        "SELECT 'context ' || context || ', schema_id ' || schema_id FROM schemas s WHERE NOT EXISTS "
        "(SELECT 1 FROM schema_contexts c WHERE c.context = s.context AND c.last_id >= s.schema_id)",
        "its id is above the last one of its context",
    ),
    (
        "deserializers",
        "SELECT 'topic ' || topic || ', part ' || part FROM deserializers d WHERE "
        f"(format IN {tuple(sorted(WITH_SCHEMA))}) <> (schema IS NOT NULL) "
        "OR EXISTS (SELECT 1 FROM json_each(coalesce(d.files, '{}')) WHERE type <> 'text')",
        "its format does not fit its schema, or a file is no text",
    ),
    (
        "schema_references",
        "SELECT 'context ' || context || ', schema_id ' || schema_id FROM schema_references r WHERE NOT EXISTS "
        "(SELECT 1 FROM schemas s WHERE s.context = r.context AND s.schema_id = r.schema_id)",
        "its schema does not exist",
    ),
)
"""Table, a query for rows that break a rule, and the reason."""


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
    for name, value in connection.execute("SELECT name, value FROM settings"):
        check = SETTING_CHECKS.get(name, _names if name.startswith("demo.") else None)
        reason = None if check is None else _refusal(check, value)
        if reason:
            yield Breach("settings", f"name {name[:SHOWN]!r}", reason)


def _refusal(check: Callable[[str], object], value: str) -> str | None:
    try:
        check(value)
    except BrokerError as error:
        return error.detail[:300].rstrip(".")
    return None


def _names(value: str) -> None:
    """Check the setting of a demo or scenario."""
    names = _parsed(value)
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise BrokerError("INVALID_REQUEST", "its value is not a list of names")


def _filters(value: str) -> None:
    """Check the saved filters: topic to name to query."""
    found = _parsed(value)
    topics = found.values() if isinstance(found, dict) else (None,)
    if not all(isinstance(one, dict) and all(isinstance(query, str) for query in one.values()) for one in topics):
        raise BrokerError("INVALID_REQUEST", "its value is not an object of topics and their filters")


def _parsed(value: str) -> object:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


SETTING_CHECKS: dict[str, Callable[[str], object]] = {ALERTS_SETTING: alerts_from_text, FILTERS_SETTING: _filters}
"""Checks of the file's own settings; what begins with "demo." is a list of names."""


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
