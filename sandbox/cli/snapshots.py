"""`sandbox snapshots`: take, restore, fork and compare snapshots of a sandbox file, running or not.

Snapshots are in a folder beside the file, so most commands need no running sandbox. If the file has an owner, the owner
replaces the file's content and opens forks.
"""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import click

from sandbox.cli.display import show_json, show_rows
from sandbox.cli.page_address import PageAddress, of_owner
from sandbox.cli.status import Failed, Status
from sandbox.cli.target import DEFAULT_FILE, chosen_file, json_option

if TYPE_CHECKING:
    from sandbox.api.snapshots import SandboxSnapshots
    from sandbox.snapshots.description import Comparison
    from sandbox.snapshots.folder import SnapshotFolder
    from sandbox.storage.file.database import Reader

NOW = "now"
IMPORT_BYTES_MAX = 64 * 1024 * 1024 * 1024
F = TypeVar("F", bound=Callable[..., Any])


def file_option(command: F) -> F:
    """Add --file to a command, and pass the argument `file`: an existing sandbox file."""

    @wraps(command)
    def with_file(*args: Any, file: Path | None, **more: Any) -> Any:
        path = chosen_file(file)
        if not path.exists():
            raise Failed(f"{path} does not exist. Name a sandbox file with --file.", Status.FILE_REFUSED)
        return command(*args, file=path, **more)

    option = click.option(
        "--file",
        "-f",
        metavar="PATH",
        type=click.Path(path_type=Path),
        help=f"The sandbox file [env: SANDBOX_FILE, else {DEFAULT_FILE}].",
    )
    decorated: Any = option(with_file)
    result: F = decorated
    return result


def _folder(file: Path) -> "SnapshotFolder":
    from sandbox.snapshots.folder import SnapshotFolder

    return SnapshotFolder(file)


def _owner(file: Path) -> dict[str, object] | None:
    from sandbox.storage.file.lock import read_owner

    return read_owner(file)


@contextmanager
def _own(file: Path) -> "Iterator[SandboxSnapshots]":
    """Open the snapshots of a file that has no owner."""
    from sandbox.api.sandbox import Sandbox

    with Sandbox(file) as sandbox:
        yield sandbox.snapshots


def _page(owner: dict[str, object], what: str) -> PageAddress:
    page = of_owner(owner)
    if page is None:
        raise Failed(
            f"Process {owner.get('pid', 'unknown')} owns the file and has no page open, through which it could be "
            f"asked. Call sandbox.snapshots.{what}(...) in that program, or stop it first.",
            Status.FILE_IN_USE,
        )
    return page


@click.group()
def snapshots() -> None:
    """Take, restore, fork and compare snapshots of a sandbox file, running or not.

    A snapshot is a whole sandbox file in the folder FILE-snapshots. "now" stands for the current state of the file.
    """


@snapshots.command("list")
@json_option
@file_option
def list_snapshots(as_json: bool, file: Path) -> None:
    """List the snapshots, newest first."""
    from sandbox.cli.position import time_text

    rows = [asdict(one) for one in _folder(file).list()]
    if not as_json:
        for row in rows:
            row["taken"] = time_text(row["taken_ms"])
            row["about"] = row["note"] or (row["action"] and f"before: {row['action']}")
    columns = ("name", "taken", "topics", "events", "groups", "size_bytes", "about")
    show_rows(columns, rows, as_json=as_json, empty="There are no snapshots: sandbox snapshots take NAME.")


@snapshots.command()
@click.argument("name", required=False)
@click.option("--note", default="", help="What to remember about it.")
@json_option
@file_option
def take(name: str | None, note: str, as_json: bool, file: Path) -> None:
    """Take a snapshot named NAME, or named after the time. Clients are not interrupted."""
    if _owner(file) is None:
        with _own(file) as own:
            taken = own.take(name, note)
    else:
        taken = _folder(file).take(name, note)
    _say(f"Took {taken.name}: {taken.events:,} events in {taken.topics:,} topics.", asdict(taken), as_json)


@snapshots.command()
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Only say what would be lost and what would come back.")
@click.option("--topic", help="Restore this topic alone.")
@click.option("--to", help="Copy the topic to this new topic; nothing else changes.")
@json_option
@file_option
def restore(name: str, dry_run: bool, topic: str | None, to: str | None, as_json: bool, file: Path) -> None:
    """Restore the snapshot NAME, or one topic of it. A snapshot of the current state is taken first."""
    if to is not None and topic is None:
        raise click.UsageError("--to names the new topic for --topic: give both.")
    if topic is not None and dry_run:
        raise click.UsageError("--dry-run is for a whole snapshot: sandbox snapshots compare shows a topic's events.")
    if topic is not None:
        _restore_topic(name, topic, to, as_json, file)
        return
    owner = _owner(file)
    path = f"/snapshots/{quote(name, safe='')}/restore.json"
    if dry_run:
        with _comparing(file, name, NOW) as found:
            _say_preview(found, as_json)
        return
    if owner is not None:
        told = _page(owner, "restore").post(path, within_s=600.0)
        undo = told["undo"]
    else:
        with _own(file) as own:
            undo = asdict(own.restore(name).undo)
    again = f"undo with: sandbox snapshots restore {shlex.quote(undo['name'])} --file {shlex.quote(str(file))}"
    why = again if undo["name"] else undo["skipped"]
    _say(f"Restored {name}; {why}", {"restored": name, "undo": undo["name"]}, as_json)


