"""`sandbox faults`: injects faults into a running sandbox."""

from typing import Any

import click

from sandbox.cli.display import show_json, show_rows
from sandbox.cli.page_address import PageAddress, page_options
from sandbox.cli.target import json_option

_MS = click.IntRange(0, 600_000)


@click.group()
def faults() -> None:
    """Inject faults into a running sandbox: delayed requests, errors, throttling, dropped connections."""


@faults.command("list")
@json_option
@page_options
def list_faults(as_json: bool, running: PageAddress) -> None:
    """List the injected faults, with the number of requests that each has hit."""
    rows = running.get("/faults.json")["faults"]
    if not as_json:
        for row in rows:
            row["state"] = "used up" if row["used_up"] else "in force"
            row["what"] = row["text"]
    show_rows(("id", "hits", "state", "what"), rows, as_json=as_json, empty="Nothing is injected.")


@faults.command(
    epilog="""\b
Examples:
  sandbox faults inject Produce --topic orders --error NOT_ENOUGH_REPLICAS --times 3
  sandbox faults inject Fetch --latency-ms 2000 --client-id billing
  sandbox faults inject EndTxn --transaction-end-ms 2000 --times 1
  sandbox faults inject --broker 2 --drop --probability 0.1"""
)
@click.argument("api", required=False)
@click.option("--topic", help="Only requests that name this topic.")
@click.option("--client-id", help="Only requests of this client.id.")
@click.option("--broker", type=int, help="Only requests to this broker.")
@click.option("--latency-ms", type=_MS, help="Handle the request so much later.")
@click.option("--error", metavar="NAME", help="Answer with this error of Kafka's, and do not carry the request out.")
@click.option("--drop", is_flag=True, help="Close the connection instead of answering.")
@click.option("--throttle-ms", type=_MS, help="The throttle time of the response, as quotas set it.")
@click.option(
    "--transaction-end-ms",
    type=_MS,
    help="For EndTxn: refuse the producer with CONCURRENT_TRANSACTIONS so long after its transaction's end.",
)
@click.option("--probability", type=float, help="Hit this share of the requests, above 0, at most 1 [default: 1].")
@click.option("--times", type=click.IntRange(min=1), help="Stop after this many requests [default: unlimited].")
@json_option
@page_options
def inject(api: str | None, as_json: bool, running: PageAddress, **fault: Any) -> None:
    """Inject a fault into requests for API (such as Produce; by default all except ApiVersions)."""
    fields = {name: value for name, value in {"api": api, **fault}.items() if value is not None and value is not False}
    done = running.post("/faults.json", fields)
    if as_json:
        show_json(done["fault"])
    else:
        _say(done)


@faults.command()
@click.argument("fault", metavar="ID", type=click.IntRange(min=0))
@json_option
@page_options
def remove(fault: int, as_json: bool, running: PageAddress) -> None:
    """Remove the fault with this ID, as in `list`."""
    done = running.post(f"/faults/{fault}/remove.json")
    if as_json:
        show_json({"removed": fault})
    else:
        _say(done)


@faults.command()
@json_option
@page_options
def clear(as_json: bool, running: PageAddress) -> None:
    """Remove all faults."""
    done = running.post("/faults/clear.json")
    if as_json:
        show_json({"removed": done["removed"]})
    else:
        _say(done)


def _say(done: dict[str, Any]) -> None:
    said = str(done["message"])
    click.echo(f"{said[0].upper()}{said[1:]}.")
