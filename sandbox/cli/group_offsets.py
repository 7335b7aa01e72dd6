"""Reads and resets the committed offsets of groups with the admin client, in any cluster."""

from dataclasses import dataclass
from typing import Any

from sandbox.cli.position import TIME, Position
from sandbox.cli.status import Failed
from sandbox.cli.target import TIMEOUT_S
from sandbox.model.lag import lag_of, range_of

_STATE_WORDS = {
    "STABLE": "Stable",
    "EMPTY": "Empty",
    "DEAD": "Dead",
    "PREPARING_REBALANCING": "PreparingRebalance",
    "COMPLETING_REBALANCING": "CompletingRebalance",
    "UNKNOWN": "Unknown",
}


@dataclass(frozen=True, slots=True)
class GroupState:
    """The state of one group.

    Attributes:
        state: Kafka's name for it.
        members: one mapping each: member_id, client_id, host, partitions.
        partitions: one mapping each: topic, partition, committed, start, end, lag, out_of_range, deleted_unread,
            member_id, client_id.
        lag: the sum over partitions with a commit; None if no partition has one.
    """

    state: str
    members: list[dict[str, Any]]
    partitions: list[dict[str, Any]]
    lag: int | None

    @property
    def exists(self) -> bool:
        """True if the group exists. Kafka returns the state Dead for an unknown group."""
        return self.state != "Dead" or bool(self.partitions)


def group_state(admin: Any, group: str) -> GroupState:
    """Fetch the state of one group. An unknown group is Dead and empty."""
    from confluent_kafka import KafkaException

    from sandbox.cli.log_offsets import committed_offsets, ranges

    try:
        found = admin.describe_consumer_groups([group], request_timeout=TIMEOUT_S)[group].result()
    except KafkaException as error:
        if error.args[0].name() != "GROUP_ID_NOT_FOUND":
            raise
        return GroupState("Dead", [], [], None)
    members, owners = [], {}
    for member in found.members:
        places = [(place.topic, place.partition) for place in member.assignment.topic_partitions or ()]
        owners.update(dict.fromkeys(places, member))
        members.append(
            {
                "member_id": member.member_id,
                "client_id": member.client_id,
                "host": member.host,
                "partitions": [{"topic": topic, "partition": partition} for topic, partition in sorted(places)],
            }
        )
    committed = committed_offsets(admin, group)
    # Log ends are read after the commits, so that no commit is ahead of its log.
    spans = ranges(admin, _that_exist(admin, {*committed, *owners}))
    partitions: list[dict[str, Any]] = []
    for place, (start, end) in sorted(spans.items()):
        at, owner = committed.get(place), owners.get(place)
        partitions.append(
            {
                "topic": place[0],
                "partition": place[1],
                "committed_offset": at,
                "log_start_offset": start,
                "log_end_offset": end,
                "lag": None if at is None else lag_of(at, start, end),
                "out_of_range": range_of(at, start, end),
                "deleted_unread": 0 if at is None else max(0, start - at),
                "member_id": owner and owner.member_id,
                "client_id": owner and owner.client_id,
            }
        )
    lags = [row["lag"] for row in partitions if row["lag"] is not None]
    return GroupState(
        _STATE_WORDS.get(found.state.name, found.state.name), members, partitions, sum(lags) if lags else None
    )


def _that_exist(admin: Any, places: set[tuple[str, int]]) -> list[tuple[str, int]]:
    # Kafka keeps the commits of a deleted topic for a while.
    topics = admin.list_topics(timeout=TIMEOUT_S).topics
    return sorted(
        (topic, partition) for topic, partition in places if topic in topics and partition in topics[topic].partitions
    )


def reset_rows(
    admin: Any, group: str, topic: str | None, partition: int | None, position: Position
) -> list[dict[str, Any]]:
    """Return what a reset would do: one mapping per partition, with the fields of `sandbox groups reset --json`.

    Args:
        admin: an admin client.
        group: the group; it need not exist if a topic is named.
        topic: None for all topics in which the group has committed.
        partition: None for all.
        position: the position to reset to.

    Raises:
        Failed: there is nothing to reset.
    """
    from sandbox.cli.log_offsets import committed_offsets, offsets_at_time, places_of, ranges

    committed = committed_offsets(admin, group)
    places = _that_exist(admin, set(committed)) if topic is None else places_of(admin, topic)
    places = [place for place in places if partition is None or place[1] == partition]
    if not places:
        raise Failed(
            f"{group} has committed nothing here: name a --topic"
            if topic is None
            else f"UNKNOWN_TOPIC_OR_PARTITION: {topic} has no partition {partition}"
        )
    spans = ranges(admin, places)
    times = offsets_at_time(admin, places, position.number) if position.kind == TIME else {}
    rows = []
    for place, (start, end) in spans.items():
        after = position.offset(start, end, times.get(place), committed.get(place))
        rows.append(
            {
                "topic": place[0],
                "partition": place[1],
                "before": committed.get(place),
                "after": after,
                "log_start_offset": start,
                "log_end_offset": end,
                "lag_after": end - after,
            }
        )
    return rows


def store_offsets(admin: Any, group: str, rows: list[dict[str, Any]]) -> None:
    """Commit each row's `after` for the group.

    Raises:
        Failed: members have joined meanwhile, or a partition was refused.
    """
    from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

    asked = [TopicPartition(row["topic"], row["partition"], row["after"]) for row in rows]
    changed = admin.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group, asked)], request_timeout=TIMEOUT_S
    )
    for place in changed[group].result().topic_partitions:
        if place.error is not None:
            raise KafkaException(place.error)
