"""The transaction coordinator: who may write under a transactional id, and how its transactions end.

A producer is given its id and epoch (`init_producer_id`), says which partitions and groups take part, writes to the
partitions, stages offsets, and asks for the end. The end appends a marker to every partition, makes the staged offsets
the committed ones or drops them, and sets the state, in the turn's one commit: all of it happens or none. Readers in
read_committed go up to the last stable offset of a partition, which is before the first event of any open transaction,
and are told which transactions were aborted.

A transaction that is open for longer than its timeout is aborted, and its producer fenced by the next epoch. Kafka
looks for these every ten seconds; here it happens on time.

Differs from Kafka: an end is never half done, so nobody is answered CONCURRENT_TRANSACTIONS: a producer that comes with
a transactional id whose transaction is open has it aborted and is answered at once, with the epoch that it would have
had at its second try. Groups that take part are not shown as partitions of `__consumer_offsets`, of which there are
none.

Sources: KIP-98, KIP-360, KIP-447, KIP-664, KIP-890; checked against Apache Kafka 4.4 by
`tests/clients/test_transaction_requests.py`.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from sandbox.broker.logs.transaction import EPOCH_RAISED, Transaction, TransactionState
from sandbox.broker.name_pattern import NamePattern, PatternError
from sandbox.kafka.errors import BrokerError
from sandbox.storage.groups.groups import CommittedOffset
from sandbox.storage.log import transactions
from sandbox.storage.log.transactions import Place

if TYPE_CHECKING:
    from sandbox.broker.broker import Broker

EXPIRATION_CHECK_INTERVAL_MS = 3_600_000
"""How often idle transactional ids are looked for (Kafka's own figure)."""
NOT_ADDED = "Partition was not added to the transaction"


class TransactionCoordinator:
    """Every transactional id of a file.

    Args:
        broker: whose logs the markers go to, and whose turns these changes belong to.
        now_ms: the time.
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
        """Let no open transaction have begun after now: the clock was set back while nobody had the file open."""
        for name in self._open:
            found = self._known[name]
            if found.started_ms is not None and found.started_ms > now_ms:
                found.started_ms = now_ms
                self._moved.add(name)

    def clock_moved(self, by_ms: int, now_ms: int) -> None:
        """Let open transactions begin earlier or later, by as much as the clock moved: their time-outs stay the same.

        Their rows are written by the next `tick`.
        """
        self._expire_at_ms += by_ms
        for name in self._open:
            found = self._known[name]
            if found.started_ms is not None:
                found.started_ms = min(found.started_ms + by_ms, now_ms)
                self._moved.add(name)

    def load(self) -> None:
        """Take everything from the file: at the start, and after a turn was undone."""
        self._known = {row.transactional_id: Transaction.restored(row) for row in transactions.load(self._database)}
        self._open = {name for name, found in self._known.items() if found.ongoing}

    # What producers ask

    def init_producer_id(
        self, transactional_id: str, timeout_ms: int, producer_id: int, epoch: int, now_ms: int
    ) -> tuple[int, int]:
        """InitProducerId: give a producer its id and epoch; who had them before is fenced, its transaction aborted.

        Args:
            timeout_ms: how long a transaction may be open, from 1 to `transaction.max.timeout.ms`.
            producer_id: with `epoch`, what the producer has now and wants the next epoch of (KIP-360); -1 or 0 for a
                producer that has none.

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
        places: Iterable[Place],
        now_ms: int,
        *,
        version: int = 1,
    ) -> None:
        """AddPartitionsToTxn: these partitions take part, in a new transaction where none is open.

        Args:
            version: of the protocol: 2 for a producer whose writes say this themselves (KIP-890).

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

    def missing(self, transactional_id: str, producer_id: int, epoch: int, places: Iterable[Place]) -> set[Place]:
        """Which of these partitions do not take part in the open transaction.

        Raises:
            BrokerError: as `add_partitions`.
        """
        found = self._find(transactional_id)
        found.check_producer(producer_id, epoch)
        return set(places) - (found.partitions if found.ongoing else set())

    def add_group(
        self, transactional_id: str, producer_id: int, epoch: int, group_id: str, now_ms: int, *, version: int = 1
    ) -> None:
        """AddOffsetsToTxn: the transaction commits offsets of this group. Raises as `add_partitions`."""
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
        place: Place,
        now_ms: int,
        *,
        joins: bool,
        refusal: str,
    ) -> None:
        """Look whether a producer may write a batch of its transaction to a partition.

        Args:
            transactional_id: as the request says; None is refused as Kafka does, which authorizes nobody for no id.
            joins: whether the write makes the partition take part (Produce 12 and up).
            refusal: the error where it does not take part.

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
        """Look whether a producer may stage offsets of a group: as `check_write`, for TxnOffsetCommit."""
        found = self._find(transactional_id)
        found.check_producer(producer_id, epoch, stale="INVALID_PRODUCER_EPOCH")
        if joins:
            self.add_group(transactional_id, producer_id, epoch, group_id, now_ms, version=EPOCH_RAISED)
        elif not found.ongoing or group_id not in found.groups:
            raise BrokerError(refusal, NOT_ADDED)

    def stage_offsets(
        self, producer_id: int, group_id: str, offsets: Iterable[CommittedOffset], generation: int, member_id: str
    ) -> None:
        """Keep offsets for the end of the transaction. The caller has looked whether they may be."""
        transactions.stage_offsets(self._database, producer_id, group_id, offsets, generation, member_id)

    def pending(self, group_id: str) -> set[Place]:
        """The partitions for which an open transaction holds a commit of the group (KIP-447)."""
        return transactions.pending_places(self._database, group_id)

    def end(
        self, transactional_id: str, producer_id: int, epoch: int, committed: bool, now_ms: int, *, version: int = 1
    ) -> tuple[int, int]:
        """EndTxn: commit or abort.

        Args:
            version: of the protocol: 2 raises the epoch, also for an abort of nothing.

        Returns:
            What the producer goes on with: its id and epoch.

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

    # What administrators ask

    def describe(self, transactional_id: str) -> Transaction:
        """One transactional id; BrokerError INVALID_REQUEST for an empty one, or TRANSACTIONAL_ID_NOT_FOUND."""
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
        """ListTransactions, by transactional id: those that pass every filter.

        Args:
            states: Kafka's words; all where empty.
            producer_ids: all where empty.
            open_ms: only those that began longer ago, in ms, or never did, as in Kafka; negative for all.
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
        """When `tick` has something to do."""
        if self._moved:
            return 0
        if not self._open:
            return self._expire_at_ms
        deadlines = (self._known[name].deadline_ms for name in self._open)
        return min((due_ms for due_ms in deadlines if due_ms is not None), default=self._expire_at_ms)

    def tick(self, now_ms: int, aged_ms: int) -> None:
        """Abort what is open for too long, and forget the transactional ids that nobody uses any more.

        Args:
            aged_ms: the time that ages are counted to; see `AgeHold`.
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

    # Inside

    def _find(self, transactional_id: str) -> Transaction:
        if not transactional_id:
            raise BrokerError("INVALID_REQUEST", "A transactional id is not empty.")
        found = self._known.get(transactional_id)
        if found is None:
            raise BrokerError("INVALID_PRODUCER_ID_MAPPING", f"Nobody has the transactional id {transactional_id}.")
        return found

    def _take_part(self, found: Transaction, version: int, now_ms: int) -> None:
        """Something is added to the open transaction, which begins where there is none."""
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
        """End the transaction: markers, offsets and state."""
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
