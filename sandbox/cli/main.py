"""The command `sandbox`: a table of subcommands that are imported when they are used."""

import sys
from importlib import import_module
from typing import Any

import click

from sandbox.cli.display import discard_output, flush_output, prepare_streams
from sandbox.cli.status import MEANINGS, failure
from sandbox.model.file_path import is_text, shown_path
from sandbox.version import __version__

COMMANDS = {
    "up": "sandbox.cli.up:up",
    "run": "sandbox.cli.run:run",
    "ui": "sandbox.cli.ui:ui",
    "topics": "sandbox.cli.topics:topics",
    "produce": "sandbox.cli.produce:produce",
    "generate": "sandbox.cli.generate:generate",
    "consume": "sandbox.cli.consume:consume",
    "groups": "sandbox.cli.groups:groups",
    "brokers": "sandbox.cli.brokers:brokers",
    "faults": "sandbox.cli.faults:faults",
    "snapshots": "sandbox.cli.snapshots:snapshots",
    "schemas": "sandbox.cli.schemas:schemas",
    "sql": "sandbox.cli.sql:sql",
    "check": "sandbox.cli.check:check",
    "export": "sandbox.cli.export_command:export_command",
    "import": "sandbox.cli.import_command:import_command",
    "mcp": "sandbox.cli.mcp_command:mcp_command",
    "doctor": "sandbox.cli.doctor:doctor",
    "completion": "sandbox.cli.completion:completion",
}

VARIABLES = "SANDBOX"
"""How the names of environment variables begin."""


class _Commands(click.Group):
    """A click group of the table. Ends the command with the exit status of a known error."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        place = COMMANDS.get(name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        _prepare(command, f"{VARIABLES}_{name}")
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        prepare_streams()
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            # --help and --version are written before a command is invoked.
            discard_output()
            failed = failure(error)
            if failed is None:
                raise
            failed.show()
            sys.exit(failed.exit_code)

    def invoke(self, context: click.Context) -> Any:
        try:
            result = super().invoke(context)
            flush_output()
            return result
        except click.exceptions.Exit:
            raise
        except BrokenPipeError:
            # The reader has closed the pipe, as in `| head`. Click ends the command silently.
            discard_output()
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.filename is None:
                discard_output()
            failed = failure(error)
            if failed is None:
                raise
            raise failed from error


class _Text(click.types.StringParamType):
    """Text that is UTF-8. The shell may pass any bytes; Python represents those that are not UTF-8 as surrogates."""

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        text = super().convert(value, param, context)
        if is_text(text):
            return text
        self.fail(f"'{shown_path(text)}' is not UTF-8.", param, context)


def _prepare(command: click.Command, prefix: str) -> None:
    """Let an environment variable give each option: SANDBOX_UP_KAFKA_PORT is `sandbox up --kafka-port`.

    Text has to be UTF-8. Paths, and values that are sent as they are (`click.UNPROCESSED`), may have any bytes.
    """
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            _prepare(inner, f"{prefix}_{name}")
    for option in command.params:
        if option.type is click.STRING:
            option.type = _Text()
        if isinstance(option, click.Option) and not option.envvar:
            spelled = max(option.opts, key=len).lstrip("-")
            option.envvar = f"{prefix}_{spelled}".replace("-", "_").upper()


_STATUSES = "\n".join(f"  {status.value}  {meaning}" for status, meaning in MEANINGS.items())


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"""\b
Exit status:
{_STATUSES}

\b
Examples:
  sandbox up --demo
  echo 'user-42:hello' | sandbox produce orders --key-separator :
  sandbox consume orders --follow
  sandbox groups describe billing""",
)
@click.version_option(__version__, "--version", prog_name="sandbox", message="%(prog)s %(version)s")
def main() -> None:
    """Kafka in one process and one SQLite file, with a window into it.

    `up` starts a sandbox. The other commands work on its file, running or not, and on any Kafka cluster (--bootstrap
    HOST:PORT). `brokers` and `faults` need a running sandbox; `sql`, `check` and `snapshots` need a file.

    An environment variable can give each option: SANDBOX_UP_KAFKA_PORT=0 is `up --kafka-port 0`.
    """
