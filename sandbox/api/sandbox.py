"""The direct API: topics, events and groups of one file, without a network.

with Sandbox("dev.db") as sandbox:
    sandbox.create_topic("orders", partitions=3)
    sandbox.append("orders", '{"id": 1}', key="user-42")
    for event in sandbox.read("orders"):
        print(event.partition, event.offset, event.value)
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING

from sandbox.api.activity import ActivityControl
from sandbox.api.append import Appender, new_event
from sandbox.api.brokers import ClusterControl, with_leaders
from sandbox.api.faults import FaultControl
from sandbox.api.groups import GroupControl
from sandbox.api.lazy import Late, late_part, passed_on
from sandbox.api.overview import overview_of
from sandbox.api.users import UserControl
from sandbox.broker.logs.turn import Changes
from sandbox.kafka.errors import BrokerError, shown_name
from sandbox.kafka.event import Event, Headers, NewEvent
from sandbox.kafka.partitioner import DEFAULT_PARTITIONER, PARTITIONERS
from sandbox.model.cluster import Change, MessagePage, MessageQuery, Overview, TopicDescription
from sandbox.model.process import bind_to_process
from sandbox.model.proxy import Proxy, PublicUrl
from sandbox.runtime import clock_report
from sandbox.runtime.network import is_loopback, new_token
from sandbox.runtime.runtime import READ_ONLY, Runtime, system_clock
from sandbox.storage.log import message_rows, topic_descriptions, topics
from sandbox.storage.search import messages

if TYPE_CHECKING:
    from sandbox.api.logs import LogControl
    from sandbox.api.message_stats import Survey
    from sandbox.api.snapshots import Snapshots
    from sandbox.api.sql import SqlControl
    from sandbox.generator.generators import Generators
    from sandbox.playground.playground import Playground
    from sandbox.storage.search.search_memory import SearchMemory
    from sandbox.web.backend.backend import DemoSwitch
    from sandbox.wire.auth.listener import Listener


class Sandbox(GroupControl):
    """One sandbox file, owned by this process.

    Args:
        path: the SQLite file; it is made where it does not exist.
        settings: broker settings by Kafka's names, such as `{"num.partitions": "3"}`.
        clock: gives the time in ms since 1970; the system's where None.
        brokers: how many brokers are played, 1 to 9; see `cluster`.
        read_only: nothing in the file changes while it is open, whoever asks. It must be there.

    Raises:
        FileInUse: another process owns the file; `.owner` says which, and where it listens.
        FileRefused: it is not a sandbox file. It was not changed.
        BrokerError: INVALID_CONFIG for a setting.

    Every method may be called from any thread. What a write returns is durable and visible to everybody.
    """

    demo: "DemoSwitch | None" = None
    lacks: Mapping[str, str] = MappingProxyType({})
    logs: "LogControl" = late_part("sandbox.api.logs", "LogControl", "_runtime")
    queries: "SqlControl" = late_part("sandbox.api.sql", "SqlControl", "_runtime")
    _searches: "SearchMemory" = late_part("sandbox.storage.search.search_memory", "SearchMemory")
    survey: "Survey" = late_part("sandbox.api.message_stats", "Survey", "_runtime", "_searches")
    check = passed_on("logs.check", lambda: LogControl.check)
    sql = passed_on("queries.sql", lambda: SqlControl.sql)
    compact = passed_on("logs.compact", lambda: LogControl.compact)
    apply_retention = passed_on("logs.apply_retention", lambda: LogControl.apply_retention)
    delete_records = passed_on("logs.delete_records", lambda: LogControl.delete_records)

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
        self.cluster = ClusterControl(self._runtime)
        self.faults = FaultControl(self._runtime)
        self.inject = self.faults.inject
        self.users = UserControl(self._runtime)
        self.add_user = self.users.add
        self.activity = ActivityControl(self._runtime)
        self._broker = self._runtime.broker
        self._appender = Appender(self._broker)
        if not read_only:
            self._remove_unfinished_snapshots()

    def _remove_unfinished_snapshots(self) -> None:
        # Most files have no snapshots, and need not import them.
        file = self._runtime.database.path
        if file.with_name(file.name + "-snapshots").is_dir():
            from sandbox.snapshots.folder import SnapshotFolder

            SnapshotFolder(file).remove_parts()

    @Late
    def snapshots(self) -> "Snapshots":
        """The snapshots of the file."""
        from sandbox.api.snapshots import Snapshots

        return Snapshots(self._runtime, self.activity.note)

    @Late
    def playground(self) -> "Playground":
        """Consumers started in any group."""
        from sandbox.playground.playground import Playground

        return Playground(self, self._connection, self._runtime.clock)

    @Late
    def generators(self) -> "Generators":
        """What writes made-up events."""
        from sandbox.api.templates import FileTemplates
        from sandbox.generator.generators import Generators

        return Generators(self, FileTemplates(self._runtime), self._runtime.clock, self.activity.note)

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the ports and the file. May be called again."""
        for name in ("playground", "generators", "snapshots"):
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
    ) -> None:
        """Open the Kafka port and the page; PortInUse where a port is taken.

        Args:
            host: the address to listen on. Anything but loopback lets other machines in: the page then asks for a
                token, the Kafka port for nothing.
            kafka_port: 0 picks one (the one of the last time where it is free); None opens none.
            web_port: 0 picks one; None opens none.
            listeners: more ways in for Kafka clients, with TLS, a log-in (`add_user`), or both.
            web_token: what the page asks for; None for nothing, or for one that is made where others can reach it.
            public_url: the address that browsers use if a reverse proxy stands before the page, such as
                https://kafka.example.org/sandbox. ValueError if it is not one.
            trust_forwarded: believe X-Forwarded-Host and X-Forwarded-Proto, which a proxy must then set.
        """
        proxy = Proxy(None if public_url is None else PublicUrl.parse(public_url), trust_forwarded)
        private = is_loopback(host) and (proxy.url is None or is_loopback(proxy.url.host))
        self._runtime.web_token = web_token or (None if private else new_token())
        self._runtime.web_proxy = proxy
        self._runtime.serve(host, kafka_port, web_port, self, listeners)

    @property
    def trouble(self) -> str | None:
        """What is wrong with the file, its disk or the system clock, and the way out; None if nothing is wrong."""
        watch = self._runtime.watch
        if watch.trouble:
            return f"{watch.trouble} {watch.means}"
        return clock_report.trouble(self._runtime.broker.age_hold)

    def _connection(self) -> dict[str, str] | None:
        return {"bootstrap.servers": self.kafka_address} if self.kafka_address else None

    @property
    def kafka_address(self) -> str | None:
        """Where Kafka clients connect, "host:port"; None where no port is open."""
        return self._runtime.kafka_address

    @property
    def listener_addresses(self) -> dict[str, str]:
        """The security protocol of each listener beside the Kafka port, to "host:port"."""
        return dict(self._runtime.listener_addresses)

    @property
    def web_token(self) -> str | None:
        """What the page asks for: open `web_address` + "/?token=" and this once. None where it asks for nothing."""
        return self._runtime.web_token

    @property
    def public_url(self) -> str | None:
        """The address that browsers use through a proxy; None if they reach `web_address` itself."""
        url = self._runtime.web_proxy.url
        return None if url is None else str(url)

    @property
    def web_address(self) -> str | None:
        """Where the page is, "http://host:port"; None where no port is open."""
        return self._runtime.web_address

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
            partitions: 1 and up; `num.partitions` where None.
            settings: topic settings by Kafka's names.
            replication_factor: 1 to the number of brokers; `default.replication.factor` where None.

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
        """Every topic, by name."""
        with self._database.reader() as reader:
            found = topic_descriptions.describe_topics(reader)
        return tuple(with_leaders(self._runtime, one) for one in found)

    def topic(self, topic: str) -> TopicDescription:
        """One topic; BrokerError UNKNOWN_TOPIC_OR_PARTITION where there is none."""
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
        """Give a topic `count` partitions in all. Keys may go elsewhere from now on; events stay where they are."""
        self._runtime.call(lambda now_ms: self._broker.create_partitions(topic, count))
        return self.topic(topic)

    def alter_topic(self, topic: str, settings: Mapping[str, str | None]) -> None:
        """Change settings of a topic; None takes one back to its default."""
        self._runtime.call(lambda now_ms: self._broker.alter_topic(topic, settings))

    # Events

    def partition_for(self, topic: str, key: bytes | None, partitioner: str = DEFAULT_PARTITIONER) -> int | None:
        """The partition that a key goes to.

        Args:
            partitioner: a name of `sandbox.kafka.partitioner.PARTITIONERS`.

        Returns:
            None where the partitioner leaves the choice open, as for an event without a key.
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
            topic: created on first use where `auto.create.topics.enable` is true, as it is.
            value: bytes, text (UTF-8), or None for a tombstone.
            key: bytes, text or None; it chooses the partition (murmur2, as the Java clients do).
            headers: pairs, or a mapping.
            timestamp_ms: ms since 1970; now where None.
            partition: a fixed one; None lets the key choose, or round robin where there is none.

        Raises:
            BrokerError: MESSAGE_TOO_LARGE, UNKNOWN_TOPIC_OR_PARTITION, INVALID_TIMESTAMP, INVALID_RECORD,
                KAFKA_STORAGE_ERROR.
        """
        new = new_event(value, key, headers, timestamp_ms, partition)
        return self._runtime.call(lambda now_ms: self._appender.append_one(topic, new, now_ms))

    def append_all(self, topic: str, events: Sequence[NewEvent]) -> list[tuple[int, int]]:
        """Append events in one commit, all or none of them; partition and offset of each, in their order."""
        return self._runtime.call(lambda now_ms: self._appender.append(topic, list(events), now_ms))

    def append_many(self, topic: str, events: Iterable[NewEvent], *, chunk: int = 2000) -> int:
        """Append many events, `chunk` (1 and up) of them in one commit; nobody else is served during one.

        Returns:
            How many were appended. Where one is refused, those of earlier chunks stay, and none of its own does.
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
    ) -> list[Event]:
        """Read events.

        Args:
            partition: only this one.
            offset: from this offset on, in offset order, partition by partition.
            since_ms: only with this timestamp or a later one.
            newest_first: in true time order over all partitions, the latest first; else the earliest first.
            limit: at most so many, 1 and up.
        """
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
        """One event by its address; BrokerError OFFSET_OUT_OF_RANGE says whether it is gone or not yet written."""
        with self._database.reader() as reader:
            return messages.read_event(reader, topic, partition, offset)

    def messages(self, query: MessageQuery) -> MessagePage:
        """One page of events."""
        with self._database.reader() as reader:
            return self._searches.page(reader, query, self._runtime.clock())

    def start_offsets(self, topic: str) -> dict[int, int]:
        """Partition to log start offset."""
        return {one.partition: one.start for one in self.topic(topic).partitions}

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Partition to high watermark: the offset that the next event gets."""
        return {one.partition: one.end for one in self.topic(topic).partitions}

    def offsets_for_time(self, topic: str, timestamp_ms: int) -> dict[int, int | None]:
        """Partition to the offset of the first event at or after a time, None where there is none."""
        with self._database.reader() as reader:
            return messages.offsets_for_time(reader, topic, timestamp_ms)

    # The sandbox itself

    def one_view(self) -> AbstractContextManager[object]:
        """A context in which everything that this thread reads comes from one read transaction."""
        return self._database.reader()

    def overview(self) -> Overview:
        """The sandbox as a whole."""
        return overview_of(self._runtime)

    def setting(self, name: str) -> str | None:
        """A setting of the file itself, None where it was never set."""
        with self._database.reader() as reader:
            return topics.load_setting(reader, name)

    def set_setting(self, name: str, value: str) -> None:
        """Set a setting of the file itself."""
        self._runtime.call(lambda now_ms: topics.save_file_setting(self._database, name, value))

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` after each commit that changed something, on the thread that committed. It must be quick.

        Returns:
            What ends it.
        """

        def tell(changes: Changes) -> None:
            for change in changes.told(self._runtime.clock()):
                callback(change)

        return self._broker.subscribe(tell)
