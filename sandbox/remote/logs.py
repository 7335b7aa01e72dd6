"""A cluster's topics: leaders, start and end offsets, settings, and changes of them."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import IsolationLevel, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AlterConfigOpType,
    ClusterMetadata,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from sandbox.kafka.errors import BrokerError, shown_name
from sandbox.kafka.topic_settings import TOPIC_SETTINGS
from sandbox.model.topics import PartitionDescription, PartitionName, TopicDescription
from sandbox.remote.connection import ClusterConnection
from sandbox.remote.moment import Moment, Views

KEPT_S = 0.4
"""How long metadata and offsets are reused: a page never shows anything older."""
SETTINGS_KEPT_S = 20.0
LAST_EVENTS_MAX = 1000
"""Up to how many partitions the time of the last event is requested."""
INTERNAL = ("__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata")
"""Kafka's own topics: not listed, though each can be opened by its name."""
UNKNOWN = -1
"""Stands for an unknown number."""

_SPEC: Any = OffsetSpec
EARLIEST, LATEST, NEWEST, AT = _SPEC.earliest(), _SPEC.latest(), _SPEC.max_timestamp(), _SPEC.for_timestamp


@dataclass(frozen=True, slots=True)
class LogEnds:
    """One partition's offsets.

    Attributes:
        start: the log start offset.
        end: the high watermark.
        last_ms: the largest timestamp; None for an empty log, or if it is unknown.
    """

    start: int
    end: int
    leader_epoch: int
    last_ms: int | None


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of topics.

    Attributes:
        own: the settings that were set per topic, by topic.
        of_brokers: the brokers' defaults.
    """

    own: dict[str, dict[str, str]]
    of_brokers: dict[str, str]


class Logs:
    """The topics of a cluster.

    Args:
        connection: the cluster.
        views: the consistent views of the requesting threads.
        kept_s: how long an answer is reused.
    """

    def __init__(self, connection: ClusterConnection, views: Views, kept_s: float = KEPT_S) -> None:
        self._connection = connection
        self.metadata: Moment[ClusterMetadata] = Moment(views, self._metadata, kept_s)
        self.ends: Moment[dict[PartitionName, LogEnds]] = Moment(views, self._ends, kept_s)
        self._settings: Moment[Settings] = Moment(views, self._all_settings, SETTINGS_KEPT_S)

    def forget(self) -> None:
        """Discard cached answers after a change."""
        for moment in (self.metadata, self.ends, self._settings):
            moment.forget()

    def _metadata(self) -> ClusterMetadata:
        # Never request one topic by name: a broker may create it.
        return self._connection.ask(lambda timeout_s: self._connection.admin.list_topics(timeout=timeout_s))

    def names(self) -> list[str]:
        """The topics' names, without Kafka's own."""
        return sorted(name for name in self.metadata.get().topics if name not in INTERNAL)

    def visible(self) -> list[str]:
        """The names of those topics that this user may describe."""
        known = self.metadata.get().topics
        return [name for name in self.names() if known[name].error is None]

    def places(self, topics: Iterable[str]) -> list[PartitionName]:
        """The partitions of some topics that exist."""
        known = self.metadata.get().topics
        return [(name, number) for name in topics if name in known for number in sorted(known[name].partitions)]

    def _ends(self) -> dict[PartitionName, LogEnds]:
        return self.ends_of(self.places(self.visible()))

    def ends_of(self, places: list[PartitionName]) -> dict[PartitionName, LogEnds]:
        """Where some logs begin and end now. A partition that has no leader, or may not be seen, is left out."""
        if not places:
            return {}
        starts = self._offsets(places, EARLIEST)
        ends = self._offsets(places, LATEST)
        times = self._offsets(places, NEWEST) if len(places) <= LAST_EVENTS_MAX else {}
        found = {}
        for place, start in self._results(starts, must=True).items():
            end = self._results({place: ends[place]}, must=False).get(place)
            last = self._results({place: times[place]}, must=False).get(place) if place in times else None
            if end is not None:
                last_ms = last.timestamp if last is not None and last.timestamp >= 0 else None
                epoch = end.leader_epoch if end.leader_epoch is not None else UNKNOWN
                found[place] = LogEnds(start.offset, max(start.offset, end.offset), epoch, last_ms)
        return found

    def offsets_at(self, places: list[PartitionName], timestamp_ms: int) -> dict[PartitionName, int | None]:
        """Return the first offset at or after a time for some logs; None if there is none. Before 1970 is the start."""
        asked = self._offsets(places, EARLIEST if timestamp_ms < 0 else AT(timestamp_ms))
        return {
            place: told.offset if told.offset >= 0 else None for place, told in self._results(asked, must=True).items()
        }

    def _offsets(self, places: list[PartitionName], spec: Any) -> dict[PartitionName, "Future[Any]"]:
        asked = {TopicPartition(*place): spec for place in places}
        futures = self._connection.ask(
            lambda timeout_s: self._connection.admin.list_offsets(
                asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=timeout_s
            )
        )
        return {(partition.topic, partition.partition): future for partition, future in futures.items()}

    def _results(self, futures: Mapping[PartitionName, "Future[Any]"], *, must: bool) -> dict[PartitionName, Any]:
        """Return the results that are available. Raises if `must` is set and there are none."""
        found: dict[PartitionName, Any] = {}
        refused: BrokerError | None = None
        for place, future in futures.items():
            try:
                found[place] = self._connection.result(future)
            except BrokerError as error:
                refused = error
        if refused is not None and not found and must:
            raise refused
        return found

    # Settings

    def _all_settings(self) -> Settings:
        return self.settings_of(self.visible())

    def settings_of(self, topics: Iterable[str]) -> Settings:
        """Return the settings of some topics, without topics whose settings may not be read."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in topics]
        found = Settings({}, {})
        if not resources:
            return found
        futures = self._connection.ask(
            lambda timeout_s: self._connection.admin.describe_configs(resources, request_timeout=timeout_s)
        )
        for resource, future in futures.items():
            try:
                entries = self._connection.result(future)
            except BrokerError:
                continue
            own = found.own.setdefault(resource.name, {})
            for name, entry in entries.items():
                if entry.value is not None:
                    of_topic = ConfigSource(entry.source) == ConfigSource.DYNAMIC_TOPIC_CONFIG
                    (own if of_topic else found.of_brokers)[name] = entry.value
        return found

    def default_settings(self) -> dict[str, str]:
        """Return the brokers' defaults for all topic settings; Kafka's own if the brokers don't report them."""
        return {setting.name: setting.default or "" for setting in TOPIC_SETTINGS} | self._settings.get().of_brokers

    # Descriptions

    def describe(self, name: str, groups: tuple[str, ...]) -> TopicDescription:
        """One topic.

        Raises:
            BrokerError: UNKNOWN_TOPIC_OR_PARTITION, TOPIC_AUTHORIZATION_FAILED.
        """
        known = self.metadata.get().topics.get(name)
        if known is None:
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic {shown_name(name)}.")
        if known.error is not None:
            raise self._connection.error_of(known.error)
        ends = self.ends_of(self.places([name])) if name in INTERNAL else self.ends.get()
        partitions = tuple(
            _partition(number, known.partitions[number], ends.get((name, number)))
            for number in sorted(known.partitions)
        )
        times = [one.last_append_ms for one in partitions if one.last_append_ms is not None]
        settings = self.settings_of([name]) if name in INTERNAL else self._settings.get()
        return TopicDescription(
            topic=name,
            topic_id="",
            created_ms=UNKNOWN,
            events=sum(one.events for one in partitions if one.events >= 0),
            size_bytes=UNKNOWN,
            last_append_ms=max(times, default=None),
            settings=dict(settings.own.get(name, {})),
            partitions=partitions,
            groups=groups,
        )

    def with_id(self, topic: TopicDescription) -> TopicDescription:
        """Add Kafka's topic id if it is reported."""
        return replace(topic, topic_id=self._topic_id(topic.topic))

    def _topic_id(self, name: str) -> str:
        try:
            futures = self._connection.ask(
                lambda timeout_s: self._connection.admin.describe_topics(
                    TopicCollection([name]), request_timeout=timeout_s
                )
            )
            return str(self._connection.result(futures[name]).topic_id)
        except (BrokerError, KafkaException):
            return ""

    def wait_for(self, holds: Callable[[ClusterMetadata], bool]) -> None:
        """Request metadata until a condition holds, up to the connection's time limit."""
        deadline_s = time.monotonic() + self._connection.timeout_s
        while True:
            self.metadata.forget()
            if holds(self.metadata.get(kept_s=0)) or time.monotonic() > deadline_s:
                self.forget()
                return
            time.sleep(0.02)


