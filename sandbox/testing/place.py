"""The Kafka that a test runs on: a sandbox, or a cluster with the test's topics under a prefix."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaException, TopicPartition

from sandbox.kafka.errors import BrokerError, SandboxError
from sandbox.kafka.event import CREATE_TIME, LOG_APPEND_TIME, Event
from sandbox.model.groups import GroupDescription
from sandbox.remote.backend import RemoteBackend

if TYPE_CHECKING:
    from sandbox.api.sandbox import Sandbox
    from sandbox.web.backend import Backend


T = TypeVar("T")
UNLIMITED = 1 << 62
RECHECK_S = 0.05
"""A client that begins to fetch changes nothing in the file, so a wait on a sandbox also checks at this interval."""


class NeedsSandbox(SandboxError):
    """A test uses what only a sandbox has, and runs on a cluster."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} needs the sandbox, and this test runs on a Kafka cluster.")


class Place(Protocol):
    """Where a test's topics and groups are. Names are the test's; `real` returns the cluster's."""

    @property
    def backend(self) -> "Backend":
        """Operations on topics and groups."""

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients."""

    @property
    def schema_registry_url(self) -> str:
        """The URL of the schema registry. Raises NeedsSandbox if it isn't known."""

    @property
    def properties(self) -> dict[str, str]:
        """librdkafka's settings for clients, besides the address."""

    def real(self, name: str) -> str:
        """Return the cluster's name of a topic or group."""

    def topics(self) -> list[str]:
        """Return the test's topics, sorted."""

    def events(self, topic: str) -> list[Event]:
        """Return the committed events of a topic, by partition and offset; none if it doesn't exist."""

    def group(self, name: str) -> GroupDescription | None:
        """Return a group; None if it doesn't exist."""

    def groups(self) -> list[GroupDescription]:
        """Return the test's groups."""

    def wait(self, check: Callable[[], T | None], within_s: float) -> T | None:
        """Call `check` until it returns something, after each change. Returns None if the time is over."""

    def sandbox(self, what: str) -> "Sandbox":
        """Return the sandbox. Raises NeedsSandbox with `what` on a cluster."""

    def close(self) -> None:
        """Close it, and delete what the test left on a cluster."""


class SandboxPlace:
    """A sandbox of this process.

    Args:
        sandbox: it serves a Kafka port.
        file: its file.
    """

    def __init__(self, sandbox: "Sandbox", file: Path) -> None:
        self.backend = sandbox
        self.file = file
        self.properties: dict[str, str] = {}
        self._sandbox = sandbox

    @property
    def bootstrap_servers(self) -> str:
        return self._sandbox.kafka_address or ""

    @property
    def schema_registry_url(self) -> str:
        return self._sandbox.registry_address or ""

    def real(self, name: str) -> str:
        return name

    def topics(self) -> list[str]:
        return [one.topic for one in self._sandbox.topics()]

    def events(self, topic: str) -> list[Event]:
        try:
            found = self._sandbox.read(topic, offset=0, limit=UNLIMITED)
        except BrokerError as error:
            if error.error.name != "UNKNOWN_TOPIC_OR_PARTITION":
                raise
            return []
        return [event for event in found if not (event.aborted or event.pending)]

    def group(self, name: str) -> GroupDescription | None:
        try:
            return self._sandbox.group(name)
        except BrokerError as error:
            if error.error.name != "GROUP_ID_NOT_FOUND":
                raise
            return None

    def groups(self) -> list[GroupDescription]:
        return list(self._sandbox.groups())

    def wait(self, check: Callable[[], T | None], within_s: float) -> T | None:
        changed = threading.Event()
        unsubscribe = self._sandbox.subscribe(lambda change: changed.set())
        try:
            deadline_s = time.monotonic() + within_s
            while True:
                changed.clear()
                found = check()
                left_s = deadline_s - time.monotonic()
                if found is not None or left_s <= 0:
                    return found
                changed.wait(min(left_s, RECHECK_S))
        finally:
            unsubscribe()

    def sandbox(self, what: str) -> "Sandbox":
        return self._sandbox

    def close(self) -> None:
        self._sandbox.close()


POLL_S = 0.1
READ_S = 10.0
"""Seconds for one reading of a topic."""
EMPTIES_S = 10.0
"""Seconds for a group's members to leave, before the group can be deleted."""
BEGINNING = 0


