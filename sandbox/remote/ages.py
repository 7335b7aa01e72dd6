"""Timestamps of the oldest unread events. Events are immutable, so a timestamp that was read once is cached."""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event, EventAddress
from sandbox.remote.connection import ClusterConnection
from sandbox.remote.reader import Stretch, read_places

REMEMBERED = 20_000
ASKED_MAX = 100
"""How many events are read for one page; the ages of the others stay unknown until the next."""
BUDGET_S = 0.8


class Ages:
    """The timestamps of events by their address.

    Args:
        connection: to the cluster.
    """

    def __init__(self, connection: ClusterConnection) -> None:
        self._connection = connection
        self._known: OrderedDict[EventAddress, int] = OrderedDict()
        self._empty: OrderedDict[tuple[EventAddress, int], None] = OrderedDict()
        self._lock = threading.Lock()

    def timestamps(self, wanted: Iterable[tuple[EventAddress, int]]) -> dict[EventAddress, int | None]:
        """Return the timestamps of the events at some addresses, without the events that have none.

        If the address is a gap (compaction, a transaction marker), the partition's next event counts; None if there is
        no event up to the end of the log.

        Args:
            wanted: each address, and the end of its log.
        """
        found: dict[EventAddress, int | None] = {}
        asked: dict[tuple[str, int], Stretch] = {}
        with self._lock:
            for address, end in wanted:
                if address in self._known:
                    found[address] = self._known[address]
                    self._known.move_to_end(address)
                elif (address, end) in self._empty:
                    found[address] = None
                elif len(asked) < ASKED_MAX and address[:2] not in asked:
                    asked[address[:2]] = Stretch(address[2], end)
        if asked:
            found.update(self._read(asked))
        return {address: at_ms for address, at_ms in found.items() if at_ms is None or at_ms >= 0}

    def _read(self, asked: dict[tuple[str, int], Stretch]) -> dict[EventAddress, int | None]:
        read: dict[EventAddress, int] = {}
        done: set[tuple[str, int]] = set()

        def take(event: Event) -> bool:
            place = (event.topic, event.partition)
            if event.offset < asked[place].until:
                read.setdefault((*place, asked[place].first), event.timestamp_ms)
            return False

        try:
            done = read_places(self._connection, asked, take, time.monotonic() + BUDGET_S)
        except BrokerError:
            # The age stays unknown; the page shows everything else.
            pass
        empty = {(*place, asked[place].first): asked[place].until for place in done}
        empty = {address: end for address, end in empty.items() if address not in read}
        with self._lock:
            self._known.update(read)
            self._empty.update(dict.fromkeys(empty.items()))
            for kept in (self._known, self._empty):
                while len(kept) > REMEMBERED:
                    kept.popitem(last=False)
        return {**read, **dict.fromkeys(empty)}
