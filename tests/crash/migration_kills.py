"""kill -9 while a file of an older version is migrated."""

import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

from sandbox import NewEvent, Sandbox
from sandbox.storage.file.schema import VERSION
from tests.crash.owner import ENDED_S, ROOT
from tests.storage.older_file import make_older

EVENTS = 500
# Everything is imported before the file is named, so that the kill hits the opening, which takes a few milliseconds.
OPENS = """
import sys
from sandbox import Sandbox
print("ready", flush=True)
box = Sandbox(sys.stdin.readline().strip())
sys.stdin.readline()
"""


def make_version_1(file: Path) -> None:
    """Create a file as version 1 wrote it."""
    with Sandbox(file) as box:
        box.append_many("orders", [NewEvent(b"%d" % number) for number in range(EVENTS)])
    make_older(file, 1)


def killed_at(file: Path, after_s: float) -> None:
    """Let another process open the file, and kill it `after_s` seconds later."""
    process = subprocess.Popen(
        [sys.executable, "-c", OPENS], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        process.stdin.write(f"{file}\n")
        process.stdin.flush()
        threading.Event().wait(after_s)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait(ENDED_S)
        process.stdin.close()
        process.stdout.close()


def version_of(file: Path) -> int:
    """Return a file's version, after checking that no migration step is incomplete."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as reading:
        assert reading.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        version: int = reading.execute("PRAGMA user_version").fetchone()[0]
        names = {row[0] for row in reading.execute("SELECT name FROM sqlite_master")}
        assert ({"activity", "event_templates", "activity_is_immutable"} <= names) == (version == VERSION)
        assert reading.execute("SELECT count(*) FROM events").fetchone() == (EVENTS,)
    return version


def kill_migrations(folder: Path, kills: int, seed: int) -> tuple[int, list[str]]:
    """Kill `kills` migrations. Returns how often the file had the old version afterwards, and the broken promises."""
    dice = random.Random(seed)
    original, file = folder / "version-1.db", folder / "migrated.db"
    make_version_1(original)
    shutil.copy(original, file)
    started = time.perf_counter()
    Sandbox(file).close()
    opening_s = time.perf_counter() - started
    old, wrong = 0, []
    for kill in range(kills):
        for left in folder.glob("migrated.db*"):
            left.unlink()
        shutil.copy(original, file)
        try:
            killed_at(file, dice.uniform(0, 1.5 * opening_s))
            old += version_of(file) == 1
            with Sandbox(file) as box:
                assert box.topic("orders").events == EVENTS
            assert version_of(file) == VERSION
        except (AssertionError, sqlite3.Error) as error:
            wrong.append(f"migration kill {kill}: {error!r}")
    return old, wrong
