"""Renders the rows of lists, and caches each row until its values change.

If one row of a hundred has changed, the others come from the cache. A row is a macro that depends only on its
arguments, and a template calls `drawn(macro, key, *arguments)` instead of the macro: no other code is needed, and a row
can't be stale.
"""

from collections.abc import Hashable
from typing import cast

from flask import Flask, current_app, g
from jinja2.ext import Extension
from jinja2.runtime import Macro
from markupsafe import Markup

from sandbox.model.latest_cache import Remembered
from sandbox.web.proxied import under_base

ROWS_MAX = 5_000
"""How many rendered rows an application caches: a few megabytes."""


class JoinedLines(Extension):
    """Removes the whitespace between the lines of a row's template: a list has hundreds of rows, and a browser would
    create a node for each gap.
    """

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return a template's source for the parser."""
        if name is None or not name.endswith("_row.html"):
            return source
        return "".join(line.strip() for line in source.splitlines())


def keep_rows(app: Flask) -> None:
    """Enable cached rows in an application's templates."""
    app.jinja_env.add_extension(JoinedLines)
    app.extensions["rows"] = Remembered[Markup](ROWS_MAX)
    app.jinja_env.globals.update(drawn=drawn)


def drawn(macro: Macro, key: Hashable, *values: object, kept: bool = True) -> Markup:
    """Return a row as its macro renders it.

    Args:
        macro: depends only on the values. Macros that render rows have different names.
        key: identifies the row in the list.
        *values: the macro's arguments; the cached row is used if they are equal to the previous ones.
        kept: False to cache neither the row nor the values, which may be large.
    """
    memory = cast("Remembered[Markup]", current_app.extensions["rows"])
    weight = 1 if kept else ROWS_MAX + 1
    row = memory.get((macro.name, key), values, lambda: Markup(under_base(macro(*values).strip())), weight)
    if "rows" in g:
        g.rows.append(row)
    return row


def listen() -> list[str]:
    """Return a list of the rows that this request renders from now on, in order; it grows while they are rendered."""
    rows: list[str] = []
    g.rows = rows
    return rows
