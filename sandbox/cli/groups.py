"""`sandbox groups`: list, describe, reset and delete consumer groups and share groups."""

from typing import Any

import click

from sandbox.cli.display import printable, show_json, show_rows
from sandbox.cli.group_alerts import alert
from sandbox.cli.group_requests import SHARE, GroupRequests, GroupState, share_group_names
from sandbox.cli.position import TIME, Position, parse_reset
from sandbox.cli.status import Failed
from sandbox.cli.target import TIMEOUT_S, Target, json_option, target_options
from sandbox.cli.undo import undo_name, undo_point, undo_text
from sandbox.model.lag_trend import lag_of, range_of, range_text

_STATE_WORDS = {
    "STABLE": "Stable",
    "EMPTY": "Empty",
    "DEAD": "Dead",
    "PREPARING_REBALANCING": "PreparingRebalance",
    "COMPLETING_REBALANCING": "CompletingRebalance",
    "UNKNOWN": "Unknown",
}


def group_state(admin: Any, group: str) -> GroupState:
    """Fetch the state of one group. An unknown group is Dead and empty."""
    from confluent_kafka import KafkaException

    from sandbox.cli.log_offsets import committed_offsets, ranges

    try:
        found = admin.describe_consumer_groups([group], request_timeout=TIMEOUT_S)[group].result()
    except KafkaException as error:
        if error.args[0].name() != "GROUP_ID_NOT_FOUND":
            raise
        return GroupState("Dead", [], [], None)
    members, owners = [], {}
    for member in found.members:
        places = [(place.topic, place.partition) for place in member.assignment.topic_partitions or ()]
        owners.update(dict.fromkeys(places, member))
        members.append(
            {
                "member_id": member.member_id,
                "client_id": member.client_id,
                "host": member.host,
                "partitions": [{"topic": topic, "partition": partition} for topic, partition in sorted(places)],
            }
        )
    committed = committed_offsets(admin, group)
    # Log ends are read after the commits, so that no commit is ahead of its log.
    spans = ranges(admin, _partitions_of(admin, {topic for topic, _ in (*committed, *owners)}))
    partitions: list[dict[str, Any]] = []
    for place, (start, end) in sorted(spans.items()):
        at, owner = committed.get(place), owners.get(place)
        partitions.append(
            {
                "topic": place[0],
                "partition": place[1],
                "committed_offset": at,
                "log_start_offset": start,
                "log_end_offset": end,
                "lag": None if at is None else lag_of(at, start, end),
                "uncommitted_lag": max(0, end - start) if at is None else 0,
                "out_of_range": range_of(at, start, end),
                "deleted_unread": 0 if at is None else max(0, start - at),
                "member_id": owner and owner.member_id,
                "client_id": owner and owner.client_id,
            }
        )
    lags = [row["lag"] for row in partitions if row["lag"] is not None]
    return GroupState(
        _STATE_WORDS.get(found.state.name, found.state.name), members, partitions, sum(lags) if lags else None
    )


def _partitions_of(admin: Any, names: set[str]) -> list[tuple[str, int]]:
    # Kafka keeps the commits of a deleted topic for a while.
    topics = admin.list_topics(timeout=TIMEOUT_S).topics
    return sorted((name, partition) for name in names if name in topics for partition in topics[name].partitions)


def _that_exist(admin: Any, places: set[tuple[str, int]]) -> list[tuple[str, int]]:
    # Kafka keeps the commits of a deleted topic for a while.
    topics = admin.list_topics(timeout=TIMEOUT_S).topics
    return sorted(
        (topic, partition) for topic, partition in places if topic in topics and partition in topics[topic].partitions
    )


def reset_rows(
    admin: Any,
    group: str,
    topic: str | None,
    partition: int | None,
    position: Position,
    starts: dict[tuple[str, int], int] | None = None,
) -> list[dict[str, Any]]:
    """Return what a reset would do: one mapping per partition, with the fields of `sandbox groups reset --json`.

    Args:
        admin: an admin client.
        group: the group; it need not exist if a topic is named.
        topic: None for all topics in which the group has committed.
        partition: None for all.
        position: the position to reset to.
        starts: the start offsets of a share group; None for a group with committed offsets.

    Raises:
        Failed: there is nothing to reset.
    """
    from sandbox.cli.log_offsets import committed_offsets, offsets_at_time, places_of, ranges

    committed = committed_offsets(admin, group) if starts is None else starts
    places = _that_exist(admin, set(committed)) if topic is None else places_of(admin, topic)
    places = [place for place in places if partition is None or place[1] == partition]
    if not places:
        raise Failed(
            f"{group} has committed nothing here: name a --topic"
            if topic is None
            else f"UNKNOWN_TOPIC_OR_PARTITION: {topic} has no partition {partition}"
        )
    spans = ranges(admin, places)
    times = offsets_at_time(admin, places, position.number) if position.kind == TIME else {}
    rows = []
    for place, (start, end) in spans.items():
        after = position.offset(start, end, times.get(place), committed.get(place))
        rows.append(
            {
                "topic": place[0],
                "partition": place[1],
                "before": committed.get(place),
                "after": after,
                "log_start_offset": start,
                "log_end_offset": end,
                "lag_after": end - after,
            }
        )
    return rows


