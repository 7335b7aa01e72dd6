"""Reads the generator's form: a template, and how to send its events. Also previews the events."""

import math
import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice

from sandbox.generator.template import Encoders, EventTemplate
from sandbox.generator.template_text import TemplateRefused
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import NewEvent
from sandbox.kafka.partitioner import murmur2_partition
from sandbox.model.topics import TopicDescription
from sandbox.web.json_text import json_error
from sandbox.web.produce.form import Form, typed

KEY_KINDS = (("template", "from the template"), ("schema", "from a schema"), ("none", "no key (null)"))
VALUE_KINDS = (
    ("template", "from the template"),
    ("schema", "from a schema"),
    ("null", "null: tombstones only"),
)
SAMPLE = 1000
SCHEMA_SAMPLE = 200
"""Events with a schema are made more slowly."""
SHOWN = 3
JSON_CHECKED = 200
PREVIEW_CHARACTERS_MAX = 600_000


def form_of(template: EventTemplate) -> dict[str, str]:
    """Return the form's fields for a template."""
    return {
        "key_kind": "template" if template.key is not None else "schema" if template.key_schema else "none",
        "key": template.key or "",
        "value_kind": "template" if template.value is not None else "schema" if template.value_schema else "null",
        "key_schema": template.key_schema,
        "value_schema": template.value_schema,
        "value": template.value or "",
        "headers": "\n".join(name if text is None else f"{name}: {text}" for name, text in template.headers),
        "null_percent": f"{template.null_percent:g}",
        "keys": str(template.keys),
        "skew": f"{template.skew:g}",
        "description": template.description,
    }


def template_of(form: Form) -> EventTemplate:
    """Return the form's template.

    Raises:
        BrokerError: INVALID_REQUEST with the error and its position.
    """
    headers: list[tuple[str, str | None]] = []
    for line in typed(form, "headers").split("\n"):
        if line.strip():
            name, colon, text = line.partition(":")
            headers.append((name.strip(), text.strip() if colon else None))
    keys = _number(form, "keys", "The number of keys", 100.0)
    if keys is None or keys != int(keys):
        raise BrokerError("INVALID_REQUEST", "The number of keys must be a whole number.")
    kinds = {part: form.get(f"{part}_kind", "template") for part in ("key", "value")}
    schemas = {
        part: form.get(f"{part}_schema", "").strip() if kind in ("template", "schema") else ""
        for part, kind in kinds.items()
    }
    for part, kind in kinds.items():
        if kind == "schema" and not schemas[part]:
            raise BrokerError("INVALID_REQUEST", f"Name the schema of the {part}, under “Schemas”.")
    try:
        return EventTemplate(
            value=typed(form, "value") if kinds["value"] == "template" else None,
            key=form.get("key", "") if kinds["key"] == "template" else None,
            key_schema=schemas["key"],
            value_schema=schemas["value"],
            headers=tuple(headers),
            null_percent=_number(form, "null_percent", "The percentage of tombstones", 0.0) or 0.0,
            keys=int(keys),
            skew=_number(form, "skew", "The skew", 0.0) or 0.0,
            description=form.get("description", "")[:200],
        )
    except TemplateRefused as refused:
        raise BrokerError("INVALID_REQUEST", f"{str(refused)[:1].upper()}{str(refused)[1:]}.") from None


@dataclass(frozen=True, slots=True)
class Speed:
    """How a generator sends: rate in events/s, limits (None for none), and the seed (None for a random one)."""

    rate: float
    count: int | None
    duration_s: float | None
    seed: int | None

    @property
    def planned(self) -> int | None:
        """How many events will be sent; None if there is no limit."""
        limits = [] if self.count is None else [self.count]
        if self.duration_s is not None:
            limits.append(math.ceil(self.rate * self.duration_s))
        return min(limits, default=None)

    @property
    def planned_ms(self) -> int:
        """How long sending them will take, in ms; 0 without a limit."""
        return round(1000 * (self.planned or 0) / self.rate) if self.rate > 0 else 0


