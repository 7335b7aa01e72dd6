"""Serves the pages under a path of a reverse proxy.

Templates contain addresses that start at the root, such as /topics. If the public address has a path, such as /sandbox,
it is added on the finished page, in one place, so that no template can forget it. User text can't be mistaken for an
attribute there: its quotes are escaped.
"""

import re
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any, cast

from flask import current_app

from sandbox.model.proxy import Proxy

_ATTRIBUTES = "href|action|formaction|src|hx-get|hx-post|ws-connect|data-history"


def inner_scope(scope: MutableMapping[str, Any], proxy: Proxy) -> MutableMapping[str, Any]:
    """Return an ASGI scope whose path has no base, whether or not the proxy removed it."""
    path = proxy.local_path(scope["path"]) if "path" in scope else None
    return scope if path is None or path == scope["path"] else {**scope, "path": path}


def the_proxy() -> Proxy:
    """Return the reverse proxy's settings."""
    return cast(Proxy, current_app.extensions["proxy"])


def cookie_path() -> str:
    """Return a cookie's path: the same proxy may have another server under another path."""
    return the_proxy().base + "/"


def outer_path(path: str) -> str:
    """Return a path as browsers see it."""
    return the_proxy().base + path


def under_base(html: str) -> str:
    """Add the base to all addresses of a page, or of a part of one. Idempotent."""
    base = the_proxy().base
    # As plain text: Markup would escape the replacements.
    return _addresses(base).sub(rf"\g<1>{base}/", str(html)) if base else html


@lru_cache(8)
def _addresses(base: str) -> re.Pattern[str]:
    return re.compile(rf'((?<=\s)(?:{_ATTRIBUTES})=")(?!{re.escape(base)}(?:[/?#"]))/(?!/)')


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


def cookie_named(name: str, host: str) -> str:
    """Return a cookie's name for a Host header. It contains the port, because a host's ports share their cookies."""
    port = host.rpartition(":")[2]
    return f"{name}-{port}" if port.isdigit() else name
