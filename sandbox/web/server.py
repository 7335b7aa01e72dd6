"""The web server of a sandbox: pages and the WebSocket on one port, in the sandbox's own event loop."""

import socket

from sandbox.model.cancellation import uncover
from sandbox.model.listening import listen
from sandbox.model.proxy import NO_PROXY, Proxy
from sandbox.web.app import create_app
from sandbox.web.assets import Assets
from sandbox.web.backend import Backend
from sandbox.web.lanes import Pages
from sandbox.web.live import Hub
from sandbox.web.proxied import inner_scope
from sandbox.web.registry.pages import PREFIX, RegistryPages, is_under_prefix
from sandbox.web.serving import BACKLOG, HttpServer, Receive, Scope, Send


class WebServer:
    """Serves the pages of one sandbox.

    Args:
        backend: the backend of the pages.
        host: address to listen on.
        port: 0 picks a free one.
        token: the token that every request must carry, None if no token is required.
        proxy: the reverse proxy between browsers and the page.
    """

    def __init__(
        self, backend: Backend, host: str, port: int, token: str | None = None, proxy: Proxy = NO_PROXY
    ) -> None:
        self._token = token
        self._proxy = proxy
        self._backend = backend
        self._host = host
        self._port = port
        self._server: HttpServer | None = None
        self._hub: Hub | None = None
        self._pages: Pages | None = None
        self._assets: Assets | None = None
        self._registry: RegistryPages | None = None

    async def start(self) -> int:
        """Start listening.

        Returns:
            The port.

        Raises:
            OSError: the address can't be used, with the operating system's reason.
        """
        listener: socket.socket = listen(self._host, self._port, BACKLOG)
        port: int = listener.getsockname()[1]
        app = create_app(self._backend, hosts=(self._host,), token=self._token, proxy=self._proxy)
        self._server = server = HttpServer(self._application)
        self._hub = Hub(app, (self._host,), self._backend.subscribe)
        self._pages = Pages(app, server.unread_bytes)
        self._assets = app.extensions["assets"]
        schemas = self._backend.schema_registry
        if schemas is not None:
            guarded = (self._host,), self._token, self._proxy
            self._registry = RegistryPages(schemas, *guarded, server.unread_bytes)
        await server.start(listener)
        return port

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        uncover()
        scope = inner_scope(scope, self._proxy)
        if scope["type"] == "websocket" and scope["path"] == "/live":
            assert self._hub is not None
            await self._hub(scope, receive, send)
        elif self._registry is not None and scope["type"] == "http" and is_under_prefix(scope["path"]):
            await self._registry(scope, receive, send, PREFIX)
        else:
            assert self._pages is not None
            assert self._assets is not None
            if scope["type"] != "http" or not await self._assets.serve(scope, send):
                await self._pages(scope, receive, send)

    async def stop(self) -> None:
        """Close every connection and the port, within 3 s. Open tabs reconnect when the port is back."""
        if self._hub is not None:
            self._hub.close()
        if self._server is None:
            return
        if self._registry is not None:
            await self._registry.close()
        if self._pages is not None:
            await self._pages.close(self._server.drop_unread)
        await self._server.stop()
