"""Many events at once: read to the last line first, then stored, all or none."""

import io
import json
import re

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox

HTMX = {"HX-Request": "true"}


@pytest.fixture
def orders(box: Sandbox) -> Sandbox:
    box.create_topic("orders", partitions=4)
    return box


def _stored(box: Sandbox) -> list[tuple[bytes | None, bytes | None]]:
    return sorted(((event.key, event.value) for event in box.read("orders", limit=1000)), key=repr)


def test_each_line_is_an_event_and_empty_lines_are_none(page: FlaskClient, orders: Sandbox) -> None:
    answer = page.post("/topics/orders/produce/many", data={"lines": "one\r\n\r\n two \r\nthree"})
    assert answer.status_code == 303
    assert _stored(orders) == [(None, b" two "), (None, b"one"), (None, b"three")]
    assert "3 events stored in orders" in page.get(answer.location).text


def test_keys_come_from_the_lines_or_are_one_for_all(page: FlaskClient, orders: Sandbox) -> None:
    page.post("/produce/many", data={"topic": "orders", "lines": "a=1\nb=2=3", "key_kind": "before", "separator": "="})
    page.post(
        "/produce/many", data={"topic": "orders", "lines": "x", "key_kind": "text", "key": "k", "headers": "h: 1"}
    )
    assert _stored(orders) == [(b"a", b"1"), (b"b", b"2=3"), (b"k", b"x")]
    (event,) = (event for event in orders.read("orders") if event.key == b"k")
    assert event.headers == (("h", b"1"),)
    assert event.partition == orders.partition_for("orders", b"k")


def test_json_lines_are_stored_as_export_wrote_them(page: FlaskClient, orders: Sandbox) -> None:
    lines = [
        {"key": "u", "value": None, "headers": [["h", {"base64": "AP8="}]], "timestamp": 1714566600123, "partition": 3},
        {"topic": "other", "offset": 9, "value": {"base64": "/w=="}},
    ]
    text = "\n".join(json.dumps(line) for line in lines)
    page.post("/topics/orders/produce/many", data={"lines": text, "format": "jsonl", "keep": "1"})
    event = orders.event("orders", 3, 0)
    assert (event.key, event.value, event.headers, event.timestamp_ms) == (
        b"u", None, (("h", b"\x00\xff"),), 1714566600123,
    )  # fmt: skip
    assert (None, b"\xff") in _stored(orders)


def test_a_file_is_sent_in_place_of_the_lines(page: FlaskClient, orders: Sandbox) -> None:
    file = (io.BytesIO(b"\xef\xbb\xbffrom a file\r\n\xff\xfe\r\n"), "events.txt")
    page.post("/topics/orders/produce/many", data={"lines": "typed", "file": file})
    assert _stored(orders) == [(None, b"\xff\xfe"), (None, b"from a file")]


def test_one_bad_line_and_nothing_is_sent(page: FlaskClient, orders: Sandbox) -> None:
    lines = '{"value": "1"}\n\n{"value": 2}\nnonsense\n{"value": "x", "partition": 4}'
    form = {"lines": lines, "format": "jsonl", "keep": "1"}
    for answer in (
        page.post("/topics/orders/produce/many", data=form),
        page.post("/topics/orders/produce/many", data=form, headers=HTMX),
        page.post("/topics/orders/produce/many/preview", data=form, headers=HTMX),
    ):
        assert "line 3</b>" in answer.text
        assert "line 4</b>" in answer.text
        assert "partition 4 is not there: the topic has partitions 0 to 3" in answer.text
        assert "line 1</b>" not in answer.text
    assert orders.topic("orders").events == 0


def test_a_preview_counts_and_places_and_sends_nothing(page: FlaskClient, orders: Sandbox) -> None:
    form = {"lines": "user-42:1\nuser-42:2", "key_kind": "before", "separator": ":", "times": "3"}
    answer = page.post("/topics/orders/produce/many/preview", data=form, headers=HTMX)
    partition = orders.partition_for("orders", b"user-42")
    assert 'data-events="6" data-wrong="0"' in answer.text
    assert "from 2 lines" in answer.text
    assert re.search(rf"p{partition}\">{partition}</span> 6<", answer.text)
    assert orders.topic("orders").events == 0
    whole = page.post("/topics/orders/produce/many/preview", data=form)
    assert whole.status_code == 200
    assert "user-42:1" in whole.text


