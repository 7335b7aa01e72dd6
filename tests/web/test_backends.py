"""The methods of a backend that the pages use, on each: a sandbox file, and the same file as a cluster.

tests/clients/test_backends_on_kafka.py asks it of Apache Kafka too.
"""

import itertools
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event, NewEvent
from sandbox.model.capabilities import Capabilities, missing
from sandbox.model.json_conditions import Condition
from sandbox.model.messages import MessagePage, MessageQuery
from sandbox.model.overview import Change
from sandbox.remote.backend import RemoteBackend
from sandbox.web.app import create_app
from sandbox.web.backend import Backend
from sandbox.web.capabilities import REQUIRED
from tests.waiting import eventually

BASE_MS = 1_714_000_000_000
Name = Callable[[str], str]


@pytest.fixture(scope="module", params=["sandbox", "remote"])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with Sandbox(tmp_path_factory.mktemp("backends") / "dev.db") as box:
        if request.param == "sandbox":
            yield box
            return
        box.serve(kafka_port=0, web_port=None)
        with RemoteBackend(box.kafka_address or "", allow_writes=True, kept_s=0, every_s=0.1) as cluster:
            yield cluster


@pytest.fixture
def name() -> Name:
    return lambda prefix: f"{prefix}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def orders(backend: Backend, name: Name) -> str:
    """A topic of three partitions with 60 events, one a second, in turn over the partitions."""
    topic = name("orders")
    backend.create_topic(topic, partitions=3)
    backend.append_all(
        topic,
        [
            NewEvent(
                f'{{"n": {n}, "big": 9007199254740993}}'.encode(),
                f"user-{n % 5}".encode(),
                (("source", b"web" if n % 2 else b"app"),),
                BASE_MS + n * 1000,
                n % 3,
            )
            for n in range(60)
        ],
    )
    return topic


def refused(call: Callable[[], object]) -> str:
    """The name of Kafka's error that a call raises."""
    with pytest.raises(BrokerError) as raised:
        call()
    return raised.value.error.name


def numbers(page: MessagePage) -> list[int]:
    return [int((event.value or b"").split(b",")[0].split(b":")[1]) for event in page.events]


def test_a_topic_is_made_changed_and_deleted(backend: Backend, name: Name) -> None:
    topic = name("made")
    made = backend.create_topic(topic, partitions=2, settings={"cleanup.policy": "compact"})
    assert (made.topic, len(made.partitions), made.events) == (topic, 2, 0)
    assert made.settings["cleanup.policy"] == "compact"
    assert topic in [one.topic for one in backend.topics()]
    backend.alter_topic(topic, {"retention.ms": "1000", "cleanup.policy": None})
    settings = backend.topic(topic).settings
    assert settings["retention.ms"] == "1000"
    assert settings.get("cleanup.policy", "delete") == "delete"
    assert len(backend.create_partitions(topic, 4).partitions) == 4
    backend.delete_topic(topic)
    assert topic not in [one.topic for one in backend.topics()]
    assert refused(lambda: backend.topic(topic)) == "UNKNOWN_TOPIC_OR_PARTITION"


