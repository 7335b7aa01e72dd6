"""Deletes events of topics: `delete-records`, `empty`, `compact` and `apply-retention` of `sandbox topics`.

Records are deleted with Kafka's protocol, so in any cluster. Kafka has no request for compaction or retention. The
file's owner runs those two, called through its page; without an owner, this process does.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from sandbox.cli.display import show_json, show_rows
from sandbox.cli.status import Failed, Status
from sandbox.cli.target import DEFAULT_FILE, TIMEOUT_S, Target, chosen_file, json_option, target_options
from sandbox.cli.undo import undo_name, undo_point, undo_text

if TYPE_CHECKING:
    from sandbox.api.sandbox import Sandbox
    from sandbox.cli.page_address import PageAddress
    from sandbox.model.topics import PartitionName

COMPACT, RETENTION = "compact", "retention"
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


@click.command(
    "delete-records",
    epilog="""\b
Examples:
  sandbox topics delete-records orders --before 1000 --partition 0
  sandbox topics delete-records orders --before 7d
  sandbox topics delete-records orders --all""",
)
@click.argument("topic")
@click.option("--before", metavar="OFFSET|TIME", help="Everything before this offset, or time (ISO, or 2h, 7d ago).")
@click.option("--all", "every", is_flag=True, help="Everything.")
@click.option("--partition", "-p", "partitions", type=int, multiple=True, help="Only this one; any number of them.")
@yes_option
@json_option
@target_options
def delete_records(
    topic: str, before: str | None, every: bool, partitions: tuple[int, ...], yes: bool, as_json: bool, target: Target
) -> None:
    """Delete the oldest events of TOPIC, up to an offset or a time. Shows first what will be deleted."""
    if (before is None) != every:
        raise click.UsageError("say either --before OFFSET|TIME or --all")
    _delete(topic, before, partitions, yes, as_json, target)


@click.command(
    epilog="""\b
Example:
  sandbox topics empty orders --yes"""
)
@click.argument("topic")
@yes_option
@json_option
@target_options
def empty(topic: str, yes: bool, as_json: bool, target: Target) -> None:
    """Delete every event of TOPIC. The topic stays, and its offsets continue."""
    _delete(topic, None, (), yes, as_json, target)


def _delete(
    topic: str, before: str | None, partitions: tuple[int, ...], yes: bool, as_json: bool, target: Target
) -> None:
    from sandbox.cli.counts import column, count_between, counted, total
    from sandbox.cli.log_offsets import places_of

    target.require()
    if as_json and not yes:
        raise click.UsageError("--json does not ask: add --yes")
    admin = target.admin()
    places = [place for place in places_of(admin, topic) if not partitions or place[1] in partitions]
    unknown = sorted(set(partitions) - {partition for _, partition in places})
    if unknown:
        raise Failed(f"UNKNOWN_TOPIC_OR_PARTITION: {topic} has no partition {unknown[0]}.")
    plan = _plan(admin, places, before)
    counts = count_between(target, {(topic, row["partition"]): (row["log_start_offset"], row["after"]) for row in plan})
    rows = [{**row, "events": counts[topic, row["partition"]]} for row in plan if row["offsets"]]
    held = counted(total(counts), sum(row["offsets"] for row in rows))
    if not rows:
        if not as_json:
            click.echo(f"There is nothing to delete in {topic}.", err=True)
        return
    if not yes:
        show_rows(
            ("partition", "log_start_offset", "after", "log_end_offset", column(target)), rows, as_json=False, empty=""
        )
        click.confirm(f"Delete {held} of {topic}?", abort=True)
    point = undo_point(target, f"empty {topic}" if before is None else f"delete records of {topic}")
    _delete_below(admin, {(topic, row["partition"]): row["after"] for row in rows})
    if as_json:
        show_rows((), [{"topic": topic, **row, **undo_name(point)} for row in rows], as_json=True, empty="")
    else:
        click.echo(f"Deleted {held} of {topic}.{undo_text(target, point)}")


def _plan(admin: Any, places: "list[PartitionName]", before: str | None) -> list[dict[str, Any]]:
    """Return each log's new start, from `before`; None for its end. Positions outside a log become its nearer end."""
    from sandbox.cli.log_offsets import offsets_at_time, ranges
    from sandbox.cli.position import LATEST, TIME, Position, parse_start

    position = Position(LATEST) if before is None else parse_start(before)
    at_time = offsets_at_time(admin, places, position.number) if position.kind == TIME else {}
    rows = []
    for place, (start, end) in ranges(admin, places).items():
        after = position.offset(start, end, at_time.get(place), None)
        rows.append(
            {
                "partition": place[1],
                "log_start_offset": start,
                "after": after,
                "log_end_offset": end,
                "offsets": after - start,
            }
        )
    return rows


def _delete_below(admin: Any, offsets: "Mapping[PartitionName, int]") -> None:
    from confluent_kafka import TopicPartition

    wanted = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
    for deleted in admin.delete_records(wanted, request_timeout=TIMEOUT_S).values():
        deleted.result()


