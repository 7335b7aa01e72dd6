"""`sandbox run`: starts a sandbox on free ports, runs a command with its addresses, and returns its status."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from sandbox.cli.broker_settings import settings_options
from sandbox.cli.status import Failed, Status

if TYPE_CHECKING:
    from sandbox.testing.handle import Kafka


class Variable(NamedTuple):
    """One environment variable.

    Attributes:
        name: its name.
        what: "kafka" for the Kafka address, "registry" for the schema registry's URL.
        readers: the programs that read it.
    """

    name: str
    what: str
    readers: str


KAFKA, REGISTRY = "kafka", "registry"
VARIABLES = (
    Variable("KAFKA_BOOTSTRAP_SERVERS", KAFKA, "Quarkus, Micronaut, most examples in any language"),
    Variable("SPRING_KAFKA_BOOTSTRAP_SERVERS", KAFKA, "Spring Boot: `spring.kafka.bootstrap-servers`"),
    Variable("KAFKA_BROKERS", KAFKA, "kafkajs and Go examples, comma-separated"),
    Variable("KAFKA_BROKER", KAFKA, "kafkajs examples"),
    Variable("KAFKA_PEERS", KAFKA, "sarama's examples"),
    Variable("BOOTSTRAP_SERVERS", KAFKA, "Confluent's examples"),
    Variable("SANDBOX_BOOTSTRAP", KAFKA, "the commands of Kafka Sandbox, such as `sandbox topics list`"),
    Variable("SCHEMA_REGISTRY_URL", REGISTRY, "most examples in any language"),
    Variable(
        "SPRING_KAFKA_PROPERTIES_SCHEMA_REGISTRY_URL",
        REGISTRY,
        "Spring Boot: `spring.kafka.properties.schema.registry.url`",
    ),
    Variable(
        "MP_MESSAGING_CONNECTOR_SMALLRYE_KAFKA_SCHEMA_REGISTRY_URL",
        REGISTRY,
        "Quarkus: `mp.messaging.connector.smallrye-kafka.schema.registry.url`",
    ),
)
REPLACED = ("SANDBOX_FILE",)
"""Removed from the command's environment: it would name another sandbox."""


FORWARDED = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
NOT_FOUND, NOT_EXECUTABLE, BY_SIGNAL = 127, 126, 128
"""A shell's exit statuses: no such command, one that can't be run, one ended by a signal (plus its number)."""
_EXISTING = click.Path(exists=True, path_type=Path)


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="""\b
Examples:
  sandbox run -- npm test
  sandbox run --topics orders:3 --topics users -- go test ./...
  sandbox run --seed orders.jsonl --schemas schemas/ -- ./mvnw verify

The command's exit status is returned: 127 if it does not exist, 126 if it cannot be run, 128 + N after signal N.""",
)
@click.option(
    "--topics",
    multiple=True,
    metavar="NAME[:PARTITIONS]",
    help="A topic to create, or several with commas. Repeatable.",
)
@click.option(
    "--seed", multiple=True, type=_EXISTING, help="Events to load: JSON lines, as `export` writes. Repeatable."
)
@click.option(
    "--schemas",
    multiple=True,
    type=_EXISTING,
    help="A folder of schemas to register, in files named by their subject: orders-value.avsc. Repeatable.",
)
@click.option("--brokers", type=click.IntRange(1, 9), default=1, show_default=True, help="Simulated brokers.")
@click.option("--keep", is_flag=True, help="Keep the file also if the command succeeds.")
@settings_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def run(
    context: click.Context,
    topics: tuple[str, ...],
    seed: tuple[Path, ...],
    schemas: tuple[Path, ...],
    brokers: int,
    keep: bool,
    settings: dict[str, str],
    command: tuple[str, ...],
) -> None:
    """Run COMMAND with a separate sandbox, on free ports.

    The addresses are in environment variables: KAFKA_BOOTSTRAP_SERVERS, SCHEMA_REGISTRY_URL, and the names that Spring
    Boot, Quarkus, kafkajs and Go examples read. If the command fails, the sandbox's file is kept, and the last line on
    stderr has the command that opens it.
    """
    wanted = dict(_topic(part) for one in topics for part in one.split(",") if part)
    folder = Path(tempfile.mkdtemp(prefix="kafka-sandbox-"))
    status = 1
    kafka: Kafka | None = None
    process: subprocess.Popen[Any] | None = None
    try:
        kafka = _started(folder / "run.db", brokers, settings)
        _prepare(kafka, wanted, seed, schemas)
        process = _launched(command, _environment(kafka))
        status = _wait(process)
    finally:
        if kafka is not None:
            kafka.close()
        if process is not None and (keep or status):
            ended = f"The command ended with status {status}. " if status else ""
            click.echo(f"{ended}The events are kept. To see them: sandbox up {folder / 'run.db'}", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    context.exit(status)


def _topic(text: str) -> tuple[str, int]:
    name, colon, count = text.rpartition(":")
    if not colon:
        return text, 1
    if not name or not (count.isascii() and count.isdigit()) or int(count) < 1:
        raise click.BadParameter(f"{text!r} is not NAME or NAME:PARTITIONS, such as orders:3", param_hint="--topics")
    return name, int(count)


def _started(file: Path, brokers: int, settings: dict[str, str]) -> "Kafka":
    from sandbox.testing.start import start

    # The sandbox's threads inherit a mask that leaves signals to the main thread, which may wait for the command.
    signals = {number for name in (*FORWARDED, "SIGINT") if (number := getattr(signal, name, None)) is not None}
    if sys.platform == "win32":
        return start(file, brokers=brokers, settings=settings)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        return start(file, brokers=brokers, settings=settings)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare(kafka: "Kafka", topics: dict[str, int], seed: tuple[Path, ...], schemas: tuple[Path, ...]) -> None:
    from sandbox.kafka.errors import SandboxError
    from sandbox.testing.start import prepare

    try:
        prepare(kafka, topics=topics, seed=seed, schemas=schemas)
    except SandboxError as error:
        raise Failed(str(error), Status.USAGE) from error
    except OSError as error:
        raise Failed(f"{error.filename}: {error.strerror}", Status.USAGE) from error


def _environment(kafka: "Kafka") -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in REPLACED}
    addresses = {
        one.name: kafka.bootstrap_servers if one.what == KAFKA else kafka.schema_registry_url for one in VARIABLES
    }
    return {**inherited, **addresses}


def _launched(command: tuple[str, ...], environment: dict[str, str]) -> "subprocess.Popen[Any]":
    program = shutil.which(command[0]) or command[0]
    try:
        return subprocess.Popen([program, *command[1:]], env=environment)
    except FileNotFoundError:
        click.echo(f"{command[0]}: command not found", err=True)
        raise click.exceptions.Exit(NOT_FOUND) from None
    except OSError as error:
        click.echo(f"{command[0]}: {error.strerror}", err=True)
        raise click.exceptions.Exit(NOT_EXECUTABLE) from None


def _wait(process: "subprocess.Popen[Any]") -> int:
    """Wait for the command, and pass signals on to it meanwhile. Returns its status as a shell does."""

    def pass_on(number: int, _frame: FrameType | None) -> None:
        # The terminal sends Ctrl-C to the command too.
        if number != signal.SIGINT or not _in_foreground():
            process.send_signal(number)

    numbers = [getattr(signal, name) for name in (*FORWARDED, "SIGINT") if hasattr(signal, name)]
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, pass_on)
    status = process.wait()
    return status if status >= 0 else BY_SIGNAL - status


def _in_foreground() -> bool:
    if sys.platform == "win32":
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)
