"""Sorts the events that a query finds by a JSON field or a header, within a time limit.

No index has JSON fields, so the matching events are read from the newest on until all are read or time is up. Numbers
are compared by their exact value. Events without the field, or with null, come last in either direction.
"""

import heapq
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event
from sandbox.model.json_conditions import HeaderName
from sandbox.model.json_values import MISSING, Number, json_text, parse_value
from sandbox.model.messages import MessagePage, MessageQuery
from sandbox.web.decoding import readable_value
from sandbox.web.messages.query import MessagesView, Sort
from sandbox.web.responses import backend

CHUNK = 1_000
RANK = "rank:"
"""The start of a cursor in a sorted view; the number of events before the page follows."""
RANK_MAX = 5_000
"""The last event that pages of a sorted view reach."""

SortKey = tuple[int, Decimal, str]


def found_by(view: MessagesView) -> MessagePage:
    """Return the page of events that a view asks for: in the query's order, or sorted by a field."""
    return backend().messages(view.query) if view.sort is None else _sorted_page(view.query, view.sort)


def _sorted_page(query: MessageQuery, sort: Sort) -> MessagePage:
    started_s = time.perf_counter()
    first = _rank(query.cursor)
    wanted = first + query.limit + 1
    best: list[tuple[SortKey, int, Event]] = []
    missing: list[Event] = []
    page: MessagePage | None = None
    scanned = read = 0
    complete = False
    for page in _pages(query, started_s + query.budget_ms / 1000):
        scanned += page.scanned
        for event in page.events:
            read += 1
            if (key := sort_key(event, sort)) is not None:
                # Events with equal values stay in time order, the newest first, in both directions.
                best.append((key, -read if sort.descending else read, event))
            elif len(missing) < wanted:
                missing.append(event)
        pick = heapq.nlargest if sort.descending else heapq.nsmallest
        best = pick(wanted, best, key=lambda one: one[:2])
        complete = page.complete and page.next is None
    assert page is not None
    events = ([event for _, _, event in best] + missing)[first:wanted]
    more = len(events) > query.limit and first + query.limit < RANK_MAX
    return replace(
        page,
        events=tuple(events[: query.limit]),
        next=f"{RANK}{first + query.limit}" if more else None,
        previous=f"{RANK}{max(0, first - query.limit)}" if first else None,
        scanned=min(scanned, page.total),
        complete=complete,
        elapsed_ms=(time.perf_counter() - started_s) * 1000,
    )


def _rank(cursor: str | None) -> int:
    if cursor is None:
        return 0
    number = cursor.removeprefix(RANK)
    if number == cursor or not number.isdecimal() or int(number) > RANK_MAX:
        raise BrokerError("INVALID_REQUEST", f"{cursor!r} is not a cursor of this page.")
    return int(number)


def _pages(query: MessageQuery, until_s: float) -> Iterator[MessagePage]:
    """Yield the pages of matching events, newest first, until all are read or time is up; at least one."""
    left_ms = query.budget_ms
    order = query.order if query.order == "offset" else "newest"
    query = replace(query, order=order, cursor=None, limit=CHUNK)
    while True:
        page = backend().messages(replace(query, budget_ms=max(1, left_ms)))
        left_ms = int((until_s - time.perf_counter()) * 1000)
        yield page
        if page.next is None or left_ms <= 0:
            return
        query = replace(query, cursor=page.next)


def sort_key(event: Event, sort: Sort) -> SortKey | None:
    """Return the value by which an event is sorted: numbers, then text, then the rest; None if it has no value."""
    if isinstance(sort.field, HeaderName):
        name = sort.field.name
        value = next((value for one, value in event.headers if one == name), None)
        return None if value is None else _key_of_text(value.decode("utf-8", "replace"))
    found: Any = sort.field.find(parse_value(readable_value(event)))
    if found is MISSING or found is None:
        return None
    if isinstance(found, Number):
        exact = found.exact()
        return (0, exact, "") if exact is not None else (1, Decimal(0), found)
    if isinstance(found, str):
        return (1, Decimal(0), found)
    return (2, Decimal(0), json_text(found))


def _key_of_text(text: str) -> SortKey:
    """A header's value is text; headers that hold numbers are sorted as numbers."""
    try:
        number = Decimal(text)
        return (0, number, "") if number.is_finite() else (1, Decimal(0), text)
    except ArithmeticError:
        return (1, Decimal(0), text)
