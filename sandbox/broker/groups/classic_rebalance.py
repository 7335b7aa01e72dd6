"""The steps of a rebalance: prepare, wait, begin the generation, assign.

Every function leaves the group in a state of the table; answers wait in the group's outbox. Rules: KIP-134 (initial
delay), KIP-345 (static members aren't removed for missing a rebalance), and the rebalance timeout of pending
SyncGroups.
"""

from collections import Counter
from collections.abc import Mapping

from sandbox.broker.groups.calls import JoinAnswer, SyncAnswer
from sandbox.broker.groups.classic_group import EndedRebalance, Group, GroupEvent, Member, State
from sandbox.model.rebalance import Cause, Wait, rebalance_details

PENDING_JOIN_WAIT_MS = 500
"""How long a first rebalance without initial delay waits for new member ids (MEMBER_ID_REQUIRED) to join.

Kafka waits `group.initial.rebalance.delay.ms`, 3 s by default, for any additional member. The sandbox waits only for
members that are known to be joining: consumers that start together then meet in one rebalance. Otherwise the first
would learn of the others with its next heartbeat, seconds later.
"""
STATIC_JOIN_WAIT_MS, STATIC_JOIN_WAITS_MS = 250, 1_000
"""How long a first rebalance without initial delay waits after each joining static member, and at most in total.

A static member (`group.instance.id`) joins without requesting a member id first, so the others are not known in
advance. Without this wait, the first of several that start together would get every partition, and lose some seconds
later.
"""


def waited_for(group: Group, member: Member, now_ms: int) -> None:
    """Record how long the group has waited for a member that rejoins now, or is removed."""
    waited_ms = now_ms - group.since_ms
    if group.state is State.PREPARING_REBALANCE and member.join_reply is None and waited_ms > 0:
        wait: Wait = ("join", group.name_of(member))
        group.waited[wait] = group.waited.get(wait, 0) + waited_ms


def note(group: Group, *causes: Cause, now_ms: int) -> None:
    """Record causes of the rebalance."""
    if group.started_ms is None:
        group.started_ms = now_ms
    group.causes.extend(causes)


def prepare(group: Group, *causes: Cause, now_ms: int, initial_delay_ms: int) -> None:
    """Start a rebalance: JoinGroup answers are delayed until all members have joined or the timeout has passed.

    Args:
        group: Empty, CompletingRebalance or Stable.
        initial_delay_ms: how long an Empty group waits for more members.
    """
    note(group, *causes, now_ms=now_ms)
    if group.state is State.COMPLETING_REBALANCE:
        for member in group.members.values():
            member.assignment = b""
            answer_sync(group, member, SyncAnswer("REBALANCE_IN_PROGRESS"), now_ms)
    group.unsynced.clear()
    group.sync_deadline_ms = None
    initial = group.state is State.EMPTY
    group.move(GroupEvent.PREPARE, now_ms)
    group.newcomer = False
    group.initial_delay_ms = 0
    if initial:
        longest_ms = group.rebalance_timeout_ms()
        if not initial_delay_ms and any(member.instance_id is not None for member in group.members.values()):
            initial_delay_ms, longest_ms = STATIC_JOIN_WAIT_MS, min(longest_ms, STATIC_JOIN_WAITS_MS)
        wait_ms = initial_delay_ms or PENDING_JOIN_WAIT_MS
        group.initial_delay_ms = initial_delay_ms
        group.initial_left_ms = max(0, longest_ms - wait_ms)
        group.join_deadline_ms = now_ms + wait_ms
    else:
        group.join_deadline_ms = now_ms + group.rebalance_timeout_ms()
    begin_if_complete(group, now_ms)


def prepare_or_begin(group: Group, *causes: Cause, now_ms: int, initial_delay_ms: int) -> None:
    """Start a rebalance. If one is being prepared, check if it waits for any more members instead."""
    if group.state is State.PREPARING_REBALANCE:
        note(group, *causes, now_ms=now_ms)
        begin_if_complete(group, now_ms)
    else:
        prepare(group, *causes, now_ms=now_ms, initial_delay_ms=initial_delay_ms)


def begin_if_complete(group: Group, now_ms: int) -> None:
    """Begin the next generation if the group prepares one, and no member is missing."""
    if group.state is not State.PREPARING_REBALANCE:
        return
    if not group.members or (group.all_joined() and not group.initial_delay_ms):
        begin_generation(group, now_ms)


