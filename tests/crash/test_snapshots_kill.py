"""kill -9 while snapshots are taken and restored: the file has the old state or the new one, and is complete."""

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.snapshots.folder import SnapshotFolder
from sandbox.storage.check import check
from sandbox.storage.file import ofd_locks
from sandbox.storage.file.lock import read_owner
from tests.crash.owner import ROOT
from tests.crash.restore_kills import STATES, STEPS, kill_restores, killed_at_step, make, state
from tests.waiting import eventually

KILLS = 10


@pytest.mark.crash
@pytest.mark.timeout(180)
def test_ten_kills_while_snapshots_are_restored_leave_the_old_state_or_the_new_one(file: Path) -> None:
    met, wrong = kill_restores(file, KILLS, seed=5)
    assert wrong == []
    assert len(met) == 2, "both states must have been met, or the kills came too early"
    taken = SnapshotFolder(file).list()
    assert {one.name for one in taken} > STATES.keys()
    for one in taken[:4]:
        assert state(Path(one.file)) in STATES.values(), one.name


@pytest.mark.crash
@pytest.mark.skipif(not ofd_locks.AVAILABLE, reason="this system has no locks of open file descriptions")
def test_the_rename_of_the_log_decides_whether_a_killed_restore_has_happened(file: Path) -> None:
    make(file)
    states = []
    for step in STEPS:
        killed_at_step(file, step)
        states.append(state(file))
        assert check(file).findings == []
        with Sandbox(file) as box:
            box.snapshots.restore("b")
    assert states == [STATES["b"], *(STATES["a"] for _ in STEPS[1:])]


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
