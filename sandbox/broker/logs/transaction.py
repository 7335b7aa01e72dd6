"""One transactional id: its producer, and its open or last transaction.

A transactional id outlives the programs that use it. Each program that starts with it gets the same producer id and the
next epoch; a program that still writes with an older epoch (a zombie) is refused (KIP-98). The states are Kafka's, as
DescribeTransactions shows them. The states in which Kafka waits for its other brokers (PrepareCommit, PrepareAbort,
PrepareEpochFence, Dead) don't occur here, because a transaction ends in one commit of the file.

====================  ==========================================================================
Empty                 a producer was initialized; it has written nothing
Ongoing               partitions or groups take part in a transaction
CompleteCommit        the last transaction was committed
CompleteAbort         the last transaction was aborted: by its producer, a newer one, or its timeout
====================  ==========================================================================

Version 2 of the protocol (KIP-890) raises the epoch at the end of every transaction, so that a delayed request can't
affect the next transaction.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.producer_epoch import EPOCH_LAST
from sandbox.model.topics import PartitionName
from sandbox.storage.log.transactions import TransactionRow

NO_PRODUCER_ID = -1
NO_EPOCH = -1
EPOCH_RAISED = 2
"""The protocol version from which every transaction raises the epoch."""


class TransactionState(StrEnum):
    """Transaction states as Kafka spells them."""

    EMPTY = "Empty"
    ONGOING = "Ongoing"
    COMPLETE_COMMIT = "CompleteCommit"
    COMPLETE_ABORT = "CompleteAbort"


OTHER_STATES = ("PrepareCommit", "PrepareAbort", "PrepareEpochFence", "Dead")
"""States that a filter may name, although no transaction is ever in them."""


def unknown_states(states: Iterable[str]) -> list[str]:
    """Return the words that aren't names of Kafka's transaction states."""
    known = {state.value for state in TransactionState} | set(OTHER_STATES)
    return [state for state in states if state not in known]


@dataclass(slots=True)
class Transaction:
    """One transactional id; see `sandbox.storage.log.transactions.TransactionRow` for the fields."""

    transactional_id: str
    producer_id: int
    producer_epoch: int = NO_EPOCH
    last_producer_id: int = NO_PRODUCER_ID
    last_producer_epoch: int = NO_EPOCH
    timeout_ms: int = 0
    state: TransactionState = TransactionState.EMPTY
    version: int = 1
    started_ms: int | None = None
    updated_ms: int = 0
    partitions: set[PartitionName] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)

    @classmethod
    def restored(cls, row: TransactionRow) -> "Transaction":
        """Create a transaction from its rows."""
        return cls(
            row.transactional_id,
            row.producer_id,
            row.producer_epoch,
            row.last_producer_id,
            row.last_producer_epoch,
            row.timeout_ms,
            TransactionState(row.state),
            row.version,
            row.started_ms,
            row.updated_ms,
            set(row.partitions),
            set(row.groups),
        )

    def row(self) -> TransactionRow:
        """Return its row, without the partitions and groups that take part."""
        return TransactionRow(
            self.transactional_id,
            self.producer_id,
            self.producer_epoch,
            self.last_producer_id,
            self.last_producer_epoch,
            self.timeout_ms,
            self.state.value,
            self.version,
            self.started_ms,
            self.updated_ms,
        )

    @property
    def ongoing(self) -> bool:
        """True if a transaction is open."""
        return self.state is TransactionState.ONGOING

    @property
    def deadline_ms(self) -> int | None:
        """When the open transaction times out; None if none is open."""
        return None if self.started_ms is None or not self.ongoing else self.started_ms + self.timeout_ms

    @property
    def exhausted(self) -> bool:
        """True if the producer id has no epoch left."""
        return self.producer_epoch >= EPOCH_LAST

    def check_producer(self, producer_id: int, epoch: int, stale: str = "PRODUCER_FENCED") -> None:
        """Refuse a producer that isn't the current one.

        Args:
            stale: the error for a different epoch.

        Raises:
            BrokerError: INVALID_PRODUCER_ID_MAPPING, or `stale`.
        """
        if producer_id != self.producer_id:
            raise BrokerError(
                "INVALID_PRODUCER_ID_MAPPING",
                f"Producer id {producer_id} does not belong to transactional id {self.transactional_id}.",
            )
        if epoch != self.producer_epoch:
            raise self.fenced(epoch, stale)

    def fenced(self, epoch: int, error: str = "PRODUCER_FENCED") -> BrokerError:
        """Return the error for an epoch that isn't the current one."""
        return BrokerError(
            error,
            f"Epoch {epoch} of transactional id {self.transactional_id} is not the current one, {self.producer_epoch}: "
            "a newer producer has it, or its transaction timed out.",
        )

    def check_expected(self, producer_id: int, epoch: int) -> None:
        """Refuse a producer that requests its next epoch and isn't the current one (KIP-360).

        Raises:
            BrokerError: PRODUCER_FENCED.
        """
        known = (
            self.producer_epoch == NO_EPOCH
            or producer_id == self.producer_id
            or (producer_id == self.last_producer_id and epoch >= EPOCH_LAST)
        )
        if not known:
            raise self.fenced(epoch)

    def raise_epoch(self, expected: int | None, next_producer_id: int | None) -> None:
        """Assign the next producer's epoch.

        Args:
            expected: the epoch that the producer states, or None. The epoch before the current one means a repeated
                request, which gets the same answer.
            next_producer_id: the producer id to continue with if no epoch is left, otherwise None.

        Raises:
            BrokerError: PRODUCER_FENCED.
        """
        if next_producer_id is not None:
            self.rotate(next_producer_id)
        elif self.producer_epoch == NO_EPOCH or expected is None or expected == self.producer_epoch:
            self.last_producer_epoch = NO_EPOCH if expected is None else self.producer_epoch
            self.producer_epoch += 1
        elif expected != self.last_producer_epoch:
            raise self.fenced(expected)

    def rotate(self, producer_id: int) -> None:
        """Continue with a new producer id, from epoch 0."""
        self.last_producer_id, self.last_producer_epoch = self.producer_id, self.producer_epoch
        self.producer_id, self.producer_epoch = producer_id, 0

    def repeats_end(self, producer_id: int, epoch: int) -> bool:
        """Return True if a producer repeats an EndTxn that has raised its epoch, because the answer got lost."""
        if self.version < EPOCH_RAISED or self.state not in (
            TransactionState.COMPLETE_COMMIT,
            TransactionState.COMPLETE_ABORT,
        ):
            return False
        raised = producer_id == self.producer_id and epoch + 1 == self.producer_epoch
        rotated = producer_id == self.last_producer_id and epoch == EPOCH_LAST and self.producer_epoch == 0
        return raised or rotated
