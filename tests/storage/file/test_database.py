"""Which files are opened, which are refused, and what the connections see."""

import errno
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError, FileRefused, SandboxError
from sandbox.storage.file.database import Database, StorageFailed
from sandbox.storage.file.schema import VERSION

NOBODY = 65534


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file of a folder with a hash of its bytes."""
    return {
        str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in folder.rglob("*")
        if one.is_file()
    }


def another_programs_database(path: Path, *, wal: bool) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE customers(name)")
        connection.execute("INSERT INTO customers VALUES('Ada')")


def write_version(path: Path, version: int) -> None:
    with Sandbox(path):
        pass
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA user_version = {version}")


def make_refused(path: Path, kind: str) -> None:
    if kind == "text":
        path.write_text("offset,value\n1,ham\n" * 100)
    elif kind == "short":
        path.write_bytes(b"SQLite format 3\0")
    elif kind == "truncated":
        with Sandbox(path) as sandbox:
            sandbox.append_many("orders", [])
        path.write_bytes(path.read_bytes()[:2000])
    elif kind == "foreign":
        another_programs_database(path, wal=False)
    elif kind == "foreign in WAL mode":
        another_programs_database(path, wal=True)
    else:
        write_version(path, VERSION + 1)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("text", "is not an SQLite database"),
        ("short", "is not an SQLite database"),
        ("truncated", "is cut short: 2,000 of "),
        ("foreign", "is the database of another program"),
        ("foreign in WAL mode", "is the database of another program"),
        ("newer", rf"newer Kafka Sandbox \(file version {VERSION + 1}, this one knows {VERSION}\)"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_and_nothing_is_changed(file: Path, kind: str, sentence: str) -> None:
    make_refused(file, kind)
    Path(f"{file}.lock").unlink(missing_ok=True)
    before = fingerprint(file.parent)
    for _ in range(2):
        with pytest.raises(FileRefused, match=sentence):
            Sandbox(file)
    assert fingerprint(file.parent) == before


def test_a_folder_is_refused_with_a_name_that_would_do(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match=f"{tmp_path} is a folder. Name a file in it, such as {tmp_path}/dev.db"):
        Sandbox(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_a_folder_that_does_not_exist_is_refused_and_the_folder_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match=r"there is no folder|does not exist"):
        Sandbox(tmp_path / "nowhere" / "dev.db")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def folder_of_nobody() -> Iterator[Path]:
    """A folder that a user without rights can reach; pytest's own is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="sandbox-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


OPEN_AS_NOBODY = """
import os, sys
from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import FileRefused
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    Sandbox(sys.argv[1])
except FileRefused as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("of", ["file", "folder"])
def test_a_file_that_may_not_be_written_is_refused_and_nothing_is_changed(folder_of_nobody: Path, of: str) -> None:
    path = folder_of_nobody / "dev.db"
    with Sandbox(path) as sandbox:
        sandbox.append("orders", "ham")
    Path(f"{path}.lock").unlink()
    if of == "file":
        path.chmod(0o444)
        folder_of_nobody.chmod(0o777)
    else:
        path.chmod(0o666)
        folder_of_nobody.chmod(0o555)
    before = fingerprint(folder_of_nobody)
    command = [sys.executable, "-c", OPEN_AS_NOBODY, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    folder_of_nobody.chmod(0o755)
    assert result.returncode == 1, result.stderr
    assert "is read-only" in result.stderr if of == "file" else "cannot be locked" in result.stderr, result.stderr
    assert "Traceback" not in result.stderr
    assert fingerprint(folder_of_nobody) == before


def test_an_empty_file_becomes_a_sandbox(file: Path) -> None:
    file.touch()
    with Sandbox(file) as sandbox:
        assert sandbox.append("orders", "ham").offset == 0


def test_a_sandbox_file_is_opened_again_with_everything_in_it(file: Path) -> None:
    with Sandbox(file) as sandbox:
        sandbox.append("orders", "ham")
        cluster = sandbox.overview().cluster_id
    with Sandbox(file) as sandbox:
        assert [event.value for event in sandbox.read("orders")] == [b"ham"]
        assert sandbox.overview().cluster_id == cluster


def test_a_file_whose_header_is_still_in_the_write_ahead_log_is_known(file: Path, tmp_path: Path) -> None:
    """After kill -9 the main file may lack even its application id: only the log beside it has it."""
    copy = tmp_path / "copy.db"
    with Sandbox(file) as sandbox:
        sandbox.append("orders", "ham")
        for suffix in ("", "-wal"):
            shutil.copy(f"{file}{suffix}", f"{copy}{suffix}")
    assert copy.read_bytes()[68:72] == b"\0\0\0\0", "the header was checkpointed: this test shows nothing"
    with Sandbox(copy) as sandbox:
        assert [event.value for event in sandbox.read("orders")] == [b"ham"]


FORK_AND_DIE = """
import os, sqlite3, sys
from sandbox.api.sandbox import Sandbox
connect = sqlite3.connect
left = 0
class Dying(sqlite3.Connection):
    def execute(self, sql, *parameters):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return super().execute(sql, *parameters)
sqlite3.connect = lambda *args, **options: connect(*args, **{**options, "factory": Dying})
for number in range(0, 1000, 4):
    path = os.path.join(sys.argv[1], f"{number}.db")
    child = os.fork()
    if child == 0:
        left = number
        Sandbox(path)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        print(number)
        break
