"""Notices: what a page reports once, after the form that changed something.

A form is answered with a redirect. What was done waits on the server until the browser asks for the address of that
redirect, and is shown once. The browser has the name of its session in a cookie; an address has no text that a page
shows as its own words, so a link from elsewhere cannot make the page say anything.
"""

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from flask import Flask, current_app, g, request
from werkzeug.wrappers import Response

from sandbox.web.guard import cookie_named, is_https
from sandbox.web.proxied import cookie_path, the_proxy

NOTICES_MAX = 500
"""Notices that wait at the same time, of all browsers. The oldest goes first: a browser asks within milliseconds."""
COOKIE = "sandbox-session"

Place = tuple[str, tuple[tuple[str, str], ...]]
"""A path and the fields of its query string."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What one redirect reports.

    Attributes:
        said: what was done, in words without a full stop; "" for nothing.
        refused: why nothing was changed; "" if it was.
        undo: name of the automatic snapshot that was taken before, or None.
        no_undo: why none was taken, or None.
        shown: what the page of the address shows by itself, such as where an event was stored.
    """

    said: str = ""
    refused: str = ""
    undo: str | None = None
    no_undo: str | None = None
    shown: Mapping[str, Any] = field(default_factory=dict)


NONE = Notice()


class Notices:
    """The notices that wait for their browsers. May be used from any thread."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[str, Place], Notice] = OrderedDict()
        self._lock = Lock()

    def put(self, session: str, place: Place, notice: Notice) -> None:
        """Keep a notice until it is asked for.

        Args:
            session: of the browser.
            place: where it will be shown.
            notice: what is shown.
        """
        with self._lock:
            self._waiting[session, place] = notice
            while len(self._waiting) > NOTICES_MAX:
                self._waiting.popitem(last=False)

    def take(self, session: str, place: Place) -> Notice:
        """The notice for a place, which is then gone; `NONE` if there is none."""
        with self._lock:
            return self._waiting.pop((session, place), NONE)


def keep_notices(app: Flask) -> None:
    """Let the pages of an application show notices."""
    app.extensions["notices"] = Notices()
    app.jinja_env.globals.update(notice=current_notice)


def leave(answer: Response, address: str, notice: Notice) -> None:
    """Keep a notice for the browser that gets a redirect.

    Args:
        answer: the redirect.
        address: where it leads: path and query string.
        notice: what is shown there.
    """
    name = cookie_named(COOKIE, request.host)
    session = request.cookies.get(name, "")
    if len(session) != 32:
        session = secrets.token_hex(16)
        answer.set_cookie(name, session, httponly=True, samesite="Strict", secure=_secure(), path=cookie_path())
    path, _, query = address.partition("#")[0].partition("?")
    place = (unquote(path), tuple(parse_qsl(query, keep_blank_values=True)))
    cast(Notices, current_app.extensions["notices"]).put(session, place, notice)


def _secure() -> bool:
    headers = {name.lower(): value for name, value in request.headers}
    return request.is_secure or is_https(headers, the_proxy())


def current_notice() -> Notice:
    """The notice of this request; `NONE` for most. It is taken once per request."""
    if "notice" not in g:
        session = request.cookies.get(cookie_named(COOKIE, request.host), "")
        place = (request.path, tuple(request.args.items(multi=True)))
        g.notice = cast(Notices, current_app.extensions["notices"]).take(session, place) if session else NONE
    return cast(Notice, g.notice)
