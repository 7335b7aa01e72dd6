"""Reads the records for a Fetch: from the cache of recent batches, or encoded from rows."""

import struct
from collections.abc import Generator, Iterator

from sandbox.broker.logs.log import StoredBatch, StoredRun
from sandbox.broker.logs.topic import Partition
from sandbox.kafka.errors import EventsDamaged
from sandbox.storage.file.failure import BROKEN, DAMAGED, StorageFailed
from sandbox.storage.log import log, log_transactions
from sandbox.storage.log.log import BatchRow
from sandbox.wire.held_bytes import AnswerSize
from sandbox.wire.node import Node
from sandbox.wire.read_ahead import PIECE_BYTES_MAX, ReadPosition
from sandbox.wire.records import batch as record_batch
from sandbox.wire.time_slices import Steps

DAMAGE = (ArithmeticError, LookupError, TypeError, ValueError, struct.error)
"""Exceptions that a damaged row can cause."""
STEP_BYTES = 256 * 1024
"""How many bytes are read from rows in one step, if the size of the batches allows it."""
DONE = object()


def read_records(
    node: Node,
    partition: Partition,
    offset: int,
    size_bytes_max: int,
    stable: bool = False,
    answer: AnswerSize | None = None,
    first: bool = True,
) -> Generator[None, None, list[bytes]]:
    """Return batches from the one that contains `offset`, below the high watermark. It can be interrupted at each
    `yield`.

    Args:
        size_bytes_max: how many bytes to return.
        stable: only below the last stable offset, for read_committed.
        answer: the size of the answer that they belong to; None for no other limit.
        first: return the first batch even if it is larger than `size_bytes_max` (KIP-74).
    """
    end = _end(partition, stable)
    if partition.id < 0:
        return node.internal.read(partition, offset, size_bytes_max)
    if offset >= end:
        return []
    cached = node.cache.read(partition.id, offset, end, size_bytes_max)
    if cached is not None:
        return cached
    answer = answer or AnswerSize(node.held)
    found: list[bytes] = []
    at, left, place = offset, size_bytes_max, ReadPosition(partition.id, offset, stable)
    rest = node.cache.ahead.rest_of(place)
    if rest is not None:
        yield from rest
    for batch, behind in node.cache.ahead.take(place, end, size_bytes_max, first=first):
        found.append(batch)
        answer.add(len(batch))
        at, left = behind, left - len(batch)
    if found and left < size_bytes_max // 2:
        # It was encoded as a whole answer, so the next batch would not fit.
        left = 0
    try:
        for encoded, behind in _from_rows(node, partition, at, end, left, first and not found):
            at = behind
            if encoded is None:
                yield
                continue
            found.append(encoded)
            answer.add(len(encoded))
            if answer.is_full:
                break
    except DAMAGE as error:
        raise StorageFailed(
            f"{partition.topic.name}-{partition.partition} at {at}: {error}", DAMAGED, effect=BROKEN
        ) from error
    except EventsDamaged:
        if not found:
            raise
    if found:
        # `found` is empty if compaction removed everything.
        _read_ahead(node, partition, _next_offset(found), size_bytes_max, stable)
    return found


def has_more(partition: Partition, batches: list[bytes], offset: int, stable: bool) -> bool:
    """Return True if there are events after those that were read from `offset`."""
    return (_next_offset(batches) if batches else offset) < _end(partition, stable)


def _end(partition: Partition, stable: bool) -> int:
    return partition.last_stable_offset if stable else partition.high_watermark


def _next_offset(batches: list[bytes]) -> int:
    last = record_batch.decode_batch_header(batches[-1])
    return last.base_offset + last.last_offset_delta + 1


