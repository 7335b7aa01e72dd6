"""A client program: one process per client library, driven by one JSON object per line.

Every program takes the bootstrap address as its last argument, prints `{"ready": ...}`, and then answers each line
of its standard input with one line of its standard output, `{"error": "..."}` when the library refused:

    {"do": "create_topic", "topic", "partitions"}                                -> {"created": true}
    {"do": "produce", "topic", "compression", "idempotent", "events": [EVENT]}   -> {"produced": N}
    {"do": "read", "topic", "group", "count"}                                    -> {"events": [READ]}, after a commit
    {"do": "join", "topic", "group", "assignor", "session_ms", "protocol"}       -> reports, until
    {"do": "leave"}                                                              -> {"left": true}

EVENT is `[timestamp_ms, key, value, [[name, value], ...]]` and READ is `[partition, offset]` followed by the same
four; bytes are base64, null is null. While it is a member a program prints reports, each with its own clock:

    {"report": "assigned" | "revoked" | "lost", "at_us": ..., "partitions": [...]}   what the rebalance brought
    {"report": "events", "positions": [[partition, offset], ...]}

`assigned` names what is new and `revoked` what is gone. A member commits what it reported inside the revoke
callback, where its library has one: that is what makes a clean rebalance deliver every event once.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.clients.processes import ROOT, end, tail

START_S = 30.0
ANSWER_S = 40.0


class ProgramError(Exception):
    """A client program answered with an error, ended early or did not answer in time."""


class Program:
    """One running client program."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        """Start it and wait until it says that it is ready.

        Args:
            name: the client's name, for error messages.
            command: the program and its arguments, the bootstrap address last.
            log: where its standard error goes.
            environment: the whole environment of the process.

        Raises:
            ProgramError: it did not say `ready` within 30 seconds.
        """
        self.name = name
        self.reports: list[dict[str, Any]] = []
        self._log = log
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._arrived = threading.Condition()
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
            )
        self._reader = threading.Thread(target=self._read, name=f"reader of {name}", daemon=True)
        self._reader.start()
        self.info = self._answer(START_S)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ask(self, within_s: float = ANSWER_S, **command: Any) -> dict[str, Any]:
        """Send one command and wait for its answer.

        Args:
            within_s: how long the answer may take.
            command: the command's fields.

        Returns:
            The answer.

        Raises:
            ProgramError: the program answered with an error, ended, or was silent.
        """
        self.tell(**command)
        return self._answer(within_s)

    def tell(self, **command: Any) -> None:
        """Send one command and do not wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def wait_for(self, holds: Callable[[list[dict[str, Any]]], bool], within_s: float, what: str) -> None:
        """Wait until the reports so far satisfy a condition.

        Args:
            holds: the condition, given all reports.
            within_s: how long it may take.
            what: what is awaited, for the error message.

        Raises:
            ProgramError: the condition did not hold in time.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: holds(self.reports), within_s):
                raise self._failed(f"{what}: not within {within_s} s; last reports {self.reports[-3:]}")

    def kill(self) -> None:
        """Kill it as `kill -9` does: it sends nothing more."""
        self._process.kill()
        self._process.wait()
        self._reader.join(10)
        self.close()

    def close(self) -> None:
        """End it; a second call does nothing."""
        if self._process.poll() is None and self._process.stdin is not None:
            self._process.stdin.close()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                pass
        end(self._process)

    def _answer(self, within_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + within_s
        try:
            answer = self._answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise self._failed(f"no answer within {within_s} s") from None
        if answer is None:
            raise self._failed("it ended")
        if "error" in answer:
            raise self._failed(str(answer["error"]))
        return answer

    def _failed(self, reason: str) -> ProgramError:
        return ProgramError(f"{self.name}: {reason}\n{tail(self._log)}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                said = {"error": f"not JSON: {line[:200]!r}"}
            if "report" in said:
                with self._arrived:
                    self.reports.append(said)
                    self._arrived.notify_all()
            else:
                self._answers.put(said)
        self._answers.put(None)
