"""The Kafka port: sockets on an asyncio loop, which is also where every write happens."""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import cast

from sandbox.broker.broker import Broker
from sandbox.broker.faults import Faults
from sandbox.broker.groups.coordinator import GroupCoordinator
from sandbox.broker.logs.turn import Changes
from sandbox.model.cluster import ApiUse, ClientDescription
from sandbox.storage.resources import ScramCredential
from sandbox.wire.admission import Admission
from sandbox.wire.api_table import advertised
from sandbox.wire.auth.listener import Listener
from sandbox.wire.auth.password_checks import Outcome, PasswordChecks
from sandbox.wire.auth.sasl import REQUEST_BYTES_MAX, SaslSession
from sandbox.wire.auth.tls import TlsDoor
from sandbox.wire.batch_cache import BatchCache
from sandbox.wire.connection import Connection, ProtocolViolation, Slot
from sandbox.wire.dispatch import Dispatcher
from sandbox.wire.fetch_sessions import FetchSessions
from sandbox.wire.held_bytes import HeldBytes
from sandbox.wire.messages.messages import api_name
from sandbox.wire.node import Node
from sandbox.wire.time_slices import TimeSlices

FETCH = b"\x00\x01"
"""How a Fetch request begins: its API key."""
BACKLOG = 256
"""How many connections the system holds until they are accepted, and how many asyncio accepts in one turn."""
IN_FLIGHT_MAX = 64
"""How many requests a connection may have open before no more are read from it."""
FAREWELL_SECONDS = 0.5
"""How long a stop waits for clients to read the answers that they were given."""
BACKLOG_BYTES = 64 * 1024
"""How much may be read from a connection ahead of what is handled."""
RECEIVE_BYTES = 256 * 1024
"""How much is read from a connection at once."""
SEND_BUFFER_BYTES = 64 * 1024
"""How much may wait to be sent on a connection before no more of its requests are handled."""
HELD_FROM_BYTES = 64 * 1024
"""From what size on a connection's unfinished request, or its answers that wait for an earlier one, count as held."""
SLICE_SECONDS = 0.001
"""How long the requests of one connection are handled before it is another's turn."""

logger = logging.getLogger("sandbox.wire")


