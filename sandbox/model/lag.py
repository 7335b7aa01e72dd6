"""Defines the lag of a group in one partition, for every interface.

Lag counts offsets, as Kafka's own tools do: from the offset that the group reads next to the log end offset. So it
includes transaction markers, aborted events and offsets that compaction removed. A committed offset outside the log
can't be read: the next poll gets OFFSET_OUT_OF_RANGE and resets the position (auto.offset.reset). Lag then counts from
the log start offset, and the status is "out of range" instead of "caught up".

"Unread" counts events: those that a read_committed consumer will receive. Transaction markers and aborted events are
not unread. A broker doesn't know the isolation level of a group, and a read_committed client never commits past an
aborted event at the end of a log.
"""

BEYOND_END = "beyond end"
BELOW_START = "below start"
OUT_OF_RANGE = "out of range"
"""A group's trend while one of its committed offsets is outside the log."""


def read_position(committed: int, start: int, end: int) -> int:
    """Return the offset from which lag counts.

    Args:
        committed: the committed offset.
        start: the log start offset.
        end: the log end offset, from the same moment.
    """
    return committed if start <= committed <= end else start


def lag_of(committed: int, start: int, end: int) -> int:
    """Return the lag of a group in one partition; see `read_position` for the arguments."""
    return end - read_position(committed, start, end)


def range_of(committed: int | None, start: int, end: int) -> str | None:
    """Return `BEYOND_END` or `BELOW_START` for a committed offset outside the log, else None."""
    if committed is None or start <= committed <= end:
        return None
    return BEYOND_END if committed > end else BELOW_START


def range_text(committed: int | None, start: int, end: int) -> str | None:
    """Describe a committed offset outside the log and its consequence, as one sentence without its full stop."""
    found = range_of(committed, start, end)
    if found is None or committed is None:
        return None
    if found == BEYOND_END:
        return f"committed {committed}, log ends at {end}: the next poll resets (auto.offset.reset)"
    deleted = start - committed
    events = "1 event was" if deleted == 1 else f"{deleted} events were"
    return f"committed {committed}, log starts at {start}: {events} deleted unread"