def join_deadline_passed(group: Group, now_ms: int) -> None:
    """Handle the end of the wait for members. A first rebalance extends it while new members keep joining."""
    if group.initial_delay_ms and group.newcomer and group.initial_left_ms:
        wait_ms = min(group.initial_delay_ms, group.initial_left_ms)
        group.newcomer = False
        group.initial_left_ms -= wait_ms
        group.join_deadline_ms = now_ms + wait_ms
    else:
        begin_generation(group, now_ms)


def begin_generation(group: Group, now_ms: int) -> None:
    """Remove the dynamic members that did not rejoin, and begin the next generation with the others.

    If only static members are left and none of them has joined, the wait starts again; their sessions decide.
    """
    for member in [one for one in group.members.values() if one.join_reply is None and one.instance_id is None]:
        note(group, Cause("rejoin_timeout", group.name_of(member)), now_ms=now_ms)
        waited_for(group, member, now_ms)
        group.remove(member.member_id)
    joined = [member.member_id for member in group.members.values() if member.join_reply is not None]
    if group.members and not joined:
        group.join_deadline_ms = now_ms + group.rebalance_timeout_ms()
        return
    group.join_deadline_ms = None
    group.initial_delay_ms = group.initial_left_ms = 0
    group.generation += 1
    if not joined:
        group.protocol, group.leader = "", None
        group.move(GroupEvent.NOBODY_LEFT, now_ms)
        _end(group, now_ms)
        return
    if group.leader not in joined:
        group.leader = joined[0]
    group.protocol = group.vote()
    group.move(GroupEvent.ALL_JOINED, now_ms)
    group.unsynced = set(group.members)
    group.sync_deadline_ms = now_ms + group.rebalance_timeout_ms()
    for member in group.members.values():
        group.answer(member.join_reply, current_generation(group, member))
        member.join_reply, member.is_new = None, False
        member.renew(now_ms)


def current_generation(group: Group, member: Member) -> JoinAnswer:
    """Return the answer that puts a member into the current generation; the leader's contains all members."""
    return JoinAnswer(
        "NONE",
        member.member_id,
        generation=group.generation,
        protocol_type=group.protocol_type,
        protocol=group.protocol,
        leader=group.leader or "",
        members=group.joined_members() if group.leader == member.member_id else (),
    )


def assign(group: Group, assignments: Mapping[str, bytes], now_ms: int) -> None:
    """Distribute the leader's assignment. A member that it doesn't name gets an empty assignment."""
    if group.leader is not None and group.leader in group.members:
        group.waited["assignment", group.name_of(group.members[group.leader])] = now_ms - group.since_ms
    group.move(GroupEvent.ASSIGNED, now_ms)
    for member in group.members.values():
        member.assignment = assignments.get(member.member_id, b"")
        answer_sync(group, member, assignment_of(group, member), now_ms)
    _end(group, now_ms)


def assignment_of(group: Group, member: Member) -> SyncAnswer:
    """Return a member's assignment in this generation."""
    return SyncAnswer("NONE", group.protocol_type, group.protocol, member.assignment)


def answer_sync(group: Group, member: Member, answer: SyncAnswer, now_ms: int) -> None:
    """Answer a delayed SyncGroup and restart the member's session."""
    if member.sync_reply is not None:
        group.answer(member.sync_reply, answer)
        member.sync_reply = None
        member.renew(now_ms)


def synced(group: Group, member_id: str) -> None:
    """Record a member's SyncGroup. If all members have sent one, the deadline is cleared."""
    group.unsynced.discard(member_id)
    if not group.unsynced:
        group.sync_deadline_ms = None


def _end(group: Group, now_ms: int) -> None:
    """Record the rebalance that ends here, to be stored."""
    details = rebalance_details(group.causes, group.waited)
    started_ms = now_ms if group.started_ms is None else group.started_ms
    assignment = tuple((member.member_id, member.client_id, member.assignment) for member in group.members.values())
    group.ended.append(EndedRebalance(group.generation, started_ms, now_ms, details, assignment))
    group.started_ms = None
    group.causes, group.waited, group.gone = [], {}, Counter()
