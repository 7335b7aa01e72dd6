"""AlterReplicaLogDirs, key 34, versions 1 and 2 (KIP-113).

Differs from a real broker: the sandbox file is the only log directory, and it contains every replica already.
"""

from typing import Any

from sandbox.kafka.errors import CODE
from sandbox.model.file_path import shown_path
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Accept the only directory; answer LOG_DIR_NOT_FOUND for any other."""
    codes: dict[str, dict[int, int]] = {}
    for directory in request.body.dirs:
        for topic in directory.topics:
            for partition in topic.partitions:
                codes.setdefault(topic.name, {})[partition] = _code(request, directory.path, topic.name, partition)
    return {"results": [_answer(topic, partitions) for topic, partitions in codes.items()]}


def _code(request: Request, path: str, name: str, partition: int) -> int:
    if path != shown_path(request.node.broker.database.path):
        return CODE["LOG_DIR_NOT_FOUND"]
    topic = request.node.broker.topics.get(name)
    known = topic is not None and 0 <= partition < len(topic.partitions)
    return CODE["NONE"] if known else CODE["UNKNOWN_TOPIC_OR_PARTITION"]


def _answer(topic: str, partitions: dict[int, int]) -> dict[str, Any]:
    return {
        "topic_name": topic,
        "partitions": [{"partition_index": partition, "error_code": code} for partition, code in partitions.items()],
    }
