"""Fetch sessions (KIP-227), and the partitions that a client is about to fetch.

In a session, client and broker exchange all partitions once, then only changes.
"""

from collections import OrderedDict
from collections.abc import Set
from dataclasses import dataclass, field
from random import randrange
from typing import Any
from uuid import UUID

from sandbox.broker.logs.topic import Partition
from sandbox.kafka.errors import BrokerError

INITIAL_EPOCH = 0
FINAL_EPOCH = -1
NO_SESSION = 0
PARTITIONS_MAX = 100_000
"""How many partitions all sessions of a broker may have together. Each takes about 330 bytes."""

LOOKED_UP_MAX = 1_000
"""How many partitions a connection's `LookedUp` may have."""
FETCHES_WITHOUT = 10
"""How many fetches may leave out a partition whose offset was looked up, before the look-up is forgotten."""

SessionPartition = tuple[str, UUID, int]
"""Topic name (or ""), topic id (or zero), partition."""


@dataclass(slots=True)
class FetchedPartition:
    """A session's state of one partition.

    Attributes:
        sent: high watermark, log start offset and last stable offset as last sent; None if never sent.
    """

    fetch_offset: int
    partition_max_bytes: int
    current_leader_epoch: int
    sent: tuple[int, int, int] | None = None


@dataclass(slots=True)
class FetchSession:
    """One session.

    Attributes:
        id: 0 for a fetch without a session.
        epoch: the epoch that the next request must have.
        partitions: in reading order; partitions with data move to the end, so that none starves.
    """

    id: int
    epoch: int = INITIAL_EPOCH
    partitions: OrderedDict[SessionPartition, FetchedPartition] = field(default_factory=OrderedDict)
    incremental: bool = False

    def update(self, topics: list[Any], forgotten: list[Any]) -> None:
        """Apply the partitions that a request adds, changes and removes."""
        for topic in forgotten:
            for partition in topic.partitions:
                self.partitions.pop((topic.topic, topic.topic_id, partition), None)
        for topic in topics:
            for wanted in topic.partitions:
                place = (topic.topic, topic.topic_id, wanted.partition)
                known = self.partitions.get(place)
                self.partitions[place] = FetchedPartition(
                    wanted.fetch_offset,
                    wanted.partition_max_bytes,
                    wanted.current_leader_epoch,
                    known.sent if known else None,
                )


class FetchSessions:
    """The cached sessions. The least recently used one is dropped first.

    A client whose session was evicted gets an error, and begins a new one. A session with more than `PARTITIONS_MAX`
    partitions is not kept: its client sends full requests.

    Args:
        slots: maximum number of sessions (`max.incremental.fetch.session.cache.slots`).
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._sessions: OrderedDict[int, FetchSession] = OrderedDict()
        self._partitions = 0

    def begin(self, session_id: int, epoch: int, topics: list[Any], forgotten: list[Any]) -> FetchSession:
        """Return a request's session, updated by the request.

        Raises:
            BrokerError: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH; the client then starts a new session.
        """
        if epoch in (INITIAL_EPOCH, FINAL_EPOCH):
            self._forget(session_id)
            session = FetchSession(NO_SESSION)
            session.update(topics, [])
            if epoch == INITIAL_EPOCH and self.slots and len(session.partitions) <= PARTITIONS_MAX:
                session.id = self._new_id()
                session.epoch = 1
                self._sessions[session.id] = session
                self._partitions += len(session.partitions)
                self._make_room()
            return session
        found = self._sessions.get(session_id)
        if found is None:
            raise BrokerError("FETCH_SESSION_ID_NOT_FOUND")
        if epoch != found.epoch:
            raise BrokerError("INVALID_FETCH_SESSION_EPOCH")
        self._sessions.move_to_end(session_id)
        found.epoch = 1 if found.epoch == 2**31 - 1 else found.epoch + 1
        found.incremental = True
        before = len(found.partitions)
        found.update(topics, forgotten)
        self._partitions += len(found.partitions) - before
        self._make_room()
        return found

    def clear(self) -> None:
        """Drop every session."""
        self._sessions.clear()
        self._partitions = 0

    def _forget(self, session_id: int) -> None:
        session = self._sessions.pop(session_id, None)
        if session is not None:
            self._partitions -= len(session.partitions)

    def _make_room(self) -> None:
        """Forget the oldest sessions above the limits, at last the one that has just grown too large."""
        while len(self._sessions) > self.slots or self._partitions > PARTITIONS_MAX:
            self._forget(next(iter(self._sessions)))

    def _new_id(self) -> int:
        while True:
            session_id = randrange(1, 2**31)
            if session_id not in self._sessions:
                return session_id


class LookedUp:
    """The partitions whose offset a connection has looked up, and that it doesn't fetch yet.

    librdkafka looks up each partition with its own request, and begins to fetch when the first of them is answered.
    Such a Fetch leaves out partitions that have events, while its wait delays the next one. A look-up whose partition
    isn't fetched, as of a tool that shows lag, is forgotten after a few fetches.
    """

    __slots__ = ("_fetches_left",)

    def __init__(self) -> None:
        self._fetches_left: dict[int, int] = {}

    def add(self, partition_id: int) -> None:
        """Note a look-up."""
        if len(self._fetches_left) < LOOKED_UP_MAX:
            self._fetches_left[partition_id] = FETCHES_WITHOUT

    def is_missing(self, fetched: Set[Partition]) -> bool:
        """Count a Fetch of these partitions. Returns True if it leaves out one that was looked up."""
        if not self._fetches_left:
            return False
        ids = {partition.id for partition in fetched}
        self._fetches_left = {
            partition: left - 1 for partition, left in self._fetches_left.items() if left > 1 and partition not in ids
        }
        return bool(self._fetches_left)
