"""DescribeCluster, key 60, versions 0 to 2 (KIP-700).

Differs from a real broker: controller endpoints are refused (UNSUPPORTED_ENDPOINT_TYPE in Kafka; here
INVALID_REQUEST).
"""

from sandbox.errors import CODE
from sandbox.wire.node import NO_OPERATIONS, Answer, Request

BROKERS = 1


def handle(request: Request) -> Answer:
    """Say which brokers there are."""
    node = request.node
    if request.body.endpoint_type != BROKERS:
        return {"error_code": CODE["INVALID_REQUEST"], "error_message": "There are no controller endpoints here."}
    return {
        "error_code": 0,
        "endpoint_type": BROKERS,
        "cluster_id": node.broker.cluster_id,
        "controller_id": node.broker.cluster.controller,
        "brokers": [
            {"broker_id": one["node_id"], "host": one["host"], "port": one["port"], "rack": None}
            for one in request.brokers()
        ],
        "cluster_authorized_operations": NO_OPERATIONS,
    }
