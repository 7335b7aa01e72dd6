"""Finds the events next to one event in its partition, and the committed offsets of groups in a topic."""

import time

from sandbox.kafka.errors import BrokerError
from sandbox.model.messages import Neighbours
from sandbox.storage.file.database import Reader
from sandbox.storage.file.schema import OFFSET_BITS
from sandbox.storage.log.log_transactions import markers
from sandbox.storage.log.topic_descriptions import partition_ids

CHUNK_EVENTS = 2_000
LOOKED_AT_MAX = 50_000
BUDGET_S = 0.05
"""Limits for the search for the same key, in each direction: the number of events, and the time."""


def committed_in(reader: Reader, topic: str) -> dict[str, dict[int, int]]:
    """Return committed offsets by group and partition, for the groups that have committed in a topic, sorted by id."""
    found: dict[str, dict[int, int]] = {}
    for group, partition, offset in reader.rows(
        "SELECT group_id, partition, offset FROM committed_offsets WHERE topic = ? ORDER BY group_id, partition",
        (topic,),
    ):
        found.setdefault(group, {})[partition] = offset
    return found


def neighbours(reader: Reader, topic: str, partition: int, offset: int) -> Neighbours:
    """Return an event's neighbours. The same key is only searched in its own partition, because keys don't move.

    Raises:
        BrokerError: UNKNOWN_TOPIC_OR_PARTITION.
    """
    places = partition_ids(reader, topic)
    if places is None or partition not in places:
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no partition {partition} of a topic {topic}.")
    at, start, end = places[partition]
    before, after = (start, offset - 1), (offset + 1, end - 1)
    row = reader.one("SELECT CAST(key AS BLOB) FROM events WHERE id = ?", ((at << OFFSET_BITS) + offset,))
    key = row[0] if row else None
    previous_of_key: tuple[int | None, int | None] = (None, None)
    next_of_key: tuple[int | None, int | None] = (None, None)
    if key is not None:
        previous_of_key = _nearest(reader, at, before, key, back=True)
        next_of_key = _nearest(reader, at, after, key, back=False)
    return Neighbours(
        previous=_nearest(reader, at, before, None, back=True)[0],
        next=_nearest(reader, at, after, None, back=False)[0],
        previous_of_key=previous_of_key[0],
        next_of_key=next_of_key[0],
        looked_back=previous_of_key[1],
        looked_on=next_of_key[1],
    )


def _nearest(
    reader: Reader, at: int, within: tuple[int, int], key: bytes | None, *, back: bool
) -> tuple[int | None, int | None]:
    """Find the nearest event in a range of offsets, with a key if one is passed.

    Returns:
        Its offset or None; and, if the search gave up, how many offsets it had read.
    """
    first, last = within
    base = at << OFFSET_BITS
    deadline = time.perf_counter() + BUDGET_S
    looked_at = 0
    while first <= last:
        if key is not None and (looked_at >= LOOKED_AT_MAX or (looked_at and time.perf_counter() > deadline)):
            return None, looked_at
        # Without a key the first row is the answer, unless there are markers or gaps, which are few.
        low, high = (
            (max(first, last - CHUNK_EVENTS + 1), last) if back else (first, min(last, first + CHUNK_EVENTS - 1))
        )
        hidden = markers(reader, at, low, high)
        of_key, parameters = ("AND CAST(key AS BLOB) = ?", (key,)) if key is not None else ("", ())
        for (row_id,) in reader.rows(
            f"SELECT id FROM events WHERE id BETWEEN ? AND ? {of_key} ORDER BY id {'DESC' if back else 'ASC'}",
            (base + low, base + high, *parameters),
        ):
            if row_id - base not in hidden:
                return row_id - base, None
        looked_at += high - low + 1
        first, last = (first, low - 1) if back else (high + 1, last)
    return None, None
