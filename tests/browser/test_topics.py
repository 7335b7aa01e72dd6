"""Topics in a browser: rows stay where they are, a topic is emptied by keyboard and undone, settings are in words."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.running import Running, program

pytestmark = pytest.mark.browser


def names(page: Page) -> list[str]:
    return [row or "" for row in page.locator("table.topics tbody th a").all_inner_texts()]


def test_rows_sorted_by_events_stay_where_they_are_while_figures_change(window: Page, box: Running) -> None:
    program("produce", box.kafka, "first", 5, 0, "k")
    program("produce", box.kafka, "second", 3, 0, "k")
    window.goto("/topics?sort=events")
    expect(window.locator("#pill")).to_have_text("Live")
    assert names(window) == ["first", "second"]
    program("produce", box.kafka, "second", 20, 0, "k")
    expect(window.locator("#t-second td.num").nth(1)).to_have_text("23")
    assert names(window) == ["first", "second"]
    expect(window.locator("#t-second .rate-now")).not_to_have_text("idle")
    window.get_by_role("link", name="Events", exact=True).click()
    expect(window.locator("table.topics tbody tr").first).to_have_attribute("data-topic", "second")


def test_a_topic_is_emptied_with_the_keyboard_and_undone(window: Page, box: Running) -> None:
    program("produce", box.kafka, "orders", 12, 0, "k")
    program("commit", box.kafka, "orders", "billing", 4, 0)
    window.goto("/topics/orders")
    window.get_by_role("link", name="Empty…").focus()
    window.keyboard.press("Enter")
    expect(window.get_by_text("12 events of 12")).to_be_visible()
    expect(window.get_by_text("has not read 8 of them")).to_be_visible()
    window.get_by_role("button", name="Empty the topic").focus()
    window.keyboard.press("Enter")
    expect(window.get_by_text("12 events are gone")).to_be_visible()
    expect(window.get_by_role("heading", name="No events yet")).to_be_visible()
    window.locator("#undo").focus()
    window.keyboard.press("Enter")
    expect(window.locator("#undo-notice, .said").first).to_be_visible()
    window.goto("/topics/orders")
    expect(window.locator("#p-0 .num").nth(3)).to_have_text("12")


def test_a_setting_written_in_words_goes_back_to_its_default(window: Page, box: Running) -> None:
    program("produce", box.kafka, "orders", 3, 0, "k")
    window.goto("/topics/orders")
    field = window.get_by_label("A partition keeps at most, retention.bytes")
    field.fill("10 MB")
    field.press("Enter")
    row = window.locator("tr.own", has_text="retention.bytes")
    expect(row.locator(".value-now")).to_have_text("10.0 MB")
    row.get_by_role("button", name="Back to default: retention.bytes").click()
    expect(window.locator("tr.own")).to_have_count(0)


def test_the_list_is_filtered_while_it_is_typed_and_stays_live(window: Page, box: Running) -> None:
    program("produce", box.kafka, "orders", 1, 0, "k")
    program("produce", box.kafka, "clicks", 1, 0, "k")
    window.goto("/")
    wanted = window.get_by_label("Topics whose name contains")
    wanted.press_sequentially("ord")
    expect(window.locator("#t-clicks")).to_have_count(0)
    expect(window).to_have_url(re.compile(r"/topics\?q=ord$"))
    expect(wanted).to_be_focused()
    expect(window.locator("#socket")).to_have_attribute("ws-connect", re.compile("q%3Dord$"))
    program("produce", box.kafka, "orders", 4, 0, "k")
    expect(window.locator("#t-orders td.num").nth(1)).to_have_text("5")
    expect(window.locator("#t-clicks")).to_have_count(0)
    expect(window.locator("#pill")).to_have_text("Live")
    wanted.fill("")
    expect(window.locator("#t-clicks")).to_be_visible()
    expect(window).to_have_url(re.compile(r"/topics$"))


def test_the_keys_of_the_page_are_shown_beside_those_of_a_topic(window: Page, box: Running) -> None:
    program("produce", box.kafka, "orders", 3, 0, "user-1")
    window.goto("/topics/orders")
    expect(window.get_by_role("heading", name="Frequent keys")).to_be_visible()
    window.locator("#keys-button").click()
    expect(window.locator("dialog")).to_be_visible()
    ids = window.locator("[id]").evaluate_all("all => all.map((one) => one.id)")
    assert len(ids) == len(set(ids))
