"""A sandbox in a separate process that a test may kill and start again on the same file and port."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

from tests.clients.processes import ROOT, end, tail

START_S = 20


class RestartableSandbox:
    """The owner of one file, as often as it is started.

    Args:
        file: the sandbox file; its log is written beside it.
        settings: broker settings.
    """

    def __init__(self, file: Path, settings: dict[str, str]) -> None:
        self.kafka = self.web = ""
        self._log = file.with_suffix(".log")
        module = "tests.clients.programs.sandbox_program"
        self._command = [sys.executable, "-m", module, str(file), json.dumps(settings)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RestartableSandbox:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            end(self._process)

    def start(self) -> None:
        """Start it and wait until it answers: on the port that it had before, because clients remember it."""
        with self._log.open("ab") as stderr:
            process = self._process = subprocess.Popen(
                self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
            )
        assert process.stdout is not None
        bound = threading.Timer(START_S, process.kill)
        bound.start()
        try:
            line = process.stdout.readline()
        finally:
            bound.cancel()
        if not line:
            raise RuntimeError(f"the sandbox did not start: {tail(self._log)}")
        addresses = json.loads(line)
        self.kafka, self.web = addresses["kafka"], addresses["web"]

    def kill(self) -> None:
        """Kill it as `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        end(self._process)
