"""The processes of a benchmark: the sandbox that is measured, and the client that measures it, each its own."""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 30.0
JOB_SECONDS = 180.0
ROOT = Path(__file__).parent.parent
# As for a user: bytecode is kept between starts, whatever the shell of the benchmark says.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
    "PYTHONPATH": str(ROOT),
    "PYTHONPYCACHEPREFIX": str(ROOT / ".cache" / "bench-bytecode"),
}


@dataclass(frozen=True, slots=True)
class Server:
    """A running `sandbox up`."""

    kafka: str
    web: str
    pid: int

    def memory_mib(self) -> float | None:
        """Its resident memory; None if the system doesn't report it (only Linux does)."""
        try:
            text = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return None
        line = next(line for line in text.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def cpu_s(self) -> float:
        """The processor time it has used; 0 where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def sandbox_up(file: Path) -> Iterator[Server]:
    """A sandbox on `file` in a separate process, with Kafka port and page."""
    process = start_sandbox(file)
    try:
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], START_SECONDS)[0]:
            raise TimeoutError(f"sandbox up was not ready within {START_SECONDS:g} s")
        ready = json.loads(process.stdout.readline())
        yield Server(ready["kafka"], ready["web"], ready["pid"])
    finally:
        stop(process)


def start_sandbox(file: Path, kafka_port: int = 0) -> "subprocess.Popen[str]":
    """The process of `sandbox up`; its first line of output says that it is ready."""
    ports = ("--kafka-port", str(kafka_port), "--ui-port", "0")
    command = [sys.executable, "-m", "sandbox", "up", str(file), *ports, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)


def stop(process: "subprocess.Popen[str]") -> None:
    """End a process that was started here, and wait for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(START_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(START_SECONDS)
    if process.stdout is not None:
        process.stdout.close()


def run_job(job: str, **arguments: Any) -> dict[str, Any]:
    """Run one job of `benchmarks.load` in a separate process; returns its measurements."""
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", job, json.dumps(arguments)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=JOB_SECONDS,
        check=True,
        env=ENVIRONMENT,
    )
    measured: dict[str, Any] = json.loads(finished.stdout)
    return measured


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_metadata(port: int, timeout_s: float = START_SECONDS) -> None:
    """Ask the port for Metadata until it answers. Raw bytes: a client would add its own start to the figure."""
    body = struct.pack(">hhih5si", 3, 1, 1, 5, b"bench", 0)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
                connection.sendall(struct.pack(">i", len(body)) + body)
                if connection.recv(4):
                    return
        except OSError:
            time.sleep(0.001)
    raise TimeoutError(f"nothing answers on port {port} after {timeout_s:g} s")
