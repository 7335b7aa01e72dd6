"""The ports of the simulated brokers: one Kafka port each, in one event loop, over one file."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.broker.broker import Broker
from sandbox.broker.faults import FaultInjector
from sandbox.broker.groups.coordinator import GroupCoordinator
from sandbox.broker.logs.log import StoredBatch
from sandbox.broker.logs.topic import Partition
from sandbox.broker.logs.turn import Changes
from sandbox.model.brokers import ClientDescription
from sandbox.wire.admission import Admission
from sandbox.wire.auth.listener import PLAINTEXT, Advertised, Listener
from sandbox.wire.batch_cache import BatchCache
from sandbox.wire.fetch_records import encode_marker
from sandbox.wire.held_bytes import HeldBytes
from sandbox.wire.long_writes import LongWrites
from sandbox.wire.server import KafkaServer
from sandbox.wire.time_slices import TimeSlices
from sandbox.wire.traffic import Traffic


@dataclass(slots=True)
class _Door:
    """One listener: a server for each broker, and the ports of the running ones."""

    servers: dict[int, KafkaServer] = field(default_factory=dict)
    ports: dict[int, int] = field(default_factory=dict)
    remembered: dict[int, int] = field(default_factory=dict)


class ClusterPorts:
    """Opens and closes the ports of the brokers.

    Args:
        broker: the broker that all ports serve.
        coordinator: the group coordinator.
        now_ms: returns the current time.
        after: called after requests were handled.
        handled: like `after`, for requests that a connection has just received.
        faults: the injected faults.
        connections_max: number of connections that the limit of open files allows; None for no limit.

    Attributes:
        traffic: who produces to which topics, and commits for which groups.
        ports: broker id to Kafka port, of the running brokers; metadata contains these. Other listeners have their own.
    """

    def __init__(
        self,
        broker: Broker,
        coordinator: GroupCoordinator,
        now_ms: Callable[[], int],
        after: Callable[[], None],
        handled: Callable[[], None],
        faults: FaultInjector,
        connections_max: int | None = None,
    ) -> None:
        self._broker = broker
        self._host = ""
        self._doors: dict[str, _Door] = {}
        self._cache = cache = BatchCache()
        self._serves = (coordinator, now_ms, after, handled)
        self._faults = faults
        loop = asyncio.get_running_loop()
        self._slices = TimeSlices(loop.call_soon)
        self._long_writes = LongWrites(lambda call: _then(loop, call, after), broker.turn.wait, broker.undo)
        self._held = HeldBytes()
        self.traffic = Traffic()
        self._admission = Admission(broker.config, now_ms, connections_max)
        broker.on_undo(cache.clear)
        # This also runs while every port is closed, because the cache outlives the ports.
        broker.subscribe(lambda changes: _skip(cache, changes))
        broker.log.on_marker(lambda partition, marker: _keep(cache, partition, marker))
        self.add()
        self.ports = self._doors[PLAINTEXT].ports

    def add(self, listener: Listener | None = None, tls: ssl.SSLContext | None = None) -> None:
        """Add a listener, with the server's certificate if it uses TLS. Its ports are opened by `open`."""
        door = self._doors[listener.name if listener else PLAINTEXT] = _Door()
        for node_id in self._broker.cluster.ids:
            door.servers[node_id] = KafkaServer(
                node_id,
                self._broker,
                *self._serves,
                self._cache,
                door.ports,
                self._faults,
                self._slices,
                self._held,
                self.traffic,
                self._long_writes,
                self._admission,
                listener,
                tls,
            )

    def advertise(self, address: Advertised) -> None:
        """Give clients of the Kafka port an address other than the one that they connected to."""
        for server in self._doors[PLAINTEXT].servers.values():
            server.node.advertised_address = address

    async def open(self, broker: int, host: str, port: int, listener: str = PLAINTEXT) -> int:
        """Open one broker's port for one listener, by its name. Returns the bound port."""
        door = self._doors[listener]
        bound = await door.servers[broker].start(host, port)
        self._host = host
        door.ports[broker] = door.remembered[broker] = bound
        return bound

    async def stop_broker(self, broker: int) -> None:
        """Move a broker's leaderships, then close its ports and connections."""
        self._broker.switched(broker, up=False)
        self._broker.commit()
        await self._close(broker)

    async def start_broker(self, broker: int) -> None:
        """Reopen a broker's ports with the same numbers. The broker rejoins the ISR."""
        if not self._broker.cluster.is_up(broker):
            try:
                for name, door in self._doors.items():
                    if broker in door.remembered:
                        await self.open(broker, self._host, door.remembered[broker], name)
            except OSError:
                await self._close(broker)
                raise
        self._broker.switched(broker, up=True)
        self._broker.commit()

    def disconnect(self) -> None:
        """Close every connection of every broker; the ports stay open."""
        for door in self._doors.values():
            for server in door.servers.values():
                server.disconnect()
        self._long_writes.clear()

    def clients(self) -> tuple[ClientDescription, ...]:
        """Return every connection, sorted by client id, then broker. Thread-safe."""
        servers = [server for door in tuple(self._doors.values()) for server in door.servers.values()]
        found = [one.describe() for server in servers for one in tuple(server.connections)]
        return tuple(sorted(found, key=lambda one: (one.client_id or "", one.broker, one.connected_ms, one.address)))

    async def close(self) -> None:
        """Close every port."""
        for broker in self._broker.cluster.ids:
            await self._close(broker)

    async def _close(self, broker: int) -> None:
        for door in self._doors.values():
            door.ports.pop(broker, None)
        for door in self._doors.values():
            await door.servers[broker].stop()


def _then(loop: asyncio.AbstractEventLoop, call: Callable[[], None], after: Callable[[], None]) -> None:
    """Call a function in the next turn, and `after` once it has written."""

    def run() -> None:
        call()
        after()

    # Not call_soon, which would come before the end of the turn that this write began.
    loop.call_later(0, run)


def _skip(cache: BatchCache, changes: Changes) -> None:
    for partition in changes.cleaned:
        cache.skip(partition.id)


def _keep(cache: BatchCache, partition: Partition, marker: StoredBatch) -> None:
    """Cache a marker. Without it the cached batches would have a gap, and the next batch would clear them."""
    cache.put(partition.id, marker.batch.base_offset, marker.batch.last_offset, encode_marker(marker))
