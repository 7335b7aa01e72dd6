"""The server dies while playground consumers run: none of them outlives it, whatever it is waiting for."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.crash.owner import ROOT
from tests.waiting import eventually

WITHIN_S = 3.0
"""Seconds that a consumer may outlive its server."""
NOISE_S = 7.0
"""Additional seconds for a busy machine."""

SERVER = """
import json, os, sys, threading
from sandbox import Sandbox

box = Sandbox(sys.argv[1]).__enter__()
box.serve(kafka_port=0, web_port=None)
for topic in ("orders", "orders.dlq"):
    box.create_topic(topic, partitions=8)
for number in range(8_000):
    box.append("orders", f"v{number}", partition=number % 8)
play = box.playground.start
kinds = {
    "reads": dict(rate=None),
    "commits": dict(rate=1000.0, commit="after"),
    "polls": dict(rate=1000.0, commit="auto"),
    "slow": dict(slow_ms=600_000),
    "paused": dict(paused=True),
    "stuck": dict(fail=10, retries=0, then="stuck"),
    "dead-letters": dict(fail=10, retries=0, then="dlq"),
    "flaps": dict(flap_ms=500),
    "idle": dict(reset="latest"),
    "consumer-protocol": dict(protocol="consumer", rate=1000.0),
}
started = {kind: play(kind, ["orders"], **more).describe().pid for kind, more in kinds.items()}
while any(one.state == "starting" for one in box.playground.consumers()):
    threading.Event().wait(0.05)
# It begins just now: its process is still importing when the server dies.
started["starting"] = play("starting", ["orders"]).describe().pid
if sys.argv[2] == "forked" and os.fork() == 0:
    os.close(1)
    threading.Event().wait(60)
    os._exit(0)
print(json.dumps(started), flush=True)
threading.Event().wait()
"""


def alive(pid: int) -> bool:
    """True if a process is running, and isn't a zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.crash
@pytest.mark.timeout(180)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("number", "beside"),
    [
        pytest.param(signal.SIGKILL, "alone", id="kill"),
        pytest.param(signal.SIGHUP, "alone", id="hang-up"),
        pytest.param(signal.SIGKILL, "forked", id="kill-beside-a-forked-process-that-holds-the-pipes"),
    ],
)
def test_no_consumer_outlives_a_server_that_dies(file: Path, number: signal.Signals, beside: str) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(file), beside], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    )
    assert server.stdout is not None
    pids: dict[str, int] = {}
    try:
        pids = json.loads(server.stdout.readline())
        server.send_signal(number)
        server.wait(30)
        died = time.monotonic()

        def left() -> list[str]:
            return [kind for kind, pid in pids.items() if alive(pid)]

        with suppress(AssertionError):
            eventually(lambda: not left(), WITHIN_S + NOISE_S)
        assert left() == [], f"alive {time.monotonic() - died:.1f} s after the server died"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        for pid in pids.values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.stdout.close()
