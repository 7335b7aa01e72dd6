"""A cluster's groups: state, members, committed offsets, lag and trend, and resets."""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from sandbox.kafka.errors import BrokerError, shown_name
from sandbox.kafka.event import Event, EventAddress
from sandbox.model import lag_trend
from sandbox.model.groups import GroupDescription, MemberDescription, PartitionLag, ResetLine, ShareWindow
from sandbox.model.lag_trend import OUT_OF_RANGE, lag_of
from sandbox.model.topics import PartitionName
from sandbox.remote.connection import ClusterConnection
from sandbox.remote.group_history import Sampled, Samples
from sandbox.remote.logs import KEPT_S, LogEnds, Logs
from sandbox.remote.moment import Moment, Views
from sandbox.remote.reader import Stretch, read_places

REMEMBERED = 20_000
ASKED_MAX = 100
"""How many events are read for one page; the ages of the others stay unknown until the next."""
BUDGET_S = 0.8


class Ages:
    """The timestamps of events by their address.

    Args:
        connection: to the cluster.
    """

    def __init__(self, connection: ClusterConnection) -> None:
        self._connection = connection
        self._known: OrderedDict[EventAddress, int] = OrderedDict()
        self._empty: OrderedDict[tuple[EventAddress, int], None] = OrderedDict()
        self._lock = threading.Lock()

    def timestamps(self, wanted: Iterable[tuple[EventAddress, int]]) -> dict[EventAddress, int | None]:
        """Return the timestamps of the events at some addresses, without the events that have none.

        If the address is a gap (compaction, a transaction marker), the partition's next event counts; None if there is
        no event up to the end of the log.

        Args:
            wanted: each address, and the end of its log.
        """
        found: dict[EventAddress, int | None] = {}
        asked: dict[tuple[str, int], Stretch] = {}
        with self._lock:
            for address, end in wanted:
                if address in self._known:
                    found[address] = self._known[address]
                    self._known.move_to_end(address)
                elif (address, end) in self._empty:
                    found[address] = None
                elif len(asked) < ASKED_MAX and address[:2] not in asked:
                    asked[address[:2]] = Stretch(address[2], end)
        if asked:
            found.update(self._read(asked))
        return {address: at_ms for address, at_ms in found.items() if at_ms is None or at_ms >= 0}

    def _read(self, asked: dict[tuple[str, int], Stretch]) -> dict[EventAddress, int | None]:
        read: dict[EventAddress, int] = {}
        done: set[tuple[str, int]] = set()

        def take(event: Event) -> bool:
            place = (event.topic, event.partition)
            if event.offset < asked[place].until:
                read.setdefault((*place, asked[place].first), event.timestamp_ms)
            return False

        try:
            done = read_places(self._connection, asked, take, time.monotonic() + BUDGET_S)
        except BrokerError:
            # The age stays unknown; the page shows everything else.
            pass
        empty = {(*place, asked[place].first): asked[place].until for place in done}
        empty = {address: end for address, end in empty.items() if address not in read}
        with self._lock:
            self._known.update(read)
            self._empty.update(dict.fromkeys(empty.items()))
            for kept in (self._known, self._empty):
                while len(kept) > REMEMBERED:
                    kept.popitem(last=False)
        return {**read, **dict.fromkeys(empty)}


GROUPS_MAX = 2_000
"""The maximum number of groups that are described, sorted by id; the rest is left out."""
UNKNOWN = -1
STATES = {
    "PREPARING_REBALANCING": "PreparingRebalance",
    "COMPLETING_REBALANCING": "CompletingRebalance",
    "STABLE": "Stable",
    "DEAD": "Dead",
    "EMPTY": "Empty",
    "ASSIGNING": "Assigning",
    "RECONCILING": "Reconciling",
}
"""The client's names of states to Kafka's."""