class ClusterPlace:
    """A Kafka cluster, where the test's topics and groups have a prefix. They are deleted at the end.

    Args:
        bootstrap: "host:port", several separated by commas.
        prefix: the beginning of names, different for each test.
        properties: librdkafka's settings, such as security.
        registry_url: the URL of its schema registry, None if there is none.

    Raises:
        ClusterAway: the cluster doesn't answer.
    """

    def __init__(
        self, bootstrap: str, prefix: str, properties: dict[str, str], registry_url: str | None = None
    ) -> None:
        self.bootstrap_servers = bootstrap
        self.prefix = prefix
        self.properties = properties
        self._registry_url = registry_url
        self.backend = RemoteBackend(bootstrap, properties, allow_writes=True, kept_s=0.0)
        try:
            self.backend.check()
        except BaseException:
            self.backend.close()
            raise

    @property
    def schema_registry_url(self) -> str:
        if self._registry_url is None:
            raise NeedsSandbox("The schema registry, without --kafka-schema-registry,")
        return self._registry_url

    def real(self, name: str) -> str:
        return name if name.startswith(self.prefix) else self.prefix + name

    def topics(self) -> list[str]:
        own = (one.topic for one in self.backend.topics() if one.topic.startswith(self.prefix))
        return sorted(name.removeprefix(self.prefix) for name in own)

    def events(self, topic: str) -> list[Event]:
        settings: dict[str, Any] = {
            **self.properties,
            "bootstrap.servers": self.bootstrap_servers,
            "group.id": self.prefix + "reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,
            "fetch.queue.backoff.ms": 10,
            "log_level": 0,
        }
        consumer = Consumer(settings)
        try:
            found = consumer.list_topics(self.real(topic), timeout=READ_S).topics[self.real(topic)]
            if found.error is not None:
                return []
            partitions = sorted(found.partitions)
            consumer.assign([TopicPartition(self.real(topic), one, BEGINNING) for one in partitions])
            return sorted(self._read(consumer, topic, set(partitions)), key=lambda one: (one.partition, one.offset))
        except KafkaException as error:
            raise BrokerError("UNKNOWN_SERVER_ERROR", f"{topic} cannot be read: {error}") from error
        finally:
            consumer.close()

    def _read(self, consumer: Consumer, topic: str, left: set[int]) -> list[Event]:
        found: list[Event] = []
        deadline_s = time.monotonic() + READ_S
        while left:
            if time.monotonic() > deadline_s:
                raise BrokerError("REQUEST_TIMED_OUT", f"{topic} could not be read to its end within {READ_S:g} s.")
            for message in consumer.consume(1000, timeout=0.2):
                error = message.error()
                if error is None:
                    found.append(_event(topic, message))
                elif error.name() == "_PARTITION_EOF":
                    left.discard(message.partition() or 0)
                else:
                    raise KafkaException(error)
        return found

    def group(self, name: str) -> GroupDescription | None:
        try:
            found = self.backend.group(self.real(name))
        except BrokerError as error:
            if error.error.name != "GROUP_ID_NOT_FOUND":
                raise
            return None
        return self._plain(found)

    def groups(self) -> list[GroupDescription]:
        return [self._plain(one) for one in self.backend.groups() if one.group.startswith(self.prefix)]

    def _plain(self, found: GroupDescription) -> GroupDescription:
        partitions = tuple(replace(one, topic=one.topic.removeprefix(self.prefix)) for one in found.partitions)
        return replace(found, group=found.group.removeprefix(self.prefix), partitions=partitions)

    def wait(self, check: Callable[[], T | None], within_s: float) -> T | None:
        deadline_s = time.monotonic() + within_s
        pause = threading.Event()
        while True:
            found = check()
            left_s = deadline_s - time.monotonic()
            if found is not None or left_s <= 0:
                return found
            pause.wait(min(left_s, POLL_S))

    def sandbox(self, what: str) -> "Sandbox":
        raise NeedsSandbox(what)

    def close(self) -> None:
        try:
            for group in self.groups():
                self.wait(lambda name=group.group: self._delete_group(name), EMPTIES_S)  # type: ignore[misc]
            for topic in self.topics():
                with suppress(BrokerError):
                    self.backend.delete_topic(self.real(topic))
        finally:
            self.backend.close()

    def _delete_group(self, name: str) -> bool | None:
        try:
            self.backend.delete_group(self.real(name))
        except BrokerError as error:
            return None if error.error.name == "NON_EMPTY_GROUP" else True
        return True


def _event(topic: str, message: Any) -> Event:
    kind, timestamp_ms = message.timestamp()
    headers = tuple((name, value) for name, value in message.headers() or ())
    stamp = LOG_APPEND_TIME if kind == TIMESTAMP_LOG_APPEND_TIME else CREATE_TIME
    place = (message.partition(), message.offset())
    return Event(topic, *place, timestamp_ms, stamp, message.key(), message.value(), headers)
