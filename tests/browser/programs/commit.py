"""Commit offsets one at a time as a member of a group, and print when each was acknowledged.

Usage: commit.py ADDRESS TOPIC GROUP COUNT GAP_MS
"""

import json
import random
import sys
import time

from confluent_kafka import Consumer, TopicPartition


def main(address: str, topic: str, group: str, count: int, gap_ms: int) -> None:
    """Commit offsets 1 to `count` of partition 0, with pauses of half to one and a half `gap_ms` between them."""
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    deadline_s = time.monotonic() + 20
    while not consumer.assignment():
        consumer.poll(0.1)
        if time.monotonic() > deadline_s:
            raise SystemExit("no assignment within 20 s")
    source = random.Random(count)
    lines = []
    for offset in range(1, count + 1):
        consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
        lines.append({"offset": offset, "at_ms": time.time_ns() / 1e6})
        time.sleep(gap_ms * source.uniform(0.5, 1.5) / 1000)
    for line in lines:
        print(json.dumps(line))
    consumer.close()


main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
