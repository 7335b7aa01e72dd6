"""CreatePartitions, key 37, versions 0 to 3 (KIP-195).

Differs from a real broker: nothing known.
"""

from collections import Counter
from typing import Any

from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Increase the number of partitions of each topic."""
    asked = Counter(topic.name for topic in request.body.topics)
    once = [topic for topic in request.body.topics if asked[topic.name] == 1]
    twice = [name for name, count in asked.items() if count > 1]
    return {"results": [_create(request, topic) for topic in once] + [_duplicate(name) for name in twice]}


def _duplicate(name: str) -> Answer:
    return {"name": name, "error_code": CODE["INVALID_REQUEST"], "error_message": "Duplicate topic name."}


def _create(request: Request, wanted: Any) -> Answer:
    broker = request.node.broker
    assignments = [tuple(one.broker_ids) for one in wanted.assignments or ()]
    try:
        before = len(broker.topic(wanted.name).partitions)
        if wanted.assignments is not None and wanted.count > before:
            if len(assignments) != wanted.count - before:
                raise BrokerError(
                    "INVALID_REPLICA_ASSIGNMENT",
                    f"Attempted to add {wanted.count - before} additional partition(s), but only {len(assignments)} "
                    "assignment(s) were specified.",
                )
            broker.cluster.check_assignment(assignments)
        broker.create_partitions(wanted.name, wanted.count, validate_only=request.body.validate_only)
        if assignments and not request.body.validate_only:
            broker.assign(broker.topic(wanted.name).partitions[before:], assignments)
    except BrokerError as error:
        # As in Kafka, clients use their own text for an unknown topic.
        text = None if error.error.name == "UNKNOWN_TOPIC_OR_PARTITION" else error.detail
        return {"name": wanted.name, "error_code": error.code, "error_message": text}
    return {"name": wanted.name, "error_code": 0, "error_message": None}
