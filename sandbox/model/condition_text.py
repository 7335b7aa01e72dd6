"""Refuses conditions that parse but are certainly a mistake: they would find nothing, without any explanation.

Each error shows the form that works. Text that could be intended, such as `= 30s` or `= /api/v1/`, is accepted.
"""

import json
import re

from sandbox.kafka.errors import BrokerError

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
