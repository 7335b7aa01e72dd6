"""The options of `up` for broker settings: -c NAME=VALUE, and --config FILE in the format of server.properties."""

import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from sandbox.cli.project_file import Project
from sandbox.cli.status import Failed, Status
from sandbox.kafka.broker_config import check_broker_setting
from sandbox.kafka.errors import BrokerError
from sandbox.model.jsonl import LineRefused, without_byte_order_mark

SET_BY_SANDBOX = {
    "node.id": "brokers are numbered from 1; --brokers says how many",
    "broker.id": "brokers are numbered from 1; --brokers says how many",
    "log.dir": "the log is the sandbox FILE",
    "log.dirs": "the log is the sandbox FILE",
    "listeners": "use --host, --kafka-port and --listener",
    "advertised.listeners": "use --host, --kafka-port and --listener",
}
"""Settings that follow from how the sandbox is started, with the option to use instead."""
_PAIR = re.compile(r"((?:\\.|[^\\=:\s])+)\s*[=:\s]?\s*(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
F = TypeVar("F", bound=Callable[..., Any])


def settings_options(command: F) -> F:
    """Add -c and --config to a command, and pass the checked broker settings as the argument `settings`."""

    @wraps(command)
    def with_settings(*args: Any, config: Path | None, pairs: tuple[str, ...], **more: Any) -> Any:
        settings = {} if config is None else _of_file(config)
        project = click.get_current_context().obj
        for pair in (*(project.settings if isinstance(project, Project) else ()), *pairs):
            name, equals, value = pair.partition("=")
            if not equals or not name:
                raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="-c")
            if name in SET_BY_SANDBOX:
                raise click.BadParameter(f"{name} cannot be set: {SET_BY_SANDBOX[name]}", param_hint="-c")
            try:
                settings[name] = check_broker_setting(name, value)
            except BrokerError as error:
                raise click.BadParameter(error.detail, param_hint="-c") from None
        return command(*args, settings=settings, **more)

    decorated: Any = with_settings
    for option in (
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Broker settings from a file in the format of Kafka's server.properties; -c wins.",
        ),
        click.option("-c", "pairs", multiple=True, metavar="NAME=VALUE", help="A broker setting, any number of them."),
    ):
        decorated = option(decorated)
    result: F = decorated
    return result


def _of_file(path: Path) -> dict[str, str]:
    """Return a file's settings. Those that the sandbox sets itself are left out, and listed on stderr."""
    try:
        text = without_byte_order_mark(path.read_bytes()).decode("utf-8")
    except (OSError, UnicodeDecodeError, LineRefused) as error:
        hint = f" A setting is given with -c {path}." if "=" in str(path) else ""
        reason = getattr(error, "strerror", None) or error
        raise Failed(f"{path} cannot be read: {reason}.{hint}", Status.USAGE) from None
    settings = {}
    ignored = []
    for number, name, value in read_properties(text):
        if name in SET_BY_SANDBOX:
            ignored.append(name)
            continue
        try:
            settings[name] = check_broker_setting(name, value)
        except BrokerError as error:
            raise Failed(f"{path}, line {number}: {error.detail}", Status.USAGE) from None
    if ignored:
        click.echo(f"{path}: {', '.join(ignored)} left out; the sandbox sets them itself.", err=True)
    return settings


def read_properties(text: str) -> list[tuple[int, str, str]]:
    r"""Read Java's properties format.

    Comments begin with # or !, a name ends at =, : or a space, a \ at the end continues the line, and \ escapes.

    Returns:
        Line number, name and value of each entry.
    """
    found = []
    pending, first = "", 0
    for number, line in enumerate([*text.split("\n"), ""], 1):
        piece = line.rstrip("\r").lstrip()
        if not pending and piece.startswith(("#", "!")):
            continue
        first = first if pending else number
        slashes = len(piece) - len(piece.rstrip("\\"))
        if slashes % 2:
            pending += piece[:-1]
            continue
        if entry := _PAIR.fullmatch(pending + piece):
            found.append((first, _unescaped(entry[1]), _unescaped(entry[2])))
        pending = ""
    return found


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(
        lambda found: chr(int(found[1][1:], 16)) if len(found[1]) > 1 else _ESCAPED.get(found[1], found[1]), text
    )
