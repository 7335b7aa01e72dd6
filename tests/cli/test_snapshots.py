"""`sandbox snapshots`, on a file without an owner, and on one in use."""

from typing import TYPE_CHECKING

import pytest

from sandbox import Sandbox

if TYPE_CHECKING:
    from tests.cli.conftest import CommandLine


def test_a_file_that_nobody_owns(command_line: "CommandLine") -> None:
    path = command_line.folder / "dev.db"
    with Sandbox(path) as box:
        for number in range(5):
            box.append("orders", str(number))
        box.commit("billing", "orders", 0, 2)
    assert command_line.ok("snapshots", "take", "a b", "--note", "why", "--json").rows[0]["events"] == 5
    with Sandbox(path) as box:
        box.append("orders", "x")
        box.commit("billing", "orders", 0, 6)
    (compared,) = command_line.ok("snapshots", "compare", "a b", "--json").rows
    assert [(one["left"], one["right"]) for one in compared["offsets"]] == [(2, 6)]
    assert "0-5" in command_line.ok("snapshots", "compare", "a b", "now").out
    assert command_line.ok("snapshots", "restore", "a b", "--dry-run", "--json").rows[0]["events_lost"] == {"orders": 1}
    restored = command_line.ok("snapshots", "restore", "a b", "--json").rows[0]
    with Sandbox(path) as box:
        assert (box.topic("orders").events, box.lag("billing")[0].committed) == (5, 2)
    command_line.ok("snapshots", "restore", restored["undo"])
    with Sandbox(path) as box:
        assert box.topic("orders").events == 6
    command_line.ok("snapshots", "export", "a b", "copy.db")
    command_line.ok("snapshots", "import", "copy.db", "--name", "again")
    names = [row["name"] for row in command_line.ok("snapshots", "list", "--json").rows]
    assert {"a b", "again"} <= set(names)
    assert "before: restore a b" in command_line.ok("snapshots", "list").out
    command_line.ok("snapshots", "delete", "again")
    (forked,) = command_line.ok("snapshots", "fork", "a b", "--json").rows
    with Sandbox(forked["file"]) as fork:
        assert fork.topic("orders").events == 5


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("restore", "none"), 1, "There is no snapshot 'none'"),
        (("take", "../x"), 1, "cannot be the name of a snapshot"),
        (("import", "text.db"), 5, "not an SQLite database"),
        (("list", "--file", "none.db"), 5, "does not exist"),
    ],
)
def test_what_cannot_be_is_said(
    command_line: "CommandLine", arguments: tuple[str, ...], status: int, said: str
) -> None:
    with Sandbox(command_line.folder / "dev.db"):
        pass
    (command_line.folder / "text.db").write_text("hello " * 100)
    result = command_line.run("snapshots", *arguments)
    assert (result.status, said in result.err) == (status, True), result.err


def test_a_file_at_work(command_line: "CommandLine") -> None:
    path = command_line.folder / "dev.db"
    with Sandbox(path) as box:
        box.append("orders", "1")
    process, _ = command_line.up(path)
    assert command_line.ok("snapshots", "take", "s", "--json").rows[0]["events"] == 1
    command_line.ok("topics", "delete", "orders", "--yes")
    assert command_line.ok("snapshots", "compare", "s", "--json").rows[0]["topics_left"] == ["orders"]
    command_line.ok("snapshots", "restore", "s")
    (forked,) = command_line.ok("snapshots", "fork", "s", "--json").rows
    assert forked["web"].startswith("http://127.0.0.1:")
    process.terminate()
    process.wait(15)
    with Sandbox(path) as box:
        assert box.topic("orders").events == 1
    with Sandbox(forked["file"]) as fork:
        assert fork.topic("orders").events == 1


def test_an_owner_without_a_page_is_named(command_line: "CommandLine") -> None:
    with Sandbox(command_line.folder / "dev.db") as box:
        box.snapshots.take("s")
        result = command_line.run("snapshots", "restore", "s")
        assert (result.status, "sandbox.snapshots.restore" in result.err) == (3, True), result.err
        assert command_line.ok("snapshots", "take", "t").out.startswith("Took t")
