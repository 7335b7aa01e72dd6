"""Who may talk to the page.

On the loopback address there is no login: a sandbox is for the person at this machine. What must be kept out is another
web site in the same browser. Three checks do that: the Host header must be one that this server is known by (against
DNS rebinding), a request that changes something must come from the page itself (`Sec-Fetch-Site` and `Origin`, of which
scheme, host and port are compared), and so must the WebSocket. Programs that send neither header, such as curl, are no
browsers and are let in. What they change through a `.json` address needs a header of its own on top, `X-Sandbox`, which
a page of another site cannot send: the browser would ask this server first (a CORS preflight), and it never agrees.

Where other machines can reach the page, every request must bring a token on top: a program in the header
`Authorization: Bearer`, a browser in a cookie, which it gets by opening the page once with `?token=`. It has the
port in its name: cookies of one host are shared by all its ports.

A reverse proxy in front of the page adds its public address to those that are known. The headers X-Forwarded-Host and
X-Forwarded-Proto are ignored unless they are asked for; then they are checked as Host is, beside it.
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
    """The name in a Host header, without port and brackets, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()


def forwarded(headers: Mapping[str, str], name: str, proxy: Proxy) -> str | None:
    """What the nearest proxy says in X-Forwarded-Host or X-Forwarded-Proto; None if it is not believed.

    Args:
        headers: with names in lower case.
        name: "host" or "proto".
        proxy: what stands before the page.
    """
    given = headers.get(f"x-forwarded-{name}") if proxy.forwarded else None
    return given.rpartition(",")[2].strip() if given else None


def is_https(headers: Mapping[str, str], proxy: Proxy) -> bool:
    """Whether the browser speaks TLS to the proxy: its cookies are then marked Secure."""
    scheme = forwarded(headers, "proto", proxy)
    return scheme == "https" if scheme else proxy.url is not None and proxy.url.is_https


def stranger(headers: Mapping[str, str], hosts: Collection[str], proxy: Proxy = NO_PROXY) -> str | None:
    """Why a request is refused that names a host which is not this server; None if it is let in.

    Args:
        headers: with names in lower case.
        hosts: the addresses that the server listens on.
        proxy: what stands before the page.
    """
    known = (*hosts, proxy.url.host) if proxy.url is not None else hosts
    named = (headers.get("host", ""), forwarded(headers, "host", proxy))
    return next((reason for host in named if host is not None and (reason := host_refused(host, known))), None)


def host_refused(host: str, hosts: Collection[str]) -> str | None:
    """Why a Host header is refused.

    Args:
        host: the header.
        hosts: the addresses that the server listens on. With a wildcard among them, every IP address is let in:
            a rebinding attack needs a name.

    Returns:
        The reason with the way out, or None where it is let in.
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
    """The origins of the page, as the browser that sends a request may see it."""
    host = headers.get("host", "")
    seen = {origin_of(f"{scheme}://{host}")}
    if proxy.url is not None:
        if host_name(host) == proxy.url.host:
            # Through the proxy, whose own connection to this server says nothing of the browser's.
            seen.clear()
        seen.add(proxy.url.origin)
    if proxy.forwarded:
        outer = forwarded(headers, "proto", proxy) or scheme, forwarded(headers, "host", proxy) or host
        seen.add(origin_of("://".join(outer)))
    return seen - {None}


def origin_refused(headers: Mapping[str, str], scheme: str = "http", proxy: Proxy = NO_PROXY) -> str | None:
    """Why a request that changes something, or a WebSocket, is refused; None if it is let in.

    Args:
        headers: with names in lower case.
        scheme: "http" or "https", of the connection to this server.
        proxy: what stands before the page.
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
    """Why a request that only reads is refused: another site put it into its page. None where it is let in.

    The browser would not show that site the answer, but the work was done, such as a query that takes its time. A link
    from another site to a page is followed.

    Args:
        headers: with names in lower case.
    """
    if headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
        return None
    if headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document":
        return None
    return "Another site asks for this from within its page. Open it in a tab of its own."


def program_refused(path: str, headers: Mapping[str, str]) -> str | None:
    """Why a change through a `.json` address is refused; None where it is let in, or is none.

    Args:
        path: of the request.
        headers: with names in lower case.
    """
    if path.endswith(".json") and not headers.get(PROGRAM_HEADER.lower()):
        return f"A program that changes something sends the header {PROGRAM_HEADER}, with its name."
    return None


def cookie_named(name: str, host: str) -> str:
    """The name of a cookie for a Host header: cookies of one host are shared by all its ports."""
    port = host.rpartition(":")[2]
    return f"{name}-{port}" if port.isdigit() else name


def cookie_name(host: str) -> str:
    """The name of the cookie with the token, for a Host header."""
    return cookie_named("sandbox-token", host)


def is_token(given: str, token: str) -> bool:
    """Whether a text is the token; how long it takes to find out tells nothing of it."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())


def token_refused(headers: Mapping[str, str], token: str | None) -> str | None:
    """Why a request is refused that does not bring the token; None where it does, or none is asked for.

    Args:
        headers: with names in lower case.
        token: what is asked for.
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
