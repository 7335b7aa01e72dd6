"""Statistics over many events of a cluster, from as many as can be read in a short time."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event
from sandbox.model.messages import MessageQuery, Neighbours, Volume, dense, width_for
from sandbox.remote.connection import ClusterConnection
from sandbox.remote.groups import Groups
from sandbox.remote.logs import Logs
from sandbox.remote.messages import RemoteSearch
from sandbox.remote.reader import Stretch, read_stretches
from sandbox.schemas.decoding import EventDecoder

VOLUME_EVENTS = 1000
GAP = 500
"""Events that are no further apart are read with those between them: a stretch costs as much as some hundred events."""
BESIDE = 250
"""How many offsets before and after an event are searched for its neighbors."""
BESIDE_BUDGET_S = 1.0


class RemoteSurvey:
    """Statistics over events (`backend.survey`).

    Args:
        connection: the cluster.
        logs: the cluster's topics.
        groups: the cluster's groups.
        decoder: returns a decoder of keys and values for one task.
    """

    def __init__(
        self, connection: ClusterConnection, logs: Logs, groups: Groups, decoder: Callable[[], EventDecoder]
    ) -> None:
        self._decoder = decoder
        self._connection = connection
        self._logs = logs
        self._groups = groups

    def volume(self, query: MessageQuery, *, budget_ms: int = 150) -> Volume:
        """Return the distribution over time of a query's newest events, at most `VOLUME_EVENTS`."""
        asked = replace(query, order="newest", from_offset=None, cursor=None, limit=VOLUME_EVENTS, budget_ms=budget_ms)
        page = RemoteSearch(self._connection, self._logs, asked, self._decoder()).page(int(time.time() * 1000))
        timed = [event.timestamp_ms for event in page.events if event.timestamp_ms >= 0]
        width_ms = width_for(max(timed) - min(timed)) if timed else 1
        return Volume(
            buckets=dense(Counter(at_ms // width_ms for at_ms in timed), width_ms),
            width_ms=width_ms,
            matched=len(page.events),
            untimed=len(page.events) - len(timed),
            looked_at=page.scanned,
            total=page.total,
            complete=page.complete and page.next is None,
            exact=True,
            by_batches=False,
            elapsed_ms=page.elapsed_ms,
        )

    def events(self, topic: str, offsets: Mapping[int, Sequence[int]]) -> list[Event]:
        """The events at some offsets of each partition, as far as they are in the log: by partition, then offset."""
        logs = {one.partition: one for one in self._logs.describe(topic, ()).partitions}
        runs: dict[int, list[Stretch]] = {}
        wanted = {partition: set(some) for partition, some in offsets.items()}
        for partition, some in wanted.items():
            if partition not in logs:
                raise BrokerError(
                    "UNKNOWN_TOPIC_OR_PARTITION", f"There is no partition {partition} of a topic {topic}."
                )
            log = logs[partition]
            runs[partition] = _runs(sorted(one for one in some if log.start <= one < log.end))
        found: list[Event] = []

        def take(event: Event) -> bool:
            if event.offset in wanted[event.partition]:
                found.append(event)
            return True

        deadline_s = time.monotonic() + self._connection.timeout_s
        while runs := {partition: left for partition, left in runs.items() if left}:
            stretches = {partition: left.pop() for partition, left in runs.items()}
            if len(read_stretches(self._connection, topic, stretches, take, deadline_s)) < len(stretches):
                raise self._connection.away("it did not give the events in time")
        return sorted(found, key=lambda event: (event.partition, event.offset))

    def committed(self, topic: str) -> Mapping[str, Mapping[int, int]]:
        """Group to partition to committed offset, of the groups that have committed in a topic."""
        found: dict[str, dict[int, int]] = {}
        for group in self._groups.described.get():
            for lag in group.partitions:
                if lag.topic == topic and lag.committed is not None:
                    found.setdefault(group.group, {})[lag.partition] = lag.committed
        return found

    def neighbours(self, topic: str, partition: int, offset: int) -> Neighbours:
        """Return an event's neighbors in its partition, up to `BESIDE` offsets away."""
        log = next(one for one in self._logs.describe(topic, ()).partitions if one.partition == partition)
        first, until = max(log.start, offset - BESIDE), min(log.end, offset + BESIDE + 1)
        events: list[Event] = []

        def take(event: Event) -> bool:
            events.append(event)
            return True

        deadline_s = time.monotonic() + BESIDE_BUDGET_S
        read_stretches(self._connection, topic, {partition: Stretch(first, until)}, take, deadline_s)
        key = next((event.key for event in events if event.offset == offset), None)
        before = [event for event in events if event.offset < offset]
        after = [event for event in events if event.offset > offset]
        same_before = [event.offset for event in before if key is not None and event.key == key]
        same_after = [event.offset for event in after if key is not None and event.key == key]
        return Neighbours(
            previous=before[-1].offset if before else None,
            next=after[0].offset if after else None,
            previous_of_key=same_before[-1] if same_before else None,
            next_of_key=same_after[0] if same_after else None,
            looked_back=None if first == log.start else offset - first,
            looked_on=None if until == log.end else until - offset - 1,
        )


def _runs(offsets: list[int]) -> list[Stretch]:
    """Group ascending offsets into stretches: close ones are read together, with the events between them."""
    runs: list[Stretch] = []
    for offset in offsets:
        if runs and offset - runs[-1].until <= GAP:
            runs[-1] = Stretch(runs[-1].first, offset + 1)
        else:
            runs.append(Stretch(offset, offset + 1))
    return runs
