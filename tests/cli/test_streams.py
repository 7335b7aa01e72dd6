"""Standard output of any encoding, or one that cannot be written: never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox import Sandbox

if TYPE_CHECKING:
    from tests.cli.conftest import CommandLine

VALUES = ("Zürich €", "ключ", "\N{GRINNING FACE}", "line\u2028end", "plain")
GROUP = "группа\N{GRINNING FACE}"
COMMANDS = (
    ("consume", "t"),
    ("consume", "t", "--json"),
    ("export", "t"),
    ("groups", "list"),
    ("groups", "list", "--json"),
    ("groups", "describe", GROUP),
    ("groups", "describe", GROUP, "--json"),
    ("groups", "reset", GROUP, "--to", "earliest", "--dry-run"),
    ("topics", "describe", "t"),
    ("sql", "SELECT key, value FROM t"),
    ("sql", "SELECT key, value FROM t", "--format", "csv"),
    ("sql", "SELECT key, value FROM t", "--format", "json"),
    ("generate", "t", "--value", "\N{GRINNING FACE} {{seq}}", "--count", "2", "--dry-run"),
    ("snapshots", "list"),
    ("check",),
    ("--help",),
    ("consume", "ж"),
)


def _fill(folder: Path) -> None:
    with Sandbox(folder / "dev.db") as opened:
        opened.create_topic("t", partitions=1)
        for value in VALUES:
            opened.append("t", value, key=value, headers={"имя": value})
        opened.commit(GROUP, "t", 0, 1)
        opened.snapshots.take("one", note="снимок")


def _raw(command_line: "CommandLine", *arguments: str, out: int, **environment: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=command_line.folder,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
        env=command_line.environment(**environment),
    )


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii", "utf-8"])
def test_no_text_ends_a_command_in_a_traceback(command_line: "CommandLine", encoding: str) -> None:
    _fill(command_line.folder)
    for command in COMMANDS:
        process = _raw(command_line, *command, out=subprocess.PIPE, PYTHONIOENCODING=encoding)
        out, err = process.communicate(timeout=60)
        assert b"Traceback" not in err, command
        assert process.returncode == (1 if command[-1] == "ж" else 0), command
        out.decode("utf-8" if command[0] == "export" or encoding == "ascii" else encoding)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii", "utf-8"])
def test_json_is_exact_in_every_encoding(command_line: "CommandLine", encoding: str) -> None:
    _fill(command_line.folder)
    for command in (("consume", "t", "--json"), ("export", "t"), ("sql", "SELECT value FROM t", "--format", "json")):
        process = _raw(command_line, *command, out=subprocess.PIPE, PYTHONIOENCODING=encoding)
        out, _ = process.communicate(timeout=60)
        rows = [json.loads(line) for line in out.splitlines()]
        assert [row["value"] for row in rows] == list(VALUES)


def test_an_exported_file_is_utf_8_whatever_the_terminal(command_line: "CommandLine") -> None:
    _fill(command_line.folder)
    command_line.run("export", "t", "-o", "x.jsonl", PYTHONIOENCODING="cp1252")
    lines = (command_line.folder / "x.jsonl").read_text("utf-8").split("\n")
    assert [json.loads(line)["value"] for line in lines if line] == list(VALUES)
    assert "ключ" in lines[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "command",
    [
        ("consume", "t"),
        ("consume", "t", "--json"),
        ("export", "t"),
        ("export", "t", "-o", "/dev/full"),
        ("topics", "list"),
        ("sql", "SELECT value FROM t", "--format", "csv"),
        ("produce", "t", "--value", "v"),
        ("--help",),
        ("--version",),
        ("consume", "--help"),
    ],
)
def test_output_that_cannot_be_written_is_an_error(command_line: "CommandLine", command: tuple[str, ...]) -> None:
    _fill(command_line.folder)
    with open("/dev/full", "wb") as full:
        process = _raw(command_line, *command, out=full.fileno())
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == b"Error: The output cannot be written: No space left on device\n"


@pytest.mark.parametrize("command", [("consume", "t"), ("export", "t"), ("sql", "SELECT value FROM t")])
def test_a_reader_that_leaves_ends_a_command_without_a_word(
    command_line: "CommandLine", command: tuple[str, ...]
) -> None:
    with Sandbox(command_line.folder / "dev.db") as opened:
        for _ in range(300):
            opened.append("t", "x" * 2000)
    read, write = os.pipe()
    process = _raw(command_line, *command, out=write)
    os.close(write)
    os.read(read, 10)
    os.close(read)
    _, err = process.communicate(timeout=60)
    assert err == b""


@pytest.mark.parametrize("command", [("topics", "list"), ("consume", "t"), ("export", "t"), ("produce", "t")])
@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_standard_stream_is_no_traceback(
    command_line: "CommandLine", command: tuple[str, ...], closed: int
) -> None:
    _fill(command_line.folder)
    script = f'exec "$0" -m sandbox "$@" {closed}>&-'
    found = subprocess.run(
        ["sh", "-c", script, sys.executable, *command],
        cwd=command_line.folder,
        input=b"",
        capture_output=True,
        env=command_line.environment(),
        timeout=60,
    )
    assert (found.returncode, found.stderr) == (0, b"")
