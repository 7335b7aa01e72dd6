"""Activity: a single log of what happened, newest first, with links to the objects concerned."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote

from flask import Blueprint, Response, request

from sandbox.kafka.errors import BrokerError
from sandbox.model.activity import KINDS, ActivityEntry, ActivityPage, ActivityQuery, Details
from sandbox.model.faults import Fault
from sandbox.model.group_history import Mark
from sandbox.model.times import duration
from sandbox.web import formats as words
from sandbox.web.formats import plural
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

CAUSES_SHOWN = 5
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What unexpected details raise: a snapshot from elsewhere may hold any JSON object."""
CAUSE_TEXTS = {
    "joined": "member {member} joined",
    "returned": "static member {member} returned",
    "resubscribed": "member {member} changed its subscription",
    "leader_rejoined": "leader {member} joined again",
    "partitions_changed": "the partitions of its topics changed",
    "restarted": "the sandbox restarted during a rebalance",
    "left": "member {member} left",
    "removed": "member {member} was removed",
    "session_timeout": "{member}'s session of {timeout_ms:,} ms timed out",
    "rejoin_timeout": "{member} did not join again in time",
    "sync_timeout": "{member} joined, but sent no SyncGroup in time",
    "revocation_timeout": "{member} did not revoke its partitions within {timeout_ms:,} ms",
}
"""The words for each kind of `sandbox.model.rebalance.CAUSES`."""
WAIT_TEXTS = {
    "join": "{member}",
    "assignment": "the assignment by {member}",
    "revocation": "{member} to revoke partitions",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an entry's text.

    Attributes:
        place: topic, partition and offset of the event that the piece names; None for plain text.
    """

    text: str
    place: tuple[str, int, int] | None = None


def entry_text(entry: ActivityEntry) -> str:
    """Return an entry's details in words, without the names of its topic and group."""
    return "".join(piece.text for piece in entry_pieces(entry))


def entry_pieces(entry: ActivityEntry) -> tuple[Piece, ...]:
    """Return an entry's details in words. Pieces that name an event have its place, so that the page can link to it."""
    details = entry.details
    try:
        if "dead_letters" in details:
            return _returned(details)
        if "more" in details:
            return (Piece(_more(entry)),)
        if "text" in details and entry.kind != "rebalanced":
            return (Piece(str(details["text"])),)
        of_kind = _TEXTS.get(entry.kind)
        text = of_kind(entry) if of_kind else json.dumps(details, ensure_ascii=False)
    except MALFORMED:
        text = json.dumps(details, ensure_ascii=False)
    if entry.partition is not None and entry.kind not in ("produced", "committed"):
        text = f"partition {entry.partition}: {text}"
    return (Piece(text),)


def rebalance_text(details: Details) -> str:
    """Return a rebalance's causes and waits in words; see `sandbox.model.rebalance.rebalance_details`."""
    try:
        if "text" in details:
            return str(details["text"])
        causes = [cause_text(cause) for cause in details["causes"]]
        more = len(causes[CAUSES_SHOWN:]) + details.get("more_causes", 0)
        pieces = causes[:CAUSES_SHOWN] + ([f"and {more:,} more"] if more else [])
        if waits := details.get("waits"):
            texts = [f"{duration(one['ms'])} for {WAIT_TEXTS[one['for']].format(**one)}" for one in waits]
            more_waits = f", and for {details['more_waits']:,} more" if "more_waits" in details else ""
            pieces.append(f"waited {', '.join(texts)}{more_waits}")
        return "; ".join(pieces)
    except MALFORMED:
        return json.dumps(details, ensure_ascii=False)


def cause_text(cause: Details) -> str:
    """Return one cause of a rebalance in words."""
    text = CAUSE_TEXTS[cause["cause"]].format_map(cause)
    return f"{text} ({cause['reason']})" if cause.get("reason") else text


def mark_text(mark: Mark) -> str:
    """Return a mark of a lag chart in words."""
    details = mark.details
    try:
        if mark.kind == "rebalance":
            return f"generation {details['generation']}: {rebalance_text(details)}"
        if "text" in details or "committed_offsets" in details:
            return f"{mark.kind}: {details.get('text') or _reset(details)}"
        if "partition_count" in details:
            return f"{mark.kind}: committed offsets in {plural(details['partition_count'], 'partition')}"
        more = f" and {details['more']:,} more" if "more" in details else ""
        return f"{mark.kind}: {', '.join(details['partitions'])}{more}"
    except MALFORMED:
        return f"{mark.kind}: {json.dumps(details, ensure_ascii=False)}"


def _more(entry: ActivityEntry) -> str:
    more = f"{entry.details['more']:,} more"
    if entry.kind == "produced":
        more = f"{plural(entry.count, 'event')} into {more} topics"
    return f"{more} in these ten seconds"


def _produced(entry: ActivityEntry) -> str:
    text = f"{plural(entry.count, 'event')} into {_partitions(entry.details)}"
    if entry.offset is None:
        return text
    if len(entry.details.get("partitions", ())) != 1:
        return f"{text}; the last: partition {entry.partition} at {entry.offset:,}"
    return f"{text}{' at' if entry.count == 1 else ', the last at'} {entry.offset:,}"


def _committed(entry: ActivityEntry) -> str:
    offset = entry.details["offset"]
    if entry.count == 1:
        return f"partition {entry.partition} at {offset:,}"
    text = f"{plural(entry.count, 'commit')} in {_partitions(entry.details)}"
    if len(entry.details.get("partitions", ())) == 1:
        return f"{text}, the last at {offset:,}"
    return f"{text}; the last: partition {entry.partition} at {offset:,}"


def _partitions(details: Details) -> str:
    if "partition_count" in details:
        return plural(details["partition_count"], "partition")
    numbers = details["partitions"]
    return f"partition{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"


def _returned(details: Details) -> tuple[Piece, ...]:
    count = details["dead_letters"]
    several = (Piece(f"{plural(count, 'dead letter')}; the last: "),) if count > 1 else ()
    return (*several, _place(details["from"]), Piece(" is now "), _place(details["to"]))


def _place(place: Mapping[str, object]) -> Piece:
    topic, partition, offset = str(place["topic"]), int(str(place["partition"])), int(str(place["offset"]))
    return Piece(f"{topic} {partition} · {offset:,}", (topic, partition, offset))


def _rebalanced(entry: ActivityEntry) -> str:
    details = entry.details
    took = f"{plural(details['members'], 'member')}, took {duration(details['duration_ms'])}"
    return f"generation {details['generation']}, {took}: {rebalance_text(details)}"


def _reset(details: Details) -> str:
    places: Sequence[Mapping[str, object]] = details["places"]
    several = len({one["topic"] for one in places}) > 1
    shown = [f"{one['topic']} " * several + f"partition {one['partition']} at {one['offset']:,}" for one in places]
    text = f"{plural(details['committed_offsets'], 'committed offset')} set to {details['to']}"
    return f"{text}: {', '.join(shown)}" if shown else text


def _deleted(entry: ActivityEntry) -> str:
    details = entry.details
    if details["resource"] == "records":
        return _removed(entry)
    if details["resource"] == "topic":
        return f"the topic, with {plural(details['partitions'], 'partition')}"
    if details["resource"] == "group":
        return "the group, with its committed offsets"
    return "its committed offsets in this topic"


def _removed(entry: ActivityEntry) -> str:
    details = entry.details
    offsets = plural(details["offsets"], "offset")
    return f"{offsets} removed from the log, which starts at {details['log_start_offset']:,} now"


def _altered(entry: ActivityEntry) -> str:
    details = entry.details
    if "setting" in details:
        value = details["value"]
        return f"{details['setting']} {'is reset to its default' if value is None else f'is {value}'}"
    if "replicas" in details:
        return f"replicas are {', '.join(map(str, details['replicas']))}"
    return f"{plural(details['partitions'], 'partition')} instead of {details['before']:,}"


def _injected(entry: ActivityEntry) -> str:
    action = entry.details["action"]
    if action == "cleared":
        return "all faults ended"
    fault = Fault(**entry.details["fault"])
    return f"fault {fault.id} ended" if action == "ended" else f"fault {fault.id}: {fault.text()}"


def _moved(entry: ActivityEntry) -> str:
    details = entry.details
    if "leaders" in details:
        return f"{details['leaders']:,} leaders moved"
    if details["leader"] < 0:
        return "no leader: no in-sync replica is running"
    return f"the leader is now broker {details['leader']}"


def _generated(entry: ActivityEntry) -> str:
    details = entry.details
    text = f"generator {details['generator']} {details['state']}"
    if "events" in details:
        error = f": {details['error']}" if details.get("error") else ""
        return f"{text}, {plural(details['events'], 'event')} sent{error}"
    template = details["template"] or "a template without a name"
    return f"{text}: {template}, {details['events_per_s']:g} events/s, seed {details['seed']}"


def _snapshot(entry: ActivityEntry) -> str:
    details = entry.details
    name = details["name"]
    if details["action"] == "taken":
        return f"took {name}"
    if details["action"] == "forked":
        return f"forked {name}, at {details['address']}"
    return f"restored {name}" + (f"; the previous state is snapshot {details['undo']}" if details.get("undo") else "")


def _schema(entry: ActivityEntry) -> str:
    details = entry.details
    action = details["action"]
    if action == "registered":
        return f"version {details['version']} registered: {details['type']} schema with id {details['id']}"
    if action == "deleted":
        versions = details["versions"]
        what = f"version{'s' * (len(versions) > 1)} {', '.join(map(str, versions))}" if versions else "the context"
        return f"{what} deleted{' permanently' * details['permanent']}"
    name = "compatibility level" if action == "level" else "mode"
    return f"{name} {details['value'] or 'inherited again'}"


def _clock(entry: ActivityEntry) -> str:
    by_ms = entry.details["by_ms"]
    return f"the system clock was set {'forward' if by_ms > 0 else 'back'} by {duration(abs(by_ms))}"


_TEXTS: dict[str, Callable[[ActivityEntry], str]] = {
    "produced": _produced,
    "committed": _committed,
    "joined": lambda entry: cause_text(entry.details),
    "left": lambda entry: cause_text(entry.details),
    "rebalanced": _rebalanced,
    "reset": lambda entry: _reset(entry.details),
    "created": lambda entry: plural(entry.details["partitions"], "partition"),
    "deleted": _deleted,
    "altered": _altered,
    "injected": _injected,
    "started": lambda entry: f"broker {entry.details['broker']}",
    "stopped": lambda entry: f"broker {entry.details['broker']}",
    "moved": _moved,
    "retention": _removed,
    "compacted": lambda entry: f"{plural(entry.details['events'], 'event')} removed: later events have the same keys",
    "generated": _generated,
    "schema": _schema,
    "snapshot": _snapshot,
    "clock": _clock,
}


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
