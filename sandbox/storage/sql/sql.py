"""Runs SQL queries on the file, strictly read-only, and bounded.

Each query has its own connection, which opens the file read-only and creates the views of the topics that the query
names. From then on, SQLite asks `_Guard` about every table, function and command. The query's time, its rows, their
size and what SQLite may allocate for one value are bounded. Readers and the writer never wait for each other.
"""

import difflib
import re
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from pathlib import Path

from sandbox.model import cancellation
from sandbox.model.sql_result import (
    ROWS_MAX,
    TIME_LIMIT_MAX_S,
    TIME_LIMIT_S,
    Bounds,
    Cell,
    LongCell,
    SqlRefused,
    SqlResult,
    SqlTable,
)
from sandbox.model.sql_tokens import (
    Token,
    has_questions,
    ordered_limit,
    parameters,
    quoted_name,
    tokens,
    with_exact_numbers,
)
from sandbox.schemas.decoding import EventDecoder
from sandbox.storage.file.database import Reader, StorageFailed
from sandbox.storage.file.read_only import read_only
from sandbox.storage.file.readers import interrupting
from sandbox.storage.sql import sql_functions, sql_views
from sandbox.storage.sql.clock import STEPS, Clock
from sandbox.storage.sql.sql_decoding import SqlDecoder, add_decoding
from sandbox.storage.sql.sql_fields import Fields
from sandbox.storage.sql.sql_names import SECRET, TopicView, named_in, topic_views

RESULT_MAX_BYTES = 32 * 1024 * 1024
ROW_MAX_BYTES = 512 * 1024 * 1024
"""The maximum size of all values of one row, including their intermediate results."""
RUNNING_MAX = 4
"""Concurrent queries. The limit keeps other sites' pages from overloading the machine with cross-site requests."""
SEARCHED_SHARE = 0.5
"""The share of its time that a query may spend on searching for the fields that it names."""
WAIT_STEP_S = 0.05
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: sql_functions.VALUE_MAX_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1024 * 1024,
    sqlite3.SQLITE_LIMIT_COLUMN: 500,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 500,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 250_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 100,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: sql_functions.PATTERN_MAX,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 500,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
QUERY_MAX_CHARACTERS = 100_000
TABLES_OF_SQLITE = frozenset(
    ("json_each", "json_tree", "sqlite_master", "sqlite_schema", "sqlite_temp_master", "sqlite_temp_schema")
)
QUESTIONS = frozenset(("select", "with", "values", "explain"))
ONLY_READS = "Here is only read: start with SELECT or WITH. Change topics and groups on their pages."

NO_COLUMN = re.compile(
    r"no such column: (.*)|cannot join using column (.*) - column not present in both tables", re.DOTALL
)

_running = threading.BoundedSemaphore(RUNNING_MAX)
Parameters = Mapping[str, object] | Sequence[object]


class _Guard:
    """Decides for SQLite whether a query may perform an action (its authorizer).

    Args:
        tables: the tables that may be read, in lower case.
        command: the first word of the query.
        views: the topics' views, whose own LIKE and GLOB patterns are not counted.
        sql: the query.

    Attributes:
        refused: the reason of the first refusal, as a sentence, or None.
    """

    def __init__(self, tables: Iterable[str], command: str, views: Iterable[str] = (), sql: str = "") -> None:
        # A table of the query's own (WITH) may have the name of a view; SQLite doesn't distinguish the two here.
        self._views = {name.lower() for name in views} - _own_tables(tokens(sql))
        self._tables = frozenset(tables) | TABLES_OF_SQLITE
        self._command = "What this does beside reading" if command in QUESTIONS else command.upper()
        self.refused: str | None = None
        self._patterns = 0

    def __call__(self, action: int, first: str | None, second: str | None, *where: str | None) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            name = (first or "").lower()
            # An empty column means that the table is only named. That includes the query's own tables (WITH).
            if name in self._tables or (second == "" and name != SECRET):
                return sqlite3.SQLITE_OK
            self.refused = self.refused or f"The table {first} cannot be read here."
        elif action == sqlite3.SQLITE_FUNCTION:
            name = (second or "").lower()
            self._patterns += name in sql_functions.PATTERNS and (where[1] or "").lower() not in self._views
            if self._patterns > sql_functions.PATTERNS_MAX:
                self.refused = self.refused or f"More than {sql_functions.PATTERNS_MAX} LIKE and GLOB are refused."
            elif name not in sql_functions.REFUSED:
                return sqlite3.SQLITE_OK
            self.refused = self.refused or f"The function {second} cannot be used here."
        else:
            self.refused = self.refused or f"{self._command} is refused."
        return sqlite3.SQLITE_DENY


