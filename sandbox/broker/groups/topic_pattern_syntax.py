"""The syntax of RE2, as far as topic names need it: from an expression to its pieces.

Topic names have 65 characters, so that a class of characters is simply a set of them, and what is written for other
characters matches nothing.

Source: https://github.com/google/re2/wiki/Syntax.
"""

from collections.abc import Iterable
from typing import NamedTuple

DIGITS = frozenset("0123456789")
UPPER = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
LOWER = frozenset("abcdefghijklmnopqrstuvwxyz")
PUNCTUATION = frozenset("._-")
WORD = DIGITS | UPPER | LOWER | {"_"}
ALPHABET = WORD | PUNCTUATION
NONE: frozenset[str] = frozenset()

REPEAT_MAX = 1000
DEPTH_MAX = 100

ESCAPED_CLASSES = {"d": DIGITS, "w": WORD, "s": NONE, "C": ALPHABET}
PERL_NEGATED = {"D": ALPHABET - DIGITS, "W": ALPHABET - WORD, "S": ALPHABET}
UNICODE_CLASSES = {
    "L": UPPER | LOWER,
    "Lu": UPPER,
    "Ll": LOWER,
    "N": DIGITS,
    "Nd": DIGITS,
    "P": PUNCTUATION,
    "Pc": frozenset("_"),
    "Pd": frozenset("-"),
    "Po": frozenset("."),
    "Latin": UPPER | LOWER,
    "Common": DIGITS | PUNCTUATION,
    "Any": ALPHABET,
} | dict.fromkeys(("C", "Lt", "Lm", "Lo", "M", "S", "Z", "Zs", "Nl", "No", "Ps", "Pe", "Greek", "Cyrillic"), NONE)
POSIX_CLASSES = {
    "alnum": DIGITS | UPPER | LOWER,
    "alpha": UPPER | LOWER,
    "ascii": ALPHABET,
    "blank": NONE,
    "cntrl": NONE,
    "digit": DIGITS,
    "graph": ALPHABET,
    "lower": LOWER,
    "print": ALPHABET,
    "punct": PUNCTUATION,
    "space": NONE,
    "upper": UPPER,
    "word": WORD,
    "xdigit": DIGITS | frozenset("abcdefABCDEF"),
}
CONTROL = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}
ASSERTIONS = {"A": "start", "z": "end", "b": "boundary", "B": "no boundary"}
PERL = "invalid or unsupported Perl syntax"
"""RE2/J's words for a group that it does not have; Kafka passes its words on to the client."""


class PatternError(ValueError):
    """An expression that is not one; the text says why, in RE2's words."""


class Piece(NamedTuple):
    """A part of an expression.

    Attributes:
        kind: "set" (one character), "assert", "all" (one after the other), "any" (one of) or "repeat".
        least, most: how often, for "repeat"; `most` None is without end.
    """

    kind: str
    characters: frozenset[str] = NONE
    assertion: str = ""
    parts: tuple["Piece", ...] = ()
    least: int = 0
    most: int | None = None


