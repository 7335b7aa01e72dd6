"""Offsets of logs: look up, and delete what lies below one."""

from collections.abc import Callable, Sequence
from typing import Any

from sandbox.broker.logs.topic import Partition
from sandbox.kafka.errors import CODE, BrokerError, EventsDamaged
from sandbox.storage.file.database import StorageFailed
from sandbox.wire.long_answers import AnswerSteps, answer_in_steps
from sandbox.wire.node import Answer, Handled, Request, readable_topic

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED = -1, -2, -3, -4, -5
EARLIEST_PENDING_UPLOAD = -6
READ_COMMITTED = 1
SINCE = {MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9, EARLIEST_PENDING_UPLOAD: 11}
LOOK_UPS_PER_STEP = 50


def list_offsets(request: Request) -> Handled:
    """ListOffsets, key 2, versions 1 to 11.

    For a time it returns the first event at or after it, exactly per event; for -1 the end, -2 the start, -3 the
    largest timestamp (KIP-734), -4 the earliest local offset (KIP-405); -5, the latest tiered offset (KIP-1005), and
    -6, the earliest offset to be uploaded (KIP-1023), never exist. In read_committed the end is the last stable offset,
    and nothing at or after it is found. As in Kafka, a transaction marker has an offset and a time like an event.
    Differs from a real broker: nothing known.
    """
    return answer_in_steps(request, _look_up(request, "name", _look_up_list_offsets))


def _look_up(request: Request, name: str, one: Callable[[Request, str, Any], Answer]) -> AnswerSteps:
    """Look up each partition of a request. `name` is the field with a topic's name in the request and the answer."""
    topics = []
    looked_up = 0
    for topic in request.body.topics:
        topic_name = getattr(topic, name)
        found = []
        for wanted in topic.partitions:
            if looked_up and looked_up % LOOK_UPS_PER_STEP == 0:
                yield
            found.append(one(request, topic_name, wanted))
            looked_up += 1
        topics.append({name: topic_name, "partitions": found})
    return {"topics": topics}


def _look_up_list_offsets(request: Request, name: str, wanted: Any) -> Answer:
    broker = request.node.broker
    answer = {"partition_index": wanted.partition_index, "timestamp": -1, "offset": -1, "leader_epoch": -1}
    try:
        partition = readable_topic(request, name, None).partition(wanted.partition_index)
        partition.check_leader(request.node.node_id)
        partition.check_leader_epoch(wanted.current_leader_epoch)
        if request.version < SINCE.get(wanted.timestamp, 0) or wanted.timestamp < min(SINCE):
            raise BrokerError("UNSUPPORTED_VERSION")
        if request.looked_up is not None:
            request.looked_up.add(partition.id)
        found = _find(request, partition, wanted.timestamp)
    except StorageFailed as error:
        # The other partitions may be readable. As in Kafka, the client retries.
        broker.on_failure(error)
        return answer | {"error_code": CODE["KAFKA_STORAGE_ERROR"]}
    except BrokerError as error:
        if isinstance(error, EventsDamaged):
            broker.on_damage(error)
        return answer | {"error_code": error.code}
    if found is None:
        return answer | {"error_code": 0}
    return answer | {
        "error_code": 0,
        "offset": found[0],
        "timestamp": found[1],
        "leader_epoch": partition.leader_epoch,
    }


def _find(request: Request, partition: Partition, timestamp: int) -> tuple[int, int] | None:
    """Return offset and timestamp for a time, or for one of the negative numbers; None if there is no such event."""
    log = request.node.broker.log
    stable = request.body.isolation_level == READ_COMMITTED
    end = partition.last_stable_offset if stable else partition.high_watermark
    if timestamp == LATEST:
        return end, -1
    if timestamp in (EARLIEST, EARLIEST_LOCAL):
        return partition.start, -1
    if timestamp in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
        return None
    if partition.id < 0:
        return request.node.internal.offset_for_time(partition, max(timestamp, 0))
    found = (
        log.largest_timestamp(partition) if timestamp == MAX_TIMESTAMP else log.offset_for_time(partition, timestamp)
    )
    return None if found is None or found[0] >= end else found


def offset_for_leader_epoch(request: Request) -> Handled:
    """OffsetForLeaderEpoch, key 23, versions 2 to 4 (KIP-320).

    Differs from a real broker: the end offset of every known epoch is the end of the log, not the start of the next
    epoch.
    """
    return answer_in_steps(request, _look_up(request, "topic", _look_up_offset_for_leader_epoch))


def _look_up_offset_for_leader_epoch(request: Request, name: str, wanted: Any) -> Answer:
    answer = {"partition": wanted.partition, "leader_epoch": -1, "end_offset": -1}
    try:
        partition = request.node.broker.topic(name).partition(wanted.partition)
        partition.check_leader(request.node.node_id)
        partition.check_leader_epoch(wanted.current_leader_epoch)
        if request.looked_up is not None:
            request.looked_up.add(partition.id)
    except BrokerError as error:
        return answer | {"error_code": error.code}
    if not 0 <= wanted.leader_epoch <= partition.leader_epoch:
        return answer | {"error_code": 0}
    return answer | {
        "error_code": 0,
        "leader_epoch": partition.leader_epoch,
        "end_offset": partition.high_watermark,
    }


NONE = -1


def delete_records(request: Request) -> Handled:
    """DeleteRecords, key 21, versions 0 to 2 (KIP-107): increases the log start offset of partitions.

    -1 means the high watermark. The answer contains the log start offset, which doesn't change if it is already beyond
    the requested one.

    Differs from a real broker: the rows are removed soon afterwards, not a whole segment at a time.
    """
    places = [(topic.name, wanted) for topic in request.body.topics for wanted in topic.partitions]

    def delete(some: Sequence[tuple[str, Any]]) -> Sequence[Answer]:
        return [_delete(request, name, wanted) for name, wanted in some]

    long_writes = request.node.long_writes
    if not long_writes.wants(None, len(places)):
        return _answer(request, delete(places))
    return long_writes.run(None, places, delete, _not_deleted, lambda found: _answer(request, found))


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
