"""Log directories (KIP-113). A sandbox has one: its file."""

import shutil
from collections.abc import Generator
from typing import Any

from sandbox.broker.logs.topic import Partition
from sandbox.kafka.errors import CODE
from sandbox.model.file_path import shown_path
from sandbox.wire.long_answers import PARTITIONS_PER_STEP, AnswerSteps, answer_in_steps
from sandbox.wire.node import Answer, Handled, Request


def describe_log_dirs(request: Request) -> Handled:
    """DescribeLogDirs, key 35, versions 1 to 5 (KIP-113, KIP-827).

    Differs from a real broker: the sandbox file is the only log directory. A partition's size is the size of its record
    batches as produced, minus what compaction removed.
    Left out: replicas that move between directories, because there is only one; cordoned directories.
    """
    return answer_in_steps(request, _describe_log_dir(request))


def _describe_log_dir(request: Request) -> AnswerSteps:
    topics = yield from _topics(request)
    path = request.node.broker.database.path
    disk = shutil.disk_usage(path.parent)
    return {
        "error_code": 0,
        "results": [
            {
                "error_code": 0,
                "log_dir": shown_path(path),
                "topics": topics,
                "total_bytes": disk.total,
                "usable_bytes": disk.free,
            }
        ],
    }


def _topics(request: Request) -> Generator[None, None, list[dict[str, Any]]]:
    broker, wanted = request.node.broker, request.body.topics
    asked = None if wanted is None else {topic.topic: set(topic.partitions) for topic in wanted}
    found = []
    described = 0
    for name, topic in sorted(broker.topics.items()):
        if asked is not None and name not in asked:
            continue
        partitions = []
        for one in topic.partitions:
            if request.node.node_id in one.replicas and (asked is None or one.partition in asked[name]):
                if described and described % PARTITIONS_PER_STEP == 0:
                    yield
                partitions.append(_size(request, one))
                described += 1
        if partitions:
            found.append({"name": name, "partitions": partitions})
    return found


def _size(request: Request, partition: Partition) -> dict[str, Any]:
    return {
        "partition_index": partition.partition,
        "partition_size": request.node.broker.retention.size_bytes(partition),
        "offset_lag": 0,
        "is_future_key": False,
    }


def alter_replica_log_dirs(request: Request) -> Answer:
    """AlterReplicaLogDirs, key 34, versions 1 and 2 (KIP-113).

    Differs from a real broker: the sandbox file is the only log directory, and it contains every replica already.
    """
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
