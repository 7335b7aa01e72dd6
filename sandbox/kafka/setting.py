"""Defines a setting, and checks its values in the notation of Kafka's documentation."""

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import NamedTuple

from sandbox.kafka.errors import BrokerError

Number = int | float
Value = str | Number | list[str]

SOME_LIST, SOME_STRING = "non-empty list", "non-empty string"
REPLICAS = "[partitionId]:[brokerId],[partitionId]:[brokerId],..."

_RANGE = re.compile(r"\[(-?[\d.]+),\.\.\.(?:,(-?[\d.]+))?\](?: or (-?\d+))?")
_WORDS = re.compile(r"(\(case insensitive\) )?\[([^\[\]:]+)\]")
_WHOLE = re.compile(r"[+-]?\d+")
_DOUBLE = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)[fFdD]?|[+-]?(?:NaN|Infinity)", re.ASCII)
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


def as_number(text: str, *, whole: bool) -> Number | None:
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


BOOLEAN, STRING, INT, SHORT, LONG, DOUBLE, LIST, CLASS, PASSWORD = range(1, 10)
"""The types of settings, with DescribeConfigs' numbers."""
TYPE_NAMES = {
    BOOLEAN: "boolean",
    STRING: "string",
    INT: "int",
    SHORT: "short",
    LONG: "long",
    DOUBLE: "double",
    LIST: "list",
    CLASS: "class",
    PASSWORD: "password",
}

SHORT_MAX = 2**15 - 1
INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1
PER_BROKER = ("cordoned.log.dirs", "listener", "principal.builder.class", "sasl.", "ssl.")
LARGEST = {SHORT: SHORT_MAX, INT: INT_MAX, LONG: LONG_MAX}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: Kafka's name.
        type: one of the type numbers above.
        default: Kafka's default as text, as Kafka's tools show it; None for none.
        text: its effect, in one line.
        valid: the valid values in the notation of Kafka's documentation, such as "[1,...]"; "" for any. See
            `setting_values` for the notation.
        limited_to: additional limits of the sandbox, in the same notation.
        broker_name: the broker setting that is the default of a topic or group setting, or None.
        in_effect: False if it is accepted and shown but has no effect in the sandbox.
        dynamic: True for a broker setting that can be altered at run time (KIP-226).
    """

    name: str
    type: int
    default: str | None
    text: str
    valid: str = ""
    limited_to: str = ""
    broker_name: str | None = None
    in_effect: bool = True
    dynamic: bool = False

    @property
    def per_broker(self) -> bool:
        """True if it can be altered for single brokers only: settings of listeners and of their security."""
        return self.dynamic and self.name.startswith(PER_BROKER)

    @property
    def choices(self) -> tuple[str, ...]:
        """The valid values if they are a list of words, else ()."""
        return choices(self.valid or self.limited_to)

    def check(self, value: str) -> str:
        """Return `value` in Kafka's spelling, or raise BrokerError INVALID_CONFIG with the reason, in Kafka's words."""
        text = value.strip()
        if self.type == BOOLEAN:
            if text.lower() not in ("true", "false"):
                raise self._invalid(value, "Expected value to be either true or false")
            return text.lower()
        if self.type in (INT, SHORT, LONG, DOUBLE):
            return self._check_number(value, text)
        if self.type == LIST:
            return self._check_list(text)
        self._check_limits(text, text)
        return text

    def _check_number(self, value: str, text: str) -> str:
        number = as_number(text, whole=self.type != DOUBLE)
        largest = LARGEST.get(self.type)
        if number is None or (largest is not None and not -largest - 1 <= number <= largest):
            raise self._invalid(value, f"Not a number of type {TYPE_NAMES[self.type].upper()}")
        self._check_limits(java_text(number), number)
        return text if self.type == DOUBLE else str(number)

    def _check_list(self, text: str) -> str:
        parts = [part.strip() for part in text.split(",")] if text else []
        if self.valid in (REPLICAS, SOME_LIST):
            self._check_limits(f"[{', '.join(parts)}]", parts)
            return ",".join(parts)
        for part in parts:
            if not part:
                raise BrokerError("INVALID_CONFIG", f"Configuration '{self.name}' values must not be empty.")
            self._check_limits(part, part)
        return ",".join(parts)

    def _check_limits(self, shown: str, value: Value) -> None:
        for limits in (self.valid, self.limited_to):
            reason = refusal(limits, self.name, value)
            if reason is not None:
                raise self._invalid(shown, reason)

    def _invalid(self, value: str, reason: str) -> BrokerError:
        return BrokerError("INVALID_CONFIG", f"Invalid value {value} for configuration {self.name}: {reason}")


_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d{1,9})?)S)?)?", re.IGNORECASE)


def iso_duration(text: str) -> timedelta:
    """Return a duration of days, hours, minutes and seconds. Raises ValueError for any other text."""
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        raise ValueError(f"{text!r} is not a duration such as P1DT2H30M")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    try:
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise ValueError(f"{text!r} is too long") from None
