"""Groups as ListGroups and DescribeGroups show them."""

from collections.abc import Collection, Iterable

from sandbox.broker.groups.calls import DescribedGroup, DescribedMember, ListedGroup
from sandbox.broker.groups.classic_group import Group, Member, State
from sandbox.broker.groups.consumer_group import ConsumerGroup, ConsumerState
from sandbox.broker.groups.share_group import ShareGroup, ShareState

AnyGroup = Group | ConsumerGroup | ShareGroup


def is_empty(group: AnyGroup) -> bool:
    """Return True if the group's state is Empty."""
    return group.state in (State.EMPTY, ConsumerState.EMPTY, ShareState.EMPTY)


def listed(groups: Iterable[AnyGroup], states: Collection[str], types: Collection[str]) -> tuple[ListedGroup, ...]:
    """Return groups by name with any of the states and types, ignoring case. An empty filter matches all."""
    wanted_states = {state.lower() for state in states}
    wanted_types = {type.lower() for type in types}
    found = (
        ListedGroup(
            one.group_id,
            one.protocol_type,
            one.state.value,
            one.type,
        )
        for one in groups
    )
    return tuple(
        sorted(
            (
                one
                for one in found
                if (not wanted_states or one.state.lower() in wanted_states)
                and (not wanted_types or one.type in wanted_types)
            ),
            key=lambda one: one.group,
        )
    )


def described(group_id: str, group: AnyGroup | None) -> DescribedGroup:
    """Describe a group for the classic protocol, which doesn't find groups of other kinds."""
    if not isinstance(group, Group):
        reason = "not found" if group is None else "is not a classic group"
        return DescribedGroup(
            "GROUP_ID_NOT_FOUND", group_id, State.DEAD.value, error_message=f"Group {group_id} {reason}."
        )
    protocol = group.protocol if group.state is State.STABLE else ""
    return DescribedGroup(
        "NONE",
        group_id,
        group.state.value,
        group.protocol_type,
        protocol,
        group.generation,
        tuple(_described(member, protocol) for member in group.members.values()),
    )


def _described(member: Member, protocol: str) -> DescribedMember:
    return DescribedMember(
        member.member_id,
        member.instance_id,
        member.client_id,
        member.client_host,
        member.metadata(protocol) if protocol else b"",
        member.assignment,
        member.session_timeout_ms,
        member.last_heartbeat_ms,
    )
