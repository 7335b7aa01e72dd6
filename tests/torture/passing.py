"""One group that comes and goes, as a program of its own: `python -m tests.torture.passing BOOTSTRAP GROUP SEED`.

librdkafka can stop the whole program of a consumer that closes while its partitions change (it waits for ever with
Python's lock held), so the groups of the hour of load are not in the program that samples and judges.
"""

import random
import sys
import time

from confluent_kafka import Consumer, KafkaException

from tests.crash.history import TOPIC

QUICK = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 500, "retry.backoff.ms": 50, "log_level": 0}


def reader(bootstrap: str, group: str) -> Consumer:
    """A consumer from the start of each log, which commits only when it is told to."""
    settings = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
    return Consumer({**settings, "enable.auto.commit": False, "session.timeout.ms": 10_000, **QUICK})


def visit(bootstrap: str, group: str, seed: int) -> int:
    """One to three members read and commit for 3 to 12 seconds, and leave; how many commits were refused."""
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
