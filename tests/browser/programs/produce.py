"""Produce events one at a time, and print when each was acknowledged.

Usage: produce.py ADDRESS TOPIC COUNT GAP_MS KEY
"""

import json
import random
import sys
import time
from typing import Any

from confluent_kafka import KafkaError, Message, Producer


def main(address: str, topic: str, count: int, gap_ms: int, key: str) -> None:
    """Send `count` events, with pauses of half to one and a half `gap_ms` between them."""
    producer = Producer({"bootstrap.servers": address, "linger.ms": 0})
    source = random.Random(count)
    acknowledged: list[dict[str, Any]] = []

    def note(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            raise SystemExit(str(error))
        at_ms = time.time_ns() / 1e6
        acknowledged.append({"partition": message.partition(), "offset": message.offset(), "at_ms": at_ms})

    for n in range(count):
        producer.produce(topic, key=key, value=json.dumps({"n": n}), on_delivery=note)
        while len(acknowledged) <= n:
            producer.poll(0.1)
        time.sleep(gap_ms * source.uniform(0.5, 1.5) / 1000)
    for line in acknowledged:
        print(json.dumps(line))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
