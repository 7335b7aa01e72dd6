"""Finds where a key may be: an in-memory index of hashes of the keys of searched logs.

A log has no index of keys on disk, because one would cost a third of the insert rate. So the first search for a key
reads a log's keys once, and stores the 32-bit hashes of each full segment of `SEGMENT_EVENTS` offsets, sorted and
without duplicates. Later searches for any key use these, and read only the segments that may have it, and the last
segment, which still grows.

A segment with a key that may be decoded (bytes, or a frame of a schema registry) has a mark beside the hashes: a search
for a decoded key reads it too.

Events never change and their ids are never reused, so the index stays valid: an event that left the log costs one
unnecessary read. A restored snapshot is other content, which SQLite numbers (`PRAGMA schema_version`).
"""

import time
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock

from sandbox.storage.deserializers import MAY_BE_DECODED
from sandbox.storage.file.content import content_of
from sandbox.storage.file.database import Reader
from sandbox.storage.file.schema import OFFSET_BITS

SEGMENT_EVENTS = 2_048
HASHES_MAX = 4_000_000
"""The maximum number of hashes stored, of 4 bytes each."""

DECODED_MARK = 0xFFFFFFFF
"""Stands for a key that may be decoded. A key with the same hash costs an unnecessary read."""

LogSpan = tuple[int, int, int]
"""Row id of a partition, log start offset, end."""
Ranges = dict[int, list[tuple[int, int]]]
"""A partition's row id to the (first, last) offsets of the parts that may have the key, ascending."""
LogId = tuple[int, int]
"""Content number and row id of a partition."""


def _hashed(key: str | bytes) -> int:
    return hash(key) & 0xFFFFFFFF


class KeyIndex:
    """Hashes of the keys of searched logs. Thread-safe.

    Args:
        hashes_max: the maximum number stored; the least recently used log is dropped first.
    """

    def __init__(self, hashes_max: int = HASHES_MAX) -> None:
        self._hashes_max = hashes_max
        self._logs: OrderedDict[LogId, dict[int, array[int]]] = OrderedDict()
        self._held = 0
        self._lock = Lock()

    @property
    def held(self) -> int:
        """How many hashes are stored."""
        return self._held

    def ranges(
        self, reader: Reader, key: str, places: Iterable[LogSpan], until_s: float, *, decoded: bool = False
    ) -> Ranges | None:
        """Return the parts of logs in which the events of a key may be.

        Args:
            reader: the read transaction that the ends of the places were read in.
            key: the key, as text.
            until_s: when to stop reading, by `time.perf_counter`; 0 reads nothing.
            decoded: True also returns the parts that have a key that may be decoded.

        Returns:
            The parts of each log that may have it; None if time was up, or there are too many different keys to store.
        """
        content = content_of(reader)
        places = list(places)
        asked = {(content, at) for at, _, _ in places}
        wanted = {_hashed(key), _hashed(key.encode("utf-8", "surrogatepass")), *((DECODED_MARK,) if decoded else ())}
        found: Ranges = {}
        for at, start, end in places:
            kept = self._log((content, at))
            parts: list[tuple[int, int]] = []
            for number in range(end // SEGMENT_EVENTS - 1, start // SEGMENT_EVENTS - 1, -1):
                hashes = kept.get(number)
                if hashes is None:
                    if time.perf_counter() >= until_s:
                        return None
                    hashes = _read(reader, at, number)
                    if not self._keep((content, at), number, hashes, asked):
                        return None
                if any(_has(hashes, one) for one in wanted):
                    parts.append((number * SEGMENT_EVENTS, (number + 1) * SEGMENT_EVENTS - 1))
            tail = max(start, end // SEGMENT_EVENTS * SEGMENT_EVENTS)
            found[at] = parts[::-1] + ([(tail, end - 1)] if tail < end else [])
        return found

    def _log(self, log: LogId) -> dict[int, "array[int]"]:
        with self._lock:
            kept = self._logs.setdefault(log, {})
            self._logs.move_to_end(log)
            return kept

    def _keep(self, log: LogId, number: int, hashes: "array[int]", asked: set[LogId]) -> bool:
        """Store a segment. Return False if there is no room even without the logs that this search doesn't use."""
        with self._lock:
            while self._held + len(hashes) > self._hashes_max:
                oldest = next((one for one in self._logs if one not in asked), None)
                if oldest is None:
                    return False
                self._held -= sum(map(len, self._logs.pop(oldest).values()))
            kept = self._logs.setdefault(log, {})
            self._held += len(hashes) - len(kept.get(number, ()))
            kept[number] = hashes
        return True


def _read(reader: Reader, at: int, number: int) -> "array[int]":
    first = (at << OFFSET_BITS) + number * SEGMENT_EVENTS
    rows = reader.rows(
        f"SELECT key, {MAY_BE_DECODED['key']} FROM events WHERE id BETWEEN ? AND ? AND key IS NOT NULL",
        (first, first + SEGMENT_EVENTS - 1),
    )
    hashes = set()
    for key, may_be_decoded in rows:
        hashes.add(_hashed(key))
        if may_be_decoded and key:
            hashes.add(DECODED_MARK)
    return array("I", sorted(hashes))


def _has(hashes: "array[int]", wanted: int) -> bool:
    at = bisect_left(hashes, wanted)
    return at < len(hashes) and hashes[at] == wanted
