"""Writes lossless CSV, and a variant of it for spreadsheets.

RFC 4180, with PostgreSQL's rule for nulls: an empty field without quotes is null, `""` is empty text. Text that looks
like a number, true, false or null is quoted; those values themselves are not. Lists and objects are JSON. Bytes that
are not UTF-8 are base64; an additional column, such as `value_encoding`, names the encoding of each field.
"""

import base64
import json
import re
from collections.abc import Iterable, Sequence

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
ENCODING = "_encoding"
_NEEDS_QUOTES = re.compile(
    r'[",\r\n]|^\s|\s$|^$|^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?$|^(?:true|false|null|-?inf|nan)$', re.IGNORECASE
)
_SPECIAL = re.compile(r'[",\r\n]')
_BLANKS = ("\t", "\r", "\n")
_FORMULA = re.compile("(^|[;\t\r\n])([\"' ]*)(?=[=+\\-@\uff1d\uff0b\uff0d\uff20])")
"""Where a spreadsheet may detect a formula: at the start of a cell, or after `;` or a tab, which separate cells in some
languages. The signs have full-width forms.
"""


class Json(str):
    """A JSON number, true, false or null as it was written. It is not text, and is not quoted."""

    __slots__ = ()


def csv_text(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, excel: bool = False, end: str = "\r\n"
) -> str:
    """Write a table.

    Args:
        columns: their names.
        rows: text, numbers, booleans, None, `Json`, bytes (as base64), lists and objects (as JSON).
        excel: make it safe for spreadsheets: an apostrophe precedes text that they would run as a formula, and a byte
            order mark marks it as UTF-8. The original values cannot be restored exactly.
        end: the line ending.
    """
    lines = (_line(row, excel) + end for row in (columns, *rows))
    return (BOM if excel else "") + "".join(lines)


def _line(row: Sequence[object], excel: bool) -> str:
    return ",".join(_field(cell, excel) for cell in row)


def _field(cell: object, excel: bool) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, bytes):
        cell = base64.b64encode(cell).decode()
    elif isinstance(cell, (list, tuple, dict)):
        cell = json.dumps(cell, ensure_ascii=False)
    elif isinstance(cell, (int, float)):
        return str(cell)
    text = str(cell)
    number = isinstance(cell, Json) and text[:1] in "-0123456789"
    if excel and not number:
        text = _FORMULA.sub(r"\1\2'", text)
        text = "'" + text if text[:1] in _BLANKS else text
    quoted = _SPECIAL if isinstance(cell, Json) else _NEEDS_QUOTES
    return '"' + text.replace('"', '""') + '"' if quoted.search(text) else text


def encoding_of(cell: object) -> str:
    """Return the encoding of a field, for the column beside it: "text", "base64", "number" or "null"."""
    if cell is None:
        return "null"
    return "base64" if isinstance(cell, bytes) else "text" if isinstance(cell, str) else "number"


def with_encodings(
    columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> tuple[list[str], list[tuple[object, ...]]]:
    """Add a column at the end of a table for each column that has bytes.

    Args:
        columns: their names.
        rows: the values; bytes only if they are not UTF-8.
    """
    mixed = [at for at in range(len(columns)) if any(isinstance(row[at], bytes) for row in rows)]
    names = [*columns, *(columns[at] + ENCODING for at in mixed)]
    return names, [(*row, *(encoding_of(row[at]) for at in mixed)) for row in rows]
