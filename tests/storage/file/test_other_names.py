"""Names of one file: the events that are in the log of another name are not passed over in silence."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import FileRefused
from sandbox.storage.file import location

APPEND_AND_DIE = """
import os, sys
from sandbox import Sandbox
Sandbox(sys.argv[1]).append("orders", "ham")
os._exit(9)
"""


def test_a_file_is_not_opened_by_a_name_whose_log_lacks_what_was_written_last(file: Path) -> None:
    subprocess.run([sys.executable, "-c", APPEND_AND_DIE, str(file)], timeout=30, check=False)
    other = file.with_name("other.db")
    os.link(file, other)
    with pytest.raises(FileRefused, match=r"what was written last is in dev\.db-wal\. Open it by that name"):
        Sandbox(other)
    with Sandbox(file) as box:
        assert box.event("orders", 0, 0).value == b"ham"
    with Sandbox(other) as box:
        assert box.event("orders", 0, 0).value == b"ham"


def test_a_file_with_several_names_is_warned_about(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="sandbox"):
        Sandbox(file).close()
        assert caplog.messages == []
        os.link(file, file.with_name("other.db"))
        Sandbox(file).close()
    (message,) = caplog.messages
    assert f"{file} has 2 names (hard links). Always open it by the same one" in message


def test_a_file_that_is_mounted_without_its_folder_is_warned_about(file: Path, tmp_path: Path) -> None:
    file.touch()
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 98:0 / / rw - ext4 /dev/sda rw\n37 36 98:0 /dev.db {file} rw - ext4 /dev/sda rw\n")
    assert f"mount the folder {file.parent} instead" in (location.other_names_warning(file, mounts) or "")
    assert location.other_names_warning(file, tmp_path / "none") is None
