"""The Kafka port: sockets on an asyncio loop, in which all writes happen too."""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import cast

from sandbox.broker.broker import Broker
from sandbox.broker.faults import FaultInjector
from sandbox.broker.groups.coordinator import GroupCoordinator
from sandbox.broker.logs.turn import Changes
from sandbox.model.brokers import ApiUse, ClientDescription
from sandbox.storage.resources import ScramCredential
from sandbox.wire.admission import Admission
from sandbox.wire.api_table import advertised
from sandbox.wire.auth.listener import Listener
from sandbox.wire.auth.sasl import REQUEST_BYTES_MAX, Outcome, PasswordChecks, SaslSession
from sandbox.wire.auth.tls import TlsDoor
from sandbox.wire.batch_cache import BatchCache
from sandbox.wire.connection import Connection, ProtocolViolation, Slot
from sandbox.wire.dispatch import Dispatcher
from sandbox.wire.fetch_sessions import FetchSessions
from sandbox.wire.held_bytes import HeldBytes
from sandbox.wire.long_writes import LongWrites
from sandbox.wire.messages.messages import api_name
from sandbox.wire.node import Node
from sandbox.wire.time_slices import TimeSlices
from sandbox.wire.traffic import Traffic

FETCH = b"\x00\x01"
"""The first bytes of a Fetch request: its API key."""
BACKLOG = 256
"""How many connections the system queues until they are accepted, and how many asyncio accepts in one turn."""
IN_FLIGHT_MAX = 64
"""The number of unanswered requests at which a connection is no longer read."""
FAREWELL_SECONDS = 0.5
"""How long a stop waits for clients to read their last answers."""
BACKLOG_BYTES = 64 * 1024
"""How many bytes of unhandled requests are read ahead from a connection."""
RECEIVE_BYTES = 256 * 1024
"""How many bytes are read from a connection at once."""
SEND_BUFFER_BYTES = 64 * 1024
"""The number of unsent bytes at which no more of a connection's requests are handled."""
HELD_FROM_BYTES = 64 * 1024
"""An incomplete request, or answers that wait for an earlier one, count as held memory from this size."""
SLICE_SECONDS = 0.001
"""How long one connection's requests are handled before the next connection's."""

logger = logging.getLogger("sandbox.wire")


class KafkaServer:
    """One listener of one broker: its Kafka port, or an additional one.

    Args:
        node_id: the broker's id.
        broker: the broker that it serves.
        coordinator: the group coordinator.
        now_ms: returns the current time.
        after: called after requests were handled, so that a commit and the next tick are scheduled.
        handled: like `after`, for requests that a connection has just received.
        cache: the newest batches, shared by all brokers.
        ports: broker id to port of all running brokers.
        faults: the injected faults.
        slices: runs long work in steps, shared by all brokers.
        held: the memory that connections occupy, shared by all brokers.
        traffic: who produces to which topics, shared by all brokers.
        long_writes: the requests that write thousands of rows, shared by all brokers.
        admission: counts connections, shared by all brokers.
        listener: the listener's settings; None for the Kafka port itself.
        tls: the server's certificate, for a listener with TLS.
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
        faults: FaultInjector,
        slices: TimeSlices,
        held: HeldBytes,
        traffic: Traffic,
        long_writes: LongWrites,
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
            traffic=traffic,
            long_writes=long_writes,
            ports=ports,
            node_id=node_id,
            advertised_address=None if listener is None else listener.advertised,
        )
        self.dispatcher = Dispatcher(self.node)
        self._unsubscribe: Callable[[], None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Start listening. Returns the bound port."""
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
        """Return a new SASL session for a connection, or None if the listener doesn't use SASL."""
        if self.listener is None or not self.listener.has_sasl:
            return None
        return SaslSession(self, admit, fail)

    @property
    def mechanisms(self) -> Sequence[str]:
        """The enabled SASL mechanisms."""
        return () if self.listener is None else self.listener.mechanisms

    def credentials(self) -> Sequence[ScramCredential]:
        """Return the credentials of all users."""
        return self.node.broker.credentials.all()

    def check(self, step: Callable[[], bytes], then: Callable[[Outcome], None]) -> None:
        """Run a slow step of an authentication in a thread, then call `then`."""
        self._passwords.run(step, then)

    def later(self, call: Callable[[], None]) -> None:
        """Call a function after the delay for failed authentications."""
        self.node.call_later(self.node.broker.config.number("connection.failed.authentication.delay.ms"), call)

    async def stop(self) -> None:
        """Close the port and every connection. It can be reopened, and stopped twice."""
        server, self._server = self._server, None
        self.listening = False
        if server is None:
            return
        if self._unsubscribe is not None:
            self._unsubscribe()
        self.node.on_append.clear()
        self._passwords.close()
        # close() would leak a connection that was accepted but not created yet (CPython's gh-109564), so accepting
        # stops first, and those connections are created.
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
        # Wait until the answers are sent, but not for clients that don't read.
        self._closed = asyncio.Event()
        if self.connections:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), FAREWELL_SECONDS)
        for connection in tuple(self.connections):
            connection.transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)

    def disconnect(self) -> None:
        """Close every connection and drop its state; the port stays open."""
        self.node.on_append.clear()
        self.node.sessions.clear()
        for tls_door in tuple(self._doors):
            tls_door.end()
        for connection in tuple(self.connections):
            connection.connection.close()
            connection.transport.close()

    def gone(self, connection: "KafkaConnection") -> None:
        """Remove a connection that has ended."""
        self.connections.discard(connection)
        if self._closed is not None and not self.connections:
            self._closed.set()

    def _wake(self, changes: Changes) -> None:
        # A restored snapshot has other commits too; it reports every topic as changed.
        commits = self.node.internal.refresh() if changes.commits or changes.topics else None
        calls = self.node.on_append
        if not calls:
            return
        for partition in (*changes.partitions, *((commits,) if commits is not None else ())):
            for call in tuple(calls.get(partition.id, ())):
                call()


