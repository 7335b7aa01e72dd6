"""Resolves names in a query to topics.

SQLite's names are case-insensitive, Kafka's are not. If several topics, or a topic and a table of the file, have names
that differ only in case, the exact spelling decides, and an ambiguous query is refused. Every topic has two longer
names, which no table has: `topic:NAME`, and `topic:NAME#ID` with the id of its row in `topics`, which is unique in any
spelling.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.model.sql_result import SqlRefused
from sandbox.model.sql_tokens import Token
from sandbox.storage.file.database import Reader

SECRET = "scram_credentials"
_TABLES = "SELECT name FROM main.sqlite_master WHERE type IN ('table', 'view')"
FUNCTIONS = ("json_each", "json_tree")
"""Functions that a query may use as a table: a view of that name would hide them."""


@dataclass(frozen=True, slots=True)
class TopicView:
    """A topic as a view.

    Attributes:
        name: the view's name.
        topic: the topic's name.
        id: the id of its row in `topics`.
    """

    name: str
    topic: str
    id: int


@dataclass(frozen=True, slots=True)
class Named:
    """The topics that a query names.

    Attributes:
        views: the views to create.
        notes: notes for the user about these names, one sentence each.
    """

    views: tuple[TopicView, ...]
    notes: tuple[str, ...]


def topic_views(reader: Reader) -> list[TopicView]:
    """Return a view per topic with its shortest name, sorted: `topic:NAME` if a table has the topic's name."""
    taken = _taken(reader)
    return [
        TopicView(f"topic:{topic}" if topic.lower() in taken or not _plain(topic) else topic, topic, identity)
        for identity, topic in _topics(reader)
    ]


def named_in(reader: Reader, found: Iterable[Token]) -> Named:
    """Return the topics that a query names.

    Args:
        found: the tokens of the query.

    Raises:
        SqlRefused: a name is ambiguous.
    """
    pieces = [token for token in found if token.kind in ("word", "quoted", "string")]
    spelled: dict[str, dict[str, int]] = {}
    for token in pieces:
        spelled.setdefault(token.spelling.lower(), {}).setdefault(token.spelling, token.start)
    taken = _taken(reader)
    meant: dict[str, list[TopicView]] = {}
    for identity, topic in _topics(reader):
        for name in (topic, f"topic:{topic}", f"topic:{topic}#{identity}"):
            if name.lower() in spelled and (name is not topic or _plain(topic)):
                meant.setdefault(name.lower(), []).append(TopicView(name, topic, identity))
    views: list[TopicView] = []
    notes: list[str] = []
    for low, options in meant.items():
        chosen, note = _chosen(options, taken.get(low), spelled[low])
        views += [chosen] if chosen is not None else []
        notes += [note] if note else []
    return Named(tuple(views), tuple(notes))


def _chosen(
    options: list[TopicView], table: str | None, spellings: dict[str, int]
) -> tuple[TopicView | None, str | None]:
    """Return the view that is meant (None for the table), and a note about it."""
    names = [view.name for view in options] + ([table] if table is not None else [])
    if len(names) == 1:
        return options[0], None
    if len(spellings) > 1 or not set(spellings) & set(names):
        wrong = next((one for one in spellings if one not in names), next(iter(spellings)))
        longer = " and ".join(f'"topic:{view.topic}#{view.id}"' for view in options)
        said = ", ".join(dict.fromkeys(names))
        raise SqlRefused(
            f"{said}: SQL does not tell these names apart, and the query does not say which it means.",
            f"Use one of them, spelled exactly, or name the topic{'s' * (len(options) > 1)} {longer}.",
            spellings[wrong],
        )
    (name,) = spellings
    if name == table:
        same = next((view for view in options if view.name == table), None)
        if same is None:
            return None, None
        return None, f'{table} is a table of the file. The topic of that name is "topic:{same.topic}".'
    return next(view for view in options if view.name == name), None


def _topics(reader: Reader) -> list[tuple[int, str]]:
    return [
        (identity, topic)
        for identity, topic in reader.query("SELECT id, name FROM main.topics WHERE deleted_ms IS NULL ORDER BY name")
    ]


def _taken(reader: Reader) -> dict[str, str]:
    """The file's tables and views, by name in lower case."""
    return {name.lower(): name for (name,) in reader.query(_TABLES)}


def _plain(topic: str) -> bool:
    """Return False for a topic name that a view may not have."""
    low = topic.lower()
    return not low.startswith("sqlite_") and low not in FUNCTIONS and low != SECRET
