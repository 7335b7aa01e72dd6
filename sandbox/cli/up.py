"""`sandbox up`: own a file, open the Kafka port and the page, until told to end."""

import ipaddress
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from sandbox.cli.display import show_json
from sandbox.cli.listeners import WaysIn, listener_options
from sandbox.cli.progress import progress_bar
from sandbox.cli.status import Failed, Status
from sandbox.cli.target import DEFAULT_FILE, json_option
from sandbox.errors import FileInUse
from sandbox.version import __version__

if TYPE_CHECKING:
    from sandbox.demo import Demo
    from sandbox.sandbox import Sandbox

_LOCK_RETRIES = 25
_LOCK_RETRY_S = 0.02
PORT_MAX = 65535
_PORT = click.IntRange(0, PORT_MAX)


@click.command(
    epilog="""\b
Examples:
  sandbox up
  sandbox up orders.db --kafka-port 0 --ui-port 0
  sandbox up --brokers 3
  sandbox up --demo --open
  sandbox up --listener SASL_SSL:9094 --user alice"""
)
@click.argument("file", default=DEFAULT_FILE, envvar="SANDBOX_FILE", type=click.Path(path_type=Path))
@click.option("--kafka-port", type=_PORT, default=9092, show_default=True, help="0 picks a free one.")
@click.option(
    "--brokers",
    type=click.IntRange(1, 9),
    default=1,
    show_default=True,
    help="How many brokers to play; broker 2 listens at the Kafka port + 1, and so on.",
)
@click.option("--ui-port", type=_PORT, default=8080, show_default=True, help="Of the page; 0 picks a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--demo", "with_demo", is_flag=True, help="Load sample data, and keep two groups at work on it.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@listener_options
@json_option
def up(
    file: Path,
    kafka_port: int,
    brokers: int,
    ui_port: int,
    host: str,
    with_demo: bool,
    open_page: bool,
    as_json: bool,
    ways_in: WaysIn,
) -> None:
    """Start a sandbox on FILE, which is made if it is not there. Ctrl-C ends it; the events stay in the file.

    With --json it prints one line when it is ready: {"kafka", "web", "file", "pid", "brokers": {"1": address, ...}};
    with --listener also "listeners": {"SASL_SSL": address}.
    """
    if kafka_port + brokers - 1 > PORT_MAX:
        raise click.UsageError(f"{brokers} brokers need the ports {kafka_port} and up, and the last port is {PORT_MAX}")
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    if not _is_loopback(host):
        click.echo(
            f"Warning: {host} can be reached from other machines, and there is no authentication: whoever reaches it "
            "can read and write everything.",
            err=True,
        )
    sandbox = _opened(file, brokers)
    demo: Demo | None = None
    try:
        ways_in.prepare(sandbox)
        _serve(sandbox, host, kafka_port, ui_port, brokers, ways_in)
        if with_demo:
            demo = _demo_of(sandbox)
        _say_ready(sandbox, file, as_json, ways_in)
        if open_page and sandbox.web_address:
            import webbrowser

            webbrowser.open(sandbox.web_address)
        ended.wait()
    finally:
        if demo is not None:
            demo.stop()
        sandbox.close()


def _opened(file: Path, brokers: int) -> "Sandbox":
    from sandbox.sandbox import Sandbox

    for attempt in range(_LOCK_RETRIES):
        try:
            return Sandbox(file, brokers=brokers)
        except FileInUse as in_use:
            # A program that looks who owns the file holds the lock for an instant, and names nobody.
            if in_use.owner or attempt == _LOCK_RETRIES - 1:
                raise
            time.sleep(_LOCK_RETRY_S)
    raise AssertionError("the loop returns or raises")


def _serve(sandbox: "Sandbox", host: str, kafka_port: int, ui_port: int, brokers: int, ways_in: WaysIn) -> None:
    from sandbox.runtime import PortInUse

    try:
        sandbox.serve(host=host, kafka_port=kafka_port, web_port=ui_port, listeners=ways_in.listeners)
    except PortInUse as error:
        # The Kafka ports are opened first, so where both are the same it is the page's that is taken.
        of_kafka = error.port in range(kafka_port, kafka_port + brokers) and error.port != ui_port
        option = "--kafka-port" if of_kafka else "--ui-port"
        there = ways_in.option_of(error.port) or f"{option} 0"
        raise Failed(f"{error} Here: {there}.", Status.PORT_IN_USE) from error


def _demo_of(sandbox: "Sandbox") -> "Demo":
    from sandbox.demo import Demo

    demo = Demo(sandbox)
    sandbox.demo = demo
    with progress_bar("Loading sample data", None) as advance:
        loaded = 0

        def show(_topic: str, done: int, _total: int) -> None:
            nonlocal loaded
            advance(max(0, done - loaded))
            loaded = done

        demo.start(show)
    return demo


def _say_ready(sandbox: "Sandbox", file: Path, as_json: bool, ways_in: WaysIn) -> None:
    brokers = {str(one.broker): one.address for one in sandbox.cluster.brokers()}
    if as_json:
        show_json(
            {
                "kafka": sandbox.kafka_address,
                "web": sandbox.web_address,
                "file": str(file.absolute()),
                "pid": os.getpid(),
                "brokers": brokers,
                **({"listeners": sandbox.listener_addresses} if ways_in.listeners else {}),
            }
        )
        return
    click.echo(
        f"Kafka Sandbox {__version__}\n"
        f"  page   {sandbox.web_address}\n"
        f"  Kafka  {', '.join(address for address in brokers.values() if address)}\n"
        f"{ways_in.lines(sandbox)}"
        f"  file   {file.absolute()}\n"
        "Ctrl-C ends it; the events stay in the file."
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
