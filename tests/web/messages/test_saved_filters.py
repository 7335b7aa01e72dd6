"""Named filters of a topic are kept in the file."""

import re
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from sandbox.api.filters import FILTERS_MAX
from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError
from tests.web.hostile import SCRIPT

MESSAGES = "/topics/orders/messages"


def test_a_filter_is_saved_used_and_deleted(page: FlaskClient, box: Sandbox, tmp_path: Path) -> None:
    box.create_topic("orders", partitions=1)
    for n in range(5):
        box.append("orders", b'{"n": %d}' % n)
    assert "Save filter" not in page.get(MESSAGES).text
    html = page.get(MESSAGES, query_string={"where": "n >= 3", "col": "n", "sort": "n asc"}).text
    query = unescape(re.findall(r'name="query" value="([^"]*)"', html)[0])
    answer = page.post(f"{MESSAGES}/filters/save", data={"name": "  large   ones ", "query": query})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{MESSAGES}?{query}")
    html = page.get(MESSAGES).text
    address = unescape(re.findall(r'<a class="use" href="([^"]*)">large ones</a>', html)[0])
    shown = page.get(address).text
    assert re.findall(r'<tbody id="m-0-(\d)"', shown) == ["3", "4"]
    assert "Save filter" not in shown
    box.close()
    with Sandbox(tmp_path / "page.db") as again:
        assert list(again.filters.list("orders")) == ["large ones"]
        assert again.filters.list("users") == {}
        again.filters.delete("orders", "large ones")
        assert again.filters.list("orders") == {}
        with pytest.raises(BrokerError, match="no saved filter 'large ones'"):
            again.filters.delete("orders", "large ones")


def test_names_and_numbers_of_filters_are_bounded_and_escaped(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    for name in ("", " ", "x" * 61):
        answer = page.post(f"{MESSAGES}/filters/save", data={"name": name, "query": "key=a"})
        assert "A filter&#39;s name has 1 to 60 characters" in page.get(answer.headers["Location"]).text
    page.post(f"{MESSAGES}/filters/save", data={"name": SCRIPT[:60], "query": 'key="><script>alert(1)</script>'})
    assert "<script>alert" not in page.get(MESSAGES).text
    for n in range(FILTERS_MAX - 1):
        box.filters.save("orders", f"f{n}", "key=a")
    with pytest.raises(BrokerError, match="at most 50 saved filters"):
        box.filters.save("orders", "one more", "key=a")
    box.filters.save("orders", "f0", "key=b")
    assert box.filters.list("orders")["f0"] == "key=b"


def test_filters_are_deleted_with_their_topic(box: Sandbox) -> None:
    for topic in ("orders", "users"):
        box.create_topic(topic, partitions=1)
        box.filters.save(topic, "mine", "key=a")
    box.delete_topic("orders")
    box.create_topic("orders", partitions=1)
    assert box.filters.list("orders") == {}
    assert box.filters.list("users") == {"mine": "key=a"}
