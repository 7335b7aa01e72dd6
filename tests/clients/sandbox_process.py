"""The sandbox as a user runs it: `python -m sandbox up`, in a separate process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.clients.processes import ROOT, end, tail

START_S = 20


@contextmanager
def running_sandbox(file: Path, *settings: str) -> Iterator[str]:
    """Run the sandbox on free loopback ports until the block ends.

    Args:
        file: the sandbox file; its log is written beside it.
        settings: broker settings, NAME=VALUE.

    Returns:
        A context manager that gives the bootstrap address.

    Raises:
        RuntimeError: the sandbox did not say within 20 seconds where it listens.
    """
    with started_sandbox(file, *settings) as (_, bootstrap):
        yield bootstrap


@contextmanager
def started_sandbox(file: Path, *settings: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """As `running_sandbox`, with the process too, for those who kill it."""
    log = file.with_suffix(".log")
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "sandbox",
                "up",
                str(file),
                "--kafka-port",
                "0",
                "--ui-port",
                "0",
                "--json",
                *(f"-c{one}" for one in settings),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    try:
        addresses = _first_line(process)
        if addresses is None:
            raise RuntimeError(f"the sandbox did not start: {tail(log)}")
        yield process, addresses["kafka"]
    finally:
        end(process)


def _first_line(process: subprocess.Popen[bytes]) -> dict[str, Any] | None:
    assert process.stdout is not None
    # A line that does not come is bounded by ending the process: the read then returns nothing.
    bound = threading.Timer(START_S, process.kill)
    bound.start()
    try:
        line = process.stdout.readline()
    finally:
        bound.cancel()
    return json.loads(line) if line else None
