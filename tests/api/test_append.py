"""Events appended a column at a time, against the same events appended one by one."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.api import append as appends
from sandbox.api.sandbox import Sandbox
from sandbox.broker.logs.log import ProducedBatch
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import NewEvent
from sandbox.storage.log.log import EventColumns
from tests.clock import Clock

NUMBERS = count(1)
texts = st.binary(max_size=5) | st.just(b"k" * 70)
plain = st.lists(st.tuples(texts, texts).map(lambda pair: NewEvent(*pair)), min_size=1, max_size=60)


def batches_of(box: Sandbox, topic: str) -> list[tuple[object, ...]]:
    """Partition, and the first and the last offset of each batch."""
    batches = box.sql(
        "SELECT p.partition, b.base_offset, b.last_offset FROM batches b JOIN partitions p ON p.id = b.partition_id "
        f"JOIN topics t ON t.id = p.topic WHERE t.name = '{topic}' ORDER BY 1, 2"
    )
    return list(batches.rows)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plain, st.integers(1, 5), st.sampled_from([appends.BATCH_BYTES, 300, 150]))
def test_plain_events_go_where_they_go_one_by_one(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch, events: list[NewEvent], partitions: int, batch_bytes: int
) -> None:
    found = []
    monkeypatch.setattr(appends, "BATCH_BYTES", batch_bytes)
    for least in (1, 1_000):
        monkeypatch.setattr(appends, "PLAIN_MIN", least)
        topic = f"topic-{next(NUMBERS)}"
        box.create_topic(topic, partitions=partitions)
        places = box._runtime.call(lambda now_ms, topic=topic: box._appender.append(topic, events, now_ms))  # type: ignore[misc]
        stored = box.read(topic, offset=0, limit=100)
        sizes = [one.size_bytes for one in box.topic(topic).partitions]
        found.append((places, [event[1:] for event in stored], sizes, batches_of(box, topic)))
    assert found[0] == found[1]
    assert len(found[0][1]) == len(events)


@pytest.mark.parametrize(
    "other",
    [
        NewEvent(None, b"k"),
        NewEvent(b"v"),
        NewEvent(b"v", b"k", (("h", b"1"),)),
        NewEvent(b"v", b"k", timestamp_ms=5),
        NewEvent(b"v", b"k", partition=0),
    ],
)
def test_events_among_which_one_is_not_plain_are_appended_one_by_one(other: NewEvent) -> None:
    some = [NewEvent(b"v", b"k")] * appends.PLAIN_MIN
    assert appends._Plain.of(some) is not None
    assert appends._Plain.of([*some, other]) is None
    assert appends._Plain.of(some[1:]) is None


def test_places_that_nobody_asks_for_are_not_worked_out(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    box.create_topic("orders", partitions=2)
    events = [NewEvent(b"v", b"%d" % at) for at in range(40)]
    asked: list[int] = []

    def counted(first: int) -> Iterator[int]:
        for number in count(first):
            asked.append(number)
            yield number

    monkeypatch.setattr(appends, "count", counted)
    assert box.append_many("orders", events) == 40
    assert asked == []
    assert len(box.append_all("orders", events)) == 40
    assert len(asked) == 40


def test_partitions_of_many_different_keys_are_not_all_remembered(
    file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appends, "KEYS_MAX", 50)
    with Sandbox(file, clock=clock) as box:
        box.create_topic("orders", partitions=3)
        for number in range(5):
            box.append_many("orders", [NewEvent(b"v", b"%d-%d" % (number, at)) for at in range(40)])
        (known,) = box._appender._chosen.values()
        assert len(known) <= 50 + 40


def test_all_of_a_chunk_is_refused_where_a_batch_of_it_is(box: Sandbox) -> None:
    box.create_topic("orders", partitions=2, settings={"max.message.bytes": "400"})
    events = [NewEvent(b"v" * 50, b"%d" % at) for at in range(40)]
    with pytest.raises(Exception, match="MESSAGE_TOO_LARGE"):
        box.append_many("orders", events)
    assert box.end_offsets("orders") == {0: 0, 1: 0}


def test_a_topic_that_stamps_events_itself_does_so_with_columns(box: Sandbox, clock: Clock) -> None:
    box.create_topic("orders", settings={"message.timestamp.type": "LogAppendTime"})
    partition = box._broker.topic("orders").partitions[0]
    columns = EventColumns(range(2), [5, 6], [b"a", b"b"], [b"c", b"d"])
    batch = ProducedBatch(columns, 100)
    box._runtime.call(lambda now_ms: box._broker.log.append(partition, batch, now_ms))
    assert [(event.timestamp_ms, event.key) for event in box.read("orders", offset=0)] == [
        (clock.now_ms, b"a"),
        (clock.now_ms, b"b"),
    ]


def test_a_record_that_the_topic_does_not_accept_is_refused_with_its_reason(box: Sandbox) -> None:
    box.create_topic("latest", settings={"cleanup.policy": "compact"})
    with pytest.raises(BrokerError) as refused:
        box.append_many("latest", [NewEvent(b"a", b"k"), NewEvent(b"b"), NewEvent(b"c")])
    assert refused.value.error.name == "INVALID_RECORD"
    assert refused.value.detail == (
        "Compacted topic cannot accept message without key in topic partition latest-0. "
        "2 records of the batch are refused."
    )
    assert box.end_offsets("latest") == {0: 0}


def test_a_setting_out_of_kafkas_range_is_refused_with_its_reason(box: Sandbox) -> None:
    with pytest.raises(
        BrokerError, match=r"Invalid value 100 for configuration segment\.bytes: Value must be at least"
    ):
        box.create_topic("small", settings={"segment.bytes": "100"})
