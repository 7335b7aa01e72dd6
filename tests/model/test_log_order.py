"""Events leave in offset order, merged by time across partitions."""

from hypothesis import given
from hypothesis import strategies as st

from sandbox.kafka.event import CREATE_TIME, Event
from sandbox.model.jsonl import merged_by_time


def _event(partition: int, offset: int, timestamp_ms: int) -> Event:
    return Event("t", partition, offset, timestamp_ms, CREATE_TIME, None, None, ())


def test_timestamps_that_go_backwards_do_not_reorder_a_partition() -> None:
    created, paid, shipped = _event(0, 0, 3000), _event(0, 1, 2000), _event(0, 2, 1000)
    other = _event(1, 0, 2500)
    assert list(merged_by_time([shipped, other, created, paid])) == [other, created, paid, shipped]


@given(st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 20)), st.integers(-1, 50)))
def test_every_partition_stays_in_offset_order(times: dict[tuple[int, int], int]) -> None:
    events = [_event(partition, offset, time) for (partition, offset), time in times.items()]
    found = list(merged_by_time(events))
    assert sorted(found) == sorted(events)
    for partition in range(4):
        offsets = [event.offset for event in found if event.partition == partition]
        assert offsets == sorted(offsets)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=30))
def test_partitions_whose_timestamps_ascend_are_merged_in_time_order(steps: list[tuple[int, int]]) -> None:
    now_ms, counts, events = 0, [0] * 4, []
    for partition, step in steps:
        now_ms += step
        events.append(_event(partition, counts[partition], now_ms))
        counts[partition] += 1
    times = [event.timestamp_ms for event in merged_by_time(reversed(events))]
    assert times == sorted(times)
