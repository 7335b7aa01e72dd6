"""The records of a Fetch: from the cache of recent batches, else encoded from rows."""

import struct
from collections.abc import Generator, Iterator

from sandbox.broker.logs.log import StoredBatch, StoredRun
from sandbox.broker.logs.topic import Partition
from sandbox.kafka.errors import EventsDamaged
from sandbox.storage.file.failure import DAMAGED, StorageFailed
from sandbox.storage.log import log, log_transactions
from sandbox.storage.log.log import BatchRow
from sandbox.wire.held_bytes import AnswerSize
from sandbox.wire.node import Node
from sandbox.wire.read_ahead import PIECE_BYTES_MAX, Place
from sandbox.wire.records import batch as record_batch
from sandbox.wire.time_slices import Steps

DAMAGE = (ArithmeticError, LookupError, TypeError, ValueError, struct.error)
"""What a row raises that is not as it was written."""
STEP_BYTES = 256 * 1024
"""How much is read from rows at once, if the batches allow it."""
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
    """Batches from the one that holds `offset`, below the high watermark. Each `yield` is a place to interrupt it.

    Args:
        size_bytes_max: how many bytes to return.
        stable: only below the last stable offset, for a reader in read_committed.
        answer: the size of the answer that they are part of; None for no other limit.
        first: the first batch comes even if it is larger than `size_bytes_max` (KIP-74).
    """
    end = _end(partition, stable)
    if offset >= end:
        return []
    cached = node.cache.read(partition.id, offset, end, size_bytes_max)
    if cached is not None:
        return cached
    answer = answer or AnswerSize(node.held)
    found: list[bytes] = []
    at, left, place = offset, size_bytes_max, Place(partition.id, offset, stable)
    rest = node.cache.ahead.rest_of(place)
    if rest is not None:
        yield from rest
    for batch, behind in node.cache.ahead.take(place, end, size_bytes_max, first=first):
        found.append(batch)
        answer.add(len(batch))
        at, left = behind, left - len(batch)
    if found and left < size_bytes_max // 2:
        # It was encoded as a whole answer; what else there is would not fit.
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
        raise StorageFailed(f"{partition.topic.name}-{partition.partition} at {at}: {error}", DAMAGED) from error
    except EventsDamaged:
        if not found:
            raise
    if found:
        # If compaction removed all that there was, an answer is empty.
        _read_ahead(node, partition, _next_offset(found), size_bytes_max, stable)
    return found


def has_more(partition: Partition, batches: list[bytes], offset: int, stable: bool) -> bool:
    """Whether there are events after those that were read from `offset` on."""
    return (_next_offset(batches) if batches else offset) < _end(partition, stable)


def _end(partition: Partition, stable: bool) -> int:
    return partition.last_stable_offset if stable else partition.high_watermark


def _next_offset(batches: list[bytes]) -> int:
    last = record_batch.decode_batch_header(batches[-1])
    return last.base_offset + last.last_offset_delta + 1


def _read_ahead(node: Node, partition: Partition, offset: int, size_bytes_max: int, stable: bool) -> None:
    """Encode the answer after this one, when other requests were handled."""
    end = _end(partition, stable)
    if offset >= end or node.cache.holds(partition.id, offset):
        return
    ahead, place = node.cache.ahead, Place(partition.id, offset, stable)
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
            # The reader that asks for it gets the error.
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
    """Batches from rows, each with the offset after it; None for a place to interrupt it.

    Args:
        first: the first of them comes even if it is larger than `size_bytes_max`.
        first_bytes_max: nothing comes if it is larger than this.
    """
    log = node.broker.log
    while offset < end and (first or size_bytes_max > 0):
        yield None, offset
        # What was read before an interruption may be deleted or compacted by now, so it is not used after one.
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
                # In the second case a damaged batch is next, or a large one.
                break


def _data_bytes(node: Node, run: list[BatchRow]) -> int:
    return log.data_bytes(node.broker.database, run, run[0].base_offset, run[-1].last_offset)


def aborted_transactions(node: Node, partition: Partition, offset: int, batches: list[bytes]) -> list[dict[str, int]]:
    """The aborted transactions that have events in what was read from `offset` on; readers skip these.

    Who reads beyond the last marker that aborted anything, as those at the tail mostly do, costs no look-up.
    """
    if not batches or offset > partition.aborted_until:
        return []
    found = log_transactions.aborted_transactions(node.broker.database, partition.id, offset, _next_offset(batches))
    return [{"producer_id": one.producer_id, "first_offset": one.first_offset} for one in found]


def encode_marker(marker: StoredBatch) -> bytes:
    """The batch of a transaction marker."""
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
