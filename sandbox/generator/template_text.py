"""A text with placeholders: `user-{{int 1 100}}`, read once and then made as often as wanted.

A placeholder is `{{name argument ...}}`. Arguments are separated by spaces; one with spaces or braces in it stands in
double quotes. `{{int 1 6 as dice}}` gives what it draws a name, and `{{same dice}}` says it again, also in a later part
of the same event: the key is made first, then the value, then the headers. All else is text, as written.
"""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from sandbox.generator.placeholders import PLACEHOLDERS, Draw, Maker
from sandbox.kafka.errors import SandboxError

_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|((?:(?!\}\})[^\s"])+)|(\}\}))', re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
TEXT_MAX = 256 * 1024
PLACEHOLDERS_MAX = 1000
_SHOWN_MAX = 60


class TemplateRefused(SandboxError):
    """A template cannot be read.

    Attributes:
        part: which part of it: "key", "value", "header NAME", or "" for the template as a whole.
        at: the character where the placeholder begins, 0 and up; None where it is not about a placeholder.
        reason: what is wrong, without the place.
    """

    def __init__(self, part: str, at: int | None, reason: str, place: str = "") -> None:
        self.part = part
        self.at = at
        self.reason = reason
        super().__init__(f"{part}{place}: {reason}" if part else reason)


class TemplateText:
    """One part of a template, ready to be made.

    Args:
        part: what it is, for the text of an error: "key", "value", "header NAME".
        text: as written.
        names: what earlier parts gave a name; the names of this one are added.

    Raises:
        TemplateRefused: with the placeholder and where it is.
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
        """The text for one event."""
        return "".join([piece if isinstance(piece, str) else piece(draw) for piece in self._pieces])

    def _read(self) -> None:
        at = 0
        while True:
            start = self._text.find("{{", at)
            if start < 0:
                break
            # Of three braces the first is the text's own: a JSON object whose first name is a placeholder.
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
        """Read one that begins at `start`; where it ends."""
        words: list[tuple[str, bool]] = []
        at = start + 2
        while True:
            token = _TOKEN.match(self._text, at)
            if token is None:
                raise self._refused(start, "it has no closing }}, or a quote that is not closed")
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
                raise self._refused(start, f"{shown}: {given!r} is no name: letters, digits and _ only")
        if name == "same":
            maker = self._same(start, shown, arguments)
        elif name not in PLACEHOLDERS:
            near = get_close_matches(name, [*PLACEHOLDERS, "same"], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise self._refused(start, f"{shown}: there is no placeholder called {_short(name)!r}{hint}")
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
            raise self._refused(start, f"{shown}: nothing before it was given that name (names so far: {known})")
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
