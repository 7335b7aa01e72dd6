"""The ports of the simulated brokers: one Kafka port each, in one event loop, over one file."""

from collections.abc import Callable

from sandbox.broker.broker import Broker
from sandbox.broker.coordinator import GroupCoordinator
from sandbox.broker.faults import Faults
from sandbox.wire.batch_cache import BatchCache
from sandbox.wire.server import KafkaServer


class ClusterPorts:
    """Opens and closes the ports of the brokers.

    Args:
        broker: what they all serve.
        coordinator: the groups.
        now_ms: the clock.
        after: called after requests were handled.
        faults: what is made to go wrong.

    Attributes:
        ports: broker id to port, of those that are up; metadata names these.
    """

    def __init__(
        self,
        broker: Broker,
        coordinator: GroupCoordinator,
        now_ms: Callable[[], int],
        after: Callable[[], None],
        faults: Faults,
    ) -> None:
        self.ports: dict[int, int] = {}
        self._broker = broker
        self._host = ""
        self._remembered: dict[int, int] = {}
        cache = BatchCache()
        broker.on_undo(cache.clear)
        self._servers = {
            node_id: KafkaServer(node_id, broker, coordinator, now_ms, after, cache, self.ports, faults)
            for node_id in broker.cluster.ids
        }

    async def open(self, broker: int, host: str, port: int) -> int:
        """Open the port of one broker; the port that was bound."""
        bound = await self._servers[broker].start(host, port)
        self._host = host
        self.ports[broker] = self._remembered[broker] = bound
        return bound

    async def stop_broker(self, broker: int) -> None:
        """Move its leaders elsewhere, then close its port and its connections."""
        self._broker.led(self._broker.cluster.stop(broker, self._broker.topics.values()))
        self._broker.commit()
        self.ports.pop(broker, None)
        await self._servers[broker].stop()

    async def start_broker(self, broker: int) -> None:
        """Open its port again, the same one, and let it catch up."""
        if not self._broker.cluster.is_up(broker):
            await self.open(broker, self._host, self._remembered.get(broker, 0))
        self._broker.led(self._broker.cluster.start(broker, self._broker.topics.values()))
        self._broker.commit()

    async def close(self) -> None:
        """Close every port."""
        for server in self._servers.values():
            await server.stop()
        self.ports.clear()
