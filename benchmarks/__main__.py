"""`python -m benchmarks`: every figure of docs/performance.md, in one run on one machine."""

import json
import platform
import sqlite3
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from benchmarks import direct, footprint, pages, port, schemas
from benchmarks import testing as tests_of_users
from benchmarks.figures import Figure, as_data, as_markdown, show

PARTS = ("port", "transactions", "waits", "direct", "start", "growth", "disk", "schemas", "pages", "testing", "peers")
SLOW = ("pages",)
"""Left out of a quick run, unless they are asked for."""


@click.command()
@click.option("--quick", is_flag=True, help="20,000 events and fewer rounds: under a minute.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--markdown", is_flag=True, help="Print the table of docs/performance.md.")
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Only this part; may be given again.")
@click.option("--events", type=click.IntRange(1000, 10_000_000), help="How many events in the throughput parts.")
def main(quick: bool, as_json: bool, markdown: bool, only: tuple[str, ...], events: int | None) -> None:
    """Measure the sandbox, SQLite itself and peers in the same run, and compare."""
    count = events or (20_000 if quick else 200_000)
    rounds, slow_rounds = (1, 1) if quick else (5, 3)
    missing: list[str] = []
    console = Console(stderr=as_json or markdown)

    def compare(folder: Path) -> list[Figure]:
        found, reasons = port.others(folder, count)
        missing.extend(reasons)
        return found

    def transactions(folder: Path) -> list[Figure]:
        found, reasons = port.transactions(folder, count, rounds)
        missing.extend(reasons)
        return found

    def look(folder: Path) -> list[Figure]:
        found, reasons = pages.pages(folder, count if quick else 1_000_000, 10 if quick else 60)
        missing.extend(reasons)
        return found

    def try_out(folder: Path) -> list[Figure]:
        found, reasons = tests_of_users.testing(folder, 20 if quick else tests_of_users.SUITE_TESTS)
        missing.extend(reasons)
        return found

    with tempfile.TemporaryDirectory(prefix="sandbox-bench-") as name:
        folder = Path(name)
        parts = {
            "port": lambda: port.throughput(folder, count, rounds),
            "transactions": lambda: transactions(folder),
            "waits": lambda: port.waits(folder, 200 if quick else 1000, slow_rounds),
            "direct": lambda: direct.append_and_read(folder, count, rounds),
            "start": lambda: footprint.start(folder, rounds),
            "growth": lambda: footprint.growth(folder, count if quick else 1_000_000),
            "disk": lambda: footprint.disk(folder, count),
            "schemas": lambda: schemas.schemas(folder, 50 if quick else 500, count // 10),
            "pages": lambda: look(folder),
            "testing": lambda: try_out(folder),
            "peers": lambda: compare(folder),
        }
        figures: list[Figure] = []
        for part in only or [part for part in PARTS if not (quick and part in SLOW)]:
            with console.status(f"measuring: {part}"):
                figures += parts[part]()
    machine = f"{platform.platform()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    if as_json:
        json.dump({"machine": machine, "events": count, "figures": as_data(figures), "left_out": missing}, sys.stdout)
        print()
        return
    if markdown:
        click.echo(f"{count:,} events, medians of {rounds} rounds; {machine}.\n\n{as_markdown(figures)}")
        return
    console.print(f"{count:,} events, {rounds} rounds; {machine}")
    show(figures, console)
    for reason in missing:
        console.print(f"left out: {reason}", highlight=False)


if __name__ == "__main__":
    main()
