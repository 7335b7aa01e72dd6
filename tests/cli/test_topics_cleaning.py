"""`sandbox topics`: delete records, empty, compact, apply retention, on a file and on a running sandbox."""

from typing import TYPE_CHECKING

from sandbox import Sandbox

if TYPE_CHECKING:
    from tests.cli.conftest import CommandLine

OLD_MS = 1_600_000_000_000
LAZY = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "1"}
"""Compacted, but never by itself."""


def fill(command_line: "CommandLine") -> None:
    with Sandbox(command_line.folder / "dev.db") as box:
        box.create_topic("orders", partitions=2, settings={"retention.ms": "-1"})
        for n in range(6):
            box.append("orders", "x", key="k", partition=n % 2, timestamp_ms=OLD_MS + n)
        box.create_topic("users", partitions=1, settings=LAZY)
        for n in range(5):
            box.append("users", str(n), key="k")


def starts(command_line: "CommandLine", topic: str) -> dict[int, int]:
    with Sandbox(command_line.folder / "dev.db") as box:
        return box.start_offsets(topic)


def test_records_are_deleted_below_an_offset_a_time_or_all(command_line: "CommandLine") -> None:
    fill(command_line)
    asked = command_line.run("topics", "delete-records", "orders", "--before", 1, "--partition", 0, stdin=b"n\n")
    assert asked.status == 1
    assert "Delete 1 event of orders?" in asked.out
    assert starts(command_line, "orders") == {0: 0, 1: 0}
    done = command_line.ok("topics", "delete-records", "orders", "--before", f"@{OLD_MS + 3}", "-y")
    assert done.out.startswith("Deleted 3 events of orders.\nUndo with: sandbox snapshots restore auto-")
    assert starts(command_line, "orders") == {0: 2, 1: 1}
    rows = command_line.ok("topics", "empty", "orders", "--yes", "--json").rows
    assert [(row["partition"], row["after"], row["events"]) for row in rows] == [(0, 3, 1), (1, 3, 2)]
    nothing = command_line.run("topics", "delete-records", "orders", "--all", "-y")
    assert (nothing.status, nothing.err) == (0, "There is nothing to delete in orders.\n")


def test_what_makes_no_sense_is_refused(command_line: "CommandLine") -> None:
    fill(command_line)
    assert command_line.run("topics", "delete-records", "orders", "--all", "--before", "1").status == 2
    result = command_line.run("topics", "delete-records", "orders", "--all", "-p", "7", "-y")
    assert (result.status, "no partition 7" in result.err) == (1, True)
    result = command_line.run("topics", "compact", "orders", "-y")
    assert (result.status, "cleanup.policy" in result.err) == (1, True)
    assert command_line.run("topics", "compact", "orders", "-f", "typo.db", "-y").status == 5


def test_a_file_is_compacted_and_cut_though_nobody_owns_it(command_line: "CommandLine") -> None:
    fill(command_line)
    assert command_line.ok("topics", "compact", "users", "--yes").out == "Compacted users: 4 events went.\n"
    with Sandbox(command_line.folder / "dev.db") as box:
        # The first turn looks at retention by itself, and then not for five minutes.
        box.set_setting("turn", "on")
        box.alter_topic("orders", {"retention.ms": "3600000"})
    rows = command_line.ok("topics", "apply-retention", "orders", "--json", "-y").rows
    assert rows == [{"topic": "orders", "events": 6}]
    assert starts(command_line, "orders") == {0: 3, 1: 3}


def test_a_running_sandbox_is_asked_through_its_page(command_line: "CommandLine") -> None:
    fill(command_line)
    command_line.up()
    asked = command_line.run("topics", "compact", "users", stdin=b"y\n")
    assert asked.out.endswith("Compacted users: 4 events went.\n")
    assert command_line.ok("topics", "apply-retention", "-y").out == "Nothing is too old or too much.\n"
    assert command_line.ok("topics", "empty", "orders", "-y").out.startswith("Deleted 6 events of orders.\nUndo with")
