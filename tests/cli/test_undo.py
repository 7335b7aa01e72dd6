"""Commands that destroy data take an automatic snapshot first, of a file at rest and of a running sandbox."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox import Sandbox
from sandbox.snapshots.folder import SnapshotFolder

if TYPE_CHECKING:
    from tests.cli.conftest import CommandLine

COMMANDS = {
    ("topics", "delete", "orders"): "delete topic orders",
    ("topics", "empty", "orders"): "empty orders",
    ("topics", "delete-records", "orders", "--before", "2"): "delete records of orders",
    ("groups", "reset", "billing", "--to", "latest"): "reset group billing",
}


def fill(file: Path) -> None:
    with Sandbox(file) as box:
        box.create_topic("orders")
        for number in range(4):
            box.append("orders", str(number))
        box.commit("billing", "orders", 0, 1)


def assert_filled(file: Path) -> None:
    with Sandbox(file) as box:
        assert (box.start_offsets("orders"), box.end_offsets("orders")) == ({0: 0}, {0: 4})
        assert [lag.committed for lag in box.lag("billing")] == [1]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_destroyed_is_restored_by_the_command_that_it_shows(
    command_line: "CommandLine", command: tuple[str, ...]
) -> None:
    file = command_line.folder / "dev.db"
    fill(file)
    undo = command_line.ok(*command, "--yes").out.splitlines()[-1]
    (taken,) = SnapshotFolder(file).list()
    assert (taken.kind, taken.action) == ("automatic", COMMANDS[command])
    program, *arguments = shlex.split(undo.removeprefix("Undo with: "))
    assert program == "sandbox"
    command_line.ok(*arguments)
    assert_filled(file)


def test_a_running_sandbox_s_state_is_kept_and_json_names_the_snapshot(command_line: "CommandLine") -> None:
    file = command_line.folder / "dev.db"
    fill(file)
    command_line.up()
    (deleted,) = command_line.ok("topics", "delete", "orders", "--yes", "--json").rows
    (taken,) = SnapshotFolder(file).list()
    assert deleted == {"topic": "orders", "deleted": True, "undo": taken.name}
    assert taken.events == 4
    command_line.ok("snapshots", "restore", taken.name)
    assert command_line.ok("topics", "list", "--json").rows[0]["events"] == 4


def test_a_cluster_has_no_snapshots(command_line: "CommandLine") -> None:
    fill(command_line.folder / "dev.db")
    _, said = command_line.up()
    deleted = command_line.ok("topics", "delete", "orders", "--yes", "--json", "--bootstrap", said["kafka"]).rows
    assert deleted == [{"topic": "orders", "deleted": True}]


def test_compaction_of_a_file_without_an_owner_can_be_undone(command_line: "CommandLine") -> None:
    file = command_line.folder / "dev.db"
    with Sandbox(file) as box:
        box.create_topic("users", settings={"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "1"})
        for number in range(5):
            box.append("users", str(number), key="k")
    command_line.ok("topics", "compact", "users", "--yes")
    command_line.ok("topics", "compact", "users", "--yes")
    assert [one.action for one in SnapshotFolder(file).list()] == ["compact users"]
