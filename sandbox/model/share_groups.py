"""Descriptions of share groups (KIP-932): the window of each partition, with the state of each record in it."""

from dataclasses import dataclass

AVAILABLE, ACQUIRED, ACKNOWLEDGED, ARCHIVED = "available", "acquired", "acknowledged", "archived"


@dataclass(frozen=True, slots=True)
class ShareRecordDescription:
    """A record in the window.

    Attributes:
        state: available (again), acquired, acknowledged or archived.
        deliveries: how often it was delivered.
        member: the name of the member that has it, or had it last.
        acquired_ms: when it was delivered last.
        locked_until_ms: when its lock expires; None if it is not acquired.
    """

    offset: int
    state: str
    deliveries: int
    member: str
    acquired_ms: int
    locked_until_ms: int | None


@dataclass(frozen=True, slots=True)
class ShareWindow:
    """A share group's window in one partition.

    Attributes:
        start: the share-partition start offset: everything below it is done. None before the first fetch.
        end: no record from here on was ever delivered. None before the first fetch.
        log_end: the log end offset.
        lag: how many offsets are not done; None before the first fetch.
        records: the records in the window that were delivered at least once, by offset.
    """

    topic: str
    partition: int
    start: int | None
    end: int | None
    log_start: int
    log_end: int
    lag: int | None
    records: tuple[ShareRecordDescription, ...]

    def count(self, state: str) -> int:
        """Return the number of records in a state."""
        return sum(record.state == state for record in self.records)

    @property
    def oldest_lock_ms(self) -> int | None:
        """When the oldest lock was acquired; None if there is none."""
        return min((one.acquired_ms for one in self.records if one.state == ACQUIRED), default=None)

    @property
    def most_deliveries(self) -> int:
        """The largest delivery count of a record that is not done."""
        return max((one.deliveries for one in self.records if one.state in (AVAILABLE, ACQUIRED)), default=0)
