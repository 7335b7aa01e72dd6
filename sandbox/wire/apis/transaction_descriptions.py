"""Describes transactions and producers for tools (KIP-664)."""

from sandbox.broker.logs.transactions import unknown_states
from sandbox.kafka.errors import NO_TOPIC, BrokerError
from sandbox.storage.log import log_transactions
from sandbox.wire.long_answers import PARTITIONS_PER_STEP, AnswerSteps, answer_in_steps
from sandbox.wire.node import Answer, Handled, Request


def describe_transactions(request: Request) -> Answer:
    """DescribeTransactions, key 65, version 0 (KIP-664).

    Differs from a real broker: groups whose offsets take part are not shown as partitions of `__consumer_offsets`.
    A transactional id that is named twice is described once.
    Shown by: `tests/clients/test_transaction_requests.py`.
    """
    names = dict.fromkeys(request.body.transactional_ids)
    return {"transaction_states": [_describe_describe_transactions(request, name) for name in names]}


def _describe_describe_transactions(request: Request, transactional_id: str) -> Answer:
    try:
        found = request.node.broker.transactions.describe(transactional_id)
    except BrokerError as error:
        return {"error_code": error.code, "transactional_id": transactional_id}
    topics: dict[str, list[int]] = {}
    for topic, partition in sorted(found.partitions):
        topics.setdefault(topic, []).append(partition)
    return {
        "error_code": 0,
        "transactional_id": transactional_id,
        "transaction_state": found.state.value,
        "transaction_timeout_ms": found.timeout_ms,
        "transaction_start_time_ms": -1 if found.started_ms is None else found.started_ms,
        "producer_id": found.producer_id,
        "producer_epoch": found.producer_epoch,
        "topics": [{"topic": topic, "partitions": partitions} for topic, partitions in topics.items()],
    }


def list_transactions(request: Request) -> Answer:
    """ListTransactions, key 66, versions 0 to 2 (KIP-664, KIP-994, KIP-1152).

    Differs from a real broker: nothing known.
    Shown by: `tests/clients/test_transaction_requests.py`.
    """
    body, cluster = request.body, request.node.broker.cluster
    try:
        found = request.node.broker.transactions.list(
            request.node.now_ms(),
            states=body.state_filters,
            producer_ids=body.producer_id_filters,
            open_ms=body.duration_filter,
            pattern=body.transactional_id_pattern,
        )
    except BrokerError as error:
        return {"error_code": error.code}
    return {
        "error_code": 0,
        "unknown_state_filters": unknown_states(body.state_filters),
        "transaction_states": [
            {
                "transactional_id": one.transactional_id,
                "producer_id": one.producer_id,
                "transaction_state": one.state.value,
            }
            for one in found
            if cluster.coordinator(one.transactional_id) == request.node.node_id
        ],
    }


COORDINATOR_EPOCH = 0


def describe_producers(request: Request) -> Handled:
    """DescribeProducers, key 61, version 0 (KIP-664).

    Differs from a real broker: a partition that is named twice is described once.
    Shown by: `tests/clients/test_transaction_requests.py`.
    """
    return answer_in_steps(request, _describe_all_producers(request))


def _describe_all_producers(request: Request) -> AnswerSteps:
    asked: dict[str, dict[int, None]] = {}
    for topic in request.body.topics:
        asked.setdefault(topic.name, {}).update(dict.fromkeys(topic.partition_indexes))
    topics = []
    described = 0
    for name, numbers in asked.items():
        partitions = []
        for number in numbers:
            if described and described % PARTITIONS_PER_STEP == 0:
                yield
            partitions.append(_describe_describe_producers(request, name, number))
            described += 1
        topics.append({"name": name, "partitions": partitions})
    return {"topics": topics}


def _describe_describe_producers(request: Request, name: str, number: int) -> Answer:
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
