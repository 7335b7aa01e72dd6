"""Event templates: realistic events, any number of them, the same for the same seed.

    template = EventTemplate(key="user-{{pool}}", value='{"id": {{seq}}, "total": {{decimal 1 100}}}', keys=50, skew=1)
    for event in template.events(seed=1, count=3):
        print(event.key, event.value)

The keys come from a pool: each event draws a key number, `{{pool}}`, from 1 to `keys`. With a `skew` of 0 all keys are
equally frequent. With 1, the second key is half as frequent as the first, the third a third, and so on (Zipf's law):
this creates hot partitions.
"""

import json
import re
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import accumulate
from random import Random
from time import time_ns
from typing import TYPE_CHECKING, Any

from sandbox.generator.placeholders import PLACEHOLDERS, Draw, Maker
from sandbox.kafka.errors import SandboxError
from sandbox.kafka.event import NewEvent

if TYPE_CHECKING:
    from sandbox.schemas.encoding import EventEncoder


_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|((?:(?!\}\})[^\s"])+)|(\}\}))', re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
TEXT_MAX = 256 * 1024
PLACEHOLDERS_MAX = 1000
_SHOWN_MAX = 60


class TemplateRefused(SandboxError):
    """A template is invalid.

    Attributes:
        part: the invalid part: "key", "value", "header NAME", or "" for the whole template.
        at: index of the placeholder's first character, or None if the error is not about a placeholder.
        reason: what is wrong, without the position.
    """

    def __init__(self, part: str, at: int | None, reason: str, place: str = "") -> None:
        self.part = part
        self.at = at
        self.reason = reason
        super().__init__(f"{part}{place}: {reason}" if part else reason)


class TemplateText:
    """One parsed part of a template.

    Args:
        part: the part's name in error texts: "key", "value", "header NAME".
        text: the text as written.
        names: value names from earlier parts; names from this part are added.

    Raises:
        TemplateRefused: a placeholder is invalid; the error has its position.
    """

    def __init__(self, part: str, text: str, names: set[str]) -> None:
        self._part = part
        self._text = text
        self._names = names
        self._pieces: list[str | Maker] = []
        if len(text) > TEXT_MAX:
            raise TemplateRefused(part, None, f"it is longer than {TEXT_MAX:,} characters")
        self._read()

    def make(self, draw: Draw) -> str:
        """Render the text for one event."""
        return "".join([piece if isinstance(piece, str) else piece(draw) for piece in self._pieces])

    def _read(self) -> None:
        at = 0
        while True:
            start = self._text.find("{{", at)
            if start < 0:
                break
            # In `{{{`, the first brace is literal text: a JSON object whose first name is a placeholder.
            while self._text.startswith("{{{", start):
                start += 1
            if start > at:
                self._pieces.append(self._text[at:start])
            if len(self._pieces) > 2 * PLACEHOLDERS_MAX:
                raise self._refused(start, f"there are more than {PLACEHOLDERS_MAX} placeholders")
            at = self._placeholder(start)
        if at < len(self._text):
            self._pieces.append(self._text[at:])

    def _placeholder(self, start: int) -> int:
        """Parse the placeholder at `start`. Returns the index after it."""
        words: list[tuple[str, bool]] = []
        at = start + 2
        while True:
            token = _TOKEN.match(self._text, at)
            if token is None:
                raise self._refused(start, "it has no closing }}, or an unclosed quote")
            at = token.end()
            quoted, bare, end = token.groups()
            if end:
                break
            words.append((bare, False) if quoted is None else (re.sub(r"\\(.)", r"\1", quoted, flags=re.S), True))
        self._pieces.append(self._maker(start, at, words))
        return at

    def _maker(self, start: int, end: int, words: Sequence[tuple[str, bool]]) -> Maker:
        shown = _short(self._text[start:end])
        if not words:
            raise self._refused(start, f"{shown}: it is empty")
        name, arguments, given = words[0][0], [word for word, _ in words[1:]], None
        if len(words) > 2 and words[-2] == ("as", False):
            given, arguments = words[-1][0], arguments[:-2]
            if not _NAME.fullmatch(given):
                raise self._refused(start, f"{shown}: {given!r} is not a valid name: use letters, digits and _ only")
        if name == "same":
            maker = self._same(start, shown, arguments)
        elif name not in PLACEHOLDERS:
            near = get_close_matches(name, [*PLACEHOLDERS, "same"], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise self._refused(start, f"{shown}: unknown placeholder {_short(name)!r}{hint}")
        elif name == "key" and self._part == "key":
            raise self._refused(start, f"{shown}: the key cannot hold itself")
        else:
            try:
                maker = PLACEHOLDERS[name].make(arguments)
            except ValueError as error:
                raise self._refused(start, f"{shown}: {error}; write {{{{{PLACEHOLDERS[name].usage}}}}}") from None
        return maker if given is None else self._remembered(maker, given)

    def _same(self, start: int, shown: str, arguments: Sequence[str]) -> Maker:
        if len(arguments) != 1 or arguments[0] not in self._names:
            known = ", ".join(sorted(self._names)) or "none"
            raise self._refused(start, f"{shown}: no earlier placeholder has that name (names so far: {known})")
        wanted = arguments[0]
        return lambda draw: draw.named[wanted]

    def _remembered(self, maker: Maker, given: str) -> Maker:
        self._names.add(given)

        def make(draw: Draw) -> str:
            made = draw.named[given] = maker(draw)
            return made

        return make

    def _refused(self, at: int, reason: str) -> TemplateRefused:
        line, column = self._text.count("\n", 0, at) + 1, at - (self._text.rfind("\n", 0, at) + 1) + 1
        return TemplateRefused(self._part, at, reason, f", line {line}, column {column}")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 1]}…"


