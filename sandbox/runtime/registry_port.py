"""The schema registry's port, which costs a start nothing.

Problem: an HTTP server takes longer to import than the rest of the start, and most programs use no registry. Trade: the
port only listens. At the first connection the server is imported, in a thread, and takes the port and the connections
that came meanwhile. Consequence: the first request of a program waits for a few hundred ms.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, cast

from sandbox.model.listening import listen
from sandbox.model.proxy import Proxy

if TYPE_CHECKING:
    from sandbox.registry.registry import SchemaRegistry
    from sandbox.web.registry.server import RegistryServer

BACKLOG = 128
WAITING_MAX = 256
"""How many connections may wait until the server was imported; a further one is closed."""

logger = logging.getLogger("sandbox")


class RegistryPort:
    """The port of a sandbox's schema registry.

    Args:
        schemas: returns the registry; called at the first request.
        host: the address to listen at.
        token: the token that the registry requires, None for none.
        proxy: the proxy between clients and the registry.
        names: other names of this machine that clients use, such as the advertised one.
    """

    def __init__(
        self,
        schemas: "Callable[[], SchemaRegistry]",
        host: str,
        token: str | None,
        proxy: Proxy,
        names: Sequence[str] = (),
    ) -> None:
        self._schemas = schemas
        self._host = host
        self._guarded = (host, *(name.lower() for name in names)), token, proxy
        self._waiting: list[asyncio.Transport] = []
        self._door: asyncio.Server | None = None
        self._loading: asyncio.Task[None] | None = None
        self._server: RegistryServer | None = None

    async def open(self, ports: Sequence[int]) -> int:
        """Listen at the first port that can be opened; 0 is any.

        Returns:
            The port.

        Raises:
            OSError: the last one can't be opened.
        """
        for port in ports:
            try:
                listener = listen(self._host, port, BACKLOG)
            except OSError:
                if port == ports[-1]:
                    raise
                continue
            self._listener = listener
            self._door = await asyncio.get_running_loop().create_server(lambda: _Waiting(self), sock=listener)
            bound: int = listener.getsockname()[1]
            return bound
        raise ValueError("no port was given")

    def arrived(self, transport: asyncio.Transport) -> None:
        """Let a new connection wait for the server."""
        if self._server is not None:
            self._server.adopt(transport)
            return
        if len(self._waiting) >= WAITING_MAX:
            transport.abort()
            return
        self._waiting.append(transport)
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())

    def left(self, transport: asyncio.Transport) -> None:
        """Forget a connection that was closed before the server was ready."""
        if transport in self._waiting:
            self._waiting.remove(transport)

    async def _load(self) -> None:
        try:
            await asyncio.to_thread(import_module, "sandbox.web.registry.application")
            from sandbox.web.registry.server import RegistryServer

            server = RegistryServer(self._schemas, *self._guarded)
            await server.start(self._listener.dup())
        except Exception:
            logger.exception("the schema registry cannot be served")
            for transport in self._waiting:
                transport.abort()
            self._waiting.clear()
            self._loading = None
            return
        self._server = server
        if self._door is not None:
            self._door.close()
        while self._waiting:
            server.adopt(self._waiting.pop(0))

    async def close(self) -> None:
        """Close the port and its connections."""
        if self._door is not None:
            self._door.close()
        if self._loading is not None:
            await self._loading
        for transport in self._waiting:
            transport.abort()
        if self._server is not None:
            await self._server.stop()


class _Waiting(asyncio.Protocol):
    """A connection that is not read until the server is ready."""

    def __init__(self, port: RegistryPort) -> None:
        self._port = port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.pause_reading()
        self._port.arrived(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._port.left(self._transport)
