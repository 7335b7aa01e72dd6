"""The topics and groups of one test on a Kafka cluster."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaException, TopicPartition

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import CREATE_TIME, LOG_APPEND_TIME, Event
from sandbox.model.groups import GroupDescription
from sandbox.remote.backend import RemoteBackend
from sandbox.testing.place import NeedsSandbox

if TYPE_CHECKING:
    from sandbox.api.sandbox import Sandbox

T = TypeVar("T")
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
