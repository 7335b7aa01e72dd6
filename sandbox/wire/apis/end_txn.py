"""EndTxn, key 26, versions 0 to 5 (KIP-98, KIP-890).

Version 5 raises the producer's epoch and returns the id and epoch to continue with. Clients send it because the feature
`transaction.version` is 2, as in Kafka 4. Older clients, including librdkafka, send version 4 and keep their epoch.
Differs from a real broker: the transaction has ended completely when the answer is sent, so the next one never gets
CONCURRENT_TRANSACTIONS, unless an injected fault with `transaction_end_ms` asks for it.
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
