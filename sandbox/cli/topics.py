"""`sandbox topics`: list, create, describe and delete topics. Commands that delete events: `topics_cleaning`."""

from typing import TYPE_CHECKING, Any

import click

from sandbox.cli.display import show_json, show_rows
from sandbox.cli.streams import printable
from sandbox.cli.target import TIMEOUT_S, Target, json_option, target_options
from sandbox.cli.topics_cleaning import apply_retention, compact, delete_records, empty
from sandbox.cli.undo import undo_name, undo_point, undo_text

if TYPE_CHECKING:
    from sandbox.model.topics import PartitionName


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
    from sandbox.cli.counts import column, count_all, total
    from sandbox.cli.log_offsets import ranges

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
    from sandbox.cli.counts import column, count_all, counted, total
    from sandbox.cli.log_offsets import places_of, ranges

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
    from sandbox.cli.counts import count_all, counted, total
    from sandbox.cli.log_offsets import places_of, ranges

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
