"""InitProducerId, key 22, versions 0 to 5 (KIP-98, KIP-360).

Differs from a real broker: a producer whose transactional id has an open transaction is answered immediately, without
CONCURRENT_TRANSACTIONS first (`sandbox.broker.logs.transactions`). A transactional producer without a producer id may
send 0 as well as -1. Two-phase commit (version 6, KIP-939) is left out, as in Kafka 4.1.
Shown by: `tests/clients/test_transaction_requests.py`.
"""

from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.node import Answer, Request

FENCED_SINCE = 4
NONE_YET = (-1, 0)


def handle(request: Request) -> Answer:
    """Assign a new producer id, or the id and next epoch of a transactional id."""
    body, broker, now_ms = request.body, request.node.broker, request.node.now_ms()
    if body.transactional_id is None:
        return {"error_code": 0, "producer_id": broker.new_producer_id(now_ms), "producer_epoch": 0}
    try:
        if body.producer_id not in NONE_YET and body.producer_epoch < 0:
            raise BrokerError("INVALID_REQUEST", "A producer id comes with an epoch.")
        producer_id, epoch = broker.transactions.init_producer_id(
            body.transactional_id, body.transaction_timeout_ms, body.producer_id, body.producer_epoch, now_ms
        )
    except BrokerError as error:
        name = error.error.name
        if name == "PRODUCER_FENCED" and request.version < FENCED_SINCE:
            name = "INVALID_PRODUCER_EPOCH"
        return {"error_code": CODE[name], "producer_id": -1, "producer_epoch": -1}
    return {"error_code": 0, "producer_id": producer_id, "producer_epoch": epoch}
