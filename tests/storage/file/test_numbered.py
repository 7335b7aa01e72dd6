"""Numbered parameters reach SQLite as nameless ones, on Pythons that warn of them."""

import sqlite3
from contextlib import closing

import pytest

from sandbox.storage.file.numbered import PlainConnection, without_numbers


@pytest.mark.parametrize(
    ("sql", "plain", "order"),
    [
        ("SELECT ?, ?", "SELECT ?, ?", None),
        ("SELECT ?2, ?1, ?2", "SELECT ?, ?, ?", (1, 0, 1)),
        (
            "VALUES(?1 + 0, ?2, ?, ?), (?1 + 1, ?2, ?, ?)",
            "VALUES(? + 0, ?, ?, ?), (? + 1, ?, ?, ?)",
            (0, 1, 2, 3, 0, 1, 4, 5),
        ),
    ],
)
def test_a_nameless_parameter_follows_the_largest_before_it(
    sql: str, plain: str, order: tuple[int, ...] | None
) -> None:
    assert without_numbers(sql) == (plain, order)


def test_statements_give_what_sqlite_makes_of_numbers() -> None:
    with closing(PlainConnection(":memory:")) as plain, closing(sqlite3.connect(":memory:")) as usual:
        for one in (plain, usual):
            one.execute("CREATE TABLE t(a, b, c)")
            one.execute("INSERT INTO t VALUES(?1 + 1, ?2, ?), (?1 + 2, ?2, ?)", (10, "x", "y", "z"))
            one.executemany("INSERT INTO t VALUES(?2, ?1, ?2)", [(1, 2), (3, 4)])
        read = "SELECT a, b, c FROM t WHERE a >= ?1 OR b = ?2 OR a > ?1 ORDER BY a"
        assert plain.execute(read, (11, 1)).fetchall() == usual.execute(read, (11, 1)).fetchall() != []
        assert plain.execute("SELECT :a", {"a": 5}).fetchall() == [(5,)]
