"""An hour of load: `python -m tests.torture.load --minutes 60 --seed 1`.

It runs producers, short-lived groups, three brokers (one is stopped from time to time), faults, and open pages.
The sandbox's memory, open files and threads are sampled continuously, and must stay within the bounds of `not_flat`. At
the end, every acknowledged event must exist exactly once, and the permanent group must have read it.
"""

import argparse
import http.client
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.crash.checker import faults
from tests.crash.history import GROUP, TOPIC, History, value_of
from tests.crash.owner import Owner, owned
from tests.torture import picture
from tests.torture.passing import QUICK, reader
from tests.waiting import eventually

PARTITIONS = 3
BROKERS = 3
SAMPLE_S = 10.0
WARM_MINUTES = 15.0
"""Minutes after which the batch cache is full, and memory may hardly grow."""
VISIT_S = 90
"""A short-lived group takes at most 12 seconds, plus delays from stopped brokers and faults."""
RATE = 100
"""Events per second of each of the two producers."""
VIEWS = ("/", f"/topics/{TOPIC}", f"/topics/{TOPIC}/messages", "/groups", f"/groups/{GROUP}", "/cluster", "/activity")
FAULTS = (
    {"api": "Fetch", "latency_ms": "300"},
    {"api": "Produce", "error": "NOT_LEADER_OR_FOLLOWER", "probability": "0.3"},
    {"api": "Produce", "error": "REQUEST_TIMED_OUT", "probability": "0.2"},
    {"api": "OffsetCommit", "error": "COORDINATOR_LOAD_IN_PROGRESS", "probability": "0.5"},
    {"api": "Heartbeat", "error": "NOT_COORDINATOR", "probability": "0.2"},
    {"api": "JoinGroup", "drop": "1", "probability": "0.5"},
)


@dataclass(frozen=True, slots=True)
class Sample:
    """Resources of the sandbox's process at one moment."""

    minute: float
    memory_mib: float
    files: int
    threads: int
    acknowledged: int
    file_mib: float


