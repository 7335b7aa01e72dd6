"""`sandbox topics`: list, create, describe and delete topics, and delete their events."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from sandbox.cli.display import printable, show_json, show_rows
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
    from sandbox.cli.log_offsets import column, count_between, counted, places_of, total

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


class _PageTopics:
    """Cleans in the process that owns the file, through its page."""

    def __init__(self, page: "PageAddress") -> None:
        self._page = page

    def names(self) -> list[str]:
        return [topic["topic"] for topic in self._page.get("/topics.json")["topics"]]

    def preview(self, topic: str, do: str) -> Mapping[str, Any]:
        return self._page.get(f"/topics/{topic}/clean/{do}.json")

    def clean(self, topic: str, do: str) -> int:
        return int(self._page.post(f"/topics/{topic}/clean/{do}.json")["events"])


class _FileTopics:
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
            yield _FileTopics(sandbox)
        return
    page = of_owner(owner)
    if page is None:
        raise Failed(
            f"The sandbox on {path} (process {owner.get('pid', 'unknown')}) has no page open to ask it "
            "through. `sandbox up` opens one.",
            Status.FILE_IN_USE,
        )
    yield _PageTopics(page)


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


@click.group()
def topics() -> None:
    """List, create, describe and delete topics, and delete events."""


for command in (delete_records, empty, compact, apply_retention):
    topics.add_command(command)


@topics.command("list")
@click.option("--internal", is_flag=True, help="Internal topics too (their names begin with __).")
@json_option
@target_options
def list_topics(internal: bool, as_json: bool, target: Target) -> None:
    """List the topics with number of partitions and events (offsets, for a cluster)."""
    from sandbox.cli.log_offsets import column, count_all, ranges, total

    target.require()
    admin = target.admin()
    found = admin.list_topics(timeout=TIMEOUT_S).topics
    names = [name for name in sorted(found) if internal or not name.startswith("__")]
    spans = ranges(admin, [(name, partition) for name in names for partition in found[name].partitions])
    events = count_all(target, spans)
    by_topic: dict[str, list[PartitionName]] = {name: [] for name in names}
    for place in spans:
        by_topic[place[0]].append(place)
    rows = [
        {
            "topic": name,
            "partitions": len(places),
            "events": total({place: events[place] for place in places}),
            "offsets": sum(spans[place][1] - spans[place][0] for place in places),
        }
        for name, places in by_topic.items()
    ]
    show_rows(("topic", "partitions", column(target)), rows, as_json=as_json, empty="There are no topics.")


@topics.command(
    epilog="""\b
