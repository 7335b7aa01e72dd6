"""The interface between the pages and a sandbox or cluster. `sandbox.api.sandbox.Sandbox` implements all of it."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING, Protocol

from sandbox.kafka.event import Event, Headers, NewEvent
from sandbox.model.activity import ActivityPage, ActivityQuery, Details
from sandbox.model.alerts import FiringAlert, GroupAlert
from sandbox.model.brokers import BrokerDescription, BrokerSetting, ClientDescription, LeaderMove
from sandbox.model.capabilities import Capabilities
from sandbox.model.deserializers import Deserializer
from sandbox.model.faults import Fault, Hit
from sandbox.model.group_history import LagPoint, LagSpark, LastReset, Mark, Rates, Rebalance, RebalancePage
from sandbox.model.groups import GroupDescription, GroupSummary, ResetLine, ShareWindow
from sandbox.model.logs import AppendRate, CompactionPreview, KeyMoves, KeySample, Loss
from sandbox.model.messages import MessagePage, MessageQuery, Neighbours, Volume
from sandbox.model.overview import Change, Overview
from sandbox.model.sql_result import Bounds, SqlResult, SqlTable
from sandbox.model.topics import TopicDescription
from sandbox.model.traffic import GroupClient, ProducerFlow
from sandbox.snapshots.description import (
    Comparison,
    ForkDescription,
    Restored,
    RestoredTopic,
    RestorePreview,
    Snapshot,
    UndoPoint,
)

if TYPE_CHECKING:
    # Both backends have these same classes. Pages that don't use them don't import them.
    from sandbox.generator.generators import Generators
    from sandbox.playground.playground import Playground
    from sandbox.snapshots.events import EventDifferences

if TYPE_CHECKING:
    from sandbox.registry.registry import SchemaRegistry
    from sandbox.schemas.decoding import EventDecoder


class DemoSwitch(Protocol):
    """The demo's events and groups: `backend.demo`."""

    @property
    def state(self) -> str:
        """The state stored in the file: "never", "on", "off" or "removed"."""

    def switch_on(self) -> object:
        """Load the missing sample data, and start the demo's producers and consumers."""

    def switch_off(self) -> object:
        """Stop the demo's producers and consumers, also for the next start; its topics stay."""

    def remove(self) -> object:
        """Stop the demo, and delete its topics and groups."""


class Brokers(Protocol):
    """The simulated brokers: `backend.brokers`."""

    def list(self) -> tuple[BrokerDescription, ...]:
        """Return all brokers, up or down."""

    def settings(self) -> tuple[BrokerSetting, ...]:
        """Return the broker settings that differ from their defaults, by name."""

    def clients(self) -> tuple[ClientDescription, ...]:
        """Return all open connections of Kafka clients."""

    def producer_flows(self) -> tuple[ProducerFlow, ...]:
        """Return which clients produced to which topics since the start, sorted by client id and topic."""

    def group_clients(self) -> tuple[GroupClient, ...]:
        """Return each client and group for which the client committed offsets since the start, sorted."""

    def coordinator(self, key: str) -> int:
        """Return the broker that coordinates a group, -1 if no broker is up."""

    def preview(self, broker: int) -> tuple[LeaderMove, ...]:
        """Return the leaders that `stop` would move, or `start` if the broker is down."""

    def stop(self, broker: int) -> None:
        """Stop a broker."""

    def start(self, broker: int) -> None:
        """Start a stopped broker."""

    def move_leader(self, topic: str, partition: int, broker: int) -> None:
        """Make a broker the leader of a partition."""

    def elect_preferred_leaders(self) -> int:
        """Elect the preferred leader (the first replica) of every partition; return how many leaders moved."""


class LogOperations(Protocol):
    """Queries and operations on topic logs: `backend.logs`.

    Pages call only the methods that the backend's `Capabilities` allow: `append_rates`, `sample_keys` (also moves of
    keys), `delete_records`, `compact_now`, `apply_retention_now`.
    """

    def rates(self, topics: Collection[str]) -> dict[str, AppendRate]:
        """Return the number of events appended in the last minute, per named topic."""

    def default_settings(self) -> dict[str, str]:
        """Return the default value of each topic setting."""

    def sample_keys(self, topic: str) -> KeySample:
        """Return the most frequent keys among a topic's newest events."""

    def key_moves(self, topic: str, partitions: int) -> KeyMoves:
        """Return where a topic's keys go if it gets this many partitions."""

    def offsets_at(self, topic: str, timestamp_ms: int) -> dict[int, int]:
        """Return each partition's first offset at or after a time, or its log end offset if it has no such event."""

    def preview_delete(self, topic: str, offsets: Mapping[int, int]) -> tuple[Loss, ...]:
        """Return what `delete_records` would delete."""

    def delete_records(self, topic: str, offsets: Mapping[int, int]) -> dict[int, int]:
        """Delete all events below an offset per partition (-1: its end); return the new log start offsets."""

    def preview_retention(self, topic: str, settings: Mapping[str, str | None] | None = None) -> tuple[Loss, ...]:
        """Return what retention would delete now, or with these settings."""

    def apply_retention(self, topic: str | None = None) -> int:
        """Apply retention now; return how many offsets the logs lost."""

    def preview_compaction(self, topic: str) -> CompactionPreview:
        """Return what `compact` would do."""

    def compact(self, topic: str) -> int:
        """Compact a topic now; return the number of removed events."""


