"""SQL over the file, truly read-only, and bounded.

Each query has a connection of its own, which opens the file read-only, makes the views of the topics that the query
names, and from then on asks `_Guard` about every table, function and command. Its time, its rows, their size and what
SQLite may allocate for one value are bounded. Readers never wait for the writer, nor the writer for them.
"""

import difflib
import re
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

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
from sandbox.model.sql_tokens import has_questions, ordered_limit, parameters, tokens
from sandbox.storage.file.database import Reader, StorageFailed
from sandbox.storage.file.read_uri import read_uri
from sandbox.storage.sql import sql_functions, sql_views

RESULT_MAX_BYTES = 32 * 1024 * 1024
RUNNING_MAX = 4
"""Queries at one time, so that no page of another site can keep the machine busy with requests that it cannot read."""
STEPS = 5_000
"""Steps of SQLite's machine between two looks at the clock."""
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

_running = threading.BoundedSemaphore(RUNNING_MAX)
Parameters = Mapping[str, object] | Sequence[object]


class _Guard:
    """Answers SQLite's question whether a query may do what it says (its authorizer).

    Args:
        tables: what may be read, in lower case.
        command: the first word of the query.

    Attributes:
        refused: why it said no, in a sentence, or None.
    """

    def __init__(self, tables: Iterable[str], command: str) -> None:
        self._tables = frozenset(tables) | TABLES_OF_SQLITE
        self._command = "What this does beside reading" if command in QUESTIONS else command.upper()
        self.refused: str | None = None
        self._patterns = 0

    def __call__(self, action: int, first: str | None, second: str | None, *where: str | None) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            name = (first or "").lower()
            # Without a column it is only named, as a table of the query's own (WITH) is too, which has no other place.
            if name in self._tables or (second == "" and name != sql_views.SECRET):
                return sqlite3.SQLITE_OK
            self.refused = self.refused or f"The table {first} cannot be read here."
        elif action == sqlite3.SQLITE_FUNCTION:
            name = (second or "").lower()
            self._patterns += name in sql_functions.PATTERNS
            if self._patterns > sql_functions.PATTERNS_MAX:
                self.refused = self.refused or f"More than {sql_functions.PATTERNS_MAX} LIKE and GLOB are refused."
            elif name not in sql_functions.REFUSED:
                return sqlite3.SQLITE_OK
            self.refused = self.refused or f"The function {second} cannot be used here."
        else:
            self.refused = self.refused or f"{self._command} is refused."
        return sqlite3.SQLITE_DENY


