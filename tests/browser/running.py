"""A sandbox as a user runs it, in a separate process, with a browser."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.processes import ROOT, end, tail

START_S = 30
PROGRAMS = Path(__file__).parent / "programs"
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True, slots=True)
class Running:
    """Where a sandbox listens."""

    kafka: str
    web: str
    file: Path

    @property
    def ports(self) -> tuple[int, int]:
        """The Kafka port and the page's."""
        return int(self.kafka.rpartition(":")[2]), int(self.web.rpartition(":")[2])


@contextmanager
def running(file: Path, ports: tuple[int, int] = (0, 0), brokers: int = 1) -> Iterator[Running]:
    """Run the sandbox until the block ends.

    Args:
        file: the sandbox file; its log is written beside it.
        ports: for Kafka and the page; 0 picks a free one.
        brokers: how many of them.

    Raises:
        RuntimeError: it did not say in time where it listens.
    """
    log = file.with_suffix(".log")
    command = [sys.executable, "-m", "sandbox", "up", str(file), "--json"]
    command += ["--kafka-port", str(ports[0]), "--ui-port", str(ports[1]), "--brokers", str(brokers)]
    with log.open("ab") as stderr:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr)
    try:
        assert process.stdout is not None
        bound = threading.Timer(START_S, process.kill)
        bound.start()
        line = process.stdout.readline()
        bound.cancel()
        if not line:
            raise RuntimeError(f"the sandbox did not start: {tail(log)}")
        told = json.loads(line)
        yield Running(told["kafka"], told["web"], file)
    finally:
        end(process)


def program(name: str, *arguments: object, within_s: float = 60) -> list[dict[str, Any]]:
    """Run one of the programs beside this file in another process, to its end.

    Args:
        name: its file name without ending.
        *arguments: its command line.
        within_s: seconds it may take.

    Returns:
        What it printed, one object a line.
    """
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / f"{name}.py"), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
