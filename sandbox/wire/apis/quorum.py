"""The KRaft quorum and the registration of brokers (KIP-595, KIP-631, KIP-853). The simulated quorum never changes."""

from typing import Any

from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.node import Answer, Request

METADATA_TOPIC = "__cluster_metadata"
LEADER_EPOCH = 1
LOG_END_OFFSET = 1
LISTENER = "CONTROLLER"


def describe_quorum(request: Request) -> Answer:
    """DescribeQuorum, key 55, versions 0 to 2 (KIP-595, KIP-836, KIP-853).

    Every broker is a voter, and the controller is the leader.

    Differs from a real broker: there is no metadata log. Its end offset is always 1, and every voter has caught up.
    """
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


def add_raft_voter(request: Request) -> Answer:
    """AddRaftVoter, key 80, versions 0 and 1 (KIP-853).

    The quorum is fixed, like one with `kraft.version` 0: UNSUPPORTED_VERSION.

    Differs from a real broker: the voter's endpoints are not checked.
    """
    cluster_id, wanted = request.node.broker.cluster_id, request.body.cluster_id
    error = BrokerError(
        "UNSUPPORTED_VERSION", "Cluster doesn't support adding voter because the kraft.version feature is 0"
    )
    if wanted is not None and wanted != cluster_id:
        error = BrokerError(
            "INCONSISTENT_CLUSTER_ID", f'The given id "{wanted}" doesn\'t match the cluster id "{cluster_id}"'
        )
    return {"error_code": error.code, "error_message": error.detail}


def remove_raft_voter(request: Request) -> Answer:
    """RemoveRaftVoter, key 81, version 0 (KIP-853).

    Differs from a real broker: nothing known. The quorum is fixed, like one with `kraft.version` 0:
    UNSUPPORTED_VERSION.
    """
    cluster_id, wanted = request.node.broker.cluster_id, request.body.cluster_id
    error = BrokerError(
        "UNSUPPORTED_VERSION", "Cluster doesn't support removing voter because the kraft.version feature is 0"
    )
    if wanted is not None and wanted != cluster_id:
        error = BrokerError(
            "INCONSISTENT_CLUSTER_ID", f'The given id "{wanted}" doesn\'t match the cluster id "{cluster_id}"'
        )
    return {"error_code": error.code, "error_message": error.detail}


def unregister_broker(request: Request) -> Answer:
    """UnregisterBroker, key 64, version 0 (KIP-631).

    Differs from a real broker: the brokers are fixed when the sandbox starts, so an existing one stays registered:
    INVALID_REQUEST.
    """
    broker = request.body.broker_id
    if broker in request.node.broker.cluster.ids:
        error = BrokerError("INVALID_REQUEST", f"Broker {broker} is simulated by this sandbox and stays registered.")
    else:
        error = BrokerError("BROKER_ID_NOT_REGISTERED", f"Broker ID {broker} is not currently registered")
    return {"error_code": error.code, "error_message": error.detail}


def unregister_controller(request: Request) -> Answer:
    """UnregisterController, key 94, version 0.

    Differs from a real broker: every broker is a controller, and stays registered.
    """
    cluster, controller = request.node.broker.cluster, request.body.controller_id
    if controller == cluster.controller:
        error = BrokerError("INVALID_REQUEST", "Controller cannot unregister itself while it is active.")
    elif controller in cluster.ids:
        error = BrokerError(
            "INVALID_REQUEST", f"Controller {controller} is simulated by this sandbox and stays registered."
        )
    else:
        error = BrokerError("CONTROLLER_ID_NOT_REGISTERED", f"Controller ID {controller} is not currently registered.")
    return {"error_code": error.code, "error_message": error.detail}
