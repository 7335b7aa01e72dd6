"""AddRaftVoter, key 80, versions 0 and 1 (KIP-853).

The quorum is fixed, like one with `kraft.version` 0: UNSUPPORTED_VERSION.

Differs from a real broker: the voter's endpoints are not checked.
"""

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Refuse the request."""
    cluster_id, wanted = request.node.broker.cluster_id, request.body.cluster_id
    error = BrokerError(
        "UNSUPPORTED_VERSION", "Cluster doesn't support adding voter because the kraft.version feature is 0"
    )
    if wanted is not None and wanted != cluster_id:
        error = BrokerError(
            "INCONSISTENT_CLUSTER_ID", f'The given id "{wanted}" doesn\'t match the cluster id "{cluster_id}"'
        )
    return {"error_code": error.code, "error_message": error.detail}
