"""ListTransactions, key 66, versions 0 to 2 (KIP-664, KIP-994, KIP-1152).

Differs from a real broker: nothing known.
Shown by: `tests/clients/test_transaction_requests.py`.
"""

from sandbox.broker.logs.transaction import unknown_states
from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """List the transactional ids that this broker coordinates and that pass the filters."""
    body, cluster = request.body, request.node.broker.cluster
    try:
        found = request.node.broker.transactions.list(
            request.node.now_ms(),
            states=body.state_filters,
            producer_ids=body.producer_id_filters,
            open_ms=body.duration_filter,
            pattern=body.transactional_id_pattern,
        )
    except BrokerError as error:
        return {"error_code": error.code}
    return {
        "error_code": 0,
        "unknown_state_filters": unknown_states(body.state_filters),
        "transaction_states": [
            {
                "transactional_id": one.transactional_id,
                "producer_id": one.producer_id,
                "transaction_state": one.state.value,
            }
            for one in found
            if cluster.coordinator(one.transactional_id) == request.node.node_id
        ],
    }
