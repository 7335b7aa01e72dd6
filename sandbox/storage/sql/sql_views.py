"""Defines the tables that a query can use: a view per topic, created for one query, and the file's tables and views.

A topic's view has its events, with JSON fields as columns (`sql_fields`). It is a temporary view of the connection that
runs the query, created only for topics that the query names (`sql_names`), so a thousand topics cost nothing.
"""

from collections.abc import Iterable, Mapping

from sandbox.model.deserializers import KEY, VALUE
from sandbox.model.sql_result import SqlColumn, SqlTable
from sandbox.model.sql_tokens import quoted_name
from sandbox.storage.file.database import Reader
from sandbox.storage.file.schema import OFFSET_BITS, OFFSET_LIMIT
from sandbox.storage.sql import sql_functions
from sandbox.storage.sql.sql_decoding import SqlDecoder, add_decoding
from sandbox.storage.sql.sql_fields import (
    BASE_COLUMNS,
    STORED_COLUMNS,
    Columns,
    columns_of,
    part_of,
    sampled_fields,
    value_of,
)
from sandbox.storage.sql.sql_names import TopicView, topic_views

ARMS_MAX = 400
"""The maximum number of partitions for a view of only the first or last events: SQLite unites at most 500 queries."""

TABLES = {
    "messages": "every event of every topic, for people",
    "lag": "how far each group is behind",
    "log_ends": "where each partition starts and ends",
    "topics": "the topics",
    "partitions": "their partitions",
    "events": "the events as stored",
    "batches": "one row for each produced record batch",
    "groups": "the consumer groups",
    "group_members": "their members",
    "committed_offsets": "how far each group has committed",
    "commits": "the history of commits",
    "rebalances": "the history of rebalances",
    "producers": "the producer ids given out",
    "transactions": "the transactional ids",
    "transaction_partitions": "what open transactions write to",
    "transaction_groups": "whose offsets open transactions commit",
    "pending_offsets": "offsets that wait for a transaction",
    "log_transactions": "each transaction in each partition",
    "topic_settings": "settings that were set for a topic",
    "resource_settings": "settings of brokers, groups and clients",
    "client_quotas": "quotas, which are stored only",
    "settings": "settings of the file itself",
    "activity": "what happened beside the log",
    "event_templates": "saved templates of the generator",
    "deserializers": "how the keys and values of topics are decoded, where that was chosen",
    "schemas": "the schemas of the schema registry",
    "schema_versions": "the versions of each subject",
    "schema_references": "what each schema refers to",
    "schema_configs": "compatibility levels and other settings of subjects",
    "schema_modes": "modes of subjects",
    "schema_contexts": "the contexts of the schema registry, and the last id of each",
}
"""The file's tables and views in the order in which they are shown, and what a row of each is."""

PLAIN = SqlDecoder(None)
"""Leaves keys and values as they are."""


