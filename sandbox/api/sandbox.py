"""The direct API: topics, events and groups of one file, without a network.

with Sandbox("dev.db") as sandbox:
    sandbox.create_topic("orders", partitions=3)
    sandbox.append("orders", '{"id": 1}', key="user-42")
    for event in sandbox.read("orders"):
        print(event.partition, event.offset, event.value)
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import TYPE_CHECKING

from sandbox.api.activity import SandboxActivity
from sandbox.api.append import Appender, new_event
from sandbox.api.brokers import SandboxBrokers, with_leaders
from sandbox.api.faults import SandboxFaults
from sandbox.api.groups import SandboxGroups
from sandbox.api.lazy import Late, late_part, passed_on
from sandbox.api.users import SandboxUsers
from sandbox.broker.logs.turn import Changes
from sandbox.kafka.errors import BrokerError, shown_name
from sandbox.kafka.event import Event, Headers, NewEvent
from sandbox.kafka.partitioner import DEFAULT_PARTITIONER, PARTITIONERS
from sandbox.model.capabilities import Capabilities
from sandbox.model.file_path import shown_path
from sandbox.model.messages import MessagePage, MessageQuery
from sandbox.model.overview import Change, ClientSecurity, Overview
from sandbox.model.process import bind_to_process
from sandbox.model.proxy import Proxy, PublicUrl
from sandbox.model.registry import CONFLICT_CODES
from sandbox.model.topics import TopicDescription
from sandbox.runtime import clock
from sandbox.runtime.ports import is_loopback, new_token
from sandbox.runtime.runtime import READ_ONLY, Runtime, system_clock
from sandbox.storage.log import message_rows, topic_descriptions, topics
from sandbox.storage.search import messages
from sandbox.version import __version__

if TYPE_CHECKING:
    from sandbox.api.alerts import SandboxAlerts
    from sandbox.api.clock import SandboxClock
    from sandbox.api.deserializers import SandboxDeserializers
    from sandbox.api.filters import SandboxFilters
    from sandbox.api.groups import SandboxShareGroups
    from sandbox.api.log_operations import SandboxLogOperations
    from sandbox.api.snapshots import SandboxSnapshots
    from sandbox.api.sql import SandboxQueries
    from sandbox.api.survey import SandboxSurvey
    from sandbox.generator.generators import Generators
    from sandbox.model.activity import Details
    from sandbox.playground.playground import Playground
    from sandbox.registry.registry import SchemaRegistry
    from sandbox.schemas.decoding import EventDecoder
    from sandbox.schemas.encoding import EventEncoder
    from sandbox.storage.search.search_memory import SearchMemory
    from sandbox.web.backend import DemoSwitch
    from sandbox.wire.auth.listener import Advertised, Listener


class Sandbox(SandboxGroups):
    """One sandbox file, owned by this process. All methods are thread-safe.

    Args:
        path: the SQLite file; created if it doesn't exist.
        settings: broker settings by Kafka's names, such as `{"num.partitions": "3"}`.
        clock: returns the time in ms since 1970; None for the system clock.
        brokers: number of simulated brokers, 1 to 9; see `brokers`.
        read_only: True if nothing may change in the file while it is open. The file must exist.

    Raises:
        FileInUse: another process owns the file; `.owner` has its process id and addresses.
        FileRefused: it is not a sandbox file. It was not changed.
        BrokerError: INVALID_CONFIG for a setting.

    Once a write returns, its result is durable and visible to everybody.
    """

    demo: "DemoSwitch | None" = None
    capabilities = Capabilities()
    logs: "SandboxLogOperations" = late_part("sandbox.api.log_operations", "SandboxLogOperations", "_runtime")
    queries: "SandboxQueries" = late_part("sandbox.api.sql", "SandboxQueries", "_runtime")
    _searches: "SearchMemory" = late_part("sandbox.storage.search.search_memory", "SearchMemory")
    survey: "SandboxSurvey" = late_part("sandbox.api.survey", "SandboxSurvey", "_runtime", "_searches", "decoder")
    share_groups: "SandboxShareGroups" = late_part("sandbox.api.groups", "SandboxShareGroups", "_runtime")
    deserializers: "SandboxDeserializers" = late_part("sandbox.api.deserializers", "SandboxDeserializers", "_runtime")
    filters: "SandboxFilters" = late_part("sandbox.api.filters", "SandboxFilters", "_runtime")
    clock: "SandboxClock" = late_part("sandbox.api.clock", "SandboxClock", "_runtime")
    check = passed_on("logs.check", lambda: SandboxLogOperations.check)
    sql = passed_on("queries.sql", lambda: SandboxQueries.sql)
    compact = passed_on("logs.compact", lambda: SandboxLogOperations.compact)
    apply_retention = passed_on("logs.apply_retention", lambda: SandboxLogOperations.apply_retention)
    delete_records = passed_on("logs.delete_records", lambda: SandboxLogOperations.delete_records)

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        settings: Mapping[str, str] | None = None,
        clock: Callable[[], int] | None = None,
        brokers: int = 1,
        read_only: bool = False,
    ) -> None:
        bind_to_process(self)
        super().__init__(Runtime(path, settings or {}, clock or system_clock, brokers, read_only))
        self.read_only: str | None = READ_ONLY if read_only else None
        self.brokers = SandboxBrokers(self._runtime)
        self.faults = SandboxFaults(self._runtime)
        self.inject = self.faults.inject
        self.users = SandboxUsers(self._runtime)
        self.add_user = self.users.add
        self.activity = SandboxActivity(self._runtime)
        self._broker = self._runtime.broker
        self._appender = Appender(self._broker)
        if not read_only:
            self._remove_unfinished_snapshots()

    def _remove_unfinished_snapshots(self) -> None:
        # Most files have no snapshots, and don't need this import.
        file = self._runtime.database.path
        if file.with_name(file.name + "-snapshots").is_dir():
            from sandbox.snapshots.folder import SnapshotFolder

            SnapshotFolder(file).remove_parts()

    @Late
    def snapshots(self) -> "SandboxSnapshots":
        """The snapshots of the file."""
        from sandbox.api.snapshots import SandboxSnapshots

        return SandboxSnapshots(self._runtime, self.activity.note, self)

    @Late
    def schemas(self) -> "SchemaRegistry":
        """The schema registry of the file."""
        from sandbox.registry.registry import SchemaRegistry

        runtime = self._runtime
        return SchemaRegistry(
            runtime.database,
            runtime.call,
            self._broker.cluster_id,
            lambda: runtime.registry_conflict_code,
            self._record_schema_change,
        )

    def _record_schema_change(self, details: "Details") -> None:
        turn = self._broker.turn
        turn.changes.schemas = True
        turn.note("schema", details)

    def schema_types(self, topics: Collection[str]) -> dict[str, list[str]]:
        """Return the types of the schemas that are registered for topics, their keys' first, by the TopicNameStrategy.

        Topics without a schema are left out.
        """
        from sandbox.storage.registry import formats_of_topics

        with self._database.reader() as reader:
            return formats_of_topics(reader, topics)

    def decoder(self) -> "EventDecoder":
        """Return a decoder of keys and values, for one page or one task."""
        from sandbox.registry.decoding import registry_decoder

        return registry_decoder(self._database.reader)

    def encoder(self, schema: str) -> "EventEncoder":
        """Return an encoder of JSON values with a schema of the registry, framed as Confluent's serializers do.

            sandbox.append("orders", sandbox.encoder("orders-value").encode({"id": 7}))

        Args:
            schema: `SUBJECT` for its latest version, or `SUBJECT:VERSION`; `#MESSAGE` names a Protobuf message.

        Raises:
            InvalidValue: it is not registered, or can't be parsed.
            MissingLibrary: the format's library is not installed.
        """
        from sandbox.registry.encoding import registry_encoder
        from sandbox.schemas.encoding import parse_schema_name

        with self.schemas.rows() as rows:
            return registry_encoder(rows, parse_schema_name(schema))

    def schema_registry(self) -> "SchemaRegistry":
        """Return the schema registry, for the servers."""
        return self.schemas

    @Late
    def alerts(self) -> "SandboxAlerts":
        """The alerts of groups, kept in the file."""
        from sandbox.api.alerts import SandboxAlerts

        return SandboxAlerts(self._runtime, self.group_summaries)

    @Late
    def playground(self) -> "Playground":
        """Consumers that run in any group."""
        from sandbox.playground.playground import Playground

        return Playground(self, self._connection, self._runtime.clock)

    @Late
    def generators(self) -> "Generators":
        """Generators of random events."""
        from sandbox.api.templates import FileTemplates
        from sandbox.generator.generators import Generators

        return Generators(
            self, FileTemplates(self._runtime), self._runtime.clock, self.activity.note, encoders=self.encoder
        )

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the ports and the file. Idempotent."""
        for name in ("alerts", "playground", "generators", "snapshots"):
            if name in vars(self):
                getattr(self, name).close()
        self._runtime.close()

    def serve(
        self,
        *,
        host: str = "127.0.0.1",
        kafka_port: int | None = 9092,
        web_port: int | None = 8080,
        listeners: "Sequence[Listener]" = (),
        web_token: str | None = None,
        public_url: str | None = None,
        trust_forwarded: bool = False,
        advertised: "Advertised | None" = None,
        registry_port: int | Sequence[int] | None = 0,
        registry_conflict_code: int = 409,
    ) -> None:
        """Open the ports of Kafka, the page and the schema registry. Raises PortInUse if one is taken.

        Args:
            host: the address to listen at. If it isn't loopback, other machines can connect: the page then requires a
                token, the Kafka port requires nothing.
            kafka_port: 0 picks one (the last start's port if it is free); None opens none.
            web_port: 0 picks one; None opens none.
            listeners: additional listeners for Kafka clients, with TLS, authentication (`add_user`), or both.
            web_token: the page's token; None for none, or for a generated one if other machines can connect.
            public_url: the page's URL behind a reverse proxy, such as https://kafka.example.org/sandbox. An invalid
                one raises ValueError.
            trust_forwarded: True uses X-Forwarded-Host and X-Forwarded-Proto, which a proxy must then set.
            advertised: the address that clients of the Kafka port get; None for the one that they connected to.
            registry_port: 0 picks one; several are tried in their order; None opens none. It costs nothing until a
                client connects. The page's port has the registry too, at /registry.
            registry_conflict_code: the registry's error code for a schema that is not compatible, 409 or 40901.
        """
        if registry_conflict_code not in CONFLICT_CODES:
            raise ValueError(f"registry_conflict_code is 409 or 40901, not {registry_conflict_code}")
        self._runtime.registry_conflict_code = registry_conflict_code
        proxy = Proxy(None if public_url is None else PublicUrl.parse(public_url), trust_forwarded)
        private = is_loopback(host) and (proxy.url is None or is_loopback(proxy.url.host))
        self._runtime.web_token = web_token or (None if private else new_token())
        self._runtime.web_proxy = proxy
        ports = () if registry_port is None else (registry_port,) if isinstance(registry_port, int) else registry_port
        self._runtime.serve(host, kafka_port, web_port, self, listeners, advertised, ports)
        if self.setting("group.alerts"):
            self.alerts.watch()

    def open_page(self, web_port: int = 0) -> str:
        """Open the page after `serve(web_port=None)`. Returns its URL. Raises PortInUse, or SandboxError if it is open.

        Args:
            web_port: 0 picks one.
        """
        self._runtime.open_page(self, web_port)
        return self.web_address or ""

    @property
    def trouble(self) -> str | None:
        """The trouble with the file, its disk or the system clock, and the way out; None if there is none."""
        watch = self._runtime.watch
        if watch.trouble:
            return f"{watch.trouble} {watch.means}"
        return clock.trouble(self._runtime.broker.age_hold)

    def _connection(self) -> dict[str, str] | None:
        return {"bootstrap.servers": self.kafka_address} if self.kafka_address else None

    @property
    def kafka_address(self) -> str | None:
        """The Kafka port's address, "host:port"; None if no port is open."""
        return self._runtime.kafka_address

    @property
    def listener_addresses(self) -> dict[str, str]:
        """Listener name to "host:port", for the listeners besides the Kafka port."""
        return dict(self._runtime.listener_addresses)

    @property
    def web_token(self) -> str | None:
        """The page's token, to open once as `web_address` + "/?token=" + token. None if the page requires none."""
        return self._runtime.web_token

    @property
    def public_url(self) -> str | None:
        """The page's URL behind a proxy; None if browsers use `web_address`."""
        url = self._runtime.web_proxy.url
        return None if url is None else str(url)

    @property
    def web_address(self) -> str | None:
        """The page's URL, "http://host:port"; None if no port is open."""
        return self._runtime.web_address

    @property
    def registry_address(self) -> str | None:
        """The schema registry's URL, "http://host:port"; None if no port is open."""
        return self._runtime.registry_address

    # Topics

    def create_topic(
        self,
        topic: str,
        *,
        partitions: int | None = None,
        settings: Mapping[str, str] | None = None,
        replication_factor: int | None = None,
    ) -> TopicDescription:
        """Create a topic.

        Args:
            topic: 1 to 249 letters, digits, ".", "_" and "-".
            partitions: 1 and up; None for `num.partitions`.
            settings: topic settings by Kafka's names.
            replication_factor: 1 to the number of brokers; None for `default.replication.factor`.

        Raises:
            BrokerError: TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_PARTITIONS, INVALID_CONFIG,
                INVALID_REPLICATION_FACTOR.
        """
        count, replicas = (-1 if wanted is None else wanted for wanted in (partitions, replication_factor))
        self._runtime.call(
            lambda now_ms: self._broker.create_topic(
                topic, now_ms, partitions=count, replication_factor=replicas, settings=settings
            )
        )
        return self.topic(topic)

    def topics(self) -> tuple[TopicDescription, ...]:
        """Return all topics, by name."""
        with self._database.reader() as reader:
            found = topic_descriptions.describe_topics(reader)
        return tuple(with_leaders(self._runtime, one) for one in found)

    def topic(self, topic: str) -> TopicDescription:
        """Return one topic. Raises BrokerError UNKNOWN_TOPIC_OR_PARTITION if it doesn't exist."""
        with self._database.reader() as reader:
            found = topic_descriptions.describe_topics(reader, topic)
        if not found:
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic {shown_name(topic)}.")
        return with_leaders(self._runtime, found[0])

    def delete_topic(self, topic: str) -> None:
        """Delete a topic, its events and the offsets committed in it."""

        def delete(now_ms: int) -> None:
            self._broker.delete_topic(topic, now_ms)
            self._runtime.coordinator.remove_topic(topic)

        self._runtime.call(delete)

    def create_partitions(self, topic: str, count: int) -> TopicDescription:
        """Increase a topic's partitions to a total of `count`. New events of a key may go to another partition."""
        self._runtime.call(lambda now_ms: self._broker.create_partitions(topic, count))
        return self.topic(topic)

    def alter_topic(self, topic: str, settings: Mapping[str, str | None]) -> None:
        """Change settings of a topic; None resets a setting to its default."""
        self._runtime.call(lambda now_ms: self._broker.alter_topic(topic, settings))

    # Events

    def partition_for(self, topic: str, key: bytes | None, partitioner: str = DEFAULT_PARTITIONER) -> int | None:
        """Return the partition of a key.

        Args:
            partitioner: a name of `sandbox.kafka.partitioner.PARTITIONERS`.

        Returns:
            None if the partitioner may choose any, as for an event without a key.
        """
        if partitioner not in PARTITIONERS:
            raise BrokerError("INVALID_REQUEST", f"A partitioner is one of {', '.join(PARTITIONERS)}.")
        return PARTITIONERS[partitioner].partition_for(key, len(self._broker.topic(topic).partitions))

    def append(
        self,
        topic: str,
        value: bytes | str | None,
        *,
        key: bytes | str | None = None,
        headers: Headers | Mapping[str, bytes | str | None] = (),
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> Event:
        """Append one event, and return it as stored.

        Args:
            topic: created on first use if `auto.create.topics.enable` is true (the default).
            value: bytes, text (UTF-8), or None for a tombstone.
            key: bytes, text or None; it chooses the partition (murmur2, like the Java clients).
            headers: pairs, or a mapping.
            timestamp_ms: ms since 1970; None for now.
            partition: the partition; None if the key chooses, or round robin without a key.

        Raises:
            BrokerError: MESSAGE_TOO_LARGE, UNKNOWN_TOPIC_OR_PARTITION, INVALID_TIMESTAMP, INVALID_RECORD,
                KAFKA_STORAGE_ERROR.
        """
        new = new_event(value, key, headers, timestamp_ms, partition)
        return self._runtime.call(lambda now_ms: self._appender.append_one(topic, new, now_ms))

    def append_all(self, topic: str, events: Sequence[NewEvent]) -> list[tuple[int, int]]:
        """Append events in one commit, all or none. Returns each event's partition and offset, in the same order."""
        return self._runtime.call(lambda now_ms: self._appender.append(topic, list(events), now_ms))

    def append_many(self, topic: str, events: Iterable[NewEvent], *, chunk: int = 2000) -> int:
        """Append many events, `chunk` (1 and up) per commit. Other requests wait during a commit.

        Returns:
            The number of appended events. If one is refused, earlier chunks stay, and nothing of its chunk is stored.
        """
        if chunk < 1:
            raise ValueError(f"a chunk is 1 event or more, not {chunk}")
        count = 0
        source = iter(events)
        while batch := list(islice(source, chunk)):
            self._runtime.call(lambda now_ms, batch=batch: self._appender.write(topic, batch, now_ms))  # type: ignore[misc]
            count += len(batch)
        return count

    def read(
        self,
        topic: str,
        *,
        partition: int | None = None,
        offset: int | None = None,
        since_ms: int | None = None,
        newest_first: bool = False,
        limit: int = 100,
        decode: bool = False,
    ) -> list[Event]:
        """Read events.

        Args:
            partition: only this one.
            offset: from this offset on, in offset order, partition by partition.
            since_ms: only events with this timestamp or a later one.
            newest_first: True sorts by time over all partitions, newest first; False oldest first.
            limit: maximum number of events, 1 and up.
            decode: True returns keys and values that a schema registry's serializers wrote as JSON text; bytes whose
                schema is not registered, or that do not fit it, stay as they are.
        """
        if decode:
            plain = self.read(
                topic,
                partition=partition,
                offset=offset,
                since_ms=since_ms,
                newest_first=newest_first,
                limit=limit,
            )
            return self.decoder().decoded_events(plain)
        if offset is not None and since_ms is None:
            with self._database.reader() as reader:
                return message_rows.read_from(reader, topic, partition, offset, limit)
        order = "newest" if newest_first else "oldest"
        found: list[Event] = []
        cursor: str | None = None
        while len(found) < limit:
            query = MessageQuery(
                topic,
                partitions=() if partition is None else (partition,),
                order=order,
                from_offset=offset,
                since_ms=since_ms,
                limit=min(1000, limit - len(found)),
                cursor=cursor,
            )
            page = self.messages(query)
            found.extend(page.events)
            cursor = page.next
            if cursor is None:
                break
        return found

    def event(self, topic: str, partition: int, offset: int) -> Event:
        """Return one event. BrokerError OFFSET_OUT_OF_RANGE states whether it was deleted or isn't written yet."""
        with self._database.reader() as reader:
            return messages.read_event(reader, topic, partition, offset)

    def messages(self, query: MessageQuery) -> MessagePage:
        """Return one page of events."""
        with self._database.reader() as reader:
            return self._searches.page(reader, query, self._runtime.clock(), self.decoder())

    def start_offsets(self, topic: str) -> dict[int, int]:
        """Return partition to log start offset."""
        return {one.partition: one.start for one in self.topic(topic).partitions}

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return partition to high watermark: the offset of the next event."""
        return {one.partition: one.end for one in self.topic(topic).partitions}

    def offsets_for_time(self, topic: str, timestamp_ms: int) -> dict[int, int | None]:
        """Return partition to the offset of the first event at or after a time, None if there is no such event."""
        with self._database.reader() as reader:
            return messages.offsets_for_time(reader, topic, timestamp_ms)

    # The sandbox itself

    def one_view(self) -> AbstractContextManager[object]:
        """A context in which everything that this thread reads comes from one read transaction."""
        return self._database.reader()

    def overview(self) -> Overview:
        """Return the summary of the sandbox."""
        return overview_of(self._runtime)

    def setting(self, name: str) -> str | None:
        """Return a setting of the file itself, or None if it isn't set."""
        with self._database.reader() as reader:
            return topics.load_setting(reader, name)

    def set_setting(self, name: str, value: str) -> None:
        """Set a setting of the file itself."""
        self._runtime.call(lambda now_ms: topics.save_file_setting(self._database, name, value))

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` after each commit that changed something, on the committing thread. It must be fast.

        Returns:
            A function that unsubscribes it.
        """

        def tell(changes: Changes) -> None:
            for change in changes.told(self._runtime.clock()):
                callback(change)

        return self._broker.subscribe(tell)


def overview_of(runtime: Runtime) -> Overview:
    """Return the summary of a sandbox."""
    with runtime.database.reader() as reader:
        topics, groups, events = topic_descriptions.totals(reader)
    listener, security = runtime.secured_by, None
    if listener is not None and (listener.has_tls or listener.has_sasl):
        security = ClientSecurity(listener.protocol, listener.mechanisms[0] if listener.has_sasl else "")
    return Overview(
        file=shown_path(runtime.database.path),
        size_bytes=runtime.database.size_bytes(),
        kafka=runtime.kafka_address or next(iter(runtime.listener_addresses.values()), None),
        web=runtime.web_address,
        cluster_id=runtime.broker.cluster_id,
        version=__version__,
        pid=os.getpid(),
        started_ms=runtime.started_ms,
        topics=topics,
        events=events,
        groups=groups,
        as_of_ms=runtime.clock(),
        security=security,
    )
