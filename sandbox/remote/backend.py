"""The pages' second backend: any Kafka cluster that confluent_kafka can connect to.

    with RemoteBackend("broker.example.com:9092", {"security.protocol": "SASL_SSL", ...}) as backend:
        for topic in backend.topics():
            print(topic.topic, topic.events)

Implements `sandbox.web.backend.Backend`. `capabilities` names what a cluster can report and do.
Changes are refused unless they were allowed.
"""

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from sandbox.generator.generators import Generators
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event, Headers, NewEvent
from sandbox.kafka.partitioner import DEFAULT_PARTITIONER, PARTITIONERS
from sandbox.model.capabilities import Capabilities, missing
from sandbox.model.group_history import LagPoint, Rebalance
from sandbox.model.groups import GroupDescription, GroupSummary, ResetLine, summary_of
from sandbox.model.messages import MessagePage, MessageQuery
from sandbox.model.overview import Change, ClientSecurity, Overview
from sandbox.model.topics import TopicDescription
from sandbox.playground.playground import Playground
from sandbox.remote.appends import Appends
from sandbox.remote.brokers import NoFaults, RemoteBrokers
from sandbox.remote.connection import TIMEOUT_S, ClusterConnection
from sandbox.remote.deserializers import RemoteDeserializers
from sandbox.remote.group_history import RemoteGroupHistory, Samples
from sandbox.remote.groups import Groups, RemoteShareGroups, Resets
from sandbox.remote.log_operations import LEAST_MS, Growth, RemoteLogOperations
from sandbox.remote.logs import KEPT_S, UNKNOWN, Logs, TopicAdmin
from sandbox.remote.messages import RemoteSearch, read_event
from sandbox.remote.moment import Views
from sandbox.remote.survey import RemoteSurvey
from sandbox.remote.watch import EVERY_S, ClusterState, Watch
from sandbox.schemas.decoding import EventDecoder, nowhere
from sandbox.version import __version__

if TYPE_CHECKING:
    from sandbox.remote.schema_registry import RemoteSchemas

NONE: frozenset[str] = frozenset()
READ_ONLY = "This page shows a real cluster, and changes nothing in it. Start it with --allow-writes to change that."
CLUSTER = Capabilities(
    sql=False,
    snapshots=False,
    alerts=False,
    activity=False,
    faults=False,
    simulated_brokers=False,
    stop_brokers=False,
    move_leaders=False,
    client_connections=False,
    compact_now=False,
    apply_retention_now=False,
    find_key_fast=False,
    log_sizes=False,
    event_counts=False,
    time_order=False,
    transaction_states=False,
    heartbeats=False,
    group_generations=False,
    lag_history=False,
    rebalance_history=False,
    share_groups=False,
    append_times=False,
    commit_history=False,
    delete_offsets=False,
    save_templates=False,
    save_filters=False,
    schema_registry=False,
)
"""What any Kafka cluster lacks, through confluent_kafka."""


def now() -> int:
    """The time in ms since 1970."""
    return time.time_ns() // 1_000_000


def _security(settings: Mapping[str, str]) -> ClientSecurity | None:
    """Return what librdkafka's settings say about the connection, without names and passwords."""
    protocol = settings.get("security.protocol", "PLAINTEXT").upper()
    if protocol == "PLAINTEXT":
        return None
    mechanism = settings.get("sasl.mechanism") or settings.get("sasl.mechanisms") or "GSSAPI"
    return ClientSecurity(protocol, mechanism.upper() if protocol.startswith("SASL_") else "")