def _own_tables(found: Sequence[Token]) -> set[str]:
    """The names of a query's own tables: WITH name AS (, also with columns or MATERIALIZED."""
    if not any(token.name == "with" for token in found):
        return set()
    own = set()
    for at, token in enumerate(found[:-1]):
        after = found[at + 1 : at + 3]
        columns = after[0].text == "(" and at > 0 and found[at - 1].name in ("with", "recursive", ",")
        if columns or (after[0].name == "as" and after[-1].name in ("(", "not", "materialized")):
            own.add(token.name)
    return own


def run_query(
    path: Path,
    sql: str,
    values: Parameters = (),
    bounds: Bounds | None = None,
    decoder: EventDecoder | None = None,
) -> SqlResult:
    """Run one query.

    Args:
        path: the sandbox file, whichever process owns it.
        values: values of its parameters: by name for `:name`, in order for `?`.
        decoder: decodes keys and values in the topics' views; None leaves them as they are.

    Raises:
        SqlRefused: it is not a query, would change something, reads what it may not, has a mistake, or took too long.
        Cancelled: the client has disconnected, or the sandbox closes.
    """
    limits = bounds or Bounds()
    _check(sql, values)
    if not _acquire(TIME_LIMIT_S):
        raise SqlRefused(f"{RUNNING_MAX} queries are running already.", "Try again when one has ended.")
    try:
        with _connection(path) as connection, interrupting(connection):
            return _run(path, connection, sql, values, limits, SqlDecoder(decoder))
    finally:
        _running.release()


def _acquire(within_s: float) -> bool:
    """Wait for a free query slot; False if none became free in time."""
    until_s = time.monotonic() + within_s
    while not _running.acquire(timeout=WAIT_STEP_S):
        cancellation.check()
        if time.monotonic() > until_s:
            return False
    return True


def list_tables(
    path: Path, detailed: Iterable[str] = (), topics_max: int = 200, decoder: EventDecoder | None = None
) -> list[SqlTable]:
    """Return the tables that queries can use; see `sql_views.catalogue`."""
    with _connection(path) as connection, interrupting(connection):
        return sql_views.catalogue(Reader(connection), detailed, topics_max, SqlDecoder(decoder))


def _check(sql: str, values: Parameters) -> None:
    if not tokens(sql[:QUERY_MAX_CHARACTERS]):
        raise SqlRefused("There is no query.", "Write one, or take an example.")
    if len(sql) > QUERY_MAX_CHARACTERS:
        raise SqlRefused(f"The query is longer than {QUERY_MAX_CHARACTERS:,} characters.", "Shorten it.")
    if "\0" in sql:
        raise SqlRefused("The query has a NUL character in it.", "Take it out.", sql.index("\0"))
    if isinstance(values, Mapping):
        if has_questions(sql):
            raise SqlRefused("A parameter needs a name here.", "Write :name instead of ?.", _place(sql, "?"))
        for name in parameters(sql):
            if name not in values:
                raise SqlRefused(f"The parameter :{name} has no value.", "Give it one.", _place(sql, name))


def _place(sql: str, text: str) -> int | None:
    found = (one.start for one in tokens(sql) if one.kind == "parameter" and text in (one.text, one.text[1:]))
    return next(found, None)


