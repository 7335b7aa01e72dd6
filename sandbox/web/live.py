"""Updates all open pages when the sandbox changes.

Each tab has one WebSocket: `/live?view=<path and query of the page>`. Tabs with the same address share a view, and the
hub knows which topics and groups affect a view. A change only marks the view and its tabs; nothing is queued. A marked
view is rendered once for all its tabs, in a worker thread, by the same code that renders the page. Only rows that
differ from those last sent are sent in full; for the others, only their id.

Limits: at most one unacknowledged message per tab; four messages per second, more on pages that show single events or
lag (`Interest.spacing_s`), fewer if rendering is slow. The browser acknowledges each message, a hidden tab only when it
becomes visible: a sleeping or hidden tab costs nothing until it wakes up, and then gets the current view. The first
change after a quiet time is rendered immediately.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qs

from flask import Flask, g
from werkzeug.http import parse_cookie

from sandbox.model import cancellation
from sandbox.model.cancellation import Cancellation
from sandbox.model.overview import Change
from sandbox.model.proxy import Proxy
from sandbox.web import guard, zone
from sandbox.web import responses as page
from sandbox.web.lanes import DaemonThreads, is_costly
from sandbox.web.rows import DrawnRows
from sandbox.web.serving import Receive, Scope, Send

log = logging.getLogger(__name__)

SHARE = 4
"""A rendering that took the CPU time t is followed by a pause of SHARE times t, which limits a view's share of a CPU.
"""
TABS_MAX = 200
AS_OF = "<!--as-of-->"
CLOSE_POLICY, CLOSE_RESTART, CLOSE_LATER = 1008, 1012, 1013


_ROW = re.compile(r'<([a-z]+) id="([^"]+)"')
"""Matches the start of a row with an id."""


class ViewPart(NamedTuple):
    """A part of a view.

    Attributes:
        text: the HTML.
        id: the row's id attribute, "" if the piece isn't a row.
        stub: replaces the row if the tab already has it.
    """

    text: str
    id: str
    stub: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """The live part of a view.

    Attributes:
        print: the HTML without its "as of" part, for comparison with the last one.
        as_of: the "as of" part.
        pieces: both parts, split at the rows.
        rows: id to HTML of each row.
        interest: the changes that affect it.
        cost_s: the CPU time of the rendering.
    """

    print: str
    as_of: str
    pieces: tuple[ViewPart, ...]
    rows: Mapping[str, str]
    interest: page.Interest
    cost_s: float = 0.0

    @property
    def html(self) -> str:
        """The whole HTML; empty if the address isn't a live page."""
        return self.print + self.as_of

    def beside(self, last: "Rendered | None") -> str:
        """Return the HTML to send to a tab, with stubs for the rows that the tab already has.

        Args:
            last: the rendering that the tab got last, None if none.
        """
        known = last.rows if last is not None else {}
        return "".join(piece.stub if known.get(piece.id) == piece.text else piece.text for piece in self.pieces)


NO_PAGE = Rendered("", "", (), {}, page.NOTHING)


def render_view(app: Flask, view: str, zone_name: str = "") -> Rendered:
    """Render the live part of a view, as its page would show it now. Runs in a worker thread.

    Args:
        view: path and query string, "/topics/orders?x=1".
        zone_name: the time zone of its times; "" for UTC.
    """
    started_s = time.thread_time()
    headers = {page.LIVE_HEADER: "1", "Cookie": f"{zone.COOKIE}={zone_name}"}
    if token := app.extensions["token"]:
        headers["Authorization"] = f"Bearer {token}"
    with app.test_request_context(view, base_url="http://127.0.0.1", headers=headers):
        response = app.full_dispatch_request()
        html = "" if response.direct_passthrough else response.get_data(as_text=True)
        response.close()
        interest: page.Interest = g.get("interest", page.NOTHING)
        drawn: DrawnRows = g.get("rows") or DrawnRows()
    if response.mimetype != "text/html" or AS_OF not in html:
        return NO_PAGE
    pieces = _view_parts(html, drawn)
    shown, mark, rest = "".join(piece.text for piece in pieces).partition(AS_OF)
    rows = {piece.id: piece.text for piece in pieces if piece.id}
    return Rendered(shown, mark + rest, pieces, rows, interest, time.thread_time() - started_s)


