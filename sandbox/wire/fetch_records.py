"""The records of a Fetch: from the cache of recent batches, else encoded from rows."""

from sandbox.broker.log import StoredBatch
from sandbox.broker.topic import Partition
from sandbox.wire import record_batch
from sandbox.wire.node import Node

MERGED_RECORDS_MAX = 1000


def read_records(node: Node, partition: Partition, offset: int, size_bytes_max: int) -> list[bytes]:
    """Batches from the one that holds `offset`, below the high watermark.

    Args:
        size_bytes_max: how many bytes to return; the first batch comes even where it is larger (KIP-74).
    """
    end = partition.high_watermark
    if offset >= end:
        return []
    cached = node.cache.read(partition.id, offset, end, size_bytes_max)
    if cached is not None:
        return cached
    found: list[bytes] = []
    total = 0
    for batches in _runs(node.broker.log.read(partition, offset, size_bytes_max, end)):
        encoded = _encode(batches)
        total += len(encoded)
        if found and total > size_bytes_max:
            break
        found.append(encoded)
    return found


def _runs(batches: list[StoredBatch]) -> list[list[StoredBatch]]:
    """Neighbours that may go as one batch: small, plain ones, alike in what their header says."""
    runs: list[list[StoredBatch]] = []
    records = 0
    for stored in batches:
        if runs and _alike(runs[-1][-1], stored) and records + len(stored.records) <= MERGED_RECORDS_MAX:
            runs[-1].append(stored)
            records += len(stored.records)
        else:
            runs.append([stored])
            records = len(stored.records)
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
