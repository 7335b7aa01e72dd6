"""Writes the reports of a playground consumer: one line of JSON with everything that happened since the last line."""

import base64
import json
import sys
import time
from collections import deque
from typing import Any

from sandbox.model.topics import PartitionName

SHOWN_BYTES = 400
"""Maximum bytes of a key or a value in a report. The full size is always reported."""
RING = 25
NOT_DONE = ("skipped", "released", "expired")
"""Outcomes after which an event counts as not handled."""
REPORT_S = 0.03


def cut(data: bytes | None) -> dict[str, Any] | None:
    """Return the first `SHOWN_BYTES` bytes and the full size for JSON. UTF-8 text is cut between characters."""
    if data is None:
        return None
    head = data[:SHOWN_BYTES]
    if len(data) > SHOWN_BYTES:
        for back in range(4):
            try:
                head[: SHOWN_BYTES - back].decode()
            except UnicodeDecodeError:
                continue
            head = head[: SHOWN_BYTES - back]
            break
    return {"head": base64.b64encode(head).decode(), "size": len(data)}


class ConsumerReport:
    """Collects what happened since the last line, and writes the line. Only the newest events are included."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(
            (
                *("processed", "failures", "dead_lettered", "skipped", "commits", "refused", "rebalances", "gave_up"),
                *("released", "rejected", "expired", "redeliveries"),
            ),
            0,
        )
        self.positions: dict[PartitionName, int] = {}
        self.assigned: list[PartitionName] = []
        self.working: list[Any] | None = None
        self.stuck: dict[str, Any] | None = None
        self.error: str | None = None
        self.paused = False
        self.idle = True
        self.joined = False
        self._runs: list[list[Any]] = []
        self._events: deque[dict[str, Any]] = deque(maxlen=RING)
        self._notes: deque[str] = deque(maxlen=RING)
        self._sent_s = 0.0

    def note(self, text: str) -> None:
        """Add a sentence about what happened."""
        self._notes.append(text)

    def handled(self, message: Any, outcome: str, attempts: int, value: bytes | None = None) -> None:
        """Add a handled event with its outcome.

        Args:
            value: what the consumer read, if it decodes values.
        """
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if outcome not in NOT_DONE:
            last = self._runs[-1] if self._runs else None
            if last is not None and last[:2] == [topic, partition] and last[3] == offset - 1:
                last[3] = offset
            else:
                self._runs.append([topic, partition, offset, offset])
        self._events.append(
            {
                "at": [topic, partition, offset],
                "key": cut(message.key()),
                "value": cut(message.value() if value is None else value),
                "outcome": outcome,
                "attempts": attempts,
            }
        )
        self.positions[topic, partition] = offset + 1

    def send(self, *, now: bool = False, ended: bool = False) -> None:
        """Write the line. Without `now`, at most one line every `REPORT_S` seconds."""
        if not now and time.monotonic() - self._sent_s < REPORT_S:
            return
        line = {
            "assigned": self.assigned,
            "positions": [[*place, offset] for place, offset in self.positions.items()],
            "counts": self.counts,
            "working": self.working,
            "stuck": self.stuck,
            "error": self.error,
            "paused": self.paused,
            "idle": self.idle,
            "joined": self.joined,
            "runs": self._runs,
            "events": list(self._events),
            "notes": list(self._notes),
            "ended": ended,
        }
        self._runs, self._sent_s = [], time.monotonic()
        self._events.clear()
        self._notes.clear()
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
