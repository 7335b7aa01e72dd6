"""SQL and Activity in a real browser: keys, names put into the query, the chart, and what appears by itself."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.running import Running, program

pytestmark = pytest.mark.browser


def test_a_query_is_written_and_run_with_the_keyboard(box: Running, window: Page) -> None:
    program("produce", box.kafka, "my-orders", 12, 0, "user-42")
    window.goto("/sql")
    query = window.locator("#query")
    expect(query).to_be_focused()
    window.keyboard.type("SELECT partition, offset, key FROM ")
    window.locator(".sql-table", has_text="my-orders").locator("summary").click()
    window.get_by_role("button", name="Insert the name").first.click()
    expect(query).to_have_value('SELECT partition, offset, key FROM "my-orders"')
    expect(query).to_be_focused()
    window.keyboard.type(" WHERE key = :key LIMIT 5")
    window.keyboard.press("Control+Enter")
    window.get_by_label(":key").fill("user-42")
    window.keyboard.press("Enter")
    expect(window.locator("#sql-rows tbody tr")).to_have_count(5)
    assert "p_key=user-42" in window.url
    window.locator("#sql-rows a.row").first.click()
    expect(window.locator("h1")).to_contain_text("0")
    window.go_back()
    expect(window.locator("#sql-rows tbody tr")).to_have_count(5)


def test_a_mistake_is_selected_and_a_chart_is_drawn(box: Running, window: Page) -> None:
    program("produce", box.kafka, "orders", 30, 0, "user-42")
    # The refusal has an error status, which the browser's console reports.
    window.goto("/sql?q=SELECT+1")
    window.locator("#query").fill("SELECT value, offset FROM orders LIMIT 9")
    window.keyboard.press("Control+Enter")
    window.get_by_role("link", name="Chart").click()
    expect(window.locator("#sql-chart canvas")).to_be_visible()
    expect(window.locator("#sql-rows tbody tr")).to_have_count(9)
    assert "as=chart" in window.url


def test_what_happens_appears_by_itself(box: Running, window: Page) -> None:
    window.goto("/activity")
    expect(window.locator("#live")).to_contain_text("Nothing has happened yet")
    program("produce", box.kafka, "orders", 20, 0, "user-42")
    expect(window.locator('tr[data-kind="created"]')).to_contain_text("orders")
    expect(window.locator('tr[data-kind="produced"]')).to_contain_text("20 events")
    window.get_by_label("created").check()
    window.get_by_role("button", name="Filter").click()
    expect(window.locator('tr[data-kind="produced"]')).to_have_count(0)
    expect(window.locator('tr[data-kind="created"]')).to_have_count(1)


def test_the_search_goes_to_an_event_by_its_address(box: Running, window: Page) -> None:
    program("produce", box.kafka, "orders", 20, 0, "user-42")
    window.goto("/")
    window.keyboard.press("/")
    window.keyboard.type("orders/0/3")
    expect(window.locator("#found")).to_contain_text("offset 3")
    window.keyboard.press("Enter")
    window.wait_for_url("**/topics/orders/0/3")
    window.keyboard.press("g")
    window.keyboard.press("a")
    window.wait_for_url("**/activity")
