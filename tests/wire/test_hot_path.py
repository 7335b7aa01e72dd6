"""The cost of an event, counted: statements, commits, encodings and rows. No time is measured."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.model.messages import MessageQuery
from sandbox.runtime.event_loop import Arrivals
from sandbox.storage.file.database import Database, Reader
from sandbox.storage.log.log import ROWS_PER_STATEMENT, EventColumns
from sandbox.web.app import create_app
from sandbox.wire.batch_cache import BatchCache
from sandbox.wire.messages import messages
from sandbox.wire.records import batch as record_batch
from tests.wire.raw_client import PRODUCE, PRODUCE_VERSION, RawClient, framed, produce_body, request_header, rows

TOGETHER = 5
FIRST_MS = 1_700_000_000_000


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the log is written, read and encoded, by name."""
    found: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            found[name] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    for name in ("execute", "executemany"):
        count(Database, name)
    for name in ("query", "rows", "one"):
        count(Reader, name)
    count(record_batch, "encode_batch")
    count(record_batch, "decode_batches")
    return found


def queries(counts: Counter[str]) -> int:
    return counts["query"] + counts["rows"] + counts["one"]


def test_a_produce_request_is_one_commit_and_a_statement_for_fifty_events(
    served: Sandbox, client: RawClient, counts: Counter[str]
) -> None:
    served.create_topic("orders")
    client.produce("orders", rows(b"first"))
    database = served._runtime.database
    counts.clear()
    commits, statements = database.commits, database.statements
    client.produce("orders", rows(*[b"value"] * (4 * ROWS_PER_STATEMENT)))
    assert database.commits - commits == 1
    assert database.statements - statements == 4 + 1, "four of fifty events, and one for their batch"
    assert counts["decode_batches"] == 1
    assert counts["encode_batch"] == 0
    assert queries(counts) == 0


def test_produce_requests_that_arrive_together_share_one_commit(served: Sandbox, client: RawClient) -> None:
    served.create_topic("orders")
    client.produce("orders", rows(b"first"))
    body = messages.encode_request(PRODUCE, PRODUCE_VERSION, produce_body("orders", rows(b"value")))
    frames = [framed(request_header(PRODUCE, PRODUCE_VERSION, number) + body) for number in range(TOGETHER)]
    made = []
    for sent in range(1, 4):
        commits = served._runtime.database.commits
        client.send_bytes(b"".join(frames))
        for _ in range(TOGETHER):
            client.receive_frame()
        assert served.end_offsets("orders") == {0: 1 + sent * TOGETHER}
        made.append(served._runtime.database.commits - commits)
    # On a busy machine a socket may hand over what was sent in two parts.
    assert min(made) == 1


