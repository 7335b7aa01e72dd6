"""`sandbox doctor` and `sandbox completion`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine


def statuses(command_line: CommandLine, *arguments: object) -> dict[str, str]:
    rows = command_line.run("doctor", *arguments, "--json").rows
    return {row["subject"]: row["status"] for row in rows}


def test_a_running_sandbox_is_looked_at_as_its_clients_see_it(command_line: CommandLine) -> None:
    command_line.up("--brokers", 2)
    found = statuses(command_line)
    assert {found[one] for one in ("versions", "owner", "Kafka port", "page", "registry")} == {"ok"}
    assert (found["broker 1"], found["broker 2"]) == ("ok", "ok")
    command_line.ok("brokers", "stop", 1)
    command_line.ok("brokers", "stop", 2)
    stopped = command_line.run("doctor")
    assert stopped.status == 1
    assert "sandbox brokers start 1" in stopped.out


def test_a_file_that_rests_or_is_none(command_line: CommandLine) -> None:
    found = statuses(command_line)
    assert found["file"] == "ok"
    assert {"Kafka port", "page's port", "registry's port"} <= set(found)
    assert not (command_line.folder / "dev.db").exists()
    command_line.ok("produce", "orders", "-v", "a")
    assert statuses(command_line)["file"] == "ok"
    (command_line.folder / "notes.txt").write_text("nothing to see here" * 100)
    assert statuses(command_line, "notes.txt")["file"] == "error"
    assert statuses(command_line, "nowhere/dev.db")["disk"] == "error"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_that_shell(command_line: CommandLine, shell: str) -> None:
    script = command_line.ok("completion", shell).out
    assert "_SANDBOX_COMPLETE" in script
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, timeout=30)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_the_shell_gets_commands_and_options() -> None:
    command = [str(Path(sys.executable).parent / "sandbox")]
    for words, wanted in (("sandbox top", "topics"), ("sandbox up --kafka", "--kafka-port")):
        variables = {"_SANDBOX_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=30)
        assert f"plain,{wanted}" in done.stdout.splitlines()
