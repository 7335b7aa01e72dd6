"""What the page asks of a sandbox. `sandbox.api.sandbox.Sandbox` has all of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import IO, Protocol

from sandbox.kafka.event import Event, Headers, NewEvent
from sandbox.model.activity import ActivityPage, ActivityQuery
from sandbox.model.cluster import (
    BrokerDescription,
    BrokerSetting,
    Change,
    ClientDescription,
    GroupDescription,
    LagPoint,
    LeaderMove,
    MessagePage,
    MessageQuery,
    Overview,
    Rebalance,
    ResetLine,
    TopicDescription,
)
from sandbox.model.faults import Fault, Hit
from sandbox.model.group_history import LastReset, Mark, Rates, RebalancePage, Spark
from sandbox.model.group_summary import GroupSummary
from sandbox.model.message_stats import Neighbours, Volume
from sandbox.model.sql_result import Bounds, SqlResult, SqlTable
from sandbox.snapshots.description import (
    Comparison,
    ForkDescription,
    Restored,
    RestorePreview,
    Snapshot,
    UndoPoint,
)
from sandbox.web.backend.generators import EventGenerators
from sandbox.web.backend.logs import LogOperations
from sandbox.web.backend.playground import Playing


class DemoSwitch(Protocol):
    """The demo's events and groups, where they were asked for: `backend.demo`, or absent."""

    @property
    def state(self) -> str:
        """What the file says: "never", "on", "off" or "removed"."""

    def switch_on(self) -> object:
        """Load the samples where they are missing, and set its producers and consumers to work."""

    def switch_off(self) -> object:
        """Stop its producers and consumers, also for the next start; its topics stay."""

    def remove(self) -> object:
        """Stop it, and delete its topics and groups."""


class Brokers(Protocol):
    """The simulated brokers: `backend.cluster`."""

    def brokers(self) -> tuple[BrokerDescription, ...]:
        """Every broker, up or down."""

    def settings(self) -> tuple[BrokerSetting, ...]:
        """The broker settings that have not their default, by name."""

    def clients(self) -> tuple[ClientDescription, ...]:
        """Every open connection of a Kafka client."""

    def coordinator(self, key: str) -> int:
        """The broker that coordinates a group, -1 where none is up."""

    def preview(self, broker: int) -> tuple[LeaderMove, ...]:
        """The leaders that `stop` would move, or `start` where the broker is down."""

    def stop(self, broker: int) -> None:
        """Stop a broker."""

    def start(self, broker: int) -> None:
        """Start it again."""

    def move_leader(self, topic: str, partition: int, broker: int) -> None:
        """Make a broker the leader of a partition."""

    def prefer_leaders(self) -> int:
        """Give every partition back to the first of its replicas; how many moved."""


class Injected(Protocol):
    """What `inject` gives back."""

    @property
    def fault(self) -> Fault:
        """The fault that began."""


class FaultList(Protocol):
    """What is made to go wrong: `backend.faults`."""

    @property
    def apis(self) -> tuple[str, ...]:
        """Kafka's names of the APIs that a fault can hit."""

    def inject(
        self,
        api: str | None = None,
        *,
        topic: str | None = None,
        client_id: str | None = None,
        broker: int | None = None,
        latency_ms: int = 0,
        error: str | None = None,
        drop: bool = False,
        throttle_ms: int = 0,
        probability: float = 1.0,
        times: int | None = None,
    ) -> Injected:
        """Let requests go wrong from now on."""

    def remove(self, id: int) -> None:
        """End a fault."""

    def clear(self) -> None:
        """End all faults."""

    def list(self) -> tuple[Fault, ...]:
        """Every fault that was injected and not removed."""

    def hits(self) -> tuple[Hit, ...]:
        """The newest requests that were hit, oldest of them first."""


