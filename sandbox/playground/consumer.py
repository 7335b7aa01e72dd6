"""Controls one playground consumer from the server: sends commands to its child process and reads its reports."""

import base64
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from sandbox.kafka.errors import BrokerError
from sandbox.playground.description import AT_WORK, ConsumerDescription, HandledEvent, Stuck
from sandbox.playground.spec import DEAD_LETTERS, ConsumerSpec

EVENTS_KEPT = 50
NOTES_KEPT = 40
LEAVE_S = 10.0
"""Seconds that a consumer may take to leave its group before it is killed."""
OFFSETS = ("earliest", "latest")
PLACE = ("topic", "partition", "offset")
ROOT = Path(__file__).resolve().parent.parent.parent


class DeliveryRecord(Protocol):
    """Receives what each consumer of a group has handled, and finds the redeliveries."""

    def handled(self, group: str, runs: list[Any], events: list[Any]) -> tuple[int, list[bool]]:
        """Record handled offsets. Returns the number of redeliveries, and for each event whether it is one."""


class PlaygroundConsumer:
    """A running consumer. All methods are thread-safe. After its process has ended, commands do nothing.

    Args:
        number: 1 and up.
        spec: the consumer's settings, already checked.
        connection: librdkafka's connection settings.
        account: records what the group has handled.
        clock: returns the current time in ms.
        ended: called on the consumer's own thread when its process has ended.
    """

    def __init__(
        self,
        number: int,
        spec: ConsumerSpec,
        connection: Mapping[str, Any],
        account: DeliveryRecord,
        clock: Callable[[], int],
        ended: Callable[[], None],
    ) -> None:
        self.number = number
        self.client_id = spec.client_id or f"playground-{number}"
        self._spec = spec
        self._account = account
        self._clock = clock
        self._ended = ended
        self._lock = threading.RLock()
        self._state = "starting"
        self._report: dict[str, Any] = {"assigned": [], "positions": [], "working": None, "stuck": None, "error": None}
        self._report["idle"] = True
        self._counts: dict[str, int] = {}
        self._redelivered = 0
        self._events: deque[HandledEvent] = deque(maxlen=EVENTS_KEPT)
        self._notes: deque[tuple[int, str]] = deque(maxlen=NOTES_KEPT)
        self._started_ms = clock()
        self._ended_ms: int | None = None
        self._process = _started("share_worker" if spec.shares else "worker")
        self._order(
            {
                "connection": dict(connection),
                "kafka": spec.kafka(self.client_id),
                "topics": list(spec.topics),
                "live": spec.live(),
                "paused": spec.paused,
                "dead_letters": DEAD_LETTERS,
                "reader_schema": spec.reader_schema,
                "group_settings": spec.group_settings(),
            }
        )
        self._thread = threading.Thread(target=self._listen, name=self.client_id, daemon=True)
        self._thread.start()

    @property
    def spec(self) -> ConsumerSpec:
        """The current settings."""
        return self._spec

    @property
    def alive(self) -> bool:
        """True while its process is running."""
        return self._state in AT_WORK

    # Commands

    def pause(self) -> None:
        """Stop handling events. The consumer stays in its group."""
        self._order({"do": "pause"})

    def resume(self) -> None:
        """Continue handling events after `pause`."""
        self._order({"do": "resume"})

    def poll(self) -> None:
        """Handle one event, then pause."""
        self._order({"do": "poll"})

    def commit(self) -> None:
        """Commit the offsets of all handled events now.

        Raises:
            BrokerError: INVALID_REQUEST for a member of a share group.
        """
        self._needs_offsets("commits")
        self._order({"do": "commit"})

    def seek(self, to: int | str, *, topic: str | None = None, partition: int | None = None) -> None:
        """Continue reading at another offset.

        Args:
            to: an offset, "earliest" or "latest".
            topic: with `partition`, seeks in that partition only. None seeks in all assigned partitions.

        Raises:
            BrokerError: INVALID_REQUEST.
        """
        self._needs_offsets("seeks")
        if to not in OFFSETS and not (isinstance(to, int) and to >= 0):
            raise BrokerError("INVALID_REQUEST", "Seek to an offset, earliest or latest.")
        if (topic is None) != (partition is None):
            raise BrokerError("INVALID_REQUEST", "Say which topic and which partition, or neither.")
        self._order({"do": "seek", "to": to, "topic": topic, "partition": partition})

    def _needs_offsets(self, verb: str) -> None:
        if self._spec.shares:
            reason = f"A member of a share group never {verb}: it acknowledges each event."
            raise BrokerError("INVALID_REQUEST", reason)

    def change(self, **changes: Any) -> None:
        """Change settings. They apply from the next event.

        Args:
            **changes: names of `sandbox.playground.spec.LIVE`, such as rate, slow_ms, commit.

        Raises:
            BrokerError: INVALID_REQUEST.
        """
        with self._lock:
            self._spec = self._spec.changed(changes)
            self._order({"do": "set", "live": self._spec.live()})

    def crash(self) -> None:
        """Kill the process like `kill -9`: without a commit or LeaveGroup. The group notices when its session times
        out; a share group makes the events that it had locked available at once.
        """
        with self._lock:
            if not self.alive:
                return
            self._process.kill()
            self._state = "crashed"
            end = "its events are available at once" if self._spec.shares else "its group waits until its session ends"
            self._note(f"killed: it left without LeaveGroup, {end}")
        self._thread.join(LEAVE_S)

    def leave(self) -> None:
        """Ask the consumer to leave its group and end. Doesn't wait for that."""
        with self._lock:
            if self.alive:
                self._state = "closing"
                self._order({"do": "close"})

    def close(self, wait_s: float = LEAVE_S) -> None:
        """Ask the consumer to leave its group and end. Kills it after `wait_s` seconds."""
        self.leave()
        self._thread.join(wait_s)
        if self._thread.is_alive():
            self._process.kill()
            self._thread.join(LEAVE_S)

    def _order(self, command: dict[str, Any]) -> None:
        with self._lock:
            if self._ended_ms is not None or self._process.stdin is None:
                return
            try:
                self._process.stdin.write(json.dumps(command) + "\n")
                self._process.stdin.flush()
            except (OSError, ValueError):
                return  # the process has just ended; its thread is about to report that

    # Reports

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                told = json.loads(line)
            except ValueError:
                continue  # cut off when the process was killed
            if "failed" in told:
                self._note(told["failed"])
                with self._lock:
                    self._report["error"] = told["failed"]
                continue
            self._take(told)
        self._process.wait()
        with self._lock:
            failed = self._state not in ("closing", "crashed")
            self._state = "failed" if failed else "closed" if self._state == "closing" else self._state
            self._ended_ms = self._clock()
            self._report |= {"assigned": [], "working": None, "stuck": None}
            if failed and self._report["error"] is None:
                self._report["error"] = f"its process ended by itself, with code {self._process.returncode}"
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        continue  # the buffered command can't be written any more
        self._ended()

    def _take(self, told: dict[str, Any]) -> None:
        again, each = self._account.handled(self._spec.group, told["runs"], told["events"])
        now_ms = self._clock()
        with self._lock:
            if self._state in ("starting", "running", "paused"):
                joined = told["joined"] or self._state != "starting"
                self._state = "paused" if told["paused"] else "running" if joined else "starting"
            self._report = told
            self._counts = told["counts"]
            self._redelivered += again
            for event, redelivered in zip(told["events"], each, strict=True):
                self._events.appendleft(_seen(event, redelivered, now_ms))
            for note in told["notes"]:
                self._note(note)

    def _note(self, text: str) -> None:
        self._notes.appendleft((self._clock(), text))

    def describe(self) -> ConsumerDescription:
        """Return the consumer's current state."""
        with self._lock:
            told = self._report
            stuck = told["stuck"]
            return ConsumerDescription(
                number=self.number,
                client_id=self.client_id,
                spec=self._spec,
                state=self._state,
                pid=self._process.pid,
                assigned=tuple((topic, partition) for topic, partition in told["assigned"]),
                positions={(topic, partition): offset for topic, partition, offset in told["positions"]},
                working=tuple(told["working"]) if told["working"] else None,
                stuck=Stuck(**dict(zip(PLACE, stuck["at"], strict=True)), attempts=stuck["attempts"], why=stuck["why"])
                if stuck
                else None,
                idle=told["idle"],
                counts=dict(self._counts),
                redelivered=self._redelivered,
                events=tuple(self._events),
                notes=tuple(self._notes),
                error=told["error"],
                started_ms=self._started_ms,
                ended_ms=self._ended_ms,
            )


def _started(module: str) -> "subprocess.Popen[str]":
    environment = dict(os.environ)
    # The child imports this same package from any working directory. -P keeps that directory out of sys.path.
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), environment.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", f"sandbox.playground.{module}", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env=environment,
        start_new_session=os.name == "posix",
    )


def _seen(event: dict[str, Any], redelivered: bool, now_ms: int) -> HandledEvent:
    topic, partition, offset = event["at"]
    key, value = (None if part is None else base64.b64decode(part["head"]) for part in (event["key"], event["value"]))
    size = event["value"]["size"] if event["value"] else 0
    return HandledEvent(
        topic, partition, offset, key, value, size, event["outcome"], event["attempts"], redelivered, now_ms
    )
