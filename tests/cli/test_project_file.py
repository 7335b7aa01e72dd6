"""`sandbox.toml`: what `sandbox up` does in a project's folder."""

import json

import pytest

from tests.cli.conftest import CommandLine

PROJECT = """
file = "shop.db"
brokers = 2
read-only = false
seed = "orders.jsonl"

[settings]
"num.partitions" = 4
"auto.create.topics.enable" = false

[topics]
orders = 3

[topics.users]
partitions = 1
settings = { "cleanup.policy" = "compact" }
"""


@pytest.fixture
def project(command_line: CommandLine) -> CommandLine:
    (command_line.folder / "sandbox.toml").write_text(PROJECT)
    events = [{"topic": "orders", "key": "a", "value": f"{number}"} for number in range(5)]
    (command_line.folder / "orders.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return command_line


def test_up_in_a_project_has_its_file_topics_settings_and_events(project: CommandLine) -> None:
    process, said = project.up()
    assert (said["file"], len(said["brokers"])) == (str(project.folder / "shop.db"), 2)
    assert said["settings"] == {"num.partitions": "4", "auto.create.topics.enable": "false"}
    topics = {row["topic"]: row for row in project.ok("topics", "list", "--json").rows}
    assert {name: (row["partitions"], row["offsets"]) for name, row in topics.items()} == {
        "orders": (3, 5),
        "users": (1, 0),
    }
    project.ok("topics", "delete", "users", "--yes")
    process.terminate()
    assert process.wait(30) == 0
    project.up()
    # The topics that are missing are created again; the events are not loaded twice.
    topics = {row["topic"]: row for row in project.ok("topics", "list", "--json").rows}
    assert {name: row["offsets"] for name, row in topics.items()} == {"orders": 5, "users": 0}


def test_options_and_variables_win(project: CommandLine) -> None:
    _, said = project.up("--brokers", 1, "-c", "num.partitions=7")
    assert (len(said["brokers"]), said["settings"]) == (
        1,
        {"num.partitions": "7", "auto.create.topics.enable": "false"},
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("kafka-prt = 1", "sandbox.toml: there is no option kafka-prt. Did you mean kafka-port?"),
        ("kafka-port = 'many'", "sandbox.toml: kafka-port: 'many' is not a valid integer range"),
        ("demo = 1", "sandbox.toml: demo is true or false."),
        ("listener = 'SSL'", "sandbox.toml: listener is a list"),
        ("topics = 3", "sandbox.toml: topics is a table"),
        ("[topics.a]\npartition = 3", "sandbox.toml: topic a: partition is not known"),
        ("[topics.a]\npartitions = 'x'", "sandbox.toml: topics.a.partitions is a number."),
        ("[topics.a]\npartitions = true", "sandbox.toml: topics.a.partitions is a number."),
        ("[topics.a]\nreplication_factor = 1.5", "sandbox.toml: topics.a.replication_factor is a number."),
        ("[topics.a]\nsettings = 3", "sandbox.toml: topics.a.settings is a table of topic settings."),
        ("[settings]\n'num.partition' = 4", "num.partition"),
        ("seed = 'nothing.jsonl'", "sandbox.toml: [Errno 2] No such file or directory: 'nothing.jsonl'"),
        ("a = ", "sandbox.toml cannot be read: Invalid value"),
    ],
)
def test_what_is_wrong_is_named(command_line: CommandLine, text: str, reason: str) -> None:
    (command_line.folder / "sandbox.toml").write_text(text)
    result = command_line.run("up", "--ui-port", 0, *(() if "kafka-port" in text else ("--kafka-port", 0)))
    assert (result.status, reason in " ".join(result.err.split())) == (2, True), result.err
    assert not (command_line.folder / "dev.db").exists()


def test_a_corrected_seed_is_loaded_by_the_next_start(project: CommandLine) -> None:
    seed = project.folder / "orders.jsonl"
    correct = seed.read_text()
    seed.write_text(correct + "no event\n")
    result = project.run("up", "--kafka-port", 0, "--ui-port", 0)
    assert (result.status, "orders.jsonl, line 6: not JSON" in result.err) == (2, True), result.err
    assert not (project.folder / "shop.db").exists()
    seed.write_text(correct)
    project.up()
    topics = {row["topic"]: row["offsets"] for row in project.ok("topics", "list", "--json").rows}
    assert topics == {"orders": 5, "users": 0}
