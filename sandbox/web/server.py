"""The web server of a sandbox: pages and the WebSocket on one port, in the sandbox's own event loop."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from typing import Any, cast

import uvicorn
from a2wsgi import WSGIMiddleware
from flask import Flask

from sandbox.model.proxy import NO_PROXY, Proxy
from sandbox.web.app import create_app
from sandbox.web.backend.backend import Backend
from sandbox.web.live import Hub, Receive, Scope, Send
from sandbox.web.proxied import inner_scope

WS_MESSAGE_MAX_BYTES = 4096
PAGE_WORKERS = 4
STOP_WITHIN_S = 2


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: signals belong to the program that embeds the sandbox."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class WebServer:
    """Serves the pages of one sandbox.

    Args:
        backend: what the pages show.
        host: address to listen on.
        port: 0 picks a free one.
        token: what every request must bring, None for nothing.
        proxy: what stands between browsers and the page.
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

    async def start(self) -> int:
        """Listen.

        Returns:
            The port.

        Raises:
            OSError: the address cannot be had, with the reason of the operating system.
        """
        listener = _listen(self._host, self._port)
        port: int = listener.getsockname()[1]
        app = create_app(self._backend, hosts=(self._host,), token=self._token, proxy=self._proxy)
        self._hub = hub = Hub(app, (self._host,), self._backend.subscribe)
        pages = _pages(app)

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            scope = inner_scope(scope, self._proxy)
            if scope["type"] == "websocket" and scope["path"] == "/live":
                await hub(scope, receive, send)
            else:
                await pages(scope, receive, send)

        config = uvicorn.Config(
            application,
            http="h11",
            ws="websockets-sansio",
            ws_max_size=WS_MESSAGE_MAX_BYTES,
            ws_ping_interval=20,
            ws_ping_timeout=20,
            ws_per_message_deflate=False,
            lifespan="off",
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
        return port

    async def stop(self) -> None:
        """Close every connection and the port. Tabs that were open try to come back."""
        if self._hub is not None:
            self._hub.close()
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task


def _pages(app: Flask) -> Any:
    """The pages as ASGI. What goes wrong is told to standard error: standard output belongs to the program."""

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        environ["wsgi.errors"] = sys.stderr
        return app(environ, start_response)

    return WSGIMiddleware(cast(Any, answer), workers=PAGE_WORKERS)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio lets small writes go at once (TCP_NODELAY) only where the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
