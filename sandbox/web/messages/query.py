"""Reads the query string of a Messages page, and writes it with changes."""

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode

from flask import request

from sandbox.kafka.errors import BrokerError
from sandbox.model.json_conditions import Condition, HeaderName, JsonPath, check_header
from sandbox.model.messages import MessageQuery
from sandbox.model.time_text import time_meant
from sandbox.web.responses import argument_as_ms, backend

ORDERS = ("newest", "oldest", "offset")
LIMITS = (50, 100, 200, 500)
Field = JsonPath | HeaderName
"""A column: a JSON field of the value, or a header."""
COLUMNS_MAX = 8
CONDITIONS_MAX = 8
BUDGET_MS = 2_000
"""The time limit of a search; after it, the page offers to continue."""
FIELDS = ("order", "from", "since", "until", "p", "key", "exact", "value", "header", "where", "col", "limit", "cursor")
CONDITION_FIELDS = ("path", "op", "operand")
"""The fields of the condition that is being edited; it becomes a `where` of the address."""


def _whole(name: str, least: int = 0) -> int | None:
    text = request.args.get(name, "").strip()
    if not text:
        return None
    if not re.fullmatch(r"\d{1,18}", text) or int(text) < least:
        raise BrokerError("INVALID_REQUEST", f"{name} must be a whole number from {least}, not {text!r}.")
    return int(text)


def _from_offset(topic: str) -> int | None:
    """Return the offset to start at; refuse a number beyond every partition's end that looks like a time."""
    offset = _whole("from")
    meant = None if offset is None else time_meant(offset)
    if meant is not None and all(partition.end < (offset or 0) for partition in backend().topic(topic).partitions):
        raise BrokerError(
            "INVALID_REQUEST",
            f"{offset} is beyond the end of every partition. If it is a time, write it as since: {meant}.",
        )
    return offset


def _partitions() -> tuple[int, ...]:
    found: set[int] = set()
    for part in ",".join(request.args.getlist("p")).replace(" ", ",").split(","):
        if not part:
            continue
        span = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part)
        if span is None or int(span[2] or 0) - int(span[1]) > 10_000:
            raise BrokerError("INVALID_REQUEST", f"Write partitions as 0, 2, 4-6, not {part!r}.")
        found.update(range(int(span[1]), int(span[2] or span[1]) + 1))
    return tuple(sorted(found))


def several(name: str) -> list[str]:
    """Return all non-empty values of a field of the query string."""
    return [text for text in request.args.getlist(name) if text.strip()]


def typed_condition() -> Condition | None:
    """Return the condition in the form's three fields; None if they are empty.

    Raises:
        BrokerError: INVALID_REQUEST with the reason.
    """
    path, operator, operand = (request.args.get(name, "").strip() for name in CONDITION_FIELDS)
    if not path and not operand:
        return None
    return Condition.of(path, operator or "=", operand)


def _conditions() -> tuple[Condition, ...]:
    found = tuple(dict.fromkeys(map(Condition.parse, several("where"))))
    typed = typed_condition()
    if typed is not None and typed not in found:
        found = (*found, typed)
    if len(found) > CONDITIONS_MAX:
        raise BrokerError("INVALID_REQUEST", f"A page takes at most {CONDITIONS_MAX} conditions on JSON.")
    return found


def read_columns() -> tuple[Field, ...]:
    """Return the JSON fields and headers that the page shows as columns, in order.

    Raises:
        BrokerError: INVALID_REQUEST for an invalid path, or for too many columns.
    """
    found = tuple(dict.fromkeys(HeaderName.parse(text) or JsonPath.parse(text) for text in several("col")))
    if len(found) > COLUMNS_MAX:
        raise BrokerError("INVALID_REQUEST", f"A page shows at most {COLUMNS_MAX} fields as columns.")
    return found


def read_query(topic: str) -> MessageQuery:
    """Read the query string of a Messages page.

    Args:
        topic: the topic's name.

    Raises:
        BrokerError: INVALID_REQUEST with the reason.
    """
    order = request.args.get("order", "newest")
    if order not in ORDERS:
        raise BrokerError("INVALID_REQUEST", f"order is one of {', '.join(ORDERS)}, not {order!r}.")
    from_offset = _from_offset(topic)
    since_ms, until_ms = argument_as_ms("since"), argument_as_ms("until")
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise BrokerError("INVALID_REQUEST", "since must be before until: no event can lie between them.")
    return MessageQuery(
        topic=topic,
        partitions=_partitions(),
        order="offset" if from_offset is not None else order,
        from_offset=from_offset,
        since_ms=since_ms,
        until_ms=until_ms,
        key=request.args.get("key") or None,
        key_exact=request.args.get("exact") == "1",
        value=request.args.get("value") or None,
        headers=tuple(check_header(text) for text in several("header")[:CONDITIONS_MAX]),
        conditions=_conditions(),
        limit=min(_whole("limit", 1) or LIMITS[0], LIMITS[-1]),
        cursor=request.args.get("cursor") or None,
        budget_ms=BUDGET_MS,
    )


def is_filtered(query: MessageQuery) -> bool:
    """Return True if the query excludes events."""
    plain = MessageQuery(query.topic, order=query.order, cursor=query.cursor, limit=query.limit)
    return replace(query, key_exact=False, budget_ms=plain.budget_ms) != plain


def looks_inside(query: MessageQuery) -> bool:
    """Return True if the filters need the events' contents, not only their batches' metadata."""
    asks = (query.key, query.value, query.from_offset)
    return any(one is not None for one in asks) or bool(query.headers or query.conditions)


def link(path: str, **changes: str | Sequence[str] | None) -> str:
    """Return the view's address with changes in its query string.

    Args:
        path: the page's path.
        **changes: a field's new value: one text, several, or None to remove it.
    """
    pairs = [(name, value) for name in FIELDS if name not in changes for value in several(name)]
    if "col" not in changes and "col" in request.args and not several("col"):
        pairs.append(("col", ""))  # No column was requested, not even the default one of dead letters.
    for name, value in changes.items():
        values = () if value is None else (value,) if isinstance(value, str) else value
        pairs += [(name, one) for one in values]
    return path + ("?" + urlencode(pairs) if pairs else "")


def and_also(address: str, **fields: str) -> str:
    """Append fields to an address: much faster than `link` if a page has many addresses that differ only in these."""
    return address + ("&" if "?" in address else "?") + urlencode(fields)


def without(name: str, value: str) -> list[str]:
    """Return a repeatable field's values without one of them."""
    return [one for one in several(name) if one != value]


def reached_ms(cursor: str | None) -> int | None:
    """Return a cursor's timestamp; None in offset order, or without a cursor."""
    found = re.fullmatch(r"(?:after|before):(-?\d+):-?\d+:-?\d+", cursor or "")
    return int(found[1]) if found and int(found[1]) > 0 else None
