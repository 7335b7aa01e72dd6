"""Runs the schema registry's HTTP interface in worker threads, as an ASGI application."""

import asyncio
import json
from collections.abc import Callable, Collection
from importlib import import_module
from typing import TYPE_CHECKING

from sandbox.model.proxy import Proxy
from sandbox.web.lanes import Pages
from sandbox.web.serving import Receive, Scope, Send

if TYPE_CHECKING:
    from sandbox.registry.registry import SchemaRegistry

# The registry's rules are imported at the first request: the start of the page must not wait for them.

PREFIX = "/registry"
"""Where the page's port has the registry."""


def is_under_prefix(path: str) -> bool:
    """Return True if a path of the page's port is one of the registry."""
    return path == PREFIX or path.startswith(PREFIX + "/")


class RegistryPages:
    """The schema registry, as an ASGI application. Its threads are started when it is used.

    Args:
        schemas: returns the registry; called at the first request.
        hosts, token, proxy: see `RegistryApplication`.
        unread_bytes: returns how many bytes of answers the clients haven't read yet.
    """

    def __init__(
        self,
        schemas: "Callable[[], SchemaRegistry]",
        hosts: Collection[str],
        token: str | None,
        proxy: Proxy,
        unread_bytes: Callable[[], int],
    ) -> None:
        self._schemas = schemas
        self._guarded = hosts, token, proxy
        self._base = proxy
        self._unread_bytes = unread_bytes
        self._pages: Pages | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send, prefix: str = "") -> None:
        """Serve one request.

        Args:
            prefix: the part of the path before the registry's own.
        """
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        if self._pages is None:
            await asyncio.to_thread(import_module, "sandbox.web.registry.application")
        if self._pages is None:
            from sandbox.web.registry.application import RegistryApplication

            application = RegistryApplication(self._schemas(), *self._guarded)
            self._pages = Pages(application, self._unread_bytes, lane_of=_lane_of, refusal=_refusal)
        # As it was sent: a subject may have an escaped slash.
        raw = scope.get("raw_path") or scope["path"].encode()
        path = self._base.local_path(raw.partition(b"?")[0].decode("latin-1"))
        await self._pages({**scope, "path": path.removeprefix(prefix) or "/"}, receive, send)

    async def close(self) -> None:
        """Refuse new requests, and wait a moment for running ones."""
        if self._pages is not None:
            await self._pages.close()


def _lane_of(scope: Scope) -> str:
    """Return the lane of a request: a schema that is sent is parsed, which may take long."""
    return "costly" if scope["method"] in ("POST", "PUT") else "quick"


def _refusal(scope: Scope, status: int, text: str) -> tuple[str, str]:
    from sandbox.web.registry.application import V1_JSON

    return V1_JSON, json.dumps({"error_code": status, "message": text})