class Injected(Protocol):
    """The result of `inject`."""

    @property
    def fault(self) -> Fault:
        """The injected fault."""


class Faults(Protocol):
    """The injected faults: `backend.faults`."""

    @property
    def apis(self) -> tuple[str, ...]:
        """The names of the Kafka APIs that a fault can hit."""

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
        transaction_end_ms: int = 0,
        probability: float = 1.0,
        times: int | None = None,
    ) -> Injected:
        """Inject a fault."""

    def remove(self, id: int) -> None:
        """Remove a fault."""

    def clear(self) -> None:
        """Remove all faults."""

    def list(self) -> tuple[Fault, ...]:
        """Return all faults that were injected and not removed."""

    def hits(self) -> tuple[Hit, ...]:
        """Return the newest requests that a fault hit, in chronological order."""


class Survey(Protocol):
    """Statistics and reads over many events: `backend.survey`. The work is bounded, whatever the size of a log."""

    def volume(self, query: MessageQuery, *, budget_ms: int = 150) -> Volume:
        """Return a query's matches over time; the query's order, cursor and limit are ignored."""

    def events(self, topic: str, offsets: Mapping[int, Sequence[int]]) -> list[Event]:
        """Return the events at some offsets of each partition that are in the log: by partition, then offset."""

    def committed(self, topic: str) -> Mapping[str, Mapping[int, int]]:
        """Return group to partition to committed offset, for the groups that have committed in a topic."""

    def neighbours(self, topic: str, partition: int, offset: int) -> Neighbours:
        """Return the neighbours of an event in its partition."""


class Queries(Protocol):
    """SQL over the file: `backend.queries`."""

    def run(self, query: str, values: Mapping[str, object], bounds: Bounds) -> SqlResult:
        """Run one query, read-only.

        Raises:
            SqlRefused: the query is invalid or not allowed.
        """

    def tables(self, detailed: Iterable[str] = (), topics_max: int = 200) -> list[SqlTable]:
        """Return the tables that a query can read."""


class Snapshots(Protocol):
    """Snapshots of the file: `backend.snapshots`. The name "now" means the current file."""

    def list(self) -> tuple[Snapshot, ...]:
        """Return all snapshots, newest first."""

    def get(self, name: str) -> Snapshot:
        """Return one snapshot; BrokerError RESOURCE_NOT_FOUND if it doesn't exist."""

    def compare(self, left: str, right: str = "now") -> Comparison:
        """Compare two snapshots."""

    def compare_events(self, left: str, right: str = "now") -> "EventDifferences":
        """Return the events that differ between two snapshots."""

    def topics(self, name: str) -> tuple[TopicDescription, ...]:
        """Return the topics of a snapshot."""

    def event(self, name: str, topic: str, partition: int, offset: int) -> Event:
        """Return one event of a snapshot."""

    def restore_topic(self, name: str, topic: str) -> RestoredTopic:
        """Replace one topic by its state in a snapshot."""

    def copy_topic(self, name: str, topic: str, to: str) -> RestoredTopic:
        """Copy one topic of a snapshot to a new topic."""

    def preview_restore(self, name: str) -> RestorePreview:
        """Return what `restore` would do."""

    def restore(self, name: str) -> Restored:
        """Restore a snapshot."""

    def take(self, name: str | None = None, note: str = "") -> Snapshot:
        """Take a snapshot."""

    def before(self, action: str) -> UndoPoint:
        """Take an automatic snapshot before an action that destroys data."""

    def automatic_refusal(self) -> str | None:
        """Return why no automatic snapshot would be taken now, None if one would."""

    @property
    def upload_bytes_max(self) -> int:
        """The largest file that `add` accepts, in bytes."""

    def add(self, source: IO[bytes], name: str | None = None, note: str = "") -> Snapshot:
        """Check an uploaded file, and store it as a snapshot."""

    def rename(self, name: str, new_name: str) -> Snapshot:
        """Rename a snapshot."""

    def note(self, name: str, note: str) -> Snapshot:
        """Set a snapshot's note."""

    def delete(self, name: str) -> None:
        """Delete a snapshot."""

    def fork(self, name: str = "now") -> ForkDescription:
        """Open a copy in its own process."""

    def forks(self) -> tuple[ForkDescription, ...]:
        """Return all running forks."""

    def stop_fork(self, id: int, *, delete: bool = False) -> ForkDescription:
        """Stop a fork."""


