"""Share sessions (KIP-932): the partitions that a member of a share group fetches, and the epoch of its next request.

A session belongs to a connection. When it ends, by its final epoch or with its connection, the records that the member
has are released.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sandbox.kafka.errors import BrokerError

INITIAL_EPOCH = 0
FINAL_EPOCH = -1
EPOCH_MAX = 2**31 - 1

Member = tuple[str, str]
"""A group id and a member id."""
Place = tuple[UUID, int]
"""A topic id and a partition number."""


@dataclass(slots=True)
class ShareSession:
    """One session.

    Attributes:
        epoch: the epoch that the next request must have.
        partitions: in the order in which they were added.
        forget: ends the watch of its connection.
        on_end: functions to call when it ends, for example by waiting requests.
    """

    member: Member
    epoch: int = 1
    partitions: dict[Place, None] = field(default_factory=dict)
    forget: Callable[[], None] = lambda: None
    on_end: set[Callable[[], None]] = field(default_factory=set)

    def update(self, topics: list[Any], forgotten: list[Any]) -> None:
        """Apply the partitions that a request adds and removes."""
        for topic in topics:
            for partition in topic.partitions:
                self.partitions[topic.topic_id, partition.partition_index] = None
        for topic in forgotten:
            for number in topic.partitions:
                self.partitions.pop((topic.topic_id, number), None)

    def rotated(self) -> list[Place]:
        """Return the partitions, beginning with another one at each request, so that none starves."""
        places = list(self.partitions)
        start = self.epoch % len(places) if places else 0
        return places[start:] + places[:start]


class ShareSessions:
    """The sessions of one broker.

    Args:
        sessions_max: returns how many there may be (`group.share.max.share.sessions`).
    """

    def __init__(self, sessions_max: Callable[[], int]) -> None:
        self._sessions_max = sessions_max
        self._sessions: dict[Member, ShareSession] = {}

    def begin(self, member: Member) -> ShareSession:
        """Begin a session, instead of the member's previous one. Raises BrokerError SHARE_SESSION_LIMIT_REACHED."""
        self.end(member)
        if len(self._sessions) >= self._sessions_max():
            raise BrokerError("SHARE_SESSION_LIMIT_REACHED")
        session = self._sessions[member] = ShareSession(member)
        return session

    def get(self, member: Member) -> ShareSession | None:
        """Return a member's session, or None."""
        return self._sessions.get(member)

    def next(self, member: Member, epoch: int) -> ShareSession:
        """Return the session of a request, and expect the next epoch if it isn't the final one.

        Raises:
            BrokerError: SHARE_SESSION_NOT_FOUND, INVALID_SHARE_SESSION_EPOCH.
        """
        session = self._sessions.get(member)
        if session is None:
            raise BrokerError("SHARE_SESSION_NOT_FOUND")
        if epoch != FINAL_EPOCH:
            if epoch != session.epoch:
                raise BrokerError("INVALID_SHARE_SESSION_EPOCH")
            session.epoch = 1 if epoch == EPOCH_MAX else epoch + 1
        return session

    def end(self, member: Member) -> ShareSession | None:
        """End a session, and return it. Its records stay acquired."""
        session = self._sessions.pop(member, None)
        if session is not None:
            session.forget()
            for call in tuple(session.on_end):
                call()
        return session

    def clear(self) -> None:
        """End every session."""
        for member in tuple(self._sessions):
            self.end(member)