def create_view(
    reader: Reader,
    view: TopicView,
    rows: int | None = None,
    down: bool = True,
    columns: Columns | None = None,
    *,
    decoder: SqlDecoder = PLAIN,
    stored: Iterable[str] = (),
) -> str:
    """Return the statement that creates a topic's view.

    Args:
        rows: at most this number of events per partition: the last ones if `down`, else the first; None for all.
        columns: columns of JSON fields, which need the functions of `sql_functions.add_json`; None to use the fields of
            the newest events, and add these functions.
        decoder: decodes keys and values, as the functions of `sql_decoding.add_decoding` do.
        stored: the columns of `STORED_COLUMNS` that the query names.
    """
    named = columns_of(sampled_fields(reader, view, decoder)) if columns is None else columns
    if columns is None:
        sql_functions.add_json(reader.connection, lambda place: None, lambda: None, lambda text: None)
        add_decoding(reader.connection, decoder, lambda place: None, lambda: None)
    # A few rows come from many small queries, each with all columns: there the short expression is faster.
    fast = rows is None
    fields = "".join(f",\n  CAST(e.{name.removesuffix('_bytes')} AS BLOB) AS {quoted_name(name)}" for name in stored)
    fields += "".join(
        f",\n  {value_of(view.topic, field, fast=fast)} AS {quoted_name(column)}" for column, field in named
    )
    parts = {part: part_of(view.topic, part, decoder) for part in (KEY, VALUE)}
    partitions = reader.query(
        "SELECT id, partition, log_start_offset FROM main.partitions WHERE topic = ? ORDER BY partition", (view.id,)
    )
    marked = any(
        reader.one("SELECT 1 FROM main.log_transactions WHERE partition_id = ? LIMIT 1", (one[0],))
        for one in partitions
    )
    if rows is None or not 0 < len(partitions) <= ARMS_MAX:
        body = _select("p.partition", "(p.id << 40)", parts, fields) + (
            "FROM main.partitions p JOIN main.events e "
            f"ON e.id BETWEEN (p.id << 40) + p.log_start_offset AND (p.id << 40) + {OFFSET_LIMIT - 1}\n"
            f"WHERE p.topic = {view.id}" + (_unmarked("p.id") if marked else "")
        )
    else:
        arms = (
            "SELECT * FROM ("
            + _select(str(number), str(identity << OFFSET_BITS), parts, fields)
            + "FROM main.events e "
            f"WHERE e.id BETWEEN {(identity << OFFSET_BITS) + start} AND {(identity << OFFSET_BITS) + OFFSET_LIMIT - 1}"
            + (_unmarked(str(identity)) if marked else "")
            + f" ORDER BY e.id {'DESC' if down else 'ASC'} LIMIT {rows})"
            for identity, number, start in partitions
        )
        body = "\nUNION ALL ".join(arms)
    return f"CREATE TEMP VIEW {quoted_name(view.name)} AS\n{body}"


def _select(partition: str, first: str, parts: Mapping[str, str], fields: str) -> str:
    return (
        f'SELECT {partition} AS "partition", e.id - {first} AS "offset",\n  CASE WHEN e.timestamp <> -1 THEN '
        "coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', e.timestamp / 1000.0, 'unixepoch'), e.timestamp) END "
        'AS "timestamp",\n'
        '  nullif(e.timestamp, -1) AS "timestamp_ms",\n'
        f'  {parts[KEY]} AS "key",\n  {parts[VALUE]} AS "value",\n'
        f"  coalesce(e.headers, '[]') AS \"headers\"{fields}\n"
    )


def _unmarked(partition_id: str) -> str:
    """A condition that leaves out transaction markers, as the view `messages` does."""
    return (
        " AND NOT EXISTS (SELECT 1 FROM main.log_transactions x "
        f"WHERE x.partition_id = {partition_id} AND x.last_offset = e.id - ({partition_id} << 40))"
    )


def catalogue(reader: Reader, detailed: Iterable[str], topics_max: int, decoder: SqlDecoder = PLAIN) -> list[SqlTable]:
    """Return the tables that queries can use: topics first, then the file's views and tables.

    Args:
        detailed: topics whose JSON fields to look up; if empty, the first dozen.
        topics_max: the maximum number of topics; topics in `detailed` are always included.
    """
    wanted = set(detailed)
    views = topic_views(reader)
    shown = [view for at, view in enumerate(views) if at < topics_max or view.topic in wanted]
    first = {view.topic for view in shown[:12]} if not wanted else set()
    found = [
        SqlTable(
            view.name,
            "topic",
            "the events of this topic",
            _topic_columns(reader, view, decoder) if view.topic in wanted | first else None,
            view.topic,
        )
        for view in shown
    ]
    known = {row[0]: row[1] for row in reader.query("SELECT name, type FROM main.sqlite_master")}
    for name, text in TABLES.items():
        if name in known:
            rows = reader.query("SELECT name, type FROM pragma_table_xinfo(?, 'main')", (name,))
            columns = tuple(SqlColumn(row[0], _type(row[1])) for row in rows)
            found.append(SqlTable(name, known[name], text, columns))
    return found


def _topic_columns(reader: Reader, view: TopicView, decoder: SqlDecoder) -> tuple[SqlColumn, ...]:
    names = columns_of(sampled_fields(reader, view, decoder))
    fields = tuple(
        SqlColumn(column, f"JSON field {field.name}{' of the key' if field.is_key else ''}") for column, field in names
    )
    return BASE_COLUMNS + fields + STORED_COLUMNS


def _type(declared: str) -> str:
    return {"INTEGER": "integer", "TEXT": "text", "BLOB": "bytes", "REAL": "number"}.get(declared.split(" ")[0], "")