def _read_ahead(node: Node, partition: Partition, offset: int, size_bytes_max: int, stable: bool) -> None:
    """Encode the next answer in advance, after other requests were handled."""
    end = _end(partition, stable)
    if offset >= end or node.cache.holds(partition.id, offset):
        return
    ahead, place = node.cache.ahead, ReadPosition(partition.id, offset, stable)
    piece = ahead.begin(place, size_bytes_max, node.now_ms())
    if piece is None:
        return

    def steps() -> Steps:
        try:
            for batch, after in _from_rows(node, partition, offset, end, piece.reserved_bytes, True, PIECE_BYTES_MAX):
                if batch is None:
                    yield
                if piece.dropped:
                    return
                if batch is not None:
                    ahead.add(piece, batch, after)
        except (*DAMAGE, EventsDamaged, StorageFailed):
            # The reader gets the error when it requests these events.
            return
        finally:
            ahead.complete(place, piece)

    piece.steps = work = steps()
    node.slices.add_read(lambda: next(work, DONE) is not DONE)


def _from_rows(
    node: Node,
    partition: Partition,
    offset: int,
    end: int,
    size_bytes_max: int,
    first: bool,
    first_bytes_max: int | None = None,
) -> Iterator[tuple[bytes | None, int]]:
    """Yield batches from rows, each with the offset after it; None at each point at which the read can be interrupted.

    Args:
        first: yield the first batch even if it is larger than `size_bytes_max`.
        first_bytes_max: yield nothing if the first batch is larger than this.
    """
    log = node.broker.log
    while offset < end and (first or size_bytes_max > 0):
        yield None, offset
        # Data read before an interruption may be deleted or compacted by now, so it isn't used after one.
        runs = log.runs(partition, offset, min(max(size_bytes_max, 1), STEP_BYTES), end)
        if not runs:
            return
        for run in runs:
            if not first and run[0].size_bytes > size_bytes_max:
                return
            if first and first_bytes_max is not None and _data_bytes(node, run) > first_bytes_max:
                return
            stored, interrupted = None, False
            for stored in log.read_run_in_steps(partition, run, size_bytes_max, end):
                if stored is None:
                    interrupted = True
                    yield None, offset
            if stored is None:
                return
            encoded = _encode(stored)
            size_bytes_max -= len(encoded)
            if not first and size_bytes_max < 0:
                return
            first = False
            offset = stored.batches[-1].last_offset + 1
            yield encoded, offset
            if interrupted or len(stored.batches) < len(run):
                # In the second case the next batch is damaged or large.
                break


def _data_bytes(node: Node, run: list[BatchRow]) -> int:
    return log.data_bytes(node.broker.database, run, run[0].base_offset, run[-1].last_offset)


def aborted_transactions(node: Node, partition: Partition, offset: int, batches: list[bytes]) -> list[dict[str, int]]:
    """Return the aborted transactions with events in the batches that were read from `offset`; readers skip these.

    Reads beyond the last marker that aborted events, which most reads at the tail are, need no query.
    """
    if not batches or offset > partition.aborted_until:
        return []
    found = log_transactions.aborted_transactions(node.broker.database, partition.id, offset, _next_offset(batches))
    return [{"producer_id": one.producer_id, "first_offset": one.first_offset} for one in found]


def encode_marker(marker: StoredBatch) -> bytes:
    """Encode the batch of a transaction marker."""
    return _encode(StoredRun([marker.batch], marker.records))


def _encode(run: StoredRun) -> bytes:
    events = run.events
    first, last = run.batches[0], run.batches[-1]
    alone = first is last
    return record_batch.encode_batch(
        min(first.base_offset, events[0][0]) if events else first.base_offset,
        events,
        last_offset=last.last_offset,
        producer_id=first.producer_id if alone else -1,
        producer_epoch=first.producer_epoch if alone else -1,
        base_sequence=first.base_sequence if alone else -1,
        transactional=bool(first.transactional),
        control=bool(first.control),
        timestamp_type=first.timestamp_type,
        leader_epoch=first.leader_epoch,
        max_timestamp=max(batch.max_timestamp for batch in run.batches),
    )
