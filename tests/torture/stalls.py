"""Measures how long other clients wait beside each attack: `python -m tests.torture.stalls --seconds 15`.

A producer sends one event every 10 ms with acks=all, first alone and then beside the attack. `--tree` measures another
checkout of the project, such as an earlier commit: `git worktree add ../before b824500`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.crash.owner import ROOT, Owner
from tests.torture.attackers import ATTACKS, Target

TOPIC, STEADY = "attacked", "steady"
PARTITIONS = 60
EVENTS = 20_000
"""Events per partition: 2 MB, more than a consumer fetches at once."""
LONGEST_MS = 10_000
MEMORY_MIB_MAX = 250
LOG_BYTES_MAX = 1_000_000
DESCRIPTORS = 256
FEW = ("sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "--")
"""Runs a program with few descriptors, like macOS does by default."""
PORT = ("--listener", "SASL_PLAINTEXT", "--user", "guessed:secret")


@dataclass(frozen=True, slots=True)
class Waits:
    """Durations until acknowledgement, in ms."""

    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, took: Sequence[float]) -> "Waits":
        """Compute the percentiles of single durations."""
        ordered = sorted(took)
        return cls(ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1])

    def __str__(self) -> str:
        return f"{self.p50:.1f} / {self.p99:.0f} / {self.longest:.0f}"


@dataclass(frozen=True, slots=True)
class Stall:
    """The result of one attack.

    Attributes:
        memory_mib: peak memory of the sandbox's process (0 if the system does not report it).
        log_bytes: number of bytes that the sandbox wrote to its log.
    """

    attack: str
    alone: Waits
    beside: Waits
    memory_mib: float
    log_bytes: int

    def wrong(self) -> list[str]:
        """Return the limits that were exceeded, which hold on a busy machine too."""
        found = []
        if self.beside.longest >= LONGEST_MS:
            found.append(f"{self.attack}: an acknowledgement took {self.beside.longest:,.0f} ms")
        if self.memory_mib >= MEMORY_MIB_MAX:
            found.append(f"{self.attack}: {self.memory_mib:,.0f} MiB of memory")
        if self.log_bytes >= LOG_BYTES_MAX:
            found.append(f"{self.attack}: {self.log_bytes:,} bytes of log")
        return found

    def row(self) -> str:
        """Format the result as a row of the table in docs/reliability.md."""
        memory = f"{self.memory_mib:,.0f} MiB"
        return f"| {self.attack} | {self.alone} | {self.beside} | {memory} | {self.log_bytes / 1024:,.0f} KiB |"


def fill(owner: Owner, partitions: int, events: int) -> None:
    """Write the events that the attackers read."""
    admin = AdminClient({"bootstrap.servers": owner.bootstrap, "log_level": 0})
    for future in admin.create_topics([NewTopic(TOPIC, partitions, 1), NewTopic(STEADY, 1, 1)]).values():
        future.result(30)
    producer = Producer({"bootstrap.servers": owner.bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 10**6})
    for partition in range(partitions):
        for _ in range(events):
            producer.produce(TOPIC, b"v" * 100, b"key-1234", partition=partition)
        producer.flush(60)


def peak_memory_mib(pid: int) -> float:
    """Return a process's peak memory in MiB (Linux)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


@contextmanager
def _attacking(name: str, target: Target) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "tests.torture.attackers", name, target.as_json()], cwd=ROOT)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _measured(owner: Owner, seconds: float, beside: Callable[[], AbstractContextManager[None]] = nullcontext) -> Waits:
    program = [sys.executable, "-m", "tests.torture.steady", owner.bootstrap, STEADY, str(seconds)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with beside():
            found, _ = process.communicate(timeout=seconds + 60)
    finally:
        process.kill()
        process.wait()
    return Waits.of(json.loads(found))


def stall(name: str, owner: Owner, seconds: float, partitions: int = PARTITIONS) -> Stall:
    """Measure one attack on a filled sandbox, which is started here with empty caches."""
    owner.before = FEW if f"{DESCRIPTORS} descriptors" in name else ()
    owner.log.write_bytes(b"")
    owner.start()
    try:
        assert owner.process is not None
        alone = _measured(owner, max(seconds / 3, 1))
        target = Target(owner.bootstrap, owner.listeners["SASL_PLAINTEXT"], TOPIC, partitions)
        beside = _measured(owner, seconds, lambda: _attacking(name, target))
        return Stall(name, alone, beside, peak_memory_mib(owner.process.pid), owner.log.stat().st_size)
    finally:
        owner.kill()


def run(
    folder: Path,
    seconds: float,
    names: Sequence[str] = tuple(ATTACKS),
    say: Callable[[str], None] = print,
    tree: Path = ROOT,
    size: tuple[int, int] = (PARTITIONS, EVENTS),
) -> list[Stall]:
    """Measure attacks, one after the other. `size` is the number of partitions, and of events per partition."""
    owner = Owner(folder / "stalls.db", *PORT, tree=tree)
    owner.start()
    try:
        fill(owner, *size)
    finally:
        owner.kill()
    say("| attack | alone: p50 / p99 / max ms | beside it: p50 / p99 / max ms | memory at most | log |")
    say("|---|---|---|---|---|")
    found = []
    for name in names:
        found.append(stall(name, owner, seconds, size[0]))
        say(found[-1].row())
    return found


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15, help="for each attack")
    parser.add_argument("--only", choices=tuple(ATTACKS), action="append", help="may be given again")
    parser.add_argument("--tree", type=Path, default=ROOT, help="a checkout whose sandbox is measured")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sandbox-stalls-") as folder:
        run(Path(folder), arguments.seconds, arguments.only or tuple(ATTACKS), tree=arguments.tree)
    return 0


if __name__ == "__main__":
    sys.exit(main())
