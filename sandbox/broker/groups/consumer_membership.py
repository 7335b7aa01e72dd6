"""Requests of members of the consumer protocol, and expiry of their sessions (KIP-848).

Has the rules, and the error messages that clients show, of Apache Kafka 4.4. Differs from Kafka: a regular
expression is resolved immediately and again at every heartbeat, where Kafka does it in the background.
"""

from collections.abc import Callable, Collection

from sandbox.broker.groups.assignors import ASSIGNORS, NO_PARTITIONS
from sandbox.broker.groups.calls import (
    JOIN_EPOCH,
    LEAVE_EPOCH,
    REASON_CHARACTERS_MAX,
    STATIC_LEAVE_EPOCH,
    UNKNOWN_MEMBER,
    ConsumerHeartbeat,
    HeartbeatAnswer,
    LeavingMember,
    LeftMember,
)
from sandbox.broker.groups.consumer_group import (
    ConsumerGroup,
    ConsumerMember,
    ConsumerState,
    MemberState,
    Subscriptions,
    may_downgrade,
    sizes_of,
)
from sandbox.broker.name_pattern import PatternError
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.kafka.errors import BrokerError
from sandbox.model.rebalance import Cause


class ConsumerMembership:
    """The membership rules, for any consumer-protocol group.

    Args:
        config: the settings `group.consumer.*`, read at each call.
        subscriptions: resolves subscriptions to topics.
        new_id: creates a member id for a client that can't.
    """

    def __init__(self, config: BrokerConfig, subscriptions: Subscriptions, new_id: Callable[[], str]) -> None:
        self._config = config
        self._subscriptions = subscriptions
        self._new_id = new_id

    def check(self, request: ConsumerHeartbeat) -> None:
        """Refuse an invalid heartbeat, without regard to the group's state.

        Raises:
            BrokerError: INVALID_REQUEST, UNSUPPORTED_ASSIGNOR, INVALID_REGULAR_EXPRESSION.
        """
        joins = request.member_epoch == JOIN_EPOCH
        reason = None
        if request.member_id == "" and (request.makes_member_id or not joins):
            reason = "MemberId can't be empty."
        elif request.group == "":
            reason = "GroupId can't be empty."
        elif request.instance_id == "":
            reason = "InstanceId can't be empty."
        elif request.rack_id == "":
            reason = "RackId can't be empty."
        elif joins and request.rebalance_timeout_ms == -1:
            reason = "RebalanceTimeoutMs must be provided in first request."
        elif joins and (request.owned is None or request.owned):
            reason = "TopicPartitions must be empty when (re-)joining."
        elif joins and request.topics is None and request.pattern is None:
            reason = "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining."
        elif request.member_epoch == STATIC_LEAVE_EPOCH and request.instance_id is None:
            reason = "InstanceId can't be null."
        elif request.member_epoch < STATIC_LEAVE_EPOCH:
            reason = "MemberEpoch is invalid."
        if reason is not None:
            raise BrokerError("INVALID_REQUEST", reason)
        if request.assignor is not None and request.assignor not in self._assignors():
            supported = ", ".join(self._assignors())
            raise BrokerError(
                "UNSUPPORTED_ASSIGNOR",
                f"ServerAssignor {request.assignor} is not supported. Supported assignors: {supported}.",
            )
        if request.pattern:
            try:
                self._subscriptions.matches(request.pattern)
            except PatternError as error:
                raise BrokerError(
                    "INVALID_REGULAR_EXPRESSION",
                    f"SubscribedTopicRegex `{request.pattern}` is not a valid regular expression: {error}.",
                ) from None

    def heartbeat(self, group: ConsumerGroup, request: ConsumerHeartbeat, now_ms: int) -> HeartbeatAnswer:
        """Handle a member that joins or is alive, and move it towards its target. Changes nothing if it raises.

        Args:
            request: a request that `check` accepts, and that doesn't leave the group.

        Raises:
            BrokerError: GROUP_MAX_SIZE_REACHED, UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, FENCED_INSTANCE_ID,
            UNRELEASED_INSTANCE_ID.
        """
        size_max = self._config.number("group.consumer.max.size")
        if request.member_id not in group.members and len(group.members) >= size_max:
            raise BrokerError(
                "GROUP_MAX_SIZE_REACHED",
                f"The consumer group has reached its maximum capacity of {size_max} members.",
            )
        generation_before = group.generation
        if request.instance_id is not None:
            member = self._static_member(group, request, request.instance_id, now_ms)
        else:
            member = self._dynamic_member(group, request, now_ms)
        member.classic = None
        assigned_before = member.assigned
        self.advance(group, member, request, generation_before, now_ms)
        told = request.is_full or member.assigned != assigned_before
        return HeartbeatAnswer(
            member.member_id,
            member.member_epoch,
            self._config.group_number(group.group_id, "consumer.heartbeat.interval.ms"),
            member.assigned if told else None,
        )

    def advance(
        self,
        group: ConsumerGroup,
        member: ConsumerMember,
        request: ConsumerHeartbeat,
        generation_before: int,
        now_ms: int,
    ) -> None:
        """Apply a member's request, and move the member towards its target.

        Args:
            generation_before: the group epoch before the request, which increases it at most by one.
        """
        self.heard(group, member, now_ms)
        subscription_changed = self._update(group, member, request)
        metadata = self._subscriptions.refresh(group)
        if group.generation == generation_before:
            # One epoch for everything that one heartbeat changes.
            if subscription_changed:
                group.bump(Cause("resubscribed", group.name_of(member)), now_ms)
            elif metadata != group.metadata:
                group.bump(Cause("partitions_changed"), now_ms)
        group.metadata = metadata
        if group.generation > group.assignment_epoch:
            self._subscriptions.assign(group, self._assignors())
        group.reconcile(member, request.owned, now_ms)
        group.end_rebalance(now_ms, self._subscriptions.names)

    def _dynamic_member(self, group: ConsumerGroup, request: ConsumerHeartbeat, now_ms: int) -> ConsumerMember:
        member = group.members.get(request.member_id)
        if member is None:
            if request.member_epoch != JOIN_EPOCH:
                raise self._unknown(group, request.member_id)
            return self.add(group, request, now_ms)
        self._check_epoch(member, request)
        return member

    def _static_member(
        self, group: ConsumerGroup, request: ConsumerHeartbeat, instance_id: str, now_ms: int
    ) -> ConsumerMember:
        member = group.static_member(instance_id)
        if request.member_epoch != JOIN_EPOCH:
            member = self.own_instance(member, request, instance_id)
            self._check_epoch(member, request)
            return member
        if member is None:
            return self.add(group, request, now_ms)
        if member.member_epoch != STATIC_LEAVE_EPOCH and member.classic is None:
            raise BrokerError(
                "UNRELEASED_INSTANCE_ID",
                f"Static member {request.member_id} with instance id {instance_id} cannot join the group because the "
                f"instance id is owned by {member.member_id} member.",
            )
        self.replace(group, member, request.member_id or self._new_id())
        return member

    def replace(self, group: ConsumerGroup, member: ConsumerMember, member_id: str) -> None:
        """Give a static member that restarted its new member id. It keeps its target."""
        del group.members[member.member_id]
        member.member_id = member_id
        member.member_epoch = member.previous_epoch = JOIN_EPOCH
        member.state = MemberState.STABLE
        group.members[member.member_id] = member
        group.changed = True

    def own_instance(
        self, member: ConsumerMember | None, request: ConsumerHeartbeat, instance_id: str
    ) -> ConsumerMember:
        """Return the member with the instance id of a request, if it sent the request."""
        if member is None:
            raise BrokerError("UNKNOWN_MEMBER_ID", f"Instance id {instance_id} is unknown.")
        if member.member_id != request.member_id:
            raise BrokerError(
                "FENCED_INSTANCE_ID",
                f"Static member {request.member_id} with instance id {instance_id} was fenced by member "
                f"{member.member_id}.",
            )
        return member

    def _check_epoch(self, member: ConsumerMember, request: ConsumerHeartbeat) -> None:
        """Refuse an epoch that isn't the member's, except the previous one if an answer may have been lost."""
        sent, known = request.member_epoch, member.member_epoch
        lost_answer = sent == member.previous_epoch and request.owned is not None and request.owned <= member.assigned
        if sent == known or (sent < known and lost_answer):
            return
        word = "greater" if sent > known else "smaller"
        raise BrokerError(
            "FENCED_MEMBER_EPOCH",
            f"The consumer group member has a {word} member epoch ({sent}) than the one known by the group coordinator "
            f"({known}). The member must abandon all its partitions and rejoin.",
        )

    def _unknown(self, group: ConsumerGroup, member_id: str) -> BrokerError:
        return BrokerError("UNKNOWN_MEMBER_ID", f"Member {member_id} is not a member of group {group.group_id}.")

    def add(self, group: ConsumerGroup, request: ConsumerHeartbeat, now_ms: int) -> ConsumerMember:
        """Add a member that joins."""
        member = ConsumerMember(
            request.member_id or self._new_id(), request.instance_id, request.client_id, request.client_host, now_ms
        )
        group.members[member.member_id] = member
        group.bump(Cause("joined", group.name_of(member)), now_ms)
        return member

    def _update(self, group: ConsumerGroup, member: ConsumerMember, request: ConsumerHeartbeat) -> bool:
        """Apply a heartbeat's fields to its member. Returns True if the subscription changed."""
        before = (member.rack_id, member.rebalance_timeout_ms, member.assignor, member.client_id, member.client_host)
        subscribed = (set(member.topics), member.pattern)
        member.client_id, member.client_host = request.client_id, request.client_host
        if request.rack_id is not None:
            member.rack_id = request.rack_id
        if request.rebalance_timeout_ms != -1:
            member.rebalance_timeout_ms = request.rebalance_timeout_ms
        if request.assignor is not None:
            member.assignor = request.assignor
        if request.topics is not None:
            member.topics = tuple(sorted(set(request.topics)))
        if request.pattern is not None:
            member.pattern = request.pattern
        after = (member.rack_id, member.rebalance_timeout_ms, member.assignor, member.client_id, member.client_host)
        group.changed = group.changed or before != after
        return subscribed != (set(member.topics), member.pattern)

    def leave(self, group: ConsumerGroup, request: ConsumerHeartbeat, now_ms: int) -> HeartbeatAnswer:
        """Remove a member that leaves, or (epoch -2) keep a static member's place for its session.

        Raises:
            BrokerError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.
        """
        if request.instance_id is None:
            member = group.members.get(request.member_id)
            if member is None:
                raise self._unknown(group, request.member_id)
        else:
            found = group.static_member(request.instance_id)
            member = self.own_instance(found, request, request.instance_id)
        if request.member_epoch == LEAVE_EPOCH:
            self._remove(group, member, now_ms, "left")
        else:
            # The partitions that it had to revoke are free, because it has closed all its partitions.
            member.member_epoch, member.revoking, member.revoke_deadline_ms = STATIC_LEAVE_EPOCH, NO_PARTITIONS, None
            group.changed = True
        group.end_rebalance(now_ms, self._subscriptions.names)
        return HeartbeatAnswer(request.member_id, request.member_epoch)

    def leave_by_request(
        self, group: ConsumerGroup, leaving: Collection[LeavingMember], now_ms: int
    ) -> tuple[LeftMember, ...]:
        """LeaveGroup, with which administrators remove members."""
        left = []
        for member_id, instance_id, reason in leaving:
            found = group.static_member(instance_id) if instance_id is not None else group.members.get(member_id)
            error = "NONE"
            if found is None:
                error = "UNKNOWN_MEMBER_ID"
            elif member_id not in (UNKNOWN_MEMBER, found.member_id):
                error = "FENCED_INSTANCE_ID"
            else:
                self._remove(group, found, now_ms, "removed", reason=reason[:REASON_CHARACTERS_MAX] if reason else None)
            left.append(LeftMember(member_id, instance_id, error))
        group.end_rebalance(now_ms, self._subscriptions.names)
        return tuple(left)

    def _remove(
        self,
        group: ConsumerGroup,
        member: ConsumerMember,
        now_ms: int,
        kind: str,
        *,
        reason: str | None = None,
        timeout_ms: int | None = None,
    ) -> None:
        cause = Cause(kind, group.name_of(member), reason, timeout_ms)
        del group.members[member.member_id]
        group.gone[member.client_id] += 1
        group.metadata = self._subscriptions.refresh(group)
        group.downgrades = may_downgrade(group, self._config)
        group.note(cause, now_ms)
        if not group.downgrades:
            group.generation += 1

    def expire(self, group: ConsumerGroup, now_ms: int) -> None:
        """Remove members whose session ended, or that did not revoke partitions in time."""
        for member in list(group.members.values()):
            if member.expires_ms <= now_ms:
                self._remove(group, member, now_ms, "session_timeout", timeout_ms=self.session_ms(group, member))
            elif member.revoke_deadline_ms is not None and member.revoke_deadline_ms <= now_ms:
                self._remove(group, member, now_ms, "revocation_timeout", timeout_ms=member.rebalance_timeout_ms)
            elif member.deadline_ms() <= now_ms and member.classic is not None:
                joins = (member.classic.join_deadline_ms or now_ms + 1) <= now_ms
                self._remove(group, member, now_ms, "rejoin_timeout" if joins else "sync_timeout")
        group.end_rebalance(now_ms, self._subscriptions.names)

    def heard(self, group: ConsumerGroup, member: ConsumerMember, now_ms: int) -> None:
        """Record a request of the member and restart its session."""
        member.last_heartbeat_ms = now_ms
        self._renew(group, member, now_ms)

    def restored(self, group: ConsumerGroup, now_ms: int) -> None:
        """Complete a group that was loaded from its rows: sessions and revocation timeouts start now."""
        group.metadata = self._subscriptions.refresh(group)
        if group.generation == group.assignment_epoch:
            # Changes of its topics since the target was computed show at the next heartbeat.
            group.metadata = sizes_of(group)
        for member in group.members.values():
            self._renew(group, member, now_ms)
            if member.state is MemberState.UNREVOKED and member.member_epoch != STATIC_LEAVE_EPOCH:
                member.revoke_deadline_ms = now_ms + max(1, member.rebalance_timeout_ms)
        if group.state in (ConsumerState.ASSIGNING, ConsumerState.RECONCILING):
            group.started_ms = group.since_ms
            group.causes.append(Cause("restarted"))

    def _renew(self, group: ConsumerGroup, member: ConsumerMember, now_ms: int) -> None:
        member.expires_ms = now_ms + max(1, self.session_ms(group, member))

    def session_ms(self, group: ConsumerGroup, member: ConsumerMember) -> int:
        """Return a member's session timeout in ms."""
        if member.classic is not None:
            return member.classic.session_timeout_ms
        return self._config.group_number(group.group_id, "consumer.session.timeout.ms")

    def _assignors(self) -> tuple[str, ...]:
        wanted = self._config.get("group.consumer.assignors").split(",")
        return tuple(name for name in wanted if name in ASSIGNORS) or tuple(ASSIGNORS)