def _partition(number: int, told: Any, ends: LogEnds | None) -> PartitionDescription:
    return PartitionDescription(
        partition=number,
        start=ends.start if ends else UNKNOWN,
        end=ends.end if ends else UNKNOWN,
        events=ends.end - ends.start if ends else UNKNOWN,
        size_bytes=UNKNOWN,
        last_timestamp_ms=ends.last_ms if ends else None,
        last_append_ms=ends.last_ms if ends else None,
        leader=told.leader,
        leader_epoch=ends.leader_epoch if ends else UNKNOWN,
        replicas=tuple(told.replicas),
        isr=tuple(told.isrs),
        counted=False,
    )


class TopicAdmin:
    """Creates and changes topics.

    Args:
        connection: the cluster.
        logs: the cluster's topics, requested again after each change.
    """

    def __init__(self, connection: ClusterConnection, logs: Logs) -> None:
        self._connection = connection
        self._logs = logs

    def create(
        self,
        topic: str,
        partitions: int | None,
        settings: Mapping[str, str] | None,
        replication_factor: int | None = None,
    ) -> None:
        """Create a topic, and wait until the cluster knows it."""
        if topic in self._logs.metadata.get(kept_s=0).topics:
            raise BrokerError("TOPIC_ALREADY_EXISTS", f"There is a topic {topic}.")
        if partitions is not None and partitions < 1:
            raise BrokerError("INVALID_PARTITIONS", f"A topic has 1 partition or more, not {partitions}.")
        try:
            new = NewTopic(
                topic,
                num_partitions=-1 if partitions is None else partitions,
                replication_factor=-1 if replication_factor is None else replication_factor,
                config=dict(settings or {}),
            )
        except (ValueError, OverflowError) as error:
            raise BrokerError("INVALID_REQUEST", str(error)) from None
        self._do("create_topics", topic, [new])
        self._logs.wait_for(lambda told: topic in told.topics and bool(told.topics[topic].partitions))

    def delete(self, topic: str) -> None:
        """Delete a topic, and wait until the cluster has forgotten it."""
        self._do("delete_topics", topic, [topic])
        self._logs.wait_for(lambda told: topic not in told.topics)

    def create_partitions(self, topic: str, count: int) -> None:
        """Increase a topic's partitions to a total of `count`."""
        have = len(self._logs.describe(topic, ()).partitions)
        if count <= have:
            raise BrokerError(
                "INVALID_PARTITIONS", f"Topic {topic} has {have} partitions: it can only get more, not {count}."
            )
        self._do("create_partitions", topic, [NewPartitions(topic, count)])
        self._logs.wait_for(lambda told: topic in told.topics and len(told.topics[topic].partitions) >= count)

    def alter(self, topic: str, settings: Mapping[str, str | None]) -> None:
        """Change settings; None takes one back to its default."""
        if topic not in self._logs.metadata.get(kept_s=0).topics:
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic {shown_name(topic)}.")
        entries = [
            ConfigEntry(
                name,
                value,
                incremental_operation=AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET,
            )
            for name, value in settings.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        futures = self._connection.ask(
            lambda timeout_s: self._connection.admin.incremental_alter_configs([resource], request_timeout=timeout_s)
        )
        for future in futures.values():
            self._connection.result(future)
        self._logs.forget()

    def _do(self, call: str, topic: str, arguments: list[object]) -> None:
        method = getattr(self._connection.admin, call)
        futures = self._connection.ask(
            lambda timeout_s: method(arguments, operation_timeout=timeout_s, request_timeout=timeout_s)
        )
        self._connection.result(futures[topic])
        self._logs.forget()
