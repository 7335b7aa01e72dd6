"""The transaction coordinator: producers of transactional ids, and their transactions.

A producer gets its id and epoch (`init_producer_id`), adds partitions and groups to the transaction, writes to the
partitions, stages offsets, and ends the transaction. The end appends a marker to every partition, commits or drops the
staged offsets, and sets the state, all in the turn's single commit. Readers with read_committed read up to a
partition's last stable offset, which is at most the first offset of any open transaction, and get the list of aborted
transactions.

A transaction that is open for longer than its timeout is aborted, and its producer is fenced by the next epoch. Kafka
checks this every ten seconds; the sandbox does it on time.

Differs from Kafka: a transaction's end is never half done, so CONCURRENT_TRANSACTIONS doesn't occur. If a producer
initializes a transactional id whose transaction is open, the transaction is aborted and the producer is answered
immediately, with the epoch that it would get at its second attempt from Kafka. Groups that take part aren't shown as
partitions of `__consumer_offsets`, because that topic has no rows here.

Sources: KIP-98, KIP-360, KIP-447, KIP-664, KIP-890; checked against Apache Kafka 4.4 by
`tests/clients/test_transaction_requests.py`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from sandbox.broker.name_pattern import NamePattern, PatternError
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.producer_epoch import EPOCH_LAST
from sandbox.model.topics import PartitionName
from sandbox.storage.groups.groups import CommittedOffset
from sandbox.storage.log import transactions
from sandbox.storage.log.transactions import TransactionRow

if TYPE_CHECKING:
    from sandbox.broker.broker import Broker


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


EXPIRATION_CHECK_INTERVAL_MS = 3_600_000
"""The interval at which idle transactional ids are removed (Kafka's value)."""
NOT_ADDED = "Partition was not added to the transaction"


class TransactionCoordinator:
    """Manages every transactional id of a file.

    Args:
        broker: the broker whose logs get the markers, and whose turns the changes belong to.
        now_ms: the current time.
    """

    def __init__(self, broker: "Broker", now_ms: int) -> None:
        self._broker = broker
        self._database = broker.database
        self._known: dict[str, Transaction] = {}
        self._open: set[str] = set()
        self._moved: set[str] = set()
        self._expire_at_ms = now_ms + EXPIRATION_CHECK_INTERVAL_MS
        self.load()
        self.believe(now_ms)

    def believe(self, now_ms: int) -> None:
        """Correct start times in the future: the clock was set back while the file was closed."""
        for name in self._open:
            found = self._known[name]
            if found.started_ms is not None and found.started_ms > now_ms:
                found.started_ms = now_ms
                self._moved.add(name)

    def clock_moved(self, by_ms: int, now_ms: int) -> None:
        """Move the start of open transactions along with the clock, so that their remaining time doesn't change.

        The next `tick` writes their rows.
        """
        self._expire_at_ms += by_ms
        for name in self._open:
            found = self._known[name]
            if found.started_ms is not None:
                found.started_ms = min(found.started_ms + by_ms, now_ms)
                self._moved.add(name)

    def load(self) -> None:
        """Load everything from the file: at the start, and after a turn was undone.

        Start times that moved with the clock stay: the turn that was undone may be the one that wrote them.
        """
        before = self._known
        self._known = {row.transactional_id: Transaction.restored(row) for row in transactions.load(self._database)}
        self._open = {name for name, found in self._known.items() if found.ongoing}
        for name in self._open & before.keys():
            found, known = self._known[name], before[name]
            same = (known.producer_id, known.producer_epoch) == (found.producer_id, found.producer_epoch)
            if same and known.ongoing and known.started_ms not in (None, found.started_ms):
                found.started_ms = known.started_ms
                self._moved.add(name)

    @property
    def is_used(self) -> bool:
        """True if there is a transactional id."""
        return bool(self._known)

    # Requests of producers

    def init_producer_id(
        self, transactional_id: str, timeout_ms: int, producer_id: int, epoch: int, now_ms: int
    ) -> tuple[int, int]:
        """InitProducerId: assign a producer's id and epoch. Fences the previous producer and aborts its open
        transaction.

        Args:
            timeout_ms: how long a transaction may be open, from 1 to `transaction.max.timeout.ms`.
            producer_id: with `epoch`, the producer's current id and epoch, to get the next epoch (KIP-360); -1 or 0 for
                a new producer.

        Raises:
            BrokerError: INVALID_REQUEST, INVALID_TRANSACTION_TIMEOUT, PRODUCER_FENCED.
        """
        if not transactional_id:
            raise BrokerError("INVALID_REQUEST", "A transactional id is not empty.")
        if not 0 < timeout_ms <= self._broker.config.number("transaction.max.timeout.ms"):
            raise BrokerError("INVALID_TRANSACTION_TIMEOUT")
        found = self._known.get(transactional_id)
        if found is None:
            found = Transaction(transactional_id, self._broker.new_producer_id(now_ms))
            self._known[transactional_id] = found
        expected = epoch if producer_id > 0 else None
        if expected is not None:
            found.check_expected(producer_id, expected)
        if found.ongoing:
            self._fence(found, now_ms)
        spent = found.exhausted and expected in (None, found.producer_epoch)
        found.raise_epoch(expected, self._broker.new_producer_id(now_ms) if spent else None)
        found.state, found.started_ms, found.timeout_ms = TransactionState.EMPTY, None, timeout_ms
        self._save(found, now_ms)
        return found.producer_id, found.producer_epoch

    def add_partitions(
        self,
        transactional_id: str,
        producer_id: int,
        epoch: int,
        places: Iterable[PartitionName],
        now_ms: int,
        *,
        version: int = 1,
    ) -> None:
        """AddPartitionsToTxn: add partitions to the transaction, and start one if none is open.

        Args:
            version: the protocol version; 2 for a producer whose writes add their partitions implicitly (KIP-890).

        Raises:
            BrokerError: INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED.
        """
        found = self._find(transactional_id)
        found.check_producer(producer_id, epoch)
        new = set(places) - found.partitions
        if new or not found.ongoing:
            self._take_part(found, version, now_ms)
            found.partitions |= new
            transactions.add_partitions(self._database, transactional_id, new)

    def missing(
        self, transactional_id: str, producer_id: int, epoch: int, places: Iterable[PartitionName]
    ) -> set[PartitionName]:
        """Return the partitions that don't take part in the open transaction.

        Raises:
            BrokerError: the errors of `add_partitions`.
        """
        found = self._find(transactional_id)
        found.check_producer(producer_id, epoch)
        return set(places) - (found.partitions if found.ongoing else set())

    def add_group(
        self, transactional_id: str, producer_id: int, epoch: int, group_id: str, now_ms: int, *, version: int = 1
    ) -> None:
        """AddOffsetsToTxn: add a group whose offsets the transaction commits. Raises the errors of `add_partitions`."""
        found = self._find(transactional_id)
        found.check_producer(producer_id, epoch)
        if group_id not in found.groups or not found.ongoing:
            self._take_part(found, version, now_ms)
            found.groups.add(group_id)
            transactions.add_group(self._database, transactional_id, group_id)

    def check_write(
        self,
        transactional_id: str | None,
        producer_id: int,
        epoch: int,
        place: PartitionName,
        now_ms: int,
        *,
        joins: bool,
        refusal: str,
    ) -> None:
        """Check that a producer may write a batch of its transaction to a partition.

        Args:
            transactional_id: from the request; None is refused with Kafka's authorization error.
            joins: True if the write adds the partition to the transaction (Produce 12 and later).
            refusal: the error if the partition doesn't take part.

        Raises:
            BrokerError: TRANSACTIONAL_ID_AUTHORIZATION_FAILED, INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING,
            INVALID_PRODUCER_EPOCH, `refusal`.
        """
        if transactional_id is None:
            raise BrokerError("TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "The batch needs a transactional id.")
        found = self._find(transactional_id)
        found.check_producer(producer_id, epoch, stale="INVALID_PRODUCER_EPOCH")
        if joins:
            self.add_partitions(transactional_id, producer_id, epoch, (place,), now_ms, version=EPOCH_RAISED)
        elif not found.ongoing or place not in found.partitions:
            raise BrokerError(refusal, NOT_ADDED)

    def check_offsets(
        self,
        transactional_id: str,
        producer_id: int,
        epoch: int,
        group_id: str,
        now_ms: int,
        *,
        joins: bool,
        refusal: str,
    ) -> None:
        """TxnOffsetCommit: check that a producer may stage offsets of a group. Like `check_write`."""
        found = self._find(transactional_id)
        found.check_producer(producer_id, epoch, stale="INVALID_PRODUCER_EPOCH")
        if joins:
            self.add_group(transactional_id, producer_id, epoch, group_id, now_ms, version=EPOCH_RAISED)
        elif not found.ongoing or group_id not in found.groups:
            raise BrokerError(refusal, NOT_ADDED)

    def stage_offsets(
        self, producer_id: int, group_id: str, offsets: Iterable[CommittedOffset], generation: int, member_id: str
    ) -> None:
        """Stage offsets until the end of the transaction. The caller has checked them."""
        transactions.stage_offsets(self._database, producer_id, group_id, offsets, generation, member_id)

    def pending(self, group_id: str) -> set[PartitionName]:
        """Return the partitions for which an open transaction has staged an offset of the group (KIP-447)."""
        return transactions.pending_places(self._database, group_id)

    def end(
        self, transactional_id: str, producer_id: int, epoch: int, committed: bool, now_ms: int, *, version: int = 1
    ) -> tuple[int, int]:
        """EndTxn: commit or abort.

        Args:
            version: the protocol version; 2 raises the epoch, even if there is nothing to abort.

        Returns:
            The producer id and epoch to continue with.

        Raises:
            BrokerError: INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, INVALID_TXN_STATE.
        """
        found = self._find(transactional_id)
        raises = version >= EPOCH_RAISED
        repeated = raises and found.repeats_end(producer_id, epoch)
        if not repeated:
            found.check_producer(producer_id, epoch)
        wanted = TransactionState.COMPLETE_COMMIT if committed else TransactionState.COMPLETE_ABORT
        answered = found.state is wanted and (repeated or not raises)
        if found.ongoing or (raises and not committed and not repeated):
            found.version = version
            self._finish(found, committed, now_ms, raises=raises)
        elif not answered:
            outcome = "commit" if committed else "abort"
            raise BrokerError("INVALID_TXN_STATE", f"There is nothing to {outcome}: the state is {found.state}.")
        return found.producer_id, found.producer_epoch

    # Requests of administrators

    def describe(self, transactional_id: str) -> Transaction:
        """Return one transactional id.

        Raises:
            BrokerError: INVALID_REQUEST for an empty id, TRANSACTIONAL_ID_NOT_FOUND.
        """
        if not transactional_id:
            raise BrokerError("INVALID_REQUEST", "A transactional id is not empty.")
        found = self._known.get(transactional_id)
        if found is None:
            raise BrokerError("TRANSACTIONAL_ID_NOT_FOUND", f"There is no transactional id {transactional_id}.")
        return found

    def list(
        self,
        now_ms: int,
        *,
        states: Collection[str] = (),
        producer_ids: Collection[int] = (),
        open_ms: int = -1,
        pattern: str | None = None,
    ) -> tuple[Transaction, ...]:
        """ListTransactions: return those that pass every filter, sorted by transactional id.

        Args:
            states: Kafka's state names; empty for all.
            producer_ids: empty for all.
            open_ms: only those that began more than this many ms ago or, as in Kafka, never began; negative for all.
            pattern: a regular expression that must match the whole transactional id; None or "" for all.

        Raises:
            BrokerError: INVALID_REGULAR_EXPRESSION.
        """
        try:
            expression = NamePattern(pattern) if pattern else None
        except PatternError as error:
            raise BrokerError("INVALID_REGULAR_EXPRESSION", f"{pattern!r} isn't valid: {error}.") from error
        return tuple(
            found
            for name, found in sorted(self._known.items())
            if (not states or found.state.value in states)
            and (not producer_ids or found.producer_id in producer_ids)
            and (open_ms < 0 or now_ms - (-1 if found.started_ms is None else found.started_ms) > open_ms)
            and (expression is None or expression.matches(name))
        )

    # Time

    def next_deadline_ms(self) -> int:
        """Return when `tick` must be called next."""
        if self._moved:
            return 0
        if not self._open:
            return self._expire_at_ms
        deadlines = (self._known[name].deadline_ms for name in self._open)
        return min((due_ms for due_ms in deadlines if due_ms is not None), default=self._expire_at_ms)

    def earliest_timeout_ms(self) -> int | None:
        """Return when the next open transaction times out, or None."""
        deadlines = (self._known[name].deadline_ms for name in self._open)
        return min((due_ms for due_ms in deadlines if due_ms is not None), default=None)

    def tick(self, now_ms: int, aged_ms: int) -> None:
        """Abort transactions that timed out, and remove expired transactional ids.

        Args:
            aged_ms: the time to which ages are computed; see `AgeHold`.
        """
        for name in self._moved & self._open:
            transactions.save(self._database, self._known[name].row())
        self._moved.clear()
        for name in sorted(self._open):
            found = self._known[name]
            if found.deadline_ms is not None and found.deadline_ms <= now_ms:
                self._fence(found, now_ms)
                self._save(found, now_ms)
        if now_ms >= self._expire_at_ms:
            self._expire_at_ms = now_ms + EXPIRATION_CHECK_INTERVAL_MS
            self._expire(aged_ms - self._broker.config.number("transactional.id.expiration.ms"))

    def _expire(self, before_ms: int) -> None:
        for name, found in list(self._known.items()):
            if not found.ongoing and found.updated_ms < before_ms:
                del self._known[name]
                transactions.delete(self._database, name)

    # Internals

    def _find(self, transactional_id: str) -> Transaction:
        if not transactional_id:
            raise BrokerError("INVALID_REQUEST", "A transactional id is not empty.")
        found = self._known.get(transactional_id)
        if found is None:
            raise BrokerError("INVALID_PRODUCER_ID_MAPPING", f"There is no transactional id {transactional_id}.")
        return found

    def _take_part(self, found: Transaction, version: int, now_ms: int) -> None:
        """Start a transaction if none is open, because something takes part in it."""
        if found.ongoing:
            return
        found.state, found.started_ms, found.version = TransactionState.ONGOING, now_ms, version
        self._open.add(found.transactional_id)
        self._save(found, now_ms)

    def _fence(self, found: Transaction, now_ms: int) -> None:
        """Abort the open transaction with the next epoch, so that its producer is refused from now on."""
        found.last_producer_epoch = found.producer_epoch
        found.producer_epoch += 1
        self._finish(found, False, now_ms, raises=False)

    def _finish(self, found: Transaction, committed: bool, now_ms: int, *, raises: bool) -> None:
        """End the transaction: append the markers, commit or drop the offsets, and set the state."""
        producer_id, spent = found.producer_id, found.exhausted
        if found.started_ms is None:
            found.started_ms = now_ms
        if raises:
            found.last_producer_epoch = found.producer_epoch
            found.producer_epoch += 1
        for name, number in sorted(found.partitions):
            topic = self._broker.topics.get(name)
            if topic is not None and number < len(topic.partitions):
                partition = topic.partitions[number]
                self._broker.log.append_marker(partition, producer_id, found.producer_epoch, committed, now_ms)
        if found.groups:
            self._end_offsets(producer_id, committed, now_ms)
        if raises and spent:
            found.rotate(self._broker.new_producer_id(now_ms))
        found.state = TransactionState.COMPLETE_COMMIT if committed else TransactionState.COMPLETE_ABORT
        found.partitions.clear()
        found.groups.clear()
        self._open.discard(found.transactional_id)
        transactions.clear(self._database, found.transactional_id)
        self._save(found, now_ms)

    def _end_offsets(self, producer_id: int, committed: bool, now_ms: int) -> None:
        if not committed:
            transactions.drop_offsets(self._database, producer_id)
            return
        for group_id in transactions.commit_offsets(self._database, producer_id, now_ms):
            self._broker.group_changed(group_id, "commit")

    def _save(self, found: Transaction, now_ms: int) -> None:
        found.updated_ms = now_ms
        transactions.save(self._database, found.row())