@contextmanager
def _connection(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection in one read transaction."""
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(read_only(path))
        except sqlite3.Error as error:
            raise SqlRefused(f"{path} cannot be read now.", "Try again.") from error
        try:
            yield connection
        except StorageFailed as error:
            hint = "Go back to a snapshot, or to a copy."
            raise SqlRefused(f"{path} cannot be read now: {error.words}", hint) from error
        except sqlite3.Error:
            # The interrupt may have hit a statement that prepares the query.
            cancellation.check()
            raise


def _run(
    path: Path, connection: sqlite3.Connection, sql: str, values: Parameters, bounds: Bounds, decoder: SqlDecoder
) -> SqlResult:
    reader = Reader(connection)
    found = tokens(sql)
    meant = named_in(reader, found)
    tables = [row[0] for row in reader.query("SELECT name FROM main.sqlite_master WHERE type IN ('table', 'view')")]
    tables.remove(SECRET)
    limit_s = min(bounds.limit_s, TIME_LIMIT_MAX_S)
    started_s = time.monotonic()
    fields = Fields(path, reader, meant.views, found, Clock(limit_s * SEARCHED_SHARE), decoder)
    fields.find_quoted((*tables, *(view.name for view in meant.views)))
    query = _Query(connection, with_exact_numbers(sql), values, bounds, Clock(limit_s), decoder)
    query.prepare((*tables, *(view.name for view in meant.views)), found[0].name)
    named = [*tables, *(view.name for view in topic_views(reader))]
    while True:
        query.create_views(reader, sql, meant.views, fields)
        try:
            columns, rows, more = query.run()
            break
        except (sqlite3.Error, MemoryError) as error:
            connection.set_progress_handler(None, 0)
            cancellation.check()
            if query.wrong:
                raise SqlRefused(query.wrong[0], "It is the second argument of json_value.") from error
            missing = NO_COLUMN.match(str(error))
            if missing is None or not fields.resolve(missing[1] or missing[2]):
                raise _explain(connection, sql, error, query.guard, query.clock, named, bounds.limit_s) from error
        except (OverflowError, TypeError) as error:
            raise SqlRefused(f"A parameter cannot be used: {error}.", "Numbers have 64 bits at most.") from error
    notes = (*meant.notes, *fields.notes, *query.notes())
    topics = tuple(view.topic for view in meant.views)
    return SqlResult(columns, rows, more, 1000 * (time.monotonic() - started_s), notes, topics)


class _Query:
    """One query on its connection.

    Attributes:
        guard: the query's authorizer.
        clock: limits the query's time.
        wrong: errors in JSON paths of the query.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        sql: str,
        values: Parameters,
        bounds: Bounds,
        clock: Clock,
        decoder: SqlDecoder,
    ) -> None:
        self._connection = connection
        self._sql = sql
        self._values = dict(values) if isinstance(values, Mapping) else values
        self._bounds = bounds
        self._exact: dict[str, None] = {}
        self.wrong: list[str] = []
        self._views: list[TopicView] = []
        self.clock = clock
        self._decoder = decoder
        self.guard = _Guard((), "")

    def prepare(self, named: Iterable[str], command: str) -> None:
        """Prepare the connection: its functions, and the tables that the query may read."""
        self._named, self._command = tuple(name.lower() for name in named), command
        # SQLite creates these tables when they are first named, and would ask the authorizer about it.
        self._connection.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')").fetchall()
        sql_functions.put_in_place(self._connection, self.clock.look)
        on_exact = self._exact.setdefault
        sql_functions.add_json(self._connection, on_exact, self.clock.look, self.wrong.append)
        add_decoding(self._connection, self._decoder, on_exact, self.clock.look)

    def create_views(self, reader: Reader, sql: str, views: Sequence[TopicView], fields: Fields) -> None:
        """Replace the topics' views on this connection, and set its limits."""
        self._connection.set_authorizer(None)
        self._connection.execute("PRAGMA query_only = OFF")
        for view in self._views:
            self._connection.execute(f"DROP VIEW temp.{quoted_name(view.name)}")
        self._views = []
        for view in views:
            rows, down = ordered_limit(sql, view.name.lower()) or (None, True)
            statement = sql_views.create_view(
                reader, view, rows, down, fields.columns(view), decoder=self._decoder, stored=fields.stored
            )
            self._connection.execute(statement)
            self._views.append(view)
        self._connection.execute("PRAGMA query_only = ON")
        limits = LIMITS | {sqlite3.SQLITE_LIMIT_LENGTH: _value_max_bytes(sql)}
        for limit, most in limits.items():
            self._connection.setlimit(limit, most)

    def run(self) -> tuple[tuple[str, ...], tuple[tuple[Cell, ...], ...], str | None]:
        """Return the column names, the rows, and why rows are missing (None if none are)."""
        self.guard = _Guard(self._named, self._command, (view.name for view in self._views), self._sql)
        self._connection.set_authorizer(self.guard)
        self._connection.set_progress_handler(self.clock, STEPS)
        with (
            self.clock.interrupting(self._connection),
            # A cursor that an exception's traceback still refers to would keep a closed connection's locks.
            closing(self._connection.execute(self._sql, self._values)) as cursor,
        ):
            if cursor.description is None:
                raise SqlRefused("That gives no rows.", ONLY_READS)
            return (tuple(column[0] for column in cursor.description), *_fetch(cursor, self._bounds, self.clock))

    def notes(self) -> Iterator[str]:
        """Yield notes about numbers in the result that SQL cannot represent."""
        for place in list(self._exact)[:5]:
            yield (
                f"{place} has numbers that SQL cannot hold exactly: they are text here, as they were written. = finds "
                f"them; for <, > and sums write CAST({place} AS REAL)."
            )


