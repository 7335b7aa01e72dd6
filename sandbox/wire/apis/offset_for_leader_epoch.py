"""OffsetForLeaderEpoch, key 23, versions 2 to 4 (KIP-320).

Differs from a real broker: the end offset of every known epoch is the end of the log, not the start of the next epoch.
"""

from typing import Any

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Return the end offset of an epoch in each partition."""
    return {
        "topics": [
            {
                "topic": topic.topic,
                "partitions": [_look_up(request, topic.topic, wanted) for wanted in topic.partitions],
            }
            for topic in request.body.topics
        ]
    }


def _look_up(request: Request, name: str, wanted: Any) -> Answer:
    answer = {"partition": wanted.partition, "leader_epoch": -1, "end_offset": -1}
    try:
        partition = request.node.broker.topic(name).partition(wanted.partition)
        partition.check_leader(request.node.node_id)
        partition.check_leader_epoch(wanted.current_leader_epoch)
    except BrokerError as error:
        return answer | {"error_code": error.code}
    if not 0 <= wanted.leader_epoch <= partition.leader_epoch:
        return answer | {"error_code": 0}
    return answer | {
        "error_code": 0,
        "leader_epoch": partition.leader_epoch,
        "end_offset": partition.high_watermark,
    }