@dataclass(frozen=True, slots=True)
class GroupAnswers:
    """A cluster's answers about one group.

    Attributes:
        description: librdkafka's, None if this user may not see it.
        commits: (topic, partition) to offset and metadata.
    """

    description: Any
    commits: Mapping[PartitionName, tuple[int, str]]


class Groups:
    """The current groups of a cluster.

    Args:
        connection: the connection to the cluster.
        logs: the cluster's topics.
        views: the threads' consistent views.
        samples: records the groups' progress.
        kept_s: how long an answer is reused, in seconds.
    """

    def __init__(
        self, connection: ClusterConnection, logs: Logs, views: Views, samples: Samples, kept_s: float = KEPT_S
    ) -> None:
        self._connection = connection
        self._logs = logs
        self._samples = samples
        self._ages = Ages(connection)
        self.refused: str | None = None
        self.ids: Moment[tuple[str, ...]] = Moment(views, self._ids, kept_s)
        self.told: Moment[dict[str, GroupAnswers]] = Moment(views, self._told, kept_s)
        self.described: Moment[tuple[GroupDescription, ...]] = Moment(views, self._describe, kept_s)

    def forget(self) -> None:
        """Drop all cached answers, because something has changed."""
        for moment in (self.ids, self.told, self.described):
            moment.forget()

    def _ids(self) -> tuple[str, ...]:
        try:
            found = self._listed()
        except BrokerError as error:
            if not error.error.name.endswith("_AUTHORIZATION_FAILED"):
                raise
            self.refused = error.detail
            return ()
        self.refused = None
        return found

    def _listed(self) -> tuple[str, ...]:
        listed = self._connection.result(
            self._connection.ask(
                lambda timeout_s: self._connection.admin.list_consumer_groups(request_timeout=timeout_s)
            )
        )
        if not listed.valid and listed.errors:
            first = listed.errors[0]
            raise self._connection.error_of(first if isinstance(first, KafkaException) else KafkaException(first))
        return tuple(sorted(one.group_id for one in listed.valid or ()))[:GROUPS_MAX]

    def _told(self) -> dict[str, GroupAnswers]:
        return self.ask_for(self.ids.get())

    def ask_for(self, ids: tuple[str, ...]) -> dict[str, GroupAnswers]:
        """Fetch the current state and commits of some groups."""
        if not ids:
            return {}
        admin = self._connection.admin
        described = self._connection.ask(
            lambda timeout_s: admin.describe_consumer_groups(list(ids), request_timeout=timeout_s)
        )
        # The client requests the offsets of one group at a time. All requests are sent before the first answer is
        # awaited.
        asked = {group: self._offsets(group) for group in ids}
        found: dict[str, GroupAnswers] = {}
        for group in ids:
            try:
                description = self._connection.result(described[group])
                offsets = self._connection.result(asked[group])
            except BrokerError:
                # A group of another type (Kafka Connect, share group), or one that this user may not see.
                continue
            commits = {
                (one.topic, one.partition): (one.offset, one.metadata or "")
                for one in offsets.topic_partitions
                if one.offset >= 0 and one.error is None
            }
            found[group] = GroupAnswers(description, commits)
        return found

    def _offsets(self, group: str) -> "Future[Any]":
        request = [ConsumerGroupTopicPartitions(group)]
        futures = self._connection.ask(
            lambda timeout_s: self._connection.admin.list_consumer_group_offsets(request, request_timeout=timeout_s)
        )
        return futures[group]

    def one(self, group: str) -> GroupDescription:
        """Return one group. Raises BrokerError GROUP_ID_NOT_FOUND if it doesn't exist."""
        found = [one for one in self.described.get() if one.group == group]
        if not found:
            raise BrokerError("GROUP_ID_NOT_FOUND", f"There is no group {shown_name(group)}.")
        return self.with_ages(found)[0]

    def _describe(self) -> tuple[GroupDescription, ...]:
        told = self.told.get()
        ends = self._ends_after(told)
        now_ms = int(time.time() * 1000)
        places = {
            group: {
                place: Sampled(offset, ends[place].end, ends[place].start)
                for place, (offset, _) in one.commits.items()
                if place in ends
            }
            for group, one in told.items()
        }
        self._samples.note(now_ms, places)
        return tuple(self._description(group, told[group], ends, places[group], now_ms) for group in sorted(told))

    def _ends_after(self, told: Mapping[str, GroupAnswers]) -> Mapping[PartitionName, LogEnds]:
        """Return log starts and ends. Fetches an end again if a commit is beyond the cached one: it may be newer."""
        ends = self._logs.ends.get()
        ahead = {
            place
            for one in told.values()
            for place, (offset, _) in one.commits.items()
            if place in ends and offset > ends[place].end
        }
        return {**ends, **self._logs.ends_of(sorted(ahead))} if ahead else ends

    def _description(
        self,
        group: str,
        told: GroupAnswers,
        ends: Mapping[PartitionName, LogEnds],
        places: Mapping[PartitionName, Sampled],
        now_ms: int,
    ) -> GroupDescription:
        description = told.description
        members = tuple(_member(one) for one in description.members)
        owners = {
            (topic, partition): member
            for member in members
            for topic, partitions in member.assignment.items()
            for partition in partitions
        }
        topics = {topic for topic, _ in (*told.commits, *owners)}
        known = {place for place in ends if place[0] in topics}
        lags = tuple(_lag(place, ends[place], told, owners.get(place)) for place in sorted(known))
        committed = [one.lag for one in lags if one.lag is not None]
        state = STATES.get(description.state.name, "Unknown")
        partly = any(one.uncommitted_lag for one in lags)
        trend = self._samples.trend(group, state, places, now_ms, partly=partly)
        kind = getattr(description, "type", None)
        return GroupDescription(
            group=group,
            state=state,
            protocol_type="consumer",
            protocol=description.partition_assignor or "",
            generation=UNKNOWN,
            coordinator=description.coordinator.id if description.coordinator else UNKNOWN,
            members=members,
            partitions=lags,
            topics=tuple(sorted({one.topic for one in lags})),
            lag=sum(committed) if committed else None,
            lag_ms=0 if committed and not any(committed) else None,
            trend=trend.word,
            drain_ms=trend.drain_ms,
            type="consumer" if kind is not None and kind.name == "CONSUMER" else "classic",
            unread=0 if committed and not any(committed) else None,
        )

    def with_ages(self, groups: list[GroupDescription]) -> tuple[GroupDescription, ...]:
        """Add the ages of the oldest unread events, if they can be fetched quickly."""
        now_ms = int(time.time() * 1000)
        wanted = {
            (lag.topic, lag.partition, lag.position): lag.end
            for group in groups
            for lag in group.partitions
            if lag.lag and lag.committed is not None
        }
        stamps = self._ages.timestamps(wanted.items())

        def aged(lag: PartitionLag) -> PartitionLag:
            address = (lag.topic, lag.partition, lag.position)
            if not lag.lag or address not in stamps:
                return lag
            at_ms = stamps[address]
            if at_ms is None:
                # There are only transaction markers, or offsets that compaction removed.
                return replace(lag, lag_ms=0, unread=0)
            return replace(lag, lag_ms=max(0, now_ms - at_ms))

        return tuple(_with_partitions(group, tuple(aged(lag) for lag in group.partitions)) for group in groups)


