"""Online migration of consumer groups between the classic and the consumer protocol (KIP-848).

An application moves to the consumer protocol, or back, by restarting its consumers one by one:

1. *Upgrade.* The first member of the consumer protocol joins a classic group of consumers. The group becomes one of the
   consumer protocol; its generation becomes the group epoch, and its members keep their partitions. They don't notice:
   they still send JoinGroup, SyncGroup and Heartbeat.
2. *Both protocols.* A classic member gets its assignment from the broker's assignor: JoinGroup moves it towards its
   target like a heartbeat of the consumer protocol, its generation is its member epoch, no member is the leader, and
   SyncGroup returns its partitions at once. REBALANCE_IN_PROGRESS makes it rejoin if the group has a newer epoch, if it
   must revoke partitions, or if partitions that it waits for are free.
3. *Downgrade.* The last member of the consumer protocol leaves. The group becomes a classic one with the remaining
   members, and rebalances.

`group.consumer.migration.policy` allows both by default. As in Kafka, a group isn't upgraded if its assignor adds data
to the assignment, as librdkafka's cooperative-sticky does after a second rebalance.

Differs from Kafka: a downgrade by a static member that returns with the classic protocol rebalances too.
Source: KIP-848, "Migration".
"""

from collections.abc import Callable, Mapping
from functools import partial

from sandbox.broker.groups.assignors import Partitions
from sandbox.broker.groups.calls import (
    JOIN_EPOCH,
    UNKNOWN_MEMBER,
    ConsumerHeartbeat,
    JoinAnswer,
    JoinGroup,
    MemberBytes,
    Subscription,
    SyncAnswer,
)
from sandbox.broker.groups.classic_group import Group, Member, State
from sandbox.broker.groups.classic_membership import prepare
from sandbox.broker.groups.consumer_group import (
    PROTOCOL_TYPE,
    ClassicSession,
    ConsumerGroup,
    ConsumerMember,
    MemberState,
    Subscriptions,
    may_downgrade,
    migrates,
)
from sandbox.broker.groups.consumer_membership import ConsumerMembership
from sandbox.broker.groups.rows import DecodeAssignment
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.kafka.errors import BrokerError


