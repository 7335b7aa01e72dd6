"""Pages of a topic's events in a cluster: filtered, in time order or offset order, in both directions.

A log can only be read forwards, and its only indexes are offsets and the first offset of a time. So a page is built
from lanes, one per partition. Each lane reads stretches of its log, upwards or downwards, and the page takes the next
event from the lane whose next event is the earliest (or latest). This is true time order if each partition is in time
order. If a producer wrote older timestamps after newer ones, that partition's events stay in offset order. A cursor
holds every lane's position, so a page stays stable while producers write.
"""

import base64
import binascii
import json
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event
from sandbox.model.json_conditions import has_header
from sandbox.model.messages import MessagePage, MessageQuery
from sandbox.remote.connection import ClusterConnection
from sandbox.remote.logs import Logs
from sandbox.remote.reader import Stretch, read_stretches
from sandbox.schemas.decoding import EventDecoder, nowhere

ORDERS = ("newest", "oldest", "offset")
STRETCH_MIN, STRETCH_MAX = 16, 8192
"""How many offsets of a partition are read at a time: few at first, more while too few events match."""
BYTES_AT_ONCE = 16 * 1024 * 1024
"""About how many bytes are read at a time, over all partitions."""
PATIENCE_S = 0.5
"""A search reads for at least this long, so it always makes progress."""
AFTER, BEFORE = "after", "before"


@dataclass(slots=True)
class _Lane:
    """One partition of a search.

    Attributes:
        low, high: the bounds of the offsets to read, `high` excluded.
        at: the current position: the next offset upwards, or the one above the next downwards.
        found: matching events in the order in which the page takes them.
    """

    partition: int
    low: int
    high: int
    at: int
    down: bool
    found: deque[Event] = field(default_factory=deque)

    @property
    def ended(self) -> bool:
        """True if there is nothing left to read."""
        return self.at <= self.low if self.down else self.at >= self.high

    @property
    def place(self) -> int:
        """The position after the events that were taken."""
        if not self.found:
            return self.at
        return self.found[0].offset + 1 if self.down else self.found[0].offset

    def next_stretch(self, size: int) -> Stretch:
        """Return the offsets to read next."""
        if self.down:
            return Stretch(max(self.low, self.at - size), self.at)
        return Stretch(self.at, min(self.high, self.at + size))


def matcher(query: MessageQuery, decoder: EventDecoder) -> Callable[[Event], bool]:
    """Return a function that tests if an event matches a query; it doesn't check topic and partition."""

    def matches(event: Event) -> bool:
        if query.since_ms is not None and event.timestamp_ms < query.since_ms:
            return False
        if query.until_ms is not None and event.timestamp_ms >= query.until_ms:
            return False
        if not all(has_header(one, event.headers) for one in query.headers):
            return False
        return decoder.meets(query, event.key, event.value, event.headers)

    return matches


def is_filtered(query: MessageQuery) -> bool:
    """True if a query has conditions on events, so that many may have to be read for one match."""
    return any((query.key is not None, query.value is not None, query.headers, query.conditions))