def _lag(place: PartitionName, ends: LogEnds, told: GroupAnswers, member: MemberDescription | None) -> PartitionLag:
    commit = told.commits.get(place)
    committed = commit[0] if commit else None
    lag = None if committed is None else lag_of(committed, ends.start, ends.end)
    return PartitionLag(
        topic=place[0],
        partition=place[1],
        start=ends.start,
        committed=committed,
        end=ends.end,
        lag=lag,
        lag_ms=0 if lag == 0 else None,
        committed_ms=None,
        metadata=commit[1] if commit else None,
        member_id=member.member_id if member else None,
        client_id=member.client_id if member else None,
        unread=0 if lag == 0 else None,
    )


def _with_partitions(group: GroupDescription, partitions: tuple[PartitionLag, ...]) -> GroupDescription:
    """Replace a group's partitions. A group without unread events is caught up, whatever its lag."""
    ages = [lag.lag_ms for lag in partitions if lag.lag_ms is not None]
    known = [lag.unread for lag in partitions if lag.committed is not None]
    found = replace(group, partitions=partitions, lag_ms=max(ages, default=None))
    if not known or any(unread != 0 for unread in known):
        return found
    stays = group.trend in (OUT_OF_RANGE, lag_trend.REBALANCING, lag_trend.NO_MEMBERS, lag_trend.PARTLY_COMMITTED)
    return replace(found, unread=0, trend=group.trend if stays else lag_trend.CAUGHT_UP, drain_ms=None)


