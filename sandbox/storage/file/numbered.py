"""Parameters with numbers (`?1`) for Pythons that cannot have them.

Python 3.12.0 to 3.12.3 take them for named ones, and warn at every binding that a sequence will not do for these: half
of the time of an append went there, and where warnings are errors it failed (github.com/python/cpython/issues/117995).
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
    """A statement with nameless parameters alone.

    Args:
        sql: has no question mark but those of parameters.

    Returns:
        It, and which of the former parameters each of its own is; None where it had no numbers.
    """
    order: list[int] = []
    last = 0
    for found in _PARAMETER.finditer(sql):
        # A nameless one comes after the largest so far.
        number = int(found[1]) if found[1] else last + 1
        last = max(last, number)
        order.append(number - 1)
    if not any(found[1] for found in _PARAMETER.finditer(sql)):
        return sql, None
    return _PARAMETER.sub("?", sql), tuple(order)


class PlainConnection(sqlite3.Connection):
    """A connection that binds numbered parameters as nameless ones."""

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
    """`sqlite3.connect` for statements with numbered parameters, whatever Python runs them."""
    return sqlite3.connect(database, isolation_level=None, check_same_thread=False, factory=_CONNECTION, **options)