class RemoteSearch:
    """One search.

    Args:
        connection: the cluster.
        logs: the cluster's topics.
        query: the query.
        decoder: decodes keys and values for its filters; None compares what is stored.

    Raises:
        BrokerError: UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST.
    """

    def __init__(
        self, connection: ClusterConnection, logs: Logs, query: MessageQuery, decoder: EventDecoder | None = None
    ) -> None:
        if query.order not in ORDERS:
            raise BrokerError("INVALID_REQUEST", f"order is one of {', '.join(ORDERS)}, not {query.order!r}.")
        if not 1 <= query.limit <= 1000:
            raise BrokerError("INVALID_REQUEST", "limit is from 1 to 1,000 events.")
        self._connection = connection
        self._query = query
        self._matches = matcher(query, decoder or EventDecoder(nowhere))
        self._scanned = 0
        self._scanned_bytes = 0
        topic = logs.describe(query.topic, ())
        for partition in query.partitions:
            if all(one.partition != partition for one in topic.partitions):
                raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"Topic {query.topic} has no partition {partition}.")
        self._logs = [
            one
            for one in topic.partitions
            if one.end >= 0 and (not query.partitions or one.partition in query.partitions)
        ]
        self._bounds = self._times(logs)
        self._direction = AFTER
        self._places: dict[int, int] | None = None
        if query.cursor:
            self._direction, self._places = _parse(query.cursor)

    def _times(self, logs: Logs) -> dict[int, tuple[int, int]]:
        """Return the offsets to read by partition, from the query's offsets and times."""
        query = self._query
        bounds = {one.partition: (one.start, one.end) for one in self._logs}
        places = [(query.topic, partition) for partition in bounds]
        if query.from_offset is not None and query.order == "offset":
            bounds = {p: (min(max(low, query.from_offset), high), high) for p, (low, high) in bounds.items()}
        if query.since_ms is not None:
            for (_, partition), at in logs.offsets_at(places, query.since_ms).items():
                low, high = bounds[partition]
                bounds[partition] = (high if at is None else min(max(low, at), high), high)
        if query.until_ms is not None:
            for (_, partition), at in logs.offsets_at(places, query.until_ms).items():
                low, high = bounds[partition]
                bounds[partition] = (low, high if at is None else max(low, min(at, high)))
        return bounds

    def page(self, now_ms: int) -> MessagePage:
        """Return the page. Raises ClusterAway if the cluster doesn't answer."""
        started_s = time.monotonic()
        back = self._direction == BEFORE
        down = (self._query.order == "newest") != back
        lanes = [self._lane(partition, low, high, down) for partition, (low, high) in sorted(self._bounds.items())]
        if self._query.order == "offset" and down:
            lanes.reverse()
        begun = {lane.partition: lane.at for lane in lanes}
        found, complete = self._collect(lanes, down, started_s + self._query.budget_ms / 1000)
        if back:
            found.reverse()
        reached = {lane.partition: lane.place for lane in lanes}
        more = not complete or any(lane.found or not lane.ended for lane in lanes)
        following = _cursor(AFTER, begun if back else reached) if more or back else None
        previous = _cursor(BEFORE, reached if back else begun) if (more if back else self._query.cursor) else None
        return MessagePage(
            events=tuple(found),
            next=following,
            previous=previous,
            scanned=self._scanned,
            total=sum(one.events for one in self._logs),
            complete=complete,
            elapsed_ms=(time.monotonic() - started_s) * 1000,
            as_of_ms=now_ms,
            as_of={one.partition: one.end for one in self._logs},
        )

    def _lane(self, partition: int, low: int, high: int, down: bool) -> _Lane:
        at = high if down else low
        if self._places is not None:
            at = min(max(self._places.get(partition, at), low), high)
        return _Lane(partition, low, high, at, down)

    def _collect(self, lanes: list[_Lane], down: bool, deadline_s: float) -> tuple[list[Event], bool]:
        """Return the page's events, and True if the time was sufficient. Searches for one more event than the page
        holds, so that the page after it is never empty.
        """
        found: list[Event] = []
        size = min(STRETCH_MAX, max(STRETCH_MIN, 2 * self._query.limit // max(1, len(lanes))))
        in_turn = self._query.order == "offset"
        while True:
            needy = [lane for lane in lanes if not lane.found and not lane.ended]
            if in_turn and needy:
                first = next(lane for lane in lanes if lane.found or not lane.ended)
                needy = [first] if first in needy else []
            if needy:
                if time.monotonic() >= deadline_s:
                    return found, False
                self._fill(needy, size, deadline_s)
                event_bytes = max(1, self._scanned_bytes // max(1, self._scanned))
                size = min(STRETCH_MAX, size * 2, max(STRETCH_MIN, BYTES_AT_ONCE // event_bytes // len(lanes)))
                continue
            ready = [lane for lane in lanes if lane.found]
            if not ready or len(found) == self._query.limit:
                return found, True
            lane = ready[0] if in_turn else (max if down else min)(ready, key=_head)
            found.append(lane.found.popleft())

    def _fill(self, lanes: list[_Lane], size: int, deadline_s: float) -> None:
        """Read the next stretch of some lanes. A stretch that couldn't be completed in time is discarded."""
        stretches = {lane.partition: lane.next_stretch(size) for lane in lanes}
        read: dict[int, list[Event]] = {lane.partition: [] for lane in lanes}

        def take(event: Event) -> bool:
            self._scanned += 1
            self._scanned_bytes += len(event.key or b"") + len(event.value or b"")
            if self._matches(event):
                read[event.partition].append(event)
            return True

        # A page without a filter is worth waiting for, a search stops when its time is up.
        patience_s = PATIENCE_S if is_filtered(self._query) else self._connection.timeout_s
        done = read_stretches(
            self._connection, self._query.topic, stretches, take, max(deadline_s, time.monotonic() + patience_s)
        )
        for lane in lanes:
            if lane.partition not in done:
                if lane.down or not read[lane.partition]:
                    continue
                lane.at = read[lane.partition][-1].offset + 1
            else:
                stretch = stretches[lane.partition]
                lane.at = stretch.first if lane.down else stretch.until
            lane.found.extend(reversed(read[lane.partition]) if lane.down else read[lane.partition])


def _head(lane: _Lane) -> tuple[int, int, int]:
    event = lane.found[0]
    return event.timestamp_ms, event.partition, event.offset


def _cursor(direction: str, places: dict[int, int]) -> str:
    packed = zlib.compress(json.dumps([direction, *places.items()], separators=(",", ":")).encode(), 9)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _parse(text: str) -> tuple[str, dict[int, int]]:
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        direction, *places = json.loads(zlib.decompressobj().decompress(packed, 1_000_000))
        if direction not in (AFTER, BEFORE):
            raise ValueError
        return direction, {int(partition): int(offset) for partition, offset in places}
    except (ValueError, TypeError, zlib.error, binascii.Error):
        raise BrokerError("INVALID_REQUEST", f"{text[:60]!r} is not a cursor of this page.") from None


def read_event(connection: ClusterConnection, logs: Logs, topic: str, partition: int, offset: int) -> Event:
    """Return one event.

    Raises:
        BrokerError: UNKNOWN_TOPIC_OR_PARTITION, or OFFSET_OUT_OF_RANGE, whose text says if it was deleted or isn't
        written
            yet.
    """
    found = [one for one in logs.describe(topic, ()).partitions if one.partition == partition]
    if not found:
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no partition {partition} of a topic {topic}.")
    if offset >= found[0].end:
        raise BrokerError(
            "OFFSET_OUT_OF_RANGE",
            f"Offset {offset} is not written yet: the next event of the partition gets {found[0].end}.",
        )
    if offset < found[0].start:
        raise BrokerError(
            "OFFSET_OUT_OF_RANGE",
            f"Offset {offset} is gone: the log of the partition now starts at {found[0].start}.",
        )
    events: list[Event] = []

    def take(event: Event) -> bool:
        events.append(event)
        return False

    # If there is no event at this offset, the next one is returned, or the end of the log.
    stretch = {partition: Stretch(offset, found[0].end)}
    done = read_stretches(connection, topic, stretch, take, time.monotonic() + connection.timeout_s)
    if not done and not events:
        raise connection.away("it did not give the event in time")
    if not events or events[0].offset != offset:
        raise BrokerError(
            "OFFSET_OUT_OF_RANGE", f"Offset {offset} holds no event: compaction took it, or it is a transaction marker."
        )
    return events[0]
