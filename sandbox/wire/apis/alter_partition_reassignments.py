"""AlterPartitionReassignments, key 45, versions 0 and 1 (KIP-455).

Differs from a real broker: all brokers share one file, so a reassignment is complete immediately. There is never one to
cancel: NO_REASSIGNMENT_IN_PROGRESS.
"""

from typing import Any

from sandbox.broker.cluster import MANUAL
from sandbox.broker.logs.topic import Partition
from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Assign the new replicas of each partition."""
    return {
        "allow_replication_factor_change": request.body.allow_replication_factor_change,
        "error_code": 0,
        "error_message": None,
        "responses": [
            {"name": topic.name, "partitions": [_reassign(request, topic.name, one) for one in topic.partitions]}
            for topic in request.body.topics
        ],
    }


def _reassign(request: Request, name: str, wanted: Any) -> Answer:
    answer = {"partition_index": wanted.partition_index, "error_code": 0, "error_message": None}
    try:
        partition = _partition(request, name, wanted.partition_index)
        if wanted.replicas is None:
            return answer | {"error_code": BrokerError("NO_REASSIGNMENT_IN_PROGRESS").code}
        _check(request, partition, wanted.replicas)
        request.node.broker.reassign(partition, tuple(wanted.replicas))
    except BrokerError as error:
        return answer | {"error_code": error.code, "error_message": error.detail}
    return answer


def _partition(request: Request, name: str, number: int) -> Partition:
    topic = request.node.broker.topics.get(name)
    if topic is None:
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"Unable to find a topic named {name}.")
    if not 0 <= number < len(topic.partitions):
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"Unable to find partition {name}:{number}.")
    return topic.partitions[number]


def _check(request: Request, partition: Partition, replicas: list[int]) -> None:
    if not replicas:
        raise BrokerError("INVALID_REPLICA_ASSIGNMENT", f"{MANUAL} an empty replica list.")
    for broker in replicas:
        if broker not in request.node.broker.cluster.ids:
            raise BrokerError(
                "INVALID_REPLICA_ASSIGNMENT", f"{MANUAL} broker {broker}, but no such broker is registered."
            )
        if replicas.count(broker) > 1:
            raise BrokerError("INVALID_REPLICA_ASSIGNMENT", f"{MANUAL} the broker {broker} more than once.")
    if not request.body.allow_replication_factor_change and len(replicas) != len(partition.replicas):
        raise BrokerError(
            "INVALID_REPLICATION_FACTOR",
            f"The replication factor is changed from {len(partition.replicas)} to {len(replicas)}",
        )
