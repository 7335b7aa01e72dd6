"""The target of a command: a sandbox file or a cluster. Commands connect to both with `sandbox.client.client`."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sandbox.cli.project_file import project_sandbox_file
from sandbox.cli.status import Failed, Status, kafka_text
from sandbox.model.file_path import file_path, is_text, shown_path

if TYPE_CHECKING:
    from sandbox.client.client import AdminClient, Consumer, Producer

DEFAULT_FILE = "dev.db"
FILE_TEXT = f"The sandbox file [env: SANDBOX_FILE, else {DEFAULT_FILE}]."
TIMEOUT_S = 10.0
# The broker enforces the topic's size limit, with its own error, so the client must not.
_MESSAGE_MAX_BYTES = 1_000_000_000
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Target:
    """The file or cluster that a command connects to.

    Attributes:
        servers: an address, or the path of a sandbox file.
        properties: additional librdkafka settings, from -X.
        file: the path, if it is a file.
    """

    servers: str | Path
    properties: dict[str, str]
    file: Path | None

    def require(self) -> None:
        """For commands that create nothing: refuse a file that doesn't exist, or isn't a sandbox."""
        if self.file is None:
            return
        if not self.file.exists():
            raise Failed(
                f"{self.file} does not exist. Name a sandbox file with --file or a cluster with --bootstrap, or start "
                f"with: sandbox up {self.file}",
                Status.FILE_REFUSED,
            )
        from sandbox.storage.file.database import check_file

        if not check_file(self.file, to_write=False) and self.file.stat().st_size == 0:
            raise Failed(f"{self.file} is empty. Start with: sandbox up {self.file}", Status.FILE_REFUSED)

    def admin(self) -> "AdminClient":
        """Create an admin client."""
        from sandbox.client.client import AdminClient

        return AdminClient(self._config({}))

    def producer(self, **more: Any) -> "Producer":
        """Create a producer; `more` is librdkafka's configuration with _ for dots."""
        from sandbox.client.client import Producer

        return Producer(self._config({"message.max.bytes": _MESSAGE_MAX_BYTES, **_dotted(more)}))

    def consumer(self, **more: Any) -> "Consumer":
        """Create a consumer; `more` is librdkafka's configuration with _ for dots."""
        from sandbox.client.client import Consumer

        settings = {
            "group.id": "sandbox-command-line",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 10,
        }
        return Consumer(self._config({**settings, **_dotted(more)}))

    def _config(self, more: dict[str, Any]) -> dict[str, Any]:
        # librdkafka's log lines are for programs; a command reports errors in its own words.
        quiet = {"log_level": 0, "error_cb": _say_once()}
        return {"bootstrap.servers": self.servers, "client.id": "sandbox", **quiet, **more, **self.properties}


def _dotted(settings: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "."): value for name, value in settings.items()}


def _say_once() -> Callable[[Any], None]:
    said: set[str] = set()

    def say(error: Any) -> None:
        # Only the error that concerns all brokers; calls that fail because of other errors report them themselves.
        if error.name() == "_ALL_BROKERS_DOWN" and error.name() not in said:
            said.add(error.name())
            click.echo(f"Warning: {kafka_text(error)}", err=True)

    return say


def target_options(command: F) -> F:
    """Add --file, --bootstrap and -X to a command, and pass the argument `target`."""

    @wraps(command)
    def with_target(
        *args: Any, file: str | None, bootstrap: str | None, properties: tuple[str, ...], **more: Any
    ) -> Any:
        if file is not None and bootstrap is not None:
            raise click.UsageError("--file and --bootstrap exclude each other")
        if file is None and bootstrap is None:
            file, bootstrap = os.environ.get("SANDBOX_FILE"), os.environ.get("SANDBOX_BOOTSTRAP")
            if file and bootstrap:
                raise click.UsageError("SANDBOX_FILE and SANDBOX_BOOTSTRAP exclude each other: unset one")
            if bootstrap and not is_text(bootstrap):
                raise click.UsageError(f"SANDBOX_BOOTSTRAP: '{shown_path(bootstrap)}' is not UTF-8")
        pairs = dict(_pair(pair) for pair in properties)
        return command(*args, target=_target(file or None, bootstrap or None, pairs), **more)

    decorated: Any = with_target
    for option in (
        click.option("-X", "properties", multiple=True, metavar="KEY=VALUE", help="A property of librdkafka."),
        click.option("--bootstrap", "-b", metavar="HOST:PORT", help="A Kafka cluster [env: SANDBOX_BOOTSTRAP]."),
        click.option("--file", "-f", type=click.Path(), metavar="PATH", help=FILE_TEXT),
    ):
        decorated = option(decorated)
    result: F = decorated
    return result


def file_option(command: F) -> F:
    """Add --file to a command that reads the sandbox file directly, and pass the argument `target`."""

    @wraps(command)
    def with_target(*args: Any, file: str | None, **more: Any) -> Any:
        return command(*args, target=_target(file or os.environ.get("SANDBOX_FILE"), None, {}), **more)

    decorated: Any = click.option("--file", "-f", type=click.Path(), metavar="PATH", help=FILE_TEXT)(with_target)
    result: F = decorated
    return result


def chosen_file(name: str | Path | None) -> Path:
    """Return the sandbox file of a command: its argument, SANDBOX_FILE, the project file's, or `DEFAULT_FILE`."""
    return file_path(os.fspath(name or os.environ.get("SANDBOX_FILE") or project_sandbox_file() or DEFAULT_FILE))


def _target(file: str | None, bootstrap: str | None, properties: dict[str, str]) -> Target:
    if bootstrap is not None:
        return Target(bootstrap, properties, None)
    path = chosen_file(file)
    return Target(path.absolute(), properties, path)


def _pair(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="-X")
    return key, value


def json_option(command: F) -> F:
    """Add --json to a command, and pass the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON, one object per line.")(command)
