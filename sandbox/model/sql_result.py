"""What a query over the sandbox gives back: its rows, why it was refused, and what there is to ask for."""

from dataclasses import dataclass

from sandbox.kafka.errors import SandboxError

TIME_LIMIT_S = 2.0
TIME_LIMIT_MAX_S = 30.0
ROWS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a query may take and give.

    Attributes:
        limit_s: seconds, at most `TIME_LIMIT_MAX_S`.
        rows_max: rows, at most `ROWS_MAX`.
        cell_max: characters or bytes of one value, the rest is cut; None for whole values.
        only: give only this row (from 0) and drop those before it; None for all.
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
        length: how long it is, in characters (bytes where `head` is bytes).
    """

    head: str | bytes
    length: int


Cell = None | int | float | str | bytes | LongCell


@dataclass(frozen=True, slots=True)
class SqlResult:
    """The rows of a query.

    Attributes:
        columns: their names, in order; two may be the same.
        rows: as many values each. Integers are exact; text is str, a BLOB is bytes, NULL is None.
        more: why rows are missing at the end, as a sentence; None where all are here.
        took_ms: from the first to the last row.
        notes: what a reader must know of the names and numbers in it, a sentence each.
        topics: those that the query names.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    more: str | None
    took_ms: float
    notes: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SqlColumn:
    """A column that can be asked for.

    Attributes:
        text: what is in it, in one line.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class SqlTable:
    """A table or view that can be asked for.

    Attributes:
        kind: "topic", "view" or "table".
        text: what a row of it is, in one line.
        columns: None where they were not looked up.
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
        reason: what is wrong, in a sentence.
        hint: the way out, in a sentence, or "".
        position: the index in the query's text where it is wrong, None where that is not known.
        extendable: True where it would have gone on with a longer time limit.
    """

    def __init__(self, reason: str, hint: str = "", position: int | None = None, *, extendable: bool = False) -> None:
        self.reason = reason
        self.hint = hint
        self.position = position
        self.extendable = extendable
        super().__init__(f"{reason} {hint}".strip())
