"""AlterShareGroupOffsets, key 91, version 0 (KIP-932).

Sets start offsets of a share group without members. The state of every record in flight is forgotten.
Differs from a real broker: nothing known.
"""

from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Set start offsets."""
    node, body = request.node, request.body
    try:
        node.coordinator.empty_share_group(body.group_id)
    except BrokerError as error:
        return {"error_code": error.code, "error_message": error.detail, "responses": []}
    answers = []
    for wanted in body.topics:
        topic = node.broker.topics.get(wanted.topic_name)
        partitions = []
        for one in wanted.partitions:
            known = topic is not None and 0 <= one.partition_index < len(topic.partitions)
            if topic is not None and known:
                partition = topic.partitions[one.partition_index]
                node.coordinator.shares.begin(body.group_id, partition, max(0, one.start_offset))
            outcome = "NONE" if known else "UNKNOWN_TOPIC_OR_PARTITION"
            partitions.append(
                {"partition_index": one.partition_index, "error_code": CODE[outcome], "error_message": None}
            )
        answer: Answer = {"topic_name": wanted.topic_name, "partitions": partitions}
        answers.append(answer if topic is None else {**answer, "topic_id": topic.topic_id})
    return {"error_code": 0, "responses": answers}
