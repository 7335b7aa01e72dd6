"""`sandbox sql`: runs a read-only query on a sandbox file, running or not."""

from pathlib import Path
from typing import Any

import click

from sandbox.cli.display import show_json, show_rows
from sandbox.cli.status import Failed
from sandbox.cli.target import Target, file_option, json_option
from sandbox.model.csv_text import csv_text, with_encodings
from sandbox.model.sql_result import ROWS_MAX, TIME_LIMIT_MAX_S, TIME_LIMIT_S, Bounds, Cell, SqlRefused, SqlResult
from sandbox.model.sql_tokens import value_of

FORMATS = ("table", "csv", "excel", "json")


@click.command(
    epilog="""\b
Every topic is a view of its name, with the fields of its values as columns: of
JSON, and of Avro, Protobuf and others that can be decoded; of keys as "key.NAME".
A name with - or . needs double quotes; "topic:NAME" is the topic in any case.
Beside them: messages, lag, groups, commits, rebalances, batches and more.

\b
Examples:
  sandbox sql "SELECT * FROM orders ORDER BY offset DESC LIMIT 10"
  sandbox sql "SELECT key, count(*) FROM orders GROUP BY key" --format csv
  sandbox sql "SELECT value FROM orders WHERE key = :key" -P key=user-42"""
)
@click.argument("query")
@click.option("--param", "-P", "params", multiple=True, metavar="NAME=VALUE", help="The value of :NAME; '42' is text.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    show_default="table",
    help="How to write; excel is CSV in which nothing is run as a formula.",
)
@click.option("--rows", type=click.IntRange(1, ROWS_MAX), default=1000, show_default=True, help="Row limit.")
@click.option(
    "--time-limit",
    type=click.FloatRange(0.1, TIME_LIMIT_MAX_S),
    default=TIME_LIMIT_S,
    show_default=True,
    metavar="SECONDS",
    help="When it is stopped.",
)
@json_option
@file_option
def sql(
    query: str, params: tuple[str, ...], form: str | None, rows: int, time_limit: float, as_json: bool, target: Target
) -> None:
    """Query the file with one SQL SELECT statement. Read-only."""
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} are two formats: give one")
    form = "json" if as_json else form or "table"
    target.require()
    assert target.file is not None
    result = _run(target.file, query, dict(map(_pair, params)), Bounds(time_limit, rows))
    names = _names(result)
    if form in ("csv", "excel"):
        columns, cells = with_encodings(result.columns, result.rows)
        click.echo(csv_text(columns, cells, excel=form == "excel", end="\n"), nl=False)
    elif form == "json":
        for row in result.rows:
            show_json(dict(zip(names, map(_data, row), strict=True)))
    else:
        shown = [dict(zip(names, map(_plain, row), strict=True)) for row in result.rows]
        show_rows(names, shown, as_json=False, empty="No rows.")
    for note in result.notes:
        click.echo(note, err=True)
    if result.more:
        click.echo(f"{result.more} Ask for more with --rows.", err=True)


def _run(file: Path, query: str, values: dict[str, object], bounds: Bounds) -> SqlResult:
    from sandbox.registry.decoding import file_decoder
    from sandbox.storage.file.database import check_file
    from sandbox.storage.sql.sql import run_query

    path = file.resolve()
    check_file(path, to_write=False)
    try:
        return run_query(path, query, values, bounds, file_decoder(path))
    except SqlRefused as refused:
        if refused.position is None:
            raise
        before = query[: refused.position]
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        raise Failed(f"line {line}, column {column}: {refused}") from refused


def _names(result: SqlResult) -> list[str]:
    """Return the columns' names without duplicates: a second `key` is `key:2`."""
    counts: dict[str, int] = {}
    names = []
    for name in result.columns:
        counts[name] = counts.get(name, 0) + 1
        names.append(name if counts[name] == 1 else f"{name}:{counts[name]}")
    return names


def _plain(value: Cell) -> Any:
    return f"x'{value.hex()}'" if isinstance(value, bytes) else value


def _data(value: Cell) -> object:
    import base64
    import math

    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _pair(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="-P")
    return name.removeprefix(":"), value_of(value)
