"""The text of a query, as far as it must be understood: its words, its parameters, and the one order that is helped.

Only strings, quoted names, comments, numbers, parameters and words are told apart. What is right SQL, SQLite decides.
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
"""The most rows that `ordered_limit` helps with."""
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
    """One piece of a query.

    Attributes:
        kind: "string", "quoted", "parameter", "number", "word", "blob" or "mark".
        start: index of its first character.
    """

    kind: str
    text: str
    start: int

    @property
    def spelling(self) -> str:
        """What it names, if it is a word or a quoted name, or a string, which SQLite takes for a name where one must
        be: without quotes."""
        text = self.text
        if self.kind in ("quoted", "string") and len(text) > 1:
            quote = {"[": "]"}.get(text[0], text[0])
            text = text[1:-1] if text.endswith(quote) else text[1:]
            text = text.replace(quote * 2, quote)
        return text

    @property
    def name(self) -> str:
        """What it names, if it is a word or a quoted name: without quotes, in lower case."""
        return (self.text if self.kind == "string" else self.spelling).lower()


def tokens(sql: str) -> list[Token]:
    """The pieces of a query, without spaces and comments."""
    return [
        Token(found.lastgroup or "mark", found[0], found.start())
        for found in TOKEN.finditer(sql)
        if found.lastgroup not in ("space", "comment")
    ]


def parameters(sql: str) -> tuple[str, ...]:
    """The names of the parameters (`:name`), each once, in the order of the text."""
    names = (token.text[1:] for token in tokens(sql) if token.kind == "parameter" and token.text[0] != "?")
    return tuple(dict.fromkeys(names))


def has_questions(sql: str) -> bool:
    """True where a parameter has no name (`?`)."""
    return any(token.kind == "parameter" and token.text[0] == "?" for token in tokens(sql))


def ordered_limit(sql: str, view: str) -> tuple[int, bool] | None:
    """Whether a query asks for the first or last few events of a view by offset, and for nothing that needs more.

    Then a few rows of each partition are all that can come, which SQLite cannot see: an offset is worked out from the
    key of a row, so it would look at every event. Anything less than plain is left to SQLite.

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
    """True where a piece of the list of columns calls something else `offset`."""
    if token.name.strip("'") != "offset":
        return False
    return before.name == "as" or before.text == ")" or (before.kind != "mark" and before.name != "select")


def plain_index(found: list[Token], word: str) -> int:
    """Where a keyword stands among the pieces, -1 for nowhere."""
    return next((at for at, token in enumerate(found) if token.kind == "word" and token.name == word), -1)


_EQUALS = frozenset(("=", "==", "!=", "<>"))


def with_exact_numbers(sql: str) -> str:
    """A query whose numbers that SQLite would round are text, where they are compared for equality.

    A JSON number that neither 64 bits nor a double hold is text in SQL (`sandbox.model.json_values`), so only the same
    text equals it.
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
    """A number of SQL's, which may end or begin with its point, as one that JSON has."""
    return re.sub(r"\.(?!\d)", ".0", re.sub(r"(?<!\d)\.", "0.", text))


def _is_sign(found: list[Token], at: int) -> bool:
    """True for a minus that has nothing on its left to be subtracted from."""
    before = found[at - 1] if at else None
    return before is None or before.text in {*_EQUALS, "(", ","} or before.name in ("in", "is", "not")


def _is_compared(found: list[Token], first: int, last: int, lists: list[bool]) -> bool:
    """True for a number that is compared for equality with something, or is in a list of IN."""
    before = found[first - 1].text.lower() if first else ""
    after = found[last + 1].text.lower() if last + 1 < len(found) else ""
    listed = bool(lists) and lists[-1] and before in ("(", ",") and after in (")", ",")
    is_not = before == "not" and first > 1 and found[first - 2].name == "is"
    return listed or is_not or before in _EQUALS or before == "is" or after in _EQUALS


def value_of(text: str | None) -> object:
    """What a field stands for: nothing is NULL, digits are a number, all else is text, and so is what has 'quotes'."""
    text = (text or "").strip()
    if not text:
        return None
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    if INTEGER.fullmatch(text) or DECIMAL.fullmatch(text):
        # A number that SQLite would round stays text, as it is in a column of a JSON field.
        return number_cell(_as_json(text.removeprefix("+")))
    return text