def test_lines_are_sent_so_many_times(page: FlaskClient, orders: Sandbox) -> None:
    answer = page.post("/topics/orders/produce/many", data={"lines": "a\nb", "times": "50"}, headers=HTMX)
    assert "100 events stored in orders" in answer.text
    assert _stored(orders) == [(None, b"a")] * 50 + [(None, b"b")] * 50


def test_links_lead_to_the_first_and_the_last_event(page: FlaskClient, orders: Sandbox) -> None:
    form = {"lines": "a\nb\nc", "key_kind": "text", "key": "k"}
    answer = page.post("/topics/orders/produce/many", data=form, headers=HTMX)
    partition = orders.partition_for("orders", b"k")
    assert re.findall(r'href="([^"]+)"', answer.text) == [f"/topics/orders/{partition}/{offset}" for offset in (0, 2)]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"lines": ""}, "There is nothing to send"),
        ({"lines": "a", "times": "0"}, "1 to 100,000 times"),
        ({"lines": "a", "times": "x"}, "1 to 100,000 times"),
        ({"lines": "a\nb", "times": "60000"}, "at most 100,000 events at once"),
        ({"lines": "a", "partitioner": "dice"}, "no partitioner"),
        ({"lines": "a:b", "key_kind": "before", "separator": ""}, "no separator is given"),
        ({"lines": "ab", "key_kind": "before", "separator": ":"}, "the separator &#39;:&#39; is not in it"),
        ({"lines": "x" * 1_100_000}, "max.message.bytes of the topic, 1,048,588"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_sent(
    page: FlaskClient, orders: Sandbox, form: dict[str, str], said: str
) -> None:
    assert said in page.post("/topics/orders/produce/many", data=form, headers=HTMX).text
    plain = page.post("/topics/orders/produce/many", data=form)
    assert plain.status_code == 400
    assert said in plain.text
    assert orders.topic("orders").events == 0


def test_what_the_topic_refuses_is_stored_in_no_part(page: FlaskClient, orders: Sandbox) -> None:
    orders.alter_topic("orders", {"message.timestamp.after.max.ms": "1000"})
    late = '{"value": "late", "timestamp": 99999999999999}'
    answer = page.post("/topics/orders/produce/many", data={"lines": f'{{"value": "1"}}\n{late}', "format": "jsonl"})
    assert answer.status_code == 400
    assert "INVALID_TIMESTAMP" in answer.text
    assert "Nothing was stored." in answer.text
    assert orders.topic("orders").events == 0


def test_many_events_go_in_several_commits(page: FlaskClient, orders: Sandbox) -> None:
    answer = page.post("/topics/orders/produce/many", data={"lines": "v", "times": "12000"}, headers=HTMX)
    assert "12,000 events stored in orders" in answer.text
    assert orders.topic("orders").events == 12_000


def test_the_page_without_a_topic_leads_to_one(page: FlaskClient) -> None:
    assert "Create a topic" in page.get("/produce/many").text
    assert page.get("/produce/many?topic=nope").status_code == 404


def test_the_lines_of_an_export_carry_the_partition_count_and_are_taken(page: FlaskClient, orders: Sandbox) -> None:
    orders.append("orders", "v", key="k", partition=2)
    lines = page.get("/topics/orders/messages.jsonl").text
    assert [json.loads(line)["partitions"] for line in lines.splitlines()] == [4]
    lines += '{"topic": "empty", "partitions": 3}\n'
    page.post("/topics/orders/produce/many", data={"lines": lines, "format": "jsonl", "keep": "1"})
    assert [(event.partition, event.value) for event in orders.read("orders")] == [(2, b"v"), (2, b"v")]


@pytest.mark.parametrize("form", ["lines", "jsonl"])
def test_a_byte_order_mark_is_removed_and_utf_16_refused(page: FlaskClient, orders: Sandbox, form: str) -> None:
    line = "v" if form == "lines" else '{"value": "v"}'
    page.post("/topics/orders/produce/many", data={"lines": "\ufeff" + line, "format": form})
    file = (io.BytesIO(line.encode("utf-8-sig")), "events.txt")
    page.post("/topics/orders/produce/many", data={"file": file, "format": form})
    assert _stored(orders) == [(None, b"v"), (None, b"v")]
    file = (io.BytesIO(line.encode("utf-16")), "events.txt")
    answer = page.post("/topics/orders/produce/many", data={"file": file, "format": form})
    assert answer.status_code == 400
    assert "the text is UTF-16" in answer.text
    assert len(_stored(orders)) == 2
