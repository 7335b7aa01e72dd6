"""Runs forks: copies of a snapshot that are open in separate processes, on separate ports.

A fork ends within 3 s after its parent, even if the parent is killed: it waits for the end of its standard input and
for its parent's death. Its file stays, unless `stop` deletes it.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox.kafka.errors import BrokerError, SandboxError
from sandbox.snapshots.description import ForkDescription

START_S = 30.0
STOP_S = 10.0
CLOSE_WITHIN_S = 1.5
"""Total seconds for all forks to end when the sandbox closes."""
FORKS_MAX = 8
ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = "import sys; sys.path.append(sys.argv.pop(1)); from sandbox.cli.main import main; main(prog_name='sandbox')"


@dataclass(slots=True)
class _Child:
    described: ForkDescription
    process: "subprocess.Popen[bytes]"


class Forks:
    """The forks of one sandbox.

    Args:
        clock: returns the current time in ms.
        brokers: number of brokers that each fork simulates.
        settings: the broker settings of each fork.
    """

    def __init__(self, clock: Callable[[], int], brokers: int, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._clock = clock
        self._brokers = brokers
        self._children: dict[int, _Child] = {}
        self._lock = threading.Lock()
        self._made = 0

    def list(self) -> tuple[ForkDescription, ...]:
        """Return all forks that weren't stopped, newest first. `running` is False if its process has ended."""
        with self._lock:
            children = tuple(self._children.values())
        return tuple(replace(child.described, running=child.process.poll() is None) for child in reversed(children))

    def check_room(self) -> None:
        """Raise BrokerError POLICY_VIOLATION if no more forks are allowed."""
        if len(self._children) >= FORKS_MAX:
            raise BrokerError("POLICY_VIOLATION", f"There are {FORKS_MAX} forks already: stop one of them first.")

    def start(self, source: str, file: Path) -> ForkDescription:
        """Open a copy in a separate process. Returns when it accepts connections.

        Args:
            source: the snapshot's name.
            file: the copy.

        Raises:
            SandboxError: it didn't start, with its error output.
        """
        self.check_room()
        log = file.with_suffix(".log")
        command = [sys.executable, "-P", "-c", PROGRAM, str(ROOT), "up", str(file), "--json", "--while-stdin"]
        command += ["--kafka-port", "0", "--ui-port", "0", "--brokers", str(self._brokers)]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")}
        with log.open("wb") as errors:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment
            )
        assert process.stdout is not None
        bound = threading.Timer(START_S, process.kill)
        bound.start()
        line = process.stdout.readline()
        bound.cancel()
        try:
            told = json.loads(line)
            kafka, web = str(told["kafka"]), str(told["web"])
        except (ValueError, KeyError, TypeError):
            _end(process, STOP_S)
            said = log.read_text(encoding="utf-8", errors="replace").strip()[-500:]
            raise SandboxError(f"The fork did not start: {said or 'it said nothing'}") from None
        with self._lock:
            self._made += 1
            described = ForkDescription(
                self._made, source, str(file), kafka, web, process.pid, self._clock(), running=True
            )
            self._children[described.id] = _Child(described, process)
        return described

    def stop(self, id: int, *, delete: bool = False) -> ForkDescription:
        """Stop a fork.

        Args:
            id: its id in `list`.
            delete: True also deletes its file.

        Raises:
            BrokerError: RESOURCE_NOT_FOUND.
        """
        with self._lock:
            child = self._children.pop(id, None)
        if child is None:
            raise BrokerError("RESOURCE_NOT_FOUND", f"There is no fork {id}.")
        _end(child.process, STOP_S)
        file = Path(child.described.file)
        endings = ("", "-wal", "-shm", ".lock") if delete else ()
        for place in [file.with_suffix(".log"), *(file.with_name(file.name + ending) for ending in endings)]:
            with suppress(OSError):
                place.unlink()
        return replace(child.described, running=False)

    def close(self) -> None:
        """Stop all forks; their files stay. Forks that take longer than `CLOSE_WITHIN_S` seconds are killed."""
        with self._lock:
            children = list(self._children.values())
            self._children.clear()
        for child in children:
            _ask_to_end(child.process)
        until_s = time.monotonic() + CLOSE_WITHIN_S
        for child in children:
            _end(child.process, max(0.0, until_s - time.monotonic()))
            Path(child.described.file).with_suffix(".log").unlink(missing_ok=True)


def _ask_to_end(process: "subprocess.Popen[bytes]") -> None:
    """Close the fork's standard input, which makes it end."""
    if process.stdin is not None:
        process.stdin.close()


def _end(process: "subprocess.Popen[bytes]", within_s: float) -> None:
    """Ask a fork to end, and kill it if it doesn't."""
    _ask_to_end(process)
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