class KafkaServer:
    """One listener of one broker: its Kafka port, or another beside it.

    Args:
        node_id: its id.
        broker: what it serves.
        coordinator: the coordinator of groups.
        now_ms: the clock.
        after: called after requests were handled, so that a commit and the next tick are scheduled.
        handled: the same, for the requests that a connection has just brought.
        cache: the newest batches, shared by all brokers.
        ports: broker id to port of all brokers that are up.
        faults: what is made to go wrong.
        slices: where long work is cut into steps, shared by all brokers.
        held: what connections hold in memory, shared too.
        admission: counts connections, shared too.
        listener: what clients must do to come in; None for the Kafka port itself, where that is nothing.
        tls: our certificate, for a listener with TLS.
    """

    def __init__(
        self,
        node_id: int,
        broker: Broker,
        coordinator: GroupCoordinator,
        now_ms: Callable[[], int],
        after: Callable[[], None],
        handled: Callable[[], None],
        cache: BatchCache,
        ports: dict[int, int],
        faults: Faults,
        slices: TimeSlices,
        held: HeldBytes,
        admission: Admission,
        listener: Listener | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.handled = handled
        self.admission = admission
        self.received = memoryview(bytearray(RECEIVE_BYTES))
        self.listener = listener
        self._tls = tls
        self._doors: set[TlsDoor] = set()
        self.request_bytes_max = broker.config.number("socket.request.max.bytes")
        self.connections: set[KafkaConnection] = set()
        self.listening = False
        self._server: asyncio.Server | None = None
        self._closed: asyncio.Event | None = None
        self._passwords = PasswordChecks()
        self.node = Node(
            broker=broker,
            coordinator=coordinator,
            cache=cache,
            sessions=FetchSessions(broker.config.number("max.incremental.fetch.session.cache.slots")),
            now_ms=now_ms,
            call_later=lambda delay_ms, call: asyncio.get_running_loop().call_later(delay_ms / 1000, call),
            on_append={},
            advertised=advertised(),
            faults=faults,
            after=after,
            slices=slices,
            held=held,
            ports=ports,
            node_id=node_id,
        )
        self.dispatcher = Dispatcher(self.node)
        self._unsubscribe: Callable[[], None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the port that was bound."""
        loop = asyncio.get_running_loop()
        self.listening = True
        self._server = await loop.create_server(self._door, host, port, backlog=BACKLOG)
        self._unsubscribe = self.node.broker.subscribe(self._wake)
        return int(self._server.sockets[0].getsockname()[1])

    def _door(self) -> asyncio.BaseProtocol:
        return (
            KafkaConnection(self)
            if self._tls is None
            else TlsDoor(self._tls, self._behind, self._doors, self.admission)
        )

    def _behind(self) -> "KafkaConnection":
        return KafkaConnection(self)

    def sasl_session(self, admit: Callable[[], None], fail: Callable[[str], None]) -> SaslSession | None:
        """The log-in of a connection, None where none is asked for."""
        if self.listener is None or not self.listener.has_sasl:
            return None
        return SaslSession(self, admit, fail)

    @property
    def mechanisms(self) -> Sequence[str]:
        """The SASL mechanisms that are offered."""
        return () if self.listener is None else self.listener.mechanisms

    def credentials(self) -> Sequence[ScramCredential]:
        """Those of all users."""
        return self.node.broker.credentials.all()

    def check(self, step: Callable[[], bytes], then: Callable[[Outcome], None]) -> None:
        """Do a slow step of a log-in in a thread, then call `then`."""
        self._passwords.run(step, then)

    def later(self, call: Callable[[], None]) -> None:
        """Call a function when a log-in that failed may be answered."""
        self.node.call_later(self.node.broker.config.number("connection.failed.authentication.delay.ms"), call)

    async def stop(self) -> None:
        """Close the port and every connection. It may be opened again, and stopped twice."""
        server, self._server = self._server, None
        self.listening = False
        if server is None:
            return
        if self._unsubscribe is not None:
            self._unsubscribe()
        self.node.on_append.clear()
        self._passwords.close()
        # A connection that was accepted, but not made yet, would be leaked by close() (CPython's gh-109564): no more
        # are accepted, and those get their turn first.
        loop = asyncio.get_running_loop()
        for door in server.sockets:
            loop.remove_reader(door.fileno())
        for _ in range(3):
            await asyncio.sleep(0)
        server.close()
        for tls_door in tuple(self._doors):
            tls_door.end()
        for connection in tuple(self.connections):
            connection.transport.close()
        # What is answered is sent; a client that does not read is not waited for.
        self._closed = asyncio.Event()
        if self.connections:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), FAREWELL_SECONDS)
        for connection in tuple(self.connections):
            connection.transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)

    def disconnect(self) -> None:
        """Close every connection, and forget what was prepared for them; the port stays open."""
        self.node.on_append.clear()
        self.node.sessions.clear()
        self.node.long_commits.clear()
        for tls_door in tuple(self._doors):
            tls_door.end()
        for connection in tuple(self.connections):
            connection.connection.close()
            connection.transport.close()

    def gone(self, connection: "KafkaConnection") -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        if self._closed is not None and not self.connections:
            self._closed.set()

    def _wake(self, changes: Changes) -> None:
        calls = self.node.on_append
        if not calls:
            return
        for partition in changes.partitions:
            for call in tuple(calls.get(partition.id, ())):
                call()


class KafkaConnection(asyncio.BufferedProtocol):
    """One client.

    What comes is read into one piece of memory that all connections share: with a piece for each, as `asyncio.Protocol`
    has it, the system is asked for memory and given it back at every request, which takes longer than reading.
    """

    transport: asyncio.Transport

    def __init__(self, server: KafkaServer) -> None:
        self._server = server
        self._frames: deque[bytes] = deque()
        self._choked = False
        self._has_job = False
        self._holds = False
        self._silent = True
        self._waiting: Slot | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self.transport = cast(asyncio.Transport, transport)
        # Only such a loop reads at the moment at which it hands out what it read.
        shared = isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop)
        self._received = self._server.received if shared else memoryview(bytearray(RECEIVE_BYTES))
        self.transport.set_write_buffer_limits(high=SEND_BUFFER_BYTES)
        self.sasl = self._server.sasl_session(self._admit, self._refuse)
        bytes_max = self._server.request_bytes_max if self.sasl is None else REQUEST_BYTES_MAX
        self.connection = Connection(self._write, self.transport.abort, bytes_max)
        address = self.transport.get_extra_info("sockname")
        self._host, self._port = str(address[0]), int(address[1])
        peer = self.transport.get_extra_info("peername")
        self._client_host = f"/{peer[0]}" if peer else "/?"
        self._client_address = f"{peer[0]}:{peer[1]}" if peer else "?"
        self._connected_ms = self._server.node.now_ms()
        self._server.connections.add(self)
        admitted = self._server.admission.enter(self, str(peer[0]) if peer else "?")
        if not admitted or not self._server.listening:
            # In the second case it was accepted in the same turn in which the port was closed.
            self.transport.abort()

    def describe(self) -> ClientDescription:
        """Who the client is, and what it asked for so far. May be called from any thread."""
        usage = self.connection.usage
        apis = [
            ApiUse(api_name(key), count.requests, count.mean_ms, count.max_ms)
            for key, count in tuple(usage.apis.items())
        ]
        apis.sort(key=lambda use: (-use.requests, use.api))
        return ClientDescription(
            client_id=usage.client_id,
            address=self._client_address,
            broker=self._server.node.node_id,
            software=usage.software,
            connected_ms=self._connected_ms,
            apis=tuple(apis),
        )

    def _write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            # Else nothing would be sent either, and asyncio would complain of each.
            self.transport.write(data)
        if self._holds:
            self._hold()
        if self._frames and not self._choked and not self._has_job:
            asyncio.get_running_loop().call_soon(self._go_on)

    def connection_lost(self, reason: Exception | None) -> None:
        """The client has gone; what it still waits for is dropped."""
        if self.connection.incomplete:
            logger.warning("connection of %s ended in the middle of a request", self._client_host)
        self.connection.close()
        self._frames.clear()
        self._server.node.held.hold(self, 0)
        self._server.admission.left(self)
        self._server.gone(self)

    def pause_writing(self) -> None:
        """The client reads slowly: no more of its requests are handled."""
        self._choked = True
        self.transport.pause_reading()
        self._hold()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._choked = False
        self._hold()
        self._go_on()

    def _hold(self) -> None:
        """Note how much memory the client makes this connection hold."""
        unsent = self.transport.get_write_buffer_size() if self._choked else 0
        incomplete = self.connection.incomplete_bytes
        kept = self.connection.kept_bytes
        held = unsent + sum(size_bytes for size_bytes in (incomplete, kept) if size_bytes > HELD_FROM_BYTES)
        self._holds = held > 0
        self._server.node.held.hold(self, held)

    def leave(self) -> None:
        """Close the connection at once, to make room for another."""
        self.connection.close()
        self.transport.abort()

    def drop(self, reason: str) -> None:
        """Close the connection at once; what was not sent is lost."""
        logger.warning("connection of %s closed: %s", self._client_host, reason)
        self.connection.close()
        self._frames.clear()
        self.transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes are read to."""
        return self._received

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have come, and lie there."""
        if self._silent:
            self._silent = False
            self._server.admission.spoke(self)
        try:
            self._frames += self.connection.receive(self._received[:nbytes])
        except ProtocolViolation as violation:
            self._close(violation)
            return
        if self._holds or self.connection.incomplete_bytes > HELD_FROM_BYTES:
            self._hold()
        self._go_on()

    def _has_backlog(self) -> bool:
        """Whether enough requests wait. As long as some bytes are read, the end of the connection is seen too."""
        frames = self._frames
        return len(frames) > IN_FLIGHT_MAX or (bool(frames) and sum(map(len, frames)) > BACKLOG_BYTES)

    def _may_go_on(self) -> bool:
        """Whether the next request may be handled.

        Not while one is delayed on purpose, a Fetch waits, or a long commit is written: as in Kafka, what follows it on
        its connection comes after it. So a connection can ask for one large answer at a time. What follows a JoinGroup
        or a SyncGroup is handled while that waits, up to `SEND_BUFFER_BYTES` of answers, which can only be sent after
        it.
        """
        held = self._waiting is not None and not self._waiting.done
        connection = self.connection
        may_keep = connection.kept_bytes < SEND_BUFFER_BYTES
        return not held and not self._choked and may_keep and connection.in_flight < IN_FLIGHT_MAX

    def _go_on(self) -> None:
        """Handle the requests that have come, as far as this connection may. The rest is for later turns."""
        if not self._has_job and self._handle_some():
            self._has_job = True
            self._server.node.slices.add_requests(self._next_slice)

    def _next_slice(self) -> bool:
        self._has_job = self._handle_some()
        return self._has_job

    def _handle_some(self) -> bool:
        """Handle requests for a while. Returns True if there are more that may be handled."""
        handled = 0
        ends_s = 0.0
        try:
            while self._frames and self._may_go_on():
                if self.connection.closed:
                    return False
                if handled:
                    # One request alone, as most come, does not look at the clock.
                    now_s = perf_counter()
                    ends_s = ends_s or now_s + SLICE_SECONDS
                    if now_s >= ends_s:
                        break
                frame = self._frames.popleft()
                handled += 1
                slot = self.connection.slot()
                self._serve(frame, slot)
                self._waiting = slot if slot.holds or frame.startswith(FETCH) else None
        except ProtocolViolation as violation:
            self._close(violation)
        except Exception as failure:
            logger.exception("a request of %s failed; its connection is closed", self._client_host)
            self.transport.abort()
            self._server.node.broker.undo(failure)
        finally:
            if handled:
                self._server.handled()
        if self.transport.is_closing():
            return False
        if self.connection.kept_bytes > HELD_FROM_BYTES:
            self._hold()
        if self._choked or self._has_backlog():
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
        return bool(self._frames) and self._may_go_on()

    def _serve(self, frame: bytes, slot: Slot) -> None:
        sasl = self.sasl
        if sasl is None or sasl.admits(frame, slot):
            self._server.dispatcher.dispatch(frame, slot, self._host, self._port, self._client_host, sasl)

    def _admit(self) -> None:
        self.connection.request_bytes_max = self._server.request_bytes_max

    def _refuse(self, reason: str) -> None:
        # After the answer that says so, and before anything else is read.
        self._frames.clear()
        asyncio.get_running_loop().call_soon(self._close, ProtocolViolation(reason))

    def _close(self, violation: ProtocolViolation) -> None:
        logger.warning("connection of %s closed: %s", self._client_host, violation)
        self.connection.close()
        self._frames.clear()
        self.transport.close()
