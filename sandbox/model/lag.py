"""Lag of a group in one partition: the definition that every door uses.

Lag counts offsets, as Kafka's own tools do: from where the group reads next to the log end offset. So it includes
transaction markers, aborted events and offsets that compaction removed. A committed offset outside the log can't be
read: the next poll gets OFFSET_OUT_OF_RANGE and resets the position (auto.offset.reset). Lag then counts from the log
start offset, and the range is named instead of "caught up".

"Unread" counts events: those that a read_committed consumer will be given. Transaction markers and aborted events are
not unread. A broker doesn't know the isolation level of a group, and a read_committed client never commits past an
aborted event at the end of a log.
"""

BEYOND_END = "beyond end"
BELOW_START = "below start"
OUT_OF_RANGE = "out of range"
"""What a group's trend is called while one of its committed offsets is outside the log."""


def read_position(committed: int, start: int, end: int) -> int:
    """The offset from which lag counts.

    Args:
        committed: the committed offset.
        start: the log start offset.
        end: the log end offset, from the same moment.
    """
    return committed if start <= committed <= end else start


def lag_of(committed: int, start: int, end: int) -> int:
    """The lag of a group in one partition; the arguments are those of `read_position`."""
    return end - read_position(committed, start, end)


def range_of(committed: int | None, start: int, end: int) -> str | None:
    """`BEYOND_END` or `BELOW_START` for a committed offset outside the log, else None."""
    if committed is None or start <= committed <= end:
        return None
    return BEYOND_END if committed > end else BELOW_START


def range_text(committed: int | None, start: int, end: int) -> str | None:
    """What is wrong with a committed offset outside the log, and what follows, as one sentence without its period."""
    found = range_of(committed, start, end)
    if found is None or committed is None:
        return None
    if found == BEYOND_END:
        return f"committed {committed}, log ends at {end}: the next poll resets (auto.offset.reset)"
    deleted = start - committed
    events = "1 event was" if deleted == 1 else f"{deleted} events were"
    return f"committed {committed}, log starts at {start}: {events} deleted unread"
