"""The Kafka of one test: its address, its topics and clients, and what a test may do to it."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.api.append import new_event
from sandbox.kafka.errors import BrokerError
from sandbox.model.times import duration_in_ms
from sandbox.model.topics import TopicDescription
from sandbox.testing import golden
from sandbox.testing.assertions import Assertions, AsyncAssertions, Duration, ExpectationFailed
from sandbox.testing.criteria import SeenEvent
from sandbox.testing.failure_text import command_for, failure_text
from sandbox.testing.place import Place, SandboxPlace

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient

    from sandbox.api.clock import SandboxClock
    from sandbox.api.faults import Injection, SandboxFaults
    from sandbox.api.sandbox import Sandbox
    from sandbox.api.snapshots import SandboxSnapshots
    from sandbox.testing.clients import AsyncClients, Clients


class Kafka(Assertions):
    """Kafka for one test.

    Args:
        place: the sandbox or cluster.

    Attributes:
        aio: the same assertions for async code, as coroutines that don't block the event loop.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.aio = AsyncAssertions(self)
        self._made: Clients | None = None

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients, "host:port"."""
        return self.place.bootstrap_servers

    @property
    def schema_registry_url(self) -> str:
        """The URL of the schema registry. Raises NeedsSandbox on a cluster for which none was given."""
        return self.place.schema_registry_url

    @property
    def file(self) -> Path | None:
        """The sandbox's file; None on a cluster."""
        return self.place.file if isinstance(self.place, SandboxPlace) else None

    @property
    def open_command(self) -> str | None:
        """The command that opens the file, if it is kept; None on a cluster."""
        return None if self.file is None else command_for(self.file)

    # Topics and events

    def topic(self, name: str) -> str:
        """Return the name of a topic for the code under test: the same in a sandbox, with a prefix on a cluster."""
        return self.place.real(name)

    def group(self, name: str) -> str:
        """Return the name of a group for the code under test; see `topic`."""
        return self.place.real(name)

    def create_topic(
        self,
        topic: str,
        partitions: int = 1,
        *,
        settings: Mapping[str, str] | None = None,
        replication_factor: int | None = None,
    ) -> TopicDescription:
        """Create a topic; see `Sandbox.create_topic`."""
        return self.place.backend.create_topic(
            self.topic(topic), partitions=partitions, settings=settings, replication_factor=replication_factor
        )

    def produce(
        self,
        topic: str,
        value: Any = None,
        *,
        key: Any = None,
        headers: Mapping[str, bytes | str | None] | Iterable[tuple[str, bytes | None]] = (),
        partition: int | None = None,
        timestamp_ms: int | None = None,
        value_schema: str | None = None,
        key_schema: str | None = None,
    ) -> SeenEvent:
        """Store an event, and return it as stored. It is visible to consumers when this returns.

        Args:
            topic: created on first use.
            value: bytes, text, None for a tombstone; a mapping or a list becomes JSON. With a schema: the JSON value.
            key: it chooses the partition as the Java client does. With a schema: the JSON value.
            timestamp_ms: ms since 1970; None for now.
            value_schema: write the value with this schema of the registry, framed as Confluent's serializers do:
                `orders-value`, `orders-value:1` for a version. The marker's `schemas=` registers schemas.
            key_schema: the same for the key.

        Raises:
            InvalidValue: the schema is not registered, or the value doesn't fit it; the text has the path.
            NeedsSandbox: a schema on a cluster: use a serializer with `schema_registry_url` there.
        """
        value = self._encoded(value, value_schema)
        key = self._encoded(key, key_schema)
        plain = value if value is None or isinstance(value, bytes | str) else json.dumps(value)
        with suppress(BrokerError):
            if not isinstance(self.place, SandboxPlace) and topic not in self.place.topics():
                self.create_topic(topic)
        given = headers if isinstance(headers, Mapping) else tuple(headers)
        new = new_event(plain, key, given, timestamp_ms, partition)
        stored = self.place.backend.append(
            self.topic(topic),
            new.value,
            key=new.key,
            headers=new.headers,
            timestamp_ms=new.timestamp_ms,
            partition=new.partition,
        )
        return SeenEvent(*stored._replace(topic=topic))

    def _encoded(self, value: Any, schema: str | None) -> Any:
        if schema is None or value is None:
            return value
        return self.place.sandbox("A schema of produce").encoder(schema).encode(value)

    def load(self, file: str | os.PathLike[str]) -> int:
        """Store the events of a JSON lines file, as `sandbox export` writes it. Returns how many.

        Topics that don't exist are created, with the partitions that the file names.
        """
        from sandbox.testing.seed import load

        return load(self.place, Path(file))

    # Golden files

    def save(self, file: str | os.PathLike[str], topics: Iterable[str] | None = None) -> Path:
        """Write the events as a golden file: topic, partition, key, value and headers, one JSON line each.

        Args:
            topics: only these; None for all.
        """
        path = Path(file)
        golden.write(path, golden.golden_lines(self._all_events(topics)))
        return path

    def expect_golden(
        self,
        file: str | os.PathLike[str],
        topics: Iterable[str] | None = None,
        *,
        ignore: Sequence[str] = (),
        within: Duration = "5s",
    ) -> None:
        """Wait until the events equal a golden file's. Offsets and times are not compared.

        With the environment variable KAFKA_UPDATE_GOLDEN=1, or pytest's option --kafka-update-golden, the file is
        written instead, when it differs after that time.

        Args:
            topics: only these; None for all.
            ignore: what differs from run to run: "key", or JSON paths in the value such as "$.created_at".

        Raises:
            ExpectationFailed: they differ; the text has the difference.
            FileNotFoundError: there is no such file.
        """
        __tracebackhide__ = True
        path = Path(file)
        chosen = None if topics is None else list(topics)
        update = golden.update_wanted()
        expected = [] if update and not path.exists() else golden.read(path, ignore)
        lines: list[str] = []

        def check() -> bool | None:
            lines[:] = golden.golden_lines(self._all_events(chosen), ignore)
            return True if lines == expected and lines else None

        if self.place.wait(check, duration_in_ms(within) / 1000) or lines == expected:
            return
        if update:
            golden.write(path, lines)
            return
        summary = f"The events differ from {path}.\n\n{golden.difference(path, expected, lines)}"
        raise ExpectationFailed(failure_text(summary, self.place, "", []))

    def _all_events(self, topics: Iterable[str] | None) -> list[SeenEvent]:
        chosen = self.place.topics() if topics is None else topics
        return [event for topic in chosen for event in self.events(topic)]

    # Clients

    @property
    def _clients(self) -> "Clients":
        if self._made is None:
            from sandbox.testing.clients import Clients

            self._made = Clients(self.place)
        return self._made

    def producer(self, **settings: Any) -> "Producer":
        """Create confluent-kafka's Producer, flushed at the test's end.

        Args:
            settings: librdkafka's settings, with _ for dots: `acks="all"`, `linger_ms=5`.
        """
        return self._clients.producer(_dotted(settings))

    def consumer(self, *topics: str, group: str | None = None, **settings: Any) -> "Consumer":
        """Create confluent-kafka's Consumer, closed at the test's end. It reads from the beginning.

        Args:
            topics: what it subscribes to.
            group: its group; None for a new one.
            settings: librdkafka's settings, with _ for dots: `enable_auto_commit=False`.
        """
        return self._clients.consumer(topics, group, _dotted(settings))

    def admin(self, **settings: Any) -> "AdminClient":
        """Create confluent-kafka's AdminClient."""
        return self._clients.admin(_dotted(settings))

    @property
    def async_clients(self) -> "AsyncClients":
        """Creates aiokafka's clients."""
        from sandbox.testing.clients import AsyncClients

        return AsyncClients(self.place)

    # What only a sandbox has

    @property
    def sandbox(self) -> "Sandbox":
        """The sandbox itself, for everything else. Raises NeedsSandbox on a cluster; the same applies below."""
        return self.place.sandbox("The attribute sandbox")

    @property
    def clock(self) -> "SandboxClock":
        """The broker's clock: `kafka.clock.advance("8d")`, `freeze()`, `resume()`."""
        return self.place.sandbox("The clock").clock

    @property
    def faults(self) -> "SandboxFaults":
        """The injected faults."""
        return self.place.sandbox("Fault injection").faults

    def inject(self, api: str | None = None, **fault: Any) -> "Injection":
        """Inject a fault; see `Sandbox.faults.inject`. It ends with the test, or with its `with` block."""
        return self.faults.inject(api, **fault)

    @property
    def snapshots(self) -> "SandboxSnapshots":
        """Snapshots of the file: `kafka.snapshots.take("before")`, `restore("before")`."""
        return self.place.sandbox("A snapshot").snapshots

    @property
    def page(self) -> str:
        """The address of the page, which is opened at first use, to look around while a test is paused."""
        sandbox = self.place.sandbox("The page")
        return sandbox.web_address or sandbox.open_page()

    def close(self) -> None:
        """Close the clients and the sandbox; on a cluster, delete the test's topics and groups."""
        try:
            if self._made is not None:
                self._made.close()
        finally:
            self.place.close()


def _dotted(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "."): value for name, value in settings.items()}
