"""Topic settings in plain words: labels, the meaning of values, and accepted input."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.kafka.setting import LIST, LONG_MAX, Setting
from sandbox.kafka.topic_settings import TOPIC_SETTINGS
from sandbox.web import formats as words

TOPIC_FORM_SETTINGS = ("cleanup.policy", "retention.ms")
"""The settings with their own field in the form of a new topic."""

LABELS = {
    "cleanup.policy": "What happens to old events",
    "retention.ms": "Events are kept for",
    "retention.bytes": "A partition keeps at most",
    "max.message.bytes": "Largest record batch",
    "message.timestamp.type": "Timestamp type",
    "message.timestamp.before.max.ms": "Max timestamp age",
    "message.timestamp.after.max.ms": "Max future timestamp",
    "min.insync.replicas": "In-sync replicas that acks=all needs",
    "compression.type": "Stored compression",
    "flush.messages": "Synced to disk",
    "min.cleanable.dirty.ratio": "Minimum dirty ratio",
    "min.compaction.lag.ms": "Never compacted before",
    "max.compaction.lag.ms": "Compacted at the latest after",
    "delete.retention.ms": "Tombstones stay for",
    "errors.deadletterqueue.group.enable": "Share groups may set events aside here",
}
"""The label of every setting that has an effect in a sandbox, in the page's order."""

POLICIES = {
    "delete": "deleted after a time",
    "compact": "the latest of each key is kept",
    "compact,delete": "the latest of each key is kept, for a time",
    "delete,compact": "the latest of each key is kept, for a time",
}
EXAMPLES = {"ms": "7d, 12h, 30 min", "bytes": "10 MB", "flush.messages": "1", "min.cleanable.dirty.ratio": "0.2"}
"""Example input for a setting, by its name or by the last part of its name."""
_TIMES_MS = {"ms": 1, "s": 1000, "sec": 1000, "second": 1000, "min": 60_000, "m": 60_000, "minute": 60_000}
_TIMES_MS |= {"h": 3_600_000, "hour": 3_600_000, "d": 86_400_000, "day": 86_400_000, "w": 604_800_000}
_TIMES_MS |= {"week": 604_800_000}
_SIZES = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_UNLIMITED = ("forever", "for ever", "ever", "no limit", "never", "unlimited")


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting as the page shows it.

    Attributes:
        label: its plain name.
        own: the topic's value, None if it uses the default.
        default: the default value.
        now: the value in effect, in words.
        default_words: the default in words.
        several: True if it accepts several of the choices, separated by commas.
        example: example input, "" if none is needed.
    """

    setting: Setting
    label: str
    own: str | None
    default: str
    now: str
    default_words: str
    several: bool
    example: str

    @property
    def value(self) -> str:
        """The value in effect."""
        return self.default if self.own is None else self.own


def setting_rows(own: Mapping[str, str], defaults: Mapping[str, str]) -> tuple[SettingRow, ...]:
    """Return every setting that has an effect, in the order of `LABELS`.

    Args:
        own: the topic's settings.
        defaults: the default value of each setting.
    """
    known = {setting.name: setting for setting in TOPIC_SETTINGS}
    rows = []
    for name, label in LABELS.items():
        setting, value = known[name], own.get(name)
        default = defaults.get(name, setting.default or "")
        rows.append(
            SettingRow(
                setting,
                label,
                value,
                default,
                in_words(name, default if value is None else value),
                in_words(name, default),
                setting.type == LIST,
                EXAMPLES.get(name) or EXAMPLES.get(name.rpartition(".")[2], ""),
            )
        )
    return tuple(rows)


def in_words(name: str, value: str) -> str:
    """Explain a setting's value in words."""
    if name == "cleanup.policy":
        return POLICIES.get(value, value)
    try:
        number = float(value) if name.endswith(".ratio") else int(value)
    except ValueError:
        return value
    if name.endswith(".ratio"):
        return words.percent(100 * number)
    if name == "flush.messages":
        return "when the system does" if number >= LONG_MAX else f"after {words.plural(int(number), 'event')}"
    if name.endswith((".ms", ".bytes")) and (number < 0 or number >= LONG_MAX):
        return "forever" if name == "retention.ms" else "no limit"
    if name.endswith(".ms"):
        return words.duration(int(number))
    return words.size(int(number)) if name.endswith(".bytes") else words.number(int(number))


def parse_setting(name: str, text: str) -> str:
    """Convert input to Kafka's form: `7d` and `10 MB` become numbers, anything else is unchanged."""
    text = text.strip()
    timed, sized = name.endswith(".ms"), name.endswith(".bytes")
    if (timed or sized) and text.lower() in _UNLIMITED:
        return "-1" if name.startswith("retention.") else str(LONG_MAX)
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]+)", text)
    if found is None:
        return text
    unit = found[2]
    factor = _SIZES.get(unit.upper()) if sized else None
    if timed:
        factor = _TIMES_MS.get(unit.lower()) or _TIMES_MS.get(unit.lower().removesuffix("s"))
    return text if factor is None else str(round(float(found[1]) * factor))
