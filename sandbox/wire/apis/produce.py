"""Produce, key 0, versions 3 to 13 (announced from 0, see ApiVersions).

The answer contains each refused record with its position in the batch (KIP-467), so that a client can report the reason
and send the other records again.
Differs from a real broker: acks=1 and acks=all both wait for the commit; acks=0 is stored in the same way, but not
answered. A transactional batch is checked like in Kafka with transaction partition verification: the partition must
take part in the producer's transaction; from version 12 the write itself adds it (KIP-890).
Left out: message sets of magic 0 and 1, as in Kafka 4 (INVALID_RECORD).
"""

import logging
from collections.abc import Generator, Sequence
from typing import Any
from uuid import UUID

from sandbox.broker.logs.log import Appended, ProducedBatch
from sandbox.broker.logs.topic import Partition
from sandbox.broker.reply import Reply
from sandbox.kafka.errors import BrokerError, RecordsRefused
from sandbox.wire.node import Answer, Handled, Request, topic_of
from sandbox.wire.records import batch as record_batch
from sandbox.wire.records.compression import COMPRESSION_NAMES
from sandbox.wire.refusals import refuse
from sandbox.wire.time_slices import Steps

ZSTD = 4
ZSTD_SINCE = 7
COMPRESSIONS = ("uncompressed", *COMPRESSION_NAMES[1:])
ABORTABLE_SINCE = 11
JOINS_SINCE = 12
"""The version from which a write adds its partition to the transaction."""
LARGE_BYTES, LARGE_PARTITIONS = 2 * 1024 * 1024, 200
"""A request with more than this is appended in slices. Clients send at most 1 MB by default."""
SLICE_BYTES, SLICE_PARTITIONS = 128 * 1024, 50
LARGE_EVENTS = 20_000
"""A record batch with more events, which take about 20 ms to decode, is decoded in steps."""
SHOWN_ERRORS = 3
"""The number of refused records that the whole batch's message contains."""
BEFORE_LOOKING = (
    "UNKNOWN_TOPIC_OR_PARTITION",
    "UNKNOWN_TOPIC_ID",
    "NOT_LEADER_OR_FOLLOWER",
    "INVALID_REQUIRED_ACKS",
    "MESSAGE_TOO_LARGE",
    "CORRUPT_MESSAGE",
    "UNSUPPORTED_COMPRESSION_TYPE",
)
"""Errors whose answer has no log start offset, as in Kafka."""

Decoded = record_batch.RecordBatch | record_batch.BatchError | None
"""A record batch that was decoded in steps, or why it is invalid; None if it is decoded when it is appended."""
Write = tuple[Any, Any, Decoded]
"""A topic and a partition of a request, and the partition's record batch."""

logger = logging.getLogger("sandbox.wire")


def produce(request: Request) -> Handled:
    """Produce, key 0, versions 3 to 13 (announced from 0, see ApiVersions).

    The answer contains each refused record with its position in the batch (KIP-467), so that a client can report the
    reason and send the other records again.
    Differs from a real broker: acks=1 and acks=all both wait for the commit; acks=0 is stored in the same way, but not
    answered. A transactional batch is checked like in Kafka with transaction partition verification: the partition must
    take part in the producer's transaction; from version 12 the write itself adds it (KIP-890).
    Left out: message sets of magic 0 and 1, as in Kafka 4 (INVALID_RECORD).
    """
    writes = [(topic, partition, None) for topic in request.body.topic_data for partition in topic.partition_data]
    if any(_has_many_events(partition) for _, partition, _ in writes):
        return _decode_first(request, writes)
    if len(writes) < 2 or not _is_large(writes):
        return _answer(request, [_produce(request, *one) for one in writes])
    return _write_in_slices(request, writes)


def _write_in_slices(request: Request, writes: Sequence[Write]) -> Reply[Any]:
    def append(slices: Sequence[Sequence[Write]]) -> list[list[Answer]]:
        return [[_produce(request, *one) for one in some] for some in slices]

    def refused(some: Sequence[Write]) -> list[Answer]:
        error = BrokerError("KAFKA_STORAGE_ERROR")
        return [_refused(partition.index, error, None) for _, partition, _ in some]

    def answer(found: Sequence[Sequence[Answer]]) -> Any:
        return _answer(request, [one for some in found for one in some])

    return request.node.long_writes.run(None, _slices(writes), append, refused, answer, 1)


def _is_large(writes: Sequence[Write]) -> bool:
    return len(writes) > LARGE_PARTITIONS or sum(len(one.records or b"") for _, one, _ in writes) > LARGE_BYTES


def _has_many_events(partition: Any) -> bool:
    return partition.records is not None and record_batch.count_of_records(partition.records) > LARGE_EVENTS


