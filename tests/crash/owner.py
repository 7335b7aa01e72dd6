"""`sandbox up` in a process of its own, on one file and always the same ports, which is killed and started again."""

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
"""How long a process that was killed may take to be gone: a disk that hangs keeps it."""


class Owner:
    """The process that owns a file.

    Args:
        file: the sandbox file.
        options: more options of `sandbox up`.
        before: a program that runs it in the same process, with its options.
        module: what is run as `sandbox`.
        tree: the checkout of the project whose sandbox runs.

    Attributes:
        listeners: the addresses of its listeners with TLS or SASL, by security protocol.
        start_s: how long each start took until it said that it was ready.
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
        """Start it, and do not wait until it is ready."""
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
        """Start it, and wait until it says that it is ready."""
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
        """kill -9, and nothing before it."""
        assert self.process is not None, "it was not launched"
        self.process.kill()
        self.process.wait(ENDED_S)
        if self.process.stdout is not None:
            self.process.stdout.close()

    @property
    def log(self) -> Path:
        """What it writes to its standard error."""
        return self.file.with_suffix(".log")

    @property
    def bootstrap(self) -> str:
        """Its address, which stays the same."""
        return f"127.0.0.1:{self.port}"

    @property
    def page(self) -> str:
        """Host and port of its page, which stay the same."""
        return f"127.0.0.1:{self.web_port}"


@contextmanager
def owned(file: Path, *options: str, before: Sequence[str] = (), module: str = "sandbox") -> Iterator[Owner]:
    """An owner that runs; killed at the end, whatever happens."""
    owner = Owner(file, *options, before=before, module=module)
    try:
        owner.start()
        yield owner
    finally:
        owner.kill()
