"""Applies the checks of `sandbox.web.guard` to every request, before anything is read or shown."""

from collections.abc import Collection
from urllib.parse import quote, urlencode

from flask import Flask, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.model.proxy import Proxy
from sandbox.web import guard
from sandbox.web.proxied import cookie_path, outer_path, the_proxy
from sandbox.web.responses import data, wants_data


def guard_access(app: Flask, hosts: Collection[str], token: str | None, proxy: Proxy) -> None:
    """Make an application answer only requests that pass the checks.

    Args:
        app: the application.
        hosts: addresses that the server listens on, in addition to loopback.
        token: the token that every request must carry, None if no token is required.
        proxy: the reverse proxy's settings.
    """

    @app.before_request
    def check() -> AnyResponse | None:
        headers = {name.lower(): value for name, value in request.headers}
        reason = guard.stranger({**headers, "host": request.host}, hosts, proxy)
        if reason is not None:
            return _refused(reason, 403)
        if token is not None and request.method == "GET" and guard.TOKEN_FIELD in request.args:
            return _let_in(headers, token)
        reason = guard.token_refused(headers, token)
        if reason is not None:
            return _refused(reason, 401)
        if request.method in guard.SAFE_METHODS:
            reason = guard.reading_refused(headers)
        else:
            reason = guard.origin_refused(headers, request.scheme, proxy) or guard.program_refused(
                request.path, headers
            )
        return _refused(reason, 403) if reason else None

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.update(guard.HEADERS)
        if response.headers.get("Location", "").startswith("/"):
            response.headers["Location"] = outer_path(response.headers["Location"])
        return response


def _refused(reason: str, status: int) -> AnyResponse:
    """Answer with the reason, and no data of the sandbox; never HTML, because the reason may repeat the input."""
    if wants_data():
        answer: AnyResponse = data({"error": "UNAUTHORIZED" if status == 401 else "FORBIDDEN", "message": reason})
        answer.status_code = status
    else:
        answer = Response(reason + "\n", status, content_type="text/plain; charset=utf-8")
    answer.headers["Cache-Control"] = "no-store"
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _let_in(headers: dict[str, str], token: str) -> AnyResponse:
    """Exchange the token in the address for a cookie, and redirect to the address without it."""
    if not guard.is_token(request.args[guard.TOKEN_FIELD], token):
        return _refused("That is not the token of this page. " + guard.TOKEN_WANTED, 401)
    left = [(name, value) for name, value in request.args.items(multi=True) if name != guard.TOKEN_FIELD]
    clean = "/" + quote(request.path.lstrip("/\\")) + (f"?{urlencode(left)}" if left else "")
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        # If the link is on another site (a chat, for example), a redirect wouldn't send the cookie: it is
        # SameSite=Strict. A navigation from our own page does.
        answer: AnyResponse = Response("Opening the page ...\n", content_type="text/html; charset=utf-8")
        answer.headers["Refresh"] = f"0; url={outer_path(clean)}"
    else:
        answer = redirect(clean, 303)
    answer.headers["Cache-Control"] = "no-store"
    answer.set_cookie(
        guard.cookie_name(request.host),
        token,
        httponly=True,
        samesite="Strict",
        secure=request.is_secure or guard.is_https(headers, the_proxy()),
        path=cookie_path(),
    )
    return answer
