"""Limits the number of connections that wait for their client, and how long they wait.

uvicorn closes only idle connections that have had an answer. Here a connection has `HEAD_WITHIN_S` to send a whole
request head, and `UNREAD_WITHIN_S` if it stops reading an answer. At the maximum number of connections, a new one
replaces the connection that has waited longest for its client.

A WebSocket's client sends a few bytes per message that it gets, and pongs. One that sends more than
`SENT_MAX_BYTES` within `SENT_WITHIN_S` is closed: each of its frames takes time on the event loop, and each ping is
answered with a pong, which waits in memory if it is not read.
"""

import asyncio
import logging
import math
import time
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
NOT_HTTP = "Invalid HTTP request received."
"""What uvicorn logs for each connection that sends no HTTP."""
NOT_HTTP_EVERY_S = 60.0
ABORT = "sandbox.abort"
"""The name in a request's `scope["state"]` of what closes its connection."""
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 2\r\n"
    b"Connection: close\r\n\r\nToo many connections are open. Try again in a moment.\n"
)


class _NotHttp(logging.Filter):
    """Reports clients that send no HTTP with a hint, and at most once per `NOT_HTTP_EVERY_S`: Kafka clients retry."""

    _reported_s = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg != NOT_HTTP:
            return True
        now_s = time.monotonic()
        if now_s - self._reported_s < NOT_HTTP_EVERY_S:
            return False
        self._reported_s = now_s
        record.msg = "A client sent something other than HTTP to the page's port. Kafka clients need the Kafka address."
        return True


class BoundedConnection(H11Protocol):
    """One HTTP/1.1 connection.

    Attributes:
        waits_since_s: time since when it waits for data from the client; None while the server works on a request.
        head_since_s: time since when it waits for a whole request head; None while a request is being served.
        unread_since_s: time since when the client doesn't read the answer; None if it does.
    """

    waits_since_s: float | None = None
    head_since_s: float | None = None
    unread_since_s: float | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Each request's scope has a copy: an answer that was begun and cannot be finished ends with its connection.
        self.app_state = {**self.app_state, ABORT: self.abort}
        # Adding the same filter again has no effect.
        self.logger.addFilter(_not_http)

    def abort(self) -> None:
        """Close the connection, and drop what was not sent."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection if there is room, or if another one can be closed."""
        if len(self.connections) >= CONNECTIONS_MAX and not _make_room(self.connections):
            transport.write(FULL)
            transport.close()
            return
        super().connection_made(transport)
        self.waits_since_s = self.head_since_s = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Process received data."""
        if self.transport is not None:
            super().data_received(data)
            self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection."""
        if self.transport is not None:
            super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Start waiting for the next request."""
        super().on_response_complete()
        self._look()

    def _look(self) -> None:
        """Update what the connection waits for."""
        now_s = self.loop.time()
        serving = self.cycle is not None and not self.cycle.response_complete
        if serving:
            self.head_since_s = None
            # While the server works, it waits for the client only if the body is incomplete.
            self.waits_since_s = now_s if self.conn.their_state is h11.SEND_BODY else None
            return
        if self.head_since_s is None:
            self.head_since_s = now_s
        self.waits_since_s = self.head_since_s

    def pause_writing(self) -> None:
        """Note that the client reads more slowly than the server writes."""
        self.unread_since_s = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client has caught up."""
        self.unread_since_s = None
        super().resume_writing()

    def overdue(self, now_s: float) -> bool:
        """Return True if the client has exceeded a time limit."""
        if self.transport.is_closing() and self.unread_since_s is None:
            # The client may never read the rest.
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
        """0 for a closed connection that the client has not ended yet, so it makes room first; None if it is open."""
        return 0.0 if self.close_sent or self.transport.is_closing() else None

    def data_received(self, data: bytes) -> None:
        """Process received data, unless it is too much. The HTTP request comes first and is not counted."""
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
        """Note that the client reads more slowly than the server writes."""
        self.unread_since_s = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client has caught up."""
        self.unread_since_s = None
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection, even if it had to make room for another one."""
        self.connections.add(self)
        super().connection_lost(exc)

    def overdue(self, now_s: float) -> bool:
        """Return True if the client has exceeded its time limit."""
        if self.waits_since_s is not None and self.unread_since_s is None:
            self.unread_since_s = now_s
        return self.unread_since_s is not None and now_s - self.unread_since_s > UNREAD_WITHIN_S


_not_http = _NotHttp()
BOUNDED = (BoundedConnection, BoundedWebSocket)


def _make_room(connections: Iterable[Any]) -> bool:
    """Close the connection that has waited longest for its client; False if none does."""
    waiting = [one for one in connections if isinstance(one, BOUNDED) and one.waits_since_s is not None]
    if not waiting:
        return False
    # The loop removes it from the set only in its next turn; another caller must not choose it again before that.
    longest = min(waiting, key=lambda one: one.waits_since_s or 0.0)
    longest.connections.discard(longest)
    longest.transport.abort()
    return True


def unread_bytes(connections: Iterable[Any]) -> int:
    """Return how many bytes of answers wait for their clients."""
    return sum(
        one.transport.get_write_buffer_size()
        for one in connections
        if isinstance(one, BoundedConnection) and not one.transport.is_closing()
    )


def drop_unread(connections: Iterable[Any]) -> None:
    """Close the connections whose clients don't read the answer."""
    for one in list(connections):
        if isinstance(one, BOUNDED) and one.unread_since_s is not None:
            one.transport.abort()


async def sweep(connections: Iterable[Any]) -> None:
    """Close overdue connections, until cancelled.

    Args:
        connections: the server's connections; the set may change.
    """
    now_s = asyncio.get_running_loop().time
    while True:
        await asyncio.sleep(SWEEP_S)
        for one in list(connections):
            if isinstance(one, BOUNDED) and one.overdue(now_s()):
                one.transport.abort()
