"""Interference with an open file, by other programs and by this one: nothing that was acknowledged is lost.

A copy of the folder stands for `kill -9`: it has what the files have at that moment, and no process to write the rest.
"""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError, FileInUse, SandboxError
from sandbox.storage.check import check
from sandbox.storage.file import ofd_locks
from sandbox.storage.file.database import check_file
from sandbox.storage.file.snapshots import opened
from tests.waiting import eventually

linux = pytest.mark.skipif(not ofd_locks.AVAILABLE, reason="this system has no locks of open file descriptions")

READ = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM events').fetchone()[0])"
READ_ON = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
print(connection.execute("SELECT count(*) FROM events").fetchone()[0], flush=True)
sys.stdin.read()
"""
OPEN = "import sys; from sandbox import Sandbox; Sandbox(sys.argv[1])"


def another_process(source: str, file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", source, str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def beside(file: Path, ending: str) -> Path:
    return file.with_name(file.name + ending)


def after_kill(file: Path) -> list[bytes | None]:
    """The values that a sandbox finds after the death of the owner; the file is whole."""
    folder = file.parent.with_name(f"{file.parent.name}-killed")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(file.parent, folder, ignore=shutil.ignore_patterns("*.lock"))
    copy = folder / file.name
    with Sandbox(copy) as box:
        values = [event.value for event in box.read("orders", limit=10_000)]
        assert box.append("orders", "next").offset == len(values)
    assert check(copy).findings == []
    return values


def append(box: Sandbox, count: int) -> None:
    for _ in range(count):
        box.append("orders", str(box.end_offsets("orders")[0]))


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


@pytest.fixture
def orders(box: Sandbox) -> Sandbox:
    """A sandbox whose newest events are in the write-ahead log alone."""
    box.create_topic("orders")
    append(box, 20)
    return box


# Locks that end with any close in the process


def refused(box: Sandbox, file: Path) -> None:
    with pytest.raises(FileInUse):
        Sandbox(file)


def of_a_copy(box: Sandbox, file: Path) -> None:
    box.snapshots.take("before")
    box.snapshots.list()
    box.snapshots.compare("before")
    box.snapshots.copy()
    box.snapshots.copy("before")


def read_as_a_copy(box: Sandbox, file: Path) -> None:
    with opened(file) as reader:
        assert reader.one("SELECT count(*) FROM events") == (20,)


def immutable(box: Sandbox, file: Path) -> None:
    with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


OPENERS: dict[str, Callable[[Sandbox, Path], object]] = {
    "a second sandbox": refused,
    "check": lambda box, file: box.check(),
    "snapshots": of_a_copy,
    "SQL": lambda box, file: box.sql("SELECT count(*) FROM events"),
    "a look at the header": lambda box, file: check_file(file),
    "a reader of copies": read_as_a_copy,
}
PROGRAMS: dict[str, Callable[[Sandbox, Path], object]] = {
    "open and close": lambda box, file: open(file).close(),
    "read all three files": lambda box, file: [one.read_bytes() for one in file.parent.glob("dev.db*")],
    "an immutable connection": immutable,
}


@linux
@pytest.mark.parametrize("opener", OPENERS | PROGRAMS)
def test_nothing_that_opens_the_file_in_the_owners_process_lets_a_reader_delete_the_log(
    orders: Sandbox, file: Path, opener: str
) -> None:
    (OPENERS | PROGRAMS)[opener](orders, file)
    for _ in range(3):
        assert another_process(READ, file).stdout == "20\n"
    append(orders, 5)
    assert another_process(READ, file).stdout == "25\n"
    assert after_kill(file) == numbers(25)
    assert orders.trouble is None


AUDITED = """
import sys
from pathlib import Path
from sandbox import Sandbox
from sandbox.kafka.errors import FileInUse
from sandbox.storage.check import count_batches
file = Path(sys.argv[1])
with Sandbox(file) as box:
    box.append("orders", "1")
    seen = []
    def hook(event, arguments):
        if event in ("open", "sqlite3.connect", "shutil.copyfile"):
            seen.append((event, str(arguments[0])))
    sys.addaudithook(hook)
    try:
        Sandbox(file)
    except FileInUse:
        pass
    box.check()
    box.snapshots.take("one")
    box.snapshots.list()
    box.snapshots.copy()
    box.snapshots.restore("one")
    box.sql("SELECT * FROM events")
    count_batches(file)
    box.overview()
    mine = [one for one in seen if one[1].partition("?")[0].removeprefix("file://") == str(file)]
    print([one for one in mine if one[0] != "sqlite3.connect" or "immutable" in one[1]])
    print(len(mine) > 0)