class Filters(Protocol):
    """Named filters of Messages: `backend.filters`, if `Capabilities.save_filters`."""

    def list(self, topic: str) -> dict[str, str]:
        """Return a topic's filters: name to query string."""

    def save(self, topic: str, name: str, query: str) -> None:
        """Save a filter."""

    def delete(self, topic: str, name: str) -> None:
        """Delete a filter."""


class ShareGroups(Protocol):
    """Share groups: `backend.share_groups`, if `Capabilities.share_groups`."""

    def windows(self, group: str) -> tuple[ShareWindow, ...]:
        """Return a group's window in each partition; none if there is no such share group."""

    def release(self, group: str, topic: str, partition: int, offsets: Iterable[int]) -> int:
        """Release acquired records; return how many were acquired."""

    def archive(self, group: str, topic: str, partition: int, offsets: Iterable[int]) -> int:
        """Archive records that are not done; return how many."""


class Alerts(Protocol):
    """Alerts of groups: `backend.alerts`, if `Capabilities.alerts`."""

    def set(self, group: str, *, lag: int | None = None, age_ms: int | None = None) -> GroupAlert:
        """Set the thresholds of a group."""

    def remove(self, group: str) -> bool:
        """Remove the thresholds of a group; return False if it had none."""

    def list(self) -> tuple[GroupAlert, ...]:
        """Return the alerts, by group."""

    def firing(self) -> tuple[FiringAlert, ...]:
        """Return what is above its threshold."""

    @property
    def webhook(self) -> str | None:
        """The URL that alerts are posted to, or None."""

    @property
    def webhook_error(self) -> str | None:
        """Why the last post failed; None if it did not."""

    def set_webhook(self, url: str | None) -> None:
        """Set the URL that alerts are posted to; None for none."""


class GroupHistory(Protocol):
    """The past of groups, read from rows: `backend.group_history`; `capabilities` names the unsupported parts."""

    def lag(
        self, group: str, *, since_ms: int, points: int = 120, partitions: Sequence[tuple[str, int]] | None = None
    ) -> list[LagPoint]:
        """Return a group's lag over time, in some partitions or all."""

    def first_commit_ms(self, group: str) -> int | None:
        """Return the time of a group's first commit."""

    def rates(self, group: GroupDescription) -> Mapping[tuple[str, int], Rates]:
        """Return, for each of a group's partitions, the rate of appended events and of committed events."""

    def marks(self, group: str, points: Sequence[LagPoint], *, since_ms: int) -> list[Mark]:
        """Return a group's rebalances and resets since a time."""

    def rebalances(self, group: str, *, before: int | None = None, limit: int = 10) -> RebalancePage:
        """Return a group's rebalances, each with the one before it."""

    def last_reset(self, group: GroupDescription) -> LastReset | None:
        """Return the last reset, if the group hasn't committed since."""

    def sparks(self, groups: Iterable[GroupSummary], *, budget_ms: int = 60) -> Mapping[str, LagSpark]:
        """Return the lag of the last minutes, for as many groups as the time limit allows."""


class Activity(Protocol):
    """The activity log: `backend.activity`."""

    def read(self, query: ActivityQuery | None = None) -> ActivityPage:
        """Return one page of entries, newest first."""

    def note(self, kind: str, details: Details, *, topic: str | None = None, group: str | None = None) -> None:
        """Record an action of a page that leaves no other rows."""


class Deserializers(Protocol):
    """How topics are decoded: `backend.deserializers`."""

    def of(self, topic: str) -> Mapping[str, Deserializer]:
        """Return what was chosen for a topic, by part: "key" and "value"."""

    def set(self, topic: str, part: str, chosen: Deserializer | None) -> None:
        """Choose the deserializer of a topic's keys or values; None to decode automatically again."""


