"""DescribeProducers, key 61, version 0 (KIP-664).

Differs from a real broker: a partition that is named twice is described once.
Shown by: `tests/clients/test_transaction_requests.py`.
"""

from sandbox.kafka.errors import NO_TOPIC, BrokerError
from sandbox.storage.log import log_transactions
from sandbox.wire.node import Answer, Request

COORDINATOR_EPOCH = 0


def handle(request: Request) -> Answer:
    """Return the producers that wrote to each partition within `producer.id.expiration.ms`."""
    asked: dict[str, dict[int, None]] = {}
    for topic in request.body.topics:
        asked.setdefault(topic.name, {}).update(dict.fromkeys(topic.partition_indexes))
    return {
        "topics": [
            {"name": name, "partitions": [_describe(request, name, number) for number in numbers]}
            for name, numbers in asked.items()
        ]
    }


def _describe(request: Request, name: str, number: int) -> Answer:
    broker = request.node.broker
    try:
        partition = broker.topic(name).partition(number)
        partition.check_leader(request.node.node_id)
    except BrokerError as error:
        text = NO_TOPIC if error.error.name == "UNKNOWN_TOPIC_OR_PARTITION" else error.detail
        return {"partition_index": number, "error_code": error.code, "error_message": text}
    since_ms = request.node.now_ms() - broker.config.number("producer.id.expiration.ms")
    return {
        "partition_index": number,
        "error_code": 0,
        "active_producers": [
            {
                "producer_id": one.producer_id,
                "producer_epoch": one.producer_epoch,
                "last_sequence": one.last_sequence,
                "last_timestamp": one.last_timestamp,
                "coordinator_epoch": COORDINATOR_EPOCH if one.marked else -1,
                "current_txn_start_offset": partition.open_transactions.get(one.producer_id, -1),
            }
            for one in log_transactions.active_producers(broker.database, partition.id, since_ms)
        ],
    }
