"""The files of the page benchmark: a day of a million events in a hundred topics, with two hundred groups."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

from sandbox import NewEvent, Sandbox

TOPICS, GROUPS, MANY_TOPICS = 100, 200, 1000
PARTITIONS = 6
BIG, AVERAGE, MANY = "topic-000", "topic-050", "many-0000"
GROUP = "group-004"
RARE_KEY = "only-once"
DAY_MS = 86_400_000
ROUNDS = 24
"""So often within the day everybody writes and every group commits."""
CHUNK = 500


def topic_names() -> list[str]:
    """The topics: the first has half of the events."""
    return [f"topic-{number:03d}" for number in range(TOPICS)]


def make(file: Path, events: int) -> None:
    """Half of the events in one topic, the rest in the other 99, written and read over a day that ends now."""
    now_ms = time.time_ns() // 1_000_000 - DAY_MS
    names = topic_names()
    with Sandbox(file, clock=lambda: now_ms) as sandbox:
        for number, name in enumerate(names):
            sandbox.create_topic(name, partitions=PARTITIONS if name == BIG else 1 + number % PARTITIONS)
        for turn in range(ROUNDS):
            now_ms += DAY_MS // (ROUNDS + 1)
            for name in names:
                share = events // 2 if name == BIG else events // 2 // (TOPICS - 1)
                some = share * (turn + 1) // ROUNDS - share * turn // ROUNDS
                sandbox.append_many(name, _events(name, turn, some, now_ms), chunk=CHUNK)
            for group in range(GROUPS):
                _commit(sandbox, f"group-{group:03d}", _topics_of(group), 1 / (1 + group % 5))


def make_many_topics(file: Path) -> None:
    """A thousand topics of ten events each."""
    with Sandbox(file) as sandbox:
        for number in range(MANY_TOPICS):
            name = f"many-{number:04d}"
            sandbox.create_topic(name, partitions=1)
            sandbox.append_many(name, (NewEvent(b"value") for _ in range(10)))
        for group in range(20):
            _commit(sandbox, f"group-{group:03d}", [f"many-{group:04d}"], 0.5)


def _events(topic: str, turn: int, count: int, until_ms: int) -> Iterator[NewEvent]:
    since_ms = until_ms - DAY_MS // (ROUNDS + 1)
    for number in range(count):
        value = {"id": turn * count + number, "user": number % 1000, "amount": number % 9973 / 100, "text": "v" * 60}
        key = f"user-{number % 1000:07d}" if turn or number else RARE_KEY
        yield NewEvent(
            json.dumps(value).encode(), key.encode(), timestamp_ms=since_ms + number * (until_ms - since_ms) // count
        )


def _topics_of(group: int) -> list[str]:
    names = topic_names()
    return sorted({BIG if group % 4 == 0 else names[group % TOPICS], names[7 * group % TOPICS]})


def _commit(sandbox: Sandbox, group: str, topics: list[str], share: float) -> None:
    for topic in topics:
        for partition, end in sandbox.end_offsets(topic).items():
            sandbox.commit(group, topic, partition, int(end * share))
