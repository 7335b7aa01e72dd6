"""The client program of kcat: Debian's kcat, run once per command.

kcat gives all the events of one run the same headers and the time of the run, and an empty key is a null key.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tests.clients.programs.lines import Headers, Read, as_json, events_of, serve

BOOTSTRAP = sys.argv[-1]
# Characters that the events of kcat do not hold.
KEY_DELIMITER, EVENT_DELIMITER = "\x1f", "\x1e"
FORMAT = r"%p %o %T %K %S %h\n%k%s\n"


def kcat(arguments: list[str], given: bytes = b"") -> bytes:
    done = subprocess.run(["kcat", "-b", BOOTSTRAP, *arguments], input=given, capture_output=True, timeout=35)
    sys.stderr.write(done.stderr.decode(errors="replace"))
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return done.stdout


def produce(command: dict[str, Any]) -> dict[str, Any]:
    events = events_of(command)
    arguments = ["-P", "-t", command["topic"], "-K", KEY_DELIMITER, "-D", EVENT_DELIMITER, "-Z"]
    arguments += ["-X", f"enable.idempotence={str(command['idempotent']).lower()}"]
    if command["compression"] != "none":
        arguments += ["-z", command["compression"]]
    for name, value in events[0].headers:
        arguments += ["-H", f"{name}={(value or b'').decode()}"]
    rows = [(event.key or b"") + KEY_DELIMITER.encode() + (event.value or b"") for event in events]
    kcat(arguments, EVENT_DELIMITER.encode().join(rows))
    return {"produced": len(events)}


def read(command: dict[str, Any]) -> dict[str, Any]:
    arguments = ["-q", "-u", "-c", str(command["count"]), "-f", FORMAT, "-X", "auto.offset.reset=earliest"]
    out = kcat([*arguments, "-G", command["group"], command["topic"]])
    found: list[Read] = []
    while out:
        line, _, rest = out.partition(b"\n")
        partition, offset, timestamp, key_size, value_size, headers = line.split(b" ", 5)
        key_bytes, value_bytes = max(0, int(key_size)), max(0, int(value_size))
        found.append(
            Read(
                int(partition),
                int(offset),
                int(timestamp),
                None if int(key_size) <= 0 else rest[:key_bytes],
                None if int(value_size) < 0 else rest[key_bytes : key_bytes + value_bytes],
                _headers(headers),
            )
        )
        out = rest[key_bytes + value_bytes + 1 :]
    return {"events": [as_json(event) for event in found]}


def _headers(text: bytes) -> Headers:
    pairs = [pair.partition(b"=") for pair in text.split(b",") if pair]
    return [(name.decode(), value) for name, _, value in pairs]


if __name__ == "__main__":
    banner = subprocess.run(["kcat", "-V"], capture_output=True, check=False)
    version = (banner.stdout + banner.stderr).decode().split("\n")[3]
    serve({"version": version}, {"produce": produce, "read": read})
