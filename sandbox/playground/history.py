"""Stores which offsets of a partition a group has handled, as ranges: millions of offsets need little memory."""

from bisect import bisect_left

RANGES_MAX = 5000
"""The maximum number of ranges per partition. Beyond it, the oldest gap is dropped."""


class Handled:
    """A set of offsets, stored as sorted ranges. Its size depends on the number of gaps only."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def __contains__(self, offset: int) -> bool:
        at = bisect_left(self._lasts, offset)
        return at < len(self._firsts) and self._firsts[at] <= offset

    def add(self, first: int, last: int) -> int:
        """Add the offsets `first` to `last`, both included. Returns how many of them were in the set already."""
        # Adjacent and overlapping ranges are merged.
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
        """Return the gaps between the ranges as (first, last), in order."""
        return [(last + 1, first - 1) for last, first in zip(self._lasts, self._firsts[1:], strict=False)]
