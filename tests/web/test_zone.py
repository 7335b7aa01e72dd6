"""One switch decides whether pages show UTC or local time; typed times mean the same."""

import re
from html import unescape
from urllib.parse import parse_qs, unquote_plus, urlsplit

from flask import Flask
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.web.live import render_view
from tests.clock import START_MS

# 2023-11-14 22:13:20 UTC is 2023-11-15 07:13:20 in Tokyo.
UTC_TEXT, TOKYO_TEXT = "2023-11-14 22:13:20", "2023-11-15 07:13:20"


def fill(box: Sandbox, count: int = 1) -> None:
    box.create_topic("orders", partitions=1)
    box.append_many("orders", (NewEvent(b"v", timestamp_ms=START_MS + n * 60_000) for n in range(count)))


def times(html: str) -> list[str]:
    return re.findall(r'<td class="time"><time [^>]*>([^<]*)</time>', html)


def test_a_switch_changes_the_zone_of_every_time_and_back(page: FlaskClient, box: Sandbox) -> None:
    fill(box)
    assert times(page.get("/topics/orders/messages").text) == [UTC_TEXT]
    answer = page.post("/zone", data={"zone": "Asia/Tokyo"}, headers={"Referer": "http://localhost/topics/orders"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/topics/orders")
    html = page.get("/topics/orders/messages").text
    assert times(html) == [TOKYO_TEXT]
    assert 'data-zone="Asia/Tokyo"' in html
    assert f"{TOKYO_TEXT}.000</time> local" in page.get("/topics/orders/0/0").text
    page.post("/zone", data={"zone": ""})
    assert times(page.get("/topics/orders/messages").text) == [UTC_TEXT]


def test_open_tabs_of_two_zones_have_times_of_their_own(app: Flask, box: Sandbox) -> None:
    fill(box)
    for zone, expected in (("", UTC_TEXT), ("Asia/Tokyo", TOKYO_TEXT), ("", UTC_TEXT)):
        assert times(render_view(app, "/topics/orders/messages", zone).html) == [expected]


def test_a_typed_time_is_local_and_its_address_means_the_same_everywhere(page: FlaskClient, box: Sandbox) -> None:
    fill(box, 3)
    page.set_cookie("zone", "Asia/Tokyo")
    answer = page.get("/topics/orders/messages", query_string={"since": "2023-11-15 07:14"})
    assert answer.status_code == 303
    address = answer.headers["Location"]
    assert parse_qs(urlsplit(address).query)["since"] == ["2023-11-15 07:14:00+09:00"]
    local = times(page.get(address).text)
    page.set_cookie("zone", "")
    assert (len(local), len(times(page.get(address).text))) == (2, 2)
    assert page.get("/topics/orders/messages?since=2023-11-14+22:14").status_code == 200


def test_a_zone_that_does_not_exist_is_this_machines_or_utc(page: FlaskClient, box: Sandbox) -> None:
    fill(box)
    for name in ("../etc/passwd", "<script>", "x" * 200):
        page.set_cookie("zone", name)
        html = page.get("/topics/orders/messages").text
        assert times(html) == [UTC_TEXT]
        assert "data-zone" not in html
    page.set_cookie("zone", "No/Such_Zone")
    assert page.get("/topics/orders/messages").status_code == 200


def test_the_times_under_the_bars_differ_and_begin_at_local_hours(page: FlaskClient, box: Sandbox) -> None:
    fill(box, 100)
    for zone in ("", "Asia/Kolkata"):
        page.set_cookie("zone", zone)
        html = unescape(page.get("/topics/orders/messages").text)
        labels = re.findall(r'<text x="[\d.]+%" y="12"[^>]*>([^<]+)</text>', html)
        assert len(labels) >= 3
        assert len(set(labels)) == len(labels)
        assert all(re.search(r"\d\d:(00|30)$", label) for label in labels)


def test_a_time_before_standard_time_stays_a_time(page: FlaskClient, box: Sandbox) -> None:
    fill(box)
    page.set_cookie("zone", "Europe/Berlin")
    answer = page.get("/topics/orders/messages?since=1850-01-01", follow_redirects=True)
    assert answer.status_code == 200
    assert "1849-12-31 23:06:32Z" in unquote_plus(answer.request.url)
