"""Checks values of settings against the valid values in the notation of Kafka's documentation.

====================================  ==================================================
``[1,...]``, ``[0,...,1]``            a number of at least 1; of 0 to 1
``[1,...,9] or -1``                   a number of 1 to 9, or -1
``[compact, delete]``                 one of these words; of a list, every element
``(case insensitive) [a, b]``         the same in any case
``non-empty string``                  not the empty string
``non-empty list``                    at least one element
``[partitionId]:[brokerId],...``      pairs of numbers, or ``*``
``""``, and any other text            any value
====================================  ==================================================

Source: https://kafka.apache.org/documentation/#configuration, "Valid Values".
"""

import re
from functools import cache
from typing import NamedTuple

Number = int | float
Value = str | Number | list[str]

SOME_LIST, SOME_STRING = "non-empty list", "non-empty string"
REPLICAS = "[partitionId]:[brokerId],[partitionId]:[brokerId],..."

_RANGE = re.compile(r"\[(-?[\d.]+),\.\.\.(?:,(-?[\d.]+))?\](?: or (-?\d+))?")
_WORDS = re.compile(r"(\(case insensitive\) )?\[([^\[\]:]+)\]")
_WHOLE = re.compile(r"[+-]?\d+")
_DOUBLE = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[fFdD]?|[+-]?(?:NaN|Infinity)", re.ASCII)
_PAIR = re.compile(r"\d+:\d+", re.ASCII)


class Range(NamedTuple):
    """A range of numbers, with its ends in Kafka's notation; `most` and `other` are None for none."""

    least: str
    most: str | None
    other: str | None


@cache
def _range(valid: str) -> Range | None:
    found = _RANGE.fullmatch(valid)
    return None if found is None else Range(*found.groups())


@cache
def choices(valid: str) -> tuple[str, ...]:
    """Return the words of a choice; () if `valid` isn't a choice."""
    found = _WORDS.fullmatch(valid)
    if found is None or _range(valid) is not None:
        return ()
    return tuple(word.strip() for word in found[2].split(","))


def number(text: str, *, whole: bool) -> Number | None:
    """Return the number that Java parses from a text, or None if it isn't a number."""
    if whole:
        return int(text) if _WHOLE.fullmatch(text) else None
    found = _DOUBLE.fullmatch(text)
    return None if found is None else float(found[1] or text)


def java_text(value: Number) -> str:
    """Format a number like Java: a double always has a fraction, and an exponent if it is large or small."""
    if isinstance(value, int):
        return str(value)
    if value == 0 or value != value or value in (float("inf"), float("-inf")) or 1e-3 <= abs(value) < 1e7:
        return repr(value).replace("nan", "NaN").replace("inf", "Infinity")
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    power = len(whole) + int(exponent or 0) - 1 - (len(whole + fraction) - len(digits))
    return f"{'-' if value < 0 else ''}{digits[0]}.{digits[1:].rstrip('0') or '0'}E{power}"


def refusal(valid: str, name: str, value: Value) -> str | None:
    """Return why a value is invalid, in Kafka's words; None if it is valid.

    Args:
        valid: the valid values, in the notation above.
        name: the setting's name.
        value: a number, a word, or all elements of a list that is not a choice.
    """
    bounds = _range(valid)
    if bounds is not None and isinstance(value, int | float):
        return _out_of(bounds, value)
    words = choices(valid)
    if words and isinstance(value, str):
        return _not_one_of(words, value, any_case=valid.startswith("("))
    if valid == SOME_STRING and value == "":
        return "String must be non-empty"
    if valid == SOME_LIST and value == []:
        return f"Configuration '{name}' must not be empty. Valid values include: any non-empty value"
    if valid == REPLICAS and isinstance(value, list) and value != ["*"] and not all(map(_PAIR.fullmatch, value)):
        return f"{name} must be the literal '*' or a list of replicas in the following format: {REPLICAS}"
    return None


def _out_of(bounds: Range, value: Number) -> str | None:
    if bounds.other is not None:
        if value == int(bounds.other) or int(bounds.least) <= value <= int(bounds.most or bounds.least):
            return None
        return f"Value must be between {bounds.least} and {bounds.most} or equal to {bounds.other}"
    # NaN is in no range here, although Kafka accepts it.
    if not value >= float(bounds.least):
        return f"Value must be at least {bounds.least}"
    if bounds.most is not None and value > float(bounds.most):
        return f"Value must be no more than {bounds.most}"
    return None


def _not_one_of(words: tuple[str, ...], value: str, *, any_case: bool) -> str | None:
    if any_case:
        known = value.upper() in {word.upper() for word in words}
        return None if known else f"String must be one of (case insensitive): {', '.join(words)}"
    return None if value in words else f"String must be one of: {', '.join(words)}"