class KafkaConnection(asyncio.BufferedProtocol):
    """One client.

    All connections read into one shared buffer. A buffer for each, as with `asyncio.Protocol`, would be allocated and
    freed at every request, which takes longer than reading.
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
        """Initialize the connection of a new client."""
        self.transport = cast(asyncio.Transport, transport)
        # Only such a loop passes on the bytes right after it has read them.
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
        """Describe the client and its requests so far. Thread-safe."""
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
            # Otherwise nothing would be sent, and asyncio would log a warning for each write.
            self.transport.write(data)
        if self._holds:
            self._hold()
        if self._frames and not self._choked and not self._has_job:
            asyncio.get_running_loop().call_soon(self._go_on)

    def connection_lost(self, reason: Exception | None) -> None:
        """Drop everything that waits, because the client has disconnected."""
        if self.connection.incomplete:
            logger.warning("connection of %s ended in the middle of a request", self._client_host)
        try:
            self.connection.close()
        finally:
            self._frames.clear()
            self._server.node.held.hold(self, 0)
            self._server.admission.left(self)
            self._server.gone(self)

    def pause_writing(self) -> None:
        """Stop handling requests of a client that reads slowly."""
        self._choked = True
        self.transport.pause_reading()
        self._hold()

    def resume_writing(self) -> None:
        """Continue, because the client has read its answers."""
        self._choked = False
        self._hold()
        self._go_on()

    def _hold(self) -> None:
        """Update how much memory the client occupies."""
        unsent = self.transport.get_write_buffer_size() if self._choked else 0
        incomplete = self.connection.incomplete_bytes
        kept = self.connection.kept_bytes
        held = unsent + sum(size_bytes for size_bytes in (incomplete, kept) if size_bytes > HELD_FROM_BYTES)
        self._holds = held > 0
        self._server.node.held.hold(self, held)

    def leave(self) -> None:
        """Close the connection immediately, to make room for another."""
        self.connection.close()
        self.transport.abort()

    def drop(self, reason: str) -> None:
        """Close the connection immediately, without sending waiting answers."""
        logger.warning("connection of %s closed: %s", self._client_host, reason)
        self.connection.close()
        self._frames.clear()
        self.transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer for the next bytes."""
        return self._received

    def buffer_updated(self, nbytes: int) -> None:
        """Process the bytes that were read into the buffer."""
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
        """Return True if enough requests wait. Reading must continue otherwise, to notice the end of the connection."""
        frames = self._frames
        return len(frames) > IN_FLIGHT_MAX or (bool(frames) and sum(map(len, frames)) > BACKLOG_BYTES)

    def _may_go_on(self) -> bool:
        """Return True if the next request may be handled.

        Not while a request is delayed by a fault, a Fetch waits, or a long commit is written: as in Kafka, later
        requests of its connection are handled after it. So a connection can request one large answer at a time.
        Requests after a JoinGroup or a SyncGroup are handled while that waits, up to `SEND_BUFFER_BYTES` of answers,
        which can only be sent after it.
        """
        held = self._waiting is not None and not self._waiting.done
        connection = self.connection
        may_keep = connection.kept_bytes < SEND_BUFFER_BYTES
        return not held and not self._choked and may_keep and connection.in_flight < IN_FLIGHT_MAX

    def _go_on(self) -> None:
        """Handle the received requests, as far as this connection may. Later turns handle the rest."""
        if not self._has_job and self._handle_some():
            self._has_job = True
            self._server.node.slices.add_requests(self._next_slice)

    def _next_slice(self) -> bool:
        self._has_job = self._handle_some()
        return self._has_job

    def _handle_some(self) -> bool:
        """Handle requests for a while. Returns True if more may be handled."""
        handled = 0
        ends_s = 0.0
        try:
            while self._frames and self._may_go_on():
                if self.connection.closed:
                    return False
                if handled:
                    # The frequent case of a single request doesn't read the clock.
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
        # Runs after the answer was sent, and before anything else is read.
        self._frames.clear()
        asyncio.get_running_loop().call_soon(self._close, ProtocolViolation(reason))

    def _close(self, violation: ProtocolViolation) -> None:
        logger.warning("connection of %s closed: %s", self._client_host, violation)
        self.connection.close()
        self._frames.clear()
        self.transport.close()
