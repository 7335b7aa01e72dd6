"""Renders the rows of lists, and caches each row until its values change.

If one row of a hundred has changed, the others come from the cache. A row is a macro that depends only on its
arguments, and a template calls `drawn(macro, key, *arguments)` instead of the macro: no other code is needed, and a row
can't be stale.
"""

import re
import secrets
from collections.abc import Hashable, Iterator
from typing import cast

from flask import Flask, current_app, g
from jinja2.ext import Extension
from jinja2.runtime import Macro
from markupsafe import Markup

from sandbox.model.latest_cache import Remembered
from sandbox.web.proxied import under_base
from sandbox.web.zone import chosen

ROWS_MAX = 5_000
"""How many rendered rows an application caches: a few megabytes."""


class JoinedLines(Extension):
    """Removes the whitespace between the tags of a row's template: a list has hundreds of rows, and a browser would
    create a node for each gap. A line that begins with neither a tag nor a statement continues the one before it.
    """

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return a template's source for the parser."""
        if name is None or not name.endswith("_row.html"):
            return source
        lines = (line.strip() for line in source.splitlines())
        return "".join(line if line.startswith(("<", "{")) else f" {line}" for line in lines if line)


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
    row = memory.get((macro.name, chosen(), key), values, lambda: Markup(under_base(macro(*values).strip())), weight)
    return g.rows.place(row) if "rows" in g else row


class DrawnRows:
    """The rows of a view that is rendered for open tabs. In the HTML a mark stands for each row, until it is split.

    A mark has a random part, so that no stored text can be taken for one.
    """

    def __init__(self) -> None:
        self._rows: list[Markup] = []
        self._mark = secrets.token_hex(8)

    def place(self, row: Markup) -> Markup:
        """Keep a row, and return the mark that stands for it."""
        self._rows.append(row)
        return Markup(f"<!--{self._mark} {len(self._rows) - 1}-->")

    def split(self, html: str) -> Iterator[tuple[str, str]]:
        """Yield the text before each row, with that row, and at last the text after all of them, with ""."""
        parts = re.split(f"<!--{self._mark} ([0-9]+)-->", html)
        for text, index in zip(parts[::2], parts[1::2], strict=False):
            yield text, str(self._rows[int(index)])
        yield parts[-1], ""


def keep_pieces() -> None:
    """Keep the rows that this request renders from now on apart from the rest of its HTML."""
    g.rows = DrawnRows()
