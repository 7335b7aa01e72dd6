"""Members of groups of the consumer protocol (KIP-848)."""

from typing import Any

from sandbox.broker.groups.assignors import Partitions
from sandbox.broker.groups.calls import ConsumerHeartbeat, DescribedConsumer
from sandbox.kafka.errors import BrokerError
from sandbox.wire.group_answers import described_groups, heartbeat_answer, named_partitions
from sandbox.wire.node import Answer, Request

MEMBER_ID_MADE_BY_CLIENT_SINCE = 1


def consumer_group_heartbeat(request: Request) -> Answer:
    """ConsumerGroupHeartbeat, key 68, versions 0 and 1 (KIP-848).

    With this request a member of the consumer protocol joins, stays alive, leaves, and gets its assignment.
    Differs from a real broker: a regular expression is resolved immediately and again at every heartbeat (a real broker
    does it in the background).
    Shown by: `tests/clients/test_online_migration.py` for groups that migrate between the protocols.
    """
    node, body = request.node, request.body
    heartbeat = ConsumerHeartbeat(
        group=body.group_id,
        member_id=body.member_id,
        member_epoch=body.member_epoch,
        instance_id=body.instance_id,
        rack_id=body.rack_id,
        client_id=request.client_id or "",
        client_host=request.client_host,
        rebalance_timeout_ms=body.rebalance_timeout_ms,
        topics=None if body.subscribed_topic_names is None else tuple(body.subscribed_topic_names),
        pattern=body.subscribed_topic_regex,
        assignor=body.server_assignor,
        owned=_partitions(body.topic_partitions),
        makes_member_id=request.version >= MEMBER_ID_MADE_BY_CLIENT_SINCE,
    )
    try:
        answer = node.coordinator.consumer_heartbeat(heartbeat, node.now_ms())
    except BrokerError as error:
        return {"error_code": error.code, "error_message": error.detail}
    return heartbeat_answer(answer)


def _partitions(topics: list[Any] | None) -> Partitions | None:
    if topics is None:
        return None
    return frozenset((topic.topic_id, partition) for topic in topics for partition in topic.partitions)


CLASSIC_MEMBER, CONSUMER_MEMBER = 0, 1
"""The types of members: the protocols that they use."""


def consumer_group_describe(request: Request) -> Answer:
    """ConsumerGroupDescribe, key 69, versions 0 and 1 (KIP-848).

    All authorized operations are returned, as in Kafka without an authorizer.
    Differs from a real broker: a group that is named twice is described once.
    """

    def fields(member: DescribedConsumer) -> Answer:
        return {
            "instance_id": member.instance_id,
            "subscribed_topic_regex": member.pattern,
            "target_assignment": {"topic_partitions": named_partitions(request, member.target)},
            "member_type": CLASSIC_MEMBER if member.is_classic else CONSUMER_MEMBER,
        }

    return described_groups(request, request.node.coordinator.describe_consumer, fields)
