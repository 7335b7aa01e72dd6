"""Template texts with placeholders, such as `user-{{int 1 100}}`: parsed once, then rendered for each event.

The syntax is `{{name argument ...}}`. Arguments are separated by spaces; an argument that contains spaces or braces is
written in double quotes. `{{int 1 6 as dice}}` names the drawn value, and `{{same dice}}` repeats it, also in a later
part of the same event (key, then value, then headers). All other text is copied as written.
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
