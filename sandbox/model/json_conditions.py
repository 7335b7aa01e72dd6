"""Parses conditions on the JSON in a value and on headers, and tests them on bytes.

A condition is written as `$.amount >= 100`. `sandbox.model.json_values` defines JSON values: numbers are compared by
their exact decimal value, so that 9007199254740993 is not 9007199254740992 and 1.10 equals 1.1.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Headers
from sandbox.model.json_values import MISSING, Number, decimal_of, json_text, parse_value
from sandbox.model.json_values import shown_text as shown_text

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "contains", "exists")
ORDERED = ("<", "<=", ">", ">=")
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
LITERALS = ("true", "false", "null")

_SPELLINGS = {"==": "=", "===": "=", "<>": "!=", "!==": "!=", "≠": "!=", "≤": "<=", "≥": ">="}
_REVERSED = {"=>": ">=", "=<": "<=", "=!": "!=", "><": "!=", "!": "!="}
_PATTERNS = ("=~", "~=", "~", "!~")
_WORDS = {
    "like": "contains",
    "ilike": "contains",
    "matches": "contains",
    "includes": "contains",
    "has": "contains",
    "startswith": "contains",
    "endswith": "contains",
    "is": "=",
    "eq": "=",
    "equals": "=",
    "ne": "!=",
    "lt": "<",
    "lte": "<=",
    "le": "<=",
    "gt": ">",
    "gte": ">=",
    "ge": ">=",
    "exist": "exists",
}
_NULLS = ("null", "none", "nil", "undefined")
_QUOTES = {"'": "'", "‘": "’", "“": "”", "”": "”", "„": "“", "«": "»", "`": "`"}
_CONNECTED = re.compile(r"&&|\|\||\b(?:and|or)\s+(?:not\s+)?(?:\$|\(|[\w.]+\s*(?:[=<>!]|contains\b|exists\b))", re.I)
_OPERATOR_FIRST = re.compile(r"[=<>!~]+(?=\s|-?[\d.]|[\"'])")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:[,_' ]\d{3})+(?:\.\d+)?")
_SLOPPY_NUMBER = re.compile(r"[+-]?(?:\.\d+|\d+\.)|-?\d+(?:\.\d+)?[;,]")
_WITH_UNIT = re.compile(r"[+-]?\d[\d.]*\s?[A-Za-zµ%€$£]+|[$€£]\s?\d[\d.,]*|\+\d[\d.]*|0[xX][0-9A-Fa-f]+")
_PATTERN = re.compile(r"/.*[\\^$*+?()|\[].*/[a-z]*|\*?[\w .-]*\w\*|%.+%")


def operator_of(text: str, path: str, operand: str) -> str:
    """Return one of `OPERATORS` for an operator as it was written: `==`, `<>`, `≤` and `CONTAINS` are unambiguous.

    Args:
        text: the operator.
        path: the path before it.
        operand: the text after it, for the error.

    Raises:
        BrokerError: INVALID_REQUEST with the form that works.
    """
    found = _SPELLINGS.get(text, text.lower())
    if found in OPERATORS:
        return found
    if found in _REVERSED:
        quoted = f" For text that begins with {text[1:]}, write it in quotes." if len(text) > 1 and operand else ""
        raise _refused(text, _form(path, _REVERSED[found], operand), quoted)
    if found in _PATTERNS:
        raise _refused(text, _form(path, "contains", operand), " There are no regular expressions.")
    if found in _WORDS:
        raise _refused(text, _form(path, _WORDS[found], operand))
    raise BrokerError("INVALID_REQUEST", f"An operator is one of {', '.join(OPERATORS)}, not {text!r}.")


def word_refused(path: str, rest: str) -> BrokerError | None:
    """Return the error for a word after a path that is not an operator, such as `like`; None if the word is unknown.

    Args:
        path: the condition's path.
        rest: everything after it.
    """
    words = rest.split()
    if not words:
        return None
    low = [word.lower() for word in words]
    if low[0] in ("is", "is_null") or low[:2] == ["not", "null"]:
        operator = "!=" if "not" in low else "="
        operand = next((word for word in words[1:] if word.lower() != "not"), "null")
        return _refused(" ".join(words[:-1]) or words[0], _form(path, operator, _literal(operand)))
    if low[0] == "not":
        return BrokerError("INVALID_REQUEST", f"There is no 'not': use !=, as in {path} != 100.")
    if low[0] in ("in", "between"):
        form = f"{path} >= 1 and a second condition {path} <= 9" if low[0] == "between" else f"{path} = 1"
        return BrokerError("INVALID_REQUEST", f"There is no {words[0]!r}: write {form}.")
    if low[0] in _WORDS:
        return _refused(words[0], _form(path, _WORDS[low[0]], " ".join(words[1:]).strip("%*")))
    return None


def check_operand(path: str, operator: str, operand: str) -> None:
    """Check the operand of a condition.

    Args:
        path: the condition's path.
        operator: one of `OPERATORS`.
        operand: as it was typed, without spaces around it.

    Raises:
        BrokerError: INVALID_REQUEST with the form that works.
    """
    if operator == "exists":
        if operand:
            raise BrokerError("INVALID_REQUEST", f"'exists' compares with nothing: write {path} exists.")
        return
    if not operand:
        raise BrokerError(
            "INVALID_REQUEST",
            f'Write what {path} is compared with, as in {path} {operator} 100. For empty text write "".',
        )
    if is_quoted(operand):
        return
    if (several := _CONNECTED.search(operand)) is not None:
        word = several[0].split()[0]
        raise BrokerError(
            "INVALID_REQUEST",
            f"One condition compares one path; {word!r} does not join two. Add each as a condition: an event is shown "
            f"if all of them hold. For text with {word!r} in it, write it in double quotes.",
        )
    _check_quotes(path, operator, operand)
    if operand.startswith(("$.", "$[")):
        raise BrokerError(
            "INVALID_REQUEST",
            f"A path is compared with a fixed value, not with another path. For the text {operand} write "
            f"{_form(path, operator, _quoted(operand))}.",
        )
    if operator != "contains":
        _check_plain(path, operator, operand)
    if _PATTERN.fullmatch(operand):
        core = operand.strip("/%*").strip("^$.*") or operand
        raise _refused(operand, _form(path, "contains", core), " There are no patterns." + _or_text(operand))


def is_quoted(operand: str) -> bool:
    """Return True for JSON text in double quotes."""
    if len(operand) < 2 or operand[0] != '"' or operand[-1] != '"':
        return False
    try:
        return isinstance(json.loads(operand), str)
    except ValueError:
        return False


def _check_quotes(path: str, operator: str, operand: str) -> None:
    first, last = operand[0], operand[-1]
    if first == '"' or last == '"':
        inner = operand.strip('"')
        plain, whole = (_form(path, operator, _quoted(text)) for text in (inner, operand))
        raise BrokerError(
            "INVALID_REQUEST",
            f"The quotes in {operand} do not match: for the text {inner}, write {plain}. For text with quotes in it, "
            f"write {whole}.",
        )
    if first in _QUOTES:
        inner = operand[1:-1] if len(operand) > 1 and last in (_QUOTES[first], first) else operand[1:]
        raise BrokerError(
            "INVALID_REQUEST",
            f"Text is written in double quotes: {_form(path, operator, _quoted(inner))}. For text that has the quotes "
            f"{first} in it, write {_form(path, operator, _quoted(operand))}.",
        )


def _check_plain(path: str, operator: str, operand: str) -> None:
    """Check a number or a word that is compared as a whole."""
    low = operand.lower()
    if (low in LITERALS or low in _NULLS) and operand not in LITERALS:
        raise _refused(operand, _form(path, operator, _literal(operand)), _or_text(operand))
    if operator in ORDERED and operand in LITERALS:
        raise _refused(f"{operator} {operand}", _form(path, "=", operand), f" {operand} is neither less nor greater.")
    if (sign := _OPERATOR_FIRST.match(operand)) is not None:
        rest = operand[sign.end() :].strip()
        joined = _SPELLINGS.get(operator + sign[0], _REVERSED.get(operator + sign[0], operator + sign[0]))
        right = joined if joined in OPERATORS else operator
        raise _refused(f"{operator} {sign[0]}", _form(path, right, rest), _or_text(operand))
    if _GROUPED.fullmatch(operand):
        raise _refused(operand, _form(path, operator, re.sub(r"[,_' ]", "", operand.lstrip("+"))), _or_text(operand))
    if _SLOPPY_NUMBER.fullmatch(operand):
        plain = operand.lstrip("+").rstrip(".;,")
        plain = re.sub(r"^(-?)\.", r"\g<1>0.", plain)
        raise _refused(operand, _form(path, operator, plain), _or_text(operand))
    if operator in ORDERED and _WITH_UNIT.fullmatch(operand):
        plain = str(int(operand, 16)) if low.startswith("0x") else re.sub(r"[^\d.-]", "", operand)
        why = " A number has no unit, prefix or sign +."
        raise _refused(operand, _form(path, operator, plain), why + _or_text(operand))


def _literal(word: str) -> str:
    low = word.lower()
    return "null" if low in _NULLS else low if low in LITERALS else word


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _or_text(operand: str) -> str:
    return f" For the text {operand}, write {_quoted(operand)}."


def _form(path: str, operator: str, operand: str) -> str:
    return f"{path} {operator}" if operator == "exists" else f"{path} {operator} {operand or 100}"


def _refused(written: str, form: str, more: str = "") -> BrokerError:
    return BrokerError("INVALID_REQUEST", f"{written!r} finds nothing here: write {form}.{more}")


OPERATION = re.compile(r"\s*([=!<>~≠≤≥]+)\s*(.*)|\s+(contains|exists)(?:\s+(.*))?", re.DOTALL | re.IGNORECASE)
STEP = re.compile(r'\.([^\s.\[\]"=<>!~≠≤≥]+)|\[(\d{1,9})\]|\[("(?:[^"\\]|\\.)*")\]')
PLAIN_NAME = re.compile(r"[^\W\d][\w-]*")
PATH_HINT = 'write a path as $.amount, $.items[0].id or $["a name"]'
TEXT_MAX = 1000

Step = str | int


@dataclass(frozen=True, slots=True)
class HeaderName:
    """A header, by its name; written as `header name`."""

    name: str

    @classmethod
    def parse(cls, text: str) -> "HeaderName | None":
        """Parse `header name`; None for any other text."""
        word, space, name = text.partition(" ")
        return cls(name) if word == "header" and space and 0 < len(name) <= TEXT_MAX else None

    def __str__(self) -> str:
        return f"header {self.name}"

    @property
    def label(self) -> str:
        """The name of its column."""
        return self.name


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A place in a JSON value: names and array indexes, from the root.

    Attributes:
        steps: a name (str) or an index (int, from 0) each.
    """

    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str) -> "JsonPath":
        """Parse a path.

        Args:
            text: `$`, then any number of `.name`, `["any name"]` or `[0]`. `mag` means `$.mag`, and `[0]` means `$[0]`.

        Raises:
            BrokerError: INVALID_REQUEST with the position of the mistake.
        """
        typed, text = text.strip(), from_root(text.strip())
        steps: list[Step] = []
        at = 1
        while at < len(text):
            found = STEP.match(text, at)
            if found is None:
                meant = "$." + text[1:]
                hint = f"write {_short(meant)}" if at == 1 and STEP.match(meant, 1) else PATH_HINT
                raise BrokerError(
                    "INVALID_REQUEST", f"The path {_short(typed)} goes wrong at {_short(text[at:])}: {hint}."
                )
            at = found.end()
            if found[2] is not None:
                steps.append(int(found[2]))
            else:
                steps.append(found[1] if found[1] is not None else _name(text, found[3]))
        return cls(tuple(steps))

    def __str__(self) -> str:
        shown = ["$"]
        for step in self.steps:
            if isinstance(step, int):
                shown.append(f"[{step}]")
            elif PLAIN_NAME.fullmatch(step):
                shown.append(f".{step}")
            else:
                shown.append(f"[{json.dumps(step, ensure_ascii=False)}]")
        return "".join(shown)

    @property
    def label(self) -> str:
        """The name of its column: the path without its `$.`."""
        return str(self).removeprefix("$.")

    def find(self, root: Any) -> Any:
        """Return the value at the path in a parsed value; MISSING if there is none."""
        node = root
        for step in self.steps:
            if isinstance(step, int):
                if not isinstance(node, list) or step >= len(node):
                    return MISSING
                node = node[step]
            elif isinstance(node, dict) and step in node:
                node = node[step]
            else:
                return MISSING
        return node


