"""A live list holds still while somebody uses it: every click hits what was under the pointer."""

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from playwright.sync_api import Page, expect

from tests.browser.running import PROGRAMS, Running, program

pytestmark = pytest.mark.browser

PER_S = 50
CLICKS = 100
PRESS_MS = 80
TOPICS = ("orders", "payments", "returns")
PAGES = {
    "messages": ("/topics/orders/messages", "tbody.event", "a.open", 40),
    "topics": ("/", "table.topics tbody tr", "a.row", 20),
    "groups": ("/groups", "table.group-list tbody tr", "a.row", 10),
    "activity": ("/activity", "table.activity tbody tr", "a.row", 20),
    "cluster": ("/cluster", "#leaders-table tbody tr", "a.row", 10),
}
"""Each list's address, its rows, what is clicked in a row, and how many of the clicks."""

# Notes the row under the pointer at the press, and the row whose link gets the click. Links are not followed.
NOTE_CLICKS = """() => {
    window.clicks = [];
    let pressed = null;
    const row = (node) => node.closest("tbody[id], tr[id]")?.id ?? "";
    addEventListener("pointerdown", (event) => { pressed = row(event.target); }, true);
    addEventListener("click", (event) => {
        const link = event.target.closest("a");
        window.clicks.push([pressed, link ? row(link) : ""]);
        if (link && !link.matches(".open")) event.preventDefault();
    }, true);
}"""


@contextmanager
def traffic(box: Running) -> Iterator[None]:
    """Produce and commit in another process until the block ends."""
    command = [sys.executable, str(PROGRAMS / "steady.py"), box.kafka, str(PER_S), "billing", *TOPICS]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(15) == 0


def _prepare(box: Running) -> None:
    admin = AdminClient({"bootstrap.servers": box.kafka})
    for done in admin.create_topics([NewTopic(topic, 2) for topic in TOPICS]).values():
        done.result(10)
    for topic in TOPICS:
        program("produce", box.kafka, topic, 12, 0, "k")
        program("commit", box.kafka, topic, f"{topic}-group", 1, 0)


LINK_BELOW = """([x, y, link]) => {
    const row = document.elementFromPoint(x, y).closest("tbody[id], tr[id]");
    const at = row?.querySelector(link)?.getBoundingClientRect();
    return at ? [at.left + Math.min(at.width, 40) / 2, at.top + at.height / 2] : null;
}"""


def _click_rows(page: Page, rows: str, link: str, clicks: int, source: random.Random) -> list[Any]:
    """Click links as a person does: move to a row while rows come and go, to its link, press, release."""
    while page.evaluate("window.clicks.length") < clicks:
        page.mouse.move(5, 400)
        places = page.locator(f"{rows} {link}").evaluate_all(
            "links => links.map((link) => link.getBoundingClientRect())"
            ".filter((at) => at.width && at.top > 120 && at.bottom < innerHeight)"
            ".map((at) => [at.left + 5, at.top + at.height / 2])"
        )
        x, y = source.choice(places)
        page.mouse.move(x, y)
        place = page.evaluate(LINK_BELOW, [x, y, link])
        if place is None:
            # Something without a link is there now; a person looks for another row.
            continue
        page.mouse.move(*place)
        page.mouse.down()
        page.wait_for_timeout(PRESS_MS)
        page.mouse.up()
        # What a click opens appears below its row, and moves the others: a person sees that before the next click.
        expect(page.locator("tr.detail > td:empty")).to_have_count(0)
    return list(page.evaluate("window.clicks"))


@pytest.mark.timeout(180)
def test_a_hundred_clicks_under_traffic_open_a_hundred_rows(box: Running, window: Page) -> None:
    _prepare(box)
    source = random.Random(14)
    assert sum(clicks for *_, clicks in PAGES.values()) == CLICKS
    with traffic(box):
        for name, (address, rows, link, clicks) in PAGES.items():
            window.goto(address)
            expect(window.locator("#pill")).to_have_text("Live")
            expect(window.locator(rows).first).to_be_visible()
            window.evaluate(NOTE_CLICKS)
            done = _click_rows(window, rows, link, clicks, source)
            assert len(done) == clicks, name
            assert [one for one in done if not one[0] or one[0] != one[1]] == [], name
            if name == "messages":
                opened = {row for _, row in done}
                # A second click on a row closes it again.
                odd = sum(sum(one[1] == row for one in done) % 2 for row in opened)
                expect(window.locator("tbody.is-open")).to_have_count(odd)


def test_a_list_holds_still_under_the_pointer_counts_what_is_new_and_goes_on(box: Running, window: Page) -> None:
    _prepare(box)
    window.goto("/topics/orders/messages")
    expect(window.locator("#pill")).to_have_text("Live")
    newest = window.locator("tbody.event").first
    before = newest.get_attribute("id")
    newest.hover()
    program("produce", box.kafka, "orders", 12, 0, "k")
    expect(window.locator("#held")).to_have_text("12 new events ↑")
    assert newest.get_attribute("id") == before
    window.locator("#held").click()
    expect(window.locator("#held")).to_be_hidden()
    expect(window.locator("tbody.event")).to_have_count(24)
    newest.hover()
    program("produce", box.kafka, "orders", 1, 0, "k")
    expect(window.locator("#held")).to_have_text("1 new event ↑")
    window.mouse.move(5, 400)
    expect(window.locator("tbody.event")).to_have_count(25)


def test_a_focused_row_and_selected_text_hold_the_list(box: Running, window: Page) -> None:
    _prepare(box)
    window.goto("/topics/orders/messages")
    expect(window.locator("#pill")).to_have_text("Live")
    window.locator("tbody.event a.open").first.focus()
    program("produce", box.kafka, "orders", 3, 0, "k")
    expect(window.locator("#held")).to_have_text("3 new events ↑")
    window.locator("#search").focus()
    expect(window.locator("tbody.event")).to_have_count(15)
    window.evaluate("getSelection().selectAllChildren(document.querySelector('tbody.event td.value'))")
    program("produce", box.kafka, "orders", 2, 0, "k")
    expect(window.locator("#held")).to_have_text("2 new events ↑")
    assert window.evaluate("String(getSelection())") != ""
    window.evaluate("getSelection().removeAllRanges()")
    expect(window.locator("tbody.event")).to_have_count(17)


def test_figures_of_held_rows_stay_live_in_their_places(box: Running, window: Page) -> None:
    _prepare(box)
    window.goto("/")
    expect(window.locator("#pill")).to_have_text("Live")
    row = window.locator("#t-orders")
    row.hover()
    program("produce", box.kafka, "orders", 3, 0, "k")
    expect(row).to_have_attribute("data-events", "15")
    program("produce", box.kafka, "abc", 1, 0, "k")
    expect(window.locator("#held")).to_have_text(re.compile("1 new topic ↑"))
    expect(window.locator("#t-abc")).to_have_count(0)
    window.mouse.move(5, 400)
    expect(window.locator("#t-abc")).to_be_visible()