KEYS_MAX = 100_000
SKEW_MAX = 5.0
HEADERS_MAX = 50
SEED_MAX = 2**63 - 1
FIELDS = ("description", "key", "value", "headers", "null_percent", "keys", "skew", "key_schema", "value_schema")

Encoders = Callable[[str], "EventEncoder"]
"""Returns the encoder with a registered schema, `SUBJECT` or `SUBJECT:VERSION`. Raises InvalidValue."""


def system_now_ms() -> int:
    """The time in ms since 1970."""
    return time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class EventTemplate:
    """A template of key, value and headers.

    Args:
        value: a text with placeholders; None for random values of `value_schema`, without one for tombstones only.
        key: a text with placeholders; None for random keys of `key_schema`, without one for events without a key.
        headers: (name, text with placeholders) pairs; None for a null value.
        null_percent: percentage of tombstones, 0 to 100.
        keys: size of the pool of keys, 1 to `KEYS_MAX`.
        skew: 0 for equally frequent keys, up to `SKEW_MAX`.
        description: one sentence that helps people choose a template.
        key_schema: keys are written with this schema of the registry, `SUBJECT` or `SUBJECT:VERSION`; "" for none.
        value_schema: the same for values.

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
    key_schema: str = ""
    value_schema: str = ""
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
        self,
        seed: int = 0,
        count: int | None = None,
        *,
        now_ms: Callable[[], int] = system_now_ms,
        encoders: Encoders | None = None,
    ) -> Iterator[NewEvent]:
        """Generate events. The same seed generates the same events, except for `{{now}}`, `{{time}}` and `{{date}}`.

        Args:
            seed: 0 to `SEED_MAX`.
            count: number of events; None for an endless iterator.
            now_ms: returns the time in ms since 1970.
            encoders: looks schemas up; `Sandbox.encoder` does. Needed if the template names one.

        Raises:
            TemplateRefused: a schema can't be used, or a value doesn't fit it.
        """
        schemas = _Schemas(self, seed, encoders) if self.key_schema or self.value_schema else None
        # Two random sources: a change to the value's template doesn't change the keys.
        keys, fields = Random(seed * 2), Random(seed * 2 + 1)
        shares = list(accumulate(self._weights()))
        seq = 0
        while count is None or seq < count:
            pool = 1 + min(bisect(shares, keys.random() * shares[-1]), self.keys - 1)
            event = self._event(Draw(fields.random, seq, pool, now_ms()))
            yield event if schemas is None else schemas.encoded(event, pool)
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
        found |= {name: getattr(self, name) for name in ("key_schema", "value_schema") if getattr(self, name)}
        return json.dumps(found, ensure_ascii=False, indent=2)


class _Schemas:
    """Writes a template's keys and values with schemas."""

    def __init__(self, template: EventTemplate, seed: int, encoders: Encoders | None) -> None:
        self._template = template
        self._seed = seed
        self._values = Random(f"values {seed}")
        self._key = _found("key", template.key_schema, encoders)
        self._value = _found("value", template.value_schema, encoders)

    def encoded(self, event: NewEvent, pool: int) -> NewEvent:
        """Return an event with its key and value written with the schemas; random ones if it has none."""
        key, value = event.key, event.value
        template = self._template
        if self._key is not None:
            # The same number of the pool gives the same key.
            random = Random(f"key {self._seed} {pool}") if template.key is None else None
            key = _written("key", self._key, key, random)
        if self._value is not None:
            if template.value is not None:
                value = None if value is None else _written("value", self._value, value, None)
            elif self._values.random() * 100 >= template.null_percent:
                value = _written("value", self._value, None, self._values)
        return event._replace(key=key, value=value)


def _found(part: str, name: str, encoders: Encoders | None) -> "EventEncoder | None":
    if not name:
        return None
    from sandbox.schemas.schema import InvalidValue, MissingLibrary

    if encoders is None:
        raise TemplateRefused(part, None, f"no schema registry is known, and {name!r} is one of its schemas")
    try:
        return encoders(name)
    except (InvalidValue, MissingLibrary) as error:
        raise TemplateRefused(part, None, str(error)) from None


def _written(part: str, encoder: "EventEncoder", text: bytes | None, random: Random | None) -> bytes:
    from sandbox.schemas.schema import InvalidValue, MissingLibrary

    try:
        return encoder.encode_text(text or b"") if random is None else encoder.encode(encoder.example(random))
    except (InvalidValue, MissingLibrary) as error:
        raise TemplateRefused(part, None, f"it does not fit {encoder.label}: {error}") from None


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
    if "value" not in found and not found.get("value_schema"):
        raise TemplateRefused("", None, 'the field "value" is missing; for tombstones write "value": null')
    return EventTemplate(
        value=_text(found, "value"),
        key=_text(found, "key"),
        headers=_headers(found.get("headers") or []),
        null_percent=_number(found, "null_percent", 0.0),
        keys=_whole(found, "keys", 100),
        skew=_number(found, "skew", 0.0),
        description=_text(found, "description") or "",
        key_schema=_text(found, "key_schema") or "",
        value_schema=_text(found, "value_schema") or "",
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
