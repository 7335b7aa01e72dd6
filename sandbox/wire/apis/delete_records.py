"""DeleteRecords, key 21, versions 0 to 2 (KIP-107): increases the log start offset of partitions.

-1 means the high watermark. The answer contains the log start offset, which doesn't change if it is already beyond the
requested one.

Differs from a real broker: the rows are removed soon afterwards, not a whole segment at a time.
"""

from collections.abc import Sequence
from typing import Any

from sandbox.broker.reply import Reply
from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Handled, Request

NONE = -1


def handle(request: Request) -> Handled:
    """Delete the oldest events of each partition. The answer for thousands of partitions is sent later."""
    places = [(topic.name, wanted) for topic in request.body.topics for wanted in topic.partitions]

    def delete(some: Sequence[tuple[str, Any]]) -> Sequence[Answer]:
        return [_delete(request, name, wanted) for name, wanted in some]

    long_writes = request.node.long_writes
    if not long_writes.wants(None, len(places)):
        return _answer(request, delete(places))
    reply: Reply[Answer] = Reply()
    long_writes.run(None, places, delete, _not_deleted).on_done(lambda found: reply.set(_answer(request, found)))
    return reply


def _answer(request: Request, found: Sequence[Answer]) -> Answer:
    outcome = iter(found)
    return {
        "topics": [
            {"name": topic.name, "partitions": [next(outcome) for _ in topic.partitions]}
            for topic in request.body.topics
        ]
    }


def _not_deleted(place: tuple[str, Any]) -> Answer:
    error = BrokerError("KAFKA_STORAGE_ERROR")
    return {"partition_index": place[1].partition_index, "low_watermark": NONE, "error_code": error.code}


def _delete(request: Request, name: str, wanted: Any) -> Answer:
    broker = request.node.broker
    answer = {"partition_index": wanted.partition_index}
    try:
        partition = broker.topic(name).partition(wanted.partition_index)
        partition.check_leader(request.node.node_id)
        start = broker.retention.delete_records(partition, wanted.offset)
    except BrokerError as error:
        return answer | {"low_watermark": NONE, "error_code": error.code}
    return answer | {"low_watermark": start, "error_code": 0}
