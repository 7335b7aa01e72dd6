"""JSON made readable without ever becoming numbers of this program: what is shown is the text that was stored.

A value is parsed only to know whether it is JSON. What is laid out is its own text, token by token, so that
`9007199254740993` and `1.10` and a repeated name stay as they are.
"""

import json
import re
from collections.abc import Iterator

from markupsafe import Markup, escape

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
HIGHLIGHT_MAX = 64 * 1024
"""Longer texts are laid out without colours: a span for each token costs the browser more than it tells."""


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def json_error(text: str) -> str | None:
    """Say why a text is not JSON.

    Args:
        text: what may be JSON (RFC 8259; NaN and Infinity are refused).

    Returns:
        None where it is JSON, else the reason with line and column.
    """
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return f"{error.msg} (line {error.lineno}, column {error.colno})"
    except ValueError as error:
        return str(error)
    except RecursionError:
        return "nested too deeply"
    return None


def _laid_out(text: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) pieces of a valid JSON text, with line breaks and indents between them."""
    depth = 0
    tokens = TOKEN.findall(text)
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else ""
        previous = tokens[index - 1] if index else ""
        if token in "{[":
            depth += 1
            yield "p", token
            if following not in ("}", "]"):
                yield "", "\n" + "  " * depth
        elif token in "}]":
            depth -= 1
            if previous not in ("{", "["):
                yield "", "\n" + "  " * depth
            yield "p", token
        elif token == ",":
            yield "p", token
            yield "", "\n" + "  " * depth
        elif token == ":":
            yield "p", ": "
        elif token.startswith('"'):
            yield ("k" if following == ":" else "s"), token
        else:
            yield ("n" if token[0] in "-0123456789" else "w"), token


def pretty(text: str) -> str:
    """Lay out a valid JSON text with two spaces per level; every token stays as written."""
    return "".join(piece for _, piece in _laid_out(text))


def pretty_markup(text: str) -> Markup:
    """As `pretty`, as safe HTML with a class for each kind of token."""
    if len(text) > HIGHLIGHT_MAX:
        return escape(pretty(text))
    return Markup("").join(
        Markup('<span class="j{}">{}</span>').format(kind, piece) if kind in ("k", "s", "n", "w") else escape(piece)
        for kind, piece in _laid_out(text)
    )
