"""Produce begins with the topic in use, and previews how many events go where, partitions without any included."""

import re

from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.runtime.clock import system_clock
from tests.waiting import eventually


def selected(html: str) -> list[str]:
    return re.findall(r"<option selected>([^<]+)</option>", html)


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_produce_begins_with_the_newest_topic_and_then_with_the_one_used_last(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("alpha", partitions=1)
    first = box.topic("alpha").created_ms
    eventually(lambda: system_clock() > first, 5, "the clock moves")
    box.create_topic("zebra", partitions=1)
    assert "zebra" in selected(page.get("/produce").text)
    page.post("/produce", data={"topic": "alpha", "value_kind": "text", "value": "v", "key": "k"})
    assert "alpha" in selected(page.get("/produce").text)
    assert "alpha" in selected(page.get("/produce/many").text)
    page.post("/produce/many", data={"topic": "zebra", "lines": "one", "format": "lines"})
    assert "zebra" in selected(page.get("/produce").text)
    box.delete_topic("zebra")
    assert "alpha" in selected(page.get("/produce").text)


def test_many_previews_the_number_and_the_empty_partitions(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=5)
    form = {"topic": "orders", "lines": "k:1\nk:2", "format": "lines", "key_kind": "before", "separator": ":"}
    form["times"] = "3"
    shown = text(page.post("/produce/many/preview", data=form, headers={"HX-Request": "true"}).text)
    assert "6 events will be sent" in shown
    found = re.search(r"keys and values ((?:\d+ \d+ ){5})", shown)
    assert found is not None
    counts = dict(zip(*[map(int, found[1].split())] * 2, strict=True))
    assert sorted(counts) == [0, 1, 2, 3, 4]
    assert sorted(counts.values()) == [0, 0, 0, 0, 6]


def test_a_generator_previews_how_many_events_it_will_send(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=5)
    for speed, expected in (
        ({"rate": "50", "count": "1000"}, "1,000 events will be sent to orders, in about 20 s."),
        ({"rate": "50", "count": "1000", "duration": "3"}, "150 events will be sent to orders, in about 3 s."),
        ({"rate": "50"}, "Events will be sent until you stop it."),
    ):
        form = {"topic": "orders", "key": "one", "value": "{}", "keys": "1"} | speed
        html = page.post("/produce/generators/preview", data=form, headers={"HX-Request": "true"}).text
        assert expected in text(html).replace("  ", " ")
        rows = re.findall(r'<tr data-partition="(\d)">.*?<td class="num">([\d,]+)</td>', html)
        assert [int(partition) for partition, _ in rows] == [0, 1, 2, 3, 4]
        assert sorted(count for _, count in rows) == ["0", "0", "0", "0", "1,000"]
