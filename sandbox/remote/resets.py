"""Resets a group's committed offsets in a cluster: first the preview, then the commit."""

from collections.abc import Mapping

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from sandbox.kafka.errors import BrokerError, shown_name
from sandbox.model.groups import GroupDescription, PartitionLag, ResetLine
from sandbox.model.topics import PartitionName
from sandbox.remote.connection import ClusterConnection
from sandbox.remote.groups import Groups
from sandbox.remote.logs import Logs

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
