"""Finds the folders of templates and static files, and serves the static files that pages link to.

A page links to a file by its content's digest, so browsers keep it forever. Such an address is answered on the event
loop, from memory: through Flask and its threads, the ten files of a page take longer than the page. Every other address
of a static file, and every request that the guard refuses, is left to Flask.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from sandbox.model.proxy import Proxy
from sandbox.web import guard
from sandbox.web.serving import Scope, Send

FOREVER = "public, max-age=31536000, immutable"


def asset_folder(name: str) -> Path:
    """Find a folder of assets: in the package (an installed wheel), else at the root of the project (a checkout).

    Args:
        name: "templates", "static" or "docs".

    Returns:
        The folder, which exists.

    Raises:
        FileNotFoundError: neither place has it: the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / name, package.parents[1] / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the folder {name!r} is missing: install the package again")


@dataclass(frozen=True, slots=True)
class _Asset:
    content_type: str
    plain: bytes
    compressed: bytes


class Assets:
    """The static files that pages have linked to.

    Args:
        folder: the folder of the static files.
        hosts: addresses that the server listens on, in addition to loopback.
        token: the token that every request must carry, None if no token is required.
        proxy: the reverse proxy between browsers and the page.
    """

    def __init__(self, folder: Path, hosts: Collection[str], token: str | None, proxy: Proxy) -> None:
        self._folder = folder
        self._hosts = hosts
        self._token = token
        self._proxy = proxy
        self._addresses: dict[str, str] = {}
        self._assets: dict[str, _Asset] = {}

    def address(self, name: str) -> str:
        """Return a file's address, and keep the file in memory to serve it.

        Args:
            name: the path in the folder; FileNotFoundError if it doesn't exist.
        """
        if name not in self._addresses:
            plain = (self._folder / name).read_bytes()
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            content_type = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
            address = f"/static/{name}?v={hashlib.sha256(plain).hexdigest()[:12]}"
            self._assets[address] = _Asset(content_type, plain, gzip.compress(plain, 9, mtime=0))
            self._addresses[name] = address
        return self._addresses[name]

    async def serve(self, scope: Scope, send: Send) -> bool:
        """Answer a request if it is for an address that `address` returned, and may be answered.

        Returns:
            False if it was not answered.
        """
        if scope["method"] not in ("GET", "HEAD") or not scope["path"].startswith("/static/"):
            return False
        asset = self._assets.get(f"{scope['path']}?{scope['query_string'].decode('latin1')}")
        given = {name.decode("latin1").lower(): value.decode("latin1") for name, value in scope["headers"]}
        if asset is None or self._is_refused(given):
            return False
        small = len(asset.compressed) < len(asset.plain)
        accepted = parse_accept_header(given.get("accept-encoding"), Accept)
        packed = small and accepted.quality("gzip") > 0
        body = asset.compressed if packed else asset.plain
        headers = {"content-type": asset.content_type, "content-length": str(len(body)), "cache-control": FOREVER}
        headers |= {"vary": "Accept-Encoding", **guard.HEADERS}
        if packed:
            headers["content-encoding"] = "gzip"
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": pairs})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        return True

    def _is_refused(self, headers: dict[str, str]) -> bool:
        return bool(
            guard.stranger(headers, self._hosts, self._proxy)
            or guard.token_refused(headers, self._token)
            or guard.reading_refused(headers)
        )
