"""kill -9 while snapshots are taken and restored."""

import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from sandbox import NewEvent, Sandbox
from tests.crash.owner import ENDED_S, ROOT

STATES = {"a": (1_500, 100), "b": (2_500, 900)}
"""Snapshot to its number of events, and the group's committed offset."""

RESTORES = """
import sys
from sandbox import Sandbox
with Sandbox(sys.argv[1]) as box:
    print("ready", flush=True)
    while True:
        for name in "ab":
            box.snapshots.restore(name)
            print(name, flush=True)
            box.snapshots.take()
"""


DIES = """
import os, signal, sys
from sandbox import Sandbox
from sandbox.storage.file.database import Database
from sandbox.storage.file.guard import FileGuard

owner = {"replace_log": FileGuard, "_take_index": FileGuard}
box = Sandbox(sys.argv[1])
setattr(owner.get(sys.argv[2], Database), sys.argv[2], lambda *arguments: os.kill(os.getpid(), signal.SIGKILL))
box.snapshots.restore("a")
"""
STEPS = ("replace_log", "_take_index", "reopen", "write_back", "written_back")
"""The steps in which a restore replaces the log, in their order. `_take_index` begins when the log is in place."""


def killed_at_step(file: Path, step: str) -> None:
    """Restore the snapshot "a" in another process, which kills itself before one of `STEPS`."""
    command = [sys.executable, "-c", DIES, str(file), step]
    ended = subprocess.run(command, cwd=ROOT, timeout=ENDED_S, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()


def make(file: Path) -> None:
    """Create a file with the snapshots of `STATES`."""
    with Sandbox(file) as box:
        box.create_topic("orders", settings={"retention.ms": "-1"})
        for name, (events, committed) in STATES.items():
            there = box.topic("orders").events
            box.append_many("orders", [NewEvent(b"%d" % n + b"x" * 1_000) for n in range(there, events)])
            box.commit("billing", "orders", 0, committed)
            box.snapshots.take(name)


def killed_at(file: Path, share: float) -> None:
    """Restore and take snapshots in another process, and kill it after the first restore.

    Args:
        share: when, as a multiple of the time that the first restore took, because a busy machine takes longer.
    """
    process = subprocess.Popen([sys.executable, "-c", RESTORES, str(file)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        begun_s = time.monotonic()
        assert process.stdout.readline() == b"a\n"
        threading.Event().wait(share * (time.monotonic() - begun_s))
        assert process.poll() is None
    finally:
        process.kill()
        process.wait(ENDED_S)
        process.stdout.close()


def state(file: Path) -> tuple[int, int | None]:
    """Return the number of events, after checking each of them, and the committed offset."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as reading:
        assert reading.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = reading.execute("SELECT offset, CAST(value AS TEXT) FROM events ORDER BY id").fetchall()
        assert all(value == f"{offset}{'x' * 1_000}" for offset, value in rows)
    with Sandbox(file) as box:
        (lag,) = box.lag("billing")
        assert box.topic("orders").events == lag.end == len(rows)
        return len(rows), lag.committed


def kill_restores(file: Path, kills: int, seed: int) -> tuple[Counter[tuple[int, int | None]], list[str]]:
    """Kill `kills` restores. Returns how often each state was found afterwards, and states that are not in `STATES`."""
    dice = random.Random(seed)
    make(file)
    met: Counter[tuple[int, int | None]] = Counter()
    wrong = []
    for kill in range(kills):
        killed_at(file, dice.uniform(0, 3))
        found = state(file)
        met[found] += 1
        if found not in STATES.values():
            wrong.append(f"restore kill {kill}: {found}")
    return met, wrong
