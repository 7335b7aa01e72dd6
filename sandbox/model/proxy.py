"""Describes a reverse proxy before the page: the address that browsers use, and whether its headers are trusted."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}
PAGE_PATHS = (
    "activity", "cluster", "demo", "faults", "group", "groups", "help", "live", "map", "playground", "produce",
    "schema", "schemas", "search", "snapshots", "sql", "static", "theme", "topics", "zone",
)  # fmt: skip
"""First parts of the page's own paths. A base path must not begin with one of them."""
_BASE = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")

Origin = tuple[str, str, int]
"""Scheme, host and port, as browsers compare them (RFC 6454)."""


def origin_of(text: str) -> Origin | None:
    """Parse an Origin header; None for `null` and for any origin that is not a web page, such as an extension.

    Args:
        text: scheme://host or scheme://host:port, without a path.
    """
    found = re.fullmatch(r"(https?)://(\[[0-9a-f:.]+\]|[^\s/?#@:\[\]]+)(?::(\d{1,5}))?", text.lower())
    return None if found is None else (found[1], found[2], int(found[3] or PORTS[found[1]]))


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """The address under which browsers reach the page through a proxy.

    Attributes:
        origin: scheme, host and port.
        base: the path before every path of the page, such as "/sandbox"; "" for none.
    """

    origin: Origin
    base: str = ""

    @classmethod
    def parse(cls, text: str) -> "PublicUrl":
        """Parse an address such as https://kafka.example.org/sandbox.

        Raises:
            ValueError: it is not one; the message contains the reason.
        """
        parts = urlsplit(text)
        origin = origin_of(f"{parts.scheme}://{parts.netloc}")
        if origin is None or parts.query or parts.fragment:
            raise ValueError(f"{text!r} is not an address such as https://kafka.example.org/sandbox")
        base = parts.path.rstrip("/")
        if not _BASE.fullmatch(base):
            raise ValueError(f"the path {base!r} may have letters, digits and . _ ~ - between its slashes")
        if base.split("/")[1:2] and base.split("/")[1] in PAGE_PATHS:
            raise ValueError(f"{base!r} begins like a page of the sandbox: choose another path, such as /sandbox")
        return cls(origin, base)

    @property
    def host(self) -> str:
        """The host name."""
        return self.origin[1]

    @property
    def is_https(self) -> bool:
        """True if browsers use TLS to the proxy."""
        return self.origin[0] == "https"

    def __str__(self) -> str:
        scheme, host, port = self.origin
        return f"{scheme}://{host}{'' if port == PORTS[scheme] else f':{port}'}{self.base}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy between browsers and the page.

    Attributes:
        url: the public address; None if browsers reach the page directly.
        forwarded: True to trust X-Forwarded-Host and X-Forwarded-Proto, which are ignored otherwise.
    """

    url: PublicUrl | None = None
    forwarded: bool = False

    @property
    def base(self) -> str:
        """The path before every path of the page; "" for none."""
        return self.url.base if self.url is not None else ""

    def local_path(self, path: str) -> str:
        """Return a path without the base, which a proxy may have removed already."""
        if self.base and (path == self.base or path.startswith(self.base + "/")):
            return path[len(self.base) :] or "/"
        return path


NO_PROXY = Proxy()