def test_what_cannot_be_is_refused_with_kafkas_error(backend: Backend, orders: str) -> None:
    assert refused(lambda: backend.create_topic(orders)) == "TOPIC_ALREADY_EXISTS"
    assert refused(lambda: backend.create_topic("no good", partitions=1)) == "INVALID_TOPIC_EXCEPTION"
    assert refused(lambda: backend.create_partitions(orders, 3)) == "INVALID_PARTITIONS"
    assert refused(lambda: backend.alter_topic(orders, {"retention.ms": "soon"})) == "INVALID_CONFIG"
    assert refused(lambda: backend.append(orders, b"x", partition=3)) == "UNKNOWN_TOPIC_OR_PARTITION"
    assert refused(lambda: backend.messages(MessageQuery(orders, partitions=(9,)))) == "UNKNOWN_TOPIC_OR_PARTITION"
    assert refused(lambda: backend.messages(MessageQuery(orders, cursor="nonsense"))) == "INVALID_REQUEST"
    assert refused(lambda: backend.event(orders, 0, 20)) == "OFFSET_OUT_OF_RANGE"
    assert refused(lambda: backend.group("nobody")) == "GROUP_ID_NOT_FOUND"


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"k", b'{"id": 9007199254740993}', (("a", b"1"), ("a", None), ("b", b""))),
        (None, b"\xff\xfe\x00", ()),
        (b"", b"", ()),
        (b"k", None, ()),
        ("ü\u2028".encode(), b"x" * 900_000, ()),
    ],
)
def test_an_event_comes_back_exactly(
    backend: Backend, orders: str, key: bytes | None, value: bytes | None, headers: tuple[tuple[str, bytes | None], ...]
) -> None:
    stored = backend.append(orders, value, key=key, headers=headers, timestamp_ms=BASE_MS, partition=1)
    assert stored == Event(orders, 1, 20, BASE_MS, 0, key, value, headers)
    assert backend.event(orders, 1, 20) == stored
    assert backend.messages(MessageQuery(orders, (1,), "offset", from_offset=20)).events == (stored,)


def test_a_key_goes_where_it_was_foretold(backend: Backend, orders: str) -> None:
    for key in (b"user-42", b"", b"\xff", b"another"):
        assert backend.append(orders, b"v", key=key).partition == backend.partition_for(orders, key)


def test_pages_are_in_time_order_and_stay_where_they_are_while_events_come(backend: Backend, orders: str) -> None:
    first = backend.messages(MessageQuery(orders, limit=10))
    assert numbers(first) == list(range(59, 49, -1))
    assert (first.total, first.previous, first.complete) == (60, None, True)
    seen, page = numbers(first), first
    pages = [first]
    while page.next is not None:
        backend.append(orders, b'{"n": 100, "late": 1}', timestamp_ms=BASE_MS + 100_000)
        page = backend.messages(MessageQuery(orders, limit=10, cursor=page.next))
        pages.append(page)
        seen += numbers(page)
    assert seen == list(range(59, -1, -1))
    for earlier, later in itertools.pairwise(reversed(pages)):
        back = backend.messages(MessageQuery(orders, limit=10, cursor=earlier.previous))
        assert back.events == later.events


def test_oldest_first_and_by_offset(backend: Backend, orders: str) -> None:
    oldest = backend.messages(MessageQuery(orders, order="oldest", limit=7))
    assert numbers(oldest) == list(range(7))
    assert numbers(backend.messages(MessageQuery(orders, order="oldest", limit=7, cursor=oldest.next))) == [
        *range(7, 14)
    ]
    by_offset = backend.messages(MessageQuery(orders, order="offset", from_offset=18))
    assert [(event.partition, event.offset) for event in by_offset.events] == [
        (partition, offset) for partition in range(3) for offset in (18, 19)
    ]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"key": "user-3", "key_exact": True}, [n for n in range(60) if n % 5 == 3]),
        ({"key": "-4"}, [n for n in range(60) if n % 5 == 4]),
        ({"value": '"n": 17'}, [17]),
        ({"headers": ("source=web",)}, [n for n in range(60) if n % 2]),
        ({"since_ms": BASE_MS + 55_000}, [*range(55, 60)]),
        ({"until_ms": BASE_MS + 4_000}, [*range(4)]),
        ({"since_ms": BASE_MS + 10_000, "until_ms": BASE_MS + 13_000, "partitions": (1,)}, [10]),
        ({"conditions": (Condition.parse("$.n >= 57"),)}, [57, 58, 59]),
        ({"conditions": (Condition.parse("$.big = 9007199254740992"),)}, []),
    ],
)
def test_filters_find_what_they_say(backend: Backend, orders: str, query: dict[str, object], wanted: list[int]) -> None:
    page = backend.messages(MessageQuery(orders, order="oldest", limit=100, **query))  # type: ignore[arg-type]
    assert numbers(page) == wanted
    assert page.complete


