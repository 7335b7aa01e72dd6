"""The schema registry's own port."""

import socket
from collections.abc import Callable, Collection

from sandbox.model.cancellation import uncover
from sandbox.model.proxy import Proxy
from sandbox.registry.registry import SchemaRegistry
from sandbox.web.registry.pages import RegistryPages
from sandbox.web.serving import HttpServer, Receive, Scope, Send


class RegistryServer:
    """Serves the schema registry.

    Args:
        schemas: returns the registry.
        hosts, token, proxy: see `RegistryApplication`.
    """

    def __init__(
        self, schemas: Callable[[], SchemaRegistry], hosts: Collection[str], token: str | None, proxy: Proxy
    ) -> None:
        self._server = HttpServer(self._application)
        self._pages = RegistryPages(schemas, hosts, token, proxy, self._server.unread_bytes)
        self.adopt = self._server.adopt

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        uncover()
        await self._pages(scope, receive, send)

    async def start(self, listener: socket.socket) -> None:
        """Start to accept the connections of a listening socket."""
        await self._server.start(listener)

    async def stop(self) -> None:
        """Close every connection and the port, within 3 s."""
        await self._pages.close()
        await self._server.stop()
