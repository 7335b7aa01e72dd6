"""DeleteShareGroupOffsets, key 92, version 0 (KIP-932).

Deletes a share group's state in whole topics. The group must have no members.
Differs from a real broker: nothing known.
"""

from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Delete a group's state in topics."""
    node, body = request.node, request.body
    try:
        node.coordinator.empty_share_group(body.group_id)
    except BrokerError as error:
        return {"error_code": error.code, "error_message": error.detail, "responses": []}
    answers: list[Answer] = []
    for wanted in body.topics:
        topic = node.broker.topics.get(wanted.topic_name)
        if topic is None:
            code = CODE["UNKNOWN_TOPIC_OR_PARTITION"]
            answers.append({"topic_name": wanted.topic_name, "error_code": code, "error_message": None})
            continue
        node.coordinator.shares.delete(body.group_id, [one.id for one in topic.partitions])
        answers.append({"topic_name": topic.name, "topic_id": topic.topic_id, "error_code": 0})
    return {"error_code": 0, "responses": answers}
