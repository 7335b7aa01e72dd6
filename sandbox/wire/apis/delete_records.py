"""DeleteRecords, key 21, versions 0 to 2 (KIP-107): increases the log start offset of partitions.

-1 means the high watermark. The answer contains the log start offset, which doesn't change if it is already beyond the
requested one.

Differs from a real broker: the rows are removed soon afterwards, not a whole segment at a time.
"""

from typing import Any

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request

NONE = -1


def handle(request: Request) -> Answer:
    """Delete the oldest events of each partition."""
    return {
        "topics": [
            {"name": topic.name, "partitions": [_delete(request, topic.name, wanted) for wanted in topic.partitions]}
            for topic in request.body.topics
        ]
    }


def _delete(request: Request, name: str, wanted: Any) -> Answer:
    broker = request.node.broker
    answer = {"partition_index": wanted.partition_index}
    try:
        partition = broker.topic(name).partition(wanted.partition_index)
        partition.check_leader(request.node.node_id)
        start = broker.retention.delete_records(partition, wanted.offset)
    except BrokerError as error:
        return answer | {"low_watermark": NONE, "error_code": error.code}
    return answer | {"low_watermark": start, "error_code": 0}
