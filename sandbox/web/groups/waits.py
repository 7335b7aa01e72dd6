"""Describes which members a group waits for, until when, and what follows."""

from dataclasses import dataclass

from sandbox.model.groups import Awaited, GroupDescription, MemberDescription, member_names
from sandbox.web import formats as words

SHOWN_MAX = 5
EAGER = "Those that have joined already read nothing meanwhile."
COOPERATIVE = "The others read on meanwhile."


@dataclass(frozen=True, slots=True)
class Wait:
    """One sentence about a wait, and its consequences.

    Attributes:
        name: the member's name.
        before, after: the sentence's text before and after the name.
        until_ms: when the wait ends, as of now.
        limit: the text after that time.
        then: what the wait means, and what happens after that time.
    """

    name: str
    before: str
    after: str
    until_ms: int
    limit: str
    then: str


def names_of(group: GroupDescription) -> dict[str, str]:
    """Return member id to the name that all pages use for the member."""
    names = member_names((one.member_id, one.client_id, one.instance_id) for one in group.members)
    # The coordinator, if it was asked, knows more members than the rows do.
    return names | {one: name for one, name in group.waits.names.items() if one in names} if group.waits else names


def is_eager(group: GroupDescription) -> bool:
    """Return True if every member gives up all its partitions in each rebalance."""
    return group.type == "classic" and "cooperative" not in group.protocol


def waits_of(group: GroupDescription, now_ms: int) -> list[Wait]:
    """Return a group's waits, ordered by their end; at most `SHOWN_MAX`."""
    if group.waits is None:
        return []
    members = {member.member_id: member for member in group.members}
    return [_wait(group, one, members.get(one.member_id), now_ms) for one in group.waits.awaited[:SHOWN_MAX]]


def _wait(group: GroupDescription, one: Awaited, member: MemberDescription | None, now_ms: int) -> Wait:
    quiet = f", not heard of for {words.duration(max(0, now_ms - one.heard_ms))}" if one.heard_ms is not None else ""
    session_first = one.silent and one.decided_ms == one.session_ends_ms
    if one.what == "away":
        then = f"A static member that closed may come back until then, {_session(one)}, and keeps what it had."
        return Wait(one.name, "The group keeps the place of", "", one.decided_ms, "", then)
    if session_first or one.what == "heartbeat":
        in_rebalance = one.what in ("join", "assign")
        before = f"The {'rebalance' if in_rebalance else 'group'} waits for"
        then = _after_session(one, member) + (f" {_others(group)}" if in_rebalance else "")
        return Wait(one.name, before, quiet, one.decided_ms, " unless it is heard of before", then)
    before, after, then = _step(group, one)
    return Wait(one.name, before, after, one.decided_ms, " at the latest", then)


def _step(group: GroupDescription, one: Awaited) -> tuple[str, str, str]:
    """Return the texts about a live member: before its name, after it, and what follows."""
    if one.what == "assign":
        then = (
            "It leads the group, and shares out the partitions. After that time it is removed, and another one leads."
        )
        return "The rebalance waits for", " to hand out the partitions", f"{then} {_others(group)}"
    if one.what == "sync":
        then = "It joined, and has not asked for its partitions since (SyncGroup). After that time it is removed."
        return "The group waits for", "", then
    if one.what == "revoke":
        then = f"That is its rebalance timeout: then it is removed. {COOPERATIVE}"
        return "The group waits for", " to give partitions back", then
    goes_on = "continues without it" if one.static else "puts it out, and continues without it"
    then = f"That is the rebalance timeout, max.poll.interval.ms in most clients: then the group {goes_on}."
    if one.heard_ms is not None and not one.silent:
        then += " It is alive, and has not called poll() since the rebalance began: it is still processing its events."
    return "The rebalance waits for", " to join again", f"{then} {_others(group)}"


def _others(group: GroupDescription) -> str:
    return EAGER if is_eager(group) else COOPERATIVE


def _session(one: Awaited) -> str:
    return f"within its session of {words.duration(one.session_timeout_ms)}"


def _after_session(one: Awaited, member: MemberDescription | None) -> str:
    """Explain what a member's silence means."""
    held = _held(member)
    other = f": no other member reads {held} before" if held and one.what == "heartbeat" else ""
    length = words.duration(one.session_timeout_ms)
    return f"A program that was killed is a member until its session of {length} ends{other}. Then it is removed."


def _held(member: MemberDescription | None) -> str:
    """Return the first of a member's partitions, in words; empty if it has none."""
    if member is None:
        return ""
    found = [f"{topic} {', '.join(map(str, some[:8]))}" for topic, some in list(member.assignment.items())[:2] if some]
    count = sum(map(len, member.assignment.values()))
    return words.plural(count, "partition") if count > 8 else " and ".join(found)
