"""Regular expressions over topic names (KIP-848, SubscribedTopicRegex), in the syntax of RE2.

Kafka uses RE2/J, which has no look-around and no back-references, and whose time is linear in the length of the name:
a member cannot hold up the broker with its expression. Python's own `re` has all three, so this is an engine of its
own: an expression becomes a small program, and all of its threads go through a name side by side (Thompson's way).
A name matches if the expression matches all of it.

Source: https://github.com/google/re2/wiki/Syntax.
"""

from typing import NamedTuple

from sandbox.broker.groups.topic_pattern_syntax import NONE, WORD, Parser, PatternError, Piece

__all__ = ["PatternError", "TopicPattern"]

PROGRAM_MAX = 20_000
REMEMBERED_STEPS_MAX = 20_000


class _Instruction(NamedTuple):
    """One step of the program: take a character, or go on at once to each of `following` (if `assertion` holds)."""

    following: tuple[int, ...]
    characters: frozenset[str] | None = None
    assertion: str = ""


class _Compiler:
    """Writes the program from its end to its beginning: each piece knows where it goes on."""

    def __init__(self) -> None:
        self.program: list[_Instruction] = [_Instruction(())]

    def add(self, following: tuple[int, ...], characters: frozenset[str] | None = None, assertion: str = "") -> int:
        if len(self.program) >= PROGRAM_MAX:
            raise PatternError("expression is too large")
        self.program.append(_Instruction(following, characters, assertion))
        return len(self.program) - 1

    def write(self, piece: Piece, after: int) -> int:
        """Write a piece that goes on at `after`; returns where it begins."""
        if piece.kind == "set":
            return self.add((after,), piece.characters)
        if piece.kind == "assert":
            return self.add((after,), assertion=piece.assertion)
        if piece.kind == "any":
            return self.add(tuple(self.write(part, after) for part in piece.parts))
        if piece.kind == "all":
            for part in reversed(piece.parts):
                after = self.write(part, after)
            return after
        return self._write_repeat(piece, after)

    def _write_repeat(self, piece: Piece, after: int) -> int:
        part = piece.parts[0]
        start = after
        if piece.most is None:
            loop = self.add(())
            self.program[loop] = _Instruction((self.write(part, loop), after))
            start = loop
        else:
            for _ in range(piece.most - piece.least):
                start = self.add((self.write(part, start), after))
        for _ in range(piece.least):
            start = self.write(part, start)
        return start


class TopicPattern:
    """A regular expression over topic names.

    Args:
        text: in RE2's syntax.

    Raises:
        PatternError: it is none, or one that RE2 does not have.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        compiler = _Compiler()
        self._start = compiler.write(Parser(text).read(), 0)
        self._program = compiler.program
        self._steps: dict[tuple[frozenset[int], str, str], frozenset[int]] = {}

    def matches(self, name: str) -> bool:
        """Whether the expression matches all of a name."""
        threads = frozenset((self._start,))
        before = ""
        for character in name:
            kind = before and ("word" if before in WORD else "other")
            key = (threads, kind, character)
            found = self._steps.get(key)
            if found is None:
                if len(self._steps) >= REMEMBERED_STEPS_MAX:
                    self._steps.clear()
                found = self._steps[key] = self._step(threads, before, character)
            if not found:
                return False
            threads, before = found, character
        return 0 in self._reached(threads, before, "")

    def _step(self, threads: frozenset[int], before: str, character: str) -> frozenset[int]:
        program = self._program
        return frozenset(
            following
            for at in self._reached(threads, before, character)
            if character in (program[at].characters or NONE)
            for following in program[at].following
        )

    def _reached(self, threads: frozenset[int], before: str, following: str) -> set[int]:
        """Every instruction that the threads come to between two characters ("" is the edge of the name)."""
        reached: set[int] = set()
        waiting = list(threads)
        while waiting:
            at = waiting.pop()
            if at in reached:
                continue
            reached.add(at)
            instruction = self._program[at]
            if instruction.characters is None and _holds(instruction.assertion, before, following):
                waiting.extend(instruction.following)
        return reached


def _holds(assertion: str, before: str, following: str) -> bool:
    if not assertion:
        return True
    if assertion == "start":
        return not before
    if assertion == "end":
        return not following
    boundary = (before in WORD) != (following in WORD)
    return boundary == (assertion == "boundary")