def test_a_request_that_comes_alone_is_answered_without_a_second_look_at_the_sockets(
    served: Sandbox, client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.create_topic("orders")
    client.produce("orders", rows(b"first"))
    looks: list[float | None] = []
    real = Arrivals.select

    def counted(self: Arrivals, timeout: float | None = None) -> Any:
        looks.append(timeout)
        return real(self, timeout)

    monkeypatch.setattr(Arrivals, "select", counted)
    for _ in range(20):
        client.produce("orders", rows(b"value"))
    assert 10 < len(looks) < 30, "about one for each request, and some for what is due meanwhile"


def test_the_tail_is_fetched_without_reading_or_encoding_a_row(
    served: Sandbox, client: RawClient, counts: Counter[str]
) -> None:
    served.create_topic("orders")
    for _ in range(3):
        client.produce("orders", rows(*[b"value"] * 100))
    client.fetch("orders", 0)
    counts.clear()
    answer = client.fetch("orders", 0)
    # Before this client decodes what came: that counts too.
    assert counts["encode_batch"] == 0
    assert queries(counts) == 0
    assert [batch.count for batch in record_batch.decode_batches(answer.records)] == [100, 100, 100]


def test_alike_events_are_produced_without_reading_or_binding_them_one_by_one(
    served: Sandbox, client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.create_topic("orders")
    client.produce("orders", rows(b"first"))
    bound: list[int] = []
    real = Database.execute

    def execute(self: Database, sql: str, parameters: Any = ()) -> Any:
        if sql.startswith("INSERT INTO events"):
            bound.append(len(parameters))
        return real(self, sql, parameters)

    monkeypatch.setattr(Database, "execute", execute)
    monkeypatch.setattr(EventColumns, "__iter__", None)
    monkeypatch.setattr(EventColumns, "__getitem__", None)
    client.produce("orders", rows(*[b"value"] * (2 * ROWS_PER_STATEMENT)))
    assert bound == [1 + 3 * ROWS_PER_STATEMENT] * 2, "timestamp, key and value of each event; the first id once"
    assert served.end_offsets("orders") == {0: 1 + 2 * ROWS_PER_STATEMENT}


def test_a_fetch_from_rows_asks_once_for_a_thousand_events_of_small_batches(
    served: Sandbox, client: RawClient, counts: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served.create_topic("orders")
    for _ in range(20):
        client.produce("orders", rows(*[b"value"] * 100))
    assert served._runtime.kafka is not None
    served._runtime.kafka._cache.clear()
    counts.clear()
    answer = client.fetch("orders", 0)
    assert counts["encode_batch"] == 2, "twenty small batches come as two of a thousand events"
    assert queries(counts) <= 2 + 2
    assert [batch.count for batch in record_batch.decode_batches(answer.records)] == [1000, 1000]


def test_a_kept_batch_is_given_out_without_a_copy() -> None:
    cache = BatchCache()
    batch = record_batch.encode_batch(0, rows(*[b"value"] * 100))
    cache.put(1, 0, 99, batch)
    found = cache.read(1, 50, 100, 1 << 20)
    assert found is not None
    assert found[0] is batch


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_a_page_reads_no_more_rows_of_a_log_of_ten_times_the_length(box: Sandbox, order: str) -> None:
    def read(topic: str, events: int) -> int:
        box.create_topic(topic, partitions=3)
        made = (NewEvent(b"value", b"%d" % number, timestamp_ms=FIRST_MS + number) for number in range(events))
        box.append_many(topic, made, chunk=100)
        page = box.messages(MessageQuery(topic, order=order, limit=50))
        assert len(page.events) == 50
        return page.scanned

    short, long = read("short", 3_000), read("long", 30_000)
    assert long <= short * 1.5
    assert long < 3_000


def test_the_events_of_a_page_do_not_ask_one_by_one_for_their_batch(box: Sandbox, counts: Counter[str]) -> None:
    box.create_topic("orders")
    box.append_many("orders", (NewEvent(b"value") for _ in range(1_000)))
    counts.clear()
    page = box.messages(MessageQuery("orders", order="offset", from_offset=0, limit=500))
    assert len(page.events) == 500
    assert queries(counts) <= 15


PAGES = (
    "/",
    "/topics.json",
    "/topics/orders",
    "/topics/orders/messages",
    "/topics/orders/messages?order=oldest",
    "/topics/orders/messages?key=user-1",
    "/topics/orders/0/5",
    "/topics/orders/produce",
    "/groups",
    "/groups/group-1",
    "/groups/group-1/history.json",
    "/groups/group-1/reset?to=earliest",
    "/cluster",
    "/playground",
    "/sql",
    "/activity",
    "/activity?topic=orders",
    "/snapshots",
    "/help",
    "/search?q=orders",
)
LARGE = re.compile(r"SCAN (events|batches|commits|e|b|c)\b(?! USING INDEX committed_offsets)")
"""Scans of a table that grows with every event or commit; in the lists `c` is the table of committed offsets."""


def test_no_page_goes_through_all_events_batches_or_commits(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(box, groups=3)
    asked: dict[str, tuple[str, Any]] = {}
    page = ""

    def note(name: str) -> None:
        real = getattr(Reader, name)

        def asking(self: Reader, sql: str, parameters: Any = ()) -> Any:
            asked.setdefault(sql, (page, parameters))
            return real(self, sql, parameters)

        monkeypatch.setattr(Reader, name, asking)

    for name in ("query", "rows", "one"):
        note(name)
    browser = create_app(box).test_client()
    for page in PAGES:
        assert browser.get(page).status_code == 200, page
    monkeypatch.undo()
    with box._database.reader() as reader:
        for sql, (page, parameters) in asked.items():
            plan = [row[3] for row in reader.query(f"EXPLAIN QUERY PLAN {sql}", parameters)]
            assert not [step for step in plan if LARGE.match(step)], (page, sql, plan)
    assert len(asked) > len(PAGES)


def test_a_page_asks_no_more_for_a_group_than_what_it_had_committed_earlier(box: Sandbox, counts: Counter[str]) -> None:
    browser = create_app(box).test_client()

    def asked(page: str) -> int:
        browser.get(page)
        counts.clear()
        assert browser.get(page).status_code == 200
        return queries(counts)

    pages = ("/", "/groups", "/topics/orders", "/topics/orders/messages")
    _fill(box, groups=3)
    few = {page: asked(page) for page in pages}
    _fill(box, groups=13)
    for page in pages:
        assert asked(page) - few[page] <= 10 * 3 * 2, "for each partition at two moments"


def _fill(box: Sandbox, groups: int) -> None:
    """A topic of three partitions, and groups that have read a half of it."""
    if not any(one.topic == "orders" for one in box.topics()):
        box.create_topic("orders", partitions=3)
        box.append_many("orders", (NewEvent(b"value", b"user-%d" % (at % 9)) for at in range(3_000)), chunk=100)
    for group in range(groups):
        for partition, end in box.end_offsets("orders").items():
            box.commit(f"group-{group}", "orders", partition, end // 2)