"""


def test_the_owner_never_opens_its_file_but_through_sqlite_with_locks(file: Path) -> None:
    result = another_process(AUDITED, file)
    assert result.stdout == "[]\nTrue\n", result.stderr


@linux
def test_a_lock_that_ends_during_a_write_refuses_that_write_alone(orders: Sandbox, file: Path) -> None:
    def write(_now_ms: int) -> None:
        orders._database.execute("INSERT INTO settings(name, value) VALUES('a', 'b')")
        open(beside(file, "-shm")).close()

    with pytest.raises(BrokerError, match=r"releases SQLite's lock|opened and closed"):
        orders._runtime.call(write)
    assert orders.setting("a") is None
    append(orders, 1)
    assert after_kill(file) == numbers(21)


@linux
def test_a_connection_of_the_program_keeps_its_locks_when_the_sandbox_is_closed(file: Path) -> None:
    box = Sandbox(file)
    box.append("orders", "ham")
    with closing(sqlite3.connect(file, isolation_level=None)) as own:
        own.execute("BEGIN")
        assert own.execute("SELECT count(*) FROM events").fetchone() == (1,)
        box.close()
        another_process(READ, file)
        assert beside(file, "-wal").exists()
        own.execute("COMMIT")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        Sandbox(file).close()
    assert len(os.listdir("/proc/self/fd")) < before + 1, "what was left open is closed by now"


@pytest.mark.parametrize(
    "statement",
    ["PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_checkpoint(RESTART)", "CREATE TABLE mine(a)", "VACUUM"],
)
def test_what_sqlite_lets_another_program_do_is_no_trouble(orders: Sandbox, file: Path, statement: str) -> None:
    for round_number in range(3):
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute(statement if round_number == 0 or "CREATE" not in statement else "SELECT 1").fetchall()
            append(orders, 3)
        another_process(READ, file)
        append(orders, 3)
    assert orders.trouble is None
    assert after_kill(file) == numbers(38)


# Files that are taken away


def delete_both(file: Path) -> None:
    for ending in ("-wal", "-shm"):
        beside(file, ending).unlink()


def replace_log(file: Path) -> None:
    shutil.copy(beside(file, "-wal"), beside(file, "-copy"))
    os.replace(beside(file, "-copy"), beside(file, "-wal"))


LOST: dict[str, Callable[[Path], object]] = {
    "log deleted": lambda file: beside(file, "-wal").unlink(),
    "log moved": lambda file: os.rename(beside(file, "-wal"), beside(file, "-moved")),
    "log replaced by a copy": replace_log,
    "index deleted": lambda file: beside(file, "-shm").unlink(),
    "log and index deleted": delete_both,
}


@pytest.mark.parametrize("action", LOST)
def test_a_log_that_is_taken_away_is_refused_at_the_next_commit_and_nothing_before_is_lost(
    orders: Sandbox, file: Path, action: str
) -> None:
    LOST[action](file)
    refusals = []
    for _ in range(3):
        with pytest.raises(BrokerError) as refusal:
            orders.append("orders", "never acknowledged")
        refusals.append(refusal.value)
    assert {one.error.name for one in refusals} == {"KAFKA_STORAGE_ERROR"}
    assert (orders.trouble or "").startswith("The write-ahead log or its index (-wal, -shm) was deleted, moved")
    assert "Stop the sandbox and start it again." in (orders.trouble or "")
    # The one that met it may be stored: it was not acknowledged.
    assert after_kill(file)[:20] == numbers(20)
    another_process(READ, file)
    assert after_kill(file)[:20] == numbers(20)
    orders.close()
    with Sandbox(file) as again:
        assert [event.value for event in again.read("orders", limit=100)][:20] == numbers(20)
        again.append("orders", "next")
        assert again.trouble is None


@pytest.fixture
def pinned(orders: Sandbox, file: Path) -> Iterator[Sandbox]:
    """A sandbox with 20 events more than another program's read transaction sees, which stays open."""
    command = [sys.executable, "-c", READ_ON, str(file)]
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert reader.stdin is not None
    assert reader.stdout is not None
    try:
        assert reader.stdout.readline() == b"20\n"
        append(orders, 20)
        yield orders
    finally:
        reader.stdin.close()
        reader.wait(10)
        reader.stdout.close()


