"""The web server of a sandbox: pages and the WebSocket on one port, in the sandbox's own event loop."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from sandbox.model.cancellation import uncover
from sandbox.model.proxy import NO_PROXY, Proxy
from sandbox.web.app import create_app
from sandbox.web.backend import Backend
from sandbox.web.connections import BoundedConnection, BoundedWebSocket, drop_unread, sweep, unread_bytes
from sandbox.web.lanes import Pages
from sandbox.web.live import Hub, Receive, Scope, Send
from sandbox.web.proxied import inner_scope

WS_MESSAGE_MAX_BYTES = 4096
STOP_WITHIN_S = 1
"""How long open connections may take to receive their answers, after the pages were closed (`Pages.close`)."""
BACKLOG = 128
"""How many connections the system queues until they are accepted, and how many asyncio accepts in one turn."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: signals belong to the program that embeds the sandbox."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


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
        self._task: asyncio.Task[None] | None = None
        self._server: _Server | None = None
        self._hub: Hub | None = None
        self._pages: Pages | None = None
        self._sweep: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Start listening.

        Returns:
            The port.

        Raises:
            OSError: the address can't be used, with the operating system's reason.
        """
        listener = _listen(self._host, self._port)
        port: int = listener.getsockname()[1]
        app = create_app(self._backend, hosts=(self._host,), token=self._token, proxy=self._proxy)
        self._hub = hub = Hub(app, (self._host,), self._backend.subscribe)
        self._pages = pages = Pages(app, lambda: unread_bytes(server.server_state.connections))

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            uncover()
            scope = inner_scope(scope, self._proxy)
            if scope["type"] == "websocket" and scope["path"] == "/live":
                await hub(scope, receive, send)
            else:
                await pages(scope, receive, send)

        config = uvicorn.Config(
            application,
            http=BoundedConnection,
            ws=BoundedWebSocket,
            ws_max_size=WS_MESSAGE_MAX_BYTES,
            ws_ping_interval=20,
            ws_ping_timeout=20,
            ws_per_message_deflate=False,
            lifespan="off",
            backlog=BACKLOG,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=64 * 1024,
            timeout_graceful_shutdown=STOP_WITHIN_S,
        )
        self._server = server = _Server(config)
        self._task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not self._task.done():
            await asyncio.sleep(0.001)
        if self._task.done():
            self._task.result()
        self._sweep = asyncio.create_task(sweep(server.server_state.connections))
        return port

    async def stop(self) -> None:
        """Close every connection and the port, within 3 s. Open tabs reconnect when the port is back."""
        if self._hub is not None:
            self._hub.close()
        if self._server is None or self._task is None:
            return
        connections = self._server.server_state.connections
        if self._pages is not None:
            await self._pages.close(lambda: drop_unread(connections))
        # Not earlier: uvicorn's time limit for the connections starts with it.
        self._server.should_exit = True
        await self._task
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in tuple(connections):
            if connection.transport is not None:
                connection.transport.abort()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small writes immediately (TCP_NODELAY) only if the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
