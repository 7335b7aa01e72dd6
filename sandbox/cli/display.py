"""Formats results: as JSON lines, as a table on a terminal, or as aligned text in a pipe."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from sandbox.cli.streams import json_text, printable
from sandbox.kafka.event import Event


def show_json(fields: Mapping[str, Any]) -> None:
    """Write one JSON object as one line."""
    click.echo(json_text(json.dumps(fields, ensure_ascii=False)))


def show_rows(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Write rows.

    Args:
        columns: names of the fields that a table shows, in order; JSON has every field.
        rows: one mapping per row.
        as_json: writes one JSON object per line, and nothing if there are no rows.
        empty: the message on stderr if there are no rows.
    """
    if as_json:
        for row in rows:
            show_json(row)
        return
    if not rows:
        click.echo(empty, err=True)
        return
    numeric = {column for column in columns if {type(row[column]) for row in rows} in ({int}, {int, type(None)})}
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    if sys.stdout.isatty():
        _show_table(columns, cells, numeric)
        return
    widths = [max(len(row[at]) for row in [list(columns), *cells]) for at in range(len(columns))]
    for line in [list(columns), *cells]:
        parts = [
            cell.rjust(width) if column in numeric else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ]
        click.echo("  ".join(parts).rstrip())


def _show_table(columns: Sequence[str], cells: Sequence[Sequence[str]], numeric: set[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _cell(found: Any) -> str:
    if found is None:
        return "-"
    return printable(str(found))


def event_text(event: Event) -> str:
    """Format one event as a line: partition:offset, time, key, value. The exact form is --json."""
    from sandbox.cli.position import time_text

    place = f"{event.partition}:{event.offset}"
    headers = " ".join(f"{printable(name)}={data_text(value)}" for name, value in event.headers)
    line = f"{place:<8}  {time_text(event.timestamp_ms)}  {data_text(event.key)}  {data_text(event.value)}"
    return f"{line}  [{headers}]" if headers else line


def data_text(data: bytes | None) -> str:
    """Format a key or a value: UTF-8 as text, everything else as a word or hex bytes in brackets."""
    if data is None:
        return "(null)"
    if not data:
        return "(empty)"
    try:
        return printable(data.decode("utf-8"))
    except UnicodeDecodeError:
        return f"(bytes {data.hex()})"
