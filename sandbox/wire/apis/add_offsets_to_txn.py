"""AddOffsetsToTxn, key 25, versions 0 to 4 (KIP-98).

Differs from a real broker: nothing known.
Shown by: `tests/clients/test_transaction_requests.py`.
"""

from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.node import Answer, Request

FENCED_SINCE = 2


def handle(request: Request) -> Answer:
    """Add a group to a transaction."""
    body = request.body
    try:
        request.node.broker.transactions.add_group(
            body.transactional_id, body.producer_id, body.producer_epoch, body.group_id, request.node.now_ms()
        )
    except BrokerError as error:
        name = error.error.name
        if name == "PRODUCER_FENCED" and request.version < FENCED_SINCE:
            name = "INVALID_PRODUCER_EPOCH"
        return {"error_code": CODE[name]}
    return {"error_code": 0}
