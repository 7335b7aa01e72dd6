"""Random text that a regular expression matches.

Knows literals, classes, groups, alternatives and repetition. Anchors are skipped, so the caller checks the text.
"""

import random
import string
from dataclasses import dataclass, field

REPEAT_MAX = 3
"""How often an unbounded repetition repeats beyond its minimum, at most."""
_WORD = string.ascii_letters + string.digits + "_"
_PRINTABLE = "".join(map(chr, range(32, 127)))
_CLASSES = {"d": string.digits, "w": _WORD, "s": " ", "D": string.ascii_lowercase, "W": " -.", "S": _WORD}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}


class _Unknown(Exception):
    """The expression has a construct that this module doesn't know, such as a look-ahead."""


@dataclass(slots=True)
class _Piece:
    """Characters to choose from, or alternatives, each a sequence; repeated `least` to `most` times."""

    characters: str = ""
    alternatives: "list[list[_Piece]]" = field(default_factory=list)
    least: int = 1
    most: int = 1


def text_matching(pattern: str, rng: random.Random) -> str | None:
    """Return random text that probably matches a regular expression; None if the expression is not understood."""
    try:
        parser = _Parser(pattern)
        alternatives = parser.alternatives(0)
        if parser.at < len(pattern):
            return None
        parts: list[str] = []
        _write(_Piece(alternatives=alternatives), rng, parts)
        return "".join(parts)
    except (_Unknown, IndexError, ValueError):
        return None


def _write(piece: _Piece, rng: random.Random, parts: list[str]) -> None:
    for _ in range(rng.randint(piece.least, piece.most)):
        if piece.characters:
            parts.append(rng.choice(piece.characters))
        elif piece.alternatives:
            for inner in rng.choice(piece.alternatives):
                _write(inner, rng, parts)


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self.at = 0

    def alternatives(self, depth: int) -> list[list[_Piece]]:
        if depth > 50:
            raise _Unknown
        found: list[list[_Piece]] = [[]]
        while self.at < len(self._pattern) and self._pattern[self.at] != ")":
            if self._pattern[self.at] == "|":
                self.at += 1
                found.append([])
                continue
            piece = self._piece(depth)
            if piece is not None:
                self._repeated(piece)
                found[-1].append(piece)
        return found

    def _piece(self, depth: int) -> _Piece | None:
        character = self._pattern[self.at]
        self.at += 1
        match character:
            case "^" | "$":
                return None
            case "(":
                return self._group(depth)
            case "[":
                return _Piece(self._class())
            case ".":
                return _Piece(_WORD)
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                raise _Unknown
        return _Piece(character)

    def _group(self, depth: int) -> _Piece:
        if self._pattern[self.at] == "?":
            end = self._pattern.find(">", self.at)
            if self._pattern.startswith("?:", self.at):
                self.at += 2
            elif (
                self._pattern.startswith(("?<", "?P<"), self.at) and self._pattern[self.at + 2] not in "=!" and end > 0
            ):
                self.at = end + 1
            else:
                raise _Unknown
        inner = _Piece(alternatives=self.alternatives(depth + 1))
        if self._pattern[self.at] != ")":
            raise _Unknown
        self.at += 1
        return inner

    def _escape(self) -> _Piece | None:
        character = self._pattern[self.at]
        self.at += 1
        if character in "bB":
            return None
        return _Piece(self._escaped(character))

    def _escaped(self, character: str) -> str:
        if character in _CLASSES:
            return _CLASSES[character]
        if character in "ux":
            digits = 4 if character == "u" else 2
            self.at += digits
            return chr(int(self._pattern[self.at - digits : self.at], 16))
        if character.isalnum() and character not in _CONTROLS:
            raise _Unknown
        return _CONTROLS.get(character, character)

    def _class(self) -> str:
        negated = self._pattern[self.at] == "^"
        self.at += negated
        found: set[str] = set()
        first = True
        while first or self._pattern[self.at] != "]":
            first = False
            low = self._class_member()
            if len(low) == 1 and self._pattern[self.at] == "-" and self._pattern[self.at + 1] != "]":
                self.at += 1
                high = self._class_member()
                if len(high) != 1 or not 0 <= ord(high) - ord(low) < 10_000:
                    raise _Unknown
                found.update(map(chr, range(ord(low), ord(high) + 1)))
            else:
                found.update(low)
        self.at += 1
        chosen = sorted(set(_PRINTABLE) - found if negated else found)
        if not chosen:
            raise _Unknown
        # Letters and digits are easier to read than all else.
        return "".join(one for one in chosen if one in _WORD) or "".join(chosen)

    def _class_member(self) -> str:
        character = self._pattern[self.at]
        self.at += 1
        if character != "\\":
            return character
        self.at += 1
        return self._escaped(self._pattern[self.at - 1])

    def _repeated(self, piece: _Piece) -> None:
        if self.at >= len(self._pattern):
            return
        match self._pattern[self.at]:
            case "*":
                piece.least, piece.most = 0, REPEAT_MAX
            case "+":
                piece.least, piece.most = 1, 1 + REPEAT_MAX
            case "?":
                piece.least, piece.most = 0, 1
            case "{":
                self._counted(piece)
                return
            case _:
                return
        self.at += 1
        self._lazy()

    def _counted(self, piece: _Piece) -> None:
        end = self._pattern.index("}", self.at)
        low, comma, high = self._pattern[self.at + 1 : end].partition(",")
        piece.least = int(low or 0)
        piece.most = int(high) if high else piece.least + REPEAT_MAX if comma else piece.least
        if piece.most > 1000 or piece.least > piece.most:
            raise _Unknown
        self.at = end + 1
        self._lazy()

    def _lazy(self) -> None:
        if self.at < len(self._pattern) and self._pattern[self.at] in "?+":
            self.at += 1
