"""DescribeQuorum, key 55, versions 0 to 2 (KIP-595, KIP-836, KIP-853).

Every broker is a voter, and the controller is the leader.

Differs from a real broker: there is no metadata log. Its end offset is always 1, and every voter has caught up.
"""

from typing import Any

from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Request

METADATA_TOPIC = "__cluster_metadata"
LEADER_EPOCH = 1
LOG_END_OFFSET = 1
LISTENER = "CONTROLLER"


def handle(request: Request) -> Answer:
    """Describe the quorum of the metadata partition."""
    topics = [
        {
            "topic_name": topic.topic_name,
            "partitions": [_partition(request, topic.topic_name, one.partition_index) for one in topic.partitions],
        }
        for topic in request.body.topics
    ]
    known = any(one["error_code"] == 0 for topic in topics for one in topic["partitions"])
    return {"error_code": 0, "error_message": "", "topics": topics, "nodes": _nodes(request) if known else []}


def _partition(request: Request, topic: str, partition: int) -> dict[str, Any]:
    if (topic, partition) != (METADATA_TOPIC, 0):
        return {
            "partition_index": partition,
            "error_code": CODE["UNKNOWN_TOPIC_OR_PARTITION"],
            "error_message": "This server does not host this topic-partition.",
            "current_voters": [],
            "observers": [],
        }
    cluster, now_ms = request.node.broker.cluster, request.node.now_ms()
    return {
        "partition_index": partition,
        "error_code": 0,
        "error_message": "",
        "leader_id": cluster.controller,
        "leader_epoch": LEADER_EPOCH,
        "high_watermark": LOG_END_OFFSET,
        "current_voters": [
            {
                "replica_id": broker,
                "log_end_offset": LOG_END_OFFSET,
                "last_fetch_timestamp": now_ms if cluster.is_up(broker) else -1,
                "last_caught_up_timestamp": now_ms if cluster.is_up(broker) else -1,
            }
            for broker in cluster.ids
        ],
        "observers": [],
    }


def _nodes(request: Request) -> list[dict[str, Any]]:
    return [
        {"node_id": one["node_id"], "listeners": [{"name": LISTENER, "host": one["host"], "port": one["port"]}]}
        for one in request.brokers()
    ]
