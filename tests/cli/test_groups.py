"""`sandbox groups`: lag, and committed offsets outside their log."""

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from tests.cli.conftest import CommandLine


def test_a_commit_outside_the_log_is_named(command_line: CommandLine) -> None:
    with Sandbox(command_line.folder / "dev.db") as box:
        box.create_topic("orders", partitions=1)
        box.append_many("orders", [NewEvent(b"x")] * 10)
        box.delete_records("orders", {0: 7})
        box.commit("over", "orders", 0, 500)
        box.commit("under", "orders", 0, 2)
    over, under = command_line.ok("groups", "list", "--json").rows
    assert (over["lag"], under["lag"]) == (3, 3)
    assert "over: 1 partition is out of range" in command_line.ok("groups", "list").out
    (line,) = command_line.ok("groups", "describe", "under", "--json").rows[0]["partitions"]
    assert (line["start"], line["lag"], line["out_of_range"], line["deleted_unread"]) == (7, 3, "below start", 5)
    said = command_line.ok("groups", "describe", "over").out
    assert "orders 0 is out of range: committed 500, log ends at 10: the next poll resets" in said
