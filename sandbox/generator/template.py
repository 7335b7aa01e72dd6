"""Event templates: realistic events, any number of them, the same for the same seed.

    template = EventTemplate(key="user-{{pool}}", value='{"id": {{seq}}, "total": {{decimal 1 100}}}', keys=50, skew=1)
    for event in template.events(seed=1, count=3):
        print(event.key, event.value)

The keys come from a pool: each event draws a key number, `{{pool}}`, from 1 to `keys`. With a `skew` of 0 all keys are
equally frequent. With 1, the second key is half as frequent as the first, the third a third, and so on (Zipf's law):
this creates hot partitions.
"""

import json
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from time import time_ns
from typing import Any

from sandbox.generator.placeholders import Draw
from sandbox.generator.template_text import TemplateRefused, TemplateText
from sandbox.kafka.event import NewEvent

KEYS_MAX = 100_000
SKEW_MAX = 5.0
HEADERS_MAX = 50
SEED_MAX = 2**63 - 1
FIELDS = ("description", "key", "value", "headers", "null_percent", "keys", "skew")


def system_now_ms() -> int:
    """The time in ms since 1970."""
    return time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class EventTemplate:
    """A template of key, value and headers.

    Args:
        value: a text with placeholders; None for tombstones only.
        key: a text with placeholders; None for events without a key.
        headers: (name, text with placeholders) pairs; None for a null value.
        null_percent: percentage of tombstones, 0 to 100.
        keys: size of the pool of keys, 1 to `KEYS_MAX`.
        skew: 0 for equally frequent keys, up to `SKEW_MAX`.
        description: one sentence that helps people choose a template.

    Raises:
        TemplateRefused: a placeholder is invalid (the error has its position), or a number is out of range.
    """

    value: str | None
    key: str | None = None
    headers: tuple[tuple[str, str | None], ...] = ()
    null_percent: float = 0.0
    keys: int = 100
    skew: float = 0.0
    description: str = ""
    _parts: "tuple[TemplateText | None, TemplateText | None, tuple[tuple[str, TemplateText | None], ...]]" = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        _in_range("keys", self.keys, 1, KEYS_MAX)
        _in_range("skew", self.skew, 0, SKEW_MAX)
        _in_range("null_percent", self.null_percent, 0, 100)
        if len(self.headers) > HEADERS_MAX:
            raise TemplateRefused("", None, f"a template has at most {HEADERS_MAX} headers, not {len(self.headers)}")
        names: set[str] = set()
        key = None if self.key is None else TemplateText("key", self.key, names)
        value = None if self.value is None else TemplateText("value", self.value, names)
        headers = tuple(
            (name, None if text is None else TemplateText(f"header {name}", text, names)) for name, text in self.headers
        )
        object.__setattr__(self, "_parts", (key, value, headers))

    def events(
        self, seed: int = 0, count: int | None = None, *, now_ms: Callable[[], int] = system_now_ms
    ) -> Iterator[NewEvent]:
        """Generate events. The same seed generates the same events, except for `{{now}}`, `{{time}}` and `{{date}}`.

        Args:
            seed: 0 to `SEED_MAX`.
            count: number of events; None for an endless iterator.
            now_ms: returns the time in ms since 1970.
        """
        # Two random sources: a change to the value's template doesn't change the keys.
        keys, fields = Random(seed * 2), Random(seed * 2 + 1)
        shares = list(accumulate(self._weights()))
        seq = 0
        while count is None or seq < count:
            pool = 1 + min(bisect(shares, keys.random() * shares[-1]), self.keys - 1)
            yield self._event(Draw(fields.random, seq, pool, now_ms()))
            seq += 1

    def shares(self, first: int = 5) -> list[float]:
        """Return the share of events (0 to 1) of each of the `first` most frequent keys."""
        weights = self._weights()
        total = sum(weights)
        return [weight / total for weight in weights[:first]]

    def _weights(self) -> list[float]:
        return [float(rank**-self.skew) for rank in range(1, self.keys + 1)]

    def _event(self, draw: Draw) -> NewEvent:
        key, value, headers = self._parts
        if key is not None:
            draw.key = key.make(draw)
        made = None if value is None else value.make(draw)
        if self.null_percent and draw.random() * 100 < self.null_percent:
            made = None
        return NewEvent(
            value=None if made is None else made.encode(),
            key=None if draw.key is None else draw.key.encode(),
            headers=tuple((name, None if text is None else text.make(draw).encode()) for name, text in headers),
        )

    def to_json(self) -> str:
        """Return the template as JSON, without fields that have their default value."""
        found: dict[str, Any] = {"key": self.key, "value": self.value}
        if self.description:
            found = {"description": self.description, **found}
        if self.headers:
            found["headers"] = [list(pair) for pair in self.headers]
        for name, usual in (("null_percent", 0.0), ("keys", 100), ("skew", 0.0)):
            if getattr(self, name) != usual:
                found[name] = getattr(self, name)
        return json.dumps(found, ensure_ascii=False, indent=2)


def template_from_json(text: str) -> EventTemplate:
    """Parse a template's JSON, as written by `EventTemplate.to_json` or by hand.

    Raises:
        TemplateRefused: the text is not a valid template; the error has the reason.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TemplateRefused("", None, f"a template is a JSON object: {error}") from None
    if not isinstance(found, dict):
        raise TemplateRefused("", None, "a template is a JSON object with key, value and more")
    if unknown := [name for name in found if name not in FIELDS]:
        raise TemplateRefused("", None, f"unknown field {unknown[0]!r}; the fields are {', '.join(FIELDS)}")
    if "value" not in found:
        raise TemplateRefused("", None, 'the field "value" is missing; for tombstones write "value": null')
    return EventTemplate(
        value=_text(found, "value"),
        key=_text(found, "key"),
        headers=_headers(found.get("headers") or []),
        null_percent=_number(found, "null_percent", 0.0),
        keys=_whole(found, "keys", 100),
        skew=_number(found, "skew", 0.0),
        description=_text(found, "description") or "",
    )


def _text(found: Mapping[str, Any], name: str) -> str | None:
    text = found.get(name)
    if text is not None and not isinstance(text, str):
        raise TemplateRefused("", None, f'"{name}" must be a text or null; write JSON as a text')
    return text


def _headers(found: Any) -> tuple[tuple[str, str | None], ...]:
    pairs: list[Any] = found if isinstance(found, list) else [None]
    for pair in pairs:
        if not (
            isinstance(pair, list)
            and len(pair) == 2
            and isinstance(pair[0], str)
            and (pair[1] is None or isinstance(pair[1], str))
        ):
            raise TemplateRefused("", None, '"headers" must be a list of [name, text] pairs')
    return tuple((name, text) for name, text in pairs)


def _number(found: Mapping[str, Any], name: str, usual: float) -> float:
    number = found.get(name, usual)
    if not isinstance(number, int | float) or isinstance(number, bool):
        raise TemplateRefused("", None, f'"{name}" must be a number')
    return number


def _whole(found: Mapping[str, Any], name: str, usual: int) -> int:
    number = _number(found, name, usual)
    if not isinstance(number, int):
        raise TemplateRefused("", None, f'"{name}" must be a whole number')
    return number


def _in_range(name: str, found: float, least: float, most: float) -> None:
    if not least <= found <= most:
        raise TemplateRefused("", None, f"{name} must be {least:g} to {most:g}, not {found:g}")
