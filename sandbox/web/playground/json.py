"""A group's data for the Playground page, and the same objects as JSON."""

from typing import Any

from sandbox.model.group_history import Rebalance
from sandbox.model.groups import GroupDescription, MemberDescription, ShareWindow
from sandbox.playground.description import ConsumerDescription, GroupFacts, ScenarioDescription
from sandbox.web import formats as words
from sandbox.web.groups.waits import Wait, names_of, waits_of
from sandbox.web.payload import json_value

PARTITIONS_SHOWN = 48
ENDED_SHOWN = 4
"""How many ended consumers of a group are still shown, to compare their events with redelivered ones."""


def group_view(
    name: str,
    consumers: list[ConsumerDescription],
    group: GroupDescription | None,
    facts: GroupFacts,
    rebalances: list[Rebalance],
    windows: tuple[ShareWindow, ...],
    now_ms: int,
) -> dict[str, Any]:
    """Return the page's data of a group.

    Args:
        name: the group's id.
        consumers: the Playground's consumers that are or were in it.
        group: the cluster's description, None if the group doesn't exist yet.
        facts: the combined results of the consumers.
        rebalances: the latest ones, newest first.
        windows: of a share group.
        now_ms: when the group was described.
    """
    crashed = {one.client_id for one in consumers if one.state == "crashed"}
    waits = waits_of(group, now_ms) if group is not None else []
    ours = {one.client_id for one in consumers if one.alive}
    shown = [one.number for one in consumers if not one.alive][-ENDED_SHOWN:]
    members = group.members if group is not None else ()
    shares = any(one.spec.shares for one in consumers)
    partitions = group.partitions if group is not None and not shares else ()
    return {
        "name": name,
        "consumers": [one for one in consumers if one.alive or one.number in shown],
        "group": group,
        "facts": facts,
        "refused": sum(one.counts.get("dead_lettered", 0) for one in consumers),
        "shares": shares,
        "windows": windows[:PARTITIONS_SHOWN] if shares else (),
        "rebalances": () if shares else rebalances,
        "partitions": partitions[:PARTITIONS_SHOWN],
        "more_partitions": max(0, len(partitions) - PARTITIONS_SHOWN),
        "ours": ours,
        "others": [member for member in members if member.client_id not in {one.client_id for one in consumers}],
        "gone": {member.client_id: _session_ends_ms(member) for member in members if member.client_id in crashed},
        "names": names_of(group) if group is not None else {},
        "waits": waits,
        "alive": sum(one.alive for one in consumers),
        "ended": sum(not one.alive for one in consumers),
        "why_idle": {one.number: _why_idle(one, group, partitions, waits) for one in consumers},
    }


def _session_ends_ms(member: MemberDescription) -> int | None:
    """Return when a silent member will be removed; None if its last heartbeat is unknown."""
    heard_ms = member.last_heartbeat_ms
    return None if heard_ms is None else heard_ms + member.session_timeout_ms


def _why_idle(
    one: ConsumerDescription, group: GroupDescription | None, partitions: Any, waits: list[Wait]
) -> str | None:
    """Explain why a running consumer has no partition; None if it has one, or isn't running."""
    if not one.alive or one.assigned or one.state == "closing":
        return None
    if one.spec.flap_ms:
        return "between leaving and joining again"
    known = {member.client_id: member for member in (group.members if group is not None else ())}
    if one.client_id not in known:
        return "joining its group"
    if one.spec.shares:
        return None
    if group is not None and group.state != "Stable":
        others = [wait for wait in waits if wait.name != one.client_id]
        if not others:
            return f"its group is rebalancing ({group.state}): it waits until every member has answered"
        return f"its group is rebalancing, and waits for {others[0].name} until {words.clock(others[0].until_ms)}"
    mine = [lag for lag in partitions if lag.topic in one.spec.topics]
    owned = [lag for lag in mine if lag.member_id]
    if mine and len(owned) == len(mine):
        return f"idle: each of the {len(mine)} partitions has an owner, and there are {len(known)} members"
    return "no partition yet"


def consumer_json(one: ConsumerDescription) -> dict[str, Any]:
    """A consumer."""
    return {
        "consumer": one.number,
        "client_id": one.client_id,
        "group": one.spec.group,
        "topics": list(one.spec.topics),
        "state": one.state,
        "pid": one.pid,
        "assignment": [{"topic": topic, "partition": partition} for topic, partition in one.assigned],
        "positions": [
            {"topic": topic, "partition": partition, "offset": offset}
            for (topic, partition), offset in one.positions.items()
        ],
        "counts": dict(one.counts),
        "redelivered": one.redelivered,
        "injected": list(one.spec.injected()),
        "protocol": one.spec.protocol,
        "commit": None if one.spec.shares else one.spec.commit,
        "acknowledge": one.spec.acknowledge if one.spec.shares else None,
        "error": one.error,
        "events": [
            {
                "topic": event.topic,
                "partition": event.partition,
                "offset": event.offset,
                "key": json_value(event.key),
                "outcome": event.outcome,
                "attempts": event.attempts,
                "redelivered": event.redelivered,
            }
            for event in one.events
        ],
        "notes": [{"at_ms": at_ms, "text": text} for at_ms, text in one.notes],
    }


def facts_json(facts: GroupFacts) -> dict[str, Any]:
    """The combined results of a group's Playground consumers."""
    return {
        "group": facts.group,
        "processed": facts.processed,
        "redelivered": facts.redelivered,
        "missing_offsets": facts.missing,
        "gaps": [
            {"topic": topic, "partition": partition, "first": first, "last": last}
            for topic, partition, first, last in facts.passed_over
        ],
        "crashes": facts.crashes,
    }


def scenario_json(one: ScenarioDescription) -> dict[str, Any]:
    """A scenario."""
    return {
        "scenario": one.name,
        "title": one.title,
        "goal": one.goal,
        "running": one.running,
        "completed": one.completed,
        "steps": [{"text": step.text, "done": step.done} for step in one.steps],
        "actions": [{"action": action.name, "why_not": action.why_not} for action in one.actions],
        "events_sent": one.sent,
    }
