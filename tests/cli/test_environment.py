"""Options from environment variables."""

import click

from sandbox.cli.main import COMMANDS, main
from tests.cli.conftest import CommandLine


def options(command: click.Command) -> list[click.Option]:
    inner = list(command.commands.values()) if isinstance(command, click.Group) else []
    own = [one for one in command.params if isinstance(one, click.Option)]
    return own + [found for one in inner for found in options(one)]


def test_each_option_has_a_variable_of_its_own() -> None:
    context = click.Context(main)
    assert isinstance(main, click.Group)
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        for option in options(command):
            assert isinstance(option.envvar, str), (name, option.opts)
            assert option.envvar.startswith(("SANDBOX_", "KAFKA_")), (name, option.opts)


def test_a_variable_gives_an_option_and_the_command_line_wins(command_line: CommandLine) -> None:
    command_line.ok("topics", "create", "seven", SANDBOX_TOPICS_CREATE_PARTITIONS="7")
    command_line.ok("topics", "create", "two", "--partitions", 2, SANDBOX_TOPICS_CREATE_PARTITIONS="7")
    found = {row["topic"]: row["partitions"] for row in command_line.ok("topics", "list", "--json").rows}
    assert found == {"seven": 7, "two": 2}


def test_a_wrong_variable_is_refused(command_line: CommandLine) -> None:
    result = command_line.run("up", SANDBOX_UP_KAFKA_PORT="many")
    assert (result.status, "'many' is not a valid integer range" in result.err) == (2, True)
