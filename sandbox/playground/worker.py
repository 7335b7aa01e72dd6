"""Runs one playground consumer in its own process, so that it can be killed like `kill -9`.

It imports little besides the Kafka client, because it must start quickly. It reads commands as JSON lines from its
standard input (the first line has its settings), and writes reports as JSON lines to its standard output.
When its input ends or its parent dies, it leaves its group and ends. If that takes longer than `GRACE_S`, because the
broker has died too, it ends without leaving.
"""

import json
import os
import queue
import signal
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, Producer, TopicPartition

from sandbox.model.process import exit_after, wait_for_death
from sandbox.model.topics import PartitionName
from sandbox.playground.report import REPORT_S, ConsumerReport

POLL_S = 0.1
STEP_S = 2.0
RETRY_S = 0.2
GRACE_S = 1.5
"""Seconds that a consumer may take to leave its group after its parent has died."""
CLOSE = {"do": "close"}


class Worker:
    """The consumer's main loop.

    Args:
        task: {"connection": connection settings, "kafka": consumer settings, "topics": names, "live": the settings that
            can be changed, "paused": bool, "dead_letters": the suffix of dead-letter topics, "reader_schema": the Avro
            schema with which it reads values, "" for none}.
        commands: the commands to execute.
    """

    def __init__(self, task: dict[str, Any], commands: "queue.SimpleQueue[dict[str, Any]]") -> None:
        self._task = task
        self._commands = commands
        self._live: dict[str, Any] = task["live"]
        self._report = ConsumerReport()
        self._report.paused = task["paused"]
        self._closing = False
        self._steps = 0
        self._held: frozenset[PartitionName] = frozenset()
        self._waiting: deque[Any] = deque()
        self._next_s = 0.0
        self._producer: Any = None
        self._parsed: dict[str, Any] = {}
        self._read: bytes | None = None
        self._resolved = False
        self._open()

    def _open(self) -> None:
        self._consumer = Consumer({**self._task["connection"], **self._task["kafka"], "error_cb": self._failed})
        self._opened_s = time.monotonic()
        self._held = frozenset()
        self._waiting.clear()
        self._consumer.subscribe(self._task["topics"], on_assign=self._got, on_revoke=self._gave_up, on_lost=self._lost)

    # Callbacks of the Kafka client

    def _failed(self, error: Any) -> None:
        self._report.error = error.str()

    def _got(self, consumer: Any, partitions: list[Any]) -> None:
        self._report.error = None
        self._report.joined = True
        self._report.counts["rebalances"] += 1
        self._report.note(f"got {_names(partitions)}" if partitions else "got no partition")

    def _gave_up(self, consumer: Any, partitions: list[Any]) -> None:
        self._report.counts["gave_up"] += len(partitions)
        self._forget(partitions)
        if partitions:
            self._report.note(f"gave up {_names(partitions)}")

    def _lost(self, consumer: Any, partitions: list[Any]) -> None:
        self._report.counts["gave_up"] += len(partitions)
        self._forget(partitions)
        self._report.note(f"lost {_names(partitions)}: the group continued without this member")

    def _forget(self, partitions: list[Any]) -> None:
        for one in partitions:
            self._report.positions.pop((one.topic, one.partition), None)

    # The loop

    def run(self) -> None:
        """Handle events until the command "close"."""
        while not self._closing:
            self._obey()
            self._flap()
            message = self._next()
            self._report.idle = message is None
            self._look()
            if message is not None and self._mine(message):
                self._handle(message)
                rate = self._live["rate"]
                if rate and not self._report.paused:
                    self._next_s = max(time.monotonic(), self._next_s + 1 / rate)
                    self._wait(min(1 / rate, self._next_s - time.monotonic()))
        self._report.note("leaves the group")
        self._report.send(now=True)
        self._consumer.close()
        self._report.assigned = []
        self._report.send(now=True, ended=True)

    def _next(self) -> Any:
        """Return the next event to handle, or None. A paused consumer polls too, to stay in its group."""
        if self._report.paused and not self._steps:
            self._hold()
            message = self._poll(POLL_S)
            if message is not None:
                self._waiting.append(message)
            return None
        if self._waiting:
            message = self._waiting.popleft()
            self._steps = max(0, self._steps - 1)
            return message
        self._release()
        if not self._report.paused:
            return self._poll(POLL_S)
        self._steps -= 1
        until = time.monotonic() + STEP_S
        while time.monotonic() < until and not self._closing:
            message = self._poll(POLL_S)
            self._obey()
            if message is not None:
                self._hold()
                return message
        self._report.note("polled: nothing new")
        return None

    def _poll(self, wait_s: float) -> Any:
        message = self._consumer.poll(wait_s)
        if message is not None and (error := message.error()) is not None:
            self._report.error = error.str()
            self._report.note(error.str())
            return None
        return message

    def _hold(self) -> None:
        # Repeated after each rebalance, because newly assigned partitions are not paused.
        assigned = frozenset((one.topic, one.partition) for one in self._consumer.assignment())
        if assigned and assigned != self._held:
            self._consumer.pause(self._consumer.assignment())
        self._held = assigned

    def _release(self) -> None:
        if self._held:
            self._consumer.resume(self._consumer.assignment())
            self._held = frozenset()

    def _look(self) -> None:
        """Report the current assignment and everything else that is pending."""
        assigned = sorted((one.topic, one.partition) for one in self._consumer.assignment())
        changed = assigned != self._report.assigned
        self._report.assigned = assigned
        self._report.send(now=changed)

    def _mine(self, message: Any) -> bool:
        return (message.topic(), message.partition()) in self._report.assigned

    def _flap(self) -> None:
        flap_ms = self._live["flap_ms"]
        if flap_ms and time.monotonic() - self._opened_s > flap_ms / 1000:
            self._report.note("leaves the group, and joins again")
            self._consumer.close()
            self._report.assigned = []
            self._report.positions.clear()
            self._report.send(now=True)
            self._wait(flap_ms / 4000)
            self._open()

    def _wait(self, wait_s: float) -> None:
        """Wait, and execute commands meanwhile. Returns early if a command closes the consumer."""
        until = time.monotonic() + wait_s
        self._report.send(now=wait_s > REPORT_S)
        while not self._closing and (left_s := until - time.monotonic()) > 0:
            try:
                self._do(self._commands.get(timeout=left_s))
            except queue.Empty:
                return

    # Commands

    def _obey(self) -> None:
        while not self._commands.empty():
            self._do(self._commands.get())

    def _do(self, command: dict[str, Any]) -> None:
        what = command["do"]
        if what == "close":
            self._closing = True
        elif what == "pause":
            self._report.paused = True
        elif what == "resume":
            self._report.paused = False
        elif what == "poll":
            self._report.paused = True
            self._steps += 1
        elif what == "set":
            self._live.update(command["live"])
        elif what == "commit":
            places = [(*place, offset) for place, offset in self._report.positions.items()]
            if self._commit(places):
                self._report.note(f"committed {', '.join(f'{t} {p} → {o}' for t, p, o in places) or 'nothing'}")
        elif what == "seek":
            self._seek(command)
        self._report.send(now=True)

    def _seek(self, command: dict[str, Any]) -> None:
        ends = {"earliest": OFFSET_BEGINNING, "latest": OFFSET_END}
        for topic, partition in list(self._report.assigned):
            if command["partition"] is not None and (command["topic"], command["partition"]) != (topic, partition):
                continue
            try:
                to = command["to"]
                self._consumer.seek(TopicPartition(topic, partition, ends.get(to, to)))
            except KafkaException as error:
                self._report.note(f"seek in {topic} {partition}: {error.args[0].str()}")
                continue
            self._waiting = deque(one for one in self._waiting if (one.topic(), one.partition()) != (topic, partition))
            self._report.positions.pop((topic, partition), None)
            if isinstance(to, int):
                self._report.positions[topic, partition] = to
            self._report.note(f"seek: {topic} {partition} to {to}")

    def _commit(self, places: list[tuple[str, int, int]]) -> bool:
        if not places:
            return True
        try:
            done = self._consumer.commit(offsets=[TopicPartition(*place) for place in places], asynchronous=False)
            refused = next((one.error for one in done if one.error), None)
        except KafkaException as error:
            refused = error.args[0]
        if refused:
            self._report.counts["refused"] += 1
            self._report.note(f"commit refused: {refused.str()}; these events will be delivered again")
            return False
        self._report.counts["commits"] += 1
        return True

    # One event

    def _handle(self, message: Any) -> None:
        place = (message.topic(), message.partition(), message.offset() + 1)
        self._report.working = [message.topic(), message.partition(), message.offset()]
        if self._live["commit"] == "auto":
            # Like the client's default: stored when polled, committed by the timer.
            with suppress(KafkaException):  # the partition was revoked meanwhile
                self._consumer.store_offsets(message=message)
        elif self._live["commit"] == "before":
            self._commit([place])
        outcome, attempts = self._process(message)
        self._report.working = self._report.stuck = None
        if outcome is not None:
            self._report.counts[outcome.replace("-", "_")] += 1
            self._report.handled(message, outcome, attempts, self._read)
            if self._resolved and outcome == "processed":
                self._report.counts["resolved"] = self._report.counts.get("resolved", 0) + 1
            # Reported before the commit. Otherwise a crash in between would make the event look lost.
            self._report.send(now=self._live["commit"] in ("after", "before"))
            if self._live["commit"] == "after":
                self._commit([place])
        self._report.send()

    def _process(self, message: Any) -> tuple[str | None, int]:
        """Process an event until it is handled. Returns (outcome, attempts); the outcome is None if abandoned."""
        attempts = 0
        while True:
            if self._live["slow_ms"]:
                self._wait(self._live["slow_ms"] / 1000)
            if self._closing:
                return None, attempts
            reason = self._poison(message)
            attempts += 1
            if reason is None:
                return "processed", attempts
            self._report.counts["failures"] += 1
            spent = attempts > self._live["retries"]
            if spent and self._live["then"] == "skip":
                return "skipped", attempts
            if spent and self._live["then"] == "dlq" and self._dead_letter(message, attempts, reason):
                return "dead-lettered", attempts
            if not spent:
                self._wait(RETRY_S)
            elif not self._stay(message, attempts, reason):
                return None, attempts

    def _poison(self, message: Any) -> str | None:
        """Return why an event fails, the same for each attempt; None if it doesn't fail."""
        text = self._live["fail_contains"]
        if text and any(text.encode() in (part or b"") for part in (message.key(), message.value())):
            return f"it contains {text!r}"
        if self._live["fail"] and message.offset() % self._live["fail_of"] < self._live["fail"]:
            return f"{self._live['fail']} of {self._live['fail_of']} events fail on purpose"
        self._read, self._resolved = None, False
        return self._unreadable(message) if self._task["reader_schema"] else None

    def _unreadable(self, message: Any) -> str | None:
        """Read a value with the consumer's schema, as a deserializer does. Returns why it can't be read, or None."""
        from sandbox.schemas.framing import read_frame
        from sandbox.schemas.json_text import value_text
        from sandbox.schemas.schema import InvalidValue

        frame = read_frame(message.value() or b"")
        writer = None if frame is None else dict(self._live["writer_schemas"]).get(frame.schema)
        if frame is None or writer is None:
            return "it has no schema that is known here"
        reader = self._task["reader_schema"]
        try:
            value = self._schema(reader).read(self._schema(writer), frame.rest)
        except InvalidValue as error:
            return str(error)
        self._read, self._resolved = value_text(value).encode(), reader != writer
        return None

    def _schema(self, text: str) -> Any:
        from sandbox.schemas.parsing import parse_schema

        if text not in self._parsed:
            self._parsed[text] = parse_schema("AVRO", text)
        return self._parsed[text]

    def _stay(self, message: Any, attempts: int, reason: str) -> bool:
        """Wait before another attempt, and stay in the group meanwhile. Returns False if the partition was revoked."""
        self._report.stuck = {"at": self._report.working, "attempts": attempts, "why": reason}
        until = time.monotonic() + 2 * RETRY_S
        while time.monotonic() < until and not self._closing:
            self._hold()
            other = self._poll(POLL_S)
            if other is not None:
                self._waiting.append(other)
            self._obey()
            self._look()
        return not self._closing and self._mine(message)

    def _dead_letter(self, message: Any, attempts: int, reason: str) -> bool:
        if self._producer is None:
            self._producer = Producer({**self._task["connection"], "log_level": 2})
        told = {
            "dlq.error": reason,
            "dlq.topic": message.topic(),
            "dlq.partition": str(message.partition()),
            "dlq.offset": str(message.offset()),
            "dlq.group": self._task["kafka"]["group.id"],
            "dlq.attempts": str(attempts),
        }
        headers = [*(message.headers() or []), *((name, text.encode()) for name, text in told.items())]
        failed: list[str] = []
        self._producer.produce(
            message.topic() + self._task["dead_letters"],
            message.value(),
            key=message.key(),
            headers=headers,
            on_delivery=lambda error, _: failed.append(error.str()) if error else None,
        )
        if self._producer.flush(10) or failed:
            self._report.note(f"the dead letter was not taken: {', '.join(failed) or 'no answer'}")
            return False
        return True