def _render_for(work: Cancellation, app: Flask, address: str, zone_name: str) -> Rendered:
    """Call `render_view` unless the work is cancelled."""
    if work.cancelled:
        return NO_PAGE
    with work.covering():
        return render_view(app, address, zone_name)


def _view_parts(html: str, drawn: DrawnRows) -> tuple[ViewPart, ...]:
    """Split a view at its rows; only rows that start with a unique id are separate pieces."""
    pieces: list[ViewPart] = []
    seen: set[str] = set()
    for text, row in drawn.split(html):
        pieces.append(ViewPart(text, "", ""))
        begin = _ROW.match(row)
        if begin is None or begin[2] in seen:
            pieces.append(ViewPart(row, "", ""))
            continue
        seen.add(begin[2])
        pieces.append(ViewPart(row, begin[2], f"{begin[0]} data-same></{begin[1]}>"))
    return tuple(pieces)


def _zone_of(cookies: str) -> str:
    """Return the time zone in a Cookie header, as `zone.choose` accepts it."""
    zone.choose(parse_cookie(cookies).get(zone.COOKIE, ""))
    return zone.chosen()


class View:
    """The view shared by all tabs with one address and one time zone.

    Args:
        address: path and query string.
        zone_name: the time zone of its times; "" for UTC.
    """

    def __init__(self, address: str, zone_name: str = "") -> None:
        self.address = address
        self.zone_name = zone_name
        self.interest = page.ALL
        self.tabs: set[Tab] = set()
        self.changed = True
        self.work = Cancellation("No tab shows this view any more.")
        self._drawing: asyncio.Future[Rendered] | None = None
        self._drawing_since_s = 0.0

    def mark(self, change: Change) -> None:
        """Mark the view as changed, if the change affects it."""
        if not self.changed and self.interest.concerns(change):
            self.changed = True
            for tab in self.tabs:
                tab.changed.set()

    def cancel(self) -> None:
        """Cancel the rendering: no tab shows the view any more."""
        self.work.cancel()
        if self._drawing is not None and not self._drawing.done():
            asyncio.get_running_loop().call_later(cancellation.AGAIN_S, self.cancel)

    async def draw(self, now_s: float, render: Callable[["View"], Awaitable[Rendered]]) -> Rendered:
        """Return the current view. Reuses the last rendering if it started less than `spacing_s` ago and nothing
        changed since.

        Args:
            now_s: the loop's time.
            render: renders a view.
        """
        drawing = self._drawing
        if drawing is None or self.changed or now_s - self._drawing_since_s >= self.interest.spacing_s:
            self.changed = False
            self._drawing_since_s = now_s
            drawing = self._drawing = asyncio.ensure_future(render(self))
        # If one tab closes, the others still get the rendering.
        rendered = await asyncio.shield(drawing)
        if drawing is self._drawing:
            self.interest = rendered.interest
        return rendered


class Tab:
    """One open page."""

    def __init__(self, view: View, send: Send) -> None:
        self.view = view
        self.send = send
        self.changed = asyncio.Event()
        self.answered = asyncio.Event()
        self.last: Rendered | None = None
        self.changed.set()


