"""One owner per file."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import FileInUse
from sandbox.storage.file.lock import read_owner

OPEN = """
import sys
import tempfile
from sandbox.kafka.errors import FileInUse
from sandbox.api.sandbox import Sandbox
try:
    Sandbox(sys.argv[1])
except FileInUse as error:
    print(error.owner["pid"], error.owner["kafka"])
    print(error)
"""
OWN = """
import sys
import tempfile
from sandbox.api.sandbox import Sandbox
sandbox = Sandbox(sys.argv[1])
sandbox.append("orders", "ham")
print("owned", flush=True)
sys.stdin.read()
"""


def test_a_second_sandbox_of_the_same_process_is_refused(box: Sandbox, file: Path) -> None:
    with pytest.raises(FileInUse, match=f"is in use by process {os.getpid()}") as refused:
        Sandbox(file)
    assert refused.value.owner == {"pid": os.getpid(), "kafka": None, "web": None}
    assert box.append("orders", "ham").offset == 0


def test_another_process_is_told_who_owns_the_file_and_where_it_listens(served: Sandbox, file: Path) -> None:
    result = subprocess.run([sys.executable, "-c", OPEN, str(file)], capture_output=True, text=True, timeout=30)
    assert result.stdout.splitlines() == [
        f"{os.getpid()} {served.kafka_address}",
        f"{file} is in use by process {os.getpid()}, Kafka {served.kafka_address}. "
        "Connect to that address, or stop that process first.",
    ], result.stderr


def test_a_link_to_the_file_is_the_same_file(box: Sandbox, file: Path) -> None:
    link = file.with_name("link.db")
    link.symlink_to(file)
    with pytest.raises(FileInUse):
        Sandbox(link)
    assert read_owner(link) == read_owner(file)


def test_the_owner_is_known_while_it_owns_and_not_after(file: Path) -> None:
    assert read_owner(file) is None
    with Sandbox(file) as sandbox:
        assert read_owner(file) == {"pid": os.getpid(), "kafka": None, "web": None}
        sandbox.serve(kafka_port=0, web_port=None)
        assert read_owner(file) == {
            "pid": os.getpid(),
            "kafka": sandbox.kafka_address,
            "web": None,
            "registry": sandbox.registry_address,
        }
    assert read_owner(file) is None


def test_a_page_that_is_opened_later_keeps_the_published_addresses(file: Path) -> None:
    with Sandbox(file) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None, registry_port=0)
        before = read_owner(file) or {}
        assert before["registry"] == sandbox.registry_address
        sandbox.open_page()
        assert read_owner(file) == {**before, "web": sandbox.web_address}


def test_a_killed_owner_leaves_the_file_free(file: Path) -> None:
    command = [sys.executable, "-c", OWN, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "owned\n"
        assert (read_owner(file) or {})["pid"] == owner.pid
        owner.kill()
        owner.wait(10)
        assert json.loads(file.with_name("dev.db.lock").read_text())["pid"] == owner.pid, "the old text is still there"
        assert read_owner(file) is None
        with Sandbox(file) as sandbox:
            assert [event.value for event in sandbox.read("orders")] == [b"ham"]


def test_somebody_who_looks_who_owns_the_file_does_not_keep_it_from_being_opened(file: Path) -> None:
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            read_owner(file)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(30):
            Sandbox(file).close()
    finally:
        ended.set()
        for looker in lookers:
            looker.join(10)


def test_a_setting_that_is_refused_leaves_the_file_free(file: Path) -> None:
    with pytest.raises(Exception, match="Unknown broker config name"):
        Sandbox(file, settings={"nonsense": "1"})
    with Sandbox(file) as sandbox:
        assert sandbox.topics() == ()


OWNER_AS_NOBODY = """
import os, sys
from sandbox.storage.file.lock import read_owner
os.setgid(65534)
os.setuid(65534)
print((read_owner(sys.argv[1]) or {}).get("pid"))
"""


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root may become another user")
def test_another_user_is_told_the_owner_of_a_file_that_he_may_only_read() -> None:
    folder = Path(tempfile.mkdtemp(prefix="sandbox-"))
    folder.chmod(0o755)
    command = [sys.executable, "-c", OWNER_AS_NOBODY, str(folder / "dev.db")]
    try:
        with Sandbox(folder / "dev.db"):
            result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            assert result.stdout == f"{os.getpid()}\n", result.stderr
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert result.stdout == "None\n", result.stderr
    finally:
        shutil.rmtree(folder)
