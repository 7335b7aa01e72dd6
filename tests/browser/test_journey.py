"""A person's session on the page, with the mouse and then with the keyboard alone."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.running import Running, program

pytestmark = pytest.mark.browser


def _shown_partition(window: Page, key: str) -> int:
    """The partition that the page says the key goes to, once it speaks of this key."""
    expect(window.locator("#preview")).to_contain_text(f'"{key}" → to murmur2 → to partition')
    shown = window.locator("#preview .preview").get_attribute("data-partition")
    assert shown
    return int(shown)


def _answers(window: Page, count: int) -> list[tuple[int, int]]:
    """(partition, offset) of what was sent, newest first."""
    rows = window.locator("#answers li")
    expect(rows).to_have_count(count)
    texts = [re.search(r"partition (\d+) · offset (\d+)", row.inner_text()) for row in rows.all()]
    return [(int(text[1]), int(text[2])) for text in texts if text]


def test_the_whole_journey_with_the_mouse(box: Running, window: Page) -> None:
    window.goto("/")
    window.get_by_role("link", name="New topic").click()
    window.get_by_label("Name").fill("orders")
    window.get_by_label("Partitions").fill("6")
    window.get_by_role("button", name="Create the topic").click()
    expect(window.locator("h1")).to_have_text("orders")

    window.get_by_role("navigation", name="Topic orders").get_by_role("link", name="Produce").click()
    for n, key in enumerate(("user-42", "user-7", "ünï 🥪"), 1):
        window.locator("#key").fill(key)
        shown = _shown_partition(window, key)
        window.locator("#value").fill(f'{{"id": 9007199254740993, "n": {n}}}')
        window.get_by_role("button", name="Send").click()
        assert _answers(window, n)[0][0] == shown
        expect(window.locator("#key")).to_have_value(key)
    window.locator("#answers li").first.get_by_role("link").click()
    expect(window.locator(".value-body")).to_contain_text('"id": 9007199254740993')

    program("produce", box.kafka, "orders", 120, 0, "bulk")
    window.goto("/topics/orders/messages")
    window.get_by_label("Key", exact=True).fill("user-7")
    window.get_by_role("button", name="Apply").click()
    expect(window.locator("tbody.event")).to_have_count(1)
    expect(window.locator("#tally")).to_contain_text("1 of 123 matched in")
    window.locator("tbody.event td.value").click()
    expect(window.locator(".value-body")).to_contain_text('"n": 2')
    window.get_by_role("link", name="hex", exact=True).click()
    expect(window.locator(".value-body")).to_contain_text("00000000  7b 22 69 64")
    window.get_by_role("link", name="Clear").click()

    rows = "rows => rows.map(row => row.id)"
    first = window.locator("tbody.event").evaluate_all(rows)
    window.get_by_role("link", name="Older").click()
    expect(window.get_by_role("link", name="Newer")).to_be_visible()
    second = window.locator("tbody.event").evaluate_all(rows)
    assert len(first) == len(second) == 50
    assert not set(first) & set(second)
    window.get_by_role("link", name="Older").click()
    expect(window.locator("tbody.event")).to_have_count(23)
    window.get_by_role("link", name="Newer").click()
    expect(window.locator("tbody.event")).to_have_count(50)
    assert window.locator("tbody.event").evaluate_all(rows) == second
    window.get_by_role("link", name="Newer").click()
    expect(window.locator(f"#{first[0]}")).to_be_visible()
    assert window.locator("tbody.event").evaluate_all(rows) == first


def test_a_group_is_reset_after_a_preview_and_put_back(box: Running, window: Page) -> None:
    program("produce", box.kafka, "orders", 20, 0, "a")
    program("commit", box.kafka, "orders", "billing", 15, 0)
    window.goto("/groups")
    window.get_by_role("link", name="billing").click()
    row = window.locator("#l-orders-0")
    expect(row).to_have_attribute("data-committed", "15")
    window.locator("#reset-to").select_option("offset")
    window.get_by_label("value", exact=True).fill("4")
    window.get_by_role("button", name="Preview").click()
    expect(window.locator("#preview-table tbody tr")).to_have_attribute("data-after", "4")
    expect(window.locator("#preview-table")).to_contain_text("11 events read again")
    expect(row).to_have_attribute("data-committed", "15")
    window.locator("#apply-reset").click()
    expect(row).to_have_attribute("data-committed", "4")
    expect(row).to_have_attribute("data-lag", "16")
    window.get_by_role("button", name="Undo").click()
    expect(row).to_have_attribute("data-committed", "15")


def _ready(window: Page) -> None:
    """Wait for the page's scripts: before them its own keys do nothing."""
    expect(window.locator("html")).to_have_class("scripts")


def _go(window: Page, letter: str, heading: str) -> None:
    """Press g and a letter, and wait for the page."""
    window.evaluate("document.activeElement.blur()")
    window.keyboard.press("g")
    window.keyboard.press(letter)
    expect(window.locator("h1")).to_have_text(heading)
    _ready(window)