def _member(told: Any) -> MemberDescription:
    assignment: dict[str, list[int]] = {}
    for one in told.assignment.topic_partitions if told.assignment else ():
        assignment.setdefault(one.topic, []).append(one.partition)
    return MemberDescription(
        member_id=told.member_id,
        instance_id=told.group_instance_id or None,
        client_id=told.client_id,
        client_host=told.host,
        subscription=tuple(sorted(assignment)),
        assignment={topic: tuple(sorted(partitions)) for topic, partitions in sorted(assignment.items())},
        last_heartbeat_ms=None,
        session_timeout_ms=UNKNOWN,
    )


MODES = "earliest, latest, offset:N, time:MS, shift:+N, shift:-N, group:OTHER"
NO_WAY_BACK = (
    "A cluster keeps no history of committed offsets, so there is none to go back to. The offsets before a reset are "
    "in its preview."
)


class Resets:
    """Resets, and the end of groups.

    Args:
        connection: to the cluster.
        logs: its topics.
        groups: its groups; asked again after each change.
    """

    def __init__(self, connection: ClusterConnection, logs: Logs, groups: Groups) -> None:
        self._connection = connection
        self._logs = logs
        self._groups = groups

    def plan(self, group: str, topic: str | None, partition: int | None, to: str) -> list[ResetLine]:
        """Compute what a reset would change.

        Args:
            topic: only this one, which the group need not have read yet; None for the topics it reads or has committed
                in.
            partition: only this one.
            to: one of `MODES`.

        Raises:
            BrokerError: GROUP_ID_NOT_FOUND, UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST.
        """
        current = self._find(group)
        if current is None and topic is None:
            raise BrokerError("GROUP_ID_NOT_FOUND", f"There is no group {shown_name(group)}. Name a topic to make one.")
        known = {(one.topic, one.partition): one for one in (current.partitions if current else ())}
        places = self._places([topic] if topic is not None else sorted({one for one, _ in known}), partition)
        ends = self._logs.ends.get()
        targets = self._targets(places, known, to)
        return [
            _line(place, (ends[place].start, ends[place].end), known.get(place), after)
            for place in places
            if place in ends and (after := targets.get(place)) is not None
        ]

    def _find(self, group: str) -> GroupDescription | None:
        return next((one for one in self._groups.described.get() if one.group == group), None)

    def _places(self, topics: list[str], partition: int | None) -> list[PartitionName]:
        places = []
        for topic in topics:
            found = [place for place in self._logs.places([topic]) if partition in (None, place[1])]
            if not found:
                where = topic if partition is None else f"{topic}-{partition}"
                raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic or partition {shown_name(where)}.")
            places += found
        return places

    def _targets(
        self, places: list[PartitionName], known: dict[PartitionName, PartitionLag], to: str
    ) -> dict[PartitionName, int | None]:
        """The offset that each partition would get; None to leave one as it is."""
        ends = self._logs.ends.get()
        mode, _, argument = to.partition(":")
        if to == "back":
            raise BrokerError("INVALID_REQUEST", NO_WAY_BACK)
        if to == "earliest":
            return {place: ends[place].start for place in places if place in ends}
        if to == "latest":
            return {place: ends[place].end for place in places if place in ends}
        wanted: dict[PartitionName, int | None]
        if mode == "group" and argument:
            other = self._groups.one(argument)
            wanted = {(one.topic, one.partition): one.committed for one in other.partitions}
        else:
            number = _number(mode, argument, to)
            if mode == "time":
                at = self._logs.offsets_at(places, number)
                return {
                    place: ends[place].end if at.get(place) is None else at[place] for place in places if place in ends
                }
            committed = {place: known[place].committed if place in known else None for place in places}
            wanted = {
                place: number if mode == "offset" else None if at_now is None else at_now + number
                for place, at_now in committed.items()
            }
        return {
            place: min(max(offset, ends[place].start), ends[place].end)
            for place in places
            if place in ends and (offset := wanted.get(place)) is not None
        }

    def apply(self, group: str, wanted: Mapping[PartitionName, int]) -> None:
        """Commit offsets.

        Raises:
            BrokerError: NON_EMPTY_GROUP while the group has members.
        """
        self._groups.forget()
        current = self._find(group)
        if current is not None and current.members:
            raise BrokerError("NON_EMPTY_GROUP", f"Group {group} has {len(current.members)} members: stop them first.")
        offsets = [TopicPartition(*place, offset) for place, offset in wanted.items()]
        if not offsets:
            return
        request = [ConsumerGroupTopicPartitions(group, offsets)]
        futures = self._connection.ask(
            lambda timeout_s: self._connection.admin.alter_consumer_group_offsets(request, request_timeout=timeout_s)
        )
        answer = self._connection.result(futures[group])
        self._groups.forget()
        for one in answer.topic_partitions:
            if one.error is not None:
                raise self._connection.error_of(one.error)

    def delete(self, group: str) -> None:
        """Delete a group that has no members, and its offsets."""
        self._groups.forget()
        current = self._groups.one(group)
        if current.members:
            raise BrokerError("NON_EMPTY_GROUP", f"Group {group} has {len(current.members)} members: stop them first.")
        futures = self._connection.ask(
            lambda timeout_s: self._connection.admin.delete_consumer_groups([group], request_timeout=timeout_s)
        )
        self._connection.result(futures[group])
        self._groups.forget()