class Survey(Protocol):
    """What is told of many events at once: `backend.survey`. Each is bounded work, whatever the size of a log."""

    def volume(self, query: MessageQuery, *, budget_ms: int = 150) -> Volume:
        """How the events that a query finds lie in time; its order, cursor and limit do not matter."""

    def events(self, topic: str, offsets: Mapping[int, Sequence[int]]) -> list[Event]:
        """The events at some offsets of each partition, as far as they are in the log: by partition, then offset."""

    def committed(self, topic: str) -> Mapping[str, Mapping[int, int]]:
        """Group to partition to committed offset, of the groups that have committed in a topic."""

    def neighbours(self, topic: str, partition: int, offset: int) -> Neighbours:
        """What lies beside an event in its partition."""


class Queries(Protocol):
    """SQL over the file: `backend.queries`."""

    def run(self, query: str, values: Mapping[str, object], bounds: Bounds) -> SqlResult:
        """Run one query, read-only; raises `SqlRefused`."""

    def tables(self, detailed: Iterable[str] = (), topics_max: int = 200) -> list[SqlTable]:
        """What can be asked for."""


class SnapshotList(Protocol):
    """Snapshots of the file: `backend.snapshots`. "now" stands for the file as it is."""

    def list(self) -> tuple[Snapshot, ...]:
        """Every snapshot, the newest first."""

    def get(self, name: str) -> Snapshot:
        """One of them; RESOURCE_NOT_FOUND where there is none."""

    def compare(self, left: str, right: str = "now") -> Comparison:
        """What differs between two."""

    def preview_restore(self, name: str) -> RestorePreview:
        """What `restore` would do."""

    def restore(self, name: str) -> Restored:
        """Put everything back as it was."""

    def take(self, name: str | None = None, note: str = "") -> Snapshot:
        """Take one."""

    def before(self, action: str) -> UndoPoint:
        """Take an automatic one before something is destroyed."""

    def automatic_refusal(self) -> str | None:
        """Why no automatic one would be taken now."""

    @property
    def upload_bytes_max(self) -> int:
        """How large a file `add` takes."""

    def add(self, source: IO[bytes], name: str | None = None, note: str = "") -> Snapshot:
        """Take a file from elsewhere as one, after it was looked over."""

    def rename(self, name: str, new_name: str) -> Snapshot:
        """Give it another name."""

    def note(self, name: str, note: str) -> Snapshot:
        """Write about it."""

    def delete(self, name: str) -> None:
        """Delete it."""

    def fork(self, name: str = "now") -> ForkDescription:
        """Open a copy beside, in a process of its own."""

    def forks(self) -> tuple[ForkDescription, ...]:
        """Every copy that is open beside."""

    def stop_fork(self, id: int, *, delete: bool = False) -> ForkDescription:
        """End one of them."""


class GroupPast(Protocol):
    """What only rows tell of groups: `backend.group_history`; `lacks` names what is not told of it."""

    def lag(
        self, group: str, *, since_ms: int, points: int = 120, partitions: Sequence[tuple[str, int]] | None = None
    ) -> list[LagPoint]:
        """How far a group was, of some partitions or all."""

    def first_commit_ms(self, group: str) -> int | None:
        """When it first committed."""

    def rates(self, group: GroupDescription) -> Mapping[tuple[str, int], Rates]:
        """How fast events come into each of its partitions, and are committed past."""

    def marks(self, group: str, points: Sequence[LagPoint], *, since_ms: int) -> list[Mark]:
        """Its rebalances and resets since a time."""

    def rebalances(self, group: str, *, before: int | None = None, limit: int = 10) -> RebalancePage:
        """Its rebalances, each beside the one before it."""

    def last_reset(self, group: GroupDescription) -> LastReset | None:
        """The reset that it has not gone on from."""

    def sparks(self, groups: Iterable[GroupSummary], *, budget_ms: int = 60) -> Mapping[str, Spark]:
        """The lag of the last minutes, of as many groups as can be had in a time."""


class Activity(Protocol):
    """What happened: `backend.activity`."""

    def read(self, query: ActivityQuery | None = None) -> ActivityPage:
        """A part of it, newest first."""

    def note(self, kind: str, detail: str, *, topic: str | None = None, group: str | None = None) -> None:
        """Write down what was done from a page, and has no rows of its own."""


