"""`sandbox up`: opens a file, serves the Kafka port and the page, and runs until it is stopped."""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sandbox.cli.broker_settings import settings_options
from sandbox.cli.display import progress_bar, show_json
from sandbox.cli.ending import Ending
from sandbox.cli.listeners import RegistryOptions, WaysIn, listener_options, registry_options
from sandbox.cli.page_address import page_to_open, proxy_options, token_option
from sandbox.cli.project_file import Project, ProjectCommand
from sandbox.cli.status import Failed, Status
from sandbox.cli.target import DEFAULT_FILE, chosen_file, json_option
from sandbox.kafka.errors import FileInUse
from sandbox.model.gc_pause import freeze_start_up_objects, gc_paused
from sandbox.model.process import exit_after, wait_for_death
from sandbox.model.proxy import Proxy
from sandbox.runtime.open_files import raise_limit
from sandbox.runtime.ports import PORT_MAX, is_loopback
from sandbox.storage.file.lock import lock_path
from sandbox.version import __version__

if TYPE_CHECKING:
    from sandbox.api.sandbox import Sandbox
    from sandbox.demo.demo import Demo


M_ARENA_MAX = -8


def share_arenas() -> None:
    """Make new threads use the existing arena. Does nothing if the C library isn't glibc."""
    if not sys.platform.startswith("linux"):
        return
    # Imported here, because some Python builds don't have ctypes.
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


_LOCK_RETRIES = 25
_LOCK_RETRY_S = 0.02
DEMO_STOPS_WITHIN_S = 1.0
ORPHAN_S = 2.5
"""Seconds that a fork may take to end after its parent. The file of a killed fork is complete too."""
ENDS = "Ctrl-C ends it; the events stay in the file."
_PORT = click.IntRange(0, PORT_MAX)


