"""Activity: the page, its filters, its links, and the same as data."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.model.overview import Change
from sandbox.model.rebalance import Cause, rebalance_details
from sandbox.storage.groups.groups import GroupStore, StoredRebalance
from sandbox.web.live import render_view
from tests.web.hostile import SCRIPT


@pytest.fixture
def busy(box: Sandbox) -> Sandbox:
    box.create_topic("orders", partitions=2)
    for n in range(30):
        box.append("orders", f"v{n}", key=f"k{n}")
    box.commit("billing", "orders", 0, 1)
    box.inject("Produce", error="NOT_ENOUGH_REPLICAS", times=1)
    return box


def test_an_empty_file_says_what_will_appear(page: FlaskClient) -> None:
    html = page.get("/activity").text
    assert "Nothing has happened yet" in html
    assert 'href="/produce"' in html


def test_each_thing_that_happened_links_to_what_it_is_about(page: FlaskClient, busy: Sandbox) -> None:
    html = page.get("/activity").text
    rows = dict(re.findall(r'<tr id="[^"]+" data-kind="(\w+)">.*?<a class="row" href="([^"]+)"', html, re.DOTALL))
    assert rows["created"] == "/topics/orders"
    assert re.fullmatch(r"/topics/orders/\d/\d+", rows["produced"])
    assert rows["committed"] == "/groups/billing"
    assert rows["injected"] == "/cluster#faults"
    assert all(page.get(address.partition("#")[0]).status_code == 200 for address in rows.values())
    assert "30 events into partitions 0, 1" in html


def test_the_filter_is_the_address(page: FlaskClient, busy: Sandbox) -> None:
    found = page.get("/activity.json?kind=created&kind=committed").get_json()
    assert {entry["kind"] for entry in found["entries"]} == {"created", "committed"}
    html = page.get("/activity?kind=created&topic=orders").text
    assert re.search(r'value="created" checked', html)
    assert set(re.findall(r'<tr id="[^"]+" data-kind="(\w+)"', html)) == {"created"}
    assert "Nothing of that kind" in page.get("/activity?topic=other").text
    assert "Nothing of that kind" in page.get("/activity?since=1s&kind=snapshot").text
    header, *lines = page.get("/activity.csv?kind=created").text.splitlines()
    assert header == "at_ms,kind,topic,partition,offset,group,count,text"
    assert len(lines) == 1


@pytest.mark.parametrize("query", ["kind=nothing", "since=soon", "before=later"])
def test_a_filter_that_makes_no_sense_is_told(page: FlaskClient, busy: Sandbox, query: str) -> None:
    answer = page.get(f"/activity?{query}")
    assert answer.status_code == 400
    assert "That filter cannot be read" in answer.text
    assert page.get(f"/activity.json?{query}").status_code == 400


def test_older_pages_are_reached_and_lead_back(page: FlaskClient, busy: Sandbox) -> None:
    now_ms = page.get("/activity.json").get_json()["as_of_ms"]
    busy._runtime.clock = lambda: now_ms + 60_000
    busy.append("orders", "later")
    html = page.get("/activity?limit=1&topic=orders").text
    (older,) = re.findall(r'href="(/activity\?[^"]*before=\d+)"', html)
    assert "topic=orders" in older
    older_html = page.get(older.replace("&amp;", "&")).text
    assert "30 events" in older_html
    assert re.search(r'<a class="button" href="/activity\?[^"]*">Newest', older_html)


def test_the_newest_is_live_and_the_past_is_not(app: Flask, busy: Sandbox) -> None:
    change = Change("events", frozenset({"orders"}), frozenset(), 1)
    assert render_view(app, "/activity").interest.concerns(change)
    assert not render_view(app, "/activity?before=1").interest.concerns(change)


def test_names_are_never_markup(page: FlaskClient, busy: Sandbox) -> None:
    busy.commit(SCRIPT.decode(), "orders", 0, 1)
    html = page.get("/activity?group=%3Cimg%3E").text + page.get("/activity").text
    assert "<script>alert" not in html
    assert "<img>" not in html
    assert page.get("/activity?group=" + SCRIPT.decode()).status_code == 200


def test_what_is_gone_has_no_link(page: FlaskClient, busy: Sandbox) -> None:
    busy.delete_topic("orders")
    html = page.get("/activity?kind=created&kind=deleted").text
    assert 'href="/topics/orders' not in html
    assert "the topic, with 2 partitions" in html


def test_a_single_event_is_told_with_its_offset_and_several_with_the_last(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    box.append("orders", "x")
    assert "1 event into partition 0 at 0<" in page.get("/activity?kind=produced").text
    box.append("orders", "y")
    assert "2 events into partition 0, the last at 1<" in page.get("/activity?kind=produced").text
    box.create_topic("clicks", partitions=2)
    for partition in (0, 0, 1):
        box.append("clicks", "x", partition=partition)
    assert re.search(
        r"3 events into partitions 0, 1; the last: partition [01] at [01]<", page.get("/activity?topic=clicks").text
    )


@pytest.fixture
def letters(box: Sandbox) -> Sandbox:
    box.create_topic("orders", partitions=1)
    for number in range(3):
        stored = box.append("orders", f"v{number}")
        told = {"topic": "orders", "partition": "0", "offset": str(stored.offset), "error": "no"}
        box.append(
            "orders.dlq", f"v{number}", headers=tuple((f"dlq.{name}", text.encode()) for name, text in told.items())
        )
    return box


def test_dead_letters_that_are_sent_back_are_told_with_both_places(page: FlaskClient, letters: Sandbox) -> None:
    page.post("/topics/orders.dlq/messages/copy", data={"to": "orders", "events": "0:0-1"})
    html = page.get("/activity?kind=returned").text
    (row,) = re.findall(r'<tr id="[^"]+" data-kind="returned">.*?</tr>', html, re.DOTALL)
    assert "2 dead letters; the last: " in row
    assert (
        '<a href="/topics/orders.dlq/0/1">orders.dlq 0 · 1</a> is now <a href="/topics/orders/0/4">orders 0 · 4</a>'
        in row
    )
    (entry,) = page.get("/activity.json?kind=returned").get_json()["entries"]
    assert entry["details"] == {
        "dead_letters": 2,
        "from": {"topic": "orders.dlq", "partition": 0, "offset": 1},
        "to": {"topic": "orders", "partition": 0, "offset": 4},
    }
    assert entry["text"] == "2 dead letters; the last: orders.dlq 0 · 1 is now orders 0 · 4"


def test_a_dead_letter_that_was_corrected_in_the_form_is_told_too(page: FlaskClient, letters: Sandbox) -> None:
    form = {"topic": "orders", "value_kind": "text", "value": "mended", "headers": "dlq.sent-back-from: orders.dlq/0/2"}
    assert page.post("/produce", data=form).status_code in (200, 303)
    assert letters.event("orders", 0, 3).value == b"mended"
    html = page.get("/activity?kind=returned").text
    assert (
        '<a href="/topics/orders.dlq/0/2">orders.dlq 0 · 2</a> is now <a href="/topics/orders/0/3">orders 0 · 3</a>'
        in html
    )


def test_a_copy_of_any_other_event_is_no_letter_that_came_back(page: FlaskClient, letters: Sandbox) -> None:
    page.post("/topics/orders/messages/copy", data={"to": "orders", "events": "0:0"})
    page.post("/topics/orders.dlq/messages/copy", data={"to": "orders", "events": "0:0", "headers": "kept"})
    assert letters.event("orders", 0, 4)
    assert "Nothing of that kind" in page.get("/activity?kind=returned").text


def test_a_letter_whose_topic_is_gone_is_told_without_a_link_to_it(page: FlaskClient, letters: Sandbox) -> None:
    page.post("/topics/orders.dlq/messages/copy", data={"to": "orders", "events": "0:0"})
    letters.delete_topic("orders.dlq")
    html = page.get("/activity?kind=returned").text
    assert 'orders.dlq 0 · 0 is now <a href="/topics/orders/0/3">orders 0 · 3</a>' in html
    assert 'href="/topics/orders.dlq/0/0"' not in html


def test_a_join_whose_reason_names_a_departure_is_a_join_on_the_page_and_in_every_format(
    page: FlaskClient, box: Sandbox
) -> None:
    cause = Cause("joined", "worker", "rolling restart, node-3 left")
    store = GroupStore(box._runtime.database)
    store.record_rebalance(StoredRebalance("g", 1, 1_000, 1_040, rebalance_details([cause], {}), 1, {}))
    box._runtime.database.commit()
    text = "member worker joined (rolling restart, node-3 left)"
    kinds = [entry["kind"] for entry in page.get("/activity.json?group=g").get_json()["entries"]]
    assert kinds == ["rebalanced", "joined"]
    (joined,) = page.get("/activity.json?kind=joined").get_json()["entries"]
    assert joined["details"] == {"cause": "joined", "member": "worker", "reason": "rolling restart, node-3 left"}
    assert joined["text"] == text
    assert text in re.sub(r"\s+", " ", page.get("/activity?kind=joined").text)
    assert page.get("/activity.csv?kind=joined").text.count(text) == 1
    assert "Nothing of that kind" in page.get("/activity?kind=left").text
    assert box.sql("SELECT details ->> '$.causes[0].cause' FROM rebalances").rows == (("joined",),)
