"""No function works longer than a query may, and those in place of SQLite's give what SQLite's give."""

import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.model.sql_result import Bounds, SqlRefused
from sandbox.storage.sql.sql import run_query
from sandbox.storage.sql.sql_functions import PATTERNS_MAX, REFUSED, put_in_place

LARGE = "replace(hex(zeroblob(2000000)), '0', 'a')"
MANY = f"WITH RECURSIVE t(v) AS MATERIALIZED (SELECT {LARGE}), n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("functions") / "dev.db"
    with Sandbox(file):
        pass
    return file


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT instr({LARGE}, substr({LARGE}, 1, 1000000) || 'b')",
        f"SELECT length(replace({LARGE}, substr({LARGE}, 1, 1000000) || 'b', ''))",
        f"SELECT trim({LARGE}, 'bcd')",
        f"SELECT length(rtrim({LARGE} || 'b', 'ab'))",
        f"{MANY} SELECT count(*) FROM n, t WHERE lower(v || i) LIKE '%{'a' * 90}b'",
        f"{MANY} SELECT sum(length(hex(v)) + i) FROM n, t",
        f"{MANY} SELECT sum(instr(v, 'b') + i) FROM n, t",
        "SELECT printf('%.*c', 1000000000, 'x')",
        "SELECT format('%1000000000d', 1)",
        "SELECT json_patch('{}', '{}')",
        "SELECT hex(zeroblob(1000000000))",
        f"SELECT {' + '.join(['(1 LIKE 2)'] * (PATTERNS_MAX + 1))}",
    ],
)
def test_a_query_of_slow_functions_ends_soon_after_its_time(empty: Path, query: str) -> None:
    began_s = time.thread_time()
    said = outcome(empty, query)
    assert time.thread_time() - began_s < 1.5
    assert re.search(r"0\.1 s|refused|cannot be used|too large|^1 row$", said), said


def outcome(file: Path, query: str) -> str:
    try:
        return f"{len(run_query(file, query, bounds=Bounds(limit_s=0.1)).rows)} row"
    except SqlRefused as refused:
        return str(refused)


@pytest.mark.parametrize("function", sorted(REFUSED & {"printf", "format", "json_patch", "load_extension"}))
def test_a_function_that_cannot_be_bounded_is_refused_by_name(empty: Path, function: str) -> None:
    with pytest.raises(SqlRefused, match=r"cannot be used here|There is no function"):
        run_query(empty, f"SELECT {function}('a', 'b')")


def test_what_would_grow_too_large_is_refused_before_it_is_made(empty: Path) -> None:
    with pytest.raises(SqlRefused, match="10 MB"):
        run_query(empty, f"SELECT replace({LARGE}, 'a', {LARGE})")
    with pytest.raises(SqlRefused, match="10 MB"):
        run_query(empty, f"SELECT trim('a', {LARGE})")


VALUES = (
    "'a-b-c'",
    "'-'",
    "''",
    "NULL",
    "x'612d62'",
    "x''",
    "12.5",
    "1e20",
    "-7",
    "'ü😀ü'",
    "'ü'",
    "'  a '",
    "'%'",
    "1.0",
)


@pytest.mark.parametrize("call", ["instr({}, {})", "replace({}, {}, '+')", "replace({1}, {0}, {1})", "trim({}, {})"])
def test_the_functions_give_what_those_of_sqlite_give(call: str) -> None:
    queries = [f"SELECT {call.format(first, second)}" for first in VALUES for second in VALUES]
    with closing(sqlite3.connect(":memory:")) as plain, closing(sqlite3.connect(":memory:")) as bounded:
        put_in_place(bounded, lambda: None)
        for query in queries:
            assert bounded.execute(query).fetchall() == plain.execute(query).fetchall(), query


@pytest.mark.parametrize("side", ["ltrim", "rtrim"])
def test_each_side_is_trimmed_as_sqlite_does_it(side: str) -> None:
    with closing(sqlite3.connect(":memory:")) as plain, closing(sqlite3.connect(":memory:")) as bounded:
        put_in_place(bounded, lambda: None)
        for query in (f"SELECT {side}('xxaxx', 'x')", f"SELECT {side}('xyaxy', 'yx')", f"SELECT {side}('aa', '')"):
            assert bounded.execute(query).fetchall() == plain.execute(query).fetchall(), query
