"""Events a column at a time: what the events of most batches are, and how they are moved fastest.

A tuple for each event costs as much as reading or writing it. Where nobody asks for one event, none is made.
"""

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import overload

from sandbox.kafka.event import Headers

Record = tuple[int, int, bytes | None, bytes | None, Headers | None]
"""Offset (within its batch where it is being appended), timestamp in ms, key, value, headers (() or None for none)."""
Column = list[bytes] | list[bytes | None]


class EventColumns(Sequence[Record]):
    """Events at consecutive offsets without headers. As a sequence, these are rows.

    Args:
        offset: of the first.
        base_ms: what the timestamps count from, in ms.
        after_ms: the timestamp of each, from `base_ms` on.
        keys: of each; None where all are null.
        values: of each; None where all are null.
        same_ms: True where it is known that every timestamp is `base_ms`.
    """

    __slots__ = ("after_ms", "base_ms", "keys", "offset", "same_ms", "values")

    def __init__(
        self,
        offset: int,
        base_ms: int,
        after_ms: list[int],
        keys: Column | None,
        values: Column | None,
        *,
        same_ms: bool = False,
    ) -> None:
        self.offset = offset
        self.same_ms = same_ms
        self.base_ms = base_ms
        self.after_ms = after_ms
        self.keys = keys
        self.values = values

    @property
    def timestamps(self) -> list[int]:
        """The timestamp of each, in ms since 1970."""
        if self.same_ms:
            return [self.base_ms] * len(self.after_ms)
        return list(map(self.base_ms.__add__, self.after_ms))

    @property
    def span_ms(self) -> tuple[int, int]:
        """The least and the largest timestamp."""
        if self.same_ms:
            return self.base_ms, self.base_ms
        return self.base_ms + min(self.after_ms), self.base_ms + max(self.after_ms)

    def __len__(self) -> int:
        return len(self.after_ms)

    def __iter__(self) -> Iterator[Record]:
        count = len(self.after_ms)
        times = map(self.base_ms.__add__, self.after_ms)
        keys, values = (repeat(None, count) if one is None else one for one in (self.keys, self.values))
        return zip(range(self.offset, self.offset + count), times, keys, values, repeat(None, count), strict=True)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> "EventColumns": ...

    def __getitem__(self, index: int | slice) -> "Record | EventColumns":
        if isinstance(index, slice):
            start, end, step = index.indices(len(self))
            if step != 1:
                raise ValueError("events of columns come one after another")
            keys, values = (None if one is None else one[start:end] for one in (self.keys, self.values))
            after_ms = self.after_ms[start:end]
            return EventColumns(self.offset + start, self.base_ms, after_ms, keys, values, same_ms=self.same_ms)
        place = range(len(self))[index]
        key, value = (None if one is None else one[place] for one in (self.keys, self.values))
        return self.offset + place, self.base_ms + self.after_ms[place], key, value, None
