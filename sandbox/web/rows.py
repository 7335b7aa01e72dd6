"""The rows of lists, each drawn once for as long as what it shows stays the same.

A list that is drawn anew, because one row of a hundred has changed, takes the others from memory. A row is a macro that
depends on nothing but its arguments, and `drawn(macro, key, *arguments)` stands for its call: nothing else in a
template differs, and no page can show what is out of date.
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
"""How many drawn rows an application keeps: a few megabytes."""


class JoinedLines(Extension):
    """Leaves out what stands between the lines of a row's template: a list has hundreds of rows, and a browser makes a
    node of each of these gaps."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """A template as it is to be read."""
        if name is None or not name.endswith("_row.html"):
            return source
        return "".join(line.strip() for line in source.splitlines())


def keep_rows(app: Flask) -> None:
    """Let the templates of an application draw rows from memory."""
    app.jinja_env.add_extension(JoinedLines)
    app.extensions["rows"] = Remembered[Markup](ROWS_MAX)
    app.jinja_env.globals.update(drawn=drawn)


def drawn(macro: Macro, key: Hashable, *values: object, kept: bool = True) -> Markup:
    """A row as its macro draws it.

    Args:
        macro: takes the values, and looks at nothing else. No two that draw rows have the same name.
        key: which row of the list it is.
        *values: what it shows; they are compared with those that it was drawn from last.
        kept: False to keep neither the row nor the values, which may be large.
    """
    memory = cast("Remembered[Markup]", current_app.extensions["rows"])
    weight = 1 if kept else ROWS_MAX + 1
    row = memory.get((macro.name, key), values, lambda: Markup(under_base(macro(*values).strip())), weight)
    if "rows" in g:
        g.rows.append(row)
    return row


def listen() -> list[str]:
    """The rows that this request draws from now on, in their order; more are added as they are drawn."""
    rows: list[str] = []
    g.rows = rows
    return rows
