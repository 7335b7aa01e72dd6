"""What the members of a group are called wherever people read of them: one rule for broker, history and page."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

ID_BEGIN = 8
"""Characters of the unique part of a member id that tell members with one client id apart."""
_GIVEN = re.compile(r"(.+)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
"""A member id as the coordinator gives it: `group.instance.id` or client id, and a UUID."""


def member_name(member_id: str, client_id: str, instance_id: str | None = None, *, alone: bool = True) -> str:
    """One member in words: its instance id, its client id where only it has that, else the begin of its member id.

    So what is shown is what a search for it in a client's log finds.

    Args:
        client_id: "" where it has none.
        instance_id: its `group.instance.id`; None where it has none, or it is not known. A member id that the
            coordinator gave tells it too.
        alone: False where another member has the same client id.
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
    """A name for each of some members that are told of together.

    Args:
        members: member id, client id and `group.instance.id` of each; None where it has none, or it is not known.
        gone: client id to how many more had it, of whom the same is told.

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
