"""Members of a classic group: their requests and sessions, and the steps of a rebalance."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from sandbox.broker.groups.calls import (
    REASON_CHARACTERS_MAX,
    UNKNOWN_MEMBER,
    JoinAnswer,
    JoinGroup,
    LeavingMember,
    LeftMember,
    SyncAnswer,
)
from sandbox.broker.groups.classic_group import EndedRebalance, Group, GroupEvent, Member, State
from sandbox.broker.reply import Reply
from sandbox.kafka.broker_config import BrokerConfig
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


NEW_MEMBER_JOIN_TIMEOUT_MS = 300_000
"""How long a member's first JoinGroup may be delayed before the member is removed (Kafka's value).

Such a member can't send heartbeats. Without a limit, clients that give up and retry would leave dead members behind.
"""


class Membership:
    """The membership rules, for any classic group.

    Args:
        config: `group.max.size` and `group.initial.rebalance.delay.ms` are read at each call.
        new_id: returns the unique part of a new member id.
    """

    def __init__(self, config: BrokerConfig, new_id: Callable[[], str]) -> None:
        self._config = config
        self._new_id = new_id

    def join(self, group: Group, request: JoinGroup, now_ms: int) -> Reply[JoinAnswer]:
        """JoinGroup. If it starts or joins a rebalance, the answer waits for the next generation."""
        reply: Reply[JoinAnswer] = Reply()
        names = [name for name, _ in request.protocols]
        if not self._has_room(group, request.member_id):
            self._drop(group, request.member_id, now_ms)
            group.answer(reply, JoinAnswer("GROUP_MAX_SIZE_REACHED", UNKNOWN_MEMBER))
        elif not group.supports(request.protocol_type, names):
            group.answer(reply, JoinAnswer("INCONSISTENT_GROUP_PROTOCOL", request.member_id))
        elif request.member_id == UNKNOWN_MEMBER:
            self._join_as_new(group, request, reply, now_ms)
        elif request.member_id in group.pending and request.instance_id is None:
            self._add(group, request, request.member_id, reply, now_ms)
        else:
            refusal = group.refusal(request.member_id, request.instance_id)
            if refusal is not None:
                group.answer(reply, JoinAnswer(refusal, request.member_id))
            else:
                self._join_again(group, group.members[request.member_id], request, reply, now_ms)
        return reply

    def _join_as_new(self, group: Group, request: JoinGroup, reply: Reply[JoinAnswer], now_ms: int) -> None:
        member_id = f"{request.instance_id or request.client_id}-{self._new_id()}"
        old_id = group.static_member_id(request.instance_id)
        if old_id is not None:
            self._replace_static(group, request, (old_id, member_id), reply, now_ms)
        elif request.instance_id is None and request.require_known_member_id:
            group.pending[member_id] = now_ms + max(1, request.session_timeout_ms)
            group.answer(reply, JoinAnswer("MEMBER_ID_REQUIRED", member_id))
        else:
            self._add(group, request, member_id, reply, now_ms)

    def _add(self, group: Group, request: JoinGroup, member_id: str, reply: Reply[JoinAnswer], now_ms: int) -> None:
        member = Member(
            member_id,
            request.instance_id,
            request.client_id,
            request.client_host,
            request.session_timeout_ms,
            request.rebalance_timeout_ms,
            request.protocols,
            expires_ms=now_ms + NEW_MEMBER_JOIN_TIMEOUT_MS,
            last_heartbeat_ms=now_ms,
            is_new=True,
            join_reply=reply,
        )
        group.add(member, request.protocol_type)
        group.newcomer = True
        self._prepare_or_begin(group, _cause("joined", group, member, request.reason), now_ms=now_ms)

    def _join_again(
        self, group: Group, member: Member, request: JoinGroup, reply: Reply[JoinAnswer], now_ms: int
    ) -> None:
        same = member.protocols == request.protocols
        leads = group.leader == member.member_id
        stays = same and (group.state is State.COMPLETING_REBALANCE or (group.state is State.STABLE and not leads))
        if stays:
            # Its answer was lost, or the request is unnecessary: it is in this generation already.
            member.heard(now_ms)
            group.answer(reply, current_generation(group, member))
            return
        waited_for(group, member, now_ms)
        self._update(group, member, request, reply, now_ms)
        if group.state is State.PREPARING_REBALANCE:
            begin_if_complete(group, now_ms)
            return
        cause = _cause("leader_rejoined" if same else "resubscribed", group, member, request.reason)
        prepare(group, cause, now_ms=now_ms, initial_delay_ms=self._initial_delay_ms())

    def _replace_static(
        self, group: Group, request: JoinGroup, ids: tuple[str, str], reply: Reply[JoinAnswer], now_ms: int
    ) -> None:
        """Handle the restart of a static member. In a Stable group it keeps its assignment."""
        leader_before = group.leader or ""
        waited_for(group, group.members[ids[0]], now_ms)
        member = group.replace(ids[0], ids[1], now_ms)
        self._update(group, member, request, reply, now_ms)
        if group.state is State.PREPARING_REBALANCE:
            begin_if_complete(group, now_ms)
        elif group.state is State.STABLE and group.vote() == group.protocol:
            member.join_reply = None
            group.answer(reply, self._return_of_static(group, member, request, leader_before))
        else:
            cause = _cause("returned", group, member, request.reason)
            prepare(group, cause, now_ms=now_ms, initial_delay_ms=self._initial_delay_ms())

    def _return_of_static(self, group: Group, member: Member, request: JoinGroup, leader_before: str) -> JoinAnswer:
        """Return the answer that puts a returning static member into the current generation.

        A returning leader must not assign, because no member waits for an assignment. From version 9 the answer
        states it (KIP-814) and still contains the members, so that the leader can check if they changed. In earlier
        versions the answer doesn't name it as the leader.
        """
        answer = current_generation(group, member)
        leads = group.leader == member.member_id
        return JoinAnswer(
            "NONE",
            member.member_id,
            generation=answer.generation,
            protocol_type=answer.protocol_type,
            protocol=answer.protocol,
            leader=answer.leader if request.supports_skip_assignment else leader_before,
            skip_assignment=leads and request.supports_skip_assignment,
            members=answer.members if request.supports_skip_assignment else (),
        )

    def sync(
        self,
        group: Group,
        generation: int,
        member_id: str,
        instance_id: str | None,
        protocol_type: str | None,
        protocol: str | None,
        assignments: Mapping[str, bytes],
        now_ms: int,
    ) -> Reply[SyncAnswer]:
        """SyncGroup. The answer is delayed until the leader has sent the assignment."""
        reply: Reply[SyncAnswer] = Reply()
        error = self._sync_error(group, generation, member_id, instance_id, protocol_type, protocol)
        if error is not None:
            group.answer(reply, SyncAnswer(error))
            return reply
        member = group.members[member_id]
        member.heard(now_ms)
        synced(group, member_id)
        if group.state is State.STABLE:
            group.answer(reply, assignment_of(group, member))
            return reply
        answer_sync(group, member, SyncAnswer("REBALANCE_IN_PROGRESS"), now_ms)
        member.sync_reply = reply
        if group.leader == member_id:
            assign(group, assignments, now_ms)
        return reply

    def _sync_error(
        self,
        group: Group,
        generation: int,
        member_id: str,
        instance_id: str | None,
        protocol_type: str | None,
        protocol: str | None,
    ) -> str | None:
        refusal = group.refusal(member_id, instance_id)
        if refusal is not None:
            return refusal
        if generation != group.generation:
            return "ILLEGAL_GENERATION"
        if (protocol_type is not None and protocol_type != group.protocol_type) or (
            protocol is not None and protocol != group.protocol
        ):
            return "INCONSISTENT_GROUP_PROTOCOL"
        return "REBALANCE_IN_PROGRESS" if group.state is State.PREPARING_REBALANCE else None

    def heartbeat(self, group: Group, generation: int, member_id: str, instance_id: str | None, now_ms: int) -> str:
        """Heartbeat: restarts the session, and reports a rebalance that the member must join."""
        refusal = group.refusal(member_id, instance_id)
        if refusal is not None:
            return refusal
        if generation != group.generation:
            return "ILLEGAL_GENERATION"
        group.members[member_id].heard(now_ms)
        return "REBALANCE_IN_PROGRESS" if group.state is State.PREPARING_REBALANCE else "NONE"

    def leave(self, group: Group, leaving: Iterable[LeavingMember], now_ms: int) -> tuple[LeftMember, ...]:
        """LeaveGroup: one rebalance for all leaving members."""
        left: list[LeftMember] = []
        causes: list[Cause] = []
        for member_id, instance_id, reason in leaving:
            current = group.static_member_id(instance_id) if member_id == UNKNOWN_MEMBER else member_id
            error = "NONE"
            if current is not None and current in group.pending:
                group.remove(current)
            else:
                error = group.refusal(current or UNKNOWN_MEMBER, instance_id) or "NONE"
                if error == "NONE" and current is not None:
                    causes.append(_cause("left", group, group.members[current], reason))
                    waited_for(group, group.members[current], now_ms)
                    group.remove(current)
            left.append(LeftMember(member_id, instance_id, error))
        if causes:
            self._prepare_or_begin(group, *causes, now_ms=now_ms)
        else:
            begin_if_complete(group, now_ms)
        return tuple(left)

    def expire(self, group: Group, now_ms: int) -> None:
        """Handle everything that is due: pending member ids, sessions, and rebalance timeouts."""
        for member_id in [one for one, expires_ms in group.pending.items() if expires_ms <= now_ms]:
            group.remove(member_id)
            begin_if_complete(group, now_ms)
        gone = [member for member in group.members.values() if (member.deadline_ms() or now_ms + 1) <= now_ms]
        if gone:
            self._remove_all(group, gone, "session_timeout", now_ms)
        if group.join_deadline_ms is not None and group.join_deadline_ms <= now_ms:
            join_deadline_passed(group, now_ms)
        if group.sync_deadline_ms is not None and group.sync_deadline_ms <= now_ms:
            silent = [group.members[member_id] for member_id in sorted(group.unsynced)]
            self._remove_all(group, silent, "sync_timeout", now_ms)

    def _remove_all(self, group: Group, members: Iterable[Member], kind: str, now_ms: int) -> None:
        causes = []
        for member in members:
            timeout_ms = member.session_timeout_ms if kind == "session_timeout" else None
            causes.append(Cause(kind, group.name_of(member), timeout_ms=timeout_ms))
            waited_for(group, member, now_ms)
            group.remove(member.member_id)
        self._prepare_or_begin(group, *causes, now_ms=now_ms)

    def _prepare_or_begin(self, group: Group, *causes: Cause, now_ms: int) -> None:
        prepare_or_begin(group, *causes, now_ms=now_ms, initial_delay_ms=self._initial_delay_ms())

    def restarted(self, group: Group, now_ms: int) -> None:
        """Continue a rebalance that a restart of the sandbox interrupted. Members must rejoin under their ids."""
        note(group, Cause("restarted"), now_ms=now_ms)
        group.since_ms = now_ms
        group.join_deadline_ms = now_ms + group.rebalance_timeout_ms()
        group.changed = True
        begin_if_complete(group, now_ms)

    def _has_room(self, group: Group, member_id: str) -> bool:
        size_max = self._config.number("group.max.size")
        if group.state is State.EMPTY or len(group.members) < size_max:
            return True
        member = group.members.get(member_id)
        if group.state is State.PREPARING_REBALANCE:
            # Count the members that already wait, not those that may return: the limit may have been lowered.
            waiting = sum(one.join_reply is not None for one in group.members.values())
            return (member is not None and member.join_reply is not None) or waiting < size_max
        return member is not None or len(group.members) < size_max

    def _drop(self, group: Group, member_id: str, now_ms: int) -> None:
        group.remove(member_id)
        begin_if_complete(group, now_ms)

    def _update(self, group: Group, member: Member, request: JoinGroup, reply: Reply[JoinAnswer], now_ms: int) -> None:
        group.answer(member.join_reply, JoinAnswer("REBALANCE_IN_PROGRESS", member.member_id))
        member.join_reply = reply
        if member.protocols != request.protocols:
            member.protocols, group.counts = request.protocols, None
        member.session_timeout_ms = request.session_timeout_ms
        member.rebalance_timeout_ms = request.rebalance_timeout_ms
        if not member.is_new:
            member.heard(now_ms)
        group.changed = True

    def _initial_delay_ms(self) -> int:
        return self._config.number("group.initial.rebalance.delay.ms")


def _cause(kind: str, group: Group, member: Member, reason: str | None) -> Cause:
    return Cause(kind, group.name_of(member), reason[:REASON_CHARACTERS_MAX] if reason else None)