def _fetch(cursor: sqlite3.Cursor, bounds: Bounds, clock: Clock) -> tuple[tuple[tuple[Cell, ...], ...], str | None]:
    rows_max = min(bounds.rows_max, ROWS_MAX)
    found: list[tuple[Cell, ...]] = []
    size = 0
    for at, row in enumerate(cursor):
        if clock():
            raise sqlite3.OperationalError("interrupted")
        if bounds.only is not None:
            if at < bounds.only:
                continue
            return (row,), None
        if len(found) >= rows_max:
            return tuple(found), f"Only the first {rows_max:,} rows are here."
        short = row if bounds.cell_max is None else tuple(_short(value, bounds.cell_max) for value in row)
        size += sum(_weight(value) for value in short)
        if size > RESULT_MAX_BYTES and found:
            most = RESULT_MAX_BYTES // (1024 * 1024)
            return tuple(found), f"Only the first {len(found):,} rows are here: more than {most} MB are not given."
        found.append(short)
    return tuple(found), None


def _short(value: Cell, most: int) -> Cell:
    if isinstance(value, str | bytes) and len(value) > most:
        return LongCell(value[:most], len(value))
    return value


def _weight(value: Cell) -> int:
    if isinstance(value, LongCell):
        return len(value.head)
    return len(value) if isinstance(value, str | bytes) else 8


