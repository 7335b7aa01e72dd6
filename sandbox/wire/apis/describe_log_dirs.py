"""DescribeLogDirs, key 35, versions 1 to 5 (KIP-113, KIP-827).

Differs from a real broker: the sandbox file is the only log directory. A partition's size is the size of its record
batches as produced, minus what compaction removed.
Left out: replicas that move between directories, because there is only one; cordoned directories.
"""

import shutil
from typing import Any

from sandbox.broker.logs.topic import Partition
from sandbox.model.file_path import shown_path
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Return the size of each of this broker's replicas."""
    path = request.node.broker.database.path
    disk = shutil.disk_usage(path.parent)
    return {
        "error_code": 0,
        "results": [
            {
                "error_code": 0,
                "log_dir": shown_path(path),
                "topics": _topics(request),
                "total_bytes": disk.total,
                "usable_bytes": disk.free,
            }
        ],
    }


def _topics(request: Request) -> list[dict[str, Any]]:
    broker, wanted = request.node.broker, request.body.topics
    asked = None if wanted is None else {topic.topic: set(topic.partitions) for topic in wanted}
    found = []
    for name, topic in sorted(broker.topics.items()):
        if asked is None or name in asked:
            partitions = [
                _size(request, one)
                for one in topic.partitions
                if request.node.node_id in one.replicas and (asked is None or one.partition in asked[name])
            ]
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
