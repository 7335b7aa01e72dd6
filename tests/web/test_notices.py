"""A page says of itself only what the server keeps: never text from an address, and each notice once."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urljoin

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.web.app import create_app
from sandbox.web.live import render_view
from sandbox.web.notices import NONE, NOTICES_MAX, Notice, Notices
from tests.web.hostile_names import SNAPSHOT, TOPIC, addresses

CLAIM = "Your licence has expired. Restore it at evil.example"
TOGETHER = 10
"""Fields of one request: with all of them at once, most pages look at the first alone."""
SOURCES = Path(__file__).parents[2] / "sandbox" / "web"
PLACE = ("/", ())


QUOTED = ("code", "textarea", "option", "pre", "script", "td")
"""Elements whose text is somebody else's. A refusal is in none of them."""


class Sentences(HTMLParser):
    """Collects the text that a page shows, without what it quotes: code, fields and options."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._quoted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._quoted += tag in QUOTED

    def handle_endtag(self, tag: str) -> None:
        self._quoted -= tag in QUOTED

    def handle_data(self, data: str) -> None:
        if not self._quoted:
            self.text += data


def claims(html: str) -> list[str]:
    """Where a page shows the claim as its own words; in quotes, it is somebody else's."""
    parser = Sentences()
    parser.feed(html)
    return [
        found[0]
        for found in re.finditer(f".{{0,40}}{re.escape(CLAIM)}", parser.text, re.DOTALL)
        if found[0][-len(CLAIM) - 1 :][0] not in "'\"“‘"
    ]


def parameters() -> list[str]:
    """Every name that the source reads from a query string."""
    names = {"id", "where", "col", "p", "header", "said", "error", "undo_point", "no_undo", "gone", "forgot", "done"}
    for source in SOURCES.rglob("*.py"):
        names.update(re.findall(r"(?:args|values|form|fields)\.get(?:list)?\(\s*\"(\w+)\"", source.read_text()))
    for template in (SOURCES.parents[1] / "templates").rglob("*.html"):
        names.update(re.findall(r"request\.args\.(?:get\(['\"])?(\w+)", template.read_text()))
    return sorted(names - {"format", "get"})


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with Sandbox(tmp_path_factory.mktemp("notices") / "dev.db") as box:
        box.create_topic(TOPIC, partitions=2)
        box.append(TOPIC, '{"a": 1}', key="k", partition=0)
        box.commit("billing", TOPIC, 0, 1)
        box.snapshots.take(SNAPSHOT)
        yield create_app(box)


def test_no_parameter_of_an_address_is_shown_as_the_pages_own_words(full: Flask) -> None:
    page, found, seen = full.test_client(), [], 0
    names = parameters()
    assert len(names) > 60
    for address in addresses(full):
        path = address.replace("<group>", "billing").replace("<name>", SNAPSHOT)
        for at in range(0, len(names), TOGETHER):
            fields = dict.fromkeys(names[at : at + TOGETHER], CLAIM)
            query = {"id": "billing"} | fields if path.startswith("/group") else fields
            answer = page.get(path, query_string=query, follow_redirects=True)
            if answer.mimetype == "text/html":
                seen += 1
                found += [f"{path} {list(fields)}: {one}" for one in claims(answer.text)]
            answer.close()
    assert seen > 300
    assert found == []


@pytest.mark.parametrize("path", ["", "/topics", "/groups", "/snapshots", "/help", "/playground/scenarios"])
def test_no_path_is_shown_as_the_pages_own_words(full: Flask, path: str) -> None:
    answer = full.test_client().get(f"{path}/{quote(CLAIM)}")
    assert answer.status_code == 404
    assert claims(answer.text) == []


@pytest.mark.parametrize(
    "address",
    [
        "/topics/orders/settings?name=retention.ms&value={}",
        "/topics/orders/settings?name=cleanup.policy&value={}",
        "/topics/orders/partitions?count={}",
        "/topics/orders/clean/delete-records?offset={}",
        "/topics/orders/clean/delete-records?time={}",
        "/topics/orders/clean/delete-records?offset=1&partition={}",
        "/topics/orders/messages?where={}",
        "/topics/orders/messages?where=$.a+%3D+'{}'",
        "/topics/orders/messages?path=$.a&operand={}'",
        "/topics/orders/messages?header={}+%3D+1",
        "/topics/orders/messages?cursor={}",
        "/topics/orders/messages/send?events=0:0&to={}",
        "/topics/orders/produce?copy={}/0/0",
        "/groups/billing/reset?to=time&at={}",
        "/groups/billing/reset?to=offset&at={}",
        "/groups/billing/reset?to={}",
        "/groups/billing/reset?to=earliest&which={}",
        "/groups/billing/delete?topic={}",
        "/snapshots/~compare?left={}&right={}",
        "/produce/generators?topic=orders&template={}",
        "/produce/generators?topic=orders&value={}&rate={}",
        "/activity?since={}",
        "/sql?q={}",
    ],
)
def test_no_error_repeats_an_address_as_the_pages_own_words(full: Flask, address: str) -> None:
    text = full.test_client().get(address.replace("{}", quote(CLAIM)), follow_redirects=True).text
    assert claims(text) == []