def _slices(writes: Sequence[Write]) -> list[list[Write]]:
    slices: list[list[Write]] = [[]]
    size_bytes = events = 0
    for topic, partition, decoded in writes:
        is_full = len(slices[-1]) >= SLICE_PARTITIONS or size_bytes >= SLICE_BYTES or events > LARGE_EVENTS
        if slices[-1] and is_full:
            slices.append([])
            size_bytes = events = 0
        slices[-1].append((topic, partition, decoded))
        size_bytes += len(partition.records or b"")
        events += decoded.count if isinstance(decoded, record_batch.RecordBatch) else 0
    return slices


def _decode_first(request: Request, writes: Sequence[Write]) -> Reply[Any]:
    """Decode batches of many events in steps, then append each in a separate turn.

    It is done even if the client disconnects, as without steps: with acks=0 that is how it ends. But not if all were
    disconnected because a snapshot is restored: the request belongs to the replaced content, as all without an answer.
    """
    reply: Reply[Any] = Reply(stored=True)
    # A decoded batch is as large as rows that were read, so it counts as one of the reads.
    request.node.slices.run(_decode_in_steps(request, writes, reply, request.node.long_writes.clears))
    return reply


def _decode_in_steps(request: Request, writes: Sequence[Write], reply: Reply[Any], clears: int) -> Steps:
    decoded: list[Write] = []
    try:
        for topic, partition, _ in writes:
            found = (yield from _decode(request, topic, partition)) if _has_many_events(partition) else None
            decoded.append((topic, partition, found))
    except Exception:
        logger.exception("a Produce of %s failed", request.client_host)
        reply.set(None if request.body.acks == 0 else refuse(request, BrokerError("UNKNOWN_SERVER_ERROR")))
        return
    if request.node.long_writes.clears != clears:
        return
    _write_in_slices(request, decoded).on_done(reply.set)
    request.node.after()


def _decode(request: Request, topic: Any, wanted: Any) -> Generator[None, None, Decoded]:
    """Decode a batch. Returns None if it is refused whatever is in it, and the error if it is invalid."""
    try:
        partition = topic_of(request, topic.name, _zero_for_none(topic.topic_id)).partition(wanted.index)
        records = _one_batch(wanted.records)
        _check_size(request, partition, records)
    except BrokerError:
        return None
    try:
        return (yield from record_batch.decode_batch_in_steps(records))
    except record_batch.BatchError as error:
        return error


def _answer(request: Request, found: Sequence[Answer]) -> Answer | None:
    answers = iter(found)
    responses = [
        {
            "name": topic.name,
            "topic_id": topic.topic_id,
            "partition_responses": [next(answers) for _ in topic.partition_data],
        }
        for topic in request.body.topic_data
    ]
    return None if request.body.acks == 0 else {"responses": responses}


def _produce(request: Request, topic: Any, wanted: Any, decoded: Decoded) -> Answer:
    partition = None
    try:
        if request.body.acks not in (-1, 0, 1):
            raise BrokerError("INVALID_REQUIRED_ACKS")
        found = topic_of(request, topic.name, _zero_for_none(topic.topic_id)).partition(wanted.index)
        records = _one_batch(wanted.records)
        found.check_leader(request.node.node_id)
        partition = found
        _check_in_sync(request, partition)
        appended = _append(request, partition, records, decoded)
    except BrokerError as error:
        return _refused(wanted.index, error, partition)
    except record_batch.BatchError as error:
        return _refused(wanted.index, BrokerError(_error_name(error), f"{error}"), partition)
    return {
        "index": wanted.index,
        "error_code": 0,
        "base_offset": appended.base_offset,
        "log_append_time_ms": appended.append_time_ms,
        "log_start_offset": partition.start,
    }


def _check_in_sync(request: Request, partition: Partition) -> None:
    least = partition.topic.number("min.insync.replicas", request.node.broker.config)
    if request.body.acks == -1 and len(partition.isr) < least:
        raise BrokerError(
            "NOT_ENOUGH_REPLICAS",
            f"{len(partition.isr)} replicas of {partition.topic.name}-{partition.partition} are in sync, "
            f"min.insync.replicas asks for {least}.",
        )


def _zero_for_none(topic_id: UUID | None) -> UUID:
    return topic_id or UUID(int=0)


def _error_name(error: record_batch.BatchError) -> str:
    return "CORRUPT_MESSAGE" if isinstance(error, record_batch.BatchCorrupt) else "INVALID_RECORD"


def _refused(index: int, error: BrokerError, partition: Partition | None) -> Answer:
    looked_at = partition is not None and error.error.name not in BEFORE_LOOKING
    answer: dict[str, Any] = {
        "index": index,
        "error_code": error.code,
        "base_offset": -1,
        "log_append_time_ms": -1,
        "log_start_offset": partition.start if partition is not None and looked_at else -1,
        "error_message": error.detail,
    }
    if isinstance(error, RecordsRefused):
        answer["error_message"] = _batch_message(error)
        answer["record_errors"] = [
            {"batch_index": position, "batch_index_error_message": reason} for position, reason in error.records
        ]
    return answer


