"""Leaders and replicas of partitions: elections and reassignments (KIP-183, KIP-455, KIP-460)."""

from typing import Any

from sandbox.broker.cluster import MANUAL
from sandbox.broker.logs.topic import Partition
from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.node import Answer, Request

PREFERRED, UNCLEAN = 0, 1
TYPES_SINCE = 1


def elect_leaders(request: Request) -> Answer:
    """ElectLeaders, key 43, versions 0 to 2 (KIP-183, KIP-460).

    With one broker, or if the preferred replica is the leader already, the answer is ELECTION_NOT_NEEDED, as in Kafka.
    If a request is for all partitions, the answer leaves out those that need no election.

    Differs from a real broker: an unclean election finds no leader that a clean election doesn't find.
    """
    body = request.body
    kind = body.election_type if request.version >= TYPES_SINCE else PREFERRED
    topics = request.node.broker.topics
    everywhere = body.topic_partitions is None
    wanted = (
        [(name, range(len(topic.partitions))) for name, topic in sorted(topics.items())]
        if everywhere
        else [(topic.topic, topic.partitions) for topic in body.topic_partitions]
    )
    results = []
    for name, numbers in wanted:
        found = [_elect(request, kind, name, number) for number in numbers]
        if everywhere:
            found = [one for one in found if one["error_code"] != CODE["ELECTION_NOT_NEEDED"]]
        results.append({"topic": name, "partition_result": found})
    error_code = 0 if kind in (PREFERRED, UNCLEAN) or not results else CODE["INVALID_REQUEST"]
    return {"error_code": error_code, "replica_election_results": results}


def _elect(request: Request, kind: int, name: str, number: int) -> dict[str, Any]:
    answer = {"partition_id": number, "error_code": 0, "error_message": None}
    try:
        if kind not in (PREFERRED, UNCLEAN):
            raise BrokerError("INVALID_REQUEST", f"Unknown election type {kind}")
        _elect_one(request, kind, _partition_elect_leaders(request, name, number))
    except BrokerError as error:
        return answer | {"error_code": error.code, "error_message": error.detail}
    return answer


def _partition_elect_leaders(request: Request, name: str, number: int) -> Partition:
    topic = request.node.broker.topics.get(name)
    if topic is None:
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"No such topic as {name}")
    if not 0 <= number < len(topic.partitions):
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"No such partition as {name}-{number}")
    return topic.partitions[number]


def _elect_one(request: Request, kind: int, partition: Partition) -> None:
    broker = request.node.broker
    if partition.leader > 0 and (kind == UNCLEAN or partition.leader == partition.replicas[0]):
        raise BrokerError("ELECTION_NOT_NEEDED", "Leader election not needed for topic partition.")
    if kind == UNCLEAN:
        raise BrokerError("ELIGIBLE_LEADERS_NOT_AVAILABLE")
    broker.led([broker.cluster.prefer(partition)])


def alter_partition_reassignments(request: Request) -> Answer:
    """AlterPartitionReassignments, key 45, versions 0 and 1 (KIP-455).

    Differs from a real broker: all brokers share one file, so a reassignment is complete immediately. There is never
    one to cancel: NO_REASSIGNMENT_IN_PROGRESS.
    """
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
        partition = _partition_alter_partition_reassignments(request, name, wanted.partition_index)
        if wanted.replicas is None:
            return answer | {"error_code": BrokerError("NO_REASSIGNMENT_IN_PROGRESS").code}
        _check(request, partition, wanted.replicas)
        request.node.broker.reassign(partition, tuple(wanted.replicas))
    except BrokerError as error:
        return answer | {"error_code": error.code, "error_message": error.detail}
    return answer


def _partition_alter_partition_reassignments(request: Request, name: str, number: int) -> Partition:
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


def list_partition_reassignments(request: Request) -> Answer:
    """ListPartitionReassignments, key 46, version 0 (KIP-455).

    Differs from a real broker: a reassignment is complete immediately, so there is never one to list.
    """
    return {"error_code": 0, "error_message": None, "topics": []}
