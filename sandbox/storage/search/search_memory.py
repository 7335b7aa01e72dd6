"""Caches search results for open pages: the next search reads only the new events.

An open page repeats the same query several times per second. Events never change, so a result stays valid until
something leaves the log (its start or the count of compacted events differs) or a snapshot is restored (`content_of`);
then the search starts again. Pages without a filter are fast, and are not cached.
"""

import time
from collections import OrderedDict
from dataclasses import replace
from threading import Lock
from typing import Generic, TypeVar

from sandbox.model.messages import MessagePage, MessageQuery, Volume
from sandbox.schemas.decoding import EventDecoder
from sandbox.storage.deserializers import decoding_state
from sandbox.storage.file.content import content_of
from sandbox.storage.file.database import Reader
from sandbox.storage.log.compaction import compacted_events
from sandbox.storage.search import message_counts
from sandbox.storage.search.key_index import KeyIndex
from sandbox.storage.search.message_counts import Batched, Counted, counted_query, looks_at_events
from sandbox.storage.search.messages import MessageSearch, Places, SearchResult

KEPT = 32
"""The maximum number of cached searches, and of cached counts; the least recently used is dropped first."""
STOPPED_KEPT_S = 30
"""How long a search that ran out of time is continued: after that, a new search may find more."""
Kind = TypeVar("Kind", SearchResult, Counted, Batched)
Asked = tuple[int, MessageQuery, int, str]
"""Content number, query, time budget in ms, and the state of decoding (`decoding_state`) if something is decoded."""


class _Kept(Generic[Kind]):
    """Cached results, with each log's number of compacted events and the time of the first result."""

    def __init__(self) -> None:
        self._found: OrderedDict[Asked, tuple[Kind, list[tuple[int, int]], float]] = OrderedDict()
        self._lock = Lock()

    def get(self, reader: Reader, asked: Asked) -> Kind | None:
        with self._lock:
            kept = self._found.get(asked)
            if kept is None:
                return None
            self._found.move_to_end(asked)
        found, compacted, began_s = kept
        old = _is_partial(found) and time.monotonic() - began_s > STOPPED_KEPT_S
        return None if old or _compacted(reader, found.places) != compacted else found

    def put(self, reader: Reader, asked: Asked, found: Kind, before: Kind | None) -> None:
        compacted = _compacted(reader, found.places)
        with self._lock:
            began_s = self._found[asked][2] if before and asked in self._found else time.monotonic()
            self._found[asked] = (found, compacted, began_s)
            self._found.move_to_end(asked)
            while len(self._found) > KEPT:
                self._found.popitem(last=False)


def _is_partial(found: SearchResult | Counted | Batched) -> bool:
    if isinstance(found, Batched):
        # New events are added to an estimate, so it is computed again now and then.
        return not found.volume.exact
    return found.stopped is not None if isinstance(found, SearchResult) else not found.complete


def _compacted(reader: Reader, places: Places) -> list[tuple[int, int]]:
    return compacted_events(reader, [at for at, _, _ in places.values()])


class SearchMemory:
    """The searches of one file. Thread-safe."""

    def __init__(self) -> None:
        self._keys = KeyIndex()
        self._pages: _Kept[SearchResult] = _Kept()
        self._counts: _Kept[Counted] = _Kept()
        self._batches: _Kept[Batched] = _Kept()

    def page(
        self, reader: Reader, query: MessageQuery, now_ms: int, decoder: EventDecoder | None = None
    ) -> MessagePage:
        """Return one page of events.

        Args:
            decoder: decodes keys and values for the filters of the query; None leaves them as they are.

        Raises:
            BrokerError: UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST.
        """
        search = MessageSearch(reader, query, self._keys, decoder)
        if not looks_at_events(replace(counted_query(query), from_offset=None)):
            return search.page(now_ms)
        asked = (content_of(reader), query, query.budget_ms, decoding_state(reader) if decoder else "")
        before = self._pages.get(reader, asked)
        gone_on = search.go_on(before) if before else None
        found = gone_on or search.find()
        self._pages.put(reader, asked, found, gone_on)
        return search.page_of(found, now_ms)

    def volume(
        self, reader: Reader, query: MessageQuery, budget_ms: int, decoder: EventDecoder | None = None
    ) -> Volume:
        """Return how the events that a query finds are distributed over time.

        Args:
            budget_ms: time limit for reading events, if single events must be read.
            decoder: decodes keys and values for the filters of the query; None leaves them as they are.

        Raises:
            BrokerError: UNKNOWN_TOPIC_OR_PARTITION.
        """
        started_s = time.perf_counter()
        wanted = counted_query(query)
        asked = (content_of(reader), wanted, budget_ms, decoding_state(reader) if decoder else "")
        if not looks_at_events(wanted):
            return self._by_batches(reader, asked, started_s)
        before = self._counts.get(reader, asked)
        gone_on = message_counts.count_on(reader, wanted, before, decoder) if before else None
        found = gone_on or message_counts.count(reader, wanted, budget_ms, decoder)
        self._counts.put(reader, asked, found, gone_on)
        return message_counts.volume_of(reader, found, started_s)

    def _by_batches(self, reader: Reader, asked: Asked, started_s: float) -> Volume:
        query = asked[1]
        before = self._batches.get(reader, asked) if query.since_ms is None and query.until_ms is None else None
        gone_on = message_counts.batches_on(reader, query, before) if before else None
        found = gone_on or message_counts.count_batches(reader, query)
        self._batches.put(reader, asked, found, gone_on)
        return replace(found.volume, elapsed_ms=(time.perf_counter() - started_s) * 1000)
