"""Which topic a name in a query means.

SQLite doesn't tell upper from lower case in names, and Kafka does. So of several topics, or a topic and a table of the
file, whose names differ in nothing else, the one with the exact spelling is meant, and a query that leaves it open is
refused. Every topic has two longer names, which no table has: `topic:NAME`, and `topic:NAME#ID` with the id of its row
in `topics`, which no other spelling equals.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.model.sql_result import SqlRefused
from sandbox.model.sql_tokens import Token
from sandbox.storage.file.database import Reader

SECRET = "scram_credentials"
_TABLES = "SELECT name FROM main.sqlite_master WHERE type IN ('table', 'view')"
FUNCTIONS = ("json_each", "json_tree")
"""Functions that a query may use as a table: a view of that name would stand in their way."""


@dataclass(frozen=True, slots=True)
class TopicView:
    """A topic as a view.

    Attributes:
        name: of the view.
        topic: its name.
        id: of its row in `topics`.
    """

    name: str
    topic: str
    id: int


@dataclass(frozen=True, slots=True)
class Named:
    """What the names in a query mean.

    Attributes:
        views: those to create.
        notes: what a reader must know of them, a sentence each.
    """

    views: tuple[TopicView, ...]
    notes: tuple[str, ...]


def topic_views(reader: Reader) -> list[TopicView]:
    """Every topic by its shortest name, sorted: its own, or `topic:NAME` if that is taken by a table of the file."""
    taken = _taken(reader)
    return [
        TopicView(f"topic:{topic}" if topic.lower() in taken or not _plain(topic) else topic, topic, identity)
        for identity, topic in _topics(reader)
    ]


def named_in(reader: Reader, found: Iterable[Token]) -> Named:
    """The topics that a query names.

    Args:
        found: the pieces of the query.

    Raises:
        SqlRefused: a name may mean one topic or another.
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
    """The topic that is meant, None for the table; and what to say of it."""
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
    """The names of tables and views of the file, by the name in lower case."""
    return {name.lower(): name for (name,) in reader.query(_TABLES)}


def _plain(topic: str) -> bool:
    """False for a name that no view may have."""
    low = topic.lower()
    return not low.startswith("sqlite_") and low not in FUNCTIONS and low != SECRET
