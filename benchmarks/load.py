"""The client of a benchmark, a separate program: `python -m benchmarks.load JOB '{"servers": ...}'`.

It prints what it measured as one line of JSON. The same code measures the sandbox and every peer.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.workload import Kind, samples

JOB_SECONDS = 120.0
KEYS = [b"user-%07d" % number for number in range(1000)]
# librdkafka stops fetching for a second when 100,000 events are queued; a benchmark must not measure that rest.
CONSUMER = {"queued.min.messages": 10_000_000, "queued.max.messages.kbytes": 1_000_000, "fetch.queue.backoff.ms": 0}


class TookTooLong(Exception):
    """A job did not end within its time."""


def _until(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TookTooLong(f"not done after {JOB_SECONDS:g} s")


def create(servers: str, topic: str, partitions: int) -> dict[str, Any]:
    """Create a topic, and wait for it."""
    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.create_topics([NewTopic(topic, partitions, 1)]).values():
        future.result(10)
    return {}


def produce(servers: str, topic: str, events: int, kind: Kind, value_bytes: int = 100) -> dict[str, Any]:
    """Produce as fast as possible; the clock stops at the last acknowledgement."""
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "linger.ms": 5,
            "queue.buffering.max.messages": events + 1,
            "queue.buffering.max.kbytes": 2_000_000,
        }
    )
    producer.list_topics(topic, timeout=10)
    pool: list[tuple[bytes, bytes, list[tuple[str, str | bytes | None]]]]
    pool = [(one.value, one.key, list(one.headers)) for one in samples(kind, value_bytes)]
    deadline = time.monotonic() + JOB_SECONDS
    started = time.perf_counter()
    for value, key, headers in islice(cycle(pool), events):
        if headers:
            producer.produce(topic, value, key, headers=headers)
        else:
            producer.produce(topic, value, key)
    while producer.flush(1.0):
        _until(deadline)
    return {"events_per_s": events / (time.perf_counter() - started)}


def transact(servers: str, topic: str, transactions: int, events: int) -> dict[str, Any]:
    """Commit transactions of `events` events, one after the other."""
    identity = f"bench-{time.time_ns()}"
    producer = Producer({"bootstrap.servers": servers, "transactional.id": identity, "linger.ms": 5})
    producer.init_transactions(JOB_SECONDS)

    def run() -> None:
        producer.begin_transaction()
        for number in range(events):
            producer.produce(topic, b"v" * 100, KEYS[number % 1000])
        producer.commit_transaction(JOB_SECONDS)

    run()
    started = time.perf_counter()
    for _ in range(transactions):
        run()
    return {"events_per_s": transactions * events / (time.perf_counter() - started)}


def consume(servers: str, topic: str) -> dict[str, Any]:
    """Read every event that a topic has; the clock starts before the first fetch."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "bench", "enable.auto.commit": False, **CONSUMER})
    places, wanted = [], 0
    for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        places.append(TopicPartition(topic, partition, low))
        wanted += high - low
    deadline = time.monotonic() + JOB_SECONDS
    started = time.perf_counter()
    consumer.assign(places)
    seen = 0
    while seen < wanted:
        seen += len(consumer.consume(10_000, 0.1))
        _until(deadline)
    spent = time.perf_counter() - started
    consumer.close()
    return {"events_per_s": seen / spent, "events": seen}


def acknowledged(servers: str, topic: str, events: int) -> dict[str, Any]:
    """One event at a time, each waited for: how long each took, in ms."""
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})
    done: list[object] = []
    times = []
    deadline = time.monotonic() + JOB_SECONDS
    for number in range(events + 50):
        started = time.perf_counter()
        producer.produce(topic, b"v" * 100, KEYS[number % 1000], on_delivery=lambda error, _: done.append(error))
        while len(done) <= number:
            producer.poll(1.0)
            _until(deadline)
        times.append((time.perf_counter() - started) * 1000)
    if any(done):
        raise RuntimeError(f"an event was not acknowledged: {next(filter(None, done))}")
    return {"ms": times[50:]}


def end_to_end(servers: str, topic: str, events: int) -> dict[str, Any]:
    """From `produce` to the return of a consumer's waiting `poll`, one event at a time, in ms."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "bench", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, consumer.get_watermark_offsets(TopicPartition(topic, 0))[1])])
    arrived = threading.Semaphore(0)
    times: list[float] = []
    ended = threading.Event()

    def follow() -> None:
        while not ended.is_set():
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                times.append((time.perf_counter_ns() - int(message.value() or b"0")) / 1e6)
                arrived.release()

    thread = threading.Thread(target=follow)
    thread.start()
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})
    try:
        for _ in range(events + 50):
            producer.produce(topic, str(time.perf_counter_ns()).encode(), partition=0)
            producer.poll(0)
            if not arrived.acquire(timeout=10):
                raise TookTooLong("an event did not arrive within 10 s")
    finally:
        ended.set()
        thread.join()
        consumer.close()
    return {"ms": times[50:]}


def fresh_group(servers: str, topic: str, group: str) -> dict[str, Any]:
    """From a new consumer of a new group to its first event, in seconds."""
    deadline = time.monotonic() + JOB_SECONDS
    started = time.perf_counter()
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    while True:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            break
        _until(deadline)
    spent = time.perf_counter() - started
    consumer.close()
    return {"s": spent}


def steady(servers: str, topic: str, group: str, events_per_s: int, seconds: float) -> dict[str, Any]:
    """Produce at an even rate, commit four times per second: when some of both were acknowledged, in ms since 1970."""
    sample = max(1, events_per_s // 20)
    events: list[dict[str, float]] = []
    commits: list[dict[str, float]] = []

    def note(error: object, message: Any) -> None:
        if error is not None:
            raise RuntimeError(f"an event was not acknowledged: {error}")
        events.append({"partition": message.partition(), "offset": message.offset(), "at_ms": time.time_ns() / 1e6})

    producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group, "enable.auto.commit": False})
    ended = threading.Event()

    def commit() -> None:
        offset = 1
        while not ended.wait(0.25):
            consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
            commits.append({"offset": offset, "at_ms": time.time_ns() / 1e6})
            offset += 1

    thread = threading.Thread(target=commit)
    thread.start()
    started = time.perf_counter()
    made = 0
    try:
        while (passed := time.perf_counter() - started) < seconds:
            while made < int(passed * events_per_s):
                value, key = b'{"n": %d}' % made, KEYS[made % len(KEYS)]
                producer.produce(topic, value, key, on_delivery=note if made % sample == 0 else lambda *_: None)
                made += 1
            producer.poll(0.001)
        left = producer.flush(10.0)
    finally:
        ended.set()
        thread.join()
        consumer.close()
    if left:
        raise TookTooLong(f"{left} events were not acknowledged within 10 s")
    return {"events": events, "commits": commits, "events_per_s": made / (time.perf_counter() - started)}


def in_process(file: str) -> dict[str, Any]:
    """From before the import to an answered Metadata of a sandbox inside this process, in seconds."""
    from benchmarks.processes import wait_for_metadata

    started = time.perf_counter()
    from sandbox import Sandbox

    with Sandbox(file) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        wait_for_metadata(int(str(sandbox.kafka_address).rpartition(":")[2]))
        return {"s": time.perf_counter() - started}


_JOBS = (create, produce, transact, consume, acknowledged, end_to_end, fresh_group, steady, in_process)
JOBS: dict[str, Callable[..., dict[str, Any]]] = {job.__name__: job for job in _JOBS}

if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](**json.loads(sys.argv[2]))))
