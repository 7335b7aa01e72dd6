"""Defines a setting, and checks its values."""

from dataclasses import dataclass

from sandbox.kafka import setting_values
from sandbox.kafka.errors import BrokerError

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
        return setting_values.choices(self.valid or self.limited_to)

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
        number = setting_values.number(text, whole=self.type != DOUBLE)
        largest = LARGEST.get(self.type)
        if number is None or (largest is not None and not -largest - 1 <= number <= largest):
            raise self._invalid(value, f"Not a number of type {TYPE_NAMES[self.type].upper()}")
        self._check_limits(setting_values.java_text(number), number)
        return text if self.type == DOUBLE else str(number)

    def _check_list(self, text: str) -> str:
        parts = [part.strip() for part in text.split(",")] if text else []
        if self.valid in (setting_values.REPLICAS, setting_values.SOME_LIST):
            self._check_limits(f"[{', '.join(parts)}]", parts)
            return ",".join(parts)
        for part in parts:
            if not part:
                raise BrokerError("INVALID_CONFIG", f"Configuration '{self.name}' values must not be empty.")
            self._check_limits(part, part)
        return ",".join(parts)

    def _check_limits(self, shown: str, value: setting_values.Value) -> None:
        for limits in (self.valid, self.limited_to):
            reason = setting_values.refusal(limits, self.name, value)
            if reason is not None:
                raise self._invalid(shown, reason)

    def _invalid(self, value: str, reason: str) -> BrokerError:
        return BrokerError("INVALID_CONFIG", f"Invalid value {value} for configuration {self.name}: {reason}")
