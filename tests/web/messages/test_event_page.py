"""An event's page: its value folds, its key and headers are beside it, and it is copied in every form."""

import re
import subprocess
import sys
from html import unescape

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.web.payload import folded_markup, pretty
from tests.clock import START_MS

VALUE = (
    '{"id": 9007199254740993, "user": {"name": "Ana", "tags": ["a", "b"], "none": {}, "list": [[1], []]}, "e": 1.10}'
)


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


@pytest.mark.parametrize("text", [VALUE, "[]", '{"a": {}}', '[[1, [2]], {"b": [3]}]', '"text"', '{"a": "}{][,\\n"}'])
def test_a_folded_value_has_the_formatted_text_and_balanced_elements(text: str) -> None:
    html = str(folded_markup(text))
    assert text_of(html) == pretty(text) + "\n"
    depth = 0
    for tag in re.findall(r"<(/?)details", html):
        depth += -1 if tag else 1
        assert depth >= 0
    assert depth == 0
    assert html.count("<details") == len(re.findall(r"[\[{](?=\n)", pretty(text)[1:]))


def test_key_time_and_headers_come_before_the_value_and_beside_it(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    box.append("orders", VALUE, key="user-1", headers={"trace": "7"})
    html = page.get("/topics/orders/0/0").text
    assert html.index('class="facts"') < html.index('class="event-value"')
    assert 'data-fold="#e-0-0-value"' in html


def test_an_event_is_copied_as_key_kcat_curl_python_and_json_line(page: FlaskClient, box: Sandbox) -> None:
    box.serve(kafka_port=0, web_port=0)
    box.create_topic("orders", partitions=2)
    box.append("orders", VALUE, key="it's me", partition=1)
    html = page.get("/topics/orders/1/0").text
    found = re.findall(r'data-copy-text="([^"]*)" aria-label="Copy (?:as |the )([\w ]+)"', html)
    copies = {label: unescape(text) for text, label in found}
    assert {"key", "Python", "kcat", "curl", "JSONL"} <= set(copies)
    assert copies["key"] == "it's me"
    assert '"offset": 0' in copies["JSONL"]
    python = subprocess.run(
        [sys.executable, "-c", copies["Python"]], capture_output=True, text=True, timeout=60, check=True
    )
    assert "it's me" in python.stdout
    for language in ("kcat", "curl"):
        done = subprocess.run(["sh", "-c", copies[language]], capture_output=True, text=True, timeout=60, check=True)
        assert "9007199254740993" in done.stdout


def test_the_histogram_opens_on_the_time_that_holds_the_events(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    old = [NewEvent(b"v", timestamp_ms=START_MS + n * 1000) for n in range(500)]
    box.append_many("orders", [*old, NewEvent(b"late", timestamp_ms=START_MS + 90 * 86_400_000)])
    html = page.get("/topics/orders/messages").text
    span = re.search(r'data-from="(\d+)" data-until="(\d+)"', html)
    assert span is not None
    assert int(span[2]) - int(span[1]) < 3_600_000
    assert "1 event outside of this time" in html
    whole = page.get(unescape(re.findall(r'<a href="([^"#]*)[^"]*">Show the whole time</a>', html)[0])).text
    span = re.search(r'data-from="(\d+)" data-until="(\d+)"', whole)
    assert span is not None
    assert int(span[2]) > START_MS + 89 * 86_400_000
    ticks = [int(number.replace(",", "")) for number in re.findall(r'dx="-6"[^>]*>([\d,]+)</text>', html)]
    assert ticks[0] == 0
    assert ticks == sorted(set(ticks))
