"""Answers about groups whose assignments the broker computes: of the consumer protocol, and share groups."""

from collections.abc import Callable
from typing import Any

from sandbox.broker.groups.assignors import Partitions
from sandbox.broker.groups.calls import DescribedConsumer, DescribedConsumerGroup, HeartbeatAnswer
from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import GROUP_OPERATIONS, NO_OPERATIONS, Answer, Request

Describe = Callable[[str], DescribedConsumerGroup]
DescribeMember = Callable[[DescribedConsumer], Answer]


def described_groups(request: Request, describe: Describe, member: DescribeMember) -> Answer:
    """Describe the groups that a request names, each once.

    Args:
        describe: returns a group, or raises its BrokerError.
        member: returns the fields of a member that only this kind of group has.
    """
    wanted = dict.fromkeys(request.body.group_ids)
    return {"groups": [_described(request, group_id, describe, member) for group_id in wanted]}


def _described(request: Request, group_id: str, describe: Describe, member: DescribeMember) -> Answer:
    try:
        group = describe(group_id)
    except BrokerError as error:
        reason = error.detail if group_id else None
        return {"error_code": error.code, "error_message": reason, "group_id": group_id}
    return {
        "error_code": 0,
        "group_id": group.group,
        "group_state": group.state,
        "group_epoch": group.epoch,
        "assignment_epoch": group.assignment_epoch,
        "assignor_name": group.assignor,
        "authorized_operations": GROUP_OPERATIONS if request.body.include_authorized_operations else NO_OPERATIONS,
        "members": [
            {
                "member_id": one.member_id,
                "rack_id": one.rack_id,
                "member_epoch": one.member_epoch,
                "client_id": one.client_id,
                "client_host": one.client_host,
                "subscribed_topic_names": one.topics,
                "assignment": {"topic_partitions": named_partitions(request, one.assigned)},
                **member(one),
            }
            for one in group.members
        ],
    }


def named_partitions(request: Request, partitions: Partitions) -> list[Answer]:
    """Return partitions by topic id, with the topics' names, without partitions of deleted topics."""
    names = request.node.broker.topics_by_id
    return [
        {**one, "topic_name": names[one["topic_id"]].name} for one in by_topic(partitions) if one["topic_id"] in names
    ]


def by_topic(partitions: Partitions) -> list[Answer]:
    """Return partitions by topic id, sorted."""
    found: dict[Any, list[int]] = {}
    for topic_id, partition in sorted(partitions):
        found.setdefault(topic_id, []).append(partition)
    return [{"topic_id": topic_id, "partitions": several} for topic_id, several in found.items()]


def heartbeat_answer(answer: HeartbeatAnswer) -> Answer:
    """Return the answer to a member's heartbeat."""
    return {
        "error_code": 0,
        "member_id": answer.member_id,
        "member_epoch": answer.member_epoch,
        "heartbeat_interval_ms": answer.heartbeat_interval_ms,
        "assignment": None if answer.assigned is None else {"topic_partitions": by_topic(answer.assigned)},
    }
