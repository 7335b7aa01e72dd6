"""Names the members of a group for people: one rule for broker, history and page."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

ID_BEGIN = 8
"""Characters of a member id's unique part that distinguish members with the same client id."""
_GIVEN = re.compile(r"(.+)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
"""A member id that the coordinator generated: `group.instance.id` or client id, and a UUID."""


def member_name(member_id: str, client_id: str, instance_id: str | None = None, *, alone: bool = True) -> str:
    """Return a member's name: its instance id, its client id if that is unique, else the beginning of its member id.

    So the name can be found in a client's log.

    Args:
        client_id: "" if it has none.
        instance_id: its `group.instance.id`; None if it has none, or it is unknown. A member id that the coordinator
            generated contains it too.
        alone: False if another member has the same client id.
    """
    if instance_id is not None:
        return instance_id
    given = _GIVEN.fullmatch(member_id)
    before = given[1] if given else None
    if before and client_id and before != client_id:
        return before
    if client_id and alone:
        return client_id
    prefix = f"{client_id}-"
    unique = member_id.removeprefix(prefix) if client_id else ""
    return prefix + unique[:ID_BEGIN] if unique else member_id


def member_names(
    members: Iterable[tuple[str, str, str | None]], gone: Mapping[str, int] | None = None
) -> dict[str, str]:
    """Return names for members that are shown together.

    Args:
        members: member id, client id and `group.instance.id` (None if it has none, or it is unknown) of each.
        gone: client id to the number of other members that had it and are shown in the same place.

    Returns:
        Member id to name.
    """
    members = list(members)
    alike = Counter(client_id for _, client_id, _ in members)
    alike.update(gone or {})
    return {
        member_id: member_name(member_id, client_id, instance_id, alone=alike[client_id] == 1)
        for member_id, client_id, instance_id in members
    }
