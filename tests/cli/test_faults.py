"""`sandbox faults`: what is injected from one process hits the clients of another."""

from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaError, Producer

if TYPE_CHECKING:
    from tests.cli.conftest import CommandLine

WAIT_S = 30.0


@pytest.fixture
def running(command_line: "CommandLine") -> dict[str, Any]:
    """A running sandbox on dev.db, with a topic."""
    _, said = command_line.up()
    command_line.ok("topics", "create", "orders", "--partitions", 1, "--bootstrap", said["kafka"])
    return said


def outcome(kafka: str) -> int | None:
    """The code of the error with which one event is refused, None if it is stored."""
    codes: list[int | None] = []
    producer = Producer({"bootstrap.servers": kafka, "log_level": 0, "client.id": "shop"})
    producer.produce("orders", b"x", on_delivery=lambda error, _: codes.append(error.code() if error else None))
    assert producer.flush(WAIT_S) == 0
    return codes[0]


def test_an_injected_error_is_seen_by_a_client_so_often_and_counted(
    command_line: "CommandLine", running: dict[str, Any]
) -> None:
    arguments = ("Produce", "--topic", "orders", "--client-id", "shop", "--error", "INVALID_RECORD", "--times", 1)
    (fault,) = command_line.ok("faults", "inject", *arguments, "--json").rows
    assert (fault["id"], fault["hits"], fault["times"]) == (1, 0, 1)
    assert [outcome(running["kafka"]) for _ in range(2)] == [KafkaError.INVALID_RECORD, None]
    (listed,) = command_line.ok("faults", "list", "--json").rows
    assert (listed["hits"], listed["used_up"]) == (1, True)
    table = command_line.ok("faults", "list").out.splitlines()
    assert table[1].split()[:4] == ["1", "1", "used", "up"]
    assert "INVALID_RECORD" in table[1]


def test_every_option_reaches_the_fault(command_line: "CommandLine", running: dict[str, Any]) -> None:
    arguments = ("--broker", 1, "--latency-ms", 5, "--drop", "--throttle-ms", 7, "--probability", 0.25)
    (fault,) = command_line.ok("faults", "inject", *arguments, "--web", running["web"], "--json").rows
    wanted = {"api": None, "broker": 1, "latency_ms": 5, "drop": True, "throttle_ms": 7, "probability": 0.25}
    assert {name: fault[name] for name in wanted} == wanted


def test_a_slow_end_of_transactions_is_injected_for_endtxn_alone(
    command_line: "CommandLine", running: dict[str, Any]
) -> None:
    (fault,) = command_line.ok("faults", "inject", "EndTxn", "--transaction-end-ms", 500, "--json").rows
    assert (fault["transaction_end_ms"], fault["text"]) == (500, "EndTxn: transaction ends 500 ms later")
    refused = command_line.run("faults", "inject", "Produce", "--transaction-end-ms", 500)
    assert (refused.status, refused.err) == (1, "Error: INVALID_REQUEST: transaction_end_ms needs the API EndTxn.\n")


def test_faults_are_removed_one_by_one_and_all_at_once(command_line: "CommandLine", running: dict[str, Any]) -> None:
    for _ in range(3):
        command_line.ok("faults", "inject", "Fetch", "--latency-ms", 1)
    assert command_line.ok("faults", "remove", 2).out == "Removed fault 2.\n"
    assert [row["id"] for row in command_line.ok("faults", "list", "--json").rows] == [1, 3]
    missing = command_line.run("faults", "remove", 2)
    assert (missing.status, missing.err) == (1, "Error: RESOURCE_NOT_FOUND: There is no fault 2.\n")
    assert command_line.ok("faults", "clear").out == "Removed 2 faults.\n"
    empty = command_line.run("faults", "list")
    assert (empty.status, empty.out, empty.err) == (0, "", "Nothing is injected.\n")


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (("Produce",), 1, "Say what shall happen"),
        (("Prodce", "--drop"), 1, "There is no API 'Prodce'"),
        (("--error", "NO_SUCH"), 1, "not one of Kafka's errors"),
        (("--drop", "--probability", "2"), 1, "probability is above 0"),
        (("--drop", "--times", "0"), 2, "--times"),
        (("--broker", "0", "--drop", "--error", "INVALID_RECORD"), 1, "choose error or drop"),
    ],
)
def test_a_fault_that_could_not_be_is_refused_with_the_reason(
    command_line: "CommandLine", running: dict[str, Any], arguments: tuple[str, ...], status: int, reason: str
) -> None:
    result = command_line.run("faults", "inject", *arguments)
    assert (result.status, reason in result.err) == (status, True), result.err
