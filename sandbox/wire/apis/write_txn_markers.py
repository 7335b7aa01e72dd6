"""WriteTxnMarkers, key 27, versions 1 and 2 (KIP-98, KIP-1228).

Brokers send it to each other, and administrators send it to end a hanging transaction in one partition (KIP-664).
Differs from a real broker: a marker's coordinator epoch is always 0, regardless of the request; an older epoch of the
producer is refused with INVALID_PRODUCER_EPOCH, where Kafka 4.1 answers UNKNOWN_SERVER_ERROR.
Left out: partitions of `__consumer_offsets`, because that topic has no rows of its own here.
Shown by: `tests/clients/test_transaction_requests.py`.
"""

from types import SimpleNamespace

from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Write a marker to each named partition."""
    return {
        "markers": [
            {
                "producer_id": marker.producer_id,
                "topics": [
                    {
                        "name": topic.name,
                        "partitions": [
                            {"partition_index": at, "error_code": _write(request, marker, topic.name, at)}
                            for at in topic.partition_indexes
                        ],
                    }
                    for topic in marker.topics
                ],
            }
            for marker in request.body.markers
        ]
    }


def _write(request: Request, marker: SimpleNamespace, name: str, number: int) -> int:
    log = request.node.broker.log
    try:
        partition = request.node.broker.topic(name).partition(number)
        partition.check_leader(request.node.node_id)
        if marker.producer_epoch < log.producers.state(marker.producer_id, partition.id).epoch:
            raise BrokerError("INVALID_PRODUCER_EPOCH")
        log.append_marker(
            partition, marker.producer_id, marker.producer_epoch, marker.transaction_result, request.node.now_ms()
        )
    except BrokerError as error:
        return error.code
    return CODE["NONE"]
