"""Messages that a page shows once, after the form that changed something.

A form is answered with a redirect. The notice waits on the server until the browser requests the redirect's address,
and is shown once. A cookie names the browser's session. No text comes from the address, so that a link on another site
can't make the page show a false message.
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

from sandbox.web.proxied import cookie_named, cookie_path, is_https, the_proxy

NOTICES_MAX = 500
"""The maximum number of waiting notices, of all browsers. The oldest is dropped: browsers follow redirects within
milliseconds.
"""
COOKIE = "sandbox-session"

NoticeAddress = tuple[str, tuple[tuple[str, str], ...]]
"""A path and the fields of its query string."""


@dataclass(frozen=True, slots=True)
class Notice:
    """The notice of one redirect.

    Attributes:
        said: what was done, in words without a full stop; "" if nothing.
        refused: why nothing was changed; "" if something was.
        undo: name of the automatic snapshot that was taken before, or None.
        no_undo: why no snapshot was taken, or None.
        shown: further values for the page's template, such as where an event was stored.
    """

    said: str = ""
    refused: str = ""
    undo: str | None = None
    no_undo: str | None = None
    shown: Mapping[str, Any] = field(default_factory=dict)


NONE = Notice()


class Notices:
    """The notices that wait for their browsers. Thread-safe."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[str, NoticeAddress], Notice] = OrderedDict()
        self._lock = Lock()

    def put(self, session: str, place: NoticeAddress, notice: Notice) -> None:
        """Store a notice until it is requested.

        Args:
            session: the browser's session.
            place: the address that shows it.
            notice: the notice.
        """
        with self._lock:
            self._waiting[session, place] = notice
            while len(self._waiting) > NOTICES_MAX:
                self._waiting.popitem(last=False)

    def take(self, session: str, place: NoticeAddress) -> Notice:
        """Remove and return the notice of a place; `NONE` if it has none."""
        with self._lock:
            return self._waiting.pop((session, place), NONE)


def keep_notices(app: Flask) -> None:
    """Enable notices in an application's pages."""
    app.extensions["notices"] = Notices()
    app.jinja_env.globals.update(notice=current_notice)


def leave(answer: Response, address: str, notice: Notice) -> None:
    """Store a notice for the browser that gets a redirect.

    Args:
        answer: the redirect.
        address: its target: path and query string.
        notice: the notice to show there.
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
    """Return this request's notice; `NONE` if it has none. It is read once per request."""
    if "notice" not in g:
        session = request.cookies.get(cookie_named(COOKIE, request.host), "")
        place = (request.path, tuple(request.args.items(multi=True)))
        g.notice = cast(Notices, current_app.extensions["notices"]).take(session, place) if session else NONE
    return cast(Notice, g.notice)