def test_records_are_deleted_up_to_an_offset(backend: Backend, orders: str) -> None:
    (loss,) = backend.logs.preview_delete(orders, {0: 15})
    assert (loss.after, loss.events) == (15, 15)
    backend.logs.delete_records(orders, {0: 15})
    assert [one.start for one in backend.topic(orders).partitions] == [15, 0, 0]
    assert refused(lambda: backend.event(orders, 0, 3)) == "OFFSET_OUT_OF_RANGE"
    assert backend.topic(orders).events == 45


def test_a_group_is_reset_described_and_deleted(backend: Backend, orders: str, name: Name) -> None:
    group = name("billing")
    backend.reset(group, topic=orders, to="offset:5")
    found = backend.group(group)
    assert (found.state, found.members, found.topics, found.lag) == ("Empty", (), (orders,), 45)
    assert [(one.committed, one.end, one.lag) for one in found.partitions] == [(5, 20, 15)] * 3
    assert group in [one.group for one in backend.groups()]
    assert group in backend.topic(orders).groups
    backend.reset(group, to="latest")
    found = backend.group(group)
    assert (found.lag, found.lag_ms, found.trend) == (0, 0, "no active members")
    backend.append(orders, b"one more", partition=0)
    behind = backend.group(group)
    assert behind.lag == 1
    assert behind.lag_ms is not None
    backend.delete_group(group)
    assert refused(lambda: backend.group(group)) == "GROUP_ID_NOT_FOUND"


@pytest.mark.parametrize(
    ("to", "after"),
    [
        ("earliest", [0, 0, 0]),
        ("latest", [20, 20, 20]),
        ("offset:500", [20, 20, 20]),
        ("shift:-2", [3, 3, 3]),
        (f"time:{BASE_MS + 30_000}", [10, 10, 10]),
        (f"time:{BASE_MS + 900_000}", [20, 20, 20]),
        ("time:-1", [0, 0, 0]),
        ("time:-62135596800000", [0, 0, 0]),
    ],
)
def test_a_preview_says_where_a_reset_goes(
    backend: Backend, orders: str, name: Name, to: str, after: list[int]
) -> None:
    group = name("billing")
    backend.reset(group, topic=orders, to="offset:5")
    plan = backend.preview_reset(group, to=to)
    assert [line.after for line in plan] == after
    assert {line.before for line in plan} == {5}
    assert [line.skipped - line.repeated for line in plan] == [one - 5 for one in after]
    assert [one.committed for one in backend.group(group).partitions] == [5, 5, 5]
    assert refused(lambda: backend.preview_reset(group, to="moon:1")) == "INVALID_REQUEST"


def test_a_group_is_reset_to_where_another_is(backend: Backend, orders: str, name: Name) -> None:
    group, other = name("billing"), name("shipping")
    backend.reset(other, topic=orders, partition=2, to="offset:7")
    backend.reset(group, topic=orders, to="earliest")
    assert [(line.partition, line.after) for line in backend.reset(group, to=f"group:{other}")] == [(2, 7)]
    assert [one.committed for one in backend.group(group).partitions] == [0, 0, 7]


def test_whoever_watches_is_told_of_events_and_commits(backend: Backend, orders: str, name: Name) -> None:
    told: list[Change] = []
    group = name("billing")
    end = backend.subscribe(told.append)
    try:
        backend.append(orders, b"x")
        backend.reset(group, topic=orders, to="latest")
        eventually(lambda: any(orders in change.topics for change in told), 10, "no change of the topic")
        eventually(lambda: any(group in change.groups for change in told), 10, "no change of the group")
    finally:
        end()


def test_keys_and_neighbours_are_told(backend: Backend, orders: str) -> None:
    sample = backend.logs.sample_keys(orders)
    assert (sample.events, sample.keys, sample.top[0].events) == (60, 5, 12)
    beside = backend.survey.neighbours(orders, 0, 10)
    assert (beside.previous, beside.next, beside.previous_of_key, beside.next_of_key) == (9, 11, 5, 15)
    volume = backend.survey.volume(MessageQuery(orders))
    assert (volume.matched, sum(bucket.events for bucket in volume.buckets)) == (60, 60)
    assert backend.logs.offsets_at(orders, BASE_MS + 30_000) == {0: 10, 1: 10, 2: 10}


