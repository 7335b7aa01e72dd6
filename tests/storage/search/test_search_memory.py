"""Searches that continue from cached results, and keys looked up in memory, compared with full searches."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.model.json_conditions import Condition
from sandbox.model.messages import MessageQuery
from sandbox.storage.search import search_memory
from sandbox.storage.search.key_index import SEGMENT_EVENTS, KeyIndex
from sandbox.storage.search.message_conditions import Matching
from sandbox.storage.search.messages import MessageSearch, is_spread, places_of
from sandbox.storage.search.search_memory import SearchMemory
from tests.clock import START_MS, Clock

QUERIES = tuple(
    replace(query, order=order, limit=5)
    for order in ("newest", "oldest", "offset")
    for query in (
        MessageQuery("orders", key="k7", key_exact=True),
        MessageQuery("orders", key="absent", key_exact=True),
        MessageQuery("orders", key="7"),
        MessageQuery("orders", value="v1", partitions=(0, 2)),
        MessageQuery("orders", conditions=(Condition.parse("$.n > 95"),)),
        MessageQuery("orders", key="k3", since_ms=START_MS + 50),
        MessageQuery("orders", headers=("trace",)),
        MessageQuery("orders"),
    )
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "dev.db", clock=Clock()) as sandbox:
        sandbox.create_topic("orders", partitions=3, settings={"cleanup.policy": "delete,compact"})
        yield sandbox


def fill(store: Sandbox, numbers: range) -> None:
    """Events whose times go forth and back."""
    store.append_many(
        "orders",
        (
            NewEvent(
                b'{"n": %d, "t": "v%d"}' % (n, n % 5),
                b"k%d" % (n % 11),
                (("trace", b"1"),) if n % 13 == 0 else (),
                START_MS + (n * 37) % 101,
                n % 3,
            )
            for n in numbers
        ),
        chunk=7,
    )


def assert_nothing_is_missed(store: Sandbox, memory: SearchMemory) -> None:
    with store._database.reader() as reader:
        for query in QUERIES:
            fresh = MessageSearch(reader, query).page(0)
            kept = memory.page(reader, query, 0)
            assert (kept.events, kept.complete, kept.as_of) == (fresh.events, fresh.complete, fresh.as_of), query
            assert (kept.next, kept.previous) == (fresh.next, fresh.previous), query
            on = replace(query, cursor=fresh.next)
            assert memory.page(reader, on, 0).events == MessageSearch(reader, on).page(0).events, on
            volume, counted = (one.volume(reader, query, 1000) for one in (memory, SearchMemory()))
            assert replace(volume, elapsed_ms=0) == replace(counted, elapsed_ms=0), query


def test_a_search_that_goes_on_finds_what_a_new_one_finds(store: Sandbox) -> None:
    memory = SearchMemory()
    fill(store, range(60))
    assert_nothing_is_missed(store, memory)
    fill(store, range(60, 110))
    assert_nothing_is_missed(store, memory)
    store.delete_records("orders", {0: 9, 1: 20})
    assert_nothing_is_missed(store, memory)
    assert store.compact("orders") > 0
    assert_nothing_is_missed(store, memory)
    fill(store, range(110, 150))
    assert_nothing_is_missed(store, memory)


def test_a_search_that_goes_on_looks_at_new_events_alone(store: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    places = MessageSearch.find

    def find(self: MessageSearch) -> object:
        looked_at.append(1)
        return places(self)

    monkeypatch.setattr(MessageSearch, "find", find)
    query = MessageQuery("orders", value='"n": 3,')
    fill(store, range(100))
    assert [len(store.messages(query).events), len(store.messages(query).events)] == [1, 1]
    store.append("orders", '{"n": 3, "again": true}', key="k3")
    assert len(store.messages(query).events) == 2
    assert len(looked_at) == 1


def test_what_was_found_before_a_restored_snapshot_is_not_shown_after_it(store: Sandbox) -> None:
    query = MessageQuery("orders", key="k1", key_exact=True)
    store.snapshots.take("empty")
    store.append("orders", "before", key="k1", partition=0)
    assert [event.value for event in store.messages(query).events] == [b"before"]
    assert store.survey.volume(query).matched == 1
    store.snapshots.restore("empty")
    store.append("orders", "other", key="k2", partition=0)
    assert store.messages(query).events == ()
    assert store.survey.volume(query).matched == 0


def test_a_search_that_ran_out_of_time_may_find_more_half_a_minute_later(
    store: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, range(2_000))
    query = MessageQuery("orders", value='"n": 0,', budget_ms=0)
    assert not store.messages(query).complete
    assert not store.messages(query).complete
    monkeypatch.setattr(search_memory, "STOPPED_KEPT_S", -1)
    kept = store._searches._pages._found
    assert len(kept) == 1
    with store._database.reader() as reader:
        assert store._searches._pages.get(reader, next(iter(kept))) is None


@pytest.fixture
def long(store: Sandbox) -> Sandbox:
    """Three segments and a bit in one partition, each key once, but for one that is everywhere."""
    count = 3 * SEGMENT_EVENTS + 100
    store.append_many(
        "orders", (NewEvent(b"", b"often" if n % 2 else b"key-%d" % n, partition=0) for n in range(count))
    )
    return store


def ask(store: Sandbox, index: KeyIndex, key: str, until_s: float = float("inf")) -> list[tuple[int, int]] | None:
    with store._database.reader() as reader:
        places = places_of(reader, MessageQuery("orders"))
        found = index.ranges(reader, key, places.values(), until_s)
        return None if found is None else found[places[0][0]]


def test_a_key_lies_in_its_segment_or_in_the_last_one_that_still_grows(long: Sandbox) -> None:
    index = KeyIndex()
    tail = (3 * SEGMENT_EVENTS, 3 * SEGMENT_EVENTS + 99)
    assert ask(long, index, "key-4096") == [(4096, 6143), tail]
    assert ask(long, index, "absent") == [tail]
    assert len(ask(long, index, "often") or ()) == 4
    assert index.held == 3 * (SEGMENT_EVENTS // 2 + 1)


def test_an_index_that_is_known_reads_nothing(long: Sandbox) -> None:
    index = KeyIndex()
    assert ask(long, index, "absent", until_s=0) is None
    ask(long, index, "absent")
    assert ask(long, index, "key-2", until_s=0) is not None


def test_an_index_keeps_no_more_than_it_may(long: Sandbox) -> None:
    index = KeyIndex(hashes_max=2_000)
    assert ask(long, index, "absent") is None
    assert index.held <= 2_000
    room = KeyIndex(hashes_max=4_000)
    ask(long, room, "absent")
    long.create_topic("other", partitions=1)
    long.append_many("other", (NewEvent(b"", b"%d" % n) for n in range(SEGMENT_EVENTS)))
    with long._database.reader() as reader:
        other = places_of(reader, MessageQuery("other"))
        assert room.ranges(reader, "5", other.values(), float("inf")) is not None
    assert room.held == SEGMENT_EVENTS


def test_a_rare_key_is_found_through_the_index_with_bytes_that_are_no_text_beside_it(
    long: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.storage.search.messages.FIRST_LOOK_EVENTS", 10)
    long.append_many("orders", (NewEvent(b"", b"\xff", partition=0) for _ in range(SEGMENT_EVENTS)))
    long.append("orders", "späte", key="schlüssel", partition=1)
    for key, offsets in (("key-2050", [2050]), ("schlüssel", [0]), ("\xff", []), ("absent", [])):
        found = long.messages(MessageQuery("orders", key=key, key_exact=True))
        assert [event.offset for event in found.events] == offsets
        assert found.scanned == found.total
        assert found.complete


def test_a_search_that_gets_no_index_goes_on_from_its_first_look(
    long: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[tuple[int, int, int]] = []
    places = Matching.places

    def counted(self: Matching, at: int, first: int, last: int) -> list[tuple[int, int]]:
        looked_at.append((at, first, last))
        return places(self, at, first, last)

    monkeypatch.setattr(Matching, "places", counted)
    monkeypatch.setattr(KeyIndex, "ranges", lambda *_, **__: None)
    monkeypatch.setattr("sandbox.storage.search.messages.FIRST_LOOK_EVENTS", 10)
    query = MessageQuery("orders", key="often", key_exact=True, conditions=(Condition.parse("$.n = 1"),))
    assert long.messages(query).complete
    assert len(set(looked_at)) == len(looked_at) > 2


def test_a_key_in_many_parts_of_a_log_is_not_looked_for_in_one_go() -> None:
    places = {0: (1, 0, 10_000_000)}
    parts = [(number * SEGMENT_EVENTS, (number + 1) * SEGMENT_EVENTS - 1) for number in range(40)]
    assert is_spread({1: parts}, places)
    assert not is_spread({1: parts[:5]}, places)


def test_a_query_may_be_asked_with_lists(store: Sandbox) -> None:
    fill(store, range(20))
    query = MessageQuery("orders", partitions=[0, 1], key="k7", headers=[], conditions=[])  # type: ignore[arg-type]
    assert {event.partition for event in store.messages(query).events} <= {0, 1}
    assert store.survey.volume(query).complete


def test_a_frequent_key_needs_no_index(long: Sandbox) -> None:
    assert len(long.messages(MessageQuery("orders", key="often", key_exact=True)).events) == 50
    assert long._searches._keys.held == 0
