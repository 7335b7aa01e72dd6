"""Connections of the page that wait for their client: bounded in number and in time.

uvicorn closes idle connections that have had an answer, and no others. Here a connection has `HEAD_WITHIN_S` for a
whole request head, and `UNREAD_WITHIN_S` if it stops reading an answer. At the bound of their number the connection
that has waited longest for its client makes room for a new one.

A WebSocket's client sends a few bytes per message that it gets, and pongs. One that sends more than
`SENT_MAX_BYTES` within `SENT_WITHIN_S` is closed: each of its frames takes time on the event loop, and each ping is
answered with a pong, which waits in memory if it is not read.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

CONNECTIONS_MAX = 300
HEAD_WITHIN_S = 10.0
UNREAD_WITHIN_S = 30.0
SENT_WITHIN_S = 10.0
SENT_MAX_BYTES = 16 * 1024
SWEEP_S = 1.0
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 2\r\n"
    b"Connection: close\r\n\r\nToo many connections are open. Try again in a moment.\n"
)


class BoundedConnection(H11Protocol):
    """One connection that speaks HTTP/1.1.

    Attributes:
        waits_since_s: since when it waits for its client to send something; None while the server works for it.
        head_since_s: since when it waits for a whole request head; None while a request is being served.
        unread_since_s: since when the client does not read what was sent; None if it does.
    """

    waits_since_s: float | None = None
    head_since_s: float | None = None
    unread_since_s: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, if there is room or another one makes room."""
        if len(self.connections) >= CONNECTIONS_MAX and not _make_room(self.connections):
            transport.write(FULL)
            transport.close()
            return
        super().connection_made(transport)
        self.waits_since_s = self.head_since_s = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Handle what arrived."""
        if self.transport is not None:
            super().data_received(data)
            self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self.transport is not None:
            super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        super().on_response_complete()
        self._look()

    def _look(self) -> None:
        """Note what is waited for now."""
        now_s = self.loop.time()
        serving = self.cycle is not None and not self.cycle.response_complete
        if serving:
            self.head_since_s = None
            # While the server works, what arrives is not waited for.
            self.waits_since_s = now_s if self.conn.their_state is h11.SEND_BODY else None
            return
        if self.head_since_s is None:
            self.head_since_s = now_s
        self.waits_since_s = self.head_since_s

    def pause_writing(self) -> None:
        """The client reads more slowly than is written."""
        self.unread_since_s = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has read enough."""
        self.unread_since_s = None
        super().resume_writing()

    def overdue(self, now_s: float) -> bool:
        """Whether the client has had its time."""
        if self.transport.is_closing() and self.unread_since_s is None:
            # What is left may never be read.
            self.unread_since_s = now_s
        head, unread = self.head_since_s, self.unread_since_s
        return (head is not None and now_s - head > HEAD_WITHIN_S) or (
            unread is not None and now_s - unread > UNREAD_WITHIN_S
        )


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket, after its HTTP request.

    Attributes:
        unread_since_s: since when the client does not read what was sent, or has not ended a closed connection.
    """

    unread_since_s: float | None = None
    _counts_since_s = 0.0
    _sent_bytes = 0

    @property
    def waits_since_s(self) -> float | None:
        """When the wait for the client to end a closed connection began, long ago; None if it is open."""
        return 0.0 if self.close_sent or self.transport.is_closing() else None

    def data_received(self, data: bytes) -> None:
        """Handle what arrived, unless it is too much. What arrives first is the HTTP request."""
        if self.handshake_initiated and self._is_too_much(len(data)):
            self.transport.abort()
        else:
            super().data_received(data)

    def _is_too_much(self, size_bytes: int) -> bool:
        now_s = self.loop.time()
        if now_s - self._counts_since_s > SENT_WITHIN_S:
            self._counts_since_s, self._sent_bytes = now_s, 0
        self._sent_bytes += size_bytes
        return self._sent_bytes > SENT_MAX_BYTES

    def pause_writing(self) -> None:
        """The client reads more slowly than is written."""
        self.unread_since_s = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has read enough."""
        self.unread_since_s = None
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, also if it had to make room for another one."""
        self.connections.add(self)
        super().connection_lost(exc)

    def overdue(self, now_s: float) -> bool:
        """Whether the client has had its time."""
        if self.waits_since_s is not None and self.unread_since_s is None:
            self.unread_since_s = now_s
        return self.unread_since_s is not None and now_s - self.unread_since_s > UNREAD_WITHIN_S


BOUNDED = (BoundedConnection, BoundedWebSocket)


def _make_room(connections: Iterable[Any]) -> bool:
    """Close the connection that has waited longest for its client; False if none does."""
    waiting = [one for one in connections if isinstance(one, BOUNDED) and one.waits_since_s is not None]
    if not waiting:
        return False
    # It is gone from the set in the next turn of the loop; whoever comes before that must not choose it again.
    longest = min(waiting, key=lambda one: one.waits_since_s or 0.0)
    longest.connections.discard(longest)
    longest.transport.abort()
    return True


def unread_bytes(connections: Iterable[Any]) -> int:
    """How many bytes of answers wait for their clients."""
    return sum(
        one.transport.get_write_buffer_size()
        for one in connections
        if isinstance(one, BoundedConnection) and not one.transport.is_closing()
    )


def drop_unread(connections: Iterable[Any]) -> None:
    """Close the connections whose clients do not read what was sent."""
    for one in list(connections):
        if isinstance(one, BOUNDED) and one.unread_since_s is not None:
            one.transport.abort()


async def sweep(connections: Iterable[Any]) -> None:
    """Close overdue connections, until it is cancelled.

    Args:
        connections: those of the server, as they are at each moment.
    """
    now_s = asyncio.get_running_loop().time
    while True:
        await asyncio.sleep(SWEEP_S)
        for one in list(connections):
            if isinstance(one, BOUNDED) and one.overdue(now_s()):
                one.transport.abort()
