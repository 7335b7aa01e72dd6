"""ListOffsets, key 2, versions 1 to 10.

For a time it returns the first event at or after it, exactly per event; for -1 the end, -2 the start, -3 the largest
timestamp (KIP-734), -4 the earliest local offset (KIP-405), and -5 the latest tiered offset, which never exists. In
read_committed the end is the last stable offset, and nothing at or after it is found. As in Kafka, a transaction marker
has an offset and a time like an event.
Differs from a real broker: nothing known.
"""

from typing import Any

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED = -1, -2, -3, -4, -5
READ_COMMITTED = 1
SINCE = {MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9}


def handle(request: Request) -> Answer:
    """Find an offset in each partition."""
    return {
        "topics": [
            {"name": topic.name, "partitions": [_look_up(request, topic.name, wanted) for wanted in topic.partitions]}
            for topic in request.body.topics
        ]
    }


def _look_up(request: Request, name: str, wanted: Any) -> Answer:
    broker = request.node.broker
    answer = {"partition_index": wanted.partition_index, "timestamp": -1, "offset": -1, "leader_epoch": -1}
    try:
        partition = broker.topic(name).partition(wanted.partition_index)
        partition.check_leader(request.node.node_id)
        partition.check_leader_epoch(wanted.current_leader_epoch)
        if request.version < SINCE.get(wanted.timestamp, 0) or wanted.timestamp < LATEST_TIERED:
            raise BrokerError("UNSUPPORTED_VERSION")
    except BrokerError as error:
        return answer | {"error_code": error.code}
    stable = request.body.isolation_level == READ_COMMITTED
    end = partition.last_stable_offset if stable else partition.high_watermark
    found: tuple[int, int] | None
    if wanted.timestamp == LATEST:
        found = (end, -1)
    elif wanted.timestamp in (EARLIEST, EARLIEST_LOCAL):
        found = (partition.start, -1)
    elif wanted.timestamp == LATEST_TIERED:
        found = None
    elif wanted.timestamp == MAX_TIMESTAMP:
        found = broker.log.largest_timestamp(partition)
    else:
        found = broker.log.offset_for_time(partition, wanted.timestamp)
    if found is None or (found[0] >= end and wanted.timestamp not in (LATEST, EARLIEST, EARLIEST_LOCAL)):
        return answer | {"error_code": 0}
    return answer | {
        "error_code": 0,
        "offset": found[0],
        "timestamp": found[1],
        "leader_epoch": partition.leader_epoch,
    }
