"""Splits a query into tokens, and finds its parameters and one common form that is accelerated (`ordered_limit`).

Only strings, quoted names, comments, numbers, parameters and words are distinguished. SQLite decides whether the SQL is
valid.
"""

import re
from dataclasses import dataclass

from sandbox.model.json_values import number_cell

TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<blob>[xX]'[0-9a-fA-F]*')
    |(?P<string>'(?:[^']|'')*'?)
    |(?P<quoted>"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?)
    |(?P<parameter>[:@$][^\W]\w*|\?\d*)
    |(?P<number>0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<word>[^\W\d]\w*)
    |(?P<mark>->>|->|\|\||<<|>>|<=|>=|==|!=|<>|.)""",
    re.VERBOSE | re.DOTALL,
)
INTEGER = re.compile(r"[+-]?\d{1,30}")
DECIMAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+)([eE][+-]?\d{1,3})?")
NEWEST_MAX = 10_000
"""The maximum number of rows for which `ordered_limit` applies."""
_COMPLEX = frozenset(
    (
        *("where", "join", "group", "having", "union", "intersect", "except", "distinct", "with", "values", "window"),
        *("over", "filter", "case", "exists", "in", "collate", "natural", "cross", "count", "sum", "avg", "min", "max"),
        *("total", "group_concat", "string_agg", "median", "percentile", "percentile_cont", "percentile_disc"),
        *("json_group_array", "json_group_object", "jsonb_group_array", "jsonb_group_object"),
    )
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a query.

    Attributes:
        kind: "string", "quoted", "parameter", "number", "word", "blob" or "mark".
        start: index of its first character.
    """

    kind: str
    text: str
    start: int

    @property
    def spelling(self) -> str:
        """The unquoted name of a word, a quoted name, or a string, which SQLite also accepts as a name."""
        text = self.text
        if self.kind in ("quoted", "string") and len(text) > 1:
            quote = {"[": "]"}.get(text[0], text[0])
            text = text[1:-1] if text.endswith(quote) else text[1:]
            text = text.replace(quote * 2, quote)
        return text

    @property
    def name(self) -> str:
        """The unquoted name of a word or a quoted name, in lower case."""
        return (self.text if self.kind == "string" else self.spelling).lower()


def quoted_name(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def tokens(sql: str) -> list[Token]:
    """Return the tokens of a query, without spaces and comments."""
    return [
        Token(found.lastgroup or "mark", found[0], found.start())
        for found in TOKEN.finditer(sql)
        if found.lastgroup not in ("space", "comment")
    ]


def parameters(sql: str) -> tuple[str, ...]:
    """Return the names of the parameters (`:name`) without duplicates, in the order of the text."""
    names = (token.text[1:] for token in tokens(sql) if token.kind == "parameter" and token.text[0] != "?")
    return tuple(dict.fromkeys(names))


def has_questions(sql: str) -> bool:
    """Return True if a parameter has no name (`?`)."""
    return any(token.kind == "parameter" and token.text[0] == "?" for token in tokens(sql))


def ordered_limit(sql: str, view: str) -> tuple[int, bool] | None:
    """Detect a query for only the first or last few events of a view by offset.

    Then a few rows of each partition are enough, which SQLite cannot detect: an offset is computed from a row's key, so
    it would read every event. SQLite handles any query that is less simple.

    Args:
        view: the name of the view, in lower case.

    Returns:
        How many rows of each partition are enough, and True for the last ones; None for any other query.
    """
    found = tokens(sql)
    while found and found[-1].text == ";":
        found.pop()
    words = [token.name if token.kind in ("word", "quoted") else token.text for token in found]
    plain = [token.name for token in found if token.kind == "word"]
    if plain.count("select") != 1 or plain.count("from") != 1 or _COMPLEX & set(words) or words[0] != "select":
        return None
    at = plain_index(found, "from")
    if words[at + 1 : at + 5] != [view, "order", "by", "offset"] or found[at + 4].kind not in ("word", "quoted"):
        return None
    if any(_names_offset(found[n - 1], found[n]) for n in range(1, at)):
        return None
    rest = words[at + 5 :]
    down = rest[:1] == ["desc"]
    if rest and rest[0] in ("asc", "desc"):
        rest = rest[1:]
    if rest[:2] == [",", "partition"]:
        rest = rest[3:] if rest[2:3] in (["asc"], ["desc"]) else rest[2:]
    if len(rest) not in (2, 4) or rest[0] != "limit" or not rest[1].isascii() or not rest[1].isdigit():
        return None
    if len(rest) == 4 and (rest[2] != "offset" or not rest[3].isascii() or not rest[3].isdigit()):
        return None
    rows = sum(int(number[:9]) for number in rest[1::2])
    return (rows, down) if rows <= NEWEST_MAX else None


def _names_offset(before: Token, token: Token) -> bool:
    """Return True if a token in the list of columns defines `offset` as another column's name."""
    if token.name.strip("'") != "offset":
        return False
    return before.name == "as" or before.text == ")" or (before.kind != "mark" and before.name != "select")


def plain_index(found: list[Token], word: str) -> int:
    """Return the index of a keyword among the tokens, -1 if it is missing."""
    return next((at for at, token in enumerate(found) if token.kind == "word" and token.name == word), -1)


_EQUALS = frozenset(("=", "==", "!=", "<>"))


def with_exact_numbers(sql: str) -> str:
    """Quote the numbers in a query that SQLite would round, if they are compared for equality.

    A JSON number that neither 64 bits nor a double can hold is text in SQL (`sandbox.model.json_values`), so only the
    same text equals it.
    """
    found = tokens(sql)
    changed: list[tuple[int, int, str]] = []
    lists: list[bool] = []
    for at, token in enumerate(found):
        before = found[at - 1] if at else None
        if token.text == "(":
            lists.append(before is not None and before.name == "in")
        elif token.text == ")" and lists:
            lists.pop()
        elif token.kind == "number" and token.text[:2].lower() != "0x":
            signed = before is not None and before.text == "-" and _is_sign(found, at - 1)
            text = "-" * signed + token.text
            if isinstance(number_cell(_as_json(text)), str) and _is_compared(found, at - signed, at, lists):
                start = found[at - 1].start if signed else token.start
                changed.append((start, token.start + len(token.text), f"'{text}'"))
    for start, end, text in reversed(changed):
        sql = sql[:start] + text + sql[end:]
    return sql


def _as_json(text: str) -> str:
    """Convert an SQL number, which may begin or end with its point, to a JSON number."""
    return re.sub(r"\.(?!\d)", ".0", re.sub(r"(?<!\d)\.", "0.", text))


def _is_sign(found: list[Token], at: int) -> bool:
    """Return True for a minus that is a sign, not a subtraction."""
    before = found[at - 1] if at else None
    return before is None or before.text in {*_EQUALS, "(", ","} or before.name in ("in", "is", "not")


def _is_compared(found: list[Token], first: int, last: int, lists: list[bool]) -> bool:
    """Return True for a number that is compared for equality, or is in a list of IN."""
    before = found[first - 1].text.lower() if first else ""
    after = found[last + 1].text.lower() if last + 1 < len(found) else ""
    listed = bool(lists) and lists[-1] and before in ("(", ",") and after in (")", ",")
    is_not = before == "not" and first > 1 and found[first - 2].name == "is"
    return listed or is_not or before in _EQUALS or before == "is" or after in _EQUALS


def value_of(text: str | None) -> object:
    """Convert a field's text: nothing is NULL, digits are a number, anything else and 'quoted' text is text."""
    text = (text or "").strip()
    if not text:
        return None
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    if INTEGER.fullmatch(text) or DECIMAL.fullmatch(text):
        # A number that SQLite would round stays text, as in a column of a JSON field.
        return number_cell(_as_json(text.removeprefix("+")))
    return text