def _names(partitions: list[Any]) -> str:
    return ", ".join(f"{one.topic} {one.partition}" for one in partitions)


def main(kind: "type[Worker]") -> None:
    """Run the task in the first line of standard input, until the input ends or the parent process dies.

    The program's first argument is the parent's process id.

    Args:
        kind: the consumer's main loop.
    """
    # The server handles Ctrl-C and then stops its consumers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def end() -> None:
        commands.put(CLOSE)
        exit_after(GRACE_S)

    def watch() -> None:
        wait_for_death(int(sys.argv[1]))
        end()

    def listen() -> None:
        # The last line is cut off if the parent dies while it writes.
        with suppress(ValueError):
            for line in sys.stdin:
                commands.put(json.loads(line))
        end()

    threading.Thread(target=watch, daemon=True).start()
    try:
        task = json.loads(sys.stdin.readline())
    except ValueError:
        os._exit(0)
    threading.Thread(target=listen, daemon=True).start()
    code = 1
    try:
        kind(task, commands).run()
        code = 0
    except Exception as error:
        with suppress(OSError):
            sys.stdout.write(json.dumps({"failed": f"{type(error).__name__}: {error}"}) + "\n")
            sys.stdout.flush()
    finally:
        # A normal exit would wait for the listener, which may be blocked in a read, and for the Kafka client.
        os._exit(code)


if __name__ == "__main__":
    main(Worker)