@linux
@pytest.mark.parametrize("action", LOST)
def test_a_log_that_is_taken_away_is_saved_beside_a_read_transaction(pinned: Sandbox, file: Path, action: str) -> None:
    for _ in range(2):
        # The second time, it happens to the copy.
        if beside(file, "-shm").exists():
            LOST[action](file)
        with pytest.raises(BrokerError, match="KAFKA_STORAGE_ERROR"):
            pinned.append("orders", "never acknowledged")
        assert "Stop the sandbox and start it again." in (pinned.trouble or "")
        assert after_kill(file)[:40] == numbers(40)
    another_process(READ, file)
    assert after_kill(file)[:40] == numbers(40)
    pinned.close()
    with Sandbox(file) as again:
        assert [event.value for event in again.read("orders", limit=100)][:40] == numbers(40)
        again.append("orders", "next")
        assert again.trouble is None


def test_an_older_log_in_place_of_ours_is_not_played_into_the_file(orders: Sandbox, file: Path) -> None:
    shutil.copy(beside(file, "-wal"), beside(file, "-older"))
    append(orders, 200)
    os.replace(beside(file, "-older"), beside(file, "-wal"))
    with pytest.raises(BrokerError, match="KAFKA_STORAGE_ERROR"):
        orders.append("orders", "never acknowledged")
    assert beside(file, "-wal-replaced-1").exists()
    assert after_kill(file)[:220] == numbers(220)


def test_a_log_that_is_taken_away_while_nobody_writes_is_saved_by_the_watch(orders: Sandbox, file: Path) -> None:
    beside(file, "-wal").unlink()
    orders._runtime.call(lambda now_ms: orders._runtime.watch.look(), changes=False)
    assert "Stop the sandbox" in (orders.trouble or "")
    assert after_kill(file) == numbers(20)


@pytest.mark.parametrize("action", LOST)
@pytest.mark.parametrize("noticed", [True, False], ids=["found by a read", "found by nobody"])
def test_a_log_that_is_taken_away_is_saved_when_the_sandbox_is_closed(
    orders: Sandbox, file: Path, action: str, noticed: bool
) -> None:
    LOST[action](file)
    if noticed:
        with pytest.raises(BrokerError, match="KAFKA_STORAGE_ERROR"):
            orders.snapshots.take()
    orders.close()
    with Sandbox(file) as again:
        assert [event.value for event in again.read("orders", limit=100)] == numbers(20)
        again.append("orders", "next")
        assert again.trouble is None


def test_a_log_that_is_moved_and_put_back_is_recovered_from(orders: Sandbox, file: Path) -> None:
    os.rename(beside(file, "-wal"), beside(file, "-moved"))
    with pytest.raises(BrokerError, match="KAFKA_STORAGE_ERROR"):
        orders.append("orders", "refused")
    os.rename(beside(file, "-moved"), beside(file, "-wal"))
    orders._runtime.watch.look_again()
    assert orders.trouble is None
    orders.append("orders", "last")
    assert after_kill(file)[-1] == b"last"


@linux
@pytest.mark.parametrize(("ending", "length"), [("-wal", 0), ("-wal", 40_000), ("", 0)])
def test_a_file_that_is_cut_short_is_refused_at_the_next_commit(
    orders: Sandbox, file: Path, ending: str, length: int
) -> None:
    os.truncate(beside(file, ending), length)
    for _ in range(3):
        with pytest.raises(BrokerError, match="KAFKA_STORAGE_ERROR"):
            orders.append("orders", "never acknowledged")
    assert "was cut short by another program" in (orders.trouble or "")
    orders.close()
    if ending:
        # What is left of the log is a part of it from the beginning, and is not mixed with zeros.
        assert check(file).findings == []


