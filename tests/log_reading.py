"""Reads whole record batches from a log, as the Fetch API does."""

from sandbox.broker.logs.log import Log, StoredBatch
from sandbox.broker.logs.topic import Partition
from sandbox.kafka.errors import EventsDamaged
from sandbox.storage.log import log as rows


def read_batches(log: Log, partition: Partition, offset: int, size_bytes_max: int, end: int) -> list[StoredBatch]:
    """Read the batch that contains `offset` and those after it, below `end`.

    Raises:
        EventsDamaged: the first batch is damaged. A later damaged batch only ends the result.
    """
    stored: list[StoredBatch] = []
    total = 0
    for batch in rows.read_batches(log.database, partition.id, max(offset, partition.start), end, size_bytes_max):
        try:
            found = [one for one in log.read_run_in_steps(partition, [batch], size_bytes_max, end) if one is not None]
        except EventsDamaged:
            if stored:
                break
            raise
        stored.append(StoredBatch(batch, found[0].events))
        data_bytes = sum(len(one[2] or b"") + len(one[3] or b"") for one in found[0].events)
        total += data_bytes if batch.compression else batch.size_bytes
        if total >= size_bytes_max:
            break
    return stored
