"""The state of a group of any kind, as `sandbox groups` shows it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class GroupState:
    """The state of one group.

    Attributes:
        state: Kafka's name for it.
        members: one mapping each: member_id, client_id, host, partitions.
        partitions: one mapping each: topic, partition, committed, start, end, lag, out_of_range, deleted_unread,
            member_id, client_id. These are all partitions of each topic that it reads or has committed in.
            Of a share group: topic, partition, start_offset, lag, uncommitted_lag, out_of_range.
        lag: the sum over partitions with a commit; None if no partition has one.
        type: "consumer" for any consumer group, or "share".
    """

    state: str
    members: list[dict[str, Any]]
    partitions: list[dict[str, Any]]
    lag: int | None
    type: str = "consumer"

    @property
    def uncommitted_lag(self) -> int:
        """The sum over partitions without a commit, of which the group may read all offsets or none."""
        return sum(row["uncommitted_lag"] for row in self.partitions)

    @property
    def uncommitted_partitions(self) -> int:
        """How many partitions without a commit are not empty."""
        return sum(row["uncommitted_lag"] > 0 for row in self.partitions)

    @property
    def lag_text(self) -> str:
        """Both figures: "lag 233 + up to 1773 (2 partitions without a commit)"."""
        lag = "nothing committed" if self.lag is None else f"lag {self.lag}"
        if not self.uncommitted_lag:
            return lag
        count = self.uncommitted_partitions
        partitions = "1 partition" if count == 1 else f"{count} partitions"
        more = f"up to {self.uncommitted_lag} ({partitions} without a commit)"
        return f"{lag}, {more}" if self.lag is None else f"{lag} + {more}"

    @property
    def exists(self) -> bool:
        """True if the group exists. Kafka returns the state Dead for an unknown group."""
        return self.state != "Dead" or bool(self.partitions)