def _batch_message(error: RecordsRefused) -> str:
    """Return the whole batch's message, in Kafka's words."""
    if error.error.name == "INVALID_TIMESTAMP":
        return "One or more records have been rejected due to invalid timestamp"
    shown = ", ".join(
        f"RecordError(batchIndex={position}, message='{reason}')" for position, reason in error.records[:SHOWN_ERRORS]
    )
    return (
        f"One or more records have been rejected due to {len(error.records)} record errors in total, and only showing "
        f"the first three errors at most: [{shown}]"
    )


def _one_batch(records: memoryview | None) -> memoryview:
    """Check that a partition's records are one whole record batch, which is all that Produce accepts."""
    if records is None or len(records) <= record_batch.MAGIC_AT:
        raise BrokerError("INVALID_RECORD", "Produce accepts exactly one record batch per partition, not 0.")
    if records[record_batch.MAGIC_AT] < record_batch.MAGIC:
        raise BrokerError("INVALID_RECORD", "Produce accepts record batches with magic version 2 only.")
    size_bytes = record_batch.batch_bytes(records)
    if size_bytes < len(records):
        raise BrokerError("INVALID_RECORD", "Produce accepts exactly one record batch per partition, not more.")
    if size_bytes > len(records):
        raise BrokerError(
            "INVALID_RECORD", f"The record batch is cut off: it has {len(records)} of its {size_bytes} bytes."
        )
    return records


def _check_size(request: Request, partition: Partition, records: memoryview) -> None:
    size_max = partition.topic.number("max.message.bytes", request.node.broker.config)
    if len(records) > size_max:
        raise BrokerError(
            "MESSAGE_TOO_LARGE",
            f"A record batch of {len(records)} bytes is larger than max.message.bytes of {partition.topic.name}, "
            f"which is {size_max}.",
        )


def _append(request: Request, partition: Partition, records: memoryview, decoded: Decoded) -> Appended:
    node = request.node
    _check_size(request, partition, records)
    if isinstance(decoded, record_batch.BatchError):
        raise decoded
    batch = decoded or record_batch.decode_batches(records)[0]
    if batch.base_offset != 0:
        raise BrokerError("INVALID_RECORD", f"The base offset of a produced batch must be 0, not {batch.base_offset}.")
    if batch.compression == ZSTD and request.version < ZSTD_SINCE:
        raise BrokerError("UNSUPPORTED_COMPRESSION_TYPE", "Produce takes zstd from version 7.")
    if batch.transactional:
        _check_transaction(request, partition, batch)
    wanted = partition.topic.value("compression.type", node.broker.config)
    compression = batch.compression if wanted == "producer" else COMPRESSIONS.index(wanted)
    appended = node.broker.log.append(
        partition,
        ProducedBatch(
            batch.records,
            batch.size_bytes,
            compression,
            batch.producer_id,
            batch.producer_epoch,
            batch.base_sequence,
            batch.transactional,
            batch.control,
        ),
        node.now_ms(),
    )
    if not appended.duplicate:
        _record(request, partition, batch)
        _keep(node.cache, partition, batch, appended, compression)
    return appended


def _record(request: Request, partition: Partition, batch: record_batch.RecordBatch) -> None:
    transactional_id = request.body.transactional_id if batch.transactional else None
    topic, now_ms = partition.topic.name, request.node.now_ms()
    request.node.traffic.produced(request.client_id, transactional_id, topic, batch.count, now_ms)


def _check_transaction(request: Request, partition: Partition, batch: record_batch.RecordBatch) -> None:
    broker = request.node.broker
    joins = request.version >= JOINS_SINCE
    broker.transactions.check_write(
        request.body.transactional_id,
        batch.producer_id,
        batch.producer_epoch,
        (partition.topic.name, partition.partition),
        request.node.now_ms(),
        joins=joins,
        refusal="TRANSACTION_ABORTABLE" if request.version >= ABORTABLE_SINCE else "INVALID_TXN_STATE",
    )
    if joins and batch.base_sequence and broker.log.producers.state(batch.producer_id, partition.id).epoch < 0:
        # Here a sequence always begins with its transaction, so an earlier batch has not arrived yet.
        raise BrokerError("OUT_OF_ORDER_SEQUENCE_NUMBER", f"The first sequence number is {batch.base_sequence}, not 0.")


def _keep(
    cache: Any, partition: Partition, batch: record_batch.RecordBatch, appended: Appended, compression: int
) -> None:
    unchanged = appended.append_time_ms == -1 and compression == batch.compression
    if unchanged and batch.timestamp_type == record_batch.CREATE_TIME:
        raw = record_batch.rebase(batch.raw, appended.base_offset, partition.leader_epoch)
        cache.put(partition.id, appended.base_offset, appended.base_offset + batch.last_offset_delta, raw)
    else:
        cache.skip(partition.id)
