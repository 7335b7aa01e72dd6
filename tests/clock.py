"""A clock that a test sets."""

from dataclasses import dataclass

START_MS = 1_700_000_000_000


@dataclass
class Clock:
    """The time in ms since 1970; it stands still until it is moved."""

    now_ms: int = START_MS

    def __call__(self) -> int:
        return self.now_ms

    def pass_ms(self, duration_ms: int) -> int:
        """Move on, and give the new time."""
        self.now_ms += duration_ms
        return self.now_ms
