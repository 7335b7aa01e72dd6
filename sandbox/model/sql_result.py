"""The result of an SQL query: its rows, the reason why it was refused, and the tables that queries can use."""

from dataclasses import dataclass

from sandbox.kafka.errors import SandboxError

TIME_LIMIT_S = 2.0
TIME_LIMIT_MAX_S = 30.0
ROWS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits for one query and its result.

    Attributes:
        limit_s: seconds, at most `TIME_LIMIT_MAX_S`.
        rows_max: rows, at most `ROWS_MAX`.
        cell_max: characters or bytes of one value, the rest is cut; None for whole values.
        only: return only the row with this index (from 0); None for all.
    """

    limit_s: float = TIME_LIMIT_S
    rows_max: int = ROWS_MAX
    cell_max: int | None = None
    only: int | None = None


@dataclass(frozen=True, slots=True)
class LongCell:
    """A value that is shown in part.

    Attributes:
        head: its beginning.
        length: its full length, in characters (in bytes if `head` is bytes).
    """

    head: str | bytes
    length: int


Cell = None | int | float | str | bytes | LongCell


@dataclass(frozen=True, slots=True)
class SqlResult:
    """The rows of a query.

    Attributes:
        columns: their names, in order; names may repeat.
        rows: one value per column. Integers are exact; text is str, a BLOB is bytes, NULL is None.
        more: why rows are missing at the end, as a sentence; None if none are.
        took_ms: the query's duration.
        notes: notes about names and numbers in the result, one sentence each.
        topics: the topics that the query names.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    more: str | None
    took_ms: float
    notes: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SqlColumn:
    """A column that queries can use.

    Attributes:
        text: a description, in one line.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class SqlTable:
    """A table or view that queries can use.

    Attributes:
        kind: "topic", "view" or "table".
        text: a description of its rows, in one line.
        columns: None if they were not looked up.
        topic: the topic whose events it has, or None.
    """

    name: str
    kind: str
    text: str
    columns: tuple[SqlColumn, ...] | None
    topic: str | None = None


class SqlRefused(SandboxError):
    """A query that cannot be run, or was stopped.

    Args:
        reason: what is wrong, as a sentence.
        hint: what to do, as a sentence, or "".
        position: the index of the mistake in the query's text, None if unknown.
        extendable: True if a longer time limit could help.
    """

    def __init__(self, reason: str, hint: str = "", position: int | None = None, *, extendable: bool = False) -> None:
        self.reason = reason
        self.hint = hint
        self.position = position
        self.extendable = extendable
        super().__init__(f"{reason} {hint}".strip())
