"""kill -9 while snapshots are taken and restored: the file is in the old state or the new one, and whole."""

import random
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from sandbox import NewEvent, Sandbox
from sandbox.snapshots_folder import SnapshotFolder
from sandbox.storage.lock import read_owner
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
KILLS = 10
STATES = {"a": (1_500, 100), "b": (2_500, 900)}
"""Snapshot to how many events it has, and what the group has committed."""

RESTORES = """
import sys
from sandbox import Sandbox
with Sandbox(sys.argv[1]) as box:
    print("ready", flush=True)
    while True:
        for name in "ab":
            box.snapshots.restore(name)
            box.snapshots.take()
"""


def make(file: Path) -> None:
    with Sandbox(file) as box:
        box.create_topic("orders", settings={"retention.ms": "-1"})
        for name, (events, committed) in STATES.items():
            there = box.topic("orders").events
            box.append_many("orders", [NewEvent(b"%d" % n + b"x" * 1_000) for n in range(there, events)])
            box.commit("billing", "orders", 0, committed)
            box.snapshots.take(name)


def killed_at(file: Path, after_s: float) -> None:
    """Restore and take in another process, and kill it."""
    process = subprocess.Popen([sys.executable, "-c", RESTORES, str(file)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        threading.Event().wait(after_s)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def state(file: Path) -> tuple[int, int | None]:
    """How many events there are, each of them whole, and what is committed."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as reading:
        assert reading.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = reading.execute("SELECT offset, CAST(value AS TEXT) FROM events ORDER BY id").fetchall()
        assert all(value == f"{offset}{'x' * 1_000}" for offset, value in rows)
    with Sandbox(file) as box:
        (lag,) = box.lag("billing")
        assert box.topic("orders").events == lag.end == len(rows)
        return len(rows), lag.committed


@pytest.mark.crash
@pytest.mark.timeout(180)
def test_ten_kills_while_snapshots_are_restored_leave_the_old_state_or_the_new_one(file: Path) -> None:
    dice = random.Random(5)
    make(file)
    seen = set()
    for kill in range(KILLS):
        killed_at(file, dice.uniform(0.05, 0.5))
        found = state(file)
        assert found in STATES.values(), f"kill {kill}"
        seen.add(found)
    assert len(seen) == 2, "both states must have been met, or the kills came too early"
    taken = SnapshotFolder(file).list()
    assert {one.name for one in taken} > STATES.keys()
    for one in taken[:4]:
        assert state(Path(one.file)) in STATES.values(), one.name


FORKS = """
import sys, threading
from sandbox import Sandbox
with Sandbox(sys.argv[1]) as box:
    print(box.snapshots.fork().file, flush=True)
    threading.Event().wait()
"""


@pytest.mark.crash
def test_a_fork_ends_when_its_parent_is_killed(file: Path) -> None:
    with Sandbox(file) as box:
        box.append("orders", "x")
    process = subprocess.Popen([sys.executable, "-c", FORKS, str(file)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        fork = Path(process.stdout.readline().decode().strip())
        assert read_owner(fork) is not None
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
    eventually(lambda: read_owner(fork) is None, 20, "the fork has ended")
