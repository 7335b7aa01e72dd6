"""Pages of events against a list that is sorted and filtered in memory."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event, NewEvent
from sandbox.model.json_conditions import Condition, has_header, meets
from sandbox.model.messages import MessageQuery
from tests.clock import START_MS, Clock

PARTITIONS = 3
NAMES = (f"t{number}" for number in count())
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("messages") / "dev.db", clock=Clock()) as sandbox:
        yield sandbox


headers = st.sampled_from(((), (("trace", b"1"),), (("trace", b"2"), ("trace", b"1")), (("other", None),)))
new_events = st.builds(
    NewEvent,
    value=st.sampled_from((None, b"", b"ham", b"ham and eggs", b"\xff", b'{"n": 1}', b'{"n": 9007199254740993}')),
    key=st.sampled_from((None, b"", b"ada", b"bob")),
    headers=headers,
    timestamp_ms=st.integers(START_MS - 6, START_MS + 6),
    partition=st.integers(0, PARTITIONS - 1),
)
queries = st.builds(
    MessageQuery,
    topic=st.just(""),
    partitions=st.sampled_from(((), (0,), (2, 0))),
    order=st.sampled_from(("newest", "oldest", "offset")),
    from_offset=st.none() | st.integers(0, 6),
    since_ms=st.none() | st.integers(START_MS - 7, START_MS + 7),
    until_ms=st.none() | st.integers(START_MS - 7, START_MS + 7),
    key=st.sampled_from((None, "", "a", "ada")),
    key_exact=st.booleans(),
    value=st.sampled_from((None, "", "eggs")),
    headers=st.sampled_from(((), ("trace",), ("trace=1",), ("other",), ("trace=1", "trace=2"))),
    conditions=st.sampled_from(((), (), (), tuple(map(Condition.parse, ("$.n exists", "$.n > 9007199254740992"))))),
    limit=st.integers(1, 7),
)


def fill(store: Sandbox, events: list[NewEvent], chunk: int) -> tuple[str, list[Event]]:
    """A new topic with these events; its name, and them as stored."""
    topic = next(NAMES)
    store.create_topic(topic, partitions=PARTITIONS)
    store.append_many(topic, events, chunk=chunk)
    offsets = [0] * PARTITIONS
    stored = []
    for new in events:
        partition = new.partition or 0
        stamp = new.timestamp_ms or 0
        stored.append(Event(topic, partition, offsets[partition], stamp, 0, new.key, new.value, new.headers))
        offsets[partition] += 1
    return topic, stored


def matches(query: MessageQuery, event: Event) -> bool:
    if query.key is not None:
        key = query.key.encode()
        if event.key is None or (key != event.key if query.key_exact else key not in event.key):
            return False
    return (
        (not query.partitions or event.partition in query.partitions)
        and (query.order != "offset" or query.from_offset is None or event.offset >= query.from_offset)
        and (query.since_ms is None or event.timestamp_ms >= query.since_ms)
        and (query.until_ms is None or event.timestamp_ms < query.until_ms)
        and (query.value is None or (event.value is not None and query.value.encode() in event.value))
        and all(has_header(one, event.headers) for one in query.headers)
        and meets(query.conditions, event.value)
    )


def place(query: MessageQuery, event: Event) -> tuple[int, int, int]:
    stamp = 0 if query.order == "offset" else event.timestamp_ms
    return (stamp, event.partition, event.offset)


def expected(query: MessageQuery, stored: list[Event]) -> list[Event]:
    found = [event for event in stored if matches(query, event)]
    return sorted(found, key=lambda event: place(query, event), reverse=query.order == "newest")


@MANY
@given(st.lists(new_events, max_size=25), st.integers(1, 30), queries)
def test_paging_forwards_and_back_equals_the_sorted_and_filtered_list(
    store: Sandbox, events: list[NewEvent], chunk: int, query: MessageQuery
) -> None:
    topic, stored = fill(store, events, chunk)
    query = replace(query, topic=topic)
    wanted = expected(query, stored)

    page = store.messages(query)
    assert page.previous is None
    assert page.complete
    forwards, last = list(page.events), page
    while last.next is not None:
        last = store.messages(replace(query, cursor=last.next))
        forwards += last.events
    assert forwards == wanted

    backwards = list(last.events)
    while last.previous is not None:
        last = store.messages(replace(query, cursor=last.previous))
        backwards = [*last.events, *backwards]
    assert backwards == wanted


@MANY
@given(st.lists(new_events, max_size=15), st.lists(new_events, min_size=1, max_size=9), queries)
def test_a_page_stays_where_it_is_while_events_arrive(
    store: Sandbox, events: list[NewEvent], later: list[NewEvent], query: MessageQuery
) -> None:
    """Events that were there at the beginning are returned once each and in order; some of the later ones may be."""
    topic, stored = fill(store, events, 4)
    query = replace(query, topic=topic)
    arrivals = iter(later)
    page = store.messages(query)
    seen = list(page.events)
    while page.next is not None:
        if (arrival := next(arrivals, None)) is not None:
            store.append_many(topic, [arrival])
        page = store.messages(replace(query, cursor=page.next))
        seen += page.events
    places = [place(query, event) for event in seen]
    assert places == sorted(set(places), reverse=query.order == "newest")
    assert [event for event in seen if event in stored] == expected(query, stored)


@MANY
@given(st.lists(new_events, max_size=25), st.integers(1, 30), st.integers(1, 40), st.booleans())
def test_read_gives_true_time_order_over_all_partitions(
    store: Sandbox, events: list[NewEvent], chunk: int, limit: int, newest_first: bool
) -> None:
    topic, stored = fill(store, events, chunk)
    order = "newest" if newest_first else "oldest"
    wanted = expected(MessageQuery(topic, order=order), stored)[:limit]
    assert store.read(topic, newest_first=newest_first, limit=limit) == wanted


def test_ten_thousand_events_of_a_thousand_batches_page_as_the_sorted_list(store: Sandbox) -> None:
    events = [
        NewEvent(b"%d" % number, timestamp_ms=START_MS - number * 7919 % 10_007, partition=number % PARTITIONS)
        for number in range(10_000)
    ]
    topic, stored = fill(store, events, 30)
    query = MessageQuery(topic, limit=1000)
    seen: list[Event] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        page = store.messages(replace(query, cursor=cursor))
        seen += page.events
        cursor = page.next
    assert seen == expected(query, stored)


def test_the_first_page_of_many_events_looks_at_few_of_them(store: Sandbox) -> None:
    topic, _ = fill(store, [NewEvent(b"x", timestamp_ms=START_MS + at, partition=0) for at in range(20_000)], 100)
    page = store.messages(MessageQuery(topic))
    assert [event.offset for event in page.events] == list(range(19_999, 19_949, -1))
    assert page.scanned < 1_500
    assert page.total == 20_000


@pytest.mark.parametrize("order", ["newest", "oldest", "offset"])
def test_a_page_of_events_that_share_one_timestamp_looks_at_few_of_them(store: Sandbox, order: str) -> None:
    events = [NewEvent(b"x", timestamp_ms=START_MS, partition=at % PARTITIONS) for at in range(30_000)]
    topic, _ = fill(store, events, 300)
    query = MessageQuery(topic, order=order)
    page = store.messages(query)
    pages = [page]
    for _ in range(20):
        page = store.messages(replace(query, cursor=page.next))
        pages.append(page)
    assert max(page.scanned for page in pages) < 1_000
    seen = [event for page in pages for event in page.events]
    assert len(set(seen)) == 21 * 50
    for expected_page in reversed(pages[:-1]):
        page = store.messages(replace(query, cursor=page.previous))
        assert page.events == expected_page.events
        assert page.scanned < 1_000


def test_twenty_pages_on_and_twenty_back_are_the_same_while_producers_write(store: Sandbox) -> None:
    events = [NewEvent(b"%d" % at, timestamp_ms=START_MS + at // 7, partition=at % PARTITIONS) for at in range(3_000)]
    topic, _ = fill(store, events, 40)
    query = MessageQuery(topic)
    page = store.messages(query)
    forwards = [page.events]
    for at in range(20):
        store.append_many(topic, [NewEvent(b"new", timestamp_ms=START_MS + 10_000 + at) for _ in range(30)])
        page = store.messages(replace(query, cursor=page.next))
        forwards.append(page.events)
    backwards = [page.events]
    for at in range(20):
        store.append_many(topic, [NewEvent(b"new", timestamp_ms=START_MS + 20_000 + at) for _ in range(30)])
        page = store.messages(replace(query, cursor=page.previous))
        backwards.append(page.events)
    assert backwards[::-1] == forwards


def test_a_search_that_runs_out_of_time_goes_on_where_it_stopped(store: Sandbox) -> None:
    events = [NewEvent(b"needle" if at in (10, 4_000) else b"hay", partition=0) for at in range(5_000)]
    topic, _ = fill(store, [event._replace(timestamp_ms=START_MS) for event in events], 100)
    query = MessageQuery(topic, order="oldest", value="needle", budget_ms=0)
    found: list[int] = []
    cursor: str | None = None
    while True:
        page = store.messages(replace(query, cursor=cursor))
        found += [event.offset for event in page.events]
        assert page.complete == (page.next is None)
        if page.next is None:
            break
        assert page.next != cursor, "the search stands still"
        cursor = page.next
    assert found == [10, 4_000]


def test_a_search_back_that_runs_out_of_time_goes_on_where_it_stopped(store: Sandbox) -> None:
    events = [NewEvent(b"needle" if at == 10 else b"hay", None, (), START_MS + at, 0) for at in range(5_000)]
    topic, _ = fill(store, events, 100)
    query = MessageQuery(topic, order="oldest", value="needle", budget_ms=0)
    found, cursor = [], f"before:{START_MS + 4_999}:0:4999"
    while cursor:
        page = store.messages(replace(query, cursor=cursor))
        found += [event.offset for event in page.events]
        assert page.previous != cursor, "the search stands still"
        cursor = page.previous or ""
    assert found == [10]


def test_a_filter_is_compared_byte_by_byte(store: Sandbox) -> None:
    topic, stored = fill(store, [NewEvent(value, partition=0) for value in (b"Ham", b"ham", "Grüße".encode())], 9)
    assert [one.value for one in store.messages(MessageQuery(topic, value="ham")).events] == [b"ham"]
    assert [one.value for one in store.messages(MessageQuery(topic, value="üß")).events] == ["Grüße".encode()]
    assert [one.value for one in store.messages(MessageQuery(topic, value="%")).events] == []
    assert len(stored) == 3


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (MessageQuery("nowhere"), "There is no topic nowhere"),
        (MessageQuery("", partitions=(7,)), "has no partition 7"),
        (MessageQuery("", order="up"), "order is one of newest, oldest, offset, not 'up'"),
        (MessageQuery("", limit=0), "limit is from 1 to 1,000"),
        (MessageQuery("", limit=1001), "limit is from 1 to 1,000"),
        (MessageQuery("", cursor="after:1:2"), "is not a cursor"),
        (MessageQuery("", cursor="beside:1:2:3"), "is not a cursor"),
        (MessageQuery("", cursor="after:1:2:x"), "is not a cursor"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_in_words(store: Sandbox, query: MessageQuery, error: str) -> None:
    topic, _ = fill(store, [], 1)
    with pytest.raises(BrokerError, match=error):
        store.messages(replace(query, topic=query.topic or topic))


def test_a_cursor_with_numbers_that_are_too_large_is_refused_in_words(store: Sandbox) -> None:
    topic, _ = fill(store, [NewEvent(b"x", partition=0)], 1)
    with pytest.raises(BrokerError, match="64 bits"):
        store.messages(MessageQuery(topic, order="oldest", cursor=f"after:{2**70}:0:0"))
