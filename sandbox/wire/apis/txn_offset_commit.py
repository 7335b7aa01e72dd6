"""TxnOffsetCommit, key 28, versions 0 to 6 (KIP-98, KIP-447, KIP-890, KIP-1319).

The offsets are staged until the end of the transaction. A group member is checked like in OffsetCommit, but may commit
while its group rebalances; a request without member and generation is not checked. From version 6 topics are named by
id.
Differs from a real broker: version 5 with an unknown transactional id is always refused; Kafka accepts it if the same
producer has just written.
Shown by: `tests/clients/test_transaction_requests.py`.
"""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

from sandbox.broker.groups.calls import OffsetCommit, PartitionError
from sandbox.broker.reply import Reply
from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.long_writes import not_committed
from sandbox.wire.node import Answer, Handled, Request

ABORTABLE_SINCE = 4
JOINS_SINCE = 5
"""The version from which a commit adds its group to the transaction."""
TOPIC_IDS_SINCE = 6


def handle(request: Request) -> Handled:
    """Stage a group's offsets for the end of a transaction. The answer for thousands of offsets is sent later."""
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
    reply: Reply[Answer] = Reply()
    written = long_writes.run(body.group_id, known, lambda some: _stage(request, some), not_committed)
    written.on_done(lambda outcome: reply.set(_answer(request, errors, outcome)))
    return reply


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
