"""The pages' data as JSON, one function per type. Scripts rely on the field names: don't change them."""

from typing import Any

from sandbox.kafka.event import TIMESTAMP_TYPES, Event
from sandbox.model.group_history import LagPoint, Rebalance
from sandbox.model.groups import Awaited, GroupDescription, PartitionLag, ResetLine
from sandbox.model.jsonl import control_of, transaction_of
from sandbox.model.logs import AppendRate, KeySample, Loss
from sandbox.model.topics import PartitionDescription, TopicDescription
from sandbox.web.activity import rebalance_text
from sandbox.web.payload import header_name, json_value


def partition_json(partition: PartitionDescription) -> dict[str, Any]:
    """One partition of a topic. `events` is null if only offsets can be counted, as in a cluster."""
    return {
        "partition": partition.partition,
        "log_start_offset": partition.start,
        "log_end_offset": partition.end,
        "events": partition.events if partition.counted else None,
        "offsets": partition.offsets,
        "size_bytes": partition.size_bytes,
        "last_timestamp_ms": partition.last_timestamp_ms,
        "last_append_ms": partition.last_append_ms,
        "leader": partition.leader,
        "leader_epoch": partition.leader_epoch,
        "replicas": list(partition.replicas),
        "isr": list(partition.isr),
    }


def topic_json(topic: TopicDescription) -> dict[str, Any]:
    """One topic of the list: `log_start_offset` and `log_end_offset` are sums over its partitions."""
    return {
        "topic": topic.topic,
        "topic_id": topic.topic_id,
        "created_ms": topic.created_ms,
        "partitions": len(topic.partitions),
        "events": topic.events if topic.counted else None,
        "offsets": topic.offsets,
        "size_bytes": topic.size_bytes,
        "log_start_offset": sum(partition.start for partition in topic.partitions),
        "log_end_offset": sum(partition.end for partition in topic.partitions),
        "last_append_ms": topic.last_append_ms,
        "settings": topic.settings,
        "groups": list(topic.groups),
    }


def one_topic_json(topic: TopicDescription, as_of_ms: int) -> dict[str, Any]:
    """One topic with its partitions."""
    listed = topic_json(topic)
    listed["partitions"] = [partition_json(partition) for partition in topic.partitions]
    return {"as_of_ms": as_of_ms, **listed}


def rate_json(rate: AppendRate) -> dict[str, Any]:
    """A topic's rate: events per step of the last minute, oldest first."""
    return {"per_s": round(rate.per_s, 3), "step_ms": rate.step_ms, "events": list(rate.counts)}


def key_sample_json(sample: KeySample) -> dict[str, Any]:
    """The keys of a topic's newest events."""
    return {
        "sampled": sample.events,
        "total": sample.of_events,
        "keys": sample.keys,
        "top": [
            {"key": json_value(one.key), "events": one.events, "partitions": list(one.partitions)} for one in sample.top
        ],
    }


def loss_json(loss: Loss) -> dict[str, Any]:
    """The events that one partition loses at its start."""
    return {
        "partition": loss.partition,
        "log_start_offset": loss.start,
        "after": loss.after,
        "log_end_offset": loss.end,
        "events": loss.events,
        "exact": loss.exact and not loss.more,
    }


def event_json(event: Event) -> dict[str, Any]:
    """One event. Text is a JSON string, null is null, other bytes are `{"base64": ...}`. `transaction` is "aborted",
    "open", or null if the event is committed or not in a transaction. `control` is "commit" or "abort" for a
    transaction marker, which consumers never receive, and null for an event.
    """
    return {
        "topic": event.topic,
        "partition": event.partition,
        "offset": event.offset,
        "timestamp": event.timestamp_ms,
        "timestamp_type": TIMESTAMP_TYPES[event.timestamp_type],
        "key": json_value(event.key),
        "value": json_value(event.value),
        "headers": [[json_value(header_name(name)), json_value(value)] for name, value in event.headers],
        "transaction": transaction_of(event),
        "control": control_of(event),
    }


