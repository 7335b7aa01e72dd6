"""A partition's log: checks, appends and reads record batches."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from sandbox.broker.logs.producers import ProducerState, ProducerStates, WrittenBatch
from sandbox.broker.logs.topic import Partition
from sandbox.broker.logs.turn import Turn
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.kafka.errors import BrokerError, EventsDamaged, RecordsRefused
from sandbox.kafka.event import CREATE_TIME, LOG_APPEND_TIME
from sandbox.storage.file.database import Database
from sandbox.storage.log import log, log_transactions
from sandbox.storage.log.log import BatchRow, EventColumns, Record

NO_TIMESTAMP = -1
RUN_EVENTS_MAX = 1000
"""The maximum number of events in small batches that are read and sent as one batch."""
ROWS_PER_STEP = 1000
"""The number of events read before a read can be interrupted."""
ABORT_KEY, COMMIT_KEY = b"\0\0\0\0", b"\0\0\0\1"
"""A transaction marker's key: version 0 and the type, two bytes each (KIP-98)."""
MARKER_VALUE = b"\0\0\0\0\0\0"
"""A transaction marker's value: version 0 and the coordinator epoch, which is always 0 here."""
MARKER_BYTES = 78
"""The size of a transaction marker's batch, in bytes."""


class ProducedBatch(NamedTuple):
    """A decoded record batch that a producer sent.

    Attributes:
        records: (0 to count - 1, timestamp in ms, key, value, headers), in order.
        size_bytes: its size on the wire.
        compression: Kafka's number of the codec, 0 for none.
    """

    records: EventColumns
    size_bytes: int
    compression: int = 0
    producer_id: int = -1
    producer_epoch: int = -1
    base_sequence: int = -1
    transactional: bool = False
    control: bool = False


class Appended(NamedTuple):
    """The position of an appended batch.

    Attributes:
        append_time_ms: the timestamp that the broker assigned (LogAppendTime), or -1.
        duplicate: True if the batch had been appended before, and this is its original position.
        partition: the partition.
    """

    base_offset: int
    append_time_ms: int
    duplicate: bool
    partition: Partition


class StoredBatch(NamedTuple):
    """A record batch read from rows."""

    batch: BatchRow
    records: Sequence[Record]


class StoredRun(NamedTuple):
    """Adjacent record batches read from rows. Several of them may be sent as one batch."""

    batches: list[BatchRow]
    events: Sequence[Record]


MarkerListener = Callable[[Partition, StoredBatch], None]