@click.command(
    cls=ProjectCommand,
    epilog="""\b
Examples:
  sandbox up
  sandbox up orders.db --kafka-port 0 --ui-port 0
  sandbox up --brokers 3
  sandbox up --demo --open
  sandbox up -c num.partitions=4 -c auto.create.topics.enable=false
  sandbox up --listener SASL_SSL:9094 --user alice

\b
The same pages over a real Kafka cluster, without a file:
  sandbox ui --bootstrap HOST:PORT""",
)
@click.argument("file", default=DEFAULT_FILE, envvar="SANDBOX_FILE", type=click.Path(path_type=Path))
@click.option("--kafka-port", type=_PORT, default=9092, show_default=True, help="The Kafka port; 0 picks a free one.")
@click.option(
    "--brokers",
    type=click.IntRange(1, 9),
    default=1,
    show_default=True,
    help="How many brokers to simulate; broker 2 listens at the Kafka port + 1, and so on.",
)
@click.option("--ui-port", type=_PORT, default=8080, show_default=True, help="The page's port; 0 picks a free one.")
@registry_options
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@token_option
@proxy_options
@click.option(
    "--read-only", is_flag=True, help="Change nothing in FILE: the page, Kafka clients and commands only read it."
)
@click.option("--demo", "with_demo", is_flag=True, help="Load sample data, and run two groups that read it.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@click.option("--while-stdin", is_flag=True, hidden=True, help="End when standard input or the parent process ends.")
@listener_options
@settings_options
@json_option
@click.pass_obj
def up(
    project: Project,
    file: Path,
    kafka_port: int,
    brokers: int,
    ui_port: int,
    registry: RegistryOptions,
    host: str,
    token: str | None,
    proxy: Proxy,
    read_only: bool,
    with_demo: bool,
    open_page: bool,
    while_stdin: bool,
    as_json: bool,
    ways_in: WaysIn,
    settings: dict[str, str],
) -> None:
    """Start a sandbox on FILE, which is created if it doesn't exist. Ctrl-C ends it; the events stay in the file.

    With --json it prints one line when it is ready: {"kafka", "web", "registry", "file", "pid",
    "brokers": {"1": address, ...}}; with --listener also "listeners": {"SASL_SSL": address}, with --public-url also
    "public_url", and "token" if the page requires one.

    A file sandbox.toml in the current folder can give every option, topics and their events: see docs/project.md.

    At an address that other machines can reach (--host 0.0.0.0, --public-url) the page requires a token; the Kafka port
    never does.
    """
    if kafka_port + brokers - 1 > PORT_MAX:
        raise click.UsageError(f"{brokers} brokers need the ports {kafka_port} and up, and the last port is {PORT_MAX}")
    if read_only and (with_demo or ways_in.users):
        raise click.UsageError("--read-only changes nothing in the file: it goes neither with --demo nor with --user")
    ending = Ending()
    if while_stdin:
        _end_with_parent(ending)
    if not is_loopback(host):
        _warn(host, read_only)
    raise_limit()
    share_arenas()
    file = chosen_file(file)
    left_over = not file.exists()
    sandbox = _opened(file, brokers, read_only, settings)
    demo: Demo | None = None
    try:
        ways_in.prepare(sandbox)
        project.fill(sandbox)
        _serve(sandbox, host, kafka_port, ui_port, registry, brokers, ways_in, token, proxy)
        left_over = False
        if with_demo:
            demo = _demo_of(sandbox)
        _say_ready(sandbox, file, as_json, ways_in)
        freeze_start_up_objects()
        if open_page:
            _open_page(sandbox)
        ending.wait()
    finally:
        if demo is not None:
            demo.stop(DEMO_STOPS_WITHIN_S)
        _end(sandbox, file if left_over else None)


def _end_with_parent(ending: Ending) -> None:
    for wait in (_wait_for_the_end_of_stdin, partial(wait_for_death, os.getppid())):
        threading.Thread(target=_end_after, args=(wait, ending), daemon=True).start()


def _open_page(sandbox: "Sandbox") -> None:
    if sandbox.web_address:
        import webbrowser

        webbrowser.open(page_to_open(sandbox.public_url or sandbox.web_address, sandbox.web_token))


def _warn(host: str, read_only: bool) -> None:
    may = "read everything" if read_only else "read and write everything"
    click.echo(
        f"Warning: {host} can be reached from other machines. The page asks them for a token; the Kafka port asks "
        f"for nothing, not even with --listener beside it: any client that reaches it can {may}.",
        err=True,
    )


def _end(sandbox: "Sandbox", made: Path | None) -> None:
    """Close the sandbox. Deletes a file that was created for a sandbox which then could not open its ports."""
    # The Kafka port may have been open for a moment before the page's port failed. Data written then stays.
    unused = made is not None and not (sandbox.topics() or sandbox.groups())
    sandbox.close()
    if made is not None and unused:
        for place in (made, lock_path(made)):
            place.unlink(missing_ok=True)


def _end_after(wait: Callable[[], None], ending: Ending) -> None:
    wait()
    ending.begin()
    exit_after(ORPHAN_S)


def _wait_for_the_end_of_stdin() -> None:
    # Not through sys.stdin: a thread that still reads would hold its lock when the interpreter ends.
    with suppress(OSError):
        while os.read(0, 4096):
            pass


@gc_paused()
def _opened(file: Path, brokers: int, read_only: bool, settings: dict[str, str]) -> "Sandbox":
    from sandbox.api.sandbox import Sandbox

    for attempt in range(_LOCK_RETRIES):
        try:
            return Sandbox(file, brokers=brokers, read_only=read_only, settings=settings)
        except FileInUse as in_use:
            # A program that checks for an owner holds the lock for an instant, without naming one.
            if in_use.owner or attempt == _LOCK_RETRIES - 1:
                raise
            time.sleep(_LOCK_RETRY_S)
    raise AssertionError("the loop returns or raises")


@gc_paused()
def _serve(
    sandbox: "Sandbox",
    host: str,
    kafka_port: int,
    ui_port: int,
    registry: RegistryOptions,
    brokers: int,
    ways_in: WaysIn,
    token: str | None,
    proxy: Proxy,
) -> None:
    from sandbox.runtime.runtime import PortInUse

    try:
        sandbox.serve(
            host=host,
            kafka_port=kafka_port,
            web_port=ui_port,
            listeners=ways_in.listeners,
            web_token=token,
            public_url=None if proxy.url is None else str(proxy.url),
            trust_forwarded=proxy.forwarded,
            advertised=ways_in.advertised,
            registry_port=registry.ports,
            registry_conflict_code=registry.conflict_code,
        )
    except PortInUse as error:
        # The Kafka ports are opened first, so if both ports are the same, the page's is the one that is taken.
        of_kafka = error.port in range(kafka_port, kafka_port + brokers) and error.port != ui_port
        option = "--kafka-port" if of_kafka else "--ui-port"
        if not of_kafka and registry.ports and error.port == registry.ports[-1] and error.port != ui_port:
            option = "--registry-port"
        there = ways_in.option_of(error.port) or f"{option} 0"
        raise Failed(f"{error} Here: {there}.", Status.PORT_IN_USE) from error


def _demo_of(sandbox: "Sandbox") -> "Demo":
    from sandbox.demo.demo import Demo

    demo = Demo(sandbox)
    sandbox.demo = demo
    sandbox.snapshots.bystanders += (demo,)
    with progress_bar("Loading sample data", None) as advance:
        loaded = 0

        def show(_topic: str, done: int, _total: int) -> None:
            nonlocal loaded
            advance(max(0, done - loaded))
            loaded = done

        demo.start(show)
    return demo


def _say_ready(sandbox: "Sandbox", file: Path, as_json: bool, ways_in: WaysIn) -> None:
    brokers = {str(one.broker): one.address for one in sandbox.brokers.list()}
    started_with = {one.name: one.value for one in sandbox.brokers.settings() if one.source == "STATIC_BROKER_CONFIG"}
    if as_json:
        show_json(
            {
                "kafka": sandbox.kafka_address,
                "web": sandbox.web_address,
                **({"registry": sandbox.registry_address} if sandbox.registry_address else {}),
                "file": str(file.absolute()),
                "pid": os.getpid(),
                "brokers": brokers,
                **({"listeners": sandbox.listener_addresses} if ways_in.listeners else {}),
                **({"public_url": sandbox.public_url} if sandbox.public_url else {}),
                **({"token": sandbox.web_token} if sandbox.web_token else {}),
                **({"read_only": True} if sandbox.read_only else {}),
                **({"settings": started_with} if started_with else {}),
            }
        )
        return
    registry = f"  registry  {sandbox.registry_address}\n" if sandbox.registry_address else ""
    click.echo(
        f"Kafka Sandbox {__version__}\n"
        f"  page   {page_to_open(sandbox.public_url or sandbox.web_address or '', sandbox.web_token)}\n"
        f"  Kafka  {', '.join(address for address in brokers.values() if address)}\n"
        f"{registry}"
        f"{ways_in.lines(sandbox)}"
        f"  file   {file.absolute()}\n"
        f"{'Ctrl-C ends it; nothing in the file is changed.' if sandbox.read_only else ENDS}"
    )
