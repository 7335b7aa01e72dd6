"""Regular expressions over topic names (KIP-848) and transactional ids (KIP-1152), with the RE2 engine.

Kafka uses RE2/J, which has no look-around and no back-references and takes linear time: a client can't stall the broker
with its expression. RE2 has the same syntax. Its errors are translated to RE2/J's words, which Kafka sends to clients.

Source: https://github.com/google/re2/wiki/Syntax.
"""

from collections.abc import Callable

ERRORS = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "trailing \\": "trailing backslash at end of expression",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
}
"""RE2's words for an error to RE2/J's; the other errors have the same words in both."""


class PatternError(ValueError):
    """An invalid expression; the text is the reason in RE2/J's words."""


class NamePattern:
    """A regular expression over names. It must match the whole name.

    Args:
        text: the expression, in RE2's syntax.

    Raises:
        PatternError: the expression is invalid, or RE2 doesn't support it.
    """

    def __init__(self, text: str) -> None:
        # Imported here because few clients send an expression.
        import re2

        options = re2.Options()
        options.log_errors = False
        self.text = text
        try:
            self._fullmatch: Callable[[str], object | None] = re2.compile(text, options).fullmatch
        except re2.error as error:
            words, _, part = bytes(error.args[0]).decode(errors="replace").partition(": ")
            raise PatternError(": ".join(filter(None, (ERRORS.get(words, words), part)))) from None

    def matches(self, name: str) -> bool:
        """True if the expression matches the whole name."""
        return self._fullmatch(name) is not None
