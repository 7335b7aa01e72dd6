"""Events sorted by a field, filters from a click, filters that are wrong, and the same query as SQL."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.web.messages import query as messages_query
from tests.clock import START_MS

MESSAGES = "/topics/quakes/messages"
VALUES = (
    b'{"mag": 2.5, "place": "Amboy"}',
    b'{"mag": 10, "place": "Honshu"}',
    b'{"place": "no magnitude"}',
    b'{"mag": 9.5, "place": "Chile"}',
    b'{"mag": -1, "place": "Amboy"}',
    b'{"mag": null, "place": "null"}',
    b"no JSON",
)


@pytest.fixture
def quakes(box: Sandbox) -> Sandbox:
    box.create_topic("quakes", partitions=2)
    box.append_many(
        "quakes",
        (
            NewEvent(value, b"k", (("net", b"%d" % (10 - n)),), START_MS + n * 1000, n % 2)
            for n, value in enumerate(VALUES)
        ),
    )
    return box


def places(page: FlaskClient, query: dict[str, Any]) -> list[str]:
    events = page.get(MESSAGES + ".json", query_string=query).get_json()["events"]
    return [(re.findall(r'"place": "([^"]*)"', event["value"]) or [event["value"]])[0] for event in events]


def test_events_are_sorted_by_a_field_over_the_whole_topic(page: FlaskClient, quakes: Sandbox) -> None:
    last = ["no JSON", "null", "no magnitude"]
    assert places(page, {"sort": "mag"}) == ["Honshu", "Chile", "Amboy", "Amboy", *last]
    assert places(page, {"sort": "$.mag asc"}) == ["Amboy", "Amboy", "Chile", "Honshu", *last]
    assert places(page, {"sort": "header net asc"})[0] == "no JSON"
    quakes.append("quakes", b'{"mag": 9.50000000000000000001, "place": "exact"}', partition=0)
    assert places(page, {"sort": "mag", "limit": "3"}) == ["Honshu", "exact", "Chile"]
    assert places(page, {"sort": "mag desc", "where": "mag < 9.5", "limit": "2"}) == ["Amboy", "Amboy"]


def test_pages_of_a_sorted_view_follow_each_other(page: FlaskClient, quakes: Sandbox) -> None:
    whole = places(page, {"sort": "mag"})
    seen, address = [], f"{MESSAGES}?sort=mag&limit=3"
    for _ in range(3):
        html = page.get(address).text
        seen += re.findall(r'<tbody id="m-(\d)-(\d)"', html)
        following = re.findall(r'href="([^"]*)" rel="next"', html)
        address = unescape(following[0]) if following else ""
    assert address == ""
    assert len(seen) == len(set(seen)) == len(whole)
    assert page.get(f"{MESSAGES}.json?sort=mag&cursor=after:1:1:1").status_code == 400


def test_a_column_is_sorted_by_its_heading_down_up_and_not(page: FlaskClient, quakes: Sandbox) -> None:
    address, states = f"{MESSAGES}?col=$.mag", []
    for _ in range(4):
        html = page.get(address).text
        found = re.search(r'class="jfield" title="\$\.mag"(?: aria-sort="(\w+)")?><a href="([^"]*)"', html)
        assert found is not None
        states.append(found[1])
        address = unescape(found[2])
    assert states == [None, "descending", "ascending", None]


def test_a_menu_of_fields_sorts_by_one_in_two_clicks(page: FlaskClient, quakes: Sandbox) -> None:
    html = page.get(MESSAGES).text
    address = re.findall(r'href="([^"]*)" aria-label="Sort by \$\.mag, the largest first"', html)[0]
    assert parse_qs(urlsplit(unescape(address)).query) == {"col": ["$.mag"], "sort": ["$.mag desc"]}
    assert re.findall(r'<tbody id="m-(\d-\d)"', page.get(unescape(address)).text)[0] == "1-0"


def test_a_sorted_view_that_runs_out_of_time_says_what_it_sorted(
    page: FlaskClient, quakes: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    quakes.append_many("quakes", (NewEvent(b'{"mag": 1}', partition=0) for _ in range(3_000)))
    monkeypatch.setattr(messages_query, "BUDGET_MS", 0)
    html = page.get(f"{MESSAGES}?sort=mag").text
    assert re.search(r"Sorted among the newest [\d,]+ events</b> of 3,007", html)


def test_a_value_of_a_column_is_a_filter(page: FlaskClient, quakes: Sandbox) -> None:
    html = page.get(f"{MESSAGES}?col=place&col=mag&col=header+net").text
    buttons = re.findall(r'<button class="only" form="filters" name="(\w+)" value="([^"]*)"', html)
    filters = [(name, unescape(text)) for name, text in buttons]
    assert ("where", '$.place = "Amboy"') in filters
    assert ("where", "$.mag = 9.5") in filters
    assert ("where", "$.mag = null") in filters
    assert ("header", "net=10") in filters
    for name, text in filters:
        assert places(page, {name: text})
    assert places(page, {"where": "$.mag = 9.5"}) == ["Chile"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"path": "a[", "op": "=", "operand": "1"}, "path"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2020-01-02", "until": "2020-01-01"}, "until"),
        ({"p": "9"}, "p"),
        ({"p": "x"}, "p"),
        ({"from": "x"}, "from"),
        ({"header": "net: 10"}, "header"),
    ],
)
def test_an_invalid_filter_marks_its_field_and_keeps_the_list(
    page: FlaskClient, quakes: Sandbox, query: dict[str, str], field: str
) -> None:
    answer = page.get(MESSAGES, query_string=query | {"key": "k"})
    assert answer.status_code == 400
    assert re.findall(r'name="(\w+)"[^>]*aria-invalid="true" aria-describedby="wrong-\1"', answer.text) == [field]
    assert re.search(rf'id="wrong-{field}">[^<]+<', answer.text)
    assert len(re.findall('<tbody id="m-', answer.text)) == len(VALUES)


def test_a_condition_that_is_wrong_is_marked_and_the_others_hold(page: FlaskClient, quakes: Sandbox) -> None:
    html = page.get(MESSAGES, query_string={"where": ["$.mag > 5", "$.mag ~ 3"]}).text
    assert len(re.findall('<tbody id="m-', html)) == 2
    assert re.search(r'class="is-wrong" title="[^"]*"><code>\$\.mag ~ 3</code>', html)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"where": ["mag > 2", "mag < 10"]},
        {"where": "mag = null"},
        {"where": "mag != null"},
        {"where": "mag exists"},
        {"where": "place contains mbo"},
        {"where": 'place = "Amboy"'},
        {"key": "k", "exact": "1", "p": "1"},
        {"value": "JSON"},
        {"header": "net=8"},
        {"since": str(START_MS + 2000), "until": str(START_MS + 4000)},
        {"from": "1"},
        {"sort": "mag desc", "where": "mag > -9", "limit": "2"},
        {"order": "oldest", "limit": "3"},
    ],
)
def test_the_query_in_sql_finds_the_same_events_in_the_same_order(
    page: FlaskClient, quakes: Sandbox, query: dict[str, Any]
) -> None:
    html = page.get(MESSAGES, query_string=query | {"col": ["place", "header net"]}).text
    address = unescape(re.findall(r'<a href="([^"]*)" id="in-sql">', html)[0])
    asked = parse_qs(urlsplit(address).query)["q"][0]
    rows = quakes.sql(asked).rows
    shown = re.findall(r'<tbody id="m-(\d+)-(\d+)"', html)
    assert [row[:2] for row in rows] == [(int(partition), int(offset)) for partition, offset in shown]
    assert page.get(address).status_code == 200


def test_no_order_is_chosen_while_a_field_sorts(page: FlaskClient, quakes: Sandbox) -> None:
    assert 'value="newest" checked' in page.get(MESSAGES).text
    html = page.get(MESSAGES, query_string={"sort": "mag"}).text
    assert 'value="newest" checked' not in html
    assert "7 of 7 events, sorted by mag" in " ".join(html.split())
