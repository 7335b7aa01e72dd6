"""Decides which requests the page answers.

On the loopback address there is no login: a sandbox belongs to the person at this machine. The threat is another web
site in the same browser. Three checks keep it out: the Host header must name this server (against DNS rebinding), a
request that changes something must come from the page itself (`Sec-Fetch-Site` and `Origin`, compared by scheme, host
and port), and so must the WebSocket. Programs that send neither header, such as curl, aren't browsers and are allowed.
Changes through a `.json` address also need the header `X-Sandbox`, which a page of another site can't send: the
browser would first ask this server (a CORS preflight), which always refuses.

If other machines can reach the page, every request must also carry a token: a program in the header
`Authorization: Bearer`, a browser in a cookie, which it gets by opening the page once with `?token=`. The cookie's name
contains the port, because all ports of one host share their cookies.

A reverse proxy adds its public address to the accepted ones. The headers X-Forwarded-Host and X-Forwarded-Proto are
ignored unless they are enabled; then they are checked in addition to Host.
"""

import hmac
import ipaddress
from collections.abc import Collection, Mapping
from http.cookies import CookieError, SimpleCookie

from sandbox.model.proxy import NO_PROXY, Origin, Proxy, origin_of

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


def forwarded(headers: Mapping[str, str], name: str, proxy: Proxy) -> str | None:
    """Return the nearest proxy's X-Forwarded-Host or X-Forwarded-Proto; None if it is missing or not trusted.

    Args:
        headers: with names in lower case.
        name: "host" or "proto".
        proxy: the reverse proxy's settings.
    """
    given = headers.get(f"x-forwarded-{name}") if proxy.forwarded else None
    return given.rpartition(",")[2].strip() if given else None


def is_https(headers: Mapping[str, str], proxy: Proxy) -> bool:
    """Return True if the browser uses TLS to the proxy; cookies are then marked Secure."""
    scheme = forwarded(headers, "proto", proxy)
    return scheme == "https" if scheme else proxy.url is not None and proxy.url.is_https


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


def cookie_named(name: str, host: str) -> str:
    """Return a cookie's name for a Host header. It contains the port, because a host's ports share their cookies."""
    port = host.rpartition(":")[2]
    return f"{name}-{port}" if port.isdigit() else name


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
