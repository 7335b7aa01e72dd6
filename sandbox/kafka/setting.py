"""What a setting is, and which values it takes."""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.kafka.errors import BrokerError

BOOLEAN, STRING, INT, SHORT, LONG, DOUBLE, LIST, CLASS, PASSWORD = range(1, 10)
"""The types of a setting, numbered as DescribeConfigs numbers them."""
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


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: Kafka's name.
        type: one of the type numbers above.
        default: Kafka's default, as text, as Kafka's tools show it; None for none.
        text: what it does, in one line.
        least: smallest number allowed, or None.
        most: largest number allowed, or None.
        choices: the values allowed, or () for any.
        broker_name: the broker setting that gives a topic setting its default, or None.
        in_effect: False where it is accepted and shown but changes nothing in the sandbox.
        dynamic: True for a broker setting that can be altered while the broker runs (KIP-226).
    """

    name: str
    type: int
    default: str | None
    text: str
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    broker_name: str | None = None
    in_effect: bool = True
    dynamic: bool = False

    def check(self, value: str) -> str:
        """Return `value` in Kafka's spelling, or raise BrokerError INVALID_CONFIG with the reason."""
        text = value.strip()
        if self.type == BOOLEAN:
            if text.lower() not in ("true", "false"):
                raise self._invalid(value, "Expected value to be either true or false")
            return text.lower()
        if self.type in (INT, SHORT, LONG, DOUBLE):
            return self._check_number(value, text)
        if self.choices:
            parts = [part.strip() for part in text.split(",")] if self.type == LIST else [text]
            for part in parts:
                if part not in self.choices and not (part == "" and self.type == LIST):
                    raise self._invalid(value, f"String must be one of: {', '.join(self.choices)}")
            return ",".join(parts)
        return text

    def _check_number(self, value: str, text: str) -> str:
        kind: Callable[[str], float] = float if self.type == DOUBLE else int
        try:
            number = kind(text)
        except ValueError:
            raise self._invalid(value, f"Not a number of type {TYPE_NAMES[self.type].upper()}") from None
        bound = {INT: INT_MAX, SHORT: SHORT_MAX}.get(self.type, LONG_MAX)
        least = self.least if self.least is not None else -bound - 1
        most = self.most if self.most is not None else bound
        if number != number or number < least:
            raise self._invalid(value, f"Value must be at least {least}")
        if number > most:
            raise self._invalid(value, f"Value must be no more than {most}")
        return text if self.type == DOUBLE else str(int(number))

    def _invalid(self, value: str, reason: str) -> BrokerError:
        return BrokerError("INVALID_CONFIG", f"Invalid value {value} for configuration {self.name}: {reason}")
