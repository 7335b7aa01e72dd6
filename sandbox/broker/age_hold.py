"""Delays deletion by age after the clock was set forward.

Retention compares stored timestamps with the clock. If the clock is set to next year by mistake, every event is
suddenly too old, and deleted events don't return when the clock is corrected. So for `HOLD_MS` after such a jump, ages
are computed as if it had not happened; the log, the page and the activity stream report it. This leaves time to correct
the clock before anything is deleted. Sleep of the machine doesn't count as a jump, because the events did grow older.
"""

JUMP_MS = 3_600_000
"""Deletion by age is held back if the clock is set forward by more than this."""
HOLD_MS = 3_600_000


class AgeHold:
    """How far the clock was set forward, until the new time is accepted.

    Attributes:
        jump_ms: size of the jump in ms; 0 if nothing is held back.
        until_ms: when deletion by age continues, by the current clock.
    """

    def __init__(self) -> None:
        self.jump_ms = 0
        self.until_ms = 0

    def clock_moved(self, by_ms: int, set_ms: int, now_ms: int) -> None:
        """Handle a clock that moved by `by_ms` more than the elapsed running time; it was set by `set_ms`."""
        self.until_ms += by_ms
        jump_ms = self.jump_ms + set_ms
        if jump_ms <= JUMP_MS:
            self.jump_ms = 0
            return
        self.jump_ms = jump_ms
        if set_ms > JUMP_MS:
            self.until_ms = now_ms + HOLD_MS

    def end_if_over(self, now_ms: int) -> bool:
        """Accept the new time if the hold is over. Returns True if that happened in this call."""
        if not self.jump_ms or now_ms < self.until_ms:
            return False
        self.jump_ms = 0
        return True

    def time_ms(self, now_ms: int) -> int:
        """Return the time to which ages are computed."""
        return now_ms - self.jump_ms
