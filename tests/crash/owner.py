"""Runs `sandbox up` in a separate process, on one file and always the same ports, to kill and restart it."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
START_S = 30.0
ENDED_S = 60.0
"""Seconds until a killed process is gone: a hanging disk delays it."""


class Owner:
    """The process that owns a file.

    Args:
        file: the sandbox file.
        options: additional options of `sandbox up`.
        before: a command, with its options, that runs it in the same process.
        module: the module to run as `sandbox`.
        tree: the checkout of the project whose sandbox runs.

    Attributes:
        listeners: security protocol to address, for listeners with TLS or SASL.
        start_s: duration of each start until the sandbox was ready.
    """

    def __init__(
        self, file: Path, *options: str, before: Sequence[str] = (), module: str = "sandbox", tree: Path = ROOT
    ) -> None:
        self.file = file
        self.module = module
        self.tree = tree
        self.listeners: dict[str, str] = {}
        self.before = before
        self.options = options
        self.port = free_port()
        self.web_port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start_s: list[float] = []

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start the process without waiting until it is ready."""
        ports = ("--kafka-port", str(self.port), "--ui-port", str(self.web_port))
        command = [
            *self.before,
            sys.executable,
            "-m",
            self.module,
            "up",
            str(self.file),
            *ports,
            "--json",
            *self.options,
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.tree,
                env=os.environ | {"PYTHONPATH": str(self.tree)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        return self.process

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        started = time.monotonic()
        process = self.launch()
        assert process.stdout is not None
        bound = threading.Timer(START_S, process.kill)
        bound.start()
        line = process.stdout.readline()
        bound.cancel()
        assert line, f"the sandbox did not start: {self.log.read_text()[-2000:]}"
        ready = json.loads(line)
        assert ready["pid"] == process.pid
        self.port = int(ready["kafka"].rpartition(":")[2])
        self.web_port = int(ready["web"].rpartition(":")[2])
        self.listeners = ready.get("listeners", {})
        self.start_s.append(time.monotonic() - started)

    def kill(self) -> None:
        """Kill the process with kill -9, without a warning."""
        assert self.process is not None, "it was not launched"
        self.process.kill()
        self.process.wait(ENDED_S)
        if self.process.stdout is not None:
            self.process.stdout.close()

    @property
    def log(self) -> Path:
        """The file with its standard error."""
        return self.file.with_suffix(".log")

    @property
    def bootstrap(self) -> str:
        """Its Kafka address, the same after each start."""
        return f"127.0.0.1:{self.port}"

    @property
    def page(self) -> str:
        """Host and port of its page, the same after each start."""
        return f"127.0.0.1:{self.web_port}"


@contextmanager
def owned(file: Path, *options: str, before: Sequence[str] = (), module: str = "sandbox") -> Iterator[Owner]:
    """Start an owner, and kill it at the end."""
    owner = Owner(file, *options, before=before, module=module)
    try:
        owner.start()
        yield owner
    finally:
        owner.kill()