class Migration:
    """Converts groups, and handles the classic members of groups of the consumer protocol.

    Args:
        config: the settings, read at each call.
        consumers: the rules of the consumer protocol.
        subscriptions: resolves topic names.
        member_bytes: reads and writes consumers' bytes.
        decode_assignment: decodes a consumer's assignment, None if it can't.
        new_id: returns the unique part of a new member id.
    """

    def __init__(
        self,
        config: BrokerConfig,
        consumers: ConsumerMembership,
        subscriptions: Subscriptions,
        member_bytes: MemberBytes,
        decode_assignment: DecodeAssignment,
        new_id: Callable[[], str],
    ) -> None:
        self._config = config
        self._consumers = consumers
        self._subscriptions = subscriptions
        self._bytes = member_bytes
        self._decode_assignment = decode_assignment
        self._new_id = new_id

    def upgraded(self, group: Group, now_ms: int) -> ConsumerGroup:
        """Return the group of the consumer protocol that replaces a classic group with members. Doesn't change it.

        Raises:
            BrokerError: GROUP_ID_NOT_FOUND: the policy, the size or the protocol of the group doesn't allow it.
        """
        if not migrates(self._config, "upgrade"):
            raise _not_upgraded(group, "the online upgrade is disabled (group.consumer.migration.policy)")
        if group.protocol_type != PROTOCOL_TYPE:
            raise _not_upgraded(group, "the group does not use the consumer embedded protocol")
        if len(group.members) > self._config.number("group.consumer.max.size"):
            raise _not_upgraded(group, "the group size exceeds the consumer group maximum size")
        upgraded = ConsumerGroup(
            group.group_id, now_ms, generation=group.generation, assignment_epoch=group.generation, changed=True
        )
        upgraded.started_ms, upgraded.causes, upgraded.gone = group.started_ms, list(group.causes), group.gone.copy()
        for member in group.members.values():
            upgraded.members[member.member_id] = self._upgraded_member(group, member, now_ms)
            if member.join_reply is not None:
                refusal = JoinAnswer("REBALANCE_IN_PROGRESS", member.member_id)
                upgraded.outbox.append(partial(member.join_reply.set, refusal))
            if member.sync_reply is not None:
                upgraded.outbox.append(partial(member.sync_reply.set, SyncAnswer("REBALANCE_IN_PROGRESS")))
        return upgraded

    def _upgraded_member(self, group: Group, member: Member, now_ms: int) -> ConsumerMember:
        subscription = self._bytes.subscription(member.metadata(group.protocol) or member.protocols[0][1])
        assigned = self._decode_assignment(member.assignment) if member.assignment else {}
        if subscription is None or assigned is None:
            raise _not_upgraded(group, "the embedded consumer protocol is malformed")
        if self._bytes.has_user_data(member.assignment):
            raise _not_upgraded(
                group,
                "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default "
                "assignor before re-attempting the upgrade",
            )
        partitions = self._partitions(assigned)
        return ConsumerMember(
            member.member_id,
            member.instance_id,
            member.client_id,
            member.client_host,
            now_ms + max(1, member.session_timeout_ms),
            rack_id=subscription.rack_id or None,
            rebalance_timeout_ms=member.rebalance_timeout_ms,
            topics=tuple(sorted(set(subscription.topics))),
            member_epoch=group.generation,
            previous_epoch=group.generation,
            assigned=partitions,
            target=partitions,
            last_heartbeat_ms=member.last_heartbeat_ms,
            classic=ClassicSession(member.session_timeout_ms, member.protocols),
        )

    def _partitions(self, by_topic: Mapping[str, tuple[int, ...]]) -> Partitions:
        found = ((self._subscriptions.topic_id(name), several) for name, several in by_topic.items())
        return frozenset((topic_id, one) for topic_id, several in found if topic_id is not None for one in several)

    def downgraded(self, group: ConsumerGroup, now_ms: int) -> Group:
        """Return the classic group that replaces a group whose members all use the classic protocol. It rebalances."""
        classic = Group(group.group_id, now_ms, state=State.STABLE, generation=group.generation)
        classic.started_ms, classic.causes, classic.gone = group.started_ms, group.causes, group.gone
        classic.outbox = [partial(answer) for answer in group.outbox]
        for member in group.members.values():
            session = member.classic or ClassicSession(0, ())
            found = Member(
                member.member_id,
                member.instance_id,
                member.client_id,
                member.client_host,
                session.session_timeout_ms,
                member.rebalance_timeout_ms,
                session.protocols,
                expires_ms=now_ms,
                last_heartbeat_ms=member.last_heartbeat_ms,
                assignment=self._encoded(session, member.target),
            )
            found.renew(now_ms)
            classic.add(found, PROTOCOL_TYPE)
        classic.protocol = classic.vote()
        prepare(classic, now_ms=now_ms, initial_delay_ms=0)
        return classic

    def _encoded(self, session: ClassicSession, partitions: Partitions) -> bytes:
        subscription = self._bytes.subscription(session.protocols[0][1]) if session.protocols else None
        return self._bytes.assignment(
            subscription.version if subscription is not None else 0, self._subscriptions.by_topic(partitions)
        )

    # Classic members of a group of the consumer protocol

    def join(self, group: ConsumerGroup, request: JoinGroup, now_ms: int) -> JoinAnswer:
        """JoinGroup: add a classic member, or move it towards its target. It is answered at once."""
        size_max = self._config.number("group.consumer.max.size")
        if request.member_id not in group.members and len(group.members) >= size_max:
            return JoinAnswer("GROUP_MAX_SIZE_REACHED", UNKNOWN_MEMBER)
        if not _supports(group, request):
            return JoinAnswer("INCONSISTENT_GROUP_PROTOCOL", request.member_id)
        is_unknown = request.member_id == UNKNOWN_MEMBER
        member_id = f"{request.instance_id or request.client_id}-{self._new_id()}" if is_unknown else request.member_id
        if is_unknown and request.instance_id is None and request.require_known_member_id:
            return JoinAnswer("MEMBER_ID_REQUIRED", member_id)
        protocol, metadata = request.protocols[0]
        subscription = self._bytes.subscription(metadata)
        if subscription is None:
            return JoinAnswer("UNKNOWN_SERVER_ERROR", member_id)
        heartbeat = self._as_heartbeat(request, member_id, subscription)
        generation_before = group.generation
        try:
            member = self._joining(group, heartbeat, is_unknown, now_ms)
        except BrokerError as error:
            return JoinAnswer(error.error.name, request.member_id)
        member.classic = ClassicSession(
            request.session_timeout_ms,
            request.protocols,
            sync_deadline_ms=now_ms + max(1, request.rebalance_timeout_ms),
        )
        group.changed = True
        self._consumers.advance(group, member, heartbeat, generation_before, now_ms)
        group.downgrades = may_downgrade(group, self._config)
        return JoinAnswer(
            "NONE", member.member_id, generation=member.member_epoch, protocol_type=PROTOCOL_TYPE, protocol=protocol
        )

    def _as_heartbeat(self, request: JoinGroup, member_id: str, subscription: Subscription) -> ConsumerHeartbeat:
        return ConsumerHeartbeat(
            request.group,
            member_id,
            JOIN_EPOCH,
            request.instance_id,
            subscription.rack_id or None,
            request.client_id,
            request.client_host,
            request.rebalance_timeout_ms,
            subscription.topics,
            pattern="",
            owned=self._partitions(subscription.owned),
        )

    def _joining(
        self, group: ConsumerGroup, request: ConsumerHeartbeat, is_unknown: bool, now_ms: int
    ) -> ConsumerMember:
        """Return the member that sends a JoinGroup, which is added if it is new."""
        if request.instance_id is None:
            member = group.members.get(request.member_id)
            return self._consumers.add(group, request, now_ms) if member is None else member
        member = group.static_member(request.instance_id)
        if not is_unknown:
            return self._consumers.own_instance(member, request, request.instance_id)
        if member is None:
            return self._consumers.add(group, request, now_ms)
        self._consumers.replace(group, member, request.member_id)
        return member

    def sync(
        self,
        group: ConsumerGroup,
        generation: int,
        member_id: str,
        instance_id: str | None,
        protocol_type: str | None,
        protocol: str | None,
        now_ms: int,
    ) -> SyncAnswer:
        """SyncGroup: return the partitions that a classic member has now."""
        member, session, error = _classic_member(group, member_id, instance_id)
        if member is None or session is None:
            return SyncAnswer(error)
        if generation != member.member_epoch:
            return SyncAnswer("ILLEGAL_GENERATION")
        if protocol_type not in (None, PROTOCOL_TYPE) or protocol not in (None, session.protocols[0][0]):
            return SyncAnswer("INCONSISTENT_GROUP_PROTOCOL")
        if group.generation > member.member_epoch and member.state is not MemberState.UNREVOKED:
            _must_rejoin(member, session, now_ms)
            return SyncAnswer("REBALANCE_IN_PROGRESS")
        session.sync_deadline_ms = None
        self._consumers.heard(group, member, now_ms)
        return SyncAnswer("NONE", protocol_type, protocol, self._encoded(session, member.assigned))

    def heartbeat(
        self, group: ConsumerGroup, generation: int, member_id: str, instance_id: str | None, now_ms: int
    ) -> str:
        """Heartbeat: restart a classic member's session, and report whether it must rejoin."""
        member, session, error = _classic_member(group, member_id, instance_id)
        if member is None or session is None:
            return error
        if generation != member.member_epoch:
            return "ILLEGAL_GENERATION"
        self._consumers.heard(group, member, now_ms)
        waits = member.state is MemberState.UNRELEASED
        free = waits and not (member.target - member.assigned) & group.held_by_others(member)
        if member.member_epoch == group.generation and member.state is not MemberState.UNREVOKED and not free:
            return "NONE"
        _must_rejoin(member, session, now_ms)
        return "REBALANCE_IN_PROGRESS"


