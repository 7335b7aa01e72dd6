"""Lag is never negative and never torn: all figures of one look come from one read transaction."""

import threading
import time

from sandbox.api.sandbox import Sandbox
from sandbox.broker.groups.calls import OffsetCommit
from sandbox.kafka.event import NewEvent

READS = 400
WAIT_S = 30.0
STEP = 10
GROUP = "app"


def test_lag_read_during_writes_and_commits_is_never_negative_and_never_torn(served: Sandbox) -> None:
    """Each turn appends ten events to both partitions, or commits both ends: so no true look sees them differ."""
    served.create_topic("orders", partitions=2)
    runtime = served._runtime
    stop = threading.Event()
    failed: list[BaseException] = []

    def turn(now_ms: int) -> None:
        for partition in (0, 1):
            served._appender.append("orders", [NewEvent(b"x", partition=partition)] * STEP, now_ms)

    def catch_up(now_ms: int) -> None:
        ends = {one.partition: one.next for one in runtime.broker.topic("orders").partitions}
        offsets = [OffsetCommit("orders", partition, end, -1, "") for partition, end in ends.items()]
        assert runtime.coordinator.set_offsets(GROUP, offsets, now_ms) == "NONE"

    def write() -> None:
        try:
            number = 0
            while not stop.is_set():
                runtime.call(catch_up if number % 3 == 0 else turn)
                number += 1
        except BaseException as error:
            failed.append(error)

    runtime.call(turn)
    runtime.call(catch_up)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen: set[int] = set()
        reads, deadline_s = 0, time.monotonic() + WAIT_S
        while reads < READS or (len(seen) <= READS // 20 and time.monotonic() < deadline_s):
            reads += 1
            group = served.group(GROUP)
            one, other = group.partitions
            assert one.lag is not None
            assert (one.committed, one.end, one.lag) == (other.committed, other.end, other.lag)
            assert 0 <= one.lag == one.end - (one.committed or 0)
            assert group.lag == 2 * one.lag
            assert one.lag % STEP == 0
            seen.add(one.end)
    finally:
        stop.set()
        writer.join()
    assert failed == []
    assert len(seen) > READS // 20