class Hour:
    """The load on one owner.

    Args:
        owner: the running owner.
        seed: of all random choices.

    Attributes:
        counts: action to number of times.
        failures: errors that a client must not see.
    """

    def __init__(self, owner: Owner, seed: int) -> None:
        self._owner = owner
        self._ended = threading.Event()
        self._dice = random.Random(seed)
        self.history = History(partitions=PARTITIONS)
        self.read: set[bytes] = set()
        self.counts: dict[str, int] = {}
        self.failures: list[str] = []
        works: list[Callable[[], None]] = [
            lambda: self._produce("once", once=True),
            lambda: self._produce("plain", once=False),
            self._read_all,
            *[lambda number=number: self._come_and_go(number) for number in range(2)],
            self._stop_brokers,
            self._inject,
            *[lambda view=view: self._watch(view) for view in VIEWS],
        ]
        self._threads = [threading.Thread(target=self._guarded, args=(work,)) for work in works]

    def __enter__(self) -> "Hour":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(60)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.failures.append(repr(error))

    def _count(self, what: str, times: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + times

    def _rest(self, least_s: float, most_s: float) -> bool:
        return self._ended.wait(self._dice.uniform(least_s, most_s))

    def _produce(self, name: str, *, once: bool) -> None:
        settings = {"bootstrap.servers": self._owner.bootstrap, "enable.idempotence": once, "linger.ms": 5}
        producer = Producer({**settings, **QUICK})

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                place = (message.partition() or 0, message.offset() or 0)
                self.history.acknowledged(*place, message.value() or b"")
            else:
                self._count(f"{name}: {error.name()}")

        number = 0
        while not self._ended.wait(0.1):
            for _ in range(RATE // 10):
                value, key = value_of(name, number), b"%d" % (number % 50)
                producer.produce(TOPIC, value, key, partition=number % PARTITIONS, on_delivery=delivered)
                number += 1
            producer.poll(0)
        if producer.flush(60):
            self.failures.append(f"{name}: {len(producer)} events were not delivered in 60 s")

    def _commit(self, consumer: Consumer) -> None:
        try:
            for done in consumer.commit(asynchronous=False) or []:
                if done.error is None and done.offset >= 0:
                    self.history.committed(done.partition, done.offset)
        except KafkaException:
            self._count("refused commits")

    def _read_all(self) -> None:
        consumer = reader(self._owner.bootstrap, GROUP)
        consumer.subscribe([TOPIC])
        behind_s = 30.0
        while not self._ended.is_set() or behind_s > 0:
            found = [message for message in consumer.consume(1_000, 1.0) if message.error() is None]
            self.read.update(message.value() or b"" for message in found)
            self._commit(consumer)
            if self._ended.is_set():
                behind_s = behind_s - 1.0 if not self.history.values() <= self.read else 0
        consumer.close()

    def _come_and_go(self, number: int) -> None:
        program = [sys.executable, "-m", "tests.torture.passing", self._owner.bootstrap]
        while not self._rest(0.5, 3):
            group = f"passing-{number}-{self._dice.randrange(5)}"
            try:
                visit = [*program, group, str(self._dice.randrange(2**32))]
                refused = subprocess.run(visit, stdout=subprocess.PIPE, check=True, text=True, timeout=VISIT_S).stdout
            except subprocess.TimeoutExpired:
                self._count("programs of groups that librdkafka stopped")
                continue
            self._count("groups that came and went")
            self._count("refused commits", int(refused))
            if self._dice.random() < 0.3 and self._post(f"/groups/{group}/delete") < 400:
                self._count("groups deleted")

    def _post(self, path: str, **form: str) -> int:
        body = urlencode(form)
        connection = http.client.HTTPConnection(self._owner.page, timeout=30)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 599
        finally:
            connection.close()

    def _stop_brokers(self) -> None:
        while not self._rest(10, 25):
            broker = self._dice.randint(1, BROKERS)
            if self._post(f"/cluster/brokers/{broker}/stop") < 400:
                self._count("brokers stopped and started")
            self._rest(2, 8)
            eventually(lambda broker=broker: self._post(f"/cluster/brokers/{broker}/start") < 400, 30)  # type: ignore[misc]
            self._post("/cluster/prefer")

    def _inject(self) -> None:
        while not self._rest(15, 40):
            fault = self._dice.choice(FAULTS)
            status = self._post("/faults", **fault)
            if status < 400:
                self._count("faults injected")
            elif status < 500:
                self.failures.append(f"the fault {fault} is none: the page answered {status}")
            self._rest(3, 10)
            eventually(lambda: self._post("/faults/clear") < 400, 30)

    def _watch(self, view: str) -> None:
        address = f"ws://{self._owner.page}/live?view={view}"
        while not self._ended.is_set():
            until = time.monotonic() + self._dice.uniform(60, 180)
            with suppress(OSError, WebSocketException), connect(address, max_size=None) as tab:
                self._count("tabs opened")
                while time.monotonic() < until and not self._ended.is_set():
                    with suppress(TimeoutError):
                        tab.recv(1)
                        self._count("swaps of tabs")
                        tab.send("ok")
            self._rest(0.5, 2)


def sample(owner: Owner, minute: float, acknowledged: int) -> Sample:
    """Sample the owner's process (Linux)."""
    assert owner.process is not None
    proc = Path(f"/proc/{owner.process.pid}")
    status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
    return Sample(
        minute=round(minute, 2),
        memory_mib=int(status["VmRSS"].split()[0]) / 1024,
        files=len(list((proc / "fd").iterdir())),
        threads=int(status["Threads"]),
        acknowledged=acknowledged,
        file_mib=owner.file.stat().st_size / 2**20,
    )


def not_flat(samples: list[Sample]) -> list[str]:
    """Return which figures grew: the median of the last quarter compared with the second, after the warm-up."""
    quarter = len(samples) // 4
    if not quarter:
        return ["too few samples"]
    warm = samples[quarter].minute >= WARM_MINUTES
    found = []
    bounds = (("memory_mib", 8 if warm else 16, 0.1 if warm else 0.15), ("files", 20, 0.2), ("threads", 4, 0.1))
    for name, slack, share in bounds:
        before, after = (
            median(getattr(one, name) for one in part) for part in (samples[quarter : 2 * quarter], samples[-quarter:])
        )
        if after > before * (1 + share) + slack:
            found.append(f"{name} grew from {before:.0f} to {after:.0f}")
    return found


def run(
    file: Path, minutes: float, seed: int, say: Callable[[str], None] = print, enough: threading.Event | None = None
) -> tuple[list[Sample], list[str]]:
    """Load a sandbox for `minutes`, or until `enough` is set. Returns the samples, and what was wrong."""
    enough = enough or threading.Event()
    samples: list[Sample] = []
    with owned(file, "--brokers", str(BROKERS)) as owner:
        admin = AdminClient({"bootstrap.servers": owner.bootstrap, "log_level": 0})
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, BROKERS)])[TOPIC].result(30)
        started = time.monotonic()
        with Hour(owner, seed) as hour:
            while (spent_s := time.monotonic() - started) < minutes * 60 and not enough.is_set():
                samples.append(sample(owner, spent_s / 60, len(hour.history.events)))
                one = samples[-1]
                if len(samples) % 6 == 1:
                    say(
                        f"{one.minute:5.1f} min: {one.memory_mib:.0f} MiB, {one.files} files, {one.threads} threads, "
                        f"{one.acknowledged:,} events acknowledged, file {one.file_mib:.0f} MiB"
                    )
                enough.wait(min(SAMPLE_S, minutes * 60 / 12))
        wrong = [*hour.failures, *faults(hour.history, file), *not_flat(samples)]
        unread = hour.history.values() - hour.read
        if unread:
            wrong.append(f"{len(unread)} acknowledged events were not read, such as {min(unread)!r}")
        say(json.dumps(hour.counts, sort_keys=True))
    return samples, wrong


def main() -> int:
    """Run, print a summary, and return the exit code: 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--picture", type=Path, help="where to draw the samples, such as docs/images/load.svg")
    parser.add_argument("--samples", type=Path, help="where to keep the samples, as JSON")
    arguments = parser.parse_args()
    enough = threading.Event()
    # If it ends early, it prints the actual minutes, and judges the samples so far.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: enough.set())
    with tempfile.TemporaryDirectory(prefix="sandbox-load-") as folder:
        samples, wrong = run(
            Path(folder) / "load.db", arguments.minutes, arguments.seed, lambda text: print(text, flush=True), enough
        )
    if arguments.samples:
        arguments.samples.write_text(json.dumps([asdict(one) for one in samples]))
    if arguments.picture:
        draw(arguments.picture, samples)
    for one in wrong:
        print(f"WRONG: {one}")
    print(
        f"load: {samples[-1].minute:.0f} minutes, seed {arguments.seed}: "
        f"{'WRONG' if wrong else 'nothing lost, all within its bounds'}"
    )
    return 1 if wrong else 0


def draw(file: Path, samples: list[Sample]) -> None:
    """Draw the samples as a picture."""
    titles = (("memory, MiB", "memory_mib"), ("open files and sockets", "files"), ("threads", "threads"))
    lines = [picture.Line(title, [(one.minute, getattr(one, name)) for one in samples]) for title, name in titles]
    picture.write(file, lines)


if __name__ == "__main__":
    sys.exit(main())
