"""Finds the start offset of a share group's new window, and the records in a part of the log that it may deliver."""

from datetime import timedelta

from sandbox.broker.logs.topic import Partition
from sandbox.broker.shares.window import ReadRange, Window
from sandbox.kafka.setting import iso_duration
from sandbox.kafka.share_settings import BY_DURATION, OFFSET_RESET
from sandbox.storage.groups.shares import aborted_spans, batch_spans, record_offsets
from sandbox.wire.node import Node

READ_COMMITTED = "read_committed"


def is_stable(node: Node, group_id: str) -> bool:
    """Return True if a group reads committed records only (`share.isolation.level`)."""
    return node.broker.config.group_value(group_id, "share.isolation.level") == READ_COMMITTED


def window_of(node: Node, group_id: str, partition: Partition) -> Window:
    """Return a group's window in a partition. At the first fetch it begins where `share.auto.offset.reset` says."""
    shares = node.coordinator.shares
    window = shares.fetchable(group_id, partition)
    if window is None:
        shares.begin(group_id, partition, _first_offset(node, group_id, partition))
        window = shares.fetchable(group_id, partition)
    if window is None:
        raise RuntimeError("a window that was begun can be fetched")
    return window


def _first_offset(node: Node, group_id: str, partition: Partition) -> int:
    reset = node.broker.config.group_value(group_id, OFFSET_RESET)
    if reset == "earliest":
        return partition.start
    if reset.startswith(BY_DURATION):
        age_ms = iso_duration(reset.removeprefix(BY_DURATION)) // timedelta(milliseconds=1)
        found = node.broker.log.offset_for_time(partition, max(0, node.now_ms() - age_ms))
        if found is not None:
            return found[0]
    return partition.high_watermark


def read_range(node: Node, partition: Partition, first: int, end: int, stable: bool) -> ReadRange:
    """Return the records from `first` to before `end` that may be delivered.

    Args:
        stable: without records of aborted transactions.
    """
    database, last = node.broker.database, end - 1
    offsets = record_offsets(database, partition.id, first, last)
    if stable and partition.aborted_until >= first:
        aborted = aborted_spans(database, partition.id, first, last)
        offsets = [one for one in offsets if not any(span.base_offset <= one <= span.last_offset for span in aborted)]
    spans = [(span.base_offset, span.last_offset) for span in batch_spans(database, partition.id, first, last)]
    return ReadRange(first, end, offsets, spans)
