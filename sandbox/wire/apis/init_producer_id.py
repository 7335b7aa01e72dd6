"""InitProducerId, key 22, versions 0 to 6 (KIP-98, KIP-360).

Differs from a real broker: nothing for idempotent producers.
Left out: transactional ids, which are refused up front (TRANSACTIONAL_ID_AUTHORIZATION_FAILED would blame the user:
INVALID_REQUEST is given), so that nobody waits for a transaction that cannot begin.
"""

from sandbox.errors import CODE
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Give a new producer id, or the same one with the next epoch."""
    body = request.body
    if body.transactional_id is not None:
        return {"error_code": CODE["INVALID_REQUEST"], "producer_id": -1, "producer_epoch": -1}
    producer_id = request.node.broker.new_producer_id(request.node.now_ms())
    return {"error_code": 0, "producer_id": producer_id, "producer_epoch": 0}