def speed_of(form: Form) -> Speed:
    """Return the form's rate, limits and seed.

    Raises:
        BrokerError: INVALID_REQUEST for a field that must be a number.
    """
    rate = _number(form, "rate", "The rate", 10.0)
    return Speed(
        10.0 if rate is None else rate,
        _whole(form, "count", "The count"),
        _number(form, "duration", "The duration, in seconds,", None),
        _whole(form, "seed", "The seed"),
    )


def _number(form: Form, field: str, what: str, usual: float | None) -> float | None:
    text = form.get(field, "").strip().replace(",", ".")
    if not text:
        return usual
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise BrokerError("INVALID_REQUEST", f"{what} must be a number, not {text[:30]!r}.")
    return found


def _whole(form: Form, field: str, what: str) -> int | None:
    text = form.get(field, "").strip()
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise BrokerError("INVALID_REQUEST", f"{what} must be a whole number, not {text[:30]!r}.")
    return int(text)


@dataclass(frozen=True, slots=True)
class TemplatePreview:
    """The preview of a template.

    Attributes:
        events: the first events, with their partitions (None: spread).
        sampled: how many of the first events the following attributes count.
        keys: (key, events) of the most frequent keys.
        distinct: the number of different keys.
        partitions: (partition, events).
        tombstones: the number of events without a value.
        size_bytes: average size of key and value.
        seeded: True if a seed was set: a run then sends exactly these events.
        not_json: the first error of a value that starts like JSON, with its event's number; None if all are valid.
    """

    events: tuple[tuple[NewEvent, int | None], ...]
    sampled: int
    keys: tuple[tuple[bytes, int], ...]
    distinct: int
    partitions: tuple[tuple[int, int], ...]
    tombstones: int
    size_bytes: int
    seeded: bool
    not_json: str | None


def look(
    template: EventTemplate, topic: TopicDescription, seed: int | None, encoders: Encoders | None = None
) -> TemplatePreview:
    """Generate the first events of a template, without sending them.

    Args:
        template: the template.
        topic: the target topic.
        seed: a run with the same seed sends the same events; None uses seed 0.
        encoders: looks up the template's schemas.

    Raises:
        BrokerError: INVALID_REQUEST if a schema doesn't exist, or a value doesn't fit it.
    """
    # Templates with long texts are sampled less, because the page waits for this.
    longest = len(template.value or "") + len(template.key or "") + sum(len(text or "") for _, text in template.headers)
    sample = max(SHOWN, min(SAMPLE, PREVIEW_CHARACTERS_MAX // max(1, longest)))
    with_schema = bool(template.key_schema or template.value_schema)
    if with_schema:
        sample = min(sample, SCHEMA_SAMPLE)
    try:
        made = list(islice(template.events(seed or 0, encoders=encoders), sample))
    except TemplateRefused as refused:
        raise BrokerError("INVALID_REQUEST", f"{str(refused)[:1].upper()}{str(refused)[1:]}.") from None
    count = len(topic.partitions)
    placed = [(event, murmur2_partition(event.key, count)) for event in made]
    keys = Counter(event.key for event in made if event.key is not None)
    spread = Counter(partition for _, partition in placed if partition is not None)
    return TemplatePreview(
        tuple(placed[:SHOWN]),
        len(made),
        tuple(keys.most_common(5)),
        len(keys),
        tuple(sorted(spread.items())),
        sum(event.value is None for event in made),
        sum(len(event.key or b"") + len(event.value or b"") for event in made) // len(made),
        seed is not None,
        None if with_schema else _not_json(made[:JSON_CHECKED]),
    )


def _not_json(events: list[NewEvent]) -> str | None:
    for number, event in enumerate(events, 1):
        text = (event.value or b"").decode()
        if text.lstrip()[:1] in ("{", "["):
            error = json_error(text)
            if error is not None:
                return f"The value of event {number} looks like JSON, but is not: {error}"
    return None
