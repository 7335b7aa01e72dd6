"""Descriptions of groups: members and their names, lag, resets, and the windows of share groups (KIP-932)."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.model.lag_trend import range_of, range_text, read_position
from sandbox.model.topics import PartitionName


@dataclass(frozen=True, slots=True)
class Awaited:
    """A member that its group waits for, or that has become silent.

    Attributes:
        name: see `sandbox.model.groups`.
        what: "join" (to rejoin), "assign" (the leader's assignment), "sync" (it is in the generation, but has not
            requested its partitions), "revoke" (to release partitions), "away" (a static member that is expected to
            return), "heartbeat" (only a heartbeat).
        silent: True if it has been silent for longer than any heartbeat interval.
        heard_ms: time of its last request, None since a restart.
        session_ends_ms: when it is removed, unless it sends a request before.
        until_ms: when the group continues without it, None if only its session decides.
        session_timeout_ms: the length of its session.
        static: True for a static member, which keeps its place until its session ends.
    """

    member_id: str
    name: str
    what: str
    silent: bool
    heard_ms: int | None
    session_ends_ms: int
    until_ms: int | None
    session_timeout_ms: int
    static: bool = False

    @property
    def decided_ms(self) -> int:
        """When the wait ends at the latest, as of now: a request from the member renews its session."""
        if self.until_ms is None:
            return self.session_ends_ms
        return min(self.until_ms, self.session_ends_ms) if self.silent else self.until_ms


@dataclass(frozen=True, slots=True)
class GroupWaits:
    """The members that a group waits for, which only its coordinator knows.

    Attributes:
        awaited: sorted by the end of the wait, earliest first.
        joining: names of members that wait for their first generation: they have no rows yet.
        names: member id to name, of every member.
    """

    awaited: tuple[Awaited, ...] = ()
    joining: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """A group's progress in one partition.

    Attributes:
        committed: the committed offset, None if the group has never committed here.
        end: the high watermark, from the same read transaction.
        lag: offsets from the read position to the end (see `sandbox.model.lag_trend`); None without a commit.
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
    def uncommitted_lag(self) -> int:
        """How many offsets the log holds if the group has no commit here: it may read all of them or none
        (auto.offset.reset). 0 with a commit.
        """
        return max(0, self.end - self.start) if self.committed is None else 0

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
class GroupDescription:
    """The state of a group.

    Attributes:
        state: Kafka's name: Empty, PreparingRebalance, CompletingRebalance, Stable, Dead; in the consumer protocol also
            Assigning and Reconciling.
        protocol: the assignor.
        generation: the group epoch in the consumer protocol.
        lag: sum over partitions with a commit; None if it has never committed.
        lag_ms: the largest of its partitions; None if unknown.
        trend: one of `sandbox.model.lag_trend.TRENDS`.
        drain_ms: estimated time until caught up if draining, else None.
        type: "classic", "consumer" or "share": the protocol that its members use.
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
    trend: str
    drain_ms: int | None
    type: str = "classic"
    waits: GroupWaits | None = None
    unread: int | None = None

    @property
    def uncommitted_lag(self) -> int:
        """The sum over its partitions without a commit; see `PartitionLag.uncommitted_lag`."""
        return sum(one.uncommitted_lag for one in self.partitions)

    @property
    def uncommitted_partitions(self) -> int:
        """How many partitions of `uncommitted_lag` there are: without a commit, and not empty."""
        return sum(one.uncommitted_lag > 0 for one in self.partitions)


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
class GroupSummary:
    """A summary of one group.

    Attributes:
        state, topics, lag, uncommitted_lag, uncommitted_partitions, trend, drain_ms, type: as in `GroupDescription`.
        members: the number of members.
        places: the partitions that it reads or has committed in.
        lags: topic to its lag there, None if it has no commit in it.
        uncommitted_lags: topic to its `uncommitted_lag` there, if that is more than 0.
        unread_since_ms: when its oldest unread event was appended; None if there is none, or it is unknown.
    """

    group: str
    state: str
    members: int
    topics: tuple[str, ...]
    places: tuple[PartitionName, ...]
    lags: Mapping[str, int | None]
    lag: int | None
    unread_since_ms: int | None
    trend: str
    drain_ms: int | None
    type: str = "classic"
    uncommitted_lag: int = 0
    uncommitted_partitions: int = 0
    uncommitted_lags: Mapping[str, int] = field(default_factory=dict)


def summary_of(group: GroupDescription, now_ms: int) -> GroupSummary:
    """Return the summary of a group.

    Args:
        now_ms: when it was described, in ms since 1970.
    """
    lags: dict[str, int | None] = {}
    uncommitted: dict[str, int] = {}
    for one in group.partitions:
        if one.uncommitted_lag:
            uncommitted[one.topic] = uncommitted.get(one.topic, 0) + one.uncommitted_lag
        if one.lag is not None:
            lags[one.topic] = (lags.get(one.topic) or 0) + one.lag
        else:
            lags.setdefault(one.topic, None)
    return GroupSummary(
        group=group.group,
        state=group.state,
        members=len(group.members),
        topics=group.topics,
        places=tuple((one.topic, one.partition) for one in group.partitions),
        lags=lags,
        lag=group.lag,
        unread_since_ms=now_ms - group.lag_ms if group.lag_ms else None,
        trend=group.trend,
        drain_ms=group.drain_ms,
        type=group.type,
        uncommitted_lag=group.uncommitted_lag,
        uncommitted_partitions=group.uncommitted_partitions,
        uncommitted_lags=uncommitted,
    )


AVAILABLE, ACQUIRED, ACKNOWLEDGED, ARCHIVED = "available", "acquired", "acknowledged", "archived"


@dataclass(frozen=True, slots=True)
class ShareRecordDescription:
    """A record in the window.

    Attributes:
        state: available (again), acquired, acknowledged or archived.
        deliveries: how often it was delivered.
        member: the name of the member that has it, or had it last.
        acquired_ms: when it was delivered last.
        locked_until_ms: when its lock expires; None if it is not acquired.
    """

    offset: int
    state: str
    deliveries: int
    member: str
    acquired_ms: int
    locked_until_ms: int | None


@dataclass(frozen=True, slots=True)
class ShareWindow:
    """A share group's window in one partition.

    Attributes:
        start: the share-partition start offset: everything below it is done. None before the first fetch.
        end: no record from here on was ever delivered. None before the first fetch.
        log_end: the log end offset.
        lag: how many offsets are not done; None before the first fetch.
        records: the records in the window that were delivered at least once, by offset.
    """

    topic: str
    partition: int
    start: int | None
    end: int | None
    log_start: int
    log_end: int
    lag: int | None
    records: tuple[ShareRecordDescription, ...]

    def count(self, state: str) -> int:
        """Return the number of records in a state."""
        return sum(record.state == state for record in self.records)

    @property
    def oldest_lock_ms(self) -> int | None:
        """When the oldest lock was acquired; None if there is none."""
        return min((one.acquired_ms for one in self.records if one.state == ACQUIRED), default=None)

    @property
    def most_deliveries(self) -> int:
        """The largest delivery count of a record that is not done."""
        return max((one.deliveries for one in self.records if one.state in (AVAILABLE, ACQUIRED)), default=0)


ID_BEGIN = 8
"""Characters of a member id's unique part that distinguish members with the same client id."""
_GIVEN = re.compile(r"(.+)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
"""A member id that the coordinator generated: `group.instance.id` or client id, and a UUID."""


def member_name(member_id: str, client_id: str, instance_id: str | None = None, *, alone: bool = True) -> str:
    """Return a member's name: its instance id, its client id if that is unique, else the beginning of its member id.

    So the name can be found in a client's log.

    Args:
        client_id: "" if it has none.
        instance_id: its `group.instance.id`; None if it has none, or it is unknown. A member id that the coordinator
            generated contains it too.
        alone: False if another member has the same client id.
    """
    if instance_id is not None:
        return instance_id
    given = _GIVEN.fullmatch(member_id)
    before = given[1] if given else None
    if before and client_id and before != client_id:
        return before
    if client_id and alone:
        return client_id
    prefix = f"{client_id}-"
    unique = member_id.removeprefix(prefix) if client_id else ""
    return prefix + unique[:ID_BEGIN] if unique else member_id


def member_names(
    members: Iterable[tuple[str, str, str | None]], gone: Mapping[str, int] | None = None
) -> dict[str, str]:
    """Return names for members that are shown together.

    Args:
        members: member id, client id and `group.instance.id` (None if it has none, or it is unknown) of each.
        gone: client id to the number of other members that had it and are shown in the same place.

    Returns:
        Member id to name.
    """
    members = list(members)
    alike = Counter(client_id for _, client_id, _ in members)
    alike.update(gone or {})
    return {
        member_id: member_name(member_id, client_id, instance_id, alone=alike[client_id] == 1)
        for member_id, client_id, instance_id in members
    }
