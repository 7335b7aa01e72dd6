"""ConsumerGroupHeartbeat, key 68, versions 0 and 1 (KIP-848).

With this request a member of the consumer protocol joins, stays alive, leaves, and gets its assignment.
Differs from a real broker: a regular expression is resolved immediately and again at every heartbeat (a real broker
does it in the background).
Shown by: `tests/clients/test_online_migration.py` for groups that migrate between the protocols.
"""

from typing import Any

from sandbox.broker.groups.assignors import Partitions
from sandbox.broker.groups.calls import ConsumerHeartbeat
from sandbox.kafka.errors import BrokerError
from sandbox.wire.group_answers import heartbeat_answer
from sandbox.wire.node import Answer, Request

MEMBER_ID_MADE_BY_CLIENT_SINCE = 1


def handle(request: Request) -> Answer:
    """Handle a member's heartbeat."""
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