def from_root(text: str) -> str:
    """Return a path, or a condition that begins with one, with the `$` that may be left out before it."""
    if not text or text.startswith("$"):
        return text
    return ("$" if text[0] in ".[" else "$.") + text


def _name(path: str, quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        raise BrokerError(
            "INVALID_REQUEST", f"The path {_short(path)} has a name that is no JSON text: {_short(quoted)}."
        ) from None


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")


@lru_cache(256)
def _operand(typed: str) -> tuple[str, bool, Decimal | None]:
    """Return an operand's text, whether it was quoted, and its exact value if it is a number."""
    if is_quoted(typed):
        return str(json.loads(typed)), True, None
    return typed, False, decimal_of(typed) if NUMBER.fullmatch(typed) else None


def _same(left: Any, right: Any) -> bool:
    """Return whether two parsed values are the same JSON: names in any order, numbers by their value."""
    pairs = [(left, right)]
    while pairs:
        left, right = pairs.pop()
        if type(left) is not type(right):
            return False
        if isinstance(left, dict):
            if left.keys() != right.keys():
                return False
            pairs.extend((one, right[name]) for name, one in left.items())
        elif isinstance(left, list):
            if len(left) != len(right):
                return False
            pairs.extend(zip(left, right, strict=True))
        elif isinstance(left, Number):
            # Two numbers beyond decimals are the same only if they are written alike.
            if left != right and (left.exact() is None or left.exact() != right.exact()):
                return False
        elif left != right:
            return False
    return True


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on the JSON in a value.

    Attributes:
        path: the place in the value.
        operator: one of `OPERATORS`.
        operand: the value to compare with, as it was typed. In quotes it is only text; a number is compared with
            numbers and with text that is a number; anything else is compared with text, true, false and null.
    """

    path: JsonPath
    operator: str
    operand: str

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Parse a condition: `$.amount >= 100`, `$.tags contains red`, `$.note exists`. `amount` means `$.amount`.

        Raises:
            BrokerError: INVALID_REQUEST with the reason.
        """
        typed, text = text.strip(), from_root(text.strip())
        at = 1
        while len(text) <= TEXT_MAX and (step := STEP.match(text, at)):
            at = step.end()
        found = OPERATION.fullmatch(text, at) if len(text) <= TEXT_MAX else None
        if found is None:
            # If the path is wrong, its own error shows the position.
            written, *after = re.split(r"(?=[\s=<>!~≠≤≥])", text[:TEXT_MAX], maxsplit=1)
            JsonPath.parse(written or "$")
            raise word_refused(written, "".join(after)) or BrokerError(
                "INVALID_REQUEST",
                f"{_short(typed)} is no condition: write it as $.amount >= 100, with one of {', '.join(OPERATORS)}.",
            )
        symbol, operand, word, rest = found.groups()
        return cls.of(text[:at], symbol or word, (operand if symbol else rest) or "")

    @classmethod
    def of(cls, path: str, operator: str, operand: str) -> "Condition":
        """Create a condition from its parts.

        Raises:
            BrokerError: INVALID_REQUEST for an invalid path or operator, or a missing or certainly mistaken operand;
                the message has the form that works.
        """
        place, operand = JsonPath.parse(path), operand.strip()
        operator = operator_of(operator, str(place), operand)
        check_operand(str(place), operator, operand)
        return cls(place, operator, operand)

    def __str__(self) -> str:
        return f"{self.path} {self.operator} {self.operand}".strip()

    def holds(self, root: Any) -> bool:
        """Return whether a parsed value meets it. If the path finds nothing, no condition holds, not even `!=`."""
        found = self.path.find(root)
        if found is MISSING:
            return False
        if self.operator == "exists":
            return True
        if self.operator == "contains":
            return self._contained(found)
        if self.operator in ("=", "!="):
            return self._equal(found) == (self.operator == "=")
        return self._ordered(found)

    def _equal(self, found: Any) -> bool:
        text, quoted, worth = _operand(self.operand)
        if isinstance(found, Number):
            return worth is not None and found.exact() == worth
        if isinstance(found, str):
            return found == text
        if isinstance(found, (dict, list)):
            return not quoted and _same(found, parse_value(text.encode("utf-8", "replace")))
        return not quoted and json_text(found) == text

    def _ordered(self, found: Any) -> bool:
        text, _, worth = _operand(self.operand)
        left: Any = None
        right: Any = None
        if worth is not None:
            right = worth
            if isinstance(found, Number) or (isinstance(found, str) and NUMBER.fullmatch(found)):
                left = decimal_of(found)
        elif isinstance(found, str) and not isinstance(found, Number):
            left, right = found, text
        if left is None or right is None:
            return False
        return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[self.operator])

    def _contained(self, found: Any) -> bool:
        if isinstance(found, list):
            return any(self._equal(one) for one in found)
        return isinstance(found, str) and not isinstance(found, Number) and _operand(self.operand)[0] in found

    def may_hold(self, data: bytes) -> bool:
        """Return False if the bytes cannot meet it, without parsing them as JSON."""
        last = self.path.steps[-1] if self.path.steps else 0
        return isinstance(last, int) or b"\\" in data or last.encode("utf-8", "replace") in data


