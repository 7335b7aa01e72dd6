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
from sandbox.model.condition_text import NUMBER, check_operand, is_quoted, operator_of, word_refused
from sandbox.model.condition_text import OPERATORS as OPERATORS
from sandbox.model.json_values import MISSING, Number, decimal_of, json_text, parse_value
from sandbox.model.json_values import shown_text as shown_text

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
        text = from_root(text.strip())
        steps: list[Step] = []
        at = 1
        while at < len(text):
            found = STEP.match(text, at)
            if found is None:
                meant = "$." + text[1:]
                hint = f"write {_short(meant)}" if at == 1 and STEP.match(meant, 1) else PATH_HINT
                raise BrokerError(
                    "INVALID_REQUEST", f"The path {_short(text)} goes wrong at {_short(text[at:])}: {hint}."
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
        text = from_root(text.strip())
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
                f"{_short(text)} is no condition: write it as $.amount >= 100, with one of {', '.join(OPERATORS)}.",
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
