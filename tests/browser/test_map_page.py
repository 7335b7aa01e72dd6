"""The map in a browser: live, by pointer and by keyboard."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.running import Running, program

pytestmark = pytest.mark.browser


def test_the_map_grows_by_itself_and_lights_what_flows(window: Page, box: Running) -> None:
    window.goto("/map")
    expect(window.get_by_role("heading", name="No topics yet")).to_be_visible()
    expect(window.locator("#pill")).to_have_text("Live")
    program("produce", box.kafka, "orders", 30, 0, "user-42")
    program("produce", box.kafka, "users", 5, 0, "user-42")
    expect(window.locator('[data-node="topic:orders"]')).to_be_visible()
    program("commit", box.kafka, "orders", "billing", 20, 0)
    group = window.locator('[data-node="group:billing"]')
    expect(group).to_contain_text("lag 10 · no active members")
    expect(window.locator(".edge[data-kind=reads] text")).to_have_text("lag 10")

    group.hover()
    expect(window.locator('[data-node="topic:orders"].on')).to_be_visible()
    expect(window.locator('[data-node="topic:users"].on')).to_have_count(0)
    window.mouse.move(5, 5)
    expect(window.locator(".map svg.lit")).to_have_count(0)
    group.focus()
    expect(window.locator('[data-node="topic:orders"].on')).to_be_visible()
    window.keyboard.press("Enter")
    expect(window).to_have_url(f"{box.web}/groups/billing")


def test_a_phone_scrolls_the_map_and_not_the_page(window: Page, box: Running) -> None:
    program("produce", box.kafka, "orders", 30, 0, "user-42")
    program("commit", box.kafka, "orders", "billing", 20, 0)
    window.set_viewport_size({"width": 390, "height": 844})
    window.goto("/map")
    expect(window.locator(".map svg")).to_be_visible()
    assert window.evaluate("document.documentElement.scrollWidth") <= 390
    window.get_by_text("The same as a table").click()
    expect(window.get_by_role("cell", name="billing reads orders")).to_be_visible()
