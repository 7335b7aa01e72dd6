"""`sandbox up --brokers` and `sandbox brokers`, on a running sandbox."""

import socket
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.admin import AdminClient

from sandbox import Sandbox
from tests.ports import free_port

if TYPE_CHECKING:
    from tests.cli.conftest import CommandLine


@pytest.fixture
def three(command_line: "CommandLine") -> dict[str, Any]:
    """Three running brokers on dev.db, with a topic of six partitions and three replicas."""
    _, said = command_line.up("--brokers", 3)
    command_line.ok(
        "topics", "create", "orders", "--partitions", 6, "--replication-factor", 3, "--bootstrap", said["kafka"]
    )
    return said


def leads(command_line: "CommandLine") -> dict[int, int]:
    return {row["broker"]: row["leader_count"] for row in command_line.ok("brokers", "list", "--json").rows}


def test_up_plays_as_many_brokers_as_it_is_told_each_on_its_port(
    command_line: "CommandLine", three: dict[str, Any]
) -> None:
    found = AdminClient({"bootstrap.servers": three["brokers"]["3"]}).list_topics(timeout=10)
    assert {str(one.id): f"{one.host}:{one.port}" for one in found.brokers.values()} == three["brokers"]
    assert three["brokers"]["1"] == three["kafka"]
    assert leads(command_line) == {1: 2, 2: 2, 3: 2}


def test_the_ports_follow_the_kafka_port(command_line: "CommandLine") -> None:
    port = free_port(2)
    _, said = command_line.up("--brokers", 2, "--kafka-port", port)
    assert said["brokers"] == {"1": f"127.0.0.1:{port}", "2": f"127.0.0.1:{port + 1}"}


@pytest.mark.parametrize("arguments", [("--brokers", 0), ("--brokers", 10), ("--brokers", 3, "--kafka-port", 65534)])
def test_a_number_of_brokers_that_cannot_be_is_refused(
    command_line: "CommandLine", arguments: tuple[object, ...]
) -> None:
    assert command_line.run("up", "--ui-port", 0, *arguments).status == 2
    assert not (command_line.folder / "dev.db").exists()


def test_a_port_of_a_later_broker_that_is_taken_is_named(command_line: "CommandLine") -> None:
    port = free_port(2)
    with socket.create_server(("127.0.0.1", port + 1)):
        result = command_line.run("up", "--kafka-port", port, "--brokers", 2, "--ui-port", 0)
    assert result.status == 4
    assert "--kafka-port 0" in result.err


def test_a_broker_is_stopped_its_leaders_move_and_it_is_started_again(
    command_line: "CommandLine", three: dict[str, Any]
) -> None:
    stopped = command_line.ok("brokers", "stop", 2).out
    assert stopped.startswith("Broker 2 is down, 2 partitions got another leader.")
    assert leads(command_line)[2] == 0
    host, _, port = three["brokers"]["2"].rpartition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), 5)
    again = command_line.run("brokers", "stop", 2)
    assert (again.status, again.err) == (1, "Error: BROKER_NOT_AVAILABLE: Broker 2 is down already.\n")
    assert command_line.ok("brokers", "start", 2, "--json").rows == [{"moves": []}]
    socket.create_connection((host, int(port)), 5).close()
    assert command_line.ok("brokers", "prefer").out == "2 partitions went back to the preferred leader.\n"
    assert leads(command_line) == {1: 2, 2: 2, 3: 2}


def test_a_file_whose_brokers_are_stopped_says_how_to_start_one(
    command_line: "CommandLine", three: dict[str, Any]
) -> None:
    for broker in (1, 2, 3):
        command_line.ok("brokers", "stop", broker)
    refused = command_line.run("produce", "orders", "-v", "a")
    assert refused.status != 0
    assert "If its brokers are stopped, start one: sandbox brokers start 1." in refused.err
    # Broker 3 was the last in sync, so it may lead.
    table = [line.split() for line in command_line.ok("brokers", "start", 3).out.splitlines()]
    assert [line[2:] for line in table if line[:1] == ["orders"]] == [["none", "3"]] * 6


def test_a_leader_is_moved(command_line: "CommandLine", three: dict[str, Any]) -> None:
    topic = AdminClient({"bootstrap.servers": three["kafka"]}).list_topics("orders", timeout=10).topics["orders"]
    other = topic.partitions[0].leader % 3 + 1
    moved = command_line.ok("brokers", "move-leader", "orders", 0, other)
    assert moved.out == f"Broker {other} leads orders partition 0.\n"
    refused = command_line.run("brokers", "move-leader", "nothing", 0, 1)
    assert refused.status == 1
    assert "UNKNOWN_TOPIC_OR_PARTITION" in refused.err


def test_a_table_is_for_people(command_line: "CommandLine", three: dict[str, Any]) -> None:
    lines = command_line.ok("brokers", "list", "--web", three["web"]).out.splitlines()
    assert lines[0].split() == [
        "broker",
        "state",
        "address",
        "controller",
        "leader_count",
        "replica_count",
        "out_of_sync_count",
    ]
    assert lines[1].split() == ["1", "up", three["brokers"]["1"], "yes", "2", "6", "0"]


def test_where_no_sandbox_runs_the_way_out_is_told(command_line: "CommandLine") -> None:
    result = command_line.run("brokers", "list")
    assert result.status == 1
    assert "No sandbox runs on dev.db" in result.err
    assert "sandbox up dev.db" in result.err
    assert list(command_line.folder.iterdir()) == []


def test_a_sandbox_without_a_page_is_told_from_one_that_does_not_run(command_line: "CommandLine") -> None:
    with Sandbox(command_line.folder / "dev.db") as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        result = command_line.run("brokers", "list")
    assert result.status == 1
    assert "has no page open" in result.err


def test_an_address_that_nobody_answers_at_or_that_is_none_is_named(command_line: "CommandLine") -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    result = command_line.run("faults", "list", "--web", f"127.0.0.1:{port}")
    assert result.status == 1
    assert f"http://127.0.0.1:{port} does not answer" in result.err
    assert command_line.run("faults", "list", "--web", "ftp://here").status == 2
    assert command_line.run("faults", "list", "--web", "http://127.0.0.1:1", "--file", "dev.db").status == 2
