"""The limit: how fast the standard library's sqlite3 itself takes and gives the same rows."""

import sqlite3
import time
from itertools import chain, islice
from pathlib import Path

from benchmarks.workload import Kind, samples
from sandbox.storage.file.database import Database
from sandbox.storage.file.schema import OFFSET_BITS

ROWS_PER_STATEMENT = 1000
ROWS_PER_COMMIT = 10_000
INSERT = "INSERT INTO events(id, timestamp, key, value) VALUES(?, ?, ?, ?)"
"""Without the headers, which are null: to bind a null takes `sqlite3` longer than all the rest of a row."""
ROWS_TOGETHER = 50
INSERT_TOGETHER = INSERT + ", (?, ?, ?, ?)" * (ROWS_TOGETHER - 1)
BARE_TABLE = "CREATE TABLE events(id INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL, key, value, headers TEXT)"


def insert_rate(
    file: Path, rows: int, kind: Kind, *, own_schema: bool, together: bool = False, partitions: int = 3
) -> float:
    """Rows per second into `events`, made before the clock starts: `executemany`, 1,000 rows a call, 10,000 a commit.

    Args:
        file: made here.
        rows: how many.
        kind: which keys and values. Headers are left out: a few events have them.
        own_schema: True for the sandbox's tables, triggers and page size; False for one bare table.
        together: True inserts 50 rows with each statement instead of one, as the sandbox does.
        partitions: how many there are; each gets 1,000 rows in turn.
    """
    if own_schema:
        Database(file).close()
    connection = _connect(file)
    if not own_schema:
        connection.execute(BARE_TABLE)
    pool, now_ms = [(one.key.decode(), one.value.decode()) for one in samples(kind)], 1_700_000_000_000
    statements: list[list[tuple[object, ...]]] = []
    for first in range(0, rows, ROWS_PER_STATEMENT):
        turn, partition = divmod(first // ROWS_PER_STATEMENT, partitions)
        base = (partition + 1 << OFFSET_BITS) + turn * ROWS_PER_STATEMENT
        count = min(ROWS_PER_STATEMENT, rows - first)
        statements.append([(base + at, now_ms, *pool[(first + at) % len(pool)]) for at in range(count)])
    sql, wanted = INSERT, statements
    if together:
        sql = INSERT_TOGETHER
        wanted = [
            [tuple(chain.from_iterable(rows[at : at + ROWS_TOGETHER])) for at in range(0, len(rows), ROWS_TOGETHER)]
            for rows in statements
            if len(rows) % ROWS_TOGETHER == 0
        ]
    started = time.perf_counter()
    source = iter(wanted)
    while in_one_commit := list(islice(source, ROWS_PER_COMMIT // ROWS_PER_STATEMENT)):
        connection.execute("BEGIN IMMEDIATE")
        for parameters in in_one_commit:
            connection.executemany(sql, parameters)
        connection.execute("COMMIT")
    spent = time.perf_counter() - started
    connection.close()
    return sum(map(len, wanted)) * (ROWS_TOGETHER if together else 1) / spent


def select_rate(file: Path) -> float:
    """Rows per second out of `events`, as bytes, in order, by the thousand."""
    connection = _connect(file)
    seen, last = 0, 0
    started = time.perf_counter()
    while True:
        rows = connection.execute(
            "SELECT id, timestamp, CAST(key AS BLOB), CAST(value AS BLOB), headers FROM events WHERE id > ? "
            "ORDER BY id LIMIT 1000",
            (last,),
        ).fetchall()
        if not rows:
            break
        seen += len(rows)
        last = rows[-1][0]
    spent = time.perf_counter() - started
    connection.close()
    return seen / spent


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "secure_delete = OFF", "recursive_triggers = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection
