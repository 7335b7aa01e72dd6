"""What every page is made with: the backend, the answer in HTML, JSON or CSV, and what a page wants to hear of."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlencode

from flask import Response, current_app, g, redirect, render_template, request
from htmx_flask.requests import HtmxAwareRequest
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.model.cluster import Change, Overview
from sandbox.model.csv_text import csv_text
from sandbox.snapshots.description import UndoPoint
from sandbox.web.backend.backend import Backend, DemoSwitch
from sandbox.web.notices import Notice, leave
from sandbox.web.proxied import under_base

LIVE_HEADER = "X-Live"
VIEW_MAX = 6000
"""Characters of an address that is live. A longer one has a page that is not: WebSocket requests are short."""
FORMATS = (".json", ".csv")
FORMAT_FIELD = "format"
EXCEL_FIELD = "excel"
DATA_ENDINGS = (*FORMATS, ".jsonl")


SPACING_S = 0.25
QUICK_S = 0.12
"""For pages on which single events or a lag are watched: what comes at any time is shown within 250 ms."""


@dataclass(frozen=True, slots=True)
class Interest:
    """Which changes make a page different.

    Attributes:
        topics: names; None for every topic.
        groups: group ids; None for every group.
        every_s: look again after this time though nothing changed (ages and estimates move by themselves), or None.
        spacing_s: so long lies between the starts of two drawings for one tab, at least.
    """

    topics: frozenset[str] | None = frozenset()
    groups: frozenset[str] | None = frozenset()
    every_s: float | None = None
    spacing_s: float = SPACING_S

    def concerns(self, change: Change) -> bool:
        """True where the page may look different after the change. Faults are labelled on every page."""
        if change.kind == "cluster":
            return True
        for mine, theirs in ((self.topics, change.topics), (self.groups, change.groups)):
            if theirs and (mine is None or not mine.isdisjoint(theirs)):
                return True
        return False


ALL = Interest(None, None)
NOTHING = Interest()


def backend() -> Backend:
    """The sandbox that this page shows."""
    return cast(Backend, current_app.extensions["backend"])


def demo() -> DemoSwitch | None:
    """The demo's switch, or None where no demo was asked for."""
    return cast("DemoSwitch | None", getattr(backend(), "demo", None))


def undo_point(action: str) -> UndoPoint:
    """Take an automatic snapshot before something is destroyed, where the backend has snapshots.

    Args:
        action: what is about to be done, such as "delete topic orders".
    """
    snapshots = getattr(backend(), "snapshots", None)
    if snapshots is None:
        return UndoPoint(None, "There are no snapshots here.")
    return cast(UndoPoint, snapshots.before(action))


def faults_in_force() -> int:
    """How many injected faults may still hit a request; every page is labelled with it."""
    return sum(not fault.spent for fault in backend().faults.list())


def by_htmx() -> bool:
    """True where htmx asks for a part of a page, not the browser for a page."""
    return bool(cast(HtmxAwareRequest, request).htmx)


def overview() -> Overview:
    """The sandbox as a whole, read once per request; its `as_of_ms` is the page's "now"."""
    if "overview" not in g:
        g.overview = backend().overview()
    return cast(Overview, g.overview)


def is_live() -> bool:
    """True where only the live part is wanted, for an open tab."""
    return request.headers.get(LIVE_HEADER) == "1"


def page(name: str, interest: Interest = NOTHING, status: int = 200, **context: Any) -> Response:
    """Answer with a page, or with its live part alone where an open tab asks for it.

    Args:
        name: the template without its ending; a partial beside it, of that name with "_" before it, is the live part.
        interest: which changes make the page different.
        status: HTTP status.
        **context: what the templates show.
    """
    g.interest = interest
    view = quote(request.path) + (f"?{request.query_string.decode('latin1')}" if request.query_string else "")
    folder, _, base = name.rpartition("/")
    partial = f"{folder}/_{base}.html"
    if is_live():
        html = render_template("_live.html", partial=partial, live=True, overview=overview(), **context)
    else:
        html = render_template(
            f"{name}.html",
            partial=partial,
            live=False,
            live_view=view if len(quote(view)) < VIEW_MAX else None,
            overview=overview(),
            **context,
        )
    return _html(html, status)


def _html(body: str, status: int) -> Response:
    # A file's name may have bytes that are not UTF-8, which Python keeps as surrogates.
    content = under_base(body).encode("utf-8", "backslashreplace")
    return Response(content, status, content_type="text/html; charset=utf-8", headers={"Cache-Control": "no-store"})


def fragment(name: str, status: int = 200, **context: Any) -> Response:
    """Answer with a partial template, for htmx."""
    return _html(render_template(name, live=False, overview=overview(), **context), status)


def data(value: object) -> Response:
    """Answer with JSON. Integers are written in full, whatever their size."""
    return Response(
        json.dumps(value, ensure_ascii=False, indent=1) + "\n",
        content_type="application/json; charset=utf-8",
        headers={"Cache-Control": "no-store"},
    )


def csv_file(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """Answer with a CSV file to be saved under a name; with `?excel=1`, with one that is safe for spreadsheets."""
    text = csv_text(columns, rows, excel=request.args.get(EXCEL_FIELD) == "1")
    headers = {"Cache-Control": "no-store", "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return Response(text.encode("utf-8", "replace"), content_type="text/csv; charset=utf-8", headers=headers)


def attachment(name: str, text: str) -> Response:
    """Answer with lines of JSON to be saved under a name."""
    headers = {"Cache-Control": "no-store", "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return Response(text.encode(), content_type="application/x-ndjson; charset=utf-8", headers=headers)


def see(address: str, notice: Notice | None = None, /, **query: object) -> AnyResponse:
    """Answer a form with the page to look at next, which is always one of this server.

    Args:
        address: its path.
        notice: what that page reports, once.
        **query: what its query string has; None leaves one out.
    """
    kept = {name: value for name, value in query.items() if value is not None}
    # Browsers drop tabs and line ends, and read a backslash as a slash: none of them may be in a path.
    path = "/" + quote(address.lstrip("/\\"), safe="/?#&=%~:@!$'()*+,;[]")
    target = path + ("?" + urlencode(kept) if kept else "")
    answer = redirect(target, 303)
    if notice is not None:
        leave(answer, target, notice)
    return answer


def wanted_format() -> str | None:
    """The format that `?format=` asks for, "json" or "csv"; None for a page."""
    wanted = request.args.get(FORMAT_FIELD)
    return wanted if wanted is not None and f".{wanted}" in FORMATS else None


def wants_data() -> bool:
    """Whether a program asks: an error is then answered as JSON."""
    return wanted_format() is not None or request.path.endswith(DATA_ENDINGS)


def split_format(name: str, exists: Callable[[str], bool]) -> tuple[str, str | None]:
    """The name and the format that the last part of a path asks for.

    A name wins: `orders.json` is a page if something has that name, else the data of `orders`. With `?format=json` the
    part is a name in any case.

    Args:
        name: the last part of the path.
        exists: whether something has a name.

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
    """The address of the data that a page shows, which cannot be taken for another name.

    Args:
        address: of the page.
        ending: "json" or "csv".
    """
    return _and(address, f"{FORMAT_FIELD}={ending}")


def excel_address(address: str) -> str:
    """The address of a CSV file that is safe for spreadsheets.

    Args:
        address: of the plain one.
    """
    return _and(address, f"{EXCEL_FIELD}=1")


def _and(address: str, field: str) -> str:
    return f"{address}{'&' if '?' in address else '?'}{field}"


def is_topic(name: str) -> bool:
    """Whether there is a topic of this name."""
    try:
        backend().topic(name)
    except BrokerError:
        return False
    return True


def group_address(group: str, suffix: str = "") -> str:
    """The path of a group's page. A group id may be any text; what a path cannot hold goes in the query string."""
    if group and "/" not in group and group not in (".", "..") and not group.endswith(FORMATS):
        return f"/groups/{quote(group, safe='')}{suffix}"
    return f"/group{suffix}?id={quote(group, safe='')}"
