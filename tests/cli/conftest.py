"""The command line as a user has it: processes in a new folder."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Result:
    """What a command said."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[Any]:
        """Its JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class CommandLine:
    """Runs `python -m sandbox` in one folder, or another module as if it were that."""

    def __init__(self, folder: Path, module: str = "sandbox") -> None:
        self.folder = folder
        self.module = module
        self._running: list[subprocess.Popen[str]] = []

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")}
        return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "120", **more}

    def run(self, *arguments: object, stdin: bytes = b"", **environment: str) -> Result:
        """Run a command to its end."""
        found = subprocess.run(
            [sys.executable, "-m", self.module, *map(str, arguments)],
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            env=self.environment(**environment),
            timeout=90,
        )
        return Result(found.returncode, found.stdout.decode(), found.stderr.decode())

    def ok(self, *arguments: object, stdin: bytes = b"", **environment: str) -> Result:
        """Run a command that must succeed and say nothing on stderr."""
        result = self.run(*arguments, stdin=stdin, **environment)
        assert (result.status, result.err) == (0, "")
        return result

    def start(self, *arguments: object) -> "subprocess.Popen[str]":
        """Start a command; it is ended after the test at the latest."""
        process = subprocess.Popen(
            [sys.executable, "-m", self.module, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.append(process)
        return process

    def up(self, *arguments: object) -> tuple["subprocess.Popen[str]", dict[str, Any]]:
        """Start `up` on free ports; returns when it is ready, with what it said."""
        process = self.start("up", *_with_free_ports(arguments), "--json")
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate(timeout=10)[1]
        return process, json.loads(line)

    def end_all(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _with_free_ports(arguments: Sequence[object]) -> list[object]:
    found = list(arguments)
    for option in ("--kafka-port", "--ui-port", "--registry-port"):
        if option not in found and not (option == "--registry-port" and "--no-registry" in found):
            found += [option, "0"]
    return found


@pytest.fixture
def command_line(tmp_path: Path) -> Iterator[CommandLine]:
    """`sandbox` in an empty folder."""
    made = CommandLine(tmp_path)
    yield made
    made.end_all()
