"""Measures how long a well-behaved producer waits for acknowledgements during a large administrative operation.

    python -m tests.torture.stall_operations [NAME ...]

Each operation runs against `sandbox up` in a separate process. A probe in another process sends one event every 5 ms
with acks=all and waits for each answer. It is measured for a few seconds without the operation, and then during it.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.wire.records.batch import encode_batch
from tests.crash.owner import ROOT, Owner, owned
from tests.wire.raw_client import METADATA, OFFSET_COMMIT, RawClient, rows

EVENTS = 1_000_000
OFFSETS = 10_000
MEMBERS = 2_000
QUIET_S = 4.0
PAUSE_S = 0.005
RETRY_S = 0.02
OPERATION_S = 180.0
PROBE = "probe"
TOPICS, TOPIC_PARTITIONS = 2_000, 11
REPEATED = 10
"""How often a request about everything is sent."""
JOIN_GROUP, SYNC_GROUP = 11, 14
DESCRIBE_CONFIGS, LOG_DIRS, DESCRIBE_PRODUCERS = 32, 35, 61


class Waits(NamedTuple):
    """Durations until acknowledgement, in ms."""

    acknowledgements: int
    p50: float
    p99: float
    most: float


def waits_of(found_ms: list[float]) -> Waits:
    """Compute the percentiles of some durations."""
    found_ms = sorted(found_ms) or [0.0]
    at = [found_ms[int(share * (len(found_ms) - 1))] for share in (0.5, 0.99, 1.0)]
    return Waits(len(found_ms), *at)


def probe(address: str) -> None:
    """Send events until standard input ends, then print the durations. Reconnects if needed; that counts too."""
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    client: RawClient | None = None
    found_ms = []
    print("ready", flush=True)
    while not ended.is_set():
        begun_s = time.perf_counter()
        while not ended.is_set():
            try:
                client = client or RawClient(address)
                if client.produce(PROBE, rows(b"x" * 100)).error_code == 0:
                    break
            except OSError:
                client = None
            time.sleep(RETRY_S)
        found_ms.append(1000 * (time.perf_counter() - begun_s))
        time.sleep(PAUSE_S)
    print(json.dumps(found_ms), flush=True)


@contextmanager
def probing(owner: Owner) -> Iterator[Callable[[], Waits]]:
    """Run a probe beside the block. Yields a function that ends it and returns the durations."""
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name if __spec__ else __name__, "--probe", owner.bootstrap],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield lambda: waits_of(json.loads(process.communicate(timeout=60)[0]))
    finally:
        process.kill()
        process.wait()


def ask_page(owner: Owner, address: str, method: str = "POST") -> object:
    """Send a request to the page like a program does."""
    request = urllib.request.Request(f"http://{owner.page}{address}", method=method, headers={"X-Sandbox": "stalls"})
    with urllib.request.urlopen(request, timeout=OPERATION_S) as answer:
        return answer.read()


class Operation(NamedTuple):
    """A large operation that runs beside the probe.

    Attributes:
        prepare: fills a new file.
        begin: does the part that isn't measured, in the running sandbox. Returns a function that does the rest.
    """

    prepare: Callable[[Sandbox], None]
    begin: Callable[[Owner], Callable[[], object]]


def fill(box: Sandbox, topic: str, events: int, keys: int) -> None:
    """Append events of about 100 bytes."""
    for first in range(0, events, 1_000):
        box.append_many(
            topic,
            [
                NewEvent(b'{"number": %d, "text": "%s"}' % (n, b"x" * 70), key=b"%d" % (n % keys))
                for n in range(first, first + 1_000)
            ],
        )


def many_events(box: Sandbox) -> None:
    """Create a topic of a million events, and a snapshot of it."""
    box.create_topic("big")
    fill(box, "big", EVENTS, EVENTS)
    box.snapshots.take("before")
    box.append("big", "one more")


def restore(owner: Owner) -> Callable[[], object]:
    """Restore a snapshot of a million events."""
    return lambda: ask_page(owner, "/snapshots/before/restore.json")


def many_keys(box: Sandbox) -> None:
    """Create a compacted topic in which most events are obsolete."""
    box.create_topic("keyed", settings={"cleanup.policy": "compact"})
    fill(box, "keyed", EVENTS // 2, EVENTS // 20)


def compact(owner: Owner) -> Callable[[], object]:
    """Compact the topic until nothing is left to do."""
    return lambda: ask_page(owner, "/topics/keyed/clean/compact.json")


def many_partitions(box: Sandbox) -> None:
    """Create a topic with the maximum number of partitions."""
    box.create_topic("wide", partitions=OFFSETS)


def commit(owner: Owner) -> Callable[[], object]:
    """Commit an offset of each partition in one request, ten times."""
    client = RawClient(owner.bootstrap)
    client.socket.settimeout(OPERATION_S)

    def run() -> None:
        for round in range(10):
            partitions = [
                {
                    "partition_index": n,
                    "committed_offset": round,
                    "committed_leader_epoch": -1,
                    "committed_metadata": "",
                }
                for n in range(OFFSETS)
            ]
            body = {
                "group_id": "wide",
                "generation_id_or_member_epoch": -1,
                "member_id": "",
                "group_instance_id": None,
                "topics": [{"name": "wide", "partitions": partitions}],
            }
            answer = client.ask(OFFSET_COMMIT, 8, body)
            assert {one.error_code for one in answer.topics[0].partitions} == {0}

    return run


def nothing(box: Sandbox) -> None:
    """Leave the file empty."""


def join(owner: Owner) -> Callable[[], object]:
    """Let members join one group, and sync."""
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, 2 * MEMBERS), limit))
    clients = [RawClient(owner.bootstrap) for _ in range(MEMBERS)]
    for client in clients:
        client.socket.settimeout(OPERATION_S)

    def body(member_id: str) -> dict[str, object]:
        return {
            "group_id": "crowd",
            "session_timeout_ms": 60_000,
            "rebalance_timeout_ms": 60_000,
            "member_id": member_id,
            "group_instance_id": None,
            "protocol_type": "consumer",
            "protocols": [{"name": "range", "metadata": b"\0\0\0\0\0\0\0\0\0\0"}],
        }

    def run() -> None:
        for client in clients:
            client.send(JOIN_GROUP, 5, body(""))
        members = [client.receive().member_id for client in clients]
        for client, member in zip(clients, members, strict=True):
            client.send(JOIN_GROUP, 5, body(member))
        joined = [client.receive() for client in clients]
        for client, answer in zip(clients, joined, strict=True):
            assignments = [{"member_id": one, "assignment": b"\0\0"} for one in members if answer.members]
            sync = {
                "group_id": "crowd",
                "generation_id": answer.generation_id,
                "member_id": answer.member_id,
                "group_instance_id": None,
                "assignments": assignments,
            }
            client.send(SYNC_GROUP, 4, sync)
        for client in clients:
            client.receive()
            client.close()

    return run


def many_topics(box: Sandbox) -> None:
    """Create 2,000 topics with 22,000 partitions."""
    for number in range(TOPICS):
        box.create_topic(f"topic-{number}", partitions=TOPIC_PARTITIONS)


def asking(key: int, version: int, body: dict[str, object]) -> Callable[[Owner], Callable[[], object]]:
    """Return an operation that sends one request repeatedly, and waits for each answer."""

    def begin(owner: Owner) -> Callable[[], object]:
        client = RawClient(owner.bootstrap)
        client.socket.settimeout(OPERATION_S)

        def run() -> None:
            for _ in range(REPEATED):
                client.send(key, version, body)
                client.receive_frame()

        return run

    return begin


def produce_tiny(owner: Owner) -> Callable[[], object]:
    """Produce record batches of 100,000 events of one byte, one after the other."""
    client = RawClient(owner.bootstrap)
    client.socket.settimeout(OPERATION_S)
    batch = encode_batch(0, [(number, 1_700_000_000_000, None, b"x", ()) for number in range(100_000)])

    def run() -> None:
        for _ in range(REPEATED):
            assert client.produce("tiny", batch).error_code == 0

    return run


def tiny(box: Sandbox) -> None:
    """Create the topic of tiny events."""
    box.create_topic("tiny")


NAMES = [f"topic-{number}" for number in range(TOPICS)]
RESOURCES = [{"resource_type": 2, "resource_name": name, "configuration_keys": None} for name in NAMES]
PLACES = [{"name": name, "partition_indexes": list(range(TOPIC_PARTITIONS))} for name in NAMES]

OPERATIONS = {
    "restore": Operation(many_events, restore),
    "compact": Operation(many_keys, compact),
    "commit": Operation(many_partitions, commit),
    "join": Operation(nothing, join),
    "metadata": Operation(many_topics, asking(METADATA, 12, {"topics": None})),
    "configs": Operation(many_topics, asking(DESCRIBE_CONFIGS, 4, {"resources": RESOURCES, "include_synonyms": True})),
    "log_dirs": Operation(many_topics, asking(LOG_DIRS, 4, {"topics": None})),
    "producers": Operation(many_topics, asking(DESCRIBE_PRODUCERS, 0, {"topics": PLACES})),
    "tiny": Operation(tiny, produce_tiny),
}


def measure(name: str, folder: Path) -> tuple[Waits, Waits, float]:
    """Return the durations without an operation and beside it, and the operation's duration in seconds."""
    file = folder / f"{name}.db"
    with Sandbox(file) as box:
        box.create_topic(PROBE)
        OPERATIONS[name].prepare(box)
    with owned(file) as owner:
        run = OPERATIONS[name].begin(owner)
        with probing(owner) as quiet:
            time.sleep(QUIET_S)
            before = quiet()
        with probing(owner) as beside:
            begun_s = time.perf_counter()
            run()
            took_s = time.perf_counter() - begun_s
            return before, beside(), took_s


def main(names: list[str]) -> None:
    """Measure the named operations, or all."""
    print("operation   took s |  quiet: p50    p99    max | beside: p50    p99    max ms")
    for name in names or OPERATIONS:
        with tempfile.TemporaryDirectory(prefix="sandbox-stalls-") as folder:
            quiet, beside, took_s = measure(name, Path(folder))
        print(f"{name:<10} {took_s:>7.2f} | ", end="")
        print(f"{quiet.p50:>11.1f} {quiet.p99:>6.1f} {quiet.most:>6.1f} | ", end="")
        print(
            f"{beside.p50:>11.1f} {beside.p99:>6.1f} {beside.most:>6.1f}   ({beside.acknowledgements} sent)",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--probe"]:
        probe(sys.argv[2])
    else:
        main(sys.argv[1:])
