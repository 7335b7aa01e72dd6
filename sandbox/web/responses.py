"""Helpers of all pages: the backend, answers in HTML, JSON or CSV, and the changes that update a page."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlencode

from flask import Response, current_app, g, redirect, render_template, request
from htmx_flask.requests import HtmxAwareRequest
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.model.capabilities import Capabilities
from sandbox.model.csv_text import csv_text
from sandbox.model.overview import Change, Overview
from sandbox.snapshots.description import UndoPoint
from sandbox.web import formats
from sandbox.web.backend import Backend, DemoSwitch
from sandbox.web.notices import Notice, leave
from sandbox.web.proxied import under_base

LIVE_HEADER = "X-Live"
VIEW_MAX = 6000
"""The longest address of a live page, in characters. A page with a longer one isn't live: WebSocket requests are short.
"""
FORMATS = (".json", ".csv")
FORMAT_FIELD = "format"
EXCEL_FIELD = "excel"
DATA_ENDINGS = (*FORMATS, ".jsonl")


SPACING_S = 0.25
QUICK_S = 0.12
"""For pages that show single events or lag: a change is visible within 250 ms."""


@dataclass(frozen=True, slots=True)
class Interest:
    """The changes that affect a page.

    Attributes:
        topics: names; None for all topics.
        groups: group ids; None for all groups.
        every_s: refresh interval even without changes (ages and estimates change with time), or None.
        spacing_s: the minimum time between the starts of two renderings for one tab.
        schemas: True if the page shows the schema registry.
    """

    topics: frozenset[str] | None = frozenset()
    groups: frozenset[str] | None = frozenset()
    every_s: float | None = None
    spacing_s: float = SPACING_S
    schemas: bool = False

    def concerns(self, change: Change) -> bool:
        """Return True if the page may look different after the change. Every page shows the number of active faults."""
        if change.kind == "cluster":
            return True
        if change.kind == "schemas":
            return self.schemas
        for mine, theirs in ((self.topics, change.topics), (self.groups, change.groups)):
            if theirs and (mine is None or not mine.isdisjoint(theirs)):
                return True
        return False


ALL = Interest(None, None, schemas=True)
NOTHING = Interest()


def backend() -> Backend:
    """Return the backend of this page."""
    return cast(Backend, current_app.extensions["backend"])


def capabilities() -> Capabilities:
    """Return what the backend can do, read once per request."""
    if "capabilities" not in g:
        g.capabilities = backend().capabilities
    return cast(Capabilities, g.capabilities)


def demo() -> DemoSwitch | None:
    """Return the demo's switch, or None if the demo isn't enabled."""
    return backend().demo


def undo_point(action: str) -> UndoPoint:
    """Take an automatic snapshot before data is destroyed, if the backend has snapshots.

    Args:
        action: the coming action, such as "delete topic orders".
    """
    if not capabilities().snapshots:
        return UndoPoint(None, "There are no snapshots here.")
    return backend().snapshots.before(action)


def faults_in_force() -> int:
    """Return how many injected faults may still hit a request; every page shows the number."""
    return sum(not fault.used_up for fault in backend().faults.list())


def by_htmx() -> bool:
    """Return True if htmx requests a part of a page, False if the browser requests a page."""
    return bool(cast(HtmxAwareRequest, request).htmx)


def overview() -> Overview:
    """Return a summary of the sandbox, read once per request; its `as_of_ms` is the page's current time."""
    if "overview" not in g:
        g.overview = backend().overview()
    return cast(Overview, g.overview)


def typed_ms(text: str) -> int:
    """Convert a time that a user typed to milliseconds since 1970; see `formats.as_ms`.

    Raises:
        BrokerError: INVALID_REQUEST for text that is not a time.
    """
    try:
        return formats.as_ms(text, overview().as_of_ms)
    except ValueError as error:
        raise BrokerError("INVALID_REQUEST", f"{error}.") from None


def argument_as_ms(name: str) -> int | None:
    """Return the time in an argument of the address; None if it is missing or empty. See `typed_ms`."""
    text = request.args.get(name, "").strip()
    return typed_ms(text) if text else None


def is_live() -> bool:
    """Return True if an open tab requests only the live part."""
    return request.headers.get(LIVE_HEADER) == "1"


def page(
    name: str, interest: Interest = NOTHING, status: int = 200, live_at: str | None = None, **context: Any
) -> Response:
    """Answer with a page, or only with its live part if an open tab requests it.

    Args:
        name: the template without its ending; the partial with the same name and a leading "_" is the live part.
        interest: the changes that affect the page.
        status: HTTP status.
        live_at: the address of the live part; None for the request's. The answer to a POST is live only with an
            explicit address: the page at the request's address would replace the answer.
        **context: the templates' variables.
    """
    g.interest = interest
    query = f"?{request.query_string.decode('latin1')}" if request.query_string else ""
    view = live_at if live_at is not None or request.method == "POST" else quote(request.path) + query
    folder, _, base = name.rpartition("/")
    partial = f"{folder}/_{base}.html"
    if is_live():
        html = _rendered("_live.html", partial=partial, live=True, overview=overview(), **context)
    else:
        html = _rendered(
            f"{name}.html",
            partial=partial,
            live=False,
            live_view=view if view is not None and len(quote(view)) < VIEW_MAX else None,
            overview=overview(),
            **context,
        )
    return _html(html, status)


