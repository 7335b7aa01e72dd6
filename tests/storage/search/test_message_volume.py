"""The distribution of events in time, and an event's neighbours, compared with counts in memory."""

from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.model.json_conditions import Condition
from sandbox.model.messages import WIDTHS_MS, MessageQuery, Volume, width_for
from sandbox.storage.search import message_counts, messages
from sandbox.storage.search.search_memory import SearchMemory
from tests.broker.logs.transaction_room import TOPIC, TransactionRoom
from tests.clock import START_MS, Clock

NAMES = (f"t{number}" for number in count())
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("volume") / "dev.db", clock=Clock()) as sandbox:
        yield sandbox


def fill(store: Sandbox, events: list[NewEvent], chunk: int, partitions: int = 2) -> str:
    topic = next(NAMES)
    store.create_topic(topic, partitions=partitions)
    store.append_many(topic, events, chunk=chunk)
    return topic


def counted(volume: Volume) -> dict[int, int]:
    return {bucket.from_ms: bucket.events for bucket in volume.buckets if bucket.events}


@MANY
@given(
    st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 1), st.booleans()), max_size=40),
    st.integers(1, 45),
    st.none() | st.integers(0, 5_000),
    st.none() | st.integers(0, 5_000),
    st.booleans(),
)
def test_a_volume_counts_every_event_in_its_bucket(
    store: Sandbox,
    places: list[tuple[int, int, bool]],
    chunk: int,
    since: int | None,
    until: int | None,
    inside: bool,
) -> None:
    """By batches where only times are asked for, by events where their values are."""
    events = [
        NewEvent(b'{"n": 1}' if wanted else b"hay", timestamp_ms=START_MS + at_ms, partition=partition)
        for at_ms, partition, wanted in places
    ]
    query = MessageQuery(
        fill(store, events, chunk),
        since_ms=None if since is None else START_MS + since,
        until_ms=None if until is None else START_MS + until,
        conditions=(Condition.parse("$.n exists"),) if inside else (),
    )
    volume = store.survey.volume(query, budget_ms=10_000)
    wanted = [
        event.timestamp_ms or 0
        for event, (at_ms, _, is_wanted) in zip(events, places, strict=True)
        if (since is None or at_ms >= since) and (until is None or at_ms < until) and (is_wanted or not inside)
    ]
    assert volume.exact
    assert volume.complete
    assert volume.by_batches != inside
    assert volume.matched == len(wanted)
    assert counted(volume) == Counter(at_ms // volume.width_ms * volume.width_ms for at_ms in wanted)
    assert volume.total == len(events)
    assert len(volume.buckets) <= 2 * message_counts.PROBES


def test_events_without_a_timestamp_are_counted_but_in_no_bucket(store: Sandbox) -> None:
    stamps = (-1, START_MS, -1, START_MS + 1)
    topic = fill(store, [NewEvent(b"x", timestamp_ms=at_ms, partition=0) for at_ms in stamps], 4)
    for query in (MessageQuery(topic), MessageQuery(topic, value="x")):
        volume = store.survey.volume(query)
        assert (volume.matched, volume.untimed) == (4, 2)
        assert sum(counted(volume).values()) == 2


def test_transaction_markers_are_not_counted(tmp_path: Path) -> None:
    room = TransactionRoom(tmp_path / "dev.db")
    room.plain("plain")
    room.transact(room.init(), "one", "two")
    with room.database.reader() as reader:
        for query in (MessageQuery(TOPIC), MessageQuery(TOPIC, conditions=(), value="o")):
            volume = SearchMemory().volume(reader, query, 1_000)
            assert volume.total == 3
            assert volume.matched == (3 if volume.by_batches else 2)
    room.close()


def test_a_log_of_many_batches_is_estimated_from_some_places(store: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = fill(store, [NewEvent(b"x", timestamp_ms=START_MS + at * 10, partition=0) for at in range(2_000)], 2)
    true = counted(store.survey.volume(MessageQuery(topic)))
    monkeypatch.setattr(message_counts, "BATCHES_MAX", 100)
    monkeypatch.setattr(message_counts, "PROBES", 100)
    with store._database.reader() as reader:
        volume = SearchMemory().volume(reader, MessageQuery(topic), 150)
    assert not volume.exact
    assert volume.matched == sum(counted(volume).values()) == 2_000
    for at_ms, events in counted(volume).items():
        assert abs(events - true[at_ms]) <= 40, "one step between two places"


def test_large_batches_over_several_buckets_are_spread_evenly(store: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = fill(store, [NewEvent(b"x", timestamp_ms=START_MS + at * 10, partition=0) for at in range(1_000)], 1_000)
    monkeypatch.setattr(message_counts, "EVENTS_MAX", 10)
    volume = store.survey.volume(MessageQuery(topic))
    assert not volume.exact
    assert volume.matched == sum(counted(volume).values()) == 1_000
    middle = list(counted(volume).values())[1:-1]
    assert max(middle) - min(middle) <= 2


def test_a_count_that_runs_out_of_time_says_how_far_it_came(store: Sandbox) -> None:
    topic = fill(store, [NewEvent(b"x", timestamp_ms=START_MS + at, partition=0) for at in range(5_000)], 100)
    volume = store.survey.volume(MessageQuery(topic, value="x"), budget_ms=0)
    assert not volume.complete
    assert volume.matched == volume.looked_at < volume.total == 5_000


@pytest.mark.parametrize("span_ms", [0, 1, 59, 60, 3_599_999, 86_400_000 * 400, 2**60])
def test_a_bucket_has_a_round_length_and_there_are_not_too_many(span_ms: int) -> None:
    width_ms = width_for(span_ms)
    assert span_ms // width_ms <= 60
    assert width_ms in WIDTHS_MS or width_ms % WIDTHS_MS[-1] == 0


# Neighbours


def test_the_nearest_events_of_a_key_are_found_in_its_partition(store: Sandbox) -> None:
    events = [NewEvent(b"x", b"a" if at % 3 == 0 else None if at % 3 == 1 else b"b", partition=0) for at in range(10)]
    topic = fill(store, events, 3)
    found = store.survey.neighbours(topic, 0, 6)
    assert (found.previous, found.next, found.previous_of_key, found.next_of_key) == (5, 7, 3, 9)
    first, last = store.survey.neighbours(topic, 0, 0), store.survey.neighbours(topic, 0, 9)
    assert (first.previous, first.previous_of_key, first.looked_back) == (None, None, None)
    assert (last.next, last.next_of_key, last.looked_on) == (None, None, None)
    assert store.survey.neighbours(topic, 0, 1).next_of_key is None


def test_a_key_that_is_far_away_is_given_up_and_said_to_be(store: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [b"rare", *[b"other"] * 500, b"rare", *[b"other"] * 500, b"rare"]
    topic = fill(store, [NewEvent(b"x", key, partition=0) for key in keys], 200)
    monkeypatch.setattr(messages, "NEIGHBOUR_CHUNK_EVENTS", 50)
    monkeypatch.setattr(messages, "LOOKED_AT_MAX", 100)
    found = store.survey.neighbours(topic, 0, 501)
    assert (found.previous_of_key, found.looked_back) == (None, 100)
    assert (found.next_of_key, found.looked_on) == (None, 100)


def test_markers_are_passed_over(tmp_path: Path) -> None:
    room = TransactionRoom(tmp_path / "dev.db")
    teller = room.init()
    room.transact(teller, "one")
    room.transact(teller, "two")
    with room.database.reader() as reader:
        found = messages.neighbours(reader, TOPIC, 0, 0)
        assert (found.previous, found.next) == (None, 2)
        assert messages.neighbours(reader, TOPIC, 0, 2).next is None
    room.close()


def test_committed_offsets_of_a_topic_are_told_by_group(store: Sandbox) -> None:
    topic = fill(store, [NewEvent(b"x", partition=0), NewEvent(b"x", partition=1)], 2)
    store.commit("b", topic, 0, 1)
    store.commit("a", topic, 1, 0)
    assert store.survey.committed(topic) == {"a": {1: 0}, "b": {0: 1}}
