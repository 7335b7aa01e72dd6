"""Clients for a test, closed at its end."""

import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import confluent_kafka
import confluent_kafka.admin

from sandbox.kafka.errors import SandboxError
from sandbox.testing.place import Place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FLUSH_S = 3.0
CLOSE_S = 5.0
"""Seconds for a client to end. One that doesn't, because of a callback that doesn't return, is left behind."""


class Clients:
    """Creates clients of one test. With settings that suit tests: no waiting for batches, and from the beginning.

    Args:
        place: the sandbox or cluster.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._producers: list[confluent_kafka.Producer] = []
        self._consumers: list[confluent_kafka.Consumer] = []
        self._admins: list[confluent_kafka.admin.AdminClient] = []

    def config(self, more: dict[str, Any]) -> dict[str, Any]:
        """Return librdkafka's settings, with `more` of them."""
        return {**self._place.properties, "bootstrap.servers": self._place.bootstrap_servers, **more}

    def producer(self, settings: dict[str, Any]) -> confluent_kafka.Producer:
        """Create a producer; see `Kafka.producer`."""
        made = confluent_kafka.Producer(self.config({"linger.ms": 0, **settings}))
        self._producers.append(made)
        return made

    def consumer(
        self, topics: tuple[str, ...], group: str | None, settings: dict[str, Any]
    ) -> confluent_kafka.Consumer:
        """Create a consumer; see `Kafka.consumer`."""
        more = {
            "group.id": self._place.real(group or f"test-{uuid4().hex[:8]}"),
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 10,
            # Half of it, but at least 11 ms, passes between the first connection and the one to the coordinator.
            "reconnect.backoff.ms": 20,
        }
        made = confluent_kafka.Consumer(self.config({**more, **settings}))
        self._consumers.append(made)
        if topics:
            made.subscribe([self._place.real(topic) for topic in topics])
        return made

    def admin(self, settings: dict[str, Any]) -> confluent_kafka.admin.AdminClient:
        """Create an admin client."""
        made = confluent_kafka.admin.AdminClient(self.config(settings))
        # Its pending requests fail when it is garbage, as after `kafka.admin().create_topics(...)`.
        self._admins.append(made)
        return made

    def close(self) -> None:
        """Flush the producers and close all clients, also if a failed test's traceback still refers to them."""
        for end in (*map(_closing, self._consumers), *map(_flushing, self._producers)):
            ending = threading.Thread(target=end, daemon=True)
            ending.start()
            ending.join(CLOSE_S)
        self._consumers.clear()
        self._producers.clear()
        self._admins.clear()


def _closing(consumer: confluent_kafka.Consumer) -> Callable[[], None]:
    def close() -> None:
        with suppress(RuntimeError, confluent_kafka.KafkaException):
            consumer.close()

    return close


def _flushing(producer: confluent_kafka.Producer) -> Callable[[], None]:
    def close() -> None:
        with suppress(RuntimeError, confluent_kafka.KafkaException):
            if len(producer) and producer.flush(FLUSH_S):
                producer.purge()
            producer.close()

    return close


class AsyncClients:
    """Creates aiokafka's clients, in `async with`.

    Args:
        place: the sandbox or cluster.
    """

    def __init__(self, place: Place) -> None:
        self._place = place

    def _config(self, more: dict[str, Any]) -> dict[str, Any]:
        if self._place.properties:
            reason = "aiokafka's clients take other settings than librdkafka's: create them with your own."
            raise SandboxError(reason)
        return {"bootstrap_servers": self._place.bootstrap_servers, **more}

    def producer(self, settings: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
        """Create an `AIOKafkaProducer`, started."""
        return self._started("AIOKafkaProducer", (), settings)

    def consumer(
        self, topics: tuple[str, ...], group: str | None, settings: dict[str, Any]
    ) -> AbstractAsyncContextManager[Any]:
        """Create an `AIOKafkaConsumer`, started."""
        more = {"group_id": self._place.real(group or f"test-{uuid4().hex[:8]}"), "auto_offset_reset": "earliest"}
        return self._started("AIOKafkaConsumer", tuple(map(self._place.real, topics)), {**more, **settings})

    def admin(self, settings: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
        """Create an `AIOKafkaAdminClient`, started."""
        return self._started("admin.AIOKafkaAdminClient", (), settings)

    @asynccontextmanager
    async def _started(self, name: str, topics: tuple[str, ...], settings: dict[str, Any]) -> "AsyncIterator[Any]":
        client = _aiokafka(name)(*topics, **self._config(settings))
        await client.start()
        async with AsyncExitStack() as ending:
            ending.push_async_callback(client.close if name.startswith("admin.") else client.stop)
            yield client


def _aiokafka(name: str) -> Any:
    try:
        import aiokafka
        import aiokafka.admin
    except ImportError:
        raise SandboxError("The asyncio clients are aiokafka's: pip install aiokafka") from None
    found: Any = aiokafka
    for part in name.split("."):
        found = getattr(found, part)
    return found