def _restore_topic(name: str, topic: str, to: str | None, as_json: bool, file: Path) -> None:
    owner = _owner(file)
    if owner is not None:
        path = f"/snapshots/{quote(name, safe='')}/topics/{'restore' if to is None else 'copy'}.json"
        body = {"topic": topic} | ({} if to is None else {"to": to})
        done = _page(owner, "restore_topic" if to is None else "copy_topic").post(path, body, within_s=600.0)
    else:
        with _own(file) as own:
            done = asdict(own.restore_topic(name, topic) if to is None else own.copy_topic(name, topic, to))
    undo = done["undo"]["name"]
    again = (
        f"; undo with: sandbox snapshots restore {shlex.quote(undo)} --file {shlex.quote(str(file))}" if undo else ""
    )
    verb = f"Restored {topic} of {name}" if to is None else f"Copied {topic} of {name} to {to}"
    _say(f"{verb}: {done['events']:,} events{again}", done, as_json)


def _say_preview(found: "Comparison", as_json: bool) -> None:
    lost, back = found.events_lost(), found.events_back()
    if as_json:
        show_json({"events_lost": lost, "events_back": back, "offsets": len(found.offsets), "same": found.same})
        return
    rows = [
        {"topic": topic, "events lost": lost.get(topic, 0), "events back": back.get(topic, 0)}
        for topic in sorted(lost.keys() | back.keys())
    ]
    show_rows(("topic", "events lost", "events back"), rows, as_json=False, empty="No event would be lost.")
    click.echo(f"{len(found.offsets):,} committed offsets would move. Nothing was changed.")


@snapshots.command()
@click.argument("name", default=NOW)
@json_option
@file_option
def fork(name: str, as_json: bool, file: Path) -> None:
    """Open a copy of NAME, or of the current state. If the file has no owner, only the copy is created."""
    owner = _owner(file)
    if owner is not None:
        made = _page(owner, "fork").post(f"/snapshots/{quote(name, safe='')}/fork.json", within_s=120.0)["fork"]
        _say(
            f"{name} is open beside: page {made['web']}, Kafka {made['kafka']}. It ends with its owner.", made, as_json
        )
        return
    with _own(file) as own:
        copy = own.copy(name)
    command = f"sandbox up {shlex.quote(str(copy))} --kafka-port 0 --ui-port 0"
    _say(f"Copied {name} to {copy}. Open it with: {command}", {"file": str(copy)}, as_json)


@contextmanager
def _comparing(file: Path, left: str, right: str) -> "Iterator[Comparison]":
    from sandbox.snapshots.description import compare as compared

    if _owner(file) is None and NOW in (left, right):
        with _own(file) as own:
            yield own.compare(left, right)
        return
    with _state(file, left) as a, _state(file, right) as b:
        yield compared(left, a, right, b)


@contextmanager
def _state(file: Path, name: str) -> "Iterator[Reader]":
    from sandbox.storage.file.snapshots import opened

    folder = _folder(file)
    path = folder.file if name == NOW else Path(folder.get(name).file)
    with opened(path, in_use=name == NOW) as reader:
        yield reader


@snapshots.command()
@click.argument("left")
@click.argument("right", default=NOW)
@json_option
@file_option
def compare(left: str, right: str, as_json: bool, file: Path) -> None:
    """Show the differences between LEFT and RIGHT: names of snapshots, or "now"."""
    with _comparing(file, left, right) as found:
        if as_json:
            show_json({"same": found.same, **asdict(found)})
            return
        rows = [
            {
                "what": "partition",
                "name": one.topic,
                "partition": one.partition,
                left: _ends(one.left),
                right: _ends(one.right),
            }
            for one in found.partitions
        ]
        rows += [
            {
                "what": "commit",
                "name": f"{one.group}: {one.topic}",
                "partition": one.partition,
                left: one.left,
                right: one.right,
            }
            for one in found.offsets
        ]
        rows += [
            {
                "what": "setting",
                "name": f"{one.resource}: {one.name}",
                "partition": None,
                left: one.left,
                right: one.right,
            }
            for one in found.settings
        ]
    show_rows(("what", "name", "partition", left, right), rows, as_json=False, empty="Nothing differs.")


def _ends(one: Any) -> str | None:
    return None if one is None else f"{one.start}-{one.end}"


@snapshots.command()
@click.argument("name")
@json_option
@file_option
def delete(name: str, as_json: bool, file: Path) -> None:
    """Delete the snapshot NAME."""
    _folder(file).delete(name)
    _say(f"Deleted {name}.", {"deleted": name}, as_json)


@snapshots.command("export")
@click.argument("name")
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@file_option
def export_snapshot(name: str, target: Path, as_json: bool, file: Path) -> None:
    """Copy the snapshot NAME to the file TARGET, which is then an ordinary sandbox file."""
    from sandbox.storage.file.snapshots import copy_file

    found = _folder(file).get(name)
    if target.exists():
        raise Failed(f"{target} exists. Choose another file name; nothing was changed.")
    part = target.with_name(f".{target.name}.part")
    try:
        copy_file(Path(found.file), part, in_use=False)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    _say(f"Copied {name} to {target}.", {"exported": name, "file": str(target)}, as_json)


@snapshots.command("import")
@click.argument("source", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--name", help="What to call it [default: after the time].")
@click.option("--note", default="", help="What to remember about it.")
@json_option
@file_option
def import_snapshot(source: Path, name: str | None, note: str, as_json: bool, file: Path) -> None:
    """Check the sandbox file SOURCE and store it as a snapshot. It is not restored."""
    log = source.with_name(source.name + "-wal")
    if log.exists() and log.stat().st_size:
        raise Failed(f"{source} is open, or was not closed: stop its owner, or take a snapshot of it and import that.")
    with source.open("rb") as reading:
        added = _folder(file).add(reading, name, note, bytes_max=IMPORT_BYTES_MAX)
    _say(f"Imported {added.name}: {added.events:,} events in {added.topics:,} topics.", asdict(added), as_json)


def _say(text: str, told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(told)
    else:
        click.echo(text)