class RemoteBackend:
    """One Kafka cluster. All methods are thread-safe.

    Args:
        bootstrap: "host:port", several separated by commas.
        settings: additional librdkafka settings, such as security.
        allow_writes: False refuses every change.
        timeout_s: time limit of one request to the cluster.
        kept_s: how long an answer is reused.
        every_s: interval between two polls of the cluster while somebody watches.
        schema_registry: the settings of a registry (`sandbox.remote.schema_registry.SETTINGS`) whose schemas decode
            events; None for none. ValueError if one is invalid.

    A cluster that doesn't answer raises `ClusterAway`.
    """

    demo = None

    schema_registry: Callable[[], NoReturn] | None = None

    def __init__(
        self,
        bootstrap: str,
        settings: Mapping[str, str] | None = None,
        *,
        allow_writes: bool = False,
        timeout_s: float = TIMEOUT_S,
        kept_s: float = KEPT_S,
        every_s: float = EVERY_S,
        schema_registry: Mapping[str, str] | None = None,
    ) -> None:
        self.read_only = None if allow_writes else READ_ONLY
        self.web_address: str | None = None
        self._settings = dict(settings or {})
        self._started_ms = now()
        self._views = Views()
        self._schemas = self._registry(schema_registry)
        self._connection = ClusterConnection(bootstrap, self._settings, timeout_s, self.read_only)
        self._samples, self._growth = Samples(), Growth()
        self._logs = Logs(self._connection, self._views, kept_s)
        self._groups = Groups(self._connection, self._logs, self._views, self._samples, kept_s)
        self._topics = TopicAdmin(self._connection, self._logs)
        self._resets = Resets(self._connection, self._logs, self._groups)
        self._appends = Appends(self._connection)
        self._watch = Watch(self._look, every_s)
        self.brokers = RemoteBrokers(self._connection, self._logs)
        self.faults = NoFaults()
        self.logs = RemoteLogOperations(self._connection, self._logs, self._growth)
        self.survey = RemoteSurvey(self._connection, self._logs, self._groups, self._search_decoder)
        self.group_history = RemoteGroupHistory(self._samples)
        self.share_groups = RemoteShareGroups()
        self.deserializers = RemoteDeserializers()
        self.generators = Generators(self)
        self.playground = Playground(self, lambda: {**self._settings, "bootstrap.servers": bootstrap}, now)

    def _registry(self, settings: Mapping[str, str] | None) -> "RemoteSchemas | None":
        if settings is None:
            return None
        from sandbox.remote.schema_registry import RegistryConnection, RemoteSchemas

        return RemoteSchemas(RegistryConnection(settings), lambda topic: self._changed("events", topic))

    def __enter__(self) -> "RemoteBackend":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop all background work and close the connections."""
        self.playground.close()
        self.generators.close()
        self._watch.close()
        if self._schemas is not None:
            self._schemas.close()
        self._connection.close()

    def check(self) -> int:
        """Connect to the cluster and return the number of brokers.

        Raises:
            ClusterAway: the cluster doesn't answer, or refuses this program.
        """
        return len(self._logs.metadata.get(kept_s=0).brokers)

    # Identity

    @property
    def capabilities(self) -> Capabilities:
        """What a cluster offers, what it refuses to this user, and which figures are known by now."""
        return replace(
            CLUSTER,
            append_rates=self._growth.known_ms(now()) >= LEAST_MS,
            groups=self._groups.refused is None,
            groups_refusal=self._groups.refused or "",
        )

    @property
    def trouble(self) -> str | None:
        """Why the cluster doesn't answer, with the way out; None if it does."""
        away = self._logs.metadata.away
        return None if away is None else away.detail

    def one_view(self) -> AbstractContextManager[object]:
        """A context in which this thread sees one consistent view of the cluster."""
        return self._views.one()

    def overview(self) -> Overview:
        """Return the cluster's summary. A figure that is unavailable now has its last value, or -1."""
        told = self._logs.metadata.last
        try:
            told = self._logs.metadata.get()
            self._logs.ends.get()
            self._groups.ids.get()
        except BrokerError:
            pass
        ends, groups = self._logs.ends.last, self._groups.ids.last
        return Overview(
            file="",
            size_bytes=UNKNOWN,
            kafka=self._connection.bootstrap,
            web=self.web_address,
            cluster_id=(told.cluster_id or "") if told is not None else "",
            version=__version__,
            pid=os.getpid(),
            started_ms=self._started_ms,
            topics=len({topic for topic, _ in ends}) if ends is not None else UNKNOWN,
            events=sum(one.end - one.start for one in ends.values()) if ends is not None else UNKNOWN,
            groups=len(groups) if groups is not None else UNKNOWN,
            as_of_ms=now(),
            security=_security(self._settings),
        )

    def _look(self) -> ClusterState:
        """The cluster as it is now, for the watch."""
        # Groups before ends: so none is ahead of a log.
        self._groups.forget()
        self._logs.metadata.forget()
        self._logs.ends.forget()
        with self._views.one():
            told = self._logs.metadata.get()
            groups = self._described()
            ends = self._logs.ends.get()
        topics: dict[str, dict[int, object]] = {name: {} for name in self._logs.names()}
        totals = dict.fromkeys(topics, 0)
        for (topic, partition), one in ends.items():
            topics.setdefault(topic, {})[partition] = (one.start, one.end)
            totals[topic] = totals.get(topic, 0) + one.end
        self._growth.note(now(), totals)
        shape = (
            tuple(sorted(told.brokers)),
            told.controller_id,
            tuple(
                (name, number, partition.leader, tuple(partition.isrs))
                for name, topic in sorted(told.topics.items())
                for number, partition in sorted(topic.partitions.items())
            ),
        )
        return ClusterState(
            shape=shape,
            topics=topics,
            commits={
                group.group: [(one.topic, one.partition, one.committed) for one in group.partitions] for group in groups
            },
            groups={group.group: (group.state, group.members) for group in groups},
        )

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` on each change, about once per second. Returns a function that unsubscribes it."""
        return self._watch.subscribe(callback)

    @property
    def watching(self) -> bool:
        """True while the cluster is polled because somebody is subscribed."""
        return self._watch.watching

    def _changed(self, kind: str, topic: str | None = None, group: str | None = None) -> None:
        self._views.forget()
        if kind in ("commit", "group"):
            self._groups.forget()
        else:
            self._logs.ends.forget()
            self._groups.described.forget()
        topics = NONE if topic is None else frozenset((topic,))
        self._watch.tell(Change(kind, topics, NONE if group is None else frozenset((group,)), now()))

    # Topics

    def topics(self) -> tuple[TopicDescription, ...]:
        """Every topic but Kafka's own, by name."""
        with self._views.one():
            readers = self._readers()
            return tuple(self._logs.describe(name, readers.get(name, ())) for name in self._logs.visible())

    def _described(self) -> tuple[GroupDescription, ...]:
        return self._groups.described.get()

    def _readers(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for group in self._described():
            for topic in group.topics:
                found.setdefault(topic, []).append(group.group)
        return {topic: tuple(groups) for topic, groups in found.items()}

    def topic(self, topic: str) -> TopicDescription:
        """Return one topic. Raises BrokerError UNKNOWN_TOPIC_OR_PARTITION if it doesn't exist."""
        with self._views.one():
            return self._logs.with_id(self._logs.describe(topic, self._readers().get(topic, ())))

    def create_topic(
        self,
        topic: str,
        *,
        partitions: int | None = None,
        settings: Mapping[str, str] | None = None,
        replication_factor: int | None = None,
    ) -> TopicDescription:
        """Create a topic. None means the cluster's default."""
        self._connection.require_writes()
        self._topics.create(topic, partitions, settings, replication_factor)
        self._changed("topics", topic)
        return self.topic(topic)

    def delete_topic(self, topic: str) -> None:
        """Delete a topic with all its events."""
        self._connection.require_writes()
        self._topics.delete(topic)
        self._groups.forget()
        self._changed("topics", topic)

    def create_partitions(self, topic: str, count: int) -> TopicDescription:
        """Increase a topic's partitions to a total of `count`."""
        self._connection.require_writes()
        self._topics.create_partitions(topic, count)
        self._changed("topics", topic)
        return self.topic(topic)

    def alter_topic(self, topic: str, settings: Mapping[str, str | None]) -> None:
        """Change settings; None takes one back to its default."""
        self._connection.require_writes()
        self._topics.alter(topic, settings)
        self._changed("topics", topic)

    # Events

    def partition_for(self, topic: str, key: bytes | None, partitioner: str = DEFAULT_PARTITIONER) -> int | None:
        """Return the partition for a key; None if the partitioner leaves the choice open."""
        if partitioner not in PARTITIONERS:
            raise BrokerError("INVALID_REQUEST", f"A partitioner is one of {', '.join(PARTITIONERS)}.")
        return PARTITIONERS[partitioner].partition_for(key, len(self._logs.describe(topic, ()).partitions))

    def append(
        self,
        topic: str,
        value: bytes | str | None,
        *,
        key: bytes | str | None = None,
        headers: Headers = (),
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> Event:
        """Store one event, and return it as stored."""
        value, key = (one.encode() if isinstance(one, str) else one for one in (value, key))
        return self._append(topic, [NewEvent(value, key, tuple(headers), timestamp_ms, partition)])[0]

    def append_all(self, topic: str, events: Sequence[NewEvent]) -> list[tuple[int, int]]:
        """Append events. Returns partition and offset of each. If one is refused, others may be stored: Kafka has no
        undo.
        """
        return [(event.partition, event.offset) for event in self._append(topic, events)]

    def _append(self, topic: str, events: Sequence[NewEvent]) -> list[Event]:
        self._connection.require_writes()
        stored = self._appends.append(topic, events)
        self._changed("events", topic)
        return stored

    def event(self, topic: str, partition: int, offset: int) -> Event:
        """Return one event. BrokerError OFFSET_OUT_OF_RANGE says if it was deleted or isn't written yet."""
        with self._views.one():
            return read_event(self._connection, self._logs, topic, partition, offset)

    def messages(self, query: MessageQuery) -> MessagePage:
        """Return one page of events."""
        with self._views.one():
            return RemoteSearch(self._connection, self._logs, query, self._search_decoder()).page(now())

    def schema_types(self, topics: Collection[str]) -> dict[str, list[str]]:
        """Return nothing: no registry is asked for a list."""
        return {}

    def decoder(self) -> EventDecoder:
        """Return a decoder for one page. A schema that the registry does not send in time is reported as on its way."""
        if self._schemas is None:
            return EventDecoder(nowhere, self.deserializers.chosen)
        return EventDecoder(self._schemas.finder().find, self.deserializers.chosen)

    def _search_decoder(self) -> EventDecoder:
        """Return a decoder that waits longer: a search without a schema finds too little."""
        if self._schemas is None:
            return self.decoder()
        from sandbox.remote.schema_registry import SEARCH_WAIT_S

        return EventDecoder(self._schemas.finder(SEARCH_WAIT_S).find, self.deserializers.chosen)

    # Groups

    def groups(self) -> tuple[GroupDescription, ...]:
        """Return all groups, sorted by id."""
        with self._views.one():
            return self._groups.with_ages(list(self._described()))

    def group_summaries(self) -> tuple[GroupSummary, ...]:
        """Every group as lists show it, by id."""
        found = self.groups()
        now_ms = now()
        return tuple(summary_of(one, now_ms) for one in found)

    def group(self, group: str) -> GroupDescription:
        """Return one group. Raises BrokerError GROUP_ID_NOT_FOUND if it doesn't exist."""
        with self._views.one():
            return self._groups.one(group)

    def lag_history(self, group: str, *, since_ms: int, points: int = 120) -> list[LagPoint]:
        """Its lag over time, as far as it was seen."""
        return self.group_history.lag(group, since_ms=since_ms, points=points)

    def rebalances(self, group: str, limit: int = 50) -> list[Rebalance]:
        """Empty: a cluster doesn't report rebalances."""
        return []

    def preview_reset(
        self, group: str, *, topic: str | None = None, partition: int | None = None, to: str
    ) -> list[ResetLine]:
        """Compute what a reset would change."""
        with self._views.one():
            return self._resets.plan(group, topic, partition, to)

    def reset(self, group: str, *, topic: str | None = None, partition: int | None = None, to: str) -> list[ResetLine]:
        """Reset committed offsets of a group that has no members."""
        self._connection.require_writes()
        plan = self.preview_reset(group, topic=topic, partition=partition, to=to)
        with self._views.one():
            self._resets.apply(group, {(line.topic, line.partition): line.after for line in plan})
        self._changed("commit", group=group)
        return plan

    def restore_offsets(self, group: str, offsets: Mapping[tuple[str, int], int | None]) -> int:
        """Restore committed offsets of a group that has no members. Offsets that had no commit before stay: the client
        library can't delete them.
        """
        self._connection.require_writes()
        wanted = {place: offset for place, offset in offsets.items() if offset is not None}
        with self._views.one():
            self._resets.apply(group, wanted)
        self._changed("commit", group=group)
        return len(wanted)

    def delete_group(self, group: str) -> None:
        """Delete a group that has no members, and its offsets."""
        self._connection.require_writes()
        with self._views.one():
            self._resets.delete(group)
        self._changed("group", group=group)

    def delete_offsets(self, group: str, topic: str) -> int:
        """Refused: the client library cannot."""
        self._connection.require_writes()
        raise BrokerError("UNSUPPORTED_VERSION", missing("delete_offsets"))

    # These need a sandbox file. `capabilities` answers the pages that would use them.

    @property
    def alerts(self) -> NoReturn:
        """Always refused: it needs a sandbox file."""
        raise BrokerError("UNSUPPORTED_VERSION", missing("alerts"))

    @property
    def filters(self) -> NoReturn:
        """Always refused: it needs a sandbox file."""
        raise BrokerError("UNSUPPORTED_VERSION", missing("save_filters"))

    @property
    def queries(self) -> NoReturn:
        """Always refused: it needs a sandbox file."""
        raise BrokerError("UNSUPPORTED_VERSION", missing("sql"))

    @property
    def snapshots(self) -> NoReturn:
        """Always refused: it needs a sandbox file."""
        raise BrokerError("UNSUPPORTED_VERSION", missing("snapshots"))

    @property
    def activity(self) -> NoReturn:
        """Always refused: it needs a sandbox file."""
        raise BrokerError("UNSUPPORTED_VERSION", missing("activity"))
