"""Formats JSON without converting its numbers: the output has the tokens of the stored text.

A value is parsed only to validate it. The formatted text is the original, token by token, so that `9007199254740993`,
`1.10` and duplicate names are preserved.
"""

import json
import re
from collections.abc import Iterator

from markupsafe import Markup, escape

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
HIGHLIGHT_MAX = 64 * 1024
"""Longer texts aren't highlighted: a span per token is too slow in a browser."""


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def json_error(text: str) -> str | None:
    """Return why a text is not valid JSON.

    Args:
        text: the text to check (RFC 8259; NaN and Infinity are refused).

    Returns:
        None if it is valid, else the reason with line and column.
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
    """Format a valid JSON text with two spaces per level, without changing its tokens."""
    return "".join(piece for _, piece in _laid_out(text))


def folded_markup(text: str) -> Markup:
    """Like `pretty_markup`, one element per line, and each object and array below the root as a `<details>` to fold."""
    lines: list[list[Markup]] = [[]]
    last = ""
    starts: list[str] = []
    for kind, piece in _laid_out(text):
        if kind == "" and piece.startswith("\n"):
            starts.append(last)
            lines.append([Markup("{}").format(piece[1:])])
            continue
        lines[-1].append(Markup('<span class="j{}">{}</span>').format(kind, piece) if kind in "ksnw" else escape(piece))
        last = piece
    starts.append(last)
    html: list[Markup] = []
    depth = 0
    for line, end in zip(lines, starts, strict=True):
        content = Markup("").join(line) + "\n"
        closes = line[1:2] in ([escape("}")], [escape("]")])
        if end in ("{", "[") and depth >= 1:
            html.append(
                Markup('<details open data-end="{}"><summary>{}</summary>').format("}" if end == "{" else "]", content)
            )
        else:
            html.append(Markup('<span class="line">{}</span>').format(content))
        depth += end in ("{", "[")
        if closes:
            depth -= 1
            if depth >= 1:
                html.append(Markup("</details>"))
    return Markup("").join(html)


def pretty_markup(text: str) -> Markup:
    """Like `pretty`, as safe HTML with a class per kind of token."""
    if len(text) > HIGHLIGHT_MAX:
        return escape(pretty(text))
    return Markup("").join(
        Markup('<span class="j{}">{}</span>').format(kind, piece) if kind in ("k", "s", "n", "w") else escape(piece)
        for kind, piece in _laid_out(text)
    )