class Backend(Protocol):
    """Every method may be called from any thread, and raises `BrokerError` with Kafka's own error."""

    @property
    def lacks(self) -> Mapping[str, str]:
        """What this backend cannot do, to the sentence why, with the way out. A sandbox file lacks nothing.

        A name is that of a blueprint ("sql"), of an endpoint ("cluster.ask"), or one that only templates ask for. The
        application answers requests for the first two with the sentence.
        """

    @property
    def read_only(self) -> str | None:
        """Why nothing may be changed here, with the way out; None where it may."""

    @property
    def trouble(self) -> str | None:
        """What keeps everything from being stored or read now, with the way out; None where nothing does."""

    def one_view(self) -> AbstractContextManager[object]:
        """A context in which everything that this thread reads comes from one read transaction."""

    @property
    def cluster(self) -> Brokers:
        """The simulated brokers."""

    @property
    def logs(self) -> LogOperations:
        """What can be asked of logs and done to them."""

    @property
    def faults(self) -> FaultList:
        """What is made to go wrong."""

    @property
    def survey(self) -> Survey:
        """What is told of many events at once."""

    @property
    def generators(self) -> EventGenerators:
        """What sends made-up events, and the templates of those."""

    @property
    def playground(self) -> Playing:
        """Consumers started from the page."""

    @property
    def queries(self) -> Queries:
        """SQL over the file."""

    @property
    def snapshots(self) -> SnapshotList:
        """Snapshots of the file."""

    @property
    def group_history(self) -> GroupPast:
        """What is known of the past of groups."""

    @property
    def activity(self) -> Activity:
        """What happened."""

    def overview(self) -> Overview:
        """The sandbox as a whole."""

    def topics(self) -> tuple[TopicDescription, ...]:
        """Every topic, by name."""

    def topic(self, topic: str) -> TopicDescription:
        """One topic."""

    def create_topic(
        self,
        topic: str,
        *,
        partitions: int | None = None,
        settings: Mapping[str, str] | None = None,
        replication_factor: int | None = None,
    ) -> TopicDescription:
        """Create it."""

    def delete_topic(self, topic: str) -> None:
        """Delete it with all its events."""

    def create_partitions(self, topic: str, count: int) -> TopicDescription:
        """Give it `count` partitions in all."""

    def alter_topic(self, topic: str, settings: Mapping[str, str | None]) -> None:
        """Change settings; None takes one back to its default."""

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

    def append_all(self, topic: str, events: Sequence[NewEvent]) -> list[tuple[int, int]]:
        """Store events in one commit, all or none of them; partition and offset of each, in their order."""

    def event(self, topic: str, partition: int, offset: int) -> Event:
        """One event by its address."""

    def messages(self, query: MessageQuery) -> MessagePage:
        """One page of events."""

    def partition_for(self, topic: str, key: bytes | None, partitioner: str = "murmur2") -> int | None:
        """Where a key goes; None where the partitioner leaves the choice open."""

    def groups(self) -> tuple[GroupDescription, ...]:
        """Every group."""

    def group_summaries(self) -> tuple[GroupSummary, ...]:
        """Every group as lists show it."""

    def group(self, group: str) -> GroupDescription:
        """One group."""

    def lag_history(self, group: str, *, since_ms: int, points: int = 120) -> list[LagPoint]:
        """Its lag over time."""

    def rebalances(self, group: str, limit: int = 50) -> list[Rebalance]:
        """Its latest rebalances, newest first."""

    def preview_reset(
        self, group: str, *, topic: str | None = None, partition: int | None = None, to: str
    ) -> list[ResetLine]:
        """What a reset would do."""

    def reset(self, group: str, *, topic: str | None = None, partition: int | None = None, to: str) -> list[ResetLine]:
        """Reset committed offsets."""

    def delete_group(self, group: str) -> None:
        """Delete a group that has no members."""

    def delete_offsets(self, group: str, topic: str) -> int:
        """Delete its committed offsets in a topic that no member reads; in how many partitions there was one."""

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Be told of each change; returns what ends it."""
