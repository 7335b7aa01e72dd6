"""Stores the deserializers that were chosen for the keys and values of topics."""

import json
from collections.abc import Mapping

from sandbox.model.deserializers import KEY, PARTS, VALUE, Deserializer
from sandbox.storage.file.database import Database, Reader, Row
from sandbox.storage.log.topics import load_setting

MAY_BE_DECODED = {
    part: f"typeof({part}) = 'blob' OR {part} < char(1) OR (headers IS NOT NULL AND headers GLOB '*{header}*')"
    for part, header in ((KEY, "__key_schema_id"), (VALUE, "__value_schema_id"))
}
"""SQL conditions on `events`: keys and values that may be decoded without a choice for their topic. They are bytes, or
have a frame, or a header that replaces it.
"""
DECODING_CHANGES = "decoding.changes"
"""The setting that counts the changes of deserializers and schemas."""
_COLUMNS = "format, schema, files, message"


def load_deserializer(reader: Reader, topic: str, *, is_key: bool) -> Deserializer | None:
    """Return the deserializer of a topic's keys or values; None if none was chosen."""
    row = reader.one(
        f"SELECT {_COLUMNS} FROM deserializers WHERE topic = ? AND part = ?", (topic, KEY if is_key else VALUE)
    )
    return None if row is None else _deserializer(row)


def load_deserializers(reader: Reader, topic: str) -> dict[str, Deserializer]:
    """Return the deserializers of a topic by part, "key" and "value", as far as they were chosen."""
    rows = reader.rows(f"SELECT part, {_COLUMNS} FROM deserializers WHERE topic = ? ORDER BY part", (topic,))
    return {row[0]: _deserializer(row[1:]) for row in rows}


def load_topics(reader: Reader) -> dict[str, dict[str, Deserializer]]:
    """Return the deserializers of all topics by topic and part."""
    found: dict[str, dict[str, Deserializer]] = {}
    for topic, part, *row in reader.rows(f"SELECT topic, part, {_COLUMNS} FROM deserializers ORDER BY topic, part"):
        found.setdefault(topic, {})[part] = _deserializer(tuple(row))
    return found


def save_deserializer(database: Database, topic: str, part: str, chosen: Deserializer | None, now_ms: int) -> None:
    """Write the deserializer of a topic's keys or values; None deletes it."""
    assert part in PARTS, part
    decoding_changed(database)
    if chosen is None:
        database.execute("DELETE FROM deserializers WHERE topic = ? AND part = ?", (topic, part))
        return
    files = json.dumps(dict(chosen.files), ensure_ascii=False) if chosen.files else None
    database.execute(
        f"INSERT INTO deserializers(topic, part, {_COLUMNS}, updated_ms) VALUES(?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT(topic, part) DO UPDATE SET format = excluded.format, schema = excluded.schema, "
        "files = excluded.files, message = excluded.message, updated_ms = excluded.updated_ms",
        (topic, part, chosen.format, chosen.schema, files, chosen.message, now_ms),
    )


def delete_deserializers(database: Database, topic: str) -> None:
    """Delete the deserializers of a topic's keys and values."""
    if load_deserializers(database, topic):
        database.execute("DELETE FROM deserializers WHERE topic = ?", (topic,))
        decoding_changed(database)


def decoding_changed(database: Database) -> None:
    """Count a change after which events may be decoded in another way."""
    database.execute(
        "INSERT INTO settings(name, value) VALUES(?, '1') "
        "ON CONFLICT(name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)",
        (DECODING_CHANGES,),
    )


def decoding_state(reader: Reader) -> str:
    """Return a text that changes when events may be decoded in another way. Results from before are then outdated."""
    return load_setting(reader, DECODING_CHANGES) or ""


def _deserializer(row: Row) -> Deserializer:
    kind, schema, files, message = row
    found: Mapping[str, str] = json.loads(files) if files else {}
    return Deserializer(kind, schema, tuple(found.items()), message)
