"""The records of a Fetch: from the cache of recent batches, else encoded from rows."""

import struct

from sandbox.broker.logs.log import StoredBatch, StoredRun
from sandbox.broker.logs.topic import Partition
from sandbox.kafka.errors import EventsDamaged
from sandbox.storage.file.failure import DAMAGED, StorageFailed
from sandbox.storage.log import log_transactions
from sandbox.storage.log.log import data_bytes
from sandbox.wire.node import Node
from sandbox.wire.read_ahead import PIECE_BYTES_MAX, Piece, Place
from sandbox.wire.records import batch as record_batch

DAMAGE = (ArithmeticError, LookupError, TypeError, ValueError, struct.error)
"""What a row raises that is not as it was written."""


def read_records(
    node: Node, partition: Partition, offset: int, size_bytes_max: int, stable: bool = False
) -> list[bytes]:
    """Batches from the one that holds `offset`, below the high watermark.

    Args:
        size_bytes_max: how many bytes to return; the first batch comes even where it is larger (KIP-74).
        stable: only below the last stable offset, for a reader in read_committed.
    """
    end = _end(partition, stable)
    if offset >= end:
        return []
    cached = node.cache.read(partition.id, offset, end, size_bytes_max)
    if cached is not None:
        return cached
    place = Place(partition.id, offset, stable)
    found = node.cache.ahead.take(place, end, size_bytes_max)
    if found is None:
        try:
            found = _from_rows(node, partition, offset, end, size_bytes_max)
        except DAMAGE as error:
            at = f"{partition.topic.name}-{partition.partition} at {offset}"
            raise StorageFailed(f"{at}: {error}", DAMAGED) from error
    if found:
        # Where compaction took all that there was, an answer is empty.
        _read_ahead(node, partition, _next_offset(found), size_bytes_max, stable)
    return found


def _end(partition: Partition, stable: bool) -> int:
    return partition.last_stable_offset if stable else partition.high_watermark


def _next_offset(batches: list[bytes]) -> int:
    last = record_batch.decode_batch_header(batches[-1])
    return last.base_offset + last.last_offset_delta + 1


def _read_ahead(node: Node, partition: Partition, offset: int, size_bytes_max: int, stable: bool) -> None:
    """Have the answer after this one made, once other requests were handled."""
    if size_bytes_max > PIECE_BYTES_MAX or offset >= _end(partition, stable):
        return
    ahead, place = node.cache.ahead, Place(partition.id, offset, stable)

    def make() -> None:
        end = _end(partition, stable)
        if offset >= end or node.cache.holds(partition.id, offset):
            return
        try:
            found = _from_rows(node, partition, offset, end, size_bytes_max, PIECE_BYTES_MAX)
        except (*DAMAGE, EventsDamaged, StorageFailed):
            # Whoever asks for it is told.
            return
        # What reaches the end is short, and may be longer when it is asked for.
        if found and (after := _next_offset(found)) < end:
            ahead.keep(place, Piece(found, size_bytes_max, after, node.now_ms()))

    def go_on() -> None:
        try:
            ahead.make_next()
        finally:
            if ahead.wanted:
                node.call_later(0, go_on)

    if ahead.want(place, size_bytes_max, make, node.now_ms()):
        node.call_later(0, go_on)


def _from_rows(
    node: Node, partition: Partition, offset: int, end: int, size_bytes_max: int, first_bytes_max: int | None = None
) -> list[bytes]:
    """Batches from rows.

    Args:
        first_bytes_max: nothing is returned where the first of them, which comes however large it is, is larger.
    """
    found: list[bytes] = []
    total = 0
    log = node.broker.log
    runs = log.runs(partition, offset, size_bytes_max, end)
    if runs and first_bytes_max is not None:
        first, last = runs[0][0].base_offset, runs[0][-1].last_offset
        if data_bytes(node.broker.database, runs[0], first, last) > first_bytes_max:
            return []
    for run in runs:
        if found and total + run[0].size_bytes > size_bytes_max:
            break
        try:
            stored = log.read_run(partition, run, size_bytes_max - total, end)
        except EventsDamaged:
            if found:
                break
            raise
        encoded = _encode(stored)
        total += len(encoded)
        if found and total > size_bytes_max:
            break
        found.append(encoded)
        if len(stored.batches) < len(run):
            break
    return found


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
