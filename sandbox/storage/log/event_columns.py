"""Stores the events of one record batch by column.

A producer's batch is decoded, checked and inserted as columns: a tuple per event would cost as much as decoding it. The
columns are also a sequence of rows, for code that needs single events.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import overload

from sandbox.kafka.event import Headers

Record = tuple[int, int, bytes | None, bytes | None, Headers | None]
"""Offset (within its batch while it is being appended), timestamp in ms, key, value, headers (() or None for none)."""
Column = Sequence[bytes | None]


class EventColumns(Sequence[Record]):
    """The events of one record batch.

    Args:
        offsets: ascending; a range if there are no gaps.
        timestamps: in ms since 1970, one per event, as are the next two.
        keys: None for no key.
        values: None for a tombstone.
        headers: one per event; None if no event has headers.
    """

    __slots__ = ("headers", "keys", "offsets", "timestamps", "values")

    def __init__(
        self,
        offsets: Sequence[int],
        timestamps: Sequence[int],
        keys: Column,
        values: Column,
        headers: Sequence[Headers | None] | None = None,
    ) -> None:
        self.offsets = offsets
        self.timestamps = timestamps
        self.keys = keys
        self.values = values
        self.headers = headers

    @classmethod
    def of(cls, rows: Iterable[Record]) -> "EventColumns":
        """Return the columns of rows."""
        columns = tuple(zip(*rows, strict=True))
        if not columns:
            return cls((), (), (), ())
        offsets, timestamps, keys, values, headers = columns
        return cls(offsets, timestamps, keys, values, headers if any(headers) else None)

    def stamped(self, timestamp_ms: int) -> "EventColumns":
        """Return the same events with one timestamp, as `message.timestamp.type=LogAppendTime` requires."""
        return EventColumns(self.offsets, [timestamp_ms] * len(self), self.keys, self.values, self.headers)

    def __len__(self) -> int:
        return len(self.timestamps)

    def __iter__(self) -> Iterator[Record]:
        headers = repeat((), len(self)) if self.headers is None else self.headers
        return zip(self.offsets, self.timestamps, self.keys, self.values, headers, strict=True)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> "EventColumns": ...

    def __getitem__(self, index: int | slice) -> "Record | EventColumns":
        if isinstance(index, slice):
            headers = None if self.headers is None else self.headers[index]
            return EventColumns(
                self.offsets[index], self.timestamps[index], self.keys[index], self.values[index], headers
            )
        own = () if self.headers is None else self.headers[index]
        return self.offsets[index], self.timestamps[index], self.keys[index], self.values[index], own
