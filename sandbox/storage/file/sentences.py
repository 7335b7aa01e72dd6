"""Converts the sentences that version 4 of the file stored for activity and rebalances into fields.

Only a migration does this, once. A sentence stays in the field `text`, so that an old row reads as before; fields that
other code needs are taken from it.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Sequence

from sandbox.storage.file import row_checksums
from sandbox.storage.file.row_checksums import CHECKSUM
from sandbox.storage.file.tables import tables

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
