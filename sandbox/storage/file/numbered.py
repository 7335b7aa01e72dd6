"""Supports numbered parameters (`?1`) on Python versions that mishandle them.

Python 3.12.0 to 3.12.3 treat them as named parameters, and emit a DeprecationWarning at every binding of a sequence.
This took half of the time of an append, and failed if warnings are errors (github.com/python/cpython/issues/117995).
"""

import re
import sqlite3
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

_PARAMETER = re.compile(r"\?(\d*)")


@cache
def without_numbers(sql: str) -> tuple[str, tuple[int, ...] | None]:
    """Convert a statement's numbered parameters to positional ones.

    Args:
        sql: a statement whose only question marks are parameters.

    Returns:
        The statement, and for each of its parameters the index of the original one; None if it had no numbers.
    """
    order: list[int] = []
    last = 0
    for found in _PARAMETER.finditer(sql):
        # A parameter without a number follows the largest number so far.
        number = int(found[1]) if found[1] else last + 1
        last = max(last, number)
        order.append(number - 1)
    if not any(found[1] for found in _PARAMETER.finditer(sql)):
        return sql, None
    return _PARAMETER.sub("?", sql), tuple(order)


class PlainConnection(sqlite3.Connection):
    """A connection that binds numbered parameters as positional ones."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """See `sqlite3.Connection.execute`."""
        if parameters and not isinstance(parameters, dict):
            sql, order = without_numbers(sql)
            if order is not None:
                parameters = [parameters[place] for place in order]
        return super().execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
        """See `sqlite3.Connection.executemany`."""
        sql, order = without_numbers(sql)
        if order is not None:
            rows = ([row[place] for place in order] for row in rows)
        return super().executemany(sql, rows)


_CONNECTION = PlainConnection if (3, 12) <= sys.version_info[:3] < (3, 12, 4) else sqlite3.Connection


def connect(database: str | Path, **options: Any) -> sqlite3.Connection:
    """Call `sqlite3.connect` with support for numbered parameters on every Python version."""
    return sqlite3.connect(database, isolation_level=None, check_same_thread=False, factory=_CONNECTION, **options)