def _tab_to(window: Page, selector: str, most: int = 60) -> None:
    """Press Tab until the focus is on the element."""
    for _ in range(most):
        if window.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        window.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached with {most} presses of Tab")


def test_the_whole_journey_with_the_keyboard_alone(box: Running, window: Page) -> None:
    keys = window.keyboard
    window.goto("/")
    expect(window.locator("#pill")).to_have_text("Live")
    _tab_to(window, 'main input[name="topic"]')
    keys.press("Control+A")
    keys.type("orders")
    keys.press("Tab")
    keys.type("4")
    keys.press("Enter")
    expect(window.locator("h1")).to_have_text("orders")

    keys.press("p")
    expect(window.locator("#produce-form")).to_be_visible()
    _tab_to(window, "#key")
    for n in range(1, 4):
        keys.press("Control+A")
        keys.type(f"user-{n}")
        shown = _shown_partition(window, f"user-{n}")
        keys.press("Control+Enter")
        assert _answers(window, n)[0][0] == shown
        assert window.evaluate("document.activeElement.id") == "key"

    _go(window, "t", "Topics")
    keys.press("j")
    keys.press("Enter")
    expect(window.locator("h1")).to_have_text("orders")
    _tab_to(window, 'a[href="/topics/orders/messages"]')
    keys.press("Enter")
    expect(window.locator("tbody.event")).to_have_count(3)
    _ready(window)
    keys.press("j")
    keys.press("j")
    keys.press("Enter")
    expect(window.locator("tbody.event").nth(1)).to_have_class(re.compile("is-open"))
    keys.press("Enter")
    expect(window.locator("tbody.is-open")).to_have_count(0)
    _tab_to(window, 'input[name="key"]')
    keys.type("user-3")
    keys.press("Enter")
    expect(window.locator("tbody.event")).to_have_count(1)

    program("commit", box.kafka, "orders", "billing", 1, 0)
    _go(window, "g", "Groups")
    keys.press("k")
    keys.press("Enter")
    expect(window.locator("h1")).to_have_text("billing")
    _tab_to(window, "#reset-form button")
    keys.press("Enter")
    expect(window.locator("#preview-table")).to_be_visible()
    _tab_to(window, "#apply-reset", 90)
    keys.press("Enter")
    expect(window.locator("p.said")).to_be_visible()
    expect(window.locator("#l-orders-0")).to_have_attribute("data-committed", "0")


def test_keys_list_themselves_and_search_needs_no_mouse(box: Running, window: Page) -> None:
    program("produce", box.kafka, "orders", 1, 0, "a")
    keys = window.keyboard
    window.goto("/groups")
    keys.press("?")
    expect(window.locator("dialog#keys")).to_be_visible()
    keys.press("Escape")
    expect(window.locator("dialog#keys")).to_be_hidden()
    keys.press("/")
    keys.type("ord")
    expect(window.locator("#found a").first).to_have_text(re.compile("orders"))
    keys.press("Tab")
    keys.press("Enter")
    expect(window.locator("h1")).to_have_text("orders")


def test_the_pages_work_without_scripts(box: Running, window: Page) -> None:
    browser = window.context.browser
    assert browser is not None
    context = browser.new_context(base_url=box.web, java_script_enabled=False)
    page = context.new_page()
    page.goto("/topics/~new")
    page.locator("#topic-name").fill("orders")
    page.get_by_role("button", name="Create the topic").click()
    page.goto("/topics/orders/produce")
    page.locator("#key").fill("k")
    page.locator("#value").fill('{"a": 1}')
    page.get_by_role("button", name="Send").click()
    page.locator("#answers a").click()
    expect(page.locator(".value-body")).to_contain_text('"a": 1')
    page.goto("/topics/orders/messages")
    page.locator("a.open").click()
    expect(page.locator("h1")).to_contain_text("offset 0")
    assert page.locator(".copy").first.is_hidden()
    context.close()


def test_search_results_are_reached_with_the_arrow_keys(window: Page, box: Running) -> None:
    program("produce", box.kafka, "orders", 1, 0, "k")
    program("produce", box.kafka, "orders-archive", 1, 0, "k")
    window.goto("/")
    window.keyboard.press("/")
    window.keyboard.type("orders")
    found = window.locator("#found a")
    expect(found.nth(1)).to_be_visible()
    window.keyboard.press("ArrowDown")
    expect(found.nth(0)).to_be_focused()
    window.keyboard.press("ArrowDown")
    expect(found.nth(1)).to_be_focused()
    window.keyboard.press("ArrowUp")
    window.keyboard.press("ArrowUp")
    expect(window.locator("#search")).to_be_focused()
    window.keyboard.press("ArrowDown")
    window.keyboard.press("Enter")
    expect(window).to_have_url(re.compile("/topics/orders$"))
