"""EndTxn, key 26, versions 0 to 5 (KIP-98, KIP-890).

Version 5 raises the producer's epoch and answers what it goes on with; clients send it because the feature
`transaction.version` is 2, as in Kafka 4. Older ones, librdkafka among them, send 4 and keep their epoch.
Differs from a real broker: when this is answered the end is complete, so the next transaction never meets
CONCURRENT_TRANSACTIONS.
Shown by: `tests/clients/test_transaction_requests.py`.
"""

from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.node import Answer, Request

FENCED_SINCE = 2
RAISES_EPOCH_SINCE = 5


def handle(request: Request) -> Answer:
    """Commit or abort a transaction."""
    body = request.body
    raises = request.version >= RAISES_EPOCH_SINCE
    try:
        producer_id, epoch = request.node.broker.transactions.end(
            body.transactional_id,
            body.producer_id,
            body.producer_epoch,
            body.committed,
            request.node.now_ms(),
            version=2 if raises else 1,
        )
    except BrokerError as error:
        name = error.error.name
        if name == "PRODUCER_FENCED" and request.version < FENCED_SINCE:
            name = "INVALID_PRODUCER_EPOCH"
        return {"error_code": CODE[name]}
    return {"error_code": 0, "producer_id": producer_id, "producer_epoch": epoch}
