"""Activity: a single log of what happened, newest first, with links to the objects concerned."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote

from flask import Blueprint, Response, request

from sandbox.kafka.errors import BrokerError
from sandbox.model.activity import KINDS, ActivityEntry, ActivityPage, ActivityQuery
from sandbox.web import formats as words
from sandbox.web.activity_text import entry_pieces, entry_text
from sandbox.web.responses import (
    ALL,
    NOTHING,
    argument_as_ms,
    backend,
    csv_file,
    data,
    group_address,
    is_topic,
    overview,
    page,
    subject_address,
)

blueprint = Blueprint("activity", __name__)

ENTRIES = 60
SPAN_MS = 10_000
ENTRIES_MAX = 1000
COLUMNS = ("at_ms", "kind", "topic", "partition", "offset", "group", "count")
CLUSTER_KINDS = ("injected", "started", "stopped", "moved")
MARKS = {
    "produced": "→",
    "returned": "↩",
    "committed": "✓",
    "joined": "+",
    "left": "−",
    "rebalanced": "↻",
    "reset": "↶",
    "created": "✚",
    "deleted": "✕",
    "altered": "✎",
    "injected": "⚠",
    "started": "▲",
    "stopped": "■",
    "moved": "⇄",
    "retention": "⌛",
    "compacted": "≡",
    "generated": "▷",
    "schema": "§",
    "snapshot": "◉",
    "clock": "◷",
}


def _asked(limit: int = ENTRIES) -> ActivityQuery:
    """Read the filter from the query string.

    Raises:
        BrokerError: INVALID_REQUEST with the reason.
    """
    kinds = frozenset(kind for kind in request.args.getlist("kind") if kind)
    strange = sorted(kinds - KINDS.keys())
    if strange:
        raise BrokerError("INVALID_REQUEST", f"There is no kind {strange[0]!r}. The kinds are {', '.join(KINDS)}.")
    return ActivityQuery(
        kinds,
        request.args.get("topic") or None,
        request.args.get("group") or None,
        argument_as_ms("since"),
        argument_as_ms("before"),
        max(1, min(request.args.get("limit", limit, type=int), ENTRIES_MAX)),
    )


def link(entry: ActivityEntry, known: ActivityPage) -> str | None:
    """Return the address of the entry's object; None if it was deleted or has no page."""
    if entry.kind in CLUSTER_KINDS:
        return "/cluster#faults" if entry.kind == "injected" else "/cluster"
    if entry.kind == "snapshot":
        return "/snapshots"
    if entry.kind == "schema":
        subject = str(entry.details.get("subject", ""))
        return subject_address(subject) if subject and entry.details.get("action") == "registered" else "/schemas"
    if entry.group is not None:
        return group_address(entry.group) if entry.group in known.groups else None
    if entry.topic is None or entry.topic not in known.topics:
        return None
    path = f"/topics/{quote(entry.topic, safe='')}"
    return path if entry.offset is None else f"{path}/{entry.partition}/{entry.offset}"


@dataclass(frozen=True, slots=True)
class Words:
    """A piece of an entry's text.

    Attributes:
        address: the page of the event that the piece names; None for plain text.
    """

    text: str
    address: str | None = None


def told(entry: ActivityEntry, is_there: Callable[[str], bool]) -> tuple[Words, ...]:
    """Return an entry's text, with links to the events it names.

    Args:
        is_there: True if a topic of this name exists.
    """
    pieces = []
    for piece in entry_pieces(entry):
        address = None
        if piece.place is not None and is_there(piece.place[0]):
            topic, partition, offset = piece.place
            address = f"/topics/{quote(topic, safe='')}/{partition}/{offset}"
        pieces.append(Words(piece.text, address))
    return tuple(pieces)


def _row_ids(entries: Sequence[ActivityEntry]) -> list[str]:
    """Return the id of each entry's row. It stays the same while an entry's count grows (10 s), and while other entries
    appear above it, so its row stays in place.
    """
    seen: Counter[str] = Counter()
    ids = []
    for entry in reversed(entries):
        one = f"a-{entry.at_ms // SPAN_MS}-{entry.kind}-{entry.topic}-{entry.group}-{entry.partition}"
        ids.append(f"{one}-{seen[one]}")
        seen[one] += 1
    return ids[::-1]


def _rows(found: ActivityPage) -> Iterator[tuple[object, ...]]:
    """Yield each row's id, as the key of its cached HTML and as a value, and its other values."""
    shown_day = None
    is_there = cache(is_topic)
    for row_id, entry in zip(_row_ids(found.entries), found.entries, strict=True):
        day = words.at(entry.at_ms)[:10]
        mark = MARKS.get(entry.kind, "·")
        there = entry.topic in found.topics
        day_shown = day if day != shown_day else None
        yield row_id, row_id, entry, told(entry, is_there), mark, link(entry, found), there, day_shown
        shown_day = day


@blueprint.get("/activity")
def index() -> Response:
    """The activity page."""
    try:
        asked, error = _asked(), None
    except BrokerError as refused:
        asked, error = ActivityQuery(), refused.detail
    found = backend().activity.read(asked) if error is None else ActivityPage((), None, frozenset(), frozenset())
    filters = [(name, value) for name, value in request.args.items(multi=True) if value and name != "before"]
    return page(
        "activity/index",
        # Entries before a fixed time don't change any more.
        NOTHING if asked.before_ms is not None or error else ALL,
        400 if error else 200,
        found=found,
        rows=_rows(found),
        kinds=KINDS,
        asked=asked,
        filters=filters,
        error=error,
        group_address=group_address,
    )


def entry_json(entry: ActivityEntry) -> dict[str, object]:
    """An entry's fields, and its details in words."""
    columns = {column: getattr(entry, column) for column in COLUMNS}
    return {**columns, "details": dict(entry.details), "text": entry_text(entry)}


@blueprint.get("/activity.json")
def index_json() -> Response:
    """The entries as JSON, each with its fields and a text; `next` is the `before` of the next page."""
    found = backend().activity.read(_asked())
    entries = [entry_json(entry) for entry in found.entries]
    return data({"as_of_ms": overview().as_of_ms, "entries": entries, "next": found.next_ms})


@blueprint.get("/activity.csv")
def index_csv() -> Response:
    """The entries as CSV."""
    found = backend().activity.read(_asked(ENTRIES_MAX))
    return csv_file(
        "activity.csv",
        (*COLUMNS, "text"),
        ([*(getattr(entry, column) for column in COLUMNS), entry_text(entry)] for entry in found.entries),
    )
