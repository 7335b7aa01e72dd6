"""The guard at every address of the page: the checks of `sandbox.web.guard`, before anything is read or shown."""

from collections.abc import Collection
from urllib.parse import quote, urlencode

from flask import Flask, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.model.proxy import Proxy
from sandbox.web import guard
from sandbox.web.proxied import cookie_path, outer_path, the_proxy
from sandbox.web.responses import data, wants_data


def stand_at(app: Flask, hosts: Collection[str], token: str | None, proxy: Proxy) -> None:
    """Let an application answer only those who may talk to it.

    Args:
        app: the application.
        hosts: addresses that the server listens on, beside the loopback's.
        token: what every request must bring, None for nothing.
        proxy: what stands before the page.
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
    """A sentence and nothing of the sandbox; text, because it may repeat what was sent."""
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
    """Change the token in the address for a cookie, and go on to the address without it."""
    if not guard.is_token(request.args[guard.TOKEN_FIELD], token):
        return _refused("That is not the token of this page. " + guard.TOKEN_WANTED, 401)
    left = [(name, value) for name, value in request.args.items(multi=True) if name != guard.TOKEN_FIELD]
    clean = "/" + quote(request.path.lstrip("/\\")) + (f"?{urlencode(left)}" if left else "")
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        # From a link elsewhere, such as a chat: the cookie would not be sent after a redirect, being SameSite=Strict.
        # An address that the page itself goes to is its own.
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