def store_offsets(admin: Any, group: str, rows: list[dict[str, Any]]) -> None:
    """Commit each row's `after` for the group.

    Raises:
        Failed: members have joined meanwhile, or a partition was refused.
    """
    from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

    asked = [TopicPartition(row["topic"], row["partition"], row["after"]) for row in rows]
    changed = admin.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group, asked)], request_timeout=TIMEOUT_S
    )
    for place in changed[group].result().topic_partitions:
        if place.error is not None:
            raise KafkaException(place.error)


@click.group()
def groups() -> None:
    """List, describe, reset and delete groups: consumer groups and share groups. Set alerts on their lag."""


groups.add_command(alert)


@groups.command("list")
@json_option
@target_options
def list_groups(as_json: bool, target: Target) -> None:
    """List the groups with state, number of members and lag."""
    target.require()
    admin = target.admin()
    listing = admin.list_consumer_groups(request_timeout=TIMEOUT_S).result()
    for error in listing.errors or ():
        raise error
    rows = []
    astray = {}
    names = {found.group_id for found in listing.valid} | set(share_group_names(target))
    for name in sorted(names):
        state = _state(target, admin, name)
        rows.append(
            {
                "group": name,
                "type": state.type,
                "state": state.state,
                "members": len(state.members),
                "lag": state.lag,
                "uncommitted_lag": state.uncommitted_lag,
                "uncommitted_partitions": state.uncommitted_partitions,
            }
        )
        astray[name] = sum(row["out_of_range"] is not None for row in state.partitions)
    columns = ["group", "type", "state", "members", "lag", "uncommitted_lag"]
    if as_json:
        columns.append("uncommitted_partitions")
    show_rows(columns, rows, as_json=as_json, empty="There are no groups.")
    for name, count in [] if as_json else astray.items():
        if count:
            partitions = "1 partition is" if count == 1 else f"{count} partitions are"
            shown = printable(name)
            click.echo(f"{shown}: {partitions} out of range. See: sandbox groups describe {shown}")


@groups.command()
@click.argument("group")
@json_option
@target_options
def describe(group: str, as_json: bool, target: Target) -> None:
    """Show the committed or start offset and the lag of GROUP in every partition, and its members."""
    from sandbox.cli.log_offsets import count_unread

    target.require()
    state = _known(target, group)
    if state.type == SHARE:
        _describe_share(group, state, as_json)
        return
    unread = count_unread(target, group)
    for row in state.partitions:
        row["unread"] = unread.get((row["topic"], row["partition"]))
    if as_json:
        show_json(
            {
                "group": group,
                "state": state.state,
                "lag": state.lag,
                "uncommitted_lag": state.uncommitted_lag,
                "uncommitted_partitions": state.uncommitted_partitions,
                "members": state.members,
                "partitions": state.partitions,
            }
        )
        return
    lag = state.lag_text
    if state.lag is not None and unread and sum(unread.values()) != state.lag:
        lag += f", {sum(unread.values())} unread"
    click.echo(f"{printable(group)}: {state.state}, {len(state.members)} members, {lag}")
    columns = ("topic", "partition", "committed_offset", "log_end_offset", "lag", "client_id")
    show_rows(columns, state.partitions, as_json=False, empty="It has committed nothing.")
    for row in state.partitions:
        if row["out_of_range"]:
            text = range_text(row["committed_offset"], row["log_start_offset"], row["log_end_offset"])
            click.echo(f"{printable(row['topic'])} {row['partition']} is out of range: {text}.")