def group_json(group: GroupDescription) -> dict[str, Any]:
    """One group of the list."""
    return {
        "group": group.group,
        "state": group.state,
        "lag": group.lag,
        "uncommitted_lag": group.uncommitted_lag,
        "uncommitted_partitions": group.uncommitted_partitions,
        "unread": group.unread,
        "lag_ms": group.lag_ms,
        "trend": group.trend,
        "drain_ms": group.drain_ms,
        "members": len(group.members),
        "topics": list(group.topics),
    }


def lag_json(lag: PartitionLag) -> dict[str, Any]:
    """A group's lag in one partition."""
    return {
        "topic": lag.topic,
        "partition": lag.partition,
        "log_start_offset": lag.start,
        "committed_offset": lag.committed,
        "log_end_offset": lag.end,
        "lag": lag.lag,
        "uncommitted_lag": lag.uncommitted_lag,
        "unread": lag.unread,
        "lag_ms": lag.lag_ms,
        "out_of_range": lag.out_of_range,
        "deleted_unread": lag.deleted_unread,
        "committed_ms": lag.committed_ms,
        "metadata": lag.metadata,
        "member_id": lag.member_id,
        "client_id": lag.client_id,
    }


def one_group_json(group: GroupDescription, as_of_ms: int) -> dict[str, Any]:
    """One group with its members and partitions."""
    return {
        "as_of_ms": as_of_ms,
        **group_json(group),
        "type": group.type,
        "protocol_type": group.protocol_type,
        "protocol": group.protocol,
        "generation": group.generation,
        "coordinator": group.coordinator,
        "members": [
            {
                "member_id": member.member_id,
                "instance_id": member.instance_id,
                "client_id": member.client_id,
                "client_host": member.client_host,
                "subscription": list(member.subscription),
                "assignment": {topic: list(partitions) for topic, partitions in member.assignment.items()},
                "last_heartbeat_ms": member.last_heartbeat_ms,
                "session_timeout_ms": member.session_timeout_ms,
                "assignors": list(member.assignors),
                "epoch": member.epoch,
            }
            for member in group.members
        ],
        "awaited": None if group.waits is None else [awaited_json(one) for one in group.waits.awaited],
        "joining": None if group.waits is None else list(group.waits.joining),
        "partitions": [lag_json(lag) for lag in group.partitions],
    }


def awaited_json(awaited: Awaited) -> dict[str, Any]:
    """A member that its group waits for; `waits_for` (`what`) and the times are the fields of `Awaited`."""
    return {
        "member_id": awaited.member_id,
        "name": awaited.name,
        "waits_for": awaited.what,
        "silent": awaited.silent,
        "last_heartbeat_ms": awaited.heard_ms,
        "session_ends_ms": awaited.session_ends_ms,
        "until_ms": awaited.decided_ms,
    }


def point_json(point: LagPoint) -> dict[str, Any]:
    """The lag of one partition at one time."""
    return {
        "at_ms": point.at_ms,
        "topic": point.topic,
        "partition": point.partition,
        "committed_offset": point.committed,
        "log_end_offset": point.end,
        "lag": point.lag,
        "lag_ms": point.lag_ms,
    }


def rebalance_json(rebalance: Rebalance) -> dict[str, Any]:
    """One rebalance."""
    return {
        "generation": rebalance.generation,
        "started_ms": rebalance.started_ms,
        "ended_ms": rebalance.ended_ms,
        "reason": rebalance_text(rebalance.details),
        "details": dict(rebalance.details),
        "members": rebalance.members,
        "assignment": {member: list(names) for member, names in rebalance.assignment.items()},
    }


def reset_json(line: ResetLine) -> dict[str, Any]:
    """The effect of a reset on one partition."""
    return {
        "topic": line.topic,
        "partition": line.partition,
        "before": line.before,
        "after": line.after,
        "log_end_offset": line.end,
        "lag_after": line.lag_after,
        "skipped": line.skipped,
        "repeated": line.repeated,
    }
