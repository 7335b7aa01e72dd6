"""The filters, the result line, the histogram and the columns of a Messages page are its address."""

import csv
import io
import re
import threading
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import confluent_kafka
import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.model.messages import MessagePage, MessageQuery, Volume
from sandbox.web.messages import histogram as messages_volume
from sandbox.web.messages import query as messages_query
from tests.clock import START_MS
from tests.web.hostile import SCRIPT

MESSAGES = "/topics/orders/messages"


@pytest.fixture
def orders(box: Sandbox) -> Sandbox:
    """Sixty events, a second apart, in two partitions."""
    box.create_topic("orders", partitions=2)
    box.append_many(
        "orders",
        (
            NewEvent(
                b'{"n": %d, "id": %d, "price": %d.10, "user": {"name": "u%d"}}' % (n, 9007199254740992 + n, n, n % 3),
                b"k%d" % (n % 5),
                (("trace", b"%d" % (n % 4)), ("kind", b"order")) if n % 2 else (),
                START_MS + n * 1000,
                n % 2,
            )
            for n in range(60)
        ),
    )
    return box


def text(html: str) -> str:
    """The words of a page, on one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))


def tally(html: str) -> str:
    found = re.search(r'id="tally">(.*?)</p>', html, re.DOTALL)
    assert found is not None
    return text(found[1]).strip()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"where": "$.n >= 57"}, [59, 58, 57]),
        ({"where": "n >= 57"}, [59, 58, 57]),
        ({"where": "user.name = u1", "limit": "2"}, [58, 55]),
        ({"where": ["$.n >= 55", "$.user.name = u1"]}, [58, 55]),
        ({"where": "$.id = 9007199254740993"}, [1]),
        ({"where": "$.price = 7.1"}, [7]),
        ({"where": "$.user.name contains 2", "key": "k2", "exact": "1"}, [47, 32, 17, 2]),
        ({"header": "trace=3", "limit": "2"}, [59, 55]),
        ({"header": ["trace=3", "kind=order"], "where": "$.n < 8"}, [7, 3]),
        ({"header": ["trace=3", "kind=other"]}, []),
        ({"where": "$.missing exists"}, []),
    ],
)
def test_conditions_and_headers_choose_events(
    page: FlaskClient, orders: Sandbox, query: dict[str, str | list[str]], expected: list[int]
) -> None:
    found = page.get(MESSAGES + ".json", query_string=query).get_json()["events"]
    assert [int(re.findall(r'"n": (\d+)', event["value"])[0]) for event in found] == expected
    html = page.get(MESSAGES, query_string=query).text
    assert len(re.findall('<tbody id="m-', html)) == len(expected)


def test_a_condition_that_is_typed_becomes_part_of_the_address(page: FlaskClient, orders: Sandbox) -> None:
    typed = {"path": "$.n", "op": ">=", "operand": "57", "where": "$.n < 59", "key": "k", "cursor": "after:1:1:1"}
    answer = page.get(MESSAGES, query_string=typed)
    assert answer.status_code == 303
    address = urlsplit(answer.headers["Location"])
    assert parse_qs(address.query) == {"key": ["k"], "where": ["$.n < 59", "$.n >= 57"]}
    html = page.get(answer.headers["Location"]).text
    assert tally(html).startswith("2 of 60 matched in")
    remove = re.findall(r'href="([^"]*)" aria-label="Remove the filter \$\.n &lt; 59"', html)
    assert tally(page.get(remove[0].replace("&amp;", "&")).text).startswith("3 of 60 matched in")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"path": "$.a[", "op": "exists", "operand": ""}, "goes wrong at"),
        ({"path": "$.n", "op": "=", "operand": ""}, "is compared with"),
        ({"path": "$.n", "op": "^", "operand": "1"}, "An operator is one of"),
        ({"where": "$.n ~ 1"}, "write $.n contains 1"),
        ({"col": "$n"}, "goes wrong at"),
        ({"col": [f"$.c{n}" for n in range(9)]}, "at most 8"),
        ({"where": [f"$.c = {n}" for n in range(9)]}, "at most 8"),
        ({"since": "2024-01-02", "until": "2024-01-01"}, "since must be before until"),
    ],
)
def test_a_filter_that_is_none_says_why_and_keeps_what_was_typed(
    page: FlaskClient, orders: Sandbox, query: dict[str, str | list[str]], reason: str
) -> None:
    answer = page.get(MESSAGES, query_string=query)
    assert answer.status_code == 400
    assert reason in answer.text
    if "path" in query:
        assert f'name="path" list="seen" value="{query["path"]}"' in answer.text
    elif "since" not in query:
        assert page.get(MESSAGES + ".json", query_string=query).status_code == 400


def test_the_result_line_counts_every_match_beyond_the_page(page: FlaskClient, orders: Sandbox) -> None:
    assert tally(page.get(MESSAGES).text).startswith("50 of 60 events")
    assert re.match(
        r"40 of 60 matched in \S+ ms, 5 on this page", tally(page.get(f"{MESSAGES}?where=$.n>=20&limit=5").text)
    )
    assert re.match(r"10 of 60 matched in", tally(page.get(f"{MESSAGES}?since={START_MS + 50_000}").text))
    assert re.match(r"6 of 30 matched in", tally(page.get(f"{MESSAGES}?p=0&key=k2&limit=500").text))


def test_a_count_that_takes_long_stops_and_offers_to_count_on(
    page: FlaskClient, orders: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders.append_many("orders", (NewEvent(b"v", partition=0) for _ in range(3_000)))
    monkeypatch.setattr(messages_volume, "COUNT_MS", 0)
    html = page.get(f"{MESSAGES}?value=v").text
    assert re.match(r"at least \S+ matched: \S+ of 3,060 counted in", tally(html))
    on = re.findall(r'<a href="([^"]*)">Count on</a>', html)[0].replace("&amp;", "&")
    assert re.match(r"3,000 of 3,060 matched in", tally(page.get(on).text))


def test_a_search_that_takes_long_stops_says_where_and_goes_on_from_there(
    page: FlaskClient, orders: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders.append_many("orders", (NewEvent(b"hay", partition=0) for _ in range(3_000)), chunk=100)
    monkeypatch.setattr(messages_query, "BUDGET_MS", 0)
    address, seen = f"{MESSAGES}?where=$.n%20<%202", []
    for _ in range(100):
        html = page.get(address).text
        seen += re.findall(r'<tbody id="(m-[^"]+)"', html)
        if "The search stopped after 2 s" not in html:
            break
        assert "Nothing found so far" in html or seen
        address = re.findall(r'<a href="([^"]*)">Continue from there</a>', html)[0].replace("&amp;", "&")
    assert seen == ["m-1-0", "m-0-0"]


def test_the_histogram_is_drawn_and_told_as_a_table(page: FlaskClient, orders: Sandbox) -> None:
    html = page.get(MESSAGES).text
    bars = re.findall(r'<rect x="[^"]*" y="[^"]*" width="0.88" height="([^"]*)"', html)
    assert len(bars) == 60
    assert "Events per 1 s (max 1)" in text(html)
    assert " style=" not in html
    closer = re.findall(r'<a href="([^"]*)">Only these</a>', page.get(MESSAGES + "?table=1").text)
    assert len(closer) == 60
    one = page.get(closer[7].replace("&amp;", "&")).text
    assert tally(one).startswith("1 of 60 matched in")
    assert 'id="m-1-3"' in one


@pytest.mark.parametrize("query", ["", "where=$.n>=20", "since=2023-11-14T22:13:30"])
def test_the_volume_is_data_too(page: FlaskClient, orders: Sandbox, query: str) -> None:
    found = page.get(f"{MESSAGES}/volume.json?{query}").get_json()
    events = page.get(f"{MESSAGES}.json?{query}&limit=500").get_json()["events"]
    assert found["matched"] == len(events) == sum(bucket["events"] for bucket in found["buckets"])
    for bucket in found["buckets"]:
        inside = [one for one in events if bucket["from_ms"] <= one["timestamp"] < bucket["until_ms"]]
        assert len(inside) == bucket["events"]


def test_json_fields_are_columns_that_can_be_moved(page: FlaskClient, orders: Sandbox) -> None:
    query = {"col": ["$.price", "$.user.name", "$.missing"], "limit": "3"}
    html = page.get(MESSAGES, query_string=query).text
    assert re.findall(r'<th scope="col" class="jfield" title="([^"]*)">', html) == query["col"]
    assert "59.10" in html
    left = re.findall(r'href="([^"]*)" aria-label="Move \$\.user\.name to the left"', html)[0].replace("&amp;", "&")
    assert parse_qs(urlsplit(left).query)["col"] == ["$.user.name", "$.price", "$.missing"]
    remove = re.findall(r'href="([^"]*)" aria-label="Remove the column \$\.missing"', html)[0].replace("&amp;", "&")
    assert parse_qs(urlsplit(remove).query)["col"] == ["$.price", "$.user.name"]
    seen = re.findall(r'aria-label="Show (\S+) as a column"', html)
    assert seen == ["$.n", "$.id"]
    rows = list(csv.reader(io.StringIO(page.get(MESSAGES + ".csv", query_string=query).text, newline="")))
    assert rows[0][-3:] == query["col"]
    assert rows[1][-3:] == ["59.10", "u2", ""]
    data = page.get(MESSAGES + ".json", query_string=query).get_json()["events"][0]["columns"]
    assert data == {"$.price": "59.10", "$.user.name": "u2", "$.missing": None}


def test_hostile_names_and_values_are_escaped_in_columns_and_filters(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    box.append("orders", b'{"<script>alert(1)</script>": "<img src=x>", "a b": 1}', key=SCRIPT, headers={"<b>": "1"})
    box.append("orders", b'{"a b": 2}')
    address = MESSAGES + '?col=$["<script>alert(1)</script>"]&where=$["<script>alert(1)</script>"] exists&header=<b>'
    for html in (page.get(MESSAGES).text, page.get(address).text):
        assert "<script>alert" not in html
        assert "<img" not in html
        assert "<b>1" not in html
    assert tally(page.get(address).text).startswith("1 of 2 matched")


def test_rows_say_which_groups_have_read_them(page: FlaskClient, orders: Sandbox) -> None:
    orders.commit("billing", "orders", 0, 29)
    orders.commit("audit", "orders", 0, 30)
    html = page.get(f"{MESSAGES}?limit=4").text
    marks = re.findall(r'class="wide marks" title="([^"]*)"', html)
    assert marks == [
        "no group has committed here",
        "read by audit; not yet by billing",
        "no group has committed here",
        "read by audit, billing",
    ]
    for group in range(9):
        orders.commit(f"g{group}", "orders", 0, 30)
    assert re.search(r"10 of 11<span", page.get(f"{MESSAGES}?limit=4").text)
    one = page.get("/topics/orders/0/29").text
    assert "not yet" in text(one)
    assert "audit has read it" in text(one)


def test_a_commit_changes_the_marks_of_a_row_that_was_shown_before(page: FlaskClient, orders: Sandbox) -> None:
    orders.commit("audit", "orders", 0, 0)
    before = page.get(f"{MESSAGES}?limit=4").text
    orders.commit("audit", "orders", 0, 30)
    after = page.get(f"{MESSAGES}?limit=4").text
    assert (before.count("not yet by audit"), after.count("not yet by audit")) == (4, 0)


def test_an_event_leads_to_its_neighbours_and_to_those_of_its_key(page: FlaskClient, orders: Sandbox) -> None:
    html = page.get("/topics/orders/0/10").text
    pager = re.search(r'<div class="pager two".*?</div>', html, re.DOTALL)
    assert pager is not None
    assert re.findall(r'href="(/topics/orders/0/\d+)"', pager[0]) == [f"/topics/orders/0/{at}" for at in (9, 11, 5, 15)]
    first = text(page.get("/topics/orders/0/0").text)
    assert "the first that is kept" in first
    assert "the first of this key" in first
    assert 'href="/topics/orders/produce?copy=orders/0/10"' in html
    assert 'href="/topics/orders/produce?copy=orders/0/10&amp;only=key"' in html


def test_an_event_of_an_open_or_aborted_transaction_says_so(page: FlaskClient, box: Sandbox) -> None:
    box.serve(kafka_port=0, web_port=None)
    box.create_topic("orders", partitions=1)
    settings = {"bootstrap.servers": box.kafka_address, "transactional.id": "t"}
    producer = confluent_kafka.Producer(settings)
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce("orders", "one")
    producer.flush(10)
    assert "open transaction" in page.get(MESSAGES).text
    assert "read_committed consumers wait here" in text(page.get("/topics/orders/0/0").text)
    producer.abort_transaction(10)
    rows = page.get(MESSAGES).text
    assert "open transaction" not in rows
    assert ">aborted<" in rows
    assert "read_committed consumers skip it" in text(page.get("/topics/orders/0/0").text)
    marker = page.get("/topics/orders/0/1").text
    assert "no consumer ever gets it" in text(marker)
    assert "Send again" not in marker
    box.append("orders", "after")
    assert "the last so far" in text(page.get("/topics/orders/0/2").text)


def test_every_figure_of_the_page_is_of_one_moment(
    page: FlaskClient, orders: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events that arrive between the search and the count are in neither."""

    def writing(search: Callable[[MessageQuery], MessagePage]) -> Callable[[MessageQuery], MessagePage]:
        def found(query: MessageQuery) -> MessagePage:
            result = search(query)
            writer = threading.Thread(target=lambda: orders.append("orders", '{"n": 99}', partition=0))
            writer.start()
            writer.join(10)
            return result

        return found

    monkeypatch.setattr(orders, "messages", writing(orders.messages))
    assert tally(page.get(f"{MESSAGES}?where=$.n>=0&limit=5").text).startswith("60 of 60 matched")
    volume: Volume = orders.survey.volume(MessageQuery("orders"))
    assert volume.matched == 61