def meets(conditions: tuple[Condition, ...], data: bytes | None) -> bool:
    """Return whether the JSON in a value meets every condition; a value that is not JSON meets none."""
    if not conditions:
        return True
    if not data or not all(condition.may_hold(data) for condition in conditions):
        return False
    root = parse_value(data)
    return root is not MISSING and all(condition.holds(root) for condition in conditions)


def check_header(wanted: str) -> str:
    """Check a condition on headers, `name` or `name=value`, whose other spellings would find nothing.

    Raises:
        BrokerError: INVALID_REQUEST with the form that works.
    """
    name, equals, value = wanted.partition("=")
    meant = ""
    if equals and (name != name.rstrip() or value.startswith(("=", " "))):
        meant = f"{name.strip()}={value.lstrip('= ')}"
    elif equals and name.endswith(("!", "<", ">", "~")):
        raise BrokerError(
            "INVALID_REQUEST", f"A header is compared with = alone: write {_short(name.rstrip('!<>~ ') + '=' + value)}."
        )
    elif not equals and (colon := re.fullmatch(r"([^:\s]+):\s+(.*)", wanted)):
        meant = f"{colon[1]}={colon[2]}"
    if meant:
        form = f"write {_short(meant)}, without spaces"
        raise BrokerError("INVALID_REQUEST", f"{_short(wanted)} finds no header: {form}.")
    return wanted


def has_header(wanted: str, headers: Headers) -> bool:
    """Return whether an event has a header.

    Args:
        wanted: "name" or "name=value".
    """
    name, equals, value = wanted.partition("=")
    return any(one == name and (not equals or content == value.encode()) for one, content in headers)


def paths_in(root: Any, depth: int = 3, limit: int = 60) -> Iterator[JsonPath]:
    """Yield the paths in a parsed value that a column can show: its members, down to `depth`, at most `limit`.

    For an object, only its members are yielded; for an array, only the array itself.
    """
    pending: list[tuple[tuple[Step, ...], Any]] = [((), root)]
    given = 0
    while pending and given < limit:
        steps, node = pending.pop(0)
        if isinstance(node, dict) and len(steps) < depth:
            pending[:0] = [((*steps, name), one) for name, one in list(node.items())[:limit]]
        elif steps:
            given += 1
            yield JsonPath(steps)