@linux
def test_a_log_that_is_cut_short_during_a_commit_is_not_acknowledged(orders: Sandbox, file: Path) -> None:
    guard = orders._database._guard
    look = guard.before_commit

    def cut_after_the_look() -> None:
        look()
        os.truncate(beside(file, "-wal"), 0)

    guard.before_commit = cut_after_the_look  # type: ignore[method-assign]
    with pytest.raises(BrokerError, match="cut short by another program"):
        orders.append("orders", "never acknowledged")
    del guard.before_commit
    assert "cut short" in (orders.trouble or "")


def test_no_connection_is_made_to_a_file_whose_log_is_another(orders: Sandbox, file: Path) -> None:
    replace_log(file)
    failed: list[Exception] = []

    def read() -> None:
        try:
            orders.topics()
        except SandboxError as error:
            failed.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(10)
    assert len(failed) == 1
    calls: tuple[Callable[[], object], ...] = (
        lambda: orders.snapshots.take("one"),
        orders.snapshots.copy,
        lambda: orders.sql("SELECT 1"),
        orders.check,
    )
    for call in calls:
        with pytest.raises(BrokerError, match="deleted, moved or replaced"):
            call()
    assert orders.snapshots.list() == ()


# Several names of one file


@linux
def test_a_file_has_one_owner_whatever_its_name(orders: Sandbox, file: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "dev.db"
    os.link(file, other)
    with pytest.raises(FileInUse, match=rf"is in use by process {os.getpid()}\. It opened the file under another name"):
        Sandbox(other)
    result = another_process(OPEN, other)
    assert f"is in use by process {os.getpid()}. It opened the file under another name" in result.stderr
    assert list(other.parent.iterdir()) == [other], "what is refused leaves nothing behind"
    assert another_process(READ, file).stdout == "20\n"
    append(orders, 1)
    assert after_kill(file) == numbers(21)


@linux
@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root may mount")
def test_a_file_that_is_mounted_alone_has_one_owner(orders: Sandbox, file: Path, tmp_path: Path) -> None:
    mounted = tmp_path / "mounted.db"
    mounted.touch()
    if subprocess.run(["mount", "--bind", file, mounted], capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        assert "It opened the file under another name" in another_process(OPEN, mounted).stderr
    finally:
        subprocess.run(["umount", mounted], check=True)


@linux
def test_without_its_lock_file_the_owner_is_the_owner_and_makes_it_again(file: Path, served: Sandbox) -> None:
    served.create_topic("orders")
    lock = beside(file, ".lock")
    lock.unlink()
    result = another_process(OPEN, file)
    assert f"in use by process {os.getpid()}" in result.stderr
    assert result.stderr.count("Traceback") == 1, "the refusal, and nothing else"
    assert not lock.exists()
    served._runtime.call(lambda now_ms: served._runtime._look(), changes=False)
    with pytest.raises(FileInUse) as refusal:
        Sandbox(file)
    assert refusal.value.owner["kafka"] == served.kafka_address
    lock.unlink()


def test_a_sandbox_whose_lock_file_is_gone_is_closed_and_opened_again(file: Path) -> None:
    box = Sandbox(file)
    beside(file, ".lock").unlink()
    box.close()
    with Sandbox(file) as again:
        again.append("orders", "ham")


# Systems without such locks


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, on Windows, and on file systems that refuse such locks."""

    def refuse(*_: object) -> bytes:
        raise OSError(errno.EINVAL, "no such locks")

    monkeypatch.setattr(ofd_locks, "_call", refuse)
    # As on Windows.
    monkeypatch.delattr(os, "pread")


@pytest.mark.parametrize("action", ["log deleted", "log moved", "index deleted", "log and index deleted"])
def test_without_such_locks_the_files_are_looked_at(without_locks: None, file: Path, action: str) -> None:
    with Sandbox(file) as box:
        box.create_topic("orders")
        append(box, 20)
        os.link(file, beside(file, ".link"))
        with pytest.raises(FileInUse, match="under another name"):
            Sandbox(beside(file, ".link"))
        LOST[action](file)
        for _ in range(3):
            with pytest.raises(BrokerError, match="KAFKA_STORAGE_ERROR"):
                box.append("orders", "never acknowledged")
        assert "deleted, moved or replaced" in (box.trouble or "")
        eventually(lambda: after_kill(file)[:20] == numbers(20))