class _Clock:
    """Ends a query when its time is over: SQLite's progress handler, and an interrupt from another thread.

    The handler is called after so many steps, which may take long each; the interrupt is seen before the next row.
    """

    def __init__(self, limit_s: float) -> None:
        self._end_s = time.monotonic() + limit_s
        self.over = False

    def __call__(self) -> int:
        self.over = self.over or time.monotonic() > self._end_s
        return int(self.over)

    def look(self) -> None:
        """Raise where the time is over."""
        if self():
            raise TimeoutError

    @contextmanager
    def interrupting(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Interrupt the connection when the time is over, until the block ends."""
        alarm = threading.Timer(max(0.0, self._end_s - time.monotonic()) + 0.01, connection.interrupt)
        alarm.daemon = True
        alarm.start()
        try:
            yield
        finally:
            alarm.cancel()
            alarm.join()
            self()


def run_query(path: Path, sql: str, values: Parameters = (), bounds: Bounds | None = None) -> SqlResult:
    """Run one query.

    Args:
        path: the sandbox file, whoever owns it.
        values: of its parameters: by name for `:name`, in order for `?`.

    Raises:
        SqlRefused: it is no query, would change something, asks for what cannot be read, is wrong, or took too long.
    """
    limits = bounds or Bounds()
    _check(sql, values)
    if not _running.acquire(timeout=TIME_LIMIT_S):
        raise SqlRefused(f"{RUNNING_MAX} queries are running already.", "Try again when one has ended.")
    try:
        with _connection(path) as connection:
            return _run(connection, sql, values, limits)
    finally:
        _running.release()


def list_tables(path: Path, detailed: Iterable[str] = (), topics_max: int = 200) -> list[SqlTable]:
    """What can be asked for; see `sql_views.catalogue`."""
    with _connection(path) as connection:
        return sql_views.catalogue(Reader(connection), detailed, topics_max)


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
    log = path.with_name(path.name + "-wal").exists()
    connection: sqlite3.Connection | None = None
    try:
        # Without a write-ahead log nobody has the file open, and a folder that cannot be written can be read this way.
        for immutable in (False,) if log else (False, True):
            uri = read_uri(path, immutable=immutable)
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=1.0)
            connection.text_factory = _text
            try:
                connection.execute("BEGIN")
                connection.execute("SELECT 1 FROM main.sqlite_master LIMIT 1").fetchone()
                break
            except sqlite3.OperationalError:
                connection.close()
                connection = None
        if connection is None:
            raise SqlRefused(f"{path} cannot be read now.", "Try again.")
        yield connection
    except StorageFailed as error:
        raise SqlRefused(f"{path} cannot be read now: {error.words}", "Go back to a snapshot, or to a copy.") from error
    finally:
        if connection is not None:
            connection.close()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _run(connection: sqlite3.Connection, sql: str, values: Parameters, bounds: Bounds) -> SqlResult:
    reader = Reader(connection)
    views = sql_views.topic_views(reader)
    for view in sql_views.named_in(views, sql):
        few = ordered_limit(sql, view.name.lower())
        connection.execute(sql_views.create_view(reader, view, *(few or ())))
    named = [row[0] for row in reader.query("SELECT name FROM main.sqlite_master WHERE type IN ('table', 'view')")]
    named += [view.name for view in views]
    named.remove(sql_views.SECRET)
    connection.execute("PRAGMA query_only = ON")
    for limit, most in LIMITS.items():
        connection.setlimit(limit, most)
    # SQLite makes these tables when they are first named, which it asks about as if somebody made a table.
    connection.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')").fetchall()
    guard = _Guard((name.lower() for name in named), tokens(sql)[0].name)
    clock = _Clock(min(bounds.limit_s, TIME_LIMIT_MAX_S))
    connection.set_authorizer(guard)
    connection.set_progress_handler(clock, STEPS)
    sql_functions.put_in_place(connection, clock.look)
    started_s = time.monotonic()
    try:
        with clock.interrupting(connection):
            cursor = connection.execute(sql, dict(values) if isinstance(values, Mapping) else values)
            if cursor.description is None:
                raise SqlRefused("That gives no rows.", ONLY_READS)
            columns = tuple(column[0] for column in cursor.description)
            rows, more = _fetch(cursor, bounds, clock)
    except sqlite3.Error as error:
        connection.set_progress_handler(None, 0)
        raise _explain(connection, sql, error, guard, clock, named, bounds.limit_s) from error
    except (OverflowError, TypeError) as error:
        raise SqlRefused(f"A parameter cannot be used: {error}.", "Numbers have 64 bits at most.") from error
    return SqlResult(columns, rows, more, 1000 * (time.monotonic() - started_s))


def _fetch(cursor: sqlite3.Cursor, bounds: Bounds, clock: _Clock) -> tuple[tuple[tuple[Cell, ...], ...], str | None]:
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


def _explain(
    connection: sqlite3.Connection,
    sql: str,
    error: sqlite3.Error,
    guard: _Guard,
    clock: _Clock,
    named: Sequence[str],
    limit_s: float,
) -> SqlRefused:
    """Why a query failed, in words, with the place and the way out."""
    text = str(error)
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
        return SqlRefused("A value became too large (10 MB are the most).", "Take less of it, with substr().")
    if found := re.match(r'near "(.*)": syntax error', text, re.DOTALL):
        hint = "Look at the word before it, too."
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
    """The way out where a name is not known, and where it stands."""
    bare = name.rpartition(".")[2]
    if what == "table":
        close = difflib.get_close_matches(name.lower(), [one.lower() for one in named], 1)
        real = next((one for one in named if close and one.lower() == close[0]), None)
        hint = f"Is it {sql_views.quoted(real)}?" if real else "The list of tables beside it has them all."
        if "-" in sql or "." in sql:
            hint += ' A name with - or . stands in double quotes: "my-topic".'
        return hint, _word(sql, bare)
    if what == "column":
        return "Text stands in single quotes: 'like this'. Names in double quotes.", _word(sql, bare)
    return "SQLite's own functions can be used.", _word(sql, bare)


def _word(sql: str, name: str) -> int | None:
    return next((token.start for token in tokens(sql) if token.name == name.lower()), None)


def _second(sql: str) -> int | None:
    """Where the second statement begins."""
    found = tokens(sql)
    ends = [at for at, token in enumerate(found) if token.text == ";"]
    return found[ends[0] + 1].start if ends and ends[0] + 1 < len(found) else None


def _mistake(connection: sqlite3.Connection, sql: str, text: str, message: str) -> int | None:
    """Where a mistake is: the first of the pieces of that text at which the query so far fails in the same way."""
    for token in [one for one in tokens(sql) if one.text == text][:50]:
        try:
            connection.execute("EXPLAIN " + sql[: token.start + len(text)])
        except sqlite3.Error as error:
            if str(error) == message:
                return token.start
    return None
