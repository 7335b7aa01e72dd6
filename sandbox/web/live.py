"""The hub: what changes in the sandbox appears on every open page.

One WebSocket a tab: `/live?view=<path and query of the page>`. For each tab the hub remembers which view it shows and
which topics and groups make that view different. A change only marks the tab; nothing is queued. A marked tab is
rendered in a worker thread by the same code that renders the page, and what differs from what was last sent goes out.

Bounds: at most one rendering and one unanswered message per tab; `SPACING_S` between two renderings, more where
rendering is slow; the browser acknowledges each message, so that a tab that sleeps costs nothing until it wakes, and
then gets its view as it is. The first change after a quiet time is rendered at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from flask import Flask, g

from sandbox.description import Change
from sandbox.web import guard, page

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SPACING_S = 0.16
"""Between the starts of two renderings of one tab: an event is seen within 250 ms though traffic is steady, and though
drawing takes 50 of them."""
SHARE = 4
"""A rendering that took t is followed by SHARE times t, so that one tab never uses more than a fraction of a core."""
TABS_MAX = 200
CLOSE_POLICY, CLOSE_RESTART, CLOSE_LATER = 1008, 1012, 1013


@dataclass(frozen=True, slots=True)
class Rendered:
    """The live part of a view.

    Attributes:
        html: what to swap in.
        print: what to compare with the last one: the page without its "as of".
        interest: which changes make it different.
    """

    html: str
    print: str
    interest: page.Interest


def render_view(app: Flask, view: str) -> Rendered:
    """Render the live part of a view, as its page would show it now. Runs in a worker thread.

    Args:
        view: path and query string, "/topics/orders?x=1".
    """
    headers = {page.LIVE_HEADER: "1"}
    if token := app.extensions["token"]:
        headers["Authorization"] = f"Bearer {token}"
    with app.test_request_context(view, base_url="http://127.0.0.1", headers=headers):
        response = app.full_dispatch_request()
        html = "" if response.direct_passthrough else response.get_data(as_text=True)
        response.close()
        interest: page.Interest = g.get("interest", page.NOTHING)
    if response.mimetype != "text/html" or "<!--as-of-->" not in html:
        return Rendered("", "", page.NOTHING)
    return Rendered(html, html.partition("<!--as-of-->")[0], interest)


class Tab:
    """One open page.

    Args:
        view: its path and query string.
    """

    def __init__(self, view: str, send: Send) -> None:
        self.view = view
        self.send = send
        self.interest = page.ALL
        self.changed = asyncio.Event()
        self.answered = asyncio.Event()
        self.last: str | None = None
        self.changed.set()

    def mark(self, change: Change) -> None:
        """Remember that something changed, where it concerns this view."""
        if not self.changed.is_set() and self.interest.concerns(change):
            self.changed.set()


class Hub:
    """All open pages of one sandbox. Lives in its event loop.

    Args:
        app: the application that renders the views.
        hosts: addresses that the server listens on, beside the loopback's.
        subscribe: takes what is to be told of each change, and gives back what ends that. It is not called while no
            page is open: some backends have to ask for what has changed.
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
        self._workers = ThreadPoolExecutor(2, thread_name_prefix="live")
        self._loop = asyncio.get_running_loop()
        self._closed = False

    def notify(self, change: Change) -> None:
        """Tell of a change. Quick; may be called from any thread."""
        if self._tabs and not self._closed:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._mark, change)

    def _mark(self, change: Change) -> None:
        for tab in self._tabs:
            tab.mark(change)

    def _watch(self) -> None:
        """Be told of changes exactly while pages are open."""
        wanted = bool(self._tabs) and not self._closed
        if wanted and self._unsubscribe is None and self._subscribe is not None:
            self._unsubscribe = self._subscribe(self.notify)
        elif not wanted and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def close(self) -> None:
        """Take no more tabs; the server closes their sockets."""
        self._closed = True
        self._watch()
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket (ASGI)."""
        headers = {name.decode("latin1"): value.decode("latin1") for name, value in scope["headers"]}
        reason = (
            guard.host_refused(headers.get("host", ""), self._hosts)
            or guard.token_refused(headers, self._app.extensions["token"])
            or guard.origin_refused(headers)
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
        tab = Tab(view, send)
        self._tabs.add(tab)
        self._watch()
        painter = asyncio.create_task(self._paint(tab))
        try:
            await self._listen(tab, receive)
        finally:
            self._tabs.discard(tab)
            self._watch()
            painter.cancel()
            with suppress(asyncio.CancelledError):
                await painter

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

    async def _paint(self, tab: Tab) -> None:
        try:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(tab.changed.wait(), tab.interest.every_s)
                tab.changed.clear()
                started_s = self._loop.time()
                rendered = await self._loop.run_in_executor(self._workers, render_view, self._app, tab.view)
                took_s = self._loop.time() - started_s
                tab.interest = rendered.interest
                if rendered.html and rendered.print != tab.last:
                    tab.answered.clear()
                    try:
                        await tab.send({"type": "websocket.send", "text": rendered.html})
                    except OSError:
                        # The tab went away while its view was drawn; `_listen` hears of that too.
                        return
                    tab.last = rendered.print
                    await tab.answered.wait()
                rest_s = max(SPACING_S, took_s * SHARE) - (self._loop.time() - started_s)
                if rest_s > 0:
                    await asyncio.sleep(rest_s)
        except asyncio.CancelledError:
            raise
        except Exception:
            if not self._closed:
                log.exception("the live view %r failed", tab.view)
            with suppress(Exception):
                await tab.send({"type": "websocket.close", "code": CLOSE_LATER})
