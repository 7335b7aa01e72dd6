"""Which offsets of a partition a group has handled: a set of ranges, so that millions of them cost little."""

from bisect import bisect_left

RANGES_MAX = 5000
"""Ranges kept for a partition. Beyond, the oldest gap is forgotten."""


class Handled:
    """A set of offsets, as ranges in order. Its size is bounded by the number of gaps."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def __contains__(self, offset: int) -> bool:
        at = bisect_left(self._lasts, offset)
        return at < len(self._firsts) and self._firsts[at] <= offset

    def add(self, first: int, last: int) -> int:
        """Add a range, both ends included; returns how many of its offsets were there before."""
        # Ranges that touch it or overlap it become one with it.
        start = bisect_left(self._lasts, first - 1)
        end = start
        again, low, high = 0, first, last
        while end < len(self._firsts) and self._firsts[end] <= last + 1:
            again += max(0, min(last, self._lasts[end]) - max(first, self._firsts[end]) + 1)
            low, high = min(low, self._firsts[end]), max(high, self._lasts[end])
            end += 1
        self._firsts[start:end] = [low]
        self._lasts[start:end] = [high]
        if len(self._firsts) > RANGES_MAX:
            del self._firsts[1], self._lasts[0]
        return again

    def gaps(self) -> list[tuple[int, int]]:
        """The ranges between, that were not handled: (first, last), in order."""
        return [(last + 1, first - 1) for last, first in zip(self._lasts, self._firsts[1:], strict=False)]
