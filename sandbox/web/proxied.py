"""Pages under a path of a reverse proxy.

Pages are written with addresses from the root, such as /topics. Where the public address has a path, such as /sandbox,
it is put before them in one place, on the finished page, so that no template can forget it. Text that people chose
cannot look like an attribute there: its quotes are escaped.
"""

import re
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any, cast

from flask import current_app

from sandbox.model.proxy import Proxy

_ATTRIBUTES = "href|action|formaction|src|hx-get|hx-post|ws-connect|data-history"


def inner_scope(scope: MutableMapping[str, Any], proxy: Proxy) -> MutableMapping[str, Any]:
    """An ASGI scope whose path has no base, whether the proxy removed it or not."""
    path = proxy.local_path(scope["path"]) if "path" in scope else None
    return scope if path is None or path == scope["path"] else {**scope, "path": path}


def the_proxy() -> Proxy:
    """What stands before the page that is served."""
    return cast(Proxy, current_app.extensions["proxy"])


def cookie_path() -> str:
    """The path of a cookie: another server may be under another path of the same proxy."""
    return the_proxy().base + "/"


def outer_path(path: str) -> str:
    """A path as browsers see it."""
    return the_proxy().base + path


def under_base(html: str) -> str:
    """A page, or a part of one, whose addresses are those that browsers see. Doing it again changes nothing."""
    base = the_proxy().base
    # As plain text: Markup would escape what is put in.
    return _addresses(base).sub(rf"\g<1>{base}/", str(html)) if base else html


@lru_cache(8)
def _addresses(base: str) -> re.Pattern[str]:
    return re.compile(rf'((?<=\s)(?:{_ATTRIBUTES})=")(?!{re.escape(base)}(?:[/?#"]))/(?!/)')
