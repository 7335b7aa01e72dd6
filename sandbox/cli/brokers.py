"""`sandbox brokers`: list, stop and start the brokers of a running sandbox, and move leaders."""

from typing import Any

import click

from sandbox.cli.display import show_json, show_rows
from sandbox.cli.page_address import PageAddress, page_options
from sandbox.cli.target import json_option


@click.group()
def brokers() -> None:
    """List, stop and start the simulated brokers of a running sandbox, and move leaders."""


@brokers.command("list")
@json_option
@page_options
def list_brokers(as_json: bool, running: PageAddress) -> None:
    """List the brokers with address, state, and number of partitions that each leads."""
    rows = running.get("/cluster.json")["brokers"]
    if not as_json:
        for row in rows:
            row["state"] = "up" if row["up"] else "down"
            row["controller"] = "yes" if row["controller"] else ""
    columns = ("broker", "state", "address", "controller", "leader_count", "replica_count", "out_of_sync_count")
    show_rows(columns, rows, as_json=as_json, empty="There are no brokers.")


@brokers.command(
    epilog="""\b
Example:
  sandbox brokers stop 2"""
)
@click.argument("broker", type=int)
@json_option
@page_options
def stop(broker: int, as_json: bool, running: PageAddress) -> None:
    """Stop BROKER. Its port closes, other brokers become leaders, and it leaves the ISR of its partitions."""
    _show(running.post(f"/cluster/brokers/{_id(broker)}/stop.json"), as_json)


@brokers.command()
@click.argument("broker", type=int)
@json_option
@page_options
def start(broker: int, as_json: bool, running: PageAddress) -> None:
    """Start BROKER on its previous port. It becomes the leader of partitions that have none."""
    _show(running.post(f"/cluster/brokers/{_id(broker)}/start.json"), as_json)


@brokers.command("move-leader")
@click.argument("topic")
@click.argument("partition", type=int)
@click.argument("broker", type=int)
@json_option
@page_options
def move_leader(topic: str, partition: int, broker: int, as_json: bool, running: PageAddress) -> None:
    """Make BROKER the leader of PARTITION of TOPIC."""
    _show(running.post("/cluster/leader.json", {"topic": topic, "partition": partition, "broker": broker}), as_json)


@brokers.command()
@json_option
@page_options
def prefer(as_json: bool, running: PageAddress) -> None:
    """Elect the preferred leader (the first replica) of every partition."""
    _show(running.post("/cluster/prefer.json"), as_json)


def _id(broker: int) -> int:
    if broker < 0:
        raise click.BadParameter(f"{broker} is no broker id", param_hint="BROKER")
    return broker


def _leader(broker: int) -> str:
    return "none" if broker < 0 else str(broker)


def _show(done: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json({name: value for name, value in done.items() if name != "message"})
        return
    said = str(done["message"])
    click.echo(f"{said[0].upper()}{said[1:]}.")
    moves = done.get("moves", [])
    if moves:
        rows = [{**move, "before": _leader(move["before"]), "after": _leader(move["after"])} for move in moves]
        show_rows(("topic", "partition", "before", "after"), rows, as_json=False, empty="")