def _value_max_bytes(sql: str) -> int:
    """Return the maximum size of a value. It is smaller for a query whose rows could otherwise become too large.

    SQLite checks for interrupts only at jumps of its program, so nothing stops a query in the middle of a row.
    """
    found = tokens(sql)
    parts = sum(
        one.text in ("(", "||") or (one.text == "," and then.kind not in ("string", "number", "parameter"))
        for one, then in pairwise(found)
    )
    return min(sql_functions.VALUE_MAX_BYTES, ROW_MAX_BYTES // max(1, parts))


def _explain(
    connection: sqlite3.Connection,
    sql: str,
    error: Exception,
    guard: _Guard,
    clock: Clock,
    named: Sequence[str],
    limit_s: float,
) -> SqlRefused:
    """Return why a query failed, with the position and a hint."""
    text = str(error)
    if clock.lacks is not None or isinstance(error, MemoryError):
        return SqlRefused(
            f"The query needs more than {clock.lacks or 'there is of memory'}.",
            "Sort, group or join fewer rows or smaller values: add a WHERE, or leave out columns.",
        )
    if clock.over:
        return SqlRefused(
            f"It was stopped after {limit_s:g} s.",
            "Ask for less (a WHERE on partition, a LIMIT), or give it more time.",
            extendable=limit_s < TIME_LIMIT_MAX_S,
        )
    if found := re.match(r"vtable constructor failed: (.*)", text, re.DOTALL):
        return SqlRefused(f"The table {found[1]} cannot be read here.", "", _word(sql, found[1]))
    if guard.refused and ("authoriz" in text or "prohibited" in text):
        return SqlRefused(guard.refused or "That is refused.", ONLY_READS)
    if "one statement at a time" in text:
        return SqlRefused("There is more than one statement.", "Run one at a time.", _second(sql))
    if isinstance(error, sqlite3.DataError) or "too big" in text:
        most = _value_max_bytes(sql) / (1024 * 1024)
        few = "" if most == 10 else " in a query with this number of parts"
        reason = f"A value became too large ({most:.3g} MB are the most{few})."
        return SqlRefused(reason, "Take less of it, with substr().")
    if found := re.match(r'near "(.*)": syntax error', text, re.DOTALL):
        hint = "Look at the word before it, too."
        if found[1] in ("-", "."):
            hint = 'A name with - or . stands in double quotes: "my-topic".'
        return SqlRefused(f"There is a mistake at “{found[1]}”.", hint, _mistake(connection, sql, found[1], text))
    if tokens(sql)[0].name not in QUESTIONS and "syntax" not in text:
        return SqlRefused(f"{tokens(sql)[0].text.upper()} is refused.", ONLY_READS)
    if "incomplete input" in text or "unrecognized token" in text:
        return SqlRefused("The query ends too early.", "Is a quote or a bracket open?", len(sql))
    if found := re.match(r"no such (table|column|function): (.*)", text, re.DOTALL):
        return SqlRefused(f"There is no {found[1]} {found[2]}.", *_missing(sql, found[1], found[2], named))
    if found := re.match(r"ambiguous column name: (.*)", text, re.DOTALL):
        return SqlRefused(
            f"The column {found[1]} is in more than one table.", "Write table.column.", _word(sql, found[1])
        )
    if isinstance(error, sqlite3.ProgrammingError):
        return SqlRefused(f"The parameters do not fit: {text}", "Give one value for each.")
    if "disk" in text or ("malformed" in text and "JSON" not in text) or "locked" in text or "busy" in text:
        return SqlRefused(f"The file cannot be read: {text}.", "Try again.")
    return SqlRefused(f"{text[:1].upper()}{text[1:]}.")


def _missing(sql: str, what: str, name: str, named: Sequence[str]) -> tuple[str, int | None]:
    """Return a hint for an unknown name, and the name's position."""
    bare = name.rpartition(".")[2]
    if what == "table":
        close = difflib.get_close_matches(name.lower(), [one.lower() for one in named], 1)
        real = next((one for one in named if close and one.lower() == close[0]), None)
        hint = f"Is it {quoted_name(real)}?" if real else "The list of tables beside it has them all."
        if "-" in sql or "." in sql:
            hint += ' A name with - or . stands in double quotes: "my-topic".'
        return hint, _word(sql, bare)
    if what == "column":
        if name.lower().startswith("value."):
            return f'The field {name[6:]} is the column "{name}", in double quotes.', _word(sql, bare)
        return "Text stands in single quotes: 'like this'. Names in double quotes.", _word(sql, bare)
    return "SQLite's own functions can be used.", _word(sql, bare)


def _word(sql: str, name: str) -> int | None:
    return next((token.start for token in tokens(sql) if token.name == name.lower()), None)


def _second(sql: str) -> int | None:
    """The position of the second statement."""
    found = tokens(sql)
    ends = [at for at, token in enumerate(found) if token.text == ";"]
    return found[ends[0] + 1].start if ends and ends[0] + 1 < len(found) else None


def _mistake(connection: sqlite3.Connection, sql: str, text: str, message: str) -> int | None:
    """The position of a mistake: the first token with that text at which the query so far gives the same error."""
    for token in [one for one in tokens(sql) if one.text == text][:50]:
        try:
            connection.execute("EXPLAIN " + sql[: token.start + len(text)])
        except sqlite3.Error as error:
            if str(error) == message:
                return token.start
    return None
