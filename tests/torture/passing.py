"""A short-lived group as a separate program: `python -m tests.torture.passing BOOTSTRAP GROUP SEED`.

If a consumer closes while its partitions change, librdkafka can block the whole program (it waits forever while holding
Python's lock), so the groups of the load test are not in the program that samples and judges.
"""

import random
import sys
import time

from confluent_kafka import Consumer, KafkaException

from tests.crash.history import TOPIC

QUICK = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 500, "retry.backoff.ms": 50, "log_level": 0}


def reader(bootstrap: str, group: str) -> Consumer:
    """Create a consumer that reads each log from its start, and commits only on request."""
    settings = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
    return Consumer({**settings, "enable.auto.commit": False, "session.timeout.ms": 10_000, **QUICK})


def visit(bootstrap: str, group: str, seed: int) -> int:
    """Let 1 to 3 members read and commit for 3 to 12 seconds, and leave. Returns the number of refused commits."""
    dice = random.Random(seed)
    members = [reader(bootstrap, group) for _ in range(dice.randint(1, 3))]
    for member in members:
        member.subscribe([TOPIC])
    until, refused = time.monotonic() + dice.uniform(3, 12), 0
    while time.monotonic() < until:
        for member in members:
            if member.consume(2_000, 0.2):
                try:
                    member.commit(asynchronous=False)
                except KafkaException:
                    refused += 1
    for member in members:
        member.close()
    return refused


if __name__ == "__main__":
    print(visit(sys.argv[1], sys.argv[2], int(sys.argv[3])))