def test_a_notice_is_shown_once_to_the_browser_that_sent_the_form(app: Flask, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    mine, other = app.test_client(), app.test_client()
    answer = mine.post("/topics/orders/partitions", data={"count": "3"})
    assert answer.location == "/topics/orders"
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=Strict" in answer.headers["Set-Cookie"]
    assert "the topic has 3 partitions now" not in other.get("/topics/orders").text
    assert "the topic has 3 partitions now" not in mine.get("/").text
    assert "the topic has 3 partitions now" not in render_view(app, "/topics/orders").html
    assert "the topic has 3 partitions now" in mine.get("/topics/orders").text
    assert "the topic has 3 partitions now" not in mine.get("/topics/orders").text


def test_each_of_a_browsers_forms_gets_its_own_notice(page: FlaskClient, box: Sandbox) -> None:
    for name in ("a", "b"):
        box.create_topic(name, partitions=1)
    first = page.post("/topics/a/partitions", data={"count": "2"})
    second = page.post("/topics/b/partitions", data={"count": "4"})
    assert "the topic has 2 partitions now" in page.get(first.location).text
    assert "the topic has 4 partitions now" in page.get(second.location).text


def test_the_undo_of_a_reset_is_the_servers(page: FlaskClient, billing: Sandbox) -> None:
    forged = page.get("/groups/billing?done=5&undo=orders:0:0").text
    assert "Done:" not in forged
    assert 'value="orders:0:0"' not in forged
    answer = page.post("/groups/billing/reset", data={"to": "earliest"})
    shown = page.get(answer.location).text
    assert "Done: 2 committed offsets moved." in shown
    assert 'name="undo" value="orders:0:4 orders:1:10"' in shown


def test_what_was_sent_is_the_servers(page: FlaskClient, box: Sandbox) -> None:
    for name in ("orders", "copies"):
        box.create_topic(name, partitions=1)
    box.append("orders", "x")
    for address in ("/topics/orders/produce?sent=0-0", "/topics/orders/produce/many?sent=0-5-0-4"):
        assert 'href="/topics/orders/0/0"' not in page.get(address).text
    forged = page.get("/topics/orders/messages/sent?to=copies&at=0:0&stopped=no")
    assert forged.location == "/topics/orders/messages"
    answer = page.post("/topics/orders/produce", data={"value_kind": "text", "value": "y"})
    assert 'href="/topics/orders/0/1"' in page.get(answer.location).text
    answer = page.post("/topics/orders/messages/copy", data={"events": "0:0", "to": "copies"})
    shown = page.get(answer.location).text
    assert "<b>1 event</b> sent to" in shown
    assert 'href="/topics/copies/0/0"' in shown


@pytest.mark.parametrize(
    "to", ["/\t/evil.example", "/\n/evil.example", "/a\r\nSet-Cookie: a=b", "/\x00", "/ü", "/%0d%0aX"]
)
def test_a_redirect_leads_to_no_other_site(page: FlaskClient, box: Sandbox, to: str) -> None:
    box.snapshots.take("s")
    location = page.post("/snapshots/s/restore", data={"to": to}).location
    # As a browser reads it: tabs and line ends are dropped, a backslash is a slash.
    read = re.sub(r"[\t\r\n]", "", location).replace("\\", "/")
    assert urljoin("http://sandbox.example/", read).startswith("http://sandbox.example/")
    assert location.isascii()
    assert location.isprintable()


def test_notices_that_nobody_asks_for_are_bounded() -> None:
    notices = Notices()

    def put(number: int) -> None:
        for n in range(NOTICES_MAX):
            notices.put(f"{number}-{n}", PLACE, Notice(f"{n}"))

    with ThreadPoolExecutor(4) as several:
        list(several.map(put, range(4)))
    kept = [notices.take(f"{number}-{n}", PLACE) for number in range(4) for n in range(NOTICES_MAX)]
    assert sum(one is not NONE for one in kept) == NOTICES_MAX