class Backend(Protocol):
    """What a page needs of a sandbox or cluster. All methods are thread-safe, and raise `BrokerError` with Kafka's
    error.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What the backend can do. A sandbox file can do everything."""

    @property
    def demo(self) -> DemoSwitch | None:
        """The demo's switch, None if the demo isn't enabled."""

    @property
    def read_only(self) -> str | None:
        """Why all changes are refused, with the way out; None if changes are allowed."""

    @property
    def trouble(self) -> str | None:
        """What currently prevents writing or reading, with the way out; None if nothing does."""

    @property
    def schema_registry(self) -> "Callable[[], SchemaRegistry] | None":
        """Returns the schema registry, which is created at its first use; None if there is none."""

    def one_view(self) -> AbstractContextManager[object]:
        """Return a context in which all reads of this thread come from one read transaction."""

    @property
    def brokers(self) -> Brokers:
        """The simulated brokers."""

    @property
    def logs(self) -> LogOperations:
        """Queries and operations on topic logs."""

    @property
    def faults(self) -> Faults:
        """The injected faults."""

    @property
    def survey(self) -> Survey:
        """Statistics and reads over many events."""

    @property
    def generators(self) -> "Generators":
        """Generators that send sample events, and their templates."""

    @property
    def playground(self) -> "Playground":
        """Consumers started from the page."""

    @property
    def queries(self) -> Queries:
        """SQL over the file."""

    @property
    def snapshots(self) -> Snapshots:
        """Snapshots of the file."""

    @property
    def alerts(self) -> Alerts:
        """Alerts of groups."""

    @property
    def filters(self) -> Filters:
        """Named filters of Messages."""

    @property
    def share_groups(self) -> ShareGroups:
        """Share groups."""

    @property
    def group_history(self) -> GroupHistory:
        """The past of groups."""

    @property
    def activity(self) -> Activity:
        """The activity log."""

    @property
    def deserializers(self) -> Deserializers:
        """How the keys and values of topics are decoded."""

    def overview(self) -> Overview:
        """Return a summary of the sandbox."""

    def topics(self) -> tuple[TopicDescription, ...]:
        """Return all topics, by name."""

    def topic(self, topic: str) -> TopicDescription:
        """Return one topic."""

    def create_topic(
        self,
        topic: str,
        *,
        partitions: int | None = None,
        settings: Mapping[str, str] | None = None,
        replication_factor: int | None = None,
    ) -> TopicDescription:
        """Create a topic."""

    def delete_topic(self, topic: str) -> None:
        """Delete a topic with all its events."""

    def create_partitions(self, topic: str, count: int) -> TopicDescription:
        """Increase a topic's partitions to `count` in total."""

    def alter_topic(self, topic: str, settings: Mapping[str, str | None]) -> None:
        """Change topic settings; None restores a setting's default."""

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
        """Append one event, and return it as stored."""

    def append_all(self, topic: str, events: Sequence[NewEvent]) -> list[tuple[int, int]]:
        """Append events in one transaction, all or none; return each one's partition and offset, in order."""

    def event(self, topic: str, partition: int, offset: int) -> Event:
        """Return one event by its address."""

    def messages(self, query: MessageQuery) -> MessagePage:
        """Return one page of events."""

    def schema_types(self, topics: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return the types of the schemas that are registered for topics; topics without one are left out."""

    def decoder(self) -> "EventDecoder":
        """Return a decoder of keys and values that a schema registry's serializers wrote, for one request."""

    def partition_for(self, topic: str, key: bytes | None, partitioner: str = "murmur2") -> int | None:
        """Return a key's partition, None if the partitioner doesn't determine one."""

    def groups(self) -> tuple[GroupDescription, ...]:
        """Return all groups."""

    def group_summaries(self) -> tuple[GroupSummary, ...]:
        """Return a summary of every group, for lists."""

    def group(self, group: str) -> GroupDescription:
        """Return one group."""

    def lag_history(self, group: str, *, since_ms: int, points: int = 120) -> list[LagPoint]:
        """Return a group's lag over time."""

    def rebalances(self, group: str, limit: int = 50) -> list[Rebalance]:
        """Return a group's latest rebalances, newest first."""

    def preview_reset(
        self, group: str, *, topic: str | None = None, partition: int | None = None, to: str
    ) -> list[ResetLine]:
        """Return what a reset would do."""

    def reset(self, group: str, *, topic: str | None = None, partition: int | None = None, to: str) -> list[ResetLine]:
        """Reset committed offsets."""

    def restore_offsets(self, group: str, offsets: Mapping[tuple[str, int], int | None]) -> int:
        """Restore committed offsets by topic and partition; None deletes one. Return how many changed. A backend
        without `Capabilities.delete_offsets` leaves those that it can't delete.
        """

    def delete_group(self, group: str) -> None:
        """Delete a group that has no members."""

    def delete_offsets(self, group: str, topic: str) -> int:
        """Delete a group's committed offsets in a topic no member reads; return the number of partitions affected."""

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call a function on each change; return a function that ends the subscription."""
