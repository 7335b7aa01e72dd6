"""The rows of lists, each drawn once for as long as what it shows stays the same.

A list that is drawn anew, because one row of a hundred has changed, takes the others from memory. A row is a macro that
depends on nothing but its arguments, and `drawn(macro, key, *arguments)` stands for its call: nothing else in a
template differs, and no page can show what is out of date.
"""

from collections.abc import Hashable
from typing import cast

from flask import Flask, current_app, g
from jinja2.runtime import Macro
from markupsafe import Markup

from sandbox.remembered import Remembered

ROWS_MAX = 2_000
"""How many drawn rows an application keeps: a few megabytes."""


def keep_rows(app: Flask) -> None:
    """Let the templates of an application draw rows from memory."""
    app.extensions["rows"] = Remembered[Markup](ROWS_MAX)
    app.jinja_env.globals.update(drawn=drawn)


def drawn(macro: Macro, key: Hashable, *values: object) -> Markup:
    """A row as its macro draws it.

    Args:
        macro: takes the values, and looks at nothing else. No two that draw rows have the same name.
        key: which row of the list it is.
        *values: what it shows; they are compared with those that it was drawn from last.
    """
    kept = cast("Remembered[Markup]", current_app.extensions["rows"])
    row = kept.get((macro.name, key), values, lambda: Markup(macro(*values).strip()))
    if "rows" in g:
        g.rows.append(row)
    return row


def listen() -> list[str]:
    """The rows that this request draws from now on, in their order; more are added as they are drawn."""
    rows: list[str] = []
    g.rows = rows
    return rows
