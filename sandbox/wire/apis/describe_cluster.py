"""DescribeCluster, key 60, versions 0 to 2 (KIP-700, KIP-919).

A request for endpoints of controllers is refused with MISMATCHED_ENDPOINT_TYPE, as by a broker. All authorized
operations are returned, as in Kafka without an authorizer.

Differs from a real broker: a broker that is down is left out, although Kafka 4 can list it as fenced.
"""

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import CLUSTER_OPERATIONS, NO_OPERATIONS, Answer, Request

BROKERS = 1


def handle(request: Request) -> Answer:
    """Return the running brokers."""
    node, body = request.node, request.body
    if body.endpoint_type != BROKERS:
        error = BrokerError("MISMATCHED_ENDPOINT_TYPE", "This is an endpoint of a broker, not of a controller.")
        return {
            "error_code": error.code,
            "error_message": error.detail,
            "endpoint_type": BROKERS,
            "controller_id": -1,
            "cluster_authorized_operations": NO_OPERATIONS,
        }
    return {
        "error_code": 0,
        "endpoint_type": BROKERS,
        "cluster_id": node.broker.cluster_id,
        "controller_id": node.broker.cluster.controller,
        "brokers": [
            {"broker_id": one["node_id"], "host": one["host"], "port": one["port"], "rack": None}
            for one in request.brokers()
        ],
        "cluster_authorized_operations": (
            CLUSTER_OPERATIONS if body.include_cluster_authorized_operations else NO_OPERATIONS
        ),
    }