def _events(count: int) -> str:
    return f"{count} event{'s' if count != 1 else ''}"


class _Cleaner(Protocol):
    """Compacts topics and applies retention."""

    def names(self) -> list[str]:
        """Return the names of all topics."""

    def preview(self, topic: str, do: str) -> Mapping[str, Any]:
        """Return the effect of compaction or retention: `events` is the number of events to delete."""

    def clean(self, topic: str, do: str) -> int:
        """Run compaction or retention. Returns the number of deleted events."""


class _Page:
    """Cleans in the process that owns the file, through its page."""

    def __init__(self, page: "PageAddress") -> None:
        self._page = page

    def names(self) -> list[str]:
        return [topic["topic"] for topic in self._page.get("/topics.json")["topics"]]

    def preview(self, topic: str, do: str) -> Mapping[str, Any]:
        return self._page.get(f"/topics/{topic}/clean/{do}.json")

    def clean(self, topic: str, do: str) -> int:
        return int(self._page.post(f"/topics/{topic}/clean/{do}.json")["events"])


class _File:
    """Cleans in this process, if the file has no owner."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox

    def names(self) -> list[str]:
        return [topic.topic for topic in self._sandbox.topics()]

    def preview(self, topic: str, do: str) -> Mapping[str, Any]:
        if do == COMPACT:
            return {"events": self._sandbox.logs.preview_compaction(topic).obsolete}
        return {"events": sum(loss.events for loss in self._sandbox.logs.preview_retention(topic))}

    def clean(self, topic: str, do: str) -> int:
        if self.preview(topic, do)["events"]:
            self._sandbox.snapshots.before(f"{'compact' if do == COMPACT else 'apply retention to'} {topic}")
        if do == COMPACT:
            return self._sandbox.compact(topic)
        before = self._sandbox.topic(topic).events
        self._sandbox.apply_retention(topic)
        return max(0, before - self._sandbox.topic(topic).events)


@contextmanager
def _cleaner(file: Path | None) -> Iterator[_Cleaner]:
    from sandbox.cli.page_address import of_owner
    from sandbox.storage.file.lock import read_owner

    path = chosen_file(file)
    Target(path, {}, path).require()
    owner = read_owner(path)
    if owner is None:
        from sandbox.api.sandbox import Sandbox

        with Sandbox(path) as sandbox:
            yield _File(sandbox)
        return
    page = of_owner(owner)
    if page is None:
        raise Failed(
            f"The sandbox on {path} (process {owner.get('pid', 'unknown')}) has no page open to ask it "
            "through. `sandbox up` opens one.",
            Status.FILE_IN_USE,
        )
    yield _Page(page)


file_option = click.option(
    "--file",
    "-f",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help=f"The sandbox file, running or not [env: SANDBOX_FILE, else {DEFAULT_FILE}].",
)


@click.command(
    epilog="""\b
Example:
  sandbox topics compact users"""
)
@click.argument("topic")
@yes_option
@json_option
@file_option
def compact(topic: str, yes: bool, as_json: bool, file: Path | None) -> None:
    """Compact TOPIC now: keep each key's latest event. Its cleanup.policy must include compact."""
    _refuse_to_ask(yes, as_json)
    with _cleaner(file) as cleaner:
        if not yes:
            about = _events(cleaner.preview(topic, COMPACT)["events"])
            click.confirm(
                f"Compact {topic}? Of its newest events about {about} would go, which have a later one.", abort=True
            )
        gone = cleaner.clean(topic, COMPACT)
    if as_json:
        show_json({"topic": topic, "events": gone})
    else:
        click.echo(f"Compacted {topic}: {_events(gone)} went.")


@click.command(
    "apply-retention",
    epilog="""\b
Examples:
  sandbox topics apply-retention orders
  sandbox topics apply-retention --yes""",
)
@click.argument("topic", required=False)
@yes_option
@json_option
@file_option
def apply_retention(topic: str | None, yes: bool, as_json: bool, file: Path | None) -> None:
    """Delete the events of TOPIC, or of all topics, that exceed retention.ms or retention.bytes."""
    _refuse_to_ask(yes, as_json)
    with _cleaner(file) as cleaner:
        names = [topic] if topic is not None else cleaner.names()
        rows = [{"topic": name, "events": cleaner.preview(name, RETENTION)["events"]} for name in names]
        losing = [row for row in rows if row["events"]]
        if losing and not yes:
            show_rows(("topic", "events"), losing, as_json=False, empty="")
            events = sum(row["events"] for row in losing)
            click.confirm(f"Delete {_events(events)}, which are too old or too much?", abort=True)
        done = [{"topic": row["topic"], "events": cleaner.clean(str(row["topic"]), RETENTION)} for row in rows]
    if as_json:
        show_rows((), done, as_json=True, empty="")
        return
    gone = sum(row["events"] for row in done)
    click.echo(f"Deleted {_events(gone)}." if gone else "Nothing is too old or too much.")


def _refuse_to_ask(yes: bool, as_json: bool) -> None:
    if as_json and not yes:
        raise click.UsageError("--json does not ask: add --yes")
