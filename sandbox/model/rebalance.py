"""The causes of a rebalance and the members that it waited for, as fields. The page and the tools choose the words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CAUSES: dict[str, str | None] = {
    "joined": "joined",
    "returned": None,
    "resubscribed": None,
    "leader_rejoined": None,
    "partitions_changed": None,
    "restarted": None,
    "left": "left",
    "removed": "left",
    "session_timeout": "left",
    "rejoin_timeout": "left",
    "sync_timeout": "left",
    "revocation_timeout": "left",
}
"""Each kind of cause, with the kind of activity that it is for its member; None if the member neither joined nor left.

* returned: a static member that restarted.
* resubscribed: a member changed its subscription.
* leader_rejoined: the leader sent another JoinGroup, as Kafka's clients do when their topics change.
* partitions_changed: the subscribed topics have other partitions.
* restarted: the sandbox restarted during a rebalance.
* removed: an administrator removed the member.
* session_timeout, rejoin_timeout, sync_timeout, revocation_timeout: no heartbeat, JoinGroup, SyncGroup or revocation in
  time.
"""
CAUSES_STORED_MAX = 50
WAITS_STORED_MAX = 3
WAIT_STORED_MS = 1_000
"""Shorter waits for a member are normal, and not stored."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause of a rebalance.

    Attributes:
        kind: a key of `CAUSES`.
        member: the member's display name (see `sandbox.model.groups`); None for a cause without a member.
        reason: the client's own text (KIP-800); None if it sent none.
        timeout_ms: the timeout that passed, in ms.
    """

    kind: str
    member: str | None = None
    reason: str | None = None
    timeout_ms: int | None = None

    def fields(self) -> dict[str, Any]:
        """Return the fields as they are stored, without those that are None."""
        found = {"cause": self.kind, "member": self.member, "reason": self.reason, "timeout_ms": self.timeout_ms}
        return {name: value for name, value in found.items() if value is not None}


Wait = tuple[str, str]
"""What a rebalance waited for ("join", "assignment" or "revocation"), and the member's display name."""


def rebalance_details(causes: Sequence[Cause], waited: Mapping[Wait, int]) -> dict[str, Any]:
    """Return a rebalance's details as they are stored.

    Args:
        causes: in order; the first `CAUSES_STORED_MAX` are stored, the others are counted in `more_causes`.
        waited: ms per wait; the longest `WAITS_STORED_MAX` of at least `WAIT_STORED_MS` are stored, the others are
            counted in `more_waits`.
    """
    details: dict[str, Any] = {"causes": [cause.fields() for cause in causes[:CAUSES_STORED_MAX]]}
    if len(causes) > CAUSES_STORED_MAX:
        details["more_causes"] = len(causes) - CAUSES_STORED_MAX
    long = sorted((-ms, *wait) for wait, ms in waited.items() if ms >= WAIT_STORED_MS)
    if long:
        details["waits"] = [{"for": what, "member": member, "ms": -ms} for ms, what, member in long[:WAITS_STORED_MAX]]
    if len(long) > WAITS_STORED_MAX:
        details["more_waits"] = len(long) - WAITS_STORED_MAX
    return details


def member_causes(details: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the causes by which a member joined or left, each with its kind of activity.

    Args:
        details: of a stored rebalance. Anything but a cause is left out: a snapshot from elsewhere may hold any JSON.
    """
    stored = details.get("causes")
    causes = [cause for cause in stored if isinstance(cause, dict)] if isinstance(stored, list) else []
    found = ((CAUSES.get(str(cause.get("cause"))), cause) for cause in causes)
    return [(kind, cause) for kind, cause in found if kind is not None]
