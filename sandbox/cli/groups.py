"""`sandbox groups`: list, describe and reset consumer groups."""

from typing import Any

import click

from sandbox.cli.display import show_json, show_rows
from sandbox.cli.group_offsets import GroupState, group_state, reset_rows, store_offsets
from sandbox.cli.position import parse_reset
from sandbox.cli.status import Failed
from sandbox.cli.streams import printable
from sandbox.cli.target import TIMEOUT_S, Target, json_option, target_options
from sandbox.cli.undo import undo_name, undo_point, undo_text
from sandbox.model.lag import range_text


@click.group()
def groups() -> None:
    """List, describe and reset consumer groups."""


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
    for name in sorted(found.group_id for found in listing.valid):
        state = group_state(admin, name)
        rows.append({"group": name, "state": state.state, "members": len(state.members), "lag": state.lag})
        astray[name] = sum(row["out_of_range"] is not None for row in state.partitions)
    show_rows(("group", "state", "members", "lag"), rows, as_json=as_json, empty="There are no groups.")
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
    """Show the committed offset and lag of GROUP in every partition, and its members."""
    from sandbox.cli.counts import count_unread

    target.require()
    state = _known(target, group)
    unread = count_unread(target, group)
    for row in state.partitions:
        row["unread"] = unread.get((row["topic"], row["partition"]))
    if as_json:
        show_json(
            {
                "group": group,
                "state": state.state,
                "lag": state.lag,
                "members": state.members,
                "partitions": state.partitions,
            }
        )
        return
    lag = "nothing committed" if state.lag is None else f"lag {state.lag}"
    if state.lag is not None and unread and sum(unread.values()) != state.lag:
        lag += f", {sum(unread.values())} unread"
    click.echo(f"{printable(group)}: {state.state}, {len(state.members)} members, {lag}")
    columns = ("topic", "partition", "committed_offset", "log_end_offset", "lag", "client_id")
    show_rows(columns, state.partitions, as_json=False, empty="It has committed nothing.")
    for row in state.partitions:
        if row["out_of_range"]:
            text = range_text(row["committed_offset"], row["log_start_offset"], row["log_end_offset"])
            click.echo(f"{printable(row['topic'])} {row['partition']} is out of range: {text}.")


def _known(target: Target, group: str) -> GroupState:
    state = group_state(target.admin(), group)
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
    """Reset the committed offsets of GROUP, which must have no members. Shows the old and new offsets first."""
    target.require()
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json does not ask: add --yes or --dry-run")
    position = parse_reset(to)
    admin = target.admin()
    state = group_state(admin, group)
    if state.members:
        raise Failed(
            f"NON_EMPTY_GROUP: {group} is {state.state} with {len(state.members)} members; stop them first, then reset"
        )
    rows: list[dict[str, Any]] = reset_rows(admin, group, topic, partition, position)
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
    store_offsets(admin, group, rows)
    if as_json:
        show_rows(columns, [{**row, **undo_name(point)} for row in rows], as_json=True, empty="")
    else:
        click.echo(f"Reset {len(rows)} partitions of {printable(group)}.{undo_text(target, point)}")
