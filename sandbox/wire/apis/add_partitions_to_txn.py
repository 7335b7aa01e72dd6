"""AddPartitionsToTxn, key 24, versions 0 to 5 (KIP-98, KIP-890).

Clients send versions 0 to 3, for one transactional id. Brokers send versions 4 and 5, for one or more, and can use them
to check if partitions take part without adding any.
Differs from a real broker: nothing known.
Shown by: `tests/clients/test_transaction_requests.py`.
"""

from types import SimpleNamespace

from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.node import Answer, Request

BATCHED_SINCE = 4
FENCED_SINCE = 2

Errors = dict[tuple[str, int], str]


def handle(request: Request) -> Answer:
    """Add partitions to the named transactions."""
    body = request.body
    if request.version < BATCHED_SINCE:
        one = SimpleNamespace(
            transactional_id=body.v3_and_below_transactional_id,
            producer_id=body.v3_and_below_producer_id,
            producer_epoch=body.v3_and_below_producer_epoch,
            topics=body.v3_and_below_topics,
            verify_only=False,
        )
        return {"results_by_topic_v3_and_below": _topics(one.topics, _errors(request, one))}
    return {
        "error_code": 0,
        "results_by_transaction": [
            {"transactional_id": one.transactional_id, "topic_results": _topics(one.topics, _errors(request, one))}
            for one in body.transactions
        ],
    }


def _errors(request: Request, one: SimpleNamespace) -> Errors:
    """Return the error of each partition; the same for all if the request is refused as a whole."""
    broker = request.node.broker
    places = [(topic.name, partition) for topic in one.topics for partition in topic.partitions]
    missing = {
        (name, number)
        for name, number in places
        if name not in broker.topics or not 0 <= number < len(broker.topics[name].partitions)
    }
    if missing:
        return {
            place: "UNKNOWN_TOPIC_OR_PARTITION" if place in missing else "OPERATION_NOT_ATTEMPTED" for place in places
        }
    producer = (one.transactional_id, one.producer_id, one.producer_epoch)
    try:
        if one.verify_only:
            absent = broker.transactions.missing(*producer, places)
            return {place: "TRANSACTION_ABORTABLE" if place in absent else "NONE" for place in places}
        broker.transactions.add_partitions(*producer, places, request.node.now_ms())
    except BrokerError as error:
        name = error.error.name
        if name == "PRODUCER_FENCED" and request.version < FENCED_SINCE:
            name = "INVALID_PRODUCER_EPOCH"
        return dict.fromkeys(places, name)
    return dict.fromkeys(places, "NONE")


def _topics(topics: list[SimpleNamespace], errors: Errors) -> list[Answer]:
    return [
        {
            "name": topic.name,
            "results_by_partition": [
                {"partition_index": partition, "partition_error_code": CODE[errors[topic.name, partition]]}
                for partition in topic.partitions
            ],
        }
        for topic in topics
    ]
