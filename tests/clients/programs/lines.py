"""The common protocol of the Python client programs: commands in, answers and reports out, one JSON object per line."""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
import traceback
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

Headers = list[tuple[str, bytes | None]]


class Event(NamedTuple):
    """An event to produce."""

    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Read(NamedTuple):
    """An event that was read."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


_out = threading.Lock()


def say(**fields: Any) -> None:
    """Print one line."""
    with _out:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()


def report_partitions(what: str, partitions: Iterable[int]) -> None:
    """Report a change of ownership at this very moment."""
    say(report=what, at_us=time.time_ns() // 1000, partitions=sorted(partitions))


def events_of(command: dict[str, Any]) -> list[Event]:
    """Decode a produce command's events."""
    return [
        Event(timestamp, _bytes(key), _bytes(value), [(name, _bytes(text)) for name, text in headers])
        for timestamp, key, value, headers in command["events"]
    ]


def as_json(read: Read) -> list[Any]:
    """Encode an event that was read."""
    headers = [[name, _text(value)] for name, value in read.headers]
    return [read.partition, read.offset, read.timestamp_ms, _text(read.key), _text(read.value), headers]


def serve(info: dict[str, Any], handlers: dict[str, Callable[..., Any]]) -> None:
    """Answer commands until standard input ends.

    Args:
        info: said once, when ready.
        handlers: one function per command; each takes the command and returns the answer. `join` takes also an
            event that is set when the member is to leave.
    """
    say(ready=True, **info)
    commands: queue.Queue[dict[str, Any] | None] = queue.Queue()
    leave = threading.Event()
    threading.Thread(target=_listen, args=(commands, leave), daemon=True).start()
    while (command := commands.get()) is not None:
        try:
            if command["do"] == "join":
                leave.clear()
                answer = handlers["join"](command, leave)
            else:
                answer = handlers[command["do"]](command)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        say(**answer)


def _listen(commands: queue.Queue[dict[str, Any] | None], leave: threading.Event) -> None:
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "leave":
            leave.set()
        else:
            commands.put(command)
    leave.set()
    commands.put(None)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)


def _text(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()