Examples:
  sandbox topics create orders --partitions 6
  sandbox topics create users --config cleanup.policy=compact"""
)
@click.argument("topic")
@click.option(
    "--partitions", "-p", type=click.IntRange(min=1), help="How many; num.partitions of the broker if absent."
)
@click.option("--replication-factor", type=click.IntRange(min=1), help="For a cluster; its default if absent.")
@click.option("--config", "-c", "settings", multiple=True, metavar="KEY=VALUE", help="A setting, any number of them.")
@json_option
@target_options
def create(
    topic: str,
    partitions: int | None,
    replication_factor: int | None,
    settings: tuple[str, ...],
    as_json: bool,
    target: Target,
) -> None:
    """Create TOPIC."""
    from sandbox.cli.log_offsets import places_of

    values = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{setting!r} is not KEY=VALUE", param_hint="--config")
        values[key] = value
    admin = target.admin()
    create_topic(admin, topic, partitions, replication_factor, values)
    made = len(places_of(admin, topic))
    if as_json:
        show_json({"topic": topic, "partitions": made})
    else:
        click.echo(f"Created {topic} with {made} partition{'s' if made != 1 else ''}.")


def create_topic(
    admin: Any, topic: str, partitions: int | None, replication_factor: int | None, settings: dict[str, str]
) -> None:
    """Create a topic and wait until it exists. None leaves a number to the broker."""
    from sandbox.cli.log_offsets import KAFKA_ADMIN

    new = KAFKA_ADMIN.NewTopic(topic, partitions or -1, replication_factor or -1, config=settings)
    admin.create_topics([new], operation_timeout=TIMEOUT_S)[topic].result()


@topics.command()
@click.argument("topic")
@json_option
@target_options
def describe(topic: str, as_json: bool, target: Target) -> None:
    """Show the partitions of TOPIC and its changed settings."""
    from sandbox.cli.log_offsets import column, count_all, counted, places_of, ranges, total

    target.require()
    admin = target.admin()
    spans = ranges(admin, places_of(admin, topic))
    counts = count_all(target, spans)
    rows = _partition_rows(admin.list_topics(timeout=TIMEOUT_S).topics[topic].partitions, spans, counts)
    settings = changed_settings(admin, topic)
    events, offsets = total(counts), sum(row["offsets"] for row in rows)
    if as_json:
        found = {"topic": topic, "events": events, "offsets": offsets, "partitions": rows, "settings": settings}
        show_json(found)
        return
    click.echo(f"{topic}: {len(rows)} partitions, {counted(events, offsets)}")
    for name, value in settings.items():
        click.echo(f"{name} = {printable(str(value))}")
    columns = ("partition", "log_start_offset", "log_end_offset", column(target), "leader", "replicas", "isr")
    shown = [{**row, "replicas": _numbers(row["replicas"]), "isr": _numbers(row["isr"])} for row in rows]
    show_rows(columns, shown, as_json=False, empty="It has no partitions.")


def _partition_rows(
    partitions: Any, spans: "dict[PartitionName, tuple[int, int]]", counts: "dict[PartitionName, int | None]"
) -> list[dict[str, Any]]:
    return [
        {
            "partition": partition,
            "log_start_offset": start,
            "log_end_offset": end,
            "events": counts[topic, partition],
            "offsets": end - start,
            "leader": partitions[partition].leader,
            "replicas": list(partitions[partition].replicas),
            "isr": list(partitions[partition].isrs),
        }
        for (topic, partition), (start, end) in spans.items()
    ]


def changed_settings(admin: Any, topic: str) -> dict[str, str | None]:
    """Return a topic's changed settings; None for a secret."""
    from sandbox.cli.log_offsets import KAFKA_ADMIN

    resource = KAFKA_ADMIN.ConfigResource(KAFKA_ADMIN.ResourceType.TOPIC, topic)
    found = admin.describe_configs([resource], request_timeout=TIMEOUT_S)[resource].result()
    changed = KAFKA_ADMIN.ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    return {name: entry.value for name, entry in sorted(found.items()) if entry.source == changed}


def _numbers(found: list[int]) -> str:
    return ", ".join(map(str, found))


@topics.command()
@click.argument("names", metavar="TOPIC...", nargs=-1, required=True)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
@target_options
def delete(names: tuple[str, ...], yes: bool, as_json: bool, target: Target) -> None:
    """Delete topics, with all their events."""
    from sandbox.cli.log_offsets import count_all, counted, places_of, ranges, total

    target.require()
    if as_json and not yes:
        raise click.UsageError("--json does not ask: add --yes")
    admin = target.admin()
    places = [place for name in names for place in places_of(admin, name)]
    if not yes:
        spans = ranges(admin, places)
        held = counted(total(count_all(target, spans)), sum(end - start for start, end in spans.values()))
        click.confirm(f"Delete {', '.join(names)} with {held}?", abort=True)
    point = undo_point(target, f"delete {'topic' if len(names) == 1 else 'topics'} {', '.join(names)}")
    deletions = admin.delete_topics(list(names), operation_timeout=TIMEOUT_S)
    for name in names:
        deletions[name].result()
        if as_json:
            show_json({"topic": name, "deleted": True, **undo_name(point)})
        else:
            click.echo(f"Deleted {name}.{undo_text(target, point) if name == names[-1] else ''}")