class Hub:
    """All open pages of one sandbox. Bound to its event loop.

    Args:
        app: the application that renders the views.
        hosts: addresses that the server listens on, in addition to loopback.
        subscribe: takes a callback for changes, and returns a function that ends the subscription. Called only while a
            page is open, because some backends have to poll for changes.
    """

    def __init__(
        self,
        app: Flask,
        hosts: tuple[str, ...] = (),
        subscribe: Callable[[Callable[[Change], None]], Callable[[], None]] | None = None,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._subscribe = subscribe
        self._unsubscribe: Callable[[], None] | None = None
        self._tabs: set[Tab] = set()
        self._views: dict[tuple[str, str], View] = {}
        # Costly views have their own thread, so that they don't block the others.
        self._threads = {costly: DaemonThreads(1, "live-costly" if costly else "live") for costly in (False, True)}
        self._loop = asyncio.get_running_loop()
        self._closed = False

    def notify(self, change: Change) -> None:
        """Report a change. Fast and thread-safe."""
        if self._tabs and not self._closed:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._mark, change)

    def _mark(self, change: Change) -> None:
        for view in self._views.values():
            view.mark(change)

    def _watch(self) -> None:
        """Subscribe to changes while pages are open."""
        wanted = bool(self._tabs) and not self._closed
        if wanted and self._unsubscribe is None and self._subscribe is not None:
            self._unsubscribe = self._subscribe(self.notify)
        elif not wanted and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def close(self) -> None:
        """Accept no more tabs; the server closes their sockets."""
        self._closed = True
        self._watch()
        for view in self._views.values():
            view.cancel()
        for threads in self._threads.values():
            threads.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket (ASGI)."""
        headers = {name.decode("latin1"): value.decode("latin1") for name, value in scope["headers"]}
        proxy: Proxy = self._app.extensions["proxy"]
        reason = (
            guard.stranger(headers, self._hosts, proxy)
            or guard.token_refused(headers, self._app.extensions["token"])
            or guard.origin_refused(headers, "https" if scope.get("scheme") == "wss" else "http", proxy)
        )
        view = parse_qs(scope["query_string"].decode("latin1")).get("view", [""])[0]
        if (await receive())["type"] != "websocket.connect":
            return
        if reason or not view.startswith("/") or view.startswith("//") or len(view) > page.VIEW_MAX:
            await send({"type": "websocket.close", "code": CLOSE_POLICY})
            return
        await send({"type": "websocket.accept"})
        if len(self._tabs) >= TABS_MAX or self._closed:
            await send({"type": "websocket.close", "code": CLOSE_LATER})
            return
        tab = self._open(view, _zone_of(headers.get("cookie", "")), send)
        self._watch()
        painter = asyncio.create_task(self._paint(tab))
        try:
            await self._listen(tab, receive)
        finally:
            self._leave(tab)
            painter.cancel()
            with suppress(asyncio.CancelledError):
                await painter

    def _open(self, address: str, zone_name: str, send: Send) -> Tab:
        view = self._views.setdefault((address, zone_name), View(address, zone_name))
        tab = Tab(view, send)
        view.tabs.add(tab)
        self._tabs.add(tab)
        return tab

    def _leave(self, tab: Tab) -> None:
        self._tabs.discard(tab)
        tab.view.tabs.discard(tab)
        if not tab.view.tabs:
            self._views.pop((tab.view.address, tab.view.zone_name), None)
            tab.view.cancel()
        self._watch()

    async def _listen(self, tab: Tab, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") == "ok":
                tab.answered.set()
            elif message.get("text") == "whole":
                tab.last = None
                tab.changed.set()

    def _render(self, view: View) -> Awaitable[Rendered]:
        path, _, query = view.address.partition("?")
        threads = self._threads[is_costly(path, query)]
        return self._loop.run_in_executor(threads, _render_for, view.work, self._app, view.address, view.zone_name)

    async def _paint(self, tab: Tab) -> None:
        try:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(tab.changed.wait(), tab.view.interest.every_s)
                tab.changed.clear()
                started_s = self._loop.time()
                rendered = await tab.view.draw(started_s, self._render)
                if rendered.print and (tab.last is None or rendered.print != tab.last.print):
                    text = rendered.beside(tab.last)
                    tab.answered.clear()
                    # Set before sending: the tab may request the whole view meanwhile.
                    tab.last = rendered
                    try:
                        await tab.send({"type": "websocket.send", "text": text})
                    except OSError:
                        # The tab closed while its view was rendered; `_listen` notices it too.
                        return
                    await tab.answered.wait()
                rest_s = max(rendered.interest.spacing_s, rendered.cost_s * SHARE) - (self._loop.time() - started_s)
                if rest_s > 0:
                    await asyncio.sleep(rest_s)
        except asyncio.CancelledError:
            raise
        except Exception:
            if not self._closed:
                log.exception("the live view %r failed", tab.view.address)
            with suppress(Exception):
                await tab.send({"type": "websocket.close", "code": CLOSE_LATER})
