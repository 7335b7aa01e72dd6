"""OffsetDelete, key 47, version 0 (KIP-496).

Differs from a real broker: nothing known.
"""

from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Delete committed offsets of a group, in topics that no member reads."""
    body = request.body
    wanted = [(topic.name, one.partition_index) for topic in body.topics for one in topic.partitions]
    answer = request.node.coordinator.delete_offsets(body.group_id, wanted)
    if answer.error != "NONE":
        return {"error_code": CODE[answer.error]}
    outcome = iter(answer.partitions)
    return {
        "error_code": 0,
        "topics": [
            {
                "name": topic.name,
                "partitions": [
                    {"partition_index": one.partition_index, "error_code": CODE[next(outcome).error]}
                    for one in topic.partitions
                ],
            }
            for topic in body.topics
        ],
    }