def _describe_share(group: str, state: GroupState, as_json: bool) -> None:
    if as_json:
        shown = {"group": group, "type": state.type, "state": state.state, "lag": state.lag}
        show_json({**shown, "members": state.members, "partitions": state.partitions})
        return
    lag = "nothing fetched" if state.lag is None else f"lag {state.lag}"
    click.echo(f"{printable(group)}: share group, {state.state}, {len(state.members)} members, {lag}")
    columns = ("topic", "partition", "start_offset", "lag")
    show_rows(columns, state.partitions, as_json=False, empty="It shares no partition.")


def _state(target: Target, admin: Any, group: str) -> GroupState:
    """Return the state of a group of any kind. Kafka describes share groups separately."""
    state = group_state(admin, group)
    if state.exists:
        return state
    return GroupRequests(target, group).share_state() or state


def _known(target: Target, group: str) -> GroupState:
    state = _state(target, target.admin(), group)
    if not state.exists:
        raise Failed(f"GROUP_ID_NOT_FOUND: there is no group {group}. See: sandbox groups list")
    return state


@groups.command(
    epilog="""\b
Examples:
  sandbox groups reset billing --to earliest --dry-run
  sandbox groups reset billing --to time:2026-01-31T12:00:00Z --topic orders
  sandbox groups reset billing --to shift:-100 --yes"""
)
@click.argument("group")
@click.option("--to", required=True, metavar="PLACE", help="earliest, latest, offset:N, time:ISO (or ms) or shift:N.")
@click.option("--topic", help="Only this topic; all that the group has committed in, if absent.")
@click.option("--partition", type=click.IntRange(min=0), help="Only this partition.")
@click.option("--dry-run", is_flag=True, help="Show what would happen, and change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
@target_options
def reset(
    group: str,
    to: str,
    topic: str | None,
    partition: int | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    target: Target,
) -> None:
    """Reset the committed offsets, or the start offsets of a share group, of GROUP, which must have no members.

    Shows the old and new offsets first. A share group forgets the state of every record in flight.
    """
    target.require()
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json does not ask: add --yes or --dry-run")
    position = parse_reset(to)
    admin = target.admin()
    state = _state(target, admin, group)
    if state.members:
        raise Failed(
            f"NON_EMPTY_GROUP: {group} is {state.state} with {len(state.members)} members; stop them first, then reset"
        )
    starts = _starts(state) if state.type == SHARE else None
    rows: list[dict[str, Any]] = reset_rows(admin, group, topic, partition, position, starts)
    columns = ("topic", "partition", "before", "after", "log_start_offset", "log_end_offset", "lag_after")
    if not as_json:
        show_rows(columns, rows, as_json=False, empty="")
    if dry_run:
        if as_json:
            show_rows(columns, rows, as_json=True, empty="")
        else:
            click.echo("Nothing was changed (--dry-run).")
        return
    if not yes:
        click.confirm(f"Reset {len(rows)} partitions of {printable(group)}?", abort=True)
    point = undo_point(target, f"reset group {group}")
    if starts is None:
        store_offsets(admin, group, rows)
    else:
        GroupRequests(target, group).alter_start_offsets(rows)
    if as_json:
        show_rows(columns, [{**row, **undo_name(point)} for row in rows], as_json=True, empty="")
    else:
        click.echo(f"Reset {len(rows)} partitions of {printable(group)}.{undo_text(target, point)}")


def _starts(state: GroupState) -> dict[tuple[str, int], int]:
    return {(row["topic"], row["partition"]): row["start_offset"] or 0 for row in state.partitions}


@groups.command(
    epilog="""\b
Examples:
  sandbox groups delete billing
  sandbox groups delete billing --topic orders --yes"""
)
@click.argument("group")
@click.option("--topic", help="Delete only the offsets in this topic; the group stays.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@target_options
def delete(group: str, topic: str | None, yes: bool, target: Target) -> None:
    """Delete GROUP and its offsets. It must have no members; with --topic, none that reads the topic."""
    target.require()
    state = _known(target, group)
    rows = [row for row in state.partitions if topic is None or row["topic"] == topic]
    if topic is not None and not rows:
        raise Failed(f"{group} has no offset in {topic}. See: sandbox groups describe {group}")
    what = printable(group) if topic is None else f"the offsets of {printable(group)} in {printable(topic)}"
    if not yes:
        click.confirm(f"Delete {what} ({len(rows)} partitions, lag {state.lag or 0})?", abort=True)
    requests = GroupRequests(target, group)
    point = undo_point(target, f"delete group {group}")
    if topic is None:
        requests.delete()
    else:
        requests.delete_offsets(topic, [row["partition"] for row in rows], state.type)
    click.echo(f"Deleted {what}.{undo_text(target, point)}")
