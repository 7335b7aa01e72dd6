"""A member of a group until it is killed, which may stop polling for a while on request.

Usage: member.py ADDRESS TOPIC GROUP CLIENT_ID SESSION_MS POLL_MS

Each line of its input is a number of seconds that it works without polling.
"""

import queue
import sys
import threading
import time

from confluent_kafka import Consumer


def main(address: str, topic: str, group: str, client_id: str, session_ms: int, poll_ms: int) -> None:
    """Poll, and print a line once there is an assignment."""
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": group,
            "client.id": client_id,
            "partition.assignment.strategy": "range",
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": 300,
            "max.poll.interval.ms": poll_ms,
        }
    )
    busy: queue.SimpleQueue[float] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            busy.put(float(line))

    threading.Thread(target=listen, daemon=True).start()
    consumer.subscribe([topic], on_assign=lambda consumer, partitions: print("assigned", flush=True))
    while True:
        consumer.poll(0.1)
        if not busy.empty():
            time.sleep(busy.get())


main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6]))
