"""Deletion by age waits after the clock was set forward.

Problem: retention compares stored timestamps with the clock. A clock that is set to next year makes everything too old
at once, and what is deleted does not come back when the clock is set right. Trade: for `HOLD_MS` after such a jump,
ages are counted as if it had not happened; the log, the page and the activity report it. Consequence: a wrong clock can
be set right before anything is lost. The sleep of the machine is no such jump: the events did grow older.
"""

JUMP_MS = 3_600_000
"""A clock that was set forward by more than this holds back deletion by age."""
HOLD_MS = 3_600_000


class AgeHold:
    """How far the clock was set forward, until that is believed.

    Attributes:
        jump_ms: how far; 0 if nothing is held back.
        until_ms: when deletion by age continues, by the clock as it is now.
    """

    def __init__(self) -> None:
        self.jump_ms = 0
        self.until_ms = 0

    def clock_moved(self, by_ms: int, set_ms: int, now_ms: int) -> None:
        """The clock moved by `by_ms` beside the running time, because it was set by `set_ms`."""
        self.until_ms += by_ms
        jump_ms = self.jump_ms + set_ms
        if jump_ms <= JUMP_MS:
            self.jump_ms = 0
            return
        self.jump_ms = jump_ms
        if set_ms > JUMP_MS:
            self.until_ms = now_ms + HOLD_MS

    def end_if_over(self, now_ms: int) -> bool:
        """Believe the clock if it is time; returns whether that happened now."""
        if not self.jump_ms or now_ms < self.until_ms:
            return False
        self.jump_ms = 0
        return True

    def time_ms(self, now_ms: int) -> int:
        """The time that ages are counted to."""
        return now_ms - self.jump_ms
