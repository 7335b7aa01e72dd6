"""ShareAcknowledge, key 79, versions 1 and 2 (KIP-932, KIP-1222).

The acknowledgements of a partition are applied together, or not at all if one is refused. The final epoch ends the
share session and releases the records that the member still has.
Differs from a real broker: a group that doesn't exist is refused with GROUP_ID_NOT_FOUND.
"""

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request
from sandbox.wire.share_members import acknowledge, by_topic, check_member, end_session, leader_of
from sandbox.wire.share_sessions import FINAL_EPOCH, INITIAL_EPOCH, Place


def handle(request: Request) -> Answer:
    """Acknowledge records of a share session."""
    node, body = request.node, request.body
    try:
        member = check_member(request)
        if body.share_session_epoch == INITIAL_EPOCH:
            raise BrokerError("INVALID_SHARE_SESSION_EPOCH")
        session = node.share_sessions.next(member, body.share_session_epoch)
    except BrokerError as error:
        return {"error_code": error.code, "error_message": error.detail, "responses": []}
    outcome = acknowledge(request, member)
    if body.share_session_epoch == FINAL_EPOCH:
        end_session(node, session)
    answers: dict[Place, Answer] = {}
    for topic in body.topics:
        for partition in topic.partitions:
            place = topic.topic_id, partition.partition_index
            refused = outcome.get(place)
            answers[place] = {
                "partition_index": place[1],
                "error_code": refused.code if refused else 0,
                "error_message": refused.detail if refused else None,
                "current_leader": leader_of(node, place),
            }
    return {
        "error_code": 0,
        "acquisition_lock_timeout_ms": node.coordinator.shares.limits(body.group_id).lock_ms,
        "responses": by_topic(answers),
        "node_endpoints": request.brokers() if any(outcome.values()) else [],
    }
