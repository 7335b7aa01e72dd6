"""Who may talk to the page.

There is no login: a sandbox is for the person at this machine. What must be kept out is another web site in the same
browser. Three checks do that: the Host header must be one that this server is known by (against DNS rebinding), a
request that changes something must come from the page itself (`Sec-Fetch-Site`, else `Origin`), and so must the
WebSocket. Programs that send neither header, such as curl, are no browsers and are let in. What they change through a
`.json` address needs a header of its own on top, `X-Sandbox`, which a page of another site cannot send: the browser
would ask this server first (a CORS preflight), and it never agrees.
"""

import ipaddress
from collections.abc import Collection, Mapping

LOOPBACK = ("127.0.0.1", "localhost", "::1")
WILDCARDS = ("0.0.0.0", "::", "")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
PROGRAM_HEADER = "X-Sandbox"

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
    return f"This server is not known as {name!r}. Open it by its address, or as localhost."


def origin_refused(headers: Mapping[str, str]) -> str | None:
    """Why a request that changes something, or a WebSocket, is refused; None where it is let in.

    Args:
        headers: with names in lower case.
    """
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return f"The request comes from another site (Sec-Fetch-Site: {site}). Use the page itself."
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        return f"The request comes from another site (Origin: {origin}). Use the page itself."
    return None


def program_refused(path: str, headers: Mapping[str, str]) -> str | None:
    """Why a change through a `.json` address is refused; None where it is let in, or is none.

    Args:
        path: of the request.
        headers: with names in lower case.
    """
    if path.endswith(".json") and not headers.get(PROGRAM_HEADER.lower()):
        return f"A program that changes something sends the header {PROGRAM_HEADER}, with its name."
    return None
