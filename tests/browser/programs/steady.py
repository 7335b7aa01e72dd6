"""Produces events to some topics at a steady rate, and commits for a group, until its standard input is closed.

Usage: steady.py ADDRESS EVENTS_PER_S GROUP TOPIC...
"""

import json
import sys
import threading
import time

from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

COMMITS_PER_S = 2


def main(address: str, per_s: float, group: str, topics: list[str]) -> None:
    """Produce to the topics in turn; commit the offset of every tenth event or so of the first one."""
    producer = Producer({"bootstrap.servers": address, "linger.ms": 0})
    admin = AdminClient({"bootstrap.servers": address})
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    sent = 0
    started_s = time.monotonic()
    while not ended.is_set():
        due = int((time.monotonic() - started_s) * per_s)
        for number in range(sent, due):
            value = {"n": number, "text": "x" * (number % 40)}
            producer.produce(topics[number % len(topics)], key=f"k{number % 7}", value=json.dumps(value))
        if due // int(per_s / COMMITS_PER_S) > sent // int(per_s / COMMITS_PER_S):
            place = TopicPartition(topics[0], 0, due // (3 * len(topics)))
            admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [place])])
        sent = due
        producer.poll(0)
        ended.wait(0.01)
    producer.flush(5)


main(sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4:])