def test_one_match_is_drawn_on_the_time_of_all_events(page: FlaskClient, orders: Sandbox) -> None:
    whole = page.get(MESSAGES).text
    found = page.get(MESSAGES, query_string={"where": "$.n = 17"}).text
    assert "1 of 60 matched" in found
    assert "Matches per" in found
    for drawn in ("data-from", "data-until", "viewBox"):
        told = re.search(rf'{drawn}="[^"]+"', whole[whole.index('id="volume"') :])
        assert told is not None
        assert told[0] in found
    assert found.count('height="40.0"/>') == 1
    assert 'id="volume"' not in page.get(MESSAGES, query_string={"where": "$.n = 999"}).text


@pytest.mark.parametrize("ending", ["", ".json", ".csv", ".jsonl", "/volume.json"])
def test_a_condition_that_cannot_be_meant_is_refused_at_every_address(
    page: FlaskClient, box: Sandbox, ending: str
) -> None:
    box.create_topic("people", partitions=1)
    box.append("people", b'{"name": "Sam"}')
    for query in ("where=$.name+=+'Sam'", "path=$.name&op=%3D&operand='Sam'", "header=trace+%3D+1"):
        answer = page.get(f"/topics/people/messages{ending}?{query}")
        assert answer.status_code == 400
        assert "write" in answer.text
    found = page.get('/topics/people/messages.json?where=$.name+==+"Sam"').get_json()
    assert [event["offset"] for event in found["events"]] == [0]
