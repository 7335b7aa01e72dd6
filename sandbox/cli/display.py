"""Writes results: as JSON lines, as a table on a terminal, or as aligned text in a pipe, with a progress bar."""

import codecs
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import click

from sandbox.kafka.event import Event

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def prepare_streams() -> None:
    """Make the streams accept every character, and open those that the parent process closed.

    A character that a stream's encoding lacks (cp1252 is the default on Windows) is written as an escape: \\u20ac.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Otherwise the next opened file would get the number of a standard stream.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_utf8(encoding: str | None) -> bool:
    """True if an encoding name, including aliases, means UTF-8."""
    try:
        return codecs.lookup(encoding or "utf-8").name in ("utf-8", "utf-8-sig")
    except LookupError:
        return False


def json_text(text: str) -> str:
    """Return JSON for standard output. If its encoding isn't UTF-8, all other than ASCII characters are escaped."""
    if text.isascii() or is_utf8(sys.stdout.encoding):
        return text
    return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)


def printable(text: str) -> str:
    """Escape control characters: an event, a name or an error must not move the cursor or color the terminal."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )


def flush_output() -> None:
    """Write buffered output. Raises OSError if it can't be written."""
    if not sys.stdout.closed:
        sys.stdout.flush()


def discard_output() -> None:
    """Redirect standard output to the null device, so that the interpreter doesn't fail to write it again at exit."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


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


_STEP = 200


@contextmanager
def progress_bar(text: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show the progress of a long operation.

    Args:
        text: what is being done.
        total: number of items; None if unknown.

    Yields:
        A function to call with the number of items that were done since the last call.
    """
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=total)
        waiting = 0

        def advance(done: int) -> None:
            nonlocal waiting
            waiting += done
            # Collected, because the bar is drawn ten times per second and need not be called for every event.
            if waiting >= _STEP:
                bar.advance(task, waiting)
                waiting = 0

        yield advance
        bar.advance(task, waiting)