def test_picked_events_are_read_by_their_places(backend: Backend, orders: str) -> None:
    found = backend.survey.events(orders, {2: [3], 0: [7, 5, 6, 6, 19, 20, 4_000], 1: []})
    assert [(event.partition, event.offset) for event in found] == [(0, 5), (0, 6), (0, 7), (0, 19), (2, 3)]
    assert found[0] == backend.event(orders, 0, 5)
    with pytest.raises(BrokerError, match="no partition 9"):
        backend.survey.events(orders, {9: [0]})


def test_the_brokers_are_told(backend: Backend, orders: str) -> None:
    (broker,) = backend.brokers.list()
    assert broker.up
    assert broker.controller
    assert broker.leader_count >= 3
    assert broker.out_of_sync_count == 0


PAGES = (
    "/",
    "/groups",
    "/cluster",
    "/produce",
    "/help",
    "/search?q=o",
    "/topics/~new",
    "/sql",
    "/snapshots",
    "/activity",
)
NEED_A_FILE = ("/faults.json", "/sql", "/snapshots", "/activity")
DATA = ("/topics.json", "/topics.csv", "/groups.json", "/groups.csv", "/cluster.json", "/search.json?q=o")


def test_every_page_and_what_it_links_to_answers(backend: Backend, orders: str, name: Name) -> None:
    group = name("billing")
    backend.reset(group, topic=orders, to="offset:5")
    page: FlaskClient = create_app(backend).test_client()
    at = f"/topics/{orders}"
    own = [
        at,
        f"{at}.json",
        f"{at}/messages",
        f"{at}/messages.json",
        f"{at}/messages.csv",
        f"{at}/1/3",
        f"{at}/1/3.json",
    ]
    own += [
        f"/groups/{group}",
        f"/groups/{group}.json",
        f"/groups/{group}?to=earliest",
        f"/groups/{group}/history.json",
    ]
    todo, seen = [*PAGES, *DATA, *own], dict[str, int]()
    while todo and len(seen) < 40:
        address = todo.pop(0)
        if address in seen:
            continue
        answer = page.get(address)
        seen[address] = answer.status_code
        if answer.mimetype == "text/html" and "/topics/" not in address.replace(at, "") and "/messages" not in address:
            links = [
                link.replace("&amp;", "&").partition("#")[0] for link in re.findall(r'href="(/[^"]*)"', answer.text)
            ]
            todo += [link for link in links if not link.startswith("/static") and not re.search(r"/[0-2]/\d+", link)]
    wrong = {address: status for address, status in seen.items() if status != 200}
    lacking = {address for address, status in wrong.items() if status == 501 and address.startswith(NEED_A_FILE)}
    assert {address: status for address, status in wrong.items() if address not in lacking} == {}


def test_what_a_sandbox_does_not_lack_works(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "dev.db") as box:
        backend: Backend = box
        assert (backend.capabilities, backend.read_only) == (Capabilities(), None)
        assert all(getattr(backend.capabilities, one.name) for one in fields(Capabilities) if one.metadata)


def test_each_required_feature_is_of_a_page_that_exists(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "dev.db") as box:
        app = create_app(box)
        assert set(REQUIRED) <= {*app.view_functions, *app.blueprints}
        assert all(missing(feature) for feature in REQUIRED.values())
        with pytest.raises(AttributeError):
            box.capabilities.why_not("sqll")


def test_what_cannot_be_counted_is_called_offsets(backend: Backend, orders: str) -> None:
    page = create_app(backend).test_client()
    found = page.get(f"/topics/{orders}.json").get_json()
    counted = backend.capabilities.event_counts
    assert (found["events"], found["offsets"]) == (60 if counted else None, 60)
    assert [one["events"] for one in found["partitions"]] == ([20, 20, 20] if counted else [None] * 3)
    html = page.get(f"/topics/{orders}").text
    assert ("<dt>Events</dt>" if counted else "<dt>Offsets</dt>") in html
    assert f"60 {'events' if counted else 'offsets'}</b> in" in page.get(f"/topics/{orders}/delete").text
