"""The records of a Fetch: from the cache of recent batches, else encoded from rows."""

import struct

from sandbox.broker.log import StoredBatch
from sandbox.broker.topic import Partition
from sandbox.storage import log_transactions
from sandbox.storage.failure import DAMAGED, StorageFailed
from sandbox.wire import record_batch
from sandbox.wire.node import Node

MERGED_RECORDS_MAX = 1000
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
    end = partition.last_stable_offset if stable else partition.high_watermark
    if offset >= end:
        return []
    cached = node.cache.read(partition.id, offset, end, size_bytes_max)
    if cached is not None:
        return cached
    try:
        return _from_rows(node, partition, offset, end, size_bytes_max)
    except DAMAGE as error:
        raise StorageFailed(f"{partition.topic.name}-{partition.partition} at {offset}: {error}", DAMAGED) from error


def _from_rows(node: Node, partition: Partition, offset: int, end: int, size_bytes_max: int) -> list[bytes]:
    found: list[bytes] = []
    total = 0
    for batches in _runs(node.broker.log.read(partition, offset, size_bytes_max, end), size_bytes_max):
        encoded = _encode(batches)
        total += len(encoded)
        if found and total > size_bytes_max:
            break
        found.append(encoded)
    return found


def aborted_transactions(node: Node, partition: Partition, offset: int, batches: list[bytes]) -> list[dict[str, int]]:
    """The aborted transactions that have events in what was read from `offset` on; readers skip these.

    Who reads beyond the last marker that aborted anything, as those at the tail mostly do, costs no look-up.
    """
    if not batches or offset > partition.aborted_until:
        return []
    last = record_batch.decode_batch_header(batches[-1])
    end = last.base_offset + last.last_offset_delta + 1
    found = log_transactions.aborted_transactions(node.broker.database, partition.id, offset, end)
    return [{"producer_id": one.producer_id, "first_offset": one.first_offset} for one in found]


def encode_marker(marker: StoredBatch) -> bytes:
    """The batch of a transaction marker."""
    return _encode([marker])


def _runs(batches: list[StoredBatch], size_bytes_max: int) -> list[list[StoredBatch]]:
    """Neighbours that may go as one batch: small, plain ones, alike in what their header says."""
    runs: list[list[StoredBatch]] = []
    records = size_bytes = 0
    for stored in batches:
        records += len(stored.records)
        size_bytes += stored.data_bytes
        fits = records <= MERGED_RECORDS_MAX and size_bytes <= size_bytes_max
        if runs and fits and _alike(runs[-1][-1], stored):
            runs[-1].append(stored)
        else:
            runs.append([stored])
            records, size_bytes = len(stored.records), stored.data_bytes
    return runs


def _alike(one: StoredBatch, other: StoredBatch) -> bool:
    a, b = one.batch, other.batch
    return (
        a.timestamp_type == b.timestamp_type == record_batch.CREATE_TIME
        and a.leader_epoch == b.leader_epoch
        and not (a.transactional or a.control or b.transactional or b.control)
    )


def _encode(run: list[StoredBatch]) -> bytes:
    first, last = run[0].batch, run[-1].batch
    records = run[0].records if len(run) == 1 else [record for stored in run for record in stored.records]
    base_offset = min(first.base_offset, records[0][0]) if records else first.base_offset
    alone = len(run) == 1
    return record_batch.encode_batch(
        base_offset,
        records,
        last_offset=last.last_offset,
        producer_id=first.producer_id if alone else -1,
        producer_epoch=first.producer_epoch if alone else -1,
        base_sequence=first.base_sequence if alone else -1,
        transactional=bool(first.transactional),
        control=bool(first.control),
        timestamp_type=first.timestamp_type,
        leader_epoch=first.leader_epoch,
        max_timestamp=max(stored.batch.max_timestamp for stored in run),
    )
