"""Transactions: idempotent and transactional producers (KIP-98, KIP-890)."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

from sandbox.broker.groups.calls import OffsetCommit, PartitionError
from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.long_writes import not_committed
from sandbox.wire.node import Answer, Handled, Request

INIT_PRODUCER_ID_FENCED_SINCE = 4
NONE_YET = (-1, 0)


def init_producer_id(request: Request) -> Answer:
    """InitProducerId, key 22, versions 0 to 5 (KIP-98, KIP-360).

    Differs from a real broker: a producer whose transactional id has an open transaction is answered immediately,
    without CONCURRENT_TRANSACTIONS first (`sandbox.broker.logs.transactions`). A transactional producer without a
    producer id may send 0 as well as -1. Two-phase commit (version 6, KIP-939) is left out, as in Kafka 4.1.
    Shown by: `tests/clients/test_transaction_requests.py`.
    """
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
        if name == "PRODUCER_FENCED" and request.version < INIT_PRODUCER_ID_FENCED_SINCE:
            name = "INVALID_PRODUCER_EPOCH"
        return {"error_code": CODE[name], "producer_id": -1, "producer_epoch": -1}
    return {"error_code": 0, "producer_id": producer_id, "producer_epoch": epoch}


BATCHED_SINCE = 4
ADD_PARTITIONS_TO_TXN_FENCED_SINCE = 2

Errors = dict[tuple[str, int], str]


def add_partitions_to_txn(request: Request) -> Answer:
    """AddPartitionsToTxn, key 24, versions 0 to 5 (KIP-98, KIP-890).

    Clients send versions 0 to 3, for one transactional id. Brokers send versions 4 and 5, for one or more, and can use
    them to check if partitions take part without adding any.
    Differs from a real broker: nothing known.
    Shown by: `tests/clients/test_transaction_requests.py`.
    """
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
        if name == "PRODUCER_FENCED" and request.version < ADD_PARTITIONS_TO_TXN_FENCED_SINCE:
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


ADD_OFFSETS_TO_TXN_FENCED_SINCE = 2


def add_offsets_to_txn(request: Request) -> Answer:
    """AddOffsetsToTxn, key 25, versions 0 to 4 (KIP-98).

    Differs from a real broker: nothing known.
    Shown by: `tests/clients/test_transaction_requests.py`.
    """
    body = request.body
    try:
        request.node.broker.transactions.add_group(
            body.transactional_id, body.producer_id, body.producer_epoch, body.group_id, request.node.now_ms()
        )
    except BrokerError as error:
        name = error.error.name
        if name == "PRODUCER_FENCED" and request.version < ADD_OFFSETS_TO_TXN_FENCED_SINCE:
            name = "INVALID_PRODUCER_EPOCH"
        return {"error_code": CODE[name]}
    return {"error_code": 0}


ABORTABLE_SINCE = 4
JOINS_SINCE = 5
"""The version from which a commit adds its group to the transaction."""
TOPIC_IDS_SINCE = 6


def txn_offset_commit(request: Request) -> Handled:
    """TxnOffsetCommit, key 28, versions 0 to 6 (KIP-98, KIP-447, KIP-890, KIP-1319).

    The offsets are staged until the end of the transaction. A group member is checked like in OffsetCommit, but may
    commit while its group rebalances; a request without member and generation is not checked. From version 6 topics are
    named by id.
    Differs from a real broker: version 5 with an unknown transactional id is always refused; Kafka accepts it if the
    same producer has just written.
    Shown by: `tests/clients/test_transaction_requests.py`.
    """
    body, broker = request.body, request.node.broker
    request.node.traffic.committed(request.client_id, body.transactional_id, body.group_id)
    known, errors = [], {}
    for topic in body.topics:
        if request.version >= TOPIC_IDS_SINCE:
            found, unknown = broker.topics_by_id.get(topic.topic_id), "UNKNOWN_TOPIC_ID"
            topic.name = found.name if found is not None else str(topic.topic_id)
        else:
            found, unknown = broker.topics.get(topic.name), "UNKNOWN_TOPIC_OR_PARTITION"
        for one in topic.partitions:
            if found is None:
                errors[topic.name, one.partition_index] = unknown
            elif not 0 <= one.partition_index < len(found.partitions):
                errors[topic.name, one.partition_index] = "UNKNOWN_TOPIC_OR_PARTITION"
            else:
                known.append(_offset(topic.name, one))
    long_writes = request.node.long_writes
    if not long_writes.wants(body.group_id, len(known)):
        return _answer(request, errors, _stage(request, known) if known else ())
    return long_writes.run(
        body.group_id,
        known,
        lambda some: _stage(request, some),
        not_committed,
        lambda outcome: _answer(request, errors, outcome),
    )


def _answer(
    request: Request, unknown: Mapping[tuple[str, int], str], outcome: Sequence[PartitionError]
) -> dict[str, object]:
    errors = {**unknown, **{(one.topic, one.partition): one.error for one in outcome}}
    return {
        "topics": [
            {
                "name": topic.name,
                "topic_id": topic.topic_id,
                "partitions": [
                    {
                        "partition_index": one.partition_index,
                        "error_code": CODE[errors[topic.name, one.partition_index]],
                    }
                    for one in topic.partitions
                ],
            }
            for topic in request.body.topics
        ]
    }


def _offset(topic: str, one: SimpleNamespace) -> OffsetCommit:
    return OffsetCommit(
        topic, one.partition_index, one.committed_offset, one.committed_leader_epoch, one.committed_metadata
    )


def _stage(request: Request, offsets: Sequence[OffsetCommit]) -> Sequence[PartitionError]:
    body, node = request.body, request.node
    now_ms = node.now_ms()
    try:
        if not body.group_id:
            raise BrokerError("INVALID_GROUP_ID")
        node.broker.transactions.check_offsets(
            body.transactional_id,
            body.producer_id,
            body.producer_epoch,
            body.group_id,
            now_ms,
            joins=request.version >= JOINS_SINCE,
            refusal="TRANSACTION_ABORTABLE" if request.version >= ABORTABLE_SINCE else "INVALID_TXN_STATE",
        )
    except BrokerError as error:
        return [PartitionError(one.topic, one.partition, error.error.name) for one in offsets]
    outcome = node.coordinator.commit(
        body.group_id,
        body.generation_id_or_member_epoch,
        body.member_id,
        body.group_instance_id,
        offsets,
        now_ms,
        knows_epochs=request.version >= TOPIC_IDS_SINCE,
        stage=lambda accepted: node.broker.transactions.stage_offsets(
            body.producer_id, body.group_id, accepted, body.generation_id_or_member_epoch, body.member_id
        ),
    )
    if request.version >= TOPIC_IDS_SINCE:
        return outcome
    # Earlier versions have no error for a member epoch.
    return [one._replace(error="ILLEGAL_GENERATION") if one.error == "STALE_MEMBER_EPOCH" else one for one in outcome]


END_TXN_FENCED_SINCE = 2
RAISES_EPOCH_SINCE = 5


def end_txn(request: Request) -> Answer:
    """EndTxn, key 26, versions 0 to 5 (KIP-98, KIP-890).

    Version 5 raises the producer's epoch and returns the id and epoch to continue with. Clients send it because the
    feature `transaction.version` is 2, as in Kafka 4. Older clients, including librdkafka, send version 4 and keep
    their epoch.
    Differs from a real broker: the transaction has ended completely when the answer is sent, so the next one never gets
    CONCURRENT_TRANSACTIONS, unless an injected fault with `transaction_end_ms` asks for it.
    Shown by: `tests/clients/test_transaction_requests.py`.
    """
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
        if name == "PRODUCER_FENCED" and request.version < END_TXN_FENCED_SINCE:
            name = "INVALID_PRODUCER_EPOCH"
        return {"error_code": CODE[name]}
    return {"error_code": 0, "producer_id": producer_id, "producer_epoch": epoch}


def write_txn_markers(request: Request) -> Answer:
    """WriteTxnMarkers, key 27, versions 1 and 2 (KIP-98, KIP-1228).

    Brokers send it to each other, and administrators send it to end a hanging transaction in one partition (KIP-664).
    Differs from a real broker: a marker's coordinator epoch is always 0, regardless of the request; an older epoch of
    the producer is refused with INVALID_PRODUCER_EPOCH, where Kafka 4.1 answers UNKNOWN_SERVER_ERROR.
    Left out: partitions of `__consumer_offsets`, because that topic has no rows here.
    Shown by: `tests/clients/test_transaction_requests.py`.
    """
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
