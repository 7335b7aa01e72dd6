"""The generator's form, read: a template, and how to send what it makes. And a look at what that will be."""

import math
import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice

from sandbox.generator.template import EventTemplate
from sandbox.generator.template_text import TemplateRefused
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import NewEvent
from sandbox.kafka.partitioner import murmur2_partition
from sandbox.model.cluster import TopicDescription
from sandbox.web.json_text import json_error
from sandbox.web.produce.form import Form, typed

KEY_KINDS = (("template", "from the template"), ("none", "no key (null)"))
VALUE_KINDS = (("template", "from the template"), ("null", "null: tombstones only"))
SAMPLE = 1000
SHOWN = 3
JSON_CHECKED = 200
PREVIEW_CHARACTERS_MAX = 600_000


def form_of(template: EventTemplate) -> dict[str, str]:
    """The fields of a template."""
    return {
        "key_kind": "none" if template.key is None else "template",
        "key": template.key or "",
        "value_kind": "null" if template.value is None else "template",
        "value": template.value or "",
        "headers": "\n".join(name if text is None else f"{name}: {text}" for name, text in template.headers),
        "null_percent": f"{template.null_percent:g}",
        "keys": str(template.keys),
        "skew": f"{template.skew:g}",
        "description": template.description,
    }


def template_of(form: Form) -> EventTemplate:
    """The template of a form; BrokerError INVALID_REQUEST says what is wrong with it, and where."""
    headers: list[tuple[str, str | None]] = []
    for line in typed(form, "headers").split("\n"):
        if line.strip():
            name, colon, text = line.partition(":")
            headers.append((name.strip(), text.strip() if colon else None))
    keys = _number(form, "keys", "The number of keys", 100.0)
    if keys is None or keys != int(keys):
        raise BrokerError("INVALID_REQUEST", "The number of keys must be a whole number.")
    try:
        return EventTemplate(
            value=None if form.get("value_kind") == "null" else typed(form, "value"),
            key=None if form.get("key_kind") == "none" else form.get("key", ""),
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
    """How a generator is to send: events/s, its ends (None for none), and the seed (None to draw one)."""

    rate: float
    count: int | None
    duration_s: float | None
    seed: int | None


def speed_of(form: Form) -> Speed:
    """How fast, how many, how long; BrokerError INVALID_REQUEST for what is no number."""
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
class Look:
    """What a template will make.

    Attributes:
        events: the first ones of the seed, with their partitions (None: spread).
        sampled: how many of the first events were counted for what follows.
        keys: (key, events) of the most frequent keys.
        distinct: how many different keys there were.
        partitions: (partition, events).
        tombstones: how many had no value.
        size_bytes: of keys and values, on the average.
        seeded: True where the seed was given, and a run will make these very events.
        not_json: why a value that begins as JSON is none, with the number of its event; None where all are.
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


def look(template: EventTemplate, topic: TopicDescription, seed: int | None) -> Look:
    """Make the first events of a template, without sending them.

    Args:
        template: what they look like.
        topic: where they would go.
        seed: the same one as when they are sent, for the same events; None for those of seed 0.
    """
    # A template of long texts is looked at less far: the page waits for this.
    longest = len(template.value or "") + len(template.key or "") + sum(len(text or "") for _, text in template.headers)
    sample = max(SHOWN, min(SAMPLE, PREVIEW_CHARACTERS_MAX // max(1, longest)))
    made = list(islice(template.events(seed or 0), sample))
    count = len(topic.partitions)
    placed = [(event, murmur2_partition(event.key, count)) for event in made]
    keys = Counter(event.key for event in made if event.key is not None)
    spread = Counter(partition for _, partition in placed if partition is not None)
    return Look(
        tuple(placed[:SHOWN]),
        len(made),
        tuple(keys.most_common(5)),
        len(keys),
        tuple(sorted(spread.items())),
        sum(event.value is None for event in made),
        sum(len(event.key or b"") + len(event.value or b"") for event in made) // len(made),
        seed is not None,
        _not_json(made[:JSON_CHECKED]),
    )


def _not_json(events: list[NewEvent]) -> str | None:
    for number, event in enumerate(events, 1):
        text = (event.value or b"").decode()
        if text.lstrip()[:1] in ("{", "["):
            error = json_error(text)
            if error is not None:
                return f"The value of event {number} looks like JSON, but is not: {error}"
    return None
