"""Classifies and formats the bytes of a key, a value or a header.

null, empty and missing are different. Bytes that are not UTF-8 are shown in hex, with the reason.
"""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

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


SHOWN_MAX = 64 * 1024
"""Characters of a value (bytes, in hex) that are shown before *show all*."""
HEX_MAX = 4096
FOLDED_MAX = 64 * 1024
"""Longer JSON can't be folded: an element per line is too slow in a browser."""
CONTROL_PICTURES = {code: 0x2400 + code for code in range(32) if code not in (9, 10)} | {127: 0x2421}


@dataclass(frozen=True, slots=True)
class Payload:
    """A readable description of some bytes.

    Attributes:
        kind: "null", "empty", "json", "text" or "bytes".
        size_bytes: the length.
        preview: one line for a table.
        reason: for "bytes": why it is not text, and what it looks like; else None.
        control: True if the text contains control characters, which are replaced by visible symbols.
    """

    kind: str
    size_bytes: int
    preview: str
    reason: str | None = None
    control: bool = False


def json_value(data: bytes | None) -> object:
    """Bytes as JSON: null for None, a string if they are UTF-8, else `{"base64": ...}`."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def header_name(name: str) -> bytes:
    """Return the bytes of a header's name; an `Event` stores it decoded with `surrogateescape`."""
    return name.encode("utf-8", "surrogateescape")


def visible(text: str) -> str:
    """Replace control characters, which a browser would drop, with visible symbols."""
    return text.translate(CONTROL_PICTURES)


def _undecodable(data: bytes, error: UnicodeDecodeError) -> str:
    reason = f"not UTF-8: byte 0x{data[error.start]:02x} at position {error.start} ({error.reason})"
    if len(data) > 5 and data[0] == 0:
        reason += f"; may be framed by a schema registry, schema id {int.from_bytes(data[1:5], 'big')}"
    return reason


def _line(text: str, length: int) -> str:
    head = " ".join(text[: length * 2].split())
    return visible(head if len(head) <= length and len(text) <= length * 2 else head[:length] + "…")


def describe(data: bytes | None, length: int = 140) -> Payload:
    """Classify the bytes.

    Args:
        data: the bytes, or None for null.
        length: maximum characters of the preview.
    """
    if data is None:
        return Payload("null", 0, "null")
    if data == b"":
        return Payload("empty", 0, "empty")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        head = data[: length // 3].hex(" ")
        return Payload("bytes", len(data), head + (" …" if len(data) > length // 3 else ""), _undecodable(data, error))
    looks = text.lstrip()[:1] in ("{", "[")
    control = any(code in text for code in map(chr, CONTROL_PICTURES))
    return Payload("json" if looks else "text", len(data), _line(text, length), None, control)


def hex_dump(data: bytes, limit: int | None = HEX_MAX) -> str:
    """Return lines with the offset, sixteen bytes and their ASCII characters.

    Args:
        limit: maximum number of bytes; None for all.
    """
    lines = []
    shown = data if limit is None else data[:limit]
    for start in range(0, len(shown), 16):
        row = shown[start : start + 16]
        left, right = row[:8].hex(" "), row[8:].hex(" ")
        ascii_text = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in row)
        lines.append(f"{start:08x}  {left:<23}  {right:<23}  {ascii_text}")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class PayloadView:
    """Some bytes in one of the three views.

    Attributes:
        view: the view that is shown, "pretty", "raw" or "hex"; it may differ from the requested one.
        body: safe HTML for an element that keeps white space.
        folds: True if the body has objects or arrays to fold.
        cut: how many characters (bytes, in hex) were left out.
        note: a sentence about the content, or None.
        broken: True if it looks like JSON but is invalid.
    """

    view: str
    body: Markup
    cut: int
    note: str | None
    broken: bool = False
    folds: bool = False


def show(data: bytes, view: str = "pretty", *, whole: bool = False) -> PayloadView:
    """Format the bytes.

    Args:
        view: "pretty" (formatted JSON, other text unchanged), "raw" or "hex".
        whole: True to show all of a long value.
    """
    payload = describe(data)
    if view == "hex" or payload.kind == "bytes":
        limit = None if whole else HEX_MAX
        cut = 0 if whole else max(0, len(data) - HEX_MAX)
        return PayloadView("hex", escape(hex_dump(data, limit)), cut, payload.reason)
    text = data.decode()
    notes = []
    if payload.control:
        notes.append("control characters are shown as symbols; the download has the exact bytes")
    cut = 0 if whole else max(0, len(text) - SHOWN_MAX)
    if view == "raw":
        return PayloadView("raw", escape(visible(text[: len(text) - cut])), cut, _sentence(notes))
    error = json_error(text) if payload.kind == "json" else "not JSON"
    if error is None and not cut:
        folds = text.count("{") + text.count("[") > 1 and len(text) <= FOLDED_MAX
        body = folded_markup(text) if folds else pretty_markup(text)
        return PayloadView("pretty", body, 0, _sentence(notes), folds="<details" in body)
    broken = error is not None and payload.kind == "json"
    if broken:
        notes.append(f"looks like JSON, but is not: {error}")
    elif error is None:
        notes.append("too large to format; shown raw")
    return PayloadView("pretty", escape(visible(text[: len(text) - cut])), cut, _sentence(notes), broken)


def _sentence(notes: list[str]) -> str | None:
    return "; ".join(notes) or None
