"""Descriptions of the sandbox's state: plain values, read from one read transaction each.

The page, the command line, the `.json` addresses and the tests read them; nothing here changes anything.
"""

from dataclasses import dataclass

from sandbox.kafka.event import Event
from sandbox.model.group_waits import GroupWaits
from sandbox.model.json_conditions import Condition
from sandbox.model.lag import range_of, range_text, read_position


@dataclass(frozen=True, slots=True)
class PartitionDescription:
    """The state of a partition.

    Attributes:
        partition: 0 and up.
        start: the log start offset, the first one that can be read.
        end: the high watermark, the offset that the next event gets.
        events: the number of events; end - start if they can't be counted.
        size_bytes: the size of the record batches as produced.
        last_timestamp_ms: the timestamp of the last event, or None for an empty log.
        last_append_ms: when the last batch was written, by the broker's clock, or None.
        leader: broker id of the leader, -1 for none.
        replicas: broker ids.
        isr: broker ids of the in-sync replicas.
        counted: False if `events` counts offsets: a cluster doesn't report compacted offsets and transaction markers.
    """

    partition: int
    start: int
    end: int
    events: int
    size_bytes: int
    last_timestamp_ms: int | None
    last_append_ms: int | None
    leader: int
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    counted: bool = True

    @property
    def offsets(self) -> int:
        """How many offsets there are from the start to the end."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """The state of a topic.

    Attributes:
        topic_id: Kafka's UUID, as text.
        events: how many can be read, over all partitions.
        settings: only settings that were set for this topic.
        groups: ids of the groups that have committed here or have members reading it.
    """

    topic: str
    topic_id: str
    created_ms: int
    events: int
    size_bytes: int
    last_append_ms: int | None
    settings: dict[str, str]
    partitions: tuple[PartitionDescription, ...]
    groups: tuple[str, ...]

    @property
    def counted(self) -> bool:
        """False if `events` counts offsets."""
        return all(one.counted for one in self.partitions)

    @property
    def offsets(self) -> int:
        """How many offsets there are, over all partitions that can be read."""
        return sum(one.offsets for one in self.partitions if one.start >= 0)


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """A group's progress in one partition.

    Attributes:
        committed: the committed offset, None if the group has never committed here.
        end: the high watermark, from the same read transaction.
        lag: offsets from the read position to the end (see `sandbox.model.lag`); None without a commit.
        lag_ms: age of the oldest unread event (now minus its append time); 0 if caught up, None if unknown.
        member_id: the partition's current owner, or None.
        metadata: the commit's metadata, as sent.
        unread: events not yet read, without transaction markers and aborted events; None if they can't be counted.
    """

    topic: str
    partition: int
    start: int
    committed: int | None
    end: int
    lag: int | None
    lag_ms: int | None
    committed_ms: int | None
    metadata: str | None
    member_id: str | None
    client_id: str | None
    unread: int | None = None

    @property
    def position(self) -> int:
        """The offset from which the group reads next; the log start offset without a usable commit."""
        return self.start if self.committed is None else read_position(self.committed, self.start, self.end)

    @property
    def out_of_range(self) -> str | None:
        """ "beyond end" or "below start" if the committed offset is outside the log."""
        return range_of(self.committed, self.start, self.end)

    @property
    def out_of_range_text(self) -> str | None:
        """The same as a sentence, with the consequence."""
        return range_text(self.committed, self.start, self.end)

    @property
    def deleted_unread(self) -> int:
        """How many offsets were deleted before the group read them."""
        return max(0, self.start - self.committed) if self.committed is not None else 0


@dataclass(frozen=True, slots=True)
class MemberDescription:
    """One member of a group.

    Attributes:
        subscription: the topics that it subscribes to.
        assignment: topic to partitions.
        last_heartbeat_ms: by the broker's clock, None if unknown (after a restart).
        assignors: the assignors that it supports, in order of preference, in the classic protocol.
        epoch: its member epoch in the consumer protocol, else None.
        pattern: the regular expression that it subscribes with, in the consumer protocol, or None.
    """

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    subscription: tuple[str, ...]
    assignment: dict[str, tuple[int, ...]]
    last_heartbeat_ms: int | None
    session_timeout_ms: int
    assignors: tuple[str, ...] = ()
    epoch: int | None = None
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Rebalance:
    """One rebalance of a group, from its beginning to the assignment.

    Attributes:
        ended_ms: None while it is in progress.
        reason: in words: the members that joined, left or timed out, and the ones that the group waited for.
        assignment: name of a member (see `sandbox.model.member_names`) to "topic-partition" names, after it.
    """

    generation: int
    started_ms: int
    ended_ms: int | None
    reason: str
    members: int
    assignment: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class GroupDescription:
    """The state of a group.

    Attributes:
        state: Kafka's name: Empty, PreparingRebalance, CompletingRebalance, Stable, Dead; in the consumer protocol also
            Assigning and Reconciling.
        protocol: the assignor.
        generation: the group epoch in the consumer protocol.
        lag: sum over partitions with a commit; None if it has never committed.
        lag_ms: the largest of its partitions; None if unknown.
        word: caught up (no unread event), steady (it commits, and no unread event is older than some seconds),
            draining, growing, stalled, without members, never committed, rebalancing, out of range (a committed offset
            is outside its log).
        drain_ms: estimated time until caught up if draining, else None.
        type: "classic" or "consumer": the protocol that its members use.
        waits: the members that it waits for; None in lists, and if unknown.
        unread: sum over partitions with a commit; None if it has never committed or they can't be counted.
    """

    group: str
    state: str
    protocol_type: str
    protocol: str
    generation: int
    coordinator: int
    members: tuple[MemberDescription, ...]
    partitions: tuple[PartitionLag, ...]
    topics: tuple[str, ...]
    lag: int | None
    lag_ms: int | None
    word: str
    drain_ms: int | None
    type: str = "classic"
    waits: GroupWaits | None = None
    unread: int | None = None


@dataclass(frozen=True, slots=True)
class LagPoint:
    """Lag of one topic-partition at one moment, computed from the rows of commits and batches.

    Attributes:
        end: the log end offset then; the current log start offset if retention has deleted the batches of that time.
        lag: None before the first commit, and if the end is unknown.
        lag_ms: the age that the oldest unread event had; 0 if caught up, None if unknown.
    """

    at_ms: int
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int | None
    lag_ms: int | None = None


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """Which events to read, and in what order.

    Attributes:
        topic: the topic.
        partitions: only these; empty for all.
        order: "newest" (true time order over all partitions, latest first), "oldest" (the same, earliest first) or
            "offset" (by partition, then by ascending offset).
        from_offset: with "offset": the first offset in each partition.
        since_ms: no event with an earlier timestamp.
        until_ms: no event with this timestamp or a later one.
        key: text that the key must contain (UTF-8), None for any.
        key_exact: True if the key must equal `key`.
        value: text that the value must contain, None for any.
        headers: "name" or "name=value" each: headers that the event must have.
        conditions: conditions that the JSON in the value must meet.
        limit: events on one page, 1 to 1,000.
        cursor: the place to continue from, from `MessagePage.next` or `.previous`; None for the first page.
        budget_ms: time limit after which an incomplete search returns what it has found.
    """

    topic: str
    partitions: tuple[int, ...] = ()
    order: str = "newest"
    from_offset: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    key: str | None = None
    key_exact: bool = False
    value: str | None = None
    headers: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    limit: int = 50
    cursor: str | None = None
    budget_ms: int = 2000

    def __post_init__(self) -> None:
        # Queries are cache keys, so lists become hashable tuples.
        for name in ("partitions", "headers", "conditions"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class MessagePage:
    """One page of events, from one read transaction.

    Attributes:
        events: in the requested order.
        next: cursor of the page after this one, None if it is the last.
        previous: cursor of the page before this one, None if it is the first.
        scanned: how many events were searched.
        total: how many events the partitions hold.
        complete: False if the time budget ran out before the page was full; `next` continues from there.
        as_of: partition to high watermark in that transaction.
    """

    events: tuple[Event, ...]
    next: str | None
    previous: str | None
    scanned: int
    total: int
    complete: bool
    elapsed_ms: float
    as_of_ms: int
    as_of: dict[int, int]


@dataclass(frozen=True, slots=True)
class ResetLine:
    """The effect of a reset on one partition of a group.

    Attributes:
        before: the committed offset, None if there was none.
        after: the offset that will be committed.
        skipped: unread events that it would skip (forward reset).
        repeated: events that would be read again (backward reset).
    """

    topic: str
    partition: int
    before: int | None
    after: int
    start: int
    end: int
    lag_after: int
    skipped: int
    repeated: int


@dataclass(frozen=True, slots=True)
class BrokerDescription:
    """One simulated broker.

    Attributes:
        address: "host:port", None if its port is closed.
        leads: how many partitions it leads.
        replicas: how many partitions it has.
        out_of_sync: for how many of these it is not in the in-sync set.
    """

    broker: int
    up: bool
    address: str | None
    controller: bool
    leads: int
    replicas: int
    out_of_sync: int


@dataclass(frozen=True, slots=True)
class BrokerSetting:
    """A broker setting that differs from its default.

    Attributes:
        value: None for a secret.
        default: None if Kafka has none.
        source: Kafka's name for the source of the value: STATIC_BROKER_CONFIG for one that the broker was started with,
            DYNAMIC_DEFAULT_BROKER_CONFIG or DYNAMIC_BROKER_CONFIG for one that was altered since.
        in_effect: False if the setting is shown but has no effect here.
    """

    name: str
    value: str | None
    default: str | None
    source: str
    in_effect: bool = True


@dataclass(frozen=True, slots=True)
class LeaderMove:
    """A partition whose leader changes.

    Attributes:
        before: broker id, -1 for none.
        after: broker id, -1 for none.
    """

    topic: str
    partition: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class ApiUse:
    """How often a client used an API.

    Attributes:
        requests: the number of requests.
        mean_ms: mean time from request to response, including waits (for events, for members); None before the first
            response.
        max_ms: the longest such time.
    """

    api: str
    requests: int
    mean_ms: float | None
    max_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ClientDescription:
    """One connection of a Kafka client.

    Attributes:
        client_id: the client's `client.id`, None before its first request or if it has none.
        address: "host:port" of the client.
        broker: id of the broker that it is connected to.
        software: name and version that the client sends in ApiVersions 3 and up (KIP-511), "" if it sends none.
        apis: the APIs that it used, most frequent first.
    """

    client_id: str | None
    address: str
    broker: int
    software: str
    connected_ms: int
    apis: tuple[ApiUse, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """The sandbox as a whole.

    Attributes:
        kafka: "host:port" of the Kafka port, None if none is open.
        web: address of the page, None if none is open.
    """

    file: str
    size_bytes: int
    kafka: str | None
    web: str | None
    cluster_id: str
    version: str
    pid: int
    started_ms: int
    topics: int
    events: int
    groups: int
    as_of_ms: int


@dataclass(frozen=True, slots=True)
class Change:
    """The changes of one commit, for watchers.

    Attributes:
        kind: "events" (appended or removed), "commit" (offsets), "group" (members, state), "topics" (created,
            deleted, altered) or "cluster" (brokers, leaders, in-sync sets, faults).
        topics: names of the changed topics.
        groups: ids of the changed groups.
    """

    kind: str
    topics: frozenset[str]
    groups: frozenset[str]
    at_ms: int
