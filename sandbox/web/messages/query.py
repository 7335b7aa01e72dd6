"""Reads the query string of a Messages page, and writes it with changes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar
from urllib.parse import urlencode

from flask import request

from sandbox.kafka.errors import BrokerError
from sandbox.model.json_conditions import Condition, HeaderName, JsonPath, check_header
from sandbox.model.messages import MessageQuery
from sandbox.model.times import time_meant
from sandbox.web.responses import argument_as_ms, backend

ORDERS = ("newest", "oldest", "offset")
LIMITS = (50, 100, 200, 500)
Field = JsonPath | HeaderName
"""A column: a JSON field of the value, or a header."""
COLUMNS_MAX = 8
CONDITIONS_MAX = 8
BUDGET_MS = 2_000
"""The time limit of a search; after it, the page offers to continue."""
FIELDS = (
    "order", "from", "since", "until", "p", "key", "exact", "value", "header", "where", "col", "sort", "limit",
    "cursor",
)  # fmt: skip
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


@dataclass(frozen=True, slots=True)
class Sort:
    """The field by which events are sorted; written as `$.mag desc`, or `header trace asc`."""

    field: Field
    descending: bool

    @classmethod
    def parse(cls, text: str) -> "Sort":
        """Parse a field and a direction; without a direction, the largest values come first.

        Raises:
            BrokerError: INVALID_REQUEST for an invalid path.
        """
        words = text.rsplit(maxsplit=1)
        if len(words) == 2 and words[1] in ("asc", "desc"):
            return cls(field_of(words[0].lstrip()), words[1] == "desc")
        return cls(field_of(text.strip()), True)

    def __str__(self) -> str:
        return f"{self.field} {'desc' if self.descending else 'asc'}"


@dataclass(slots=True)
class MessagesView:
    """What the query string of a Messages page asks for.

    Attributes:
        query: the filters, the order and the place of the page; without the invalid filters.
        columns: the fields that are shown as columns, in order.
        sort: the field by which the events are sorted, None for `query.order`.
        wrong: the reason for each invalid field of the form.
    """

    query: MessageQuery
    columns: tuple[Field, ...] = ()
    sort: Sort | None = None
    wrong: dict[str, str] = field(default_factory=dict)


T = TypeVar("T")


def field_of(text: str) -> Field:
    """Parse a field: `$.mag`, `mag` or `header trace`.

    Raises:
        BrokerError: INVALID_REQUEST for an invalid path.
    """
    return HeaderName.parse(text) or JsonPath.parse(text)


def _conditions(wrong: dict[str, str] | None) -> tuple[Condition, ...]:
    found: dict[Condition, None] = {}
    for text in several("where"):
        condition = _read(wrong, "where", partial(Condition.parse, text), None)
        if condition is not None:
            found[condition] = None
    typed = _read(wrong, "path", typed_condition, None)
    if typed is not None:
        found[typed] = None
    if len(found) > CONDITIONS_MAX:
        refusal = BrokerError("INVALID_REQUEST", f"A page takes at most {CONDITIONS_MAX} conditions on JSON.")
        _read(wrong, "where", lambda: _raise(refusal), None)
    return tuple(found)[:CONDITIONS_MAX]


def _raise(error: BrokerError) -> None:
    raise error


def _read(wrong: dict[str, str] | None, name: str, read: Callable[[], T], otherwise: T) -> T:
    """Return what `read` returns. If it refuses the field, note why in `wrong`; without `wrong`, raise the error."""
    try:
        return read()
    except BrokerError as error:
        if wrong is None or error.error.name != "INVALID_REQUEST":
            raise
        wrong.setdefault(name, error.detail)
        return otherwise


def _columns() -> tuple[Field, ...]:
    found = tuple(dict.fromkeys(field_of(text) for text in several("col")))
    if len(found) > COLUMNS_MAX:
        raise BrokerError("INVALID_REQUEST", f"A page shows at most {COLUMNS_MAX} fields as columns.")
    return found


def _order() -> str:
    order = request.args.get("order", "newest")
    if order not in ORDERS:
        raise BrokerError("INVALID_REQUEST", f"order is one of {', '.join(ORDERS)}, not {order!r}.")
    return order


def read_view(topic: str, *, keep: bool = False) -> MessagesView:
    """Read the query string of a Messages page.

    Args:
        topic: the topic's name.
        keep: True to leave invalid filters out and report them in `wrong`, instead of raising the first error.

    Raises:
        BrokerError: INVALID_REQUEST with the reason.
    """
    wrong: dict[str, str] | None = {} if keep else None
    from_offset = _read(wrong, "from", lambda: _from_offset(topic), None)
    since_ms = _read(wrong, "since", lambda: argument_as_ms("since"), None)
    until_ms = _read(wrong, "until", lambda: argument_as_ms("until"), None)
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        refusal = BrokerError("INVALID_REQUEST", "since must be before until: no event can lie between them.")
        _read(wrong, "until", lambda: _raise(refusal), None)
        until_ms = None
    text = request.args.get("sort", "").strip()
    sort = _read(wrong, "sort", lambda: Sort.parse(text), None) if text else None
    order = _read(wrong, "order", _order, "newest")
    limit = _read(wrong, "limit", lambda: _whole("limit", 1), None)
    query = MessageQuery(
        topic=topic,
        partitions=_read(wrong, "p", _partitions, ()),
        order="offset" if from_offset is not None else order,
        from_offset=from_offset,
        since_ms=since_ms,
        until_ms=until_ms,
        key=request.args.get("key") or None,
        key_exact=request.args.get("exact") == "1",
        value=request.args.get("value") or None,
        headers=_headers(wrong),
        conditions=_conditions(wrong),
        limit=min(limit or LIMITS[0], LIMITS[-1]),
        cursor=request.args.get("cursor") or None,
        budget_ms=BUDGET_MS,
    )
    return MessagesView(query, _read(wrong, "col", _columns, ()), sort, wrong or {})


def _headers(wrong: dict[str, str] | None) -> tuple[str, ...]:
    checked = [_read(wrong, "header", partial(check_header, text), "") for text in several("header")[:CONDITIONS_MAX]]
    return tuple(text for text in checked if text)


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