def _rendered(name: str, /, **context: Any) -> str:
    hidden = context.keys() & current_app.jinja_env.globals.keys()
    assert not hidden, f"{name}: the variables {sorted(hidden)} would hide functions that every template may call"
    return render_template(name, **context)


def _html(body: str, status: int) -> Response:
    # A file name may contain bytes that are not UTF-8, which Python stores as surrogates.
    content = under_base(body).encode("utf-8", "backslashreplace")
    return Response(content, status, content_type="text/html; charset=utf-8", headers={"Cache-Control": "no-store"})


def fragment(name: str, status: int = 200, **context: Any) -> Response:
    """Answer with a partial template, for htmx."""
    return _html(_rendered(name, live=False, overview=overview(), **context), status)


def data(value: object) -> Response:
    """Answer with JSON. Integers have all their digits, whatever their size."""
    return Response(
        json.dumps(value, ensure_ascii=False, indent=1) + "\n",
        content_type="application/json; charset=utf-8",
        headers={"Cache-Control": "no-store"},
    )


def csv_file(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """Answer with a CSV file to download; with `?excel=1`, it is safe for spreadsheets."""
    text = csv_text(columns, rows, excel=request.args.get(EXCEL_FIELD) == "1")
    headers = {"Cache-Control": "no-store", "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return Response(text.encode("utf-8", "replace"), content_type="text/csv; charset=utf-8", headers=headers)


def attachment(name: str, text: str) -> Response:
    """Answer with a JSON lines file to download."""
    headers = {"Cache-Control": "no-store", "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return Response(text.encode(), content_type="application/x-ndjson; charset=utf-8", headers=headers)


def see(address: str, notice: Notice | None = None, /, **query: object) -> AnyResponse:
    """Redirect after a form. The target is always on this server.

    Args:
        address: the target's path.
        notice: what the target page shows once.
        **query: fields of the query string; None omits one.
    """
    kept = {name: value for name, value in query.items() if value is not None}
    # Browsers drop tabs and line ends, and treat a backslash as a slash: the path must not contain any of them.
    path = "/" + quote(address.lstrip("/\\"), safe="/?#&=%~:@!$'()*+,;[]")
    target = path + ("?" + urlencode(kept) if kept else "")
    answer = redirect(target, 303)
    if notice is not None:
        leave(answer, target, notice)
    return answer


def wanted_format() -> str | None:
    """Return the format that `?format=` requests, "json" or "csv"; None for a page."""
    wanted = request.args.get(FORMAT_FIELD)
    return wanted if wanted is not None and f".{wanted}" in FORMATS else None


def wants_data() -> bool:
    """Return True if the request is for data: errors are then answered as JSON."""
    return wanted_format() is not None or request.path.endswith(DATA_ENDINGS)


def split_format(name: str, exists: Callable[[str], bool]) -> tuple[str, str | None]:
    """Split the last part of a path into a name and a format.

    A name takes precedence: `orders.json` is a page if something has that name, else the data of `orders`. With
    `?format=json` the part is always a name.

    Args:
        name: the last part of the path.
        exists: returns True if something has this name.

    Returns:
        The name, and "json", "csv" or None.
    """
    if (wanted := wanted_format()) is not None:
        return name, wanted
    for ending in FORMATS:
        if name.endswith(ending) and not exists(name):
            return name.removesuffix(ending), ending[1:]
    return name, None


def data_address(address: str, ending: str) -> str:
    """Return the address of a page's data, which can't be confused with another name.

    Args:
        address: the page's address.
        ending: "json" or "csv".
    """
    return _and(address, f"{FORMAT_FIELD}={ending}")


def excel_address(address: str) -> str:
    """Return the address of a CSV file that is safe for spreadsheets.

    Args:
        address: the plain file's address.
    """
    return _and(address, f"{EXCEL_FIELD}=1")


def _and(address: str, field: str) -> str:
    return f"{address}{'&' if '?' in address else '?'}{field}"


def is_topic(name: str) -> bool:
    """Return True if a topic of this name exists."""
    try:
        backend().topic(name)
    except BrokerError:
        return False
    return True


def subject_address(subject: str, suffix: str = "") -> str:
    """Return the path of a subject's page. A name that a path can't hold goes into the query string."""
    if "/" in subject or subject.startswith("~") or subject in (".", "..") or subject.endswith(FORMATS):
        return f"/schema{suffix}?name={quote(subject, safe='')}"
    return f"/schemas/{quote(subject, safe='')}{suffix}"


def group_address(group: str, suffix: str = "") -> str:
    """Return the path of a group's page. A group id that a path can't hold goes into the query string."""
    if group and "/" not in group and group not in (".", "..") and group[0] != "~" and not group.endswith(FORMATS):
        return f"/groups/{quote(group, safe='')}{suffix}"
    return f"/group{suffix}?id={quote(group, safe='')}"
