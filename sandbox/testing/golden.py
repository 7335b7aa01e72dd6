"""Golden files: the events of a test as JSON lines, to compare with in later runs.

A line has topic, partition, key, value and headers. Offsets and times differ from run to run, so they aren't stored.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from difflib import unified_diff
from pathlib import Path
from typing import Any

from sandbox.model.json_conditions import JsonPath
from sandbox.model.jsonl import to_line
from sandbox.testing.criteria import SeenEvent

UPDATE_VARIABLE = "KAFKA_UPDATE_GOLDEN"
IGNORED = "…"
_VARIES = ("offset", "timestamp", "timestamp_type")
_LINES_SHOWN = 60


def update_wanted() -> bool:
    """True if golden files are to be written instead of compared."""
    return os.environ.get(UPDATE_VARIABLE, "") not in ("", "0")


def golden_lines(events: Iterable[SeenEvent], ignore: Sequence[str] = ()) -> list[str]:
    """Return the lines of events, by topic, partition and offset.

    Args:
        ignore: "key", or JSON paths in the value such as "$.created_at": replaced by "…".
    """
    hide = [_hidden(one) for one in ignore]
    lines = []
    for event in sorted(events, key=lambda one: (one.topic, one.partition, one.offset)):
        fields = {name: found for name, found in json.loads(to_line(event)).items() if name not in _VARIES}
        for one in hide:
            one(fields)
        lines.append(json.dumps(fields, ensure_ascii=False))
    return lines


def _hidden(ignored: str) -> Callable[[dict[str, Any]], None]:
    if ignored == "key":
        return lambda fields: fields.update(key=IGNORED)
    steps = JsonPath.parse(ignored).steps
    if not steps:
        raise ValueError("ignore is 'key' or a path inside the value, such as $.created_at")

    def hide(fields: dict[str, Any]) -> None:
        try:
            root = json.loads(fields["value"])
        except (TypeError, ValueError):
            return
        node = root
        for step in steps[:-1]:
            node = _inner(node, step)
        if _inner(node, steps[-1]) is not None:
            node[steps[-1]] = IGNORED
            # A lone surrogate isn't UTF-8; backslashreplace writes its escape in JSON, as \ud800.
            text = json.dumps(root, ensure_ascii=False)
            fields["value"] = text.encode("utf-8", "backslashreplace").decode()

    return hide


def _inner(node: Any, step: str | int) -> Any:
    if isinstance(node, dict) and isinstance(step, str):
        return node.get(step)
    if isinstance(node, list) and isinstance(step, int) and step < len(node):
        return node[step]
    return None


def write(path: Path, lines: Sequence[str]) -> None:
    """Write a golden file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read(path: Path, ignore: Sequence[str]) -> list[str]:
    """Read a golden file. Raises FileNotFoundError with what to do if it doesn't exist."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. To write it, run the test once with {UPDATE_VARIABLE}=1.")
    hide = [_hidden(one) for one in ignore]
    lines = []
    # str.splitlines would also split at U+2028 and others, which JSON allows in a string.
    for line in path.read_text(encoding="utf-8").removesuffix("\n").split("\n"):
        fields = json.loads(line)
        for one in hide:
            one(fields)
        lines.append(json.dumps(fields, ensure_ascii=False))
    return lines


def difference(path: Path, expected: Sequence[str], found: Sequence[str]) -> str:
    """Return the differing lines as a unified diff."""
    lines = list(unified_diff(expected, found, f"{path}", "this run", lineterm="", n=1))
    more = [f"… {len(lines) - _LINES_SHOWN} more lines"] if len(lines) > _LINES_SHOWN else []
    return "\n".join([*lines[:_LINES_SHOWN], *more])
