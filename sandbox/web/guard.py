"""Decides which requests may reach the pages: hosts, origins, tokens and headers, and the answer to a refused one."""

import hmac
import ipaddress
from collections.abc import Collection, Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlencode

from flask import Flask, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.model.proxy import NO_PROXY, Origin, Proxy, origin_of
from sandbox.web.proxied import cookie_named, cookie_path, forwarded, is_https, outer_path, the_proxy
from sandbox.web.responses import data, wants_data

LOOPBACK = ("127.0.0.1", "localhost", "::1")
WILDCARDS = ("0.0.0.0", "::", "")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
PROGRAM_HEADER = "X-Sandbox"
TOKEN_FIELD = "token"
TOKEN_WANTED = (
    "This page asks for a token, because other machines can reach it. Open the address that `sandbox up` printed, with "
    "?token= in it, once in this browser. Programs send the header Authorization: Bearer, with the token."
)

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def host_name(host: str) -> str:
    """Return the name in a Host header, without port and brackets, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()


def stranger(headers: Mapping[str, str], hosts: Collection[str], proxy: Proxy = NO_PROXY) -> str | None:
    """Return why a request to an unknown host is refused; None if it is allowed.

    Args:
        headers: with names in lower case.
        hosts: the addresses that the server listens on.
        proxy: the reverse proxy's settings.
    """
    known = (*hosts, proxy.url.host) if proxy.url is not None else hosts
    named = (headers.get("host", ""), forwarded(headers, "host", proxy))
    return next((reason for host in named if host is not None and (reason := host_refused(host, known))), None)


def host_refused(host: str, hosts: Collection[str]) -> str | None:
    """Return why a Host header is refused.

    Args:
        host: the header.
        hosts: the addresses that the server listens on. If one is a wildcard, every IP address is allowed: a rebinding
            attack needs a name.

    Returns:
        The reason with the way out, or None if it is allowed.
    """
    name = host_name(host)
    if name in LOOPBACK or name in hosts:
        return None
    if any(wildcard in hosts for wildcard in WILDCARDS):
        try:
            ipaddress.ip_address(name)
            return None
        except ValueError:
            pass
    return (
        f"This server is not known as {name!r}. Open it by its address, or as localhost. Behind a proxy, start it with "
        "--public-url and the address that browsers use."
    )


def _own_origins(headers: Mapping[str, str], scheme: str, proxy: Proxy) -> set[Origin | None]:
    """Return the page's origins, as the requesting browser may see them."""
    host = headers.get("host", "")
    seen = {origin_of(f"{scheme}://{host}")}
    if proxy.url is not None:
        if host_name(host) == proxy.url.host:
            # Through the proxy. Its connection to this server says nothing about the browser's.
            seen.clear()
        seen.add(proxy.url.origin)
    if proxy.forwarded:
        outer = forwarded(headers, "proto", proxy) or scheme, forwarded(headers, "host", proxy) or host
        seen.add(origin_of("://".join(outer)))
    return seen - {None}


def origin_refused(headers: Mapping[str, str], scheme: str = "http", proxy: Proxy = NO_PROXY) -> str | None:
    """Return why a WebSocket or a request that changes something is refused; None if it is allowed.

    Args:
        headers: with names in lower case.
        scheme: "http" or "https", of the connection to this server.
        proxy: the reverse proxy's settings.
    """
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return f"The request comes from another site (Sec-Fetch-Site: {site}). Use the page itself."
    if origin is not None and origin_of(origin) not in _own_origins(headers, scheme, proxy):
        return (
            f"The request comes from another site (Origin: {origin}). Use the page itself. Behind a proxy, start the "
            "server with --public-url and the address that browsers use."
        )
    return None


def reading_refused(headers: Mapping[str, str]) -> str | None:
    """Return why a read is refused that another site embedded in its page; None if it is allowed.

    The browser wouldn't show the answer to that site, but the server would do the work, such as a slow query. Links
    from other sites to a page are allowed.

    Args:
        headers: with names in lower case.
    """
    if headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
        return None
    if headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document":
        return None
    return "Another site embeds this page. Open it in a separate tab."


def program_refused(path: str, headers: Mapping[str, str]) -> str | None:
    """Return why a change through a `.json` address is refused; None if it is allowed, or if the path is another one.

    Args:
        path: the request's path.
        headers: with names in lower case.
    """
    if path.endswith(".json") and not headers.get(PROGRAM_HEADER.lower()):
        return f"A program that changes something sends the header {PROGRAM_HEADER}, with its name."
    return None


def cookie_name(host: str) -> str:
    """Return the name of the token's cookie for a Host header."""
    return cookie_named("sandbox-token", host)


def is_token(given: str, token: str) -> bool:
    """Compare a text with the token in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())


def token_refused(headers: Mapping[str, str], token: str | None) -> str | None:
    """Return why a request without the token is refused; None if it is allowed, or if no token is required.

    Args:
        headers: with names in lower case.
        token: the required token, None if none is required.
    """
    if token is None:
        return None
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and is_token(given.strip(), token):
        return None
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(cookie_name(headers.get("host", "")))
    except CookieError:
        cookie = None
    return None if cookie is not None and is_token(cookie.value, token) else TOKEN_WANTED


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
        reason = stranger({**headers, "host": request.host}, hosts, proxy)
        if reason is not None:
            return _refused(reason, 403)
        if token is not None and request.method == "GET" and TOKEN_FIELD in request.args:
            return _let_in(headers, token)
        reason = token_refused(headers, token)
        if reason is not None:
            return _refused(reason, 401)
        if request.method in SAFE_METHODS:
            reason = reading_refused(headers)
        else:
            reason = origin_refused(headers, request.scheme, proxy) or program_refused(request.path, headers)
        return _refused(reason, 403) if reason else None

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.update(HEADERS)
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
    if not is_token(request.args[TOKEN_FIELD], token):
        return _refused("That is not the token of this page. " + TOKEN_WANTED, 401)
    left = [(name, value) for name, value in request.args.items(multi=True) if name != TOKEN_FIELD]
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
        cookie_name(request.host),
        token,
        httponly=True,
        samesite="Strict",
        secure=request.is_secure or is_https(headers, the_proxy()),
        path=cookie_path(),
    )
    return answer