def _must_rejoin(member: ConsumerMember, session: ClassicSession, now_ms: int) -> None:
    if session.join_deadline_ms is None:
        session.join_deadline_ms = now_ms + max(1, member.rebalance_timeout_ms)


def _classic_member(
    group: ConsumerGroup, member_id: str, instance_id: str | None
) -> tuple[ConsumerMember | None, ClassicSession | None, str]:
    """Return the classic member that sent a request and its session, or the error for it."""
    member = group.members.get(member_id) if instance_id is None else group.static_member(instance_id)
    if member is not None and member.member_id != member_id:
        return None, None, "FENCED_INSTANCE_ID"
    if member is None or member.classic is None:
        return None, None, "UNKNOWN_MEMBER_ID"
    return member, member.classic, "NONE"


def _supports(group: ConsumerGroup, request: JoinGroup) -> bool:
    """Return True if a classic member supports a protocol that all other classic members support."""
    others = [dict(one.classic.protocols) for one in group.members.values() if one.classic is not None]
    names = [name for name, _ in request.protocols]
    return request.protocol_type == PROTOCOL_TYPE and any(all(name in one for one in others) for name in names)


def _not_upgraded(group: Group, reason: str) -> BrokerError:
    return BrokerError(
        "GROUP_ID_NOT_FOUND", f"Cannot upgrade classic group {group.group_id} to consumer group because {reason}."
    )