def _number(mode: str, argument: str, to: str) -> int:
    refused = BrokerError("INVALID_REQUEST", f"A reset goes to one of: {MODES}; not {to!r}.")
    try:
        number = int(argument)
    except ValueError:
        raise refused from None
    if mode not in ("offset", "time", "shift") or (mode == "offset" and number < 0):
        raise refused
    return number


def _line(place: PartitionName, bounds: tuple[int, int], current: PartitionLag | None, after: int) -> ResetLine:
    start, end = bounds
    before = current.committed if current else None
    at = start if before is None else before
    return ResetLine(
        topic=place[0],
        partition=place[1],
        before=before,
        after=after,
        start=start,
        end=end,
        lag_after=max(0, end - after),
        skipped=max(0, after - max(at, start)),
        repeated=max(0, min(at, end) - after),
    )


REASON = "Kafka's clients in Python have no requests for the windows of share groups."


class RemoteShareGroups:
    """`backend.share_groups` of a cluster. Pages don't call it, because `Capabilities.share_groups` is False."""

    def windows(self, group: str) -> tuple[ShareWindow, ...]:
        """Return no windows."""
        return ()

    def release(self, group: str, topic: str, partition: int, offsets: Iterable[int]) -> int:
        """Raise BrokerError UNSUPPORTED_VERSION."""
        raise BrokerError("UNSUPPORTED_VERSION", REASON)

    def archive(self, group: str, topic: str, partition: int, offsets: Iterable[int]) -> int:
        """Raise BrokerError UNSUPPORTED_VERSION."""
        raise BrokerError("UNSUPPORTED_VERSION", REASON)
