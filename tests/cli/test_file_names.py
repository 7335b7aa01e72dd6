"""Sandbox files of any name: every command takes the same file, and none ends in a traceback."""

import json
import os
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox import Sandbox
from sandbox.kafka.errors import FileRefused
from sandbox.model.file_path import file_path, shown_path

if TYPE_CHECKING:
    from tests.cli.conftest import CommandLine

NAMES = (
    "~dev.db",
    ":memory:",
    "a?b#c%41&d.db",
    "-dash.db",
    " space, 'quote\n\N{GRINNING FACE} ",
    "file:dev.db?mode=memory",
    os.fsdecode(b"\xff\xfe.db"),
)
COMMANDS = (
    ("produce", "t", "--value", "v"),
    ("consume", "t"),
    ("sql", "SELECT value FROM t"),
    ("snapshots", "take", "one"),
    ("topics", "apply-retention", "--yes"),
)
OTHER_COMMANDS = (("brokers", "list"), ("snapshots", "restore", "one", "--dry-run"))


def _run(command_line: "CommandLine", *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=command_line.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=command_line.environment(),
        timeout=60,
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_command_works_on_the_file_of_that_name(command_line: "CommandLine", name: str) -> None:
    with Sandbox(command_line.folder / "dev.db") as other:
        other.create_topic("other")
    before = {*os.listdir(command_line.folder)}
    for command in COMMANDS:
        done = _run(command_line, *command, f"--file={name}")
        assert done.returncode == 0, (command, done.stderr)
    for command in OTHER_COMMANDS:
        assert b"Traceback" not in _run(command_line, *command, f"--file={name}").stderr
    checked = _run(command_line, "check", "--json", "--", name)
    assert checked.returncode == 0
    report = json.loads(checked.stdout)
    assert (report["whole"], report["events"]) == (True, 1)
    assert {*os.listdir(command_line.folder)} - before == {name, f"{name}.lock", f"{name}-snapshots"}
    # As bytes: sqlite3 would take ":memory:" for no file.
    with Sandbox(command_line.folder / name) as opened:
        assert [event.value for event in opened.read("t")] == [b"v"]


@pytest.mark.parametrize("name", [NAMES[0], NAMES[1], NAMES[-1]])
def test_up_serves_a_file_of_that_name(command_line: "CommandLine", name: str) -> None:
    _, said = command_line.up("--", name) if name.startswith("-") else command_line.up(name)
    for page in ("/", "/cluster", "/snapshots", "/help", "/topics.json"):
        with urllib.request.urlopen(said["web"] + page, timeout=20) as answer:
            assert answer.status == 200
    for command in (("topics", "list"), ("brokers", "list"), ("snapshots", "take", "one"), ("sql", "SELECT 1")):
        done = _run(command_line, *command, f"--file={name}")
        assert done.returncode == 0, (command, done.stderr)


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "root", "too long", "loop"])
def test_what_is_no_regular_file_is_refused(command_line: "CommandLine", kind: str) -> None:
    folder = command_line.folder
    name = {"device": "/dev/null", "root": "/", "too long": "n" * 300}.get(kind, f"{kind}.db")
    if kind == "folder":
        (folder / name).mkdir()
    elif kind == "pipe":
        os.mkfifo(folder / name)
    elif kind == "loop":
        (folder / name).symlink_to(name)
    for command in (*COMMANDS, *OTHER_COMMANDS):
        done = _run(command_line, *command, f"--file={name}")
        assert b"Traceback" not in done.stderr, command
        assert done.returncode in (1, 5), command
    done = _run(command_line, "check", name)
    assert (done.returncode, done.stdout) == (5 if kind != "too long" else 1, b"")
    done = _run(command_line, "up", "--kafka-port", "0", "--ui-port", "0", name)
    assert done.returncode in (1, 5)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("~", Path.home()),
        ("~/dev.db", Path.home() / "dev.db"),
        ("~dev.db", Path("~dev.db")),
        ("~root/dev.db", Path("~root/dev.db")),
        (":memory:", Path(":memory:")),
        ("sqlite:dev.db", Path("dev.db")),
        ("sqlite:~/dev.db", Path.home() / "dev.db"),
        ("SQLITE:///tmp/x.db", Path("/tmp/x.db")),
        (Path("sqlite:dev.db"), Path("sqlite:dev.db")),
        (Path("~/dev.db"), Path.home() / "dev.db"),
        ("file:dev.db", Path("file:dev.db")),
    ],
)
def test_a_name_means_one_path_everywhere(name: str | Path, path: Path) -> None:
    assert file_path(name) == path


@pytest.mark.parametrize("name", ["/", "sqlite:", "sqlite://dev.db", "sqlite::memory:"])
def test_a_name_that_can_mean_no_file_is_refused(name: str) -> None:
    with pytest.raises(FileRefused):
        file_path(name)


def test_a_name_that_is_not_utf_8_is_shown_with_escapes() -> None:
    assert shown_path(os.fsdecode(b"\xff.db")) == "\\xff.db"


def test_sqlite_itself_opens_the_file(command_line: "CommandLine") -> None:
    _run(command_line, "produce", "t", "--value", "v", "--file=:memory:")
    connection = sqlite3.connect(command_line.folder / ":memory:")
    try:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)
    finally:
        connection.close()
