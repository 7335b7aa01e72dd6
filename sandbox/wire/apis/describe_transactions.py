"""DescribeTransactions, key 65, version 0 (KIP-664).

Differs from a real broker: groups whose offsets take part are not shown as partitions of `__consumer_offsets`.
A transactional id that is named twice is described once.
Shown by: `tests/clients/test_transaction_requests.py`.
"""

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Describe each transactional id."""
    names = dict.fromkeys(request.body.transactional_ids)
    return {"transaction_states": [_describe(request, name) for name in names]}


def _describe(request: Request, transactional_id: str) -> Answer:
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