"""


def test_a_file_whose_owner_died_at_any_statement_of_its_creation_is_made_anew(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORK_AND_DIE, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    died = int(result.stdout)
    assert died > 30
    for number in range(0, died, 4):
        with Sandbox(tmp_path / f"{number}.db") as sandbox:
            assert sandbox.append("orders", b"ham").offset == 0, number


def test_a_reader_sees_one_state_however_much_is_written_meanwhile(box: Sandbox) -> None:
    box.append("orders", "one")
    with box._database.reader() as reader:
        before = reader.query("SELECT count(*) FROM events")
        written = threading.Thread(target=lambda: box.append("orders", "two"))
        written.start()
        written.join(10)
        assert reader.query("SELECT count(*) FROM events") == before == [(1,)]
    with box._database.reader() as reader:
        assert reader.query("SELECT count(*) FROM events") == [(2,)]


def test_a_reader_cannot_write(box: Sandbox) -> None:
    with box._database.reader() as reader, pytest.raises(sqlite3.OperationalError, match=r"readonly|query_only"):
        reader.query("DELETE FROM settings")


def test_the_connection_of_a_thread_ends_with_it(box: Sandbox) -> None:
    box.append("orders", "ham")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        thread = threading.Thread(target=box.topics)
        thread.start()
        thread.join(10)
    assert len(os.listdir("/proc/self/fd")) < before + 10


def test_a_number_beyond_64_bits_is_refused_in_words(box: Sandbox) -> None:
    box.append("orders", "ham")
    with pytest.raises(BrokerError, match="64 bits"):
        box.read("orders", since_ms=2**70)
    with pytest.raises(BrokerError, match="64 bits"):
        box.offsets_for_time("orders", 2**70)
    with pytest.raises(BrokerError, match="not written yet"):
        box.event("orders", 0, 2**70)


def test_a_closed_sandbox_says_so(file: Path) -> None:
    sandbox = Sandbox(file)
    sandbox.append("orders", "ham")
    sandbox.close()
    sandbox.close()
    for call in (sandbox.topics, sandbox.overview, lambda: sandbox.append("orders", "ham"), lambda: sandbox.lag("g")):
        with pytest.raises(SandboxError, match="This sandbox is closed"):
            call()


def test_a_write_that_fails_is_undone_as_a_whole(file: Path) -> None:
    with closing(Database(file)) as database:
        database.execute("INSERT INTO settings(name, value) VALUES('a', '1')")
        with pytest.raises(StorageFailed, match="no such table"):
            database.execute("INSERT INTO nowhere VALUES(1)")
        database.rollback()
        assert database.query("SELECT * FROM settings WHERE name = 'a'") == []
        database.execute("INSERT INTO settings(name, value) VALUES('b', '2')")
        database.commit()
        assert database.query("SELECT value FROM settings WHERE name = 'b'") == [("2",)]


def test_a_closed_sandbox_leaves_one_whole_file(file: Path) -> None:
    with Sandbox(file) as sandbox:
        sandbox.append("orders", "ham")
    left = {one.name for one in file.parent.iterdir()} - {"dev.db.lock"}
    assert left == {"dev.db"}
    with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as connection:
        assert connection.execute("SELECT value FROM messages").fetchall() == [("ham",)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.fixture
def few_files(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a disk that has room for this number of files more, and returns its folder."""
    mounted: list[Path] = []

    def mount(count: int) -> Path:
        folder = tmp_path / "disk"
        folder.mkdir()
        # The folder itself takes one.
        options = f"nr_inodes={count + 1},size=8m"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if os.name == "nt" or os.getuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount a disk")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("files", [0, 1, 2, 3])
def test_a_disk_without_inodes_is_named_and_the_file_opens_once_there_are_some(
    few_files: Callable[[int], Path], files: int
) -> None:
    folder = few_files(files + 4)
    for number in range(4):
        (folder / str(number)).touch()
    with pytest.raises(FileRefused, match="all of its inodes are in use") as refused:
        Sandbox(folder / "dev.db")
    assert "Put them back" not in str(refused.value)
    for number in range(4):
        (folder / str(number)).unlink()
    with Sandbox(folder / "dev.db") as sandbox:
        assert sandbox.append("orders", "ham").offset == 0


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "The disk is full"),
        (errno.EDQUOT, "Your quota on the disk is used up"),
        (errno.EMFILE, "too many files open"),
        (errno.EROFS, "mounted read-only"),
    ],
)
def test_a_file_that_cannot_be_created_is_refused_with_the_systems_reason(
    file: Path, number: int, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = os.open

    def refuse(path: str | Path, flags: int, *more: int) -> int:
        if str(path) == str(file):
            raise OSError(number, os.strerror(number))
        return opening(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(FileRefused, match=sentence):
        Sandbox(file)
    assert list(file.parent.iterdir()) == []


def test_a_pipe_is_refused_and_not_waited_for(file: Path) -> None:
    os.mkfifo(file)
    with pytest.raises(FileRefused, match="is a pipe, a device or a socket"):
        Sandbox(file)


def test_a_transaction_that_sqlite_rolled_back_is_not_continued_and_not_committed(file: Path) -> None:
    with closing(Database(file)) as database:
        for end in (database.commit, lambda: database.execute("DELETE FROM settings")):
            database.execute("DELETE FROM settings")
            database._writer.execute("ROLLBACK")
            with pytest.raises(StorageFailed, match="an earlier write of the transaction failed"):
                end()
            database.rollback()
        database.execute("DELETE FROM settings")
        database.commit()