class Parser:
    """Reads an expression once, from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.ignores_case = False
        self.depth = 0

    def read(self) -> Piece:
        piece = self._choice()
        if self.at < len(self.text):
            raise PatternError("unexpected )")
        return piece

    def _choice(self) -> Piece:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise PatternError("expression nests too deeply")
        choices = [self._sequence()]
        while self._take("|"):
            choices.append(self._sequence())
        self.depth -= 1
        return choices[0] if len(choices) == 1 else Piece("any", parts=tuple(choices))

    def _sequence(self) -> Piece:
        parts: list[Piece] = []
        repeated = False
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            found = self._repetition()
            if found is not None:
                least, most, written = found
                if repeated:
                    raise PatternError("invalid nested repetition operator")
                if not parts:
                    raise PatternError("missing argument to repetition operator")
                if max(least, most or 0) > REPEAT_MAX or (most is not None and most < least):
                    raise PatternError("invalid repeat count")
                parts[-1] = Piece("repeat", parts=(parts[-1],), least=least, most=most)
                self.at += written
                self._take("?")
                repeated = True
                continue
            repeated = False
            if self._take("\\Q"):
                parts.extend(self._quoted())
            else:
                piece = self._one()
                if piece is not None:
                    parts.append(piece)
        return Piece("all", parts=tuple(parts))

    def _repetition(self) -> tuple[int, int | None, int] | None:
        """(least, most, characters) of a repetition here, or None. A brace that is none stands for itself."""
        plain = {"*": (0, None, 1), "+": (1, None, 1), "?": (0, 1, 1)}
        character = self.text[self.at]
        if character in plain:
            return plain[character]
        end = self.text.find("}", self.at) if character == "{" else -1
        if end < 0:
            return None
        least, comma, most = self.text[self.at + 1 : end].partition(",")
        written = end + 1 - self.at
        if not _is_number(least) or not (most == "" or _is_number(most)):
            return None
        if not comma:
            return int(least), int(least), written
        return int(least), int(most) if most else None, written

    def _quoted(self) -> Iterable[Piece]:
        end = self.text.find("\\E", self.at)
        literal = self.text[self.at :] if end < 0 else self.text[self.at : end]
        self.at = len(self.text) if end < 0 else end + 2
        return [self._literal(character) for character in literal]

    def _one(self) -> Piece | None:
        character = self.text[self.at]
        self.at += 1
        if character == "(":
            return self._group()
        if character == "[":
            return Piece("set", self._brackets())
        if character == ".":
            return Piece("set", ALPHABET)
        if character == "^":
            return Piece("assert", assertion="start")
        if character == "$":
            return Piece("assert", assertion="end")
        if character == "\\":
            if self.at < len(self.text) and self.text[self.at] in ASSERTIONS:
                self.at += 1
                return Piece("assert", assertion=ASSERTIONS[self.text[self.at - 1]])
            return Piece("set", self._cased(self._escape()))
        return self._literal(character)

    def _group(self) -> Piece | None:
        before = self.ignores_case
        if self._take("?"):
            if self._take("P<") or (self.text[self.at : self.at + 2] not in ("<=", "<!") and self._take("<")):
                name, closed, _ = self.text[self.at :].partition(">")
                if not closed or not name or not set(name) <= WORD:
                    raise PatternError("invalid named capture")
                self.at += len(name) + 1
            elif self._flags():
                return None
        piece = self._choice()
        if not self._take(")"):
            raise PatternError("missing closing )")
        self.ignores_case = before
        return piece

    def _flags(self) -> bool:
        """Read the flags of a group; returns True where they are a group of their own, which is over."""
        on, written = True, False
        while self.at < len(self.text):
            character = self.text[self.at]
            self.at += 1
            if character == "-" and on:
                on, written = False, False
            elif character in "imsU":
                written = True
                self.ignores_case = on if character == "i" else self.ignores_case
            elif character in ":)" and (written or (on and character == ":")):
                return character == ")"
            else:
                raise PatternError(PERL)
        raise PatternError("missing closing )")

    def _brackets(self) -> frozenset[str]:
        negated = self._take("^")
        found: set[str] = set()
        first = True
        while first or self.text[self.at : self.at + 1] != "]":
            if self.at >= len(self.text):
                raise PatternError("missing closing ]")
            first = False
            if self._take("[:"):
                found |= self._posix()
                continue
            low, single = self._bracket_item()
            if single and self.text[self.at : self.at + 1] == "-" and self.text[self.at + 1 : self.at + 2] not in "]":
                self.at += 1
                high, also_single = self._bracket_item()
                if not also_single or min(high) < min(low):
                    raise PatternError("invalid character class range")
                found |= {one for one in ALPHABET if min(low) <= one <= min(high)}
            else:
                found |= low
        self.at += 1
        cased = self._cased(frozenset(found))
        return ALPHABET - cased if negated else cased & ALPHABET

    def _bracket_item(self) -> tuple[frozenset[str], bool]:
        """A character or a class, and whether it is one character, which may begin a range."""
        if self.at >= len(self.text):
            raise PatternError("missing closing ]")
        character = self.text[self.at]
        self.at += 1
        if character != "\\":
            return frozenset(character), True
        is_class = self.text[self.at : self.at + 1] in {*ESCAPED_CLASSES, *PERL_NEGATED, "p", "P"}
        return self._escape(), not is_class

    def _posix(self) -> frozenset[str]:
        end = self.text.find(":]", self.at)
        name = self.text[self.at : end] if end >= 0 else ""
        negated = name.startswith("^")
        found = POSIX_CLASSES.get(name.removeprefix("^"))
        if found is None:
            raise PatternError("invalid character class range")
        self.at = end + 2
        return ALPHABET - found if negated else found

    def _escape(self) -> frozenset[str]:
        """What stands behind a backslash: the characters that it means."""
        if self.at >= len(self.text):
            raise PatternError("trailing backslash at end of expression")
        character = self.text[self.at]
        self.at += 1
        if character in ESCAPED_CLASSES:
            return ESCAPED_CLASSES[character]
        if character in PERL_NEGATED:
            return PERL_NEGATED[character]
        if character in "pP":
            return self._unicode(negated=character == "P")
        if character in CONTROL:
            return frozenset(CONTROL[character])
        if character == "x":
            return frozenset(self._hexadecimal())
        if character == "0" or (character in "1234567" and self.text[self.at : self.at + 1] in tuple("01234567")):
            digits = character
            while len(digits) < 3 and self.text[self.at : self.at + 1] in tuple("01234567"):
                digits += self.text[self.at]
                self.at += 1
            return frozenset(chr(int(digits, 8)))
        if ord(character) < 128 and not character.isalnum() and character != "_":
            return frozenset(character)
        raise PatternError("invalid escape sequence")

    def _unicode(self, negated: bool) -> frozenset[str]:
        if self._take("{"):
            end = self.text.find("}", self.at)
            name = self.text[self.at : end] if end >= 0 else ""
            self.at = end + 1
        else:
            name = self.text[self.at : self.at + 1]
            self.at += 1
        found = UNICODE_CLASSES.get(name.removeprefix("^"))
        if found is None:
            raise PatternError("invalid character class range")
        return ALPHABET - found if negated != name.startswith("^") else found

    def _hexadecimal(self) -> str:
        if self._take("{"):
            end = self.text.find("}", self.at)
            digits, after = (self.text[self.at : end], end + 1) if end >= 0 else ("", self.at)
        else:
            digits, after = self.text[self.at : self.at + 2], self.at + 2
            digits = digits if len(digits) == 2 else ""
        if not digits or not set(digits) <= set("0123456789abcdefABCDEF") or int(digits, 16) > 0x10FFFF:
            raise PatternError("invalid escape sequence")
        self.at = after
        return chr(int(digits, 16))

    def _literal(self, character: str) -> Piece:
        return Piece("set", self._cased(frozenset(character)))

    def _cased(self, characters: frozenset[str]) -> frozenset[str]:
        if not self.ignores_case:
            return characters
        return characters | {one.lower() for one in characters} | {one.upper() for one in characters}

    def _take(self, text: str) -> bool:
        taken = self.text.startswith(text, self.at)
        self.at += len(text) if taken else 0
        return taken


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
