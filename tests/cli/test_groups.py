"""`sandbox groups`: lag, and committed offsets outside their log."""

import confluent_kafka

from sandbox.api.sandbox import Sandbox
from sandbox.broker.groups.share_group import ShareHeartbeat
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
    assert (line["log_start_offset"], line["lag"], line["out_of_range"], line["deleted_unread"]) == (
        7,
        3,
        "below start",
        5,
    )
    said = command_line.ok("groups", "describe", "over").out
    assert "orders 0 is out of range: committed 500, log ends at 10: the next poll resets" in said


def test_the_marker_of_a_transaction_is_lag_and_not_unread(command_line: CommandLine) -> None:
    with Sandbox(command_line.folder / "dev.db") as box:
        box.serve(kafka_port=0, web_port=None)
        box.create_topic("orders", partitions=1)
        producer = confluent_kafka.Producer({"bootstrap.servers": box.kafka_address, "transactional.id": "t"})
        producer.init_transactions(10)
        producer.begin_transaction()
        producer.produce("orders", "one")
        producer.commit_transaction(10)
        box.commit("app", "orders", 0, 1)
        assert "lag 1, 0 unread" in command_line.ok("groups", "describe", "app").out
        (line,) = command_line.ok("groups", "describe", "app", "--json").rows[0]["partitions"]
        assert (line["lag"], line["unread"]) == (1, 0)
        cluster = command_line.ok("groups", "describe", "app", "--json", "--bootstrap", box.kafka_address).rows[0]
        assert [(one["lag"], one["unread"]) for one in cluster["partitions"]] == [(1, None)]


def test_names_do_not_reach_the_terminal_as_control_characters(command_line: CommandLine) -> None:
    name, shown = "\x1b]0;title\x07\rgroup", r"\x1b]0;title\x07\rgroup"
    with Sandbox(command_line.folder / "dev.db") as box:
        box.create_topic("orders", partitions=1)
        box.commit(name, "orders", 0, 500)
    listed = command_line.ok("groups", "list").out
    assert f"{shown}: 1 partition is out of range. See: sandbox groups describe {shown}" in listed
    described = command_line.ok("groups", "describe", name).out
    assert described.startswith(f"{shown}: Empty")
    missing = command_line.run("groups", "describe", "\x1b[31mred")
    assert r"there is no group \x1b[31mred." in missing.err
    assert "\x1b" not in listed + described + missing.err


def test_a_share_group_is_listed_described_reset_and_deleted(command_line: CommandLine) -> None:
    path = command_line.folder / "dev.db"
    with Sandbox(path) as box:
        box.create_topic("jobs")
        for number in range(10):
            box.append("jobs", str(number))

        def share(now_ms: int) -> None:
            coordinator = box._runtime.coordinator
            joins = ShareHeartbeat("work", "m1", 0, client_id="worker", topics=("jobs",))
            coordinator.share_heartbeat(joins, now_ms)
            coordinator.shares.begin("work", box._runtime.broker.topic("jobs").partition(0), 4)
            coordinator.share_heartbeat(joins._replace(member_epoch=-1), now_ms)

        box._runtime.call(share)
    (listed,) = command_line.ok("groups", "list", "--json").rows
    assert (listed["group"], listed["type"], listed["state"], listed["members"], listed["lag"]) == (
        *("work", "share", "Empty"),
        *(0, 6),
    )
    described = command_line.ok("groups", "describe", "work").out
    assert described.startswith("work: share group, Empty, 0 members, lag 6\n")
    (row,) = command_line.ok("groups", "reset", "work", "--to", "earliest", "--yes", "--json").rows
    assert (row["before"], row["after"]) == (4, 0)
    assert command_line.ok("groups", "list", "--json").rows[0]["lag"] == 10
    assert command_line.ok("groups", "delete", "work", "--topic", "jobs", "--yes").out.startswith("Deleted the offsets")
    assert command_line.ok("groups", "describe", "work", "--json").rows[0]["partitions"] == []
    assert command_line.ok("groups", "delete", "work", "--yes").out.startswith("Deleted work.")
    assert "GROUP_ID_NOT_FOUND" in command_line.run("groups", "delete", "work", "--yes").err


def test_partitions_without_a_commit_are_counted_beside_the_lag(command_line: CommandLine) -> None:
    with Sandbox(command_line.folder / "dev.db") as box:
        box.create_topic("orders", partitions=3)
        box.append_many("orders", [NewEvent(b"x", partition=number % 3) for number in range(30)])
        box.commit("app", "orders", 0, 4)
    (row,) = command_line.ok("groups", "list", "--json").rows
    assert (row["lag"], row["uncommitted_lag"], row["uncommitted_partitions"]) == (6, 20, 2)
    assert "lag 6 + up to 20 (2 partitions without a commit)" in command_line.ok("groups", "describe", "app").out


def test_alerts_are_set_shown_and_removed_in_a_file_and_through_its_owner(command_line: CommandLine) -> None:
    with Sandbox(command_line.folder / "dev.db") as box:
        box.create_topic("orders", partitions=1)
        for n in range(5):
            box.append("orders", f"v{n}")
        box.commit("billing", "orders", 0, 1)
    assert command_line.run("groups", "alert").err == "No group has an alert.\n"
    out = command_line.ok("groups", "alert", "billing", "--lag", 3, "--age", "2h").out
    assert out.splitlines()[1].split() == ["billing", "3", "2", "h", "lag", "4", ">", "3"]
    with Sandbox(command_line.folder / "dev.db") as box:
        box.serve(kafka_port=0, web_port=0, registry_port=None)
        (found,) = command_line.ok("groups", "alert", "--webhook", "http://127.0.0.1:1/x", "--json").rows
        assert found["alerts"] == [{"group": "billing", "lag": 3, "age_ms": 7_200_000}]
        assert [one["text"] for one in found["firing"]] == ["lag 4 > 3"]
        assert found["webhook"] == "http://127.0.0.1:1/x"
        assert command_line.run("groups", "alert", "billing", "--off", "--no-webhook").status == 0
        assert box.alerts.list() == ()
        assert box.alerts.webhook is None
    for wrong in (("billing",), ("--lag", 1), ("billing", "--age", "soon"), ("billing", "--off", "--lag", 1)):
        assert command_line.run("groups", "alert", *wrong).status == 2
