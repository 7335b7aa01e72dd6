"""The summary of a group for lists: less than `GroupDescription`, and no field that changes with time alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.model.cluster import GroupDescription

Place = tuple[str, int]
"""A topic and a partition number."""


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """A summary of one group.

    Attributes:
        state, topics, lag, word, drain_ms: as in `GroupDescription`.
        members: the number of members.
        places: the partitions that it reads or has committed in.
        lags: topic to its lag there, None if it has no commit in it.
        unread_since_ms: when its oldest unread event was appended; None if there is none, or it is unknown.
    """

    group: str
    state: str
    members: int
    topics: tuple[str, ...]
    places: tuple[Place, ...]
    lags: Mapping[str, int | None]
    lag: int | None
    unread_since_ms: int | None
    word: str
    drain_ms: int | None


def summary_of(group: GroupDescription, now_ms: int) -> GroupSummary:
    """Return the summary of a group.

    Args:
        now_ms: when it was described, in ms since 1970.
    """
    lags: dict[str, int | None] = {}
    for one in group.partitions:
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
        word=group.word,
        drain_ms=group.drain_ms,
    )