class Log:
    """Appends to and reads from partitions.

    Args:
        database: the file that stores the logs.
        config: the broker's settings.
        turn: the turn that appends belong to.
    """

    def __init__(self, database: Database, config: BrokerConfig, turn: Turn) -> None:
        self.database = database
        self.config = config
        self.turn = turn
        self.producers = ProducerStates(self._load_producer)
        self._marker_listener: MarkerListener = lambda partition, marker: None

    def _load_producer(self, producer_id: int, partition_id: int) -> ProducerState:
        state = ProducerState()
        for batch in log.producer_batches(self.database, producer_id, partition_id):
            if batch.producer_epoch != state.epoch:
                state.epoch = batch.producer_epoch
                state.batches.clear()
            last_sequence = (batch.base_sequence + batch.last_offset - batch.base_offset) % 2**31
            state.batches.append(WrittenBatch(batch.base_sequence, last_sequence, batch.base_offset, batch.appended_ms))
        newest = log_transactions.newest_epoch(self.database, producer_id, partition_id)
        if newest > state.epoch:
            state.epoch = newest
            state.batches.clear()
        return state

    def on_marker(self, listener: MarkerListener) -> None:
        """Call `listener` with each transaction marker that is appended. It replaces the previous listener."""
        self._marker_listener = listener

    def append_marker(self, partition: Partition, producer_id: int, epoch: int, committed: bool, now_ms: int) -> int:
        """End a producer's transaction in a partition by appending its marker, which takes one offset.

        Args:
            epoch: the marker's epoch; a higher one than the producer's fences the producer in this partition.
            committed: False if the transaction was aborted.

        Returns:
            The marker's offset.
        """
        record: Record = (0, now_ms, COMMIT_KEY if committed else ABORT_KEY, MARKER_VALUE, ())
        row = BatchRow(
            partition_id=partition.id,
            base_offset=partition.next,
            last_offset=partition.next,
            min_timestamp=now_ms,
            max_timestamp=now_ms,
            timestamp_type=CREATE_TIME,
            appended_ms=now_ms,
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=-1,
            transactional=1,
            control=1,
            compression=0,
            leader_epoch=partition.leader_epoch,
            size_bytes=MARKER_BYTES,
            bytes_before=partition.bytes_total,
        )
        log.insert_batch(self.database, row, EventColumns.of([record]))
        first = partition.open_transactions.pop(producer_id, row.base_offset)
        log_transactions.end(self.database, partition.id, producer_id, first, row.base_offset, not committed)
        if not committed and first < row.base_offset:
            partition.aborted_until = row.base_offset
        self.producers.marked(producer_id, epoch, partition.id)
        self._written(partition, row, 1)
        self._marker_listener(partition, StoredBatch(row, [(row.base_offset, *record[1:])]))
        return row.base_offset

    def _written(self, partition: Partition, row: BatchRow, count: int) -> None:
        partition.next = row.last_offset + 1
        partition.bytes_total += row.size_bytes
        partition.last_timestamp_ms = row.max_timestamp
        partition.last_append_ms = row.appended_ms
        self.turn.appended(partition, count)

    def append(self, partition: Partition, batch: ProducedBatch, now_ms: int, *, checked: bool = False) -> Appended:
        """Append a batch. It becomes durable and visible when the turn is committed.

        Args:
            partition: where it goes.
            batch: what a producer sent.
            now_ms: the current time.
            checked: True if `check` accepted the batch in this turn.

        Raises:
            BrokerError: MESSAGE_TOO_LARGE, INVALID_TIMESTAMP, INVALID_RECORD, OUT_OF_ORDER_SEQUENCE_NUMBER,
            INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE.
            StorageFailed: the file could not be written; the whole turn must be undone.
        """
        topic = partition.topic
        count = len(batch.records)
        append_time = now_ms if topic.value("message.timestamp.type", self.config) == "LogAppendTime" else NO_TIMESTAMP
        before = self._repeated(partition, batch)
        if before is not None:
            at = before.appended_ms if append_time != NO_TIMESTAMP else NO_TIMESTAMP
            return Appended(before.base_offset, at, True, partition)
        if not checked:
            self.check(partition, batch, now_ms)
        records = batch.records
        if append_time != NO_TIMESTAMP:
            records = records.stamped(now_ms)
        stamps = records.timestamps
        row = BatchRow(
            partition_id=partition.id,
            base_offset=partition.next,
            last_offset=partition.next + count - 1,
            min_timestamp=min(stamps),
            max_timestamp=max(stamps),
            timestamp_type=CREATE_TIME if append_time == NO_TIMESTAMP else LOG_APPEND_TIME,
            appended_ms=now_ms,
            producer_id=batch.producer_id,
            producer_epoch=batch.producer_epoch,
            base_sequence=batch.base_sequence,
            transactional=int(batch.transactional),
            control=int(batch.control),
            compression=batch.compression,
            leader_epoch=partition.leader_epoch,
            size_bytes=batch.size_bytes,
            bytes_before=partition.bytes_total,
        )
        log.insert_batch(self.database, row, records)
        if batch.producer_id >= 0:
            self.producers.written(
                batch.producer_id,
                batch.producer_epoch,
                batch.base_sequence,
                count,
                partition.id,
                (row.base_offset, now_ms),
            )
            if batch.transactional and batch.producer_id not in partition.open_transactions:
                partition.open_transactions[batch.producer_id] = row.base_offset
                log_transactions.begin(self.database, partition.id, batch.producer_id, row.base_offset)
        self._written(partition, row, count)
        return Appended(row.base_offset, append_time, False, partition)

    def _repeated(self, partition: Partition, batch: ProducedBatch) -> WrittenBatch | None:
        """Return the batch that an idempotent producer sent again, or None if this batch is new."""
        if batch.producer_id < 0:
            return None
        if batch.base_sequence < 0 and not batch.control:
            raise BrokerError(
                "INVALID_RECORD",
                f"Invalid sequence number {batch.base_sequence} in record batch with producerId {batch.producer_id}.",
            )
        if not batch.transactional and batch.producer_id in partition.open_transactions:
            raise BrokerError(
                "INVALID_TXN_STATE",
                f"Producer {batch.producer_id} has an open transaction here, and writes outside of it.",
            )
        return self.producers.check(
            batch.producer_id, batch.producer_epoch, batch.base_sequence, len(batch.records), partition.id
        )

    def check(self, partition: Partition, batch: ProducedBatch, now_ms: int) -> None:
        """Refuse a batch that the topic doesn't accept. `append` calls this too."""
        topic = partition.topic
        size_max = topic.number("max.message.bytes", self.config)
        if batch.size_bytes > size_max:
            raise BrokerError(
                "MESSAGE_TOO_LARGE",
                f"The record batch size in the append to {topic.name} is {batch.size_bytes} bytes which exceeds the "
                f"maximum configured value of {size_max} (max.message.bytes).",
            )
        if not batch.records:
            raise BrokerError("INVALID_RECORD", "A record batch without records cannot be appended.")
        if batch.control:
            raise BrokerError("INVALID_RECORD", "Clients are not allowed to write control records.")
        self._check_records(partition, batch, now_ms)

    def _check_records(self, partition: Partition, batch: ProducedBatch, now_ms: int) -> None:
        """Refuse a record without a key in a compacted topic, or with a timestamp outside the topic's range."""
        topic = partition.topic
        compacted = "compact" in topic.value("cleanup.policy", self.config)
        keyless = compacted and None in batch.records.keys
        earliest, latest, in_range = -math.inf, math.inf, True
        if topic.value("message.timestamp.type", self.config) == "CreateTime":
            latest = now_ms + topic.number("message.timestamp.after.max.ms", self.config)
            earliest = now_ms - topic.number("message.timestamp.before.max.ms", self.config)
            stamps = batch.records.timestamps
            in_range = earliest <= min(stamps) and max(stamps) <= latest
        if in_range and not keyless:
            return
        # As in Kafka, a record without a key is refused for that reason only.
        refused: list[tuple[int, str]] = []
        error = "INVALID_RECORD"
        for index, (_, timestamp, key, _, _) in enumerate(batch.records):
            if compacted and key is None:
                place = f"{topic.name}-{partition.partition}"
                refused.append((index, f"Compacted topic cannot accept message without key in topic partition {place}"))
            elif timestamp != NO_TIMESTAMP and not earliest <= timestamp <= latest:
                error = "INVALID_TIMESTAMP"
                reason = (
                    f"Timestamp {timestamp} of message with offset {index} is out of range. "
                    f"The timestamp should be within [{earliest}, {latest}]"
                )
                refused.append((index, reason))
        if refused:
            raise RecordsRefused(error, refused)

    def runs(self, partition: Partition, offset: int, size_bytes_max: int, end: int) -> list[list[BatchRow]]:
        """Return the batches from the one with `offset` on, grouped into runs that may be sent as one batch.

        The batches of a run are adjacent and small, have the same leader epoch, and are neither transactional nor
        control batches.
        """
        runs: list[list[BatchRow]] = []
        events = size_bytes = 0
        for batch in log.read_batches(self.database, partition.id, max(offset, partition.start), end, size_bytes_max):
            count = batch.last_offset - batch.base_offset + 1
            events += count
            size_bytes += batch.size_bytes
            if runs and events <= RUN_EVENTS_MAX and size_bytes <= size_bytes_max and _alike(runs[-1][-1], batch):
                runs[-1].append(batch)
            else:
                runs.append([batch])
                events, size_bytes = count, batch.size_bytes
        return runs

    def read_run_in_steps(
        self, partition: Partition, run: list[BatchRow], size_bytes_max: int, end: int
    ) -> Iterator[StoredRun | None]:
        """Read the events of one of `runs`, in steps: yields None after each step, and finally the events.

        Reads only its first batches if a later one is damaged, or if the uncompressed run is larger than
        `size_bytes_max`.

        Yields no events if the batches were deleted meanwhile.
        """
        database = self.database
        while len(run) > 1 and log.data_bytes(database, run, run[0].base_offset, run[-1].last_offset) > size_bytes_max:
            run = run[: len(run) // 2]
        first, last = max(run[0].base_offset, partition.start), min(run[-1].last_offset, end - 1)
        rows: list[Any] = []
        for start in range(first, last + 1, ROWS_PER_STEP):
            if start > first:
                yield None
            rows += log.read_rows(database, partition.id, start, min(start + ROWS_PER_STEP - 1, last))
        try:
            stored = self._compared(run, rows)
        except EventsDamaged:
            if last - first < ROWS_PER_STEP:
                raise
            # Compaction or a deletion may have changed the batches between two steps.
            runs = self.runs(partition, run[0].base_offset, size_bytes_max, end)
            if not runs:
                return
            first, last = max(runs[0][0].base_offset, partition.start), min(runs[0][-1].last_offset, end - 1)
            stored = self._compared(runs[0], log.read_rows(database, partition.id, first, last))
        yield stored

    def _compared(self, run: list[BatchRow], rows: list[Any]) -> StoredRun:
        at = 0
        for count, batch in enumerate(run):
            upto = log.rows_until(rows, batch, at)
            try:
                log.compare(self.database, batch, rows[at:upto])
            except EventsDamaged:
                if not count:
                    raise
                return StoredRun(run[:count], log.records_of(rows[:at]))
            at = upto
        return StoredRun(run, log.records_of(rows))

    def offset_for_time(self, partition: Partition, timestamp_ms: int) -> tuple[int, int] | None:
        """Return the (offset, timestamp) of the first event at or after a time, or None."""
        return log.offset_for_time(self.database, partition.id, timestamp_ms, partition.start, partition.high_watermark)

    def largest_timestamp(self, partition: Partition) -> tuple[int, int] | None:
        """Return the (offset, timestamp) of the event with the largest timestamp, or None."""
        return log.largest_timestamp(self.database, partition.id, partition.start, partition.high_watermark)


def _alike(one: BatchRow, other: BatchRow) -> bool:
    return (
        one.timestamp_type == other.timestamp_type == CREATE_TIME
        and one.leader_epoch == other.leader_epoch
        and not (one.transactional or one.control or other.transactional or other.control)
    )
