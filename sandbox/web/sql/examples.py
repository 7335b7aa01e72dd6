"""Six example queries over existing topics, ready to run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.model.sql_result import SqlTable
from sandbox.model.sql_tokens import quoted_name


@dataclass(frozen=True, slots=True)
class Example:
    """One query.

    Attributes:
        title: the question that it answers.
        values: the values of its parameters.
        chart: True if its result is best shown as a chart.
    """

    title: str
    query: str
    values: dict[str, str]
    chart: bool = False

    def address(self) -> dict[str, str]:
        """The query string of its page."""
        fields = {f"p_{name}": text for name, text in self.values.items()}
        return {"q": self.query} | fields | ({"as": "chart"} if self.chart else {})


REPEATED = 0.7
"""A field isn't used for counts if more than this share of its values are different."""
BASE = ("partition", "offset", "timestamp", "timestamp_ms", "key", "value", "headers")


def _name(name: str) -> str:
    """Quote a name if SQL requires quotes."""
    return name if name.isidentifier() and name.isascii() else quoted_name(name)


def examples(tables: Sequence[SqlTable], liked: str | None, key: str | None, values: Sequence[bytes]) -> list[Example]:
    """Return the example queries; those about a topic are omitted if there is none.

    Args:
        liked: the topic to query.
        key: one of its keys, None if it has none.
        values: some of its values.
    """
    topic = next((one for one in tables if one.topic is not None and one.topic == liked), None)
    about = _of_topic(topic, key, values) if topic is not None else []
    return [
        *about,
        Example(
            "Events per minute",
            "SELECT strftime('%Y-%m-%dT%H:%M:00Z', b.max_timestamp / 1000, 'unixepoch') AS minute,\n"
            "  sum(b.last_offset - b.base_offset + 1) AS events\n"
            "FROM batches b JOIN partitions p ON p.id = b.partition_id\n"
            "WHERE b.control = 0\nGROUP BY minute ORDER BY minute DESC LIMIT 200",
            {},
            chart=True,
        ),
        Example(
            "Groups that are behind",
            "SELECT group_id, topic, partition, committed, end_offset, lag\nFROM lag\n"
            "WHERE lag >= coalesce(:at_least, 0)\nORDER BY lag DESC LIMIT 100",
            {"at_least": "1"},
        ),
        Example(
            "Why groups rebalanced",
            "SELECT group_id, generation, members, ended_ms - started_ms AS took_ms,\n"
            "  details ->> '$.causes[0].cause' AS cause, details ->> '$.causes[0].member' AS member, details\n"
            "FROM rebalances ORDER BY id DESC LIMIT 50",
            {},
        ),
    ]


def _of_topic(topic: SqlTable, key: str | None, values: Sequence[bytes]) -> list[Example]:
    name = _name(topic.name)
    field = _repeated([one.name for one in topic.columns or () if one.name not in BASE], values)
    newest = f"SELECT partition, offset, timestamp, key, value\nFROM {name} ORDER BY offset DESC LIMIT 20"
    grouped = field or "key"
    return [
        Example("Newest offsets of a topic", newest, {}),
        Example(
            "All events of one key",
            f"SELECT partition, offset, timestamp, value\nFROM {name} WHERE key = :key\nORDER BY offset DESC LIMIT 100",
            {"key": key or ""},
        ),
        Example(
            f"Events by JSON field {field}" if field else "Busiest keys",
            f"SELECT {grouped}, count(*) AS events\nFROM {name}\nGROUP BY {grouped} ORDER BY events DESC LIMIT 20",
            {},
            chart=True,
        ),
    ]


def _repeated(fields: Sequence[str], values: Sequence[bytes]) -> str | None:
    """Return the field whose values repeat most, so that counts are useful; None if no field's values repeat."""
    found: dict[str, list[str]] = {field: [] for field in fields}
    for value in values:
        try:
            decoded = json.loads(value)
        except (ValueError, RecursionError):
            continue
        for field in fields if isinstance(decoded, dict) else ():
            if isinstance(decoded.get(field), str | int | bool):
                found[field].append(str(decoded[field]))
    counted = {field: len(set(seen)) / len(seen) for field, seen in found.items() if len(set(seen)) > 1}
    best = min(counted, key=lambda field: counted[field], default=None)
    return None if best is None or counted[best] > REPEATED else _name(best)
