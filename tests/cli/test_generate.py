"""`sandbox generate`: made-up events, from templates that come with it, that were saved, and that are files."""

import json
import signal
from typing import TYPE_CHECKING

import pytest

from sandbox import Sandbox
from sandbox.generator.examples import EXAMPLES
from sandbox.generator.template import EventTemplate

if TYPE_CHECKING:
    from tests.cli.conftest import CommandLine


def test_the_events_of_a_seed_are_stored_in_a_file(command_line: "CommandLine") -> None:
    said = command_line.ok("generate", "orders", "-t", "sensors", "--rate", 0, "--count", 60, "--seed", 7, "-f", "a.db")
    assert said.out.startswith("60 events stored (orders-0: ")
    assert said.out.endswith("events/s, seed 7.\n")
    with Sandbox(command_line.folder / "a.db") as sandbox:
        assert sorted(event.key or b"" for event in sandbox.read("orders", limit=100)) == sorted(
            event.key or b"" for event in EXAMPLES["sensors"].events(7, 60)
        )
        for event in sandbox.read("orders", limit=100):
            assert event.partition == sandbox.partition_for("orders", event.key)


def test_the_rate_is_kept_against_a_running_sandbox(command_line: "CommandLine") -> None:
    _, said = command_line.up()
    (told,) = command_line.ok(
        "generate", "clicks", "-t", "clicks", "--rate", 100, "--count", 50, "--json", "--bootstrap", said["kafka"]
    ).rows
    assert told["events"] == 50
    assert 20 < told["rate"] <= 103


def test_a_template_on_the_command_line_is_shown_without_sending(command_line: "CommandLine") -> None:
    options = ("--key", "u-{{pool}}", "--value", '{"n": {{seq}}}', "--header", "h={{same x}}", "--keys", 1)
    refused = command_line.run("generate", "t", *options, "--dry-run")
    assert refused.status == 1
    assert "header h, line 1, column 1: {{same x}}: no earlier placeholder has that name" in refused.err
    shown = command_line.ok("generate", "t", *options[:4], "--header", "h={{key}}", "--keys", 1, "--dry-run", "-n", 2)
    assert shown.rows == [
        {"key": "u-1", "value": '{"n": 1}', "headers": [["h", "u-1"]]},
        {"key": "u-1", "value": '{"n": 2}', "headers": [["h", "u-1"]]},
    ]
    assert not (command_line.folder / "dev.db").exists()


def test_what_a_dry_run_writes_can_be_produced(command_line: "CommandLine") -> None:
    lines = command_line.ok("generate", "t", "-t", "changes", "--dry-run", "-n", 40, "--seed", 2).out.encode()
    assert command_line.ok("produce", "changes", "--jsonl", stdin=lines).out.startswith("40 events stored")
    rows = command_line.ok("consume", "changes", "--json").rows
    assert sorted(row["value"] is None for row in rows) == sorted(
        json.loads(one)["value"] is None for one in lines.splitlines()
    )


def test_a_template_comes_from_a_file_or_from_what_was_saved(command_line: "CommandLine") -> None:
    (command_line.folder / "dice.json").write_text('{"value": "{{int 7 7}}"}', encoding="utf-8")
    (row,) = command_line.ok("generate", "t", "-t", "dice.json", "--dry-run", "-n", 1).rows
    assert row["value"] == "7"
    with Sandbox(command_line.folder / "dev.db") as sandbox:
        sandbox.generators.save("my dice", EventTemplate("{{int 8 8}}"))
    (row,) = command_line.ok("generate", "t", "-t", "my dice", "--dry-run", "-n", 1).rows
    assert row["value"] == "8"


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ((), 2, "name a --template"),
        (("-t", "nope"), 1, "There is no template 'nope': they are orders, clicks"),
        (("-t", "nope.json"), 1, "nope.json cannot be read"),
        (("-v", "{{nme}}"), 1, "did you mean name?"),
        (("-v", "x", "--skew", "9"), 2, "skew"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(
    command_line: "CommandLine", options: tuple[str, ...], status: int, said: str
) -> None:
    result = command_line.run("generate", "t", *options)
    assert result.status == status
    assert said in result.err
    assert not (command_line.folder / "dev.db").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_an_account_of_what_was_stored(
    command_line: "CommandLine", number: signal.Signals
) -> None:
    _, said = command_line.up()
    command_line.ok("topics", "create", "orders", "--bootstrap", said["kafka"])
    process = command_line.start("generate", "orders", "-t", "orders", "--rate", 200, "--bootstrap", said["kafka"])
    watching = command_line.start("consume", "orders", "--max", 5, "--follow", "--bootstrap", said["kafka"])
    assert len(watching.communicate(timeout=60)[0].splitlines()) == 5
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert int(out.split()[0]) >= 5
