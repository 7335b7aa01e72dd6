"""Serves an ASGI application on a port, in the sandbox's own event loop, with limits on connections."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import uvicorn

from sandbox.web.connections import BoundedConnection, BoundedWebSocket, drop_unread, sweep, unread_bytes

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


WS_MESSAGE_MAX_BYTES = 4096
STOP_WITHIN_S = 1
"""How long open connections may take to receive their answers, after the application was closed."""
BACKLOG = 128
"""How many connections the system queues until they are accepted, and how many asyncio accepts in one turn."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: signals belong to the program that embeds the sandbox."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """An HTTP server.

    Args:
        application: answers the requests.

    Attributes:
        connections: the open connections.
    """

    def __init__(self, application: Application) -> None:
        self._config = uvicorn.Config(
            application,
            interface="asgi3",
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
        self._server = _Server(self._config)
        self.connections = self._server.server_state.connections
        self._task: asyncio.Task[None] | None = None
        self._sweep: asyncio.Task[None] | None = None

    async def start(self, listener: socket.socket) -> None:
        """Start to accept the connections of a listening socket, which is closed when the server stops."""
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started and not self._task.done():
            await asyncio.sleep(0.001)
        if self._task.done():
            self._task.result()
        self._sweep = asyncio.create_task(sweep(self.connections))

    def adopt(self, transport: asyncio.Transport) -> None:
        """Serve a connection that was accepted before the server was started, and isn't read yet."""
        protocol = BoundedConnection(config=self._config, server_state=self._server.server_state, app_state={})
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        transport.resume_reading()

    def unread_bytes(self) -> int:
        """Return how many bytes of answers the clients haven't read yet."""
        return unread_bytes(self.connections)

    def drop_unread(self) -> None:
        """Close the connections whose clients don't read."""
        drop_unread(self.connections)

    async def stop(self) -> None:
        """Close every connection and the port, within 2 s. Close the application first."""
        if self._task is None:
            return
        # Not earlier: uvicorn's time limit for the connections starts with it.
        self._server.should_exit = True
        await self._task
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in tuple(self.connections):
            if connection.transport is not None:
                connection.transport.abort()
