"""Snapshots in a browser: take, lose, restore; undo; another tab sees it; a file comes and goes."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.running import Running, program

pytestmark = pytest.mark.browser


def test_what_was_lost_comes_back_and_an_open_tab_shows_it(window: Page, box: Running) -> None:
    program("produce", box.kafka, "orders", 30, 0, "user-42")
    window.goto("/snapshots")
    expect(window.get_by_role("heading", name="No snapshots yet")).to_be_visible()
    window.get_by_label("Name", exact=True).fill("before the test")
    window.keyboard.press("Enter")
    expect(window.locator("tr[data-snapshot='before the test']")).to_contain_text("30")

    other = window.context.new_page()
    other.goto("/")
    gone = other.get_by_role("heading", name="No topics yet")
    expect(other.locator("#pill")).to_have_text("Live")
    window.goto("/topics/orders/delete")
    window.locator("main form[method=post] button").click()
    expect(window.locator("#undo")).to_be_visible()
    expect(gone).to_be_visible()

    window.goto("/snapshots")
    window.get_by_role("link", name="Restore before the test").click()
    expect(window.locator("#effects")).to_contain_text("30 events come back")
    window.locator("#apply").click()
    expect(window.locator("#undo-notice")).to_contain_text("restored before the test")
    expect(gone).to_have_count(0)
    expect(other.locator("#pill")).to_have_text("Live")

    window.locator("#undo").click()
    expect(gone).to_be_visible()
    other.close()


def test_a_snapshot_is_downloaded_uploaded_and_opened_beside(window: Page, box: Running, tmp_path: Path) -> None:
    program("produce", box.kafka, "orders", 5, 0, "user-42")
    window.goto("/snapshots")
    window.locator("#take").click()
    expect(window.locator("#kept-table tbody tr")).to_have_count(1)
    with window.expect_download() as waiting:
        window.get_by_role("link", name="Download").first.click()
    waiting.value.save_as(tmp_path / "copy.db")

    window.get_by_label("Upload a sandbox file").set_input_files(tmp_path / "copy.db")
    window.locator("#upload").get_by_label("as", exact=True).fill("uploaded one")
    window.get_by_role("button", name="Upload", exact=True).click()
    expect(window.locator("tr[data-snapshot='uploaded one']")).to_contain_text("uploaded")

    window.get_by_role("button", name="Fork uploaded one").click()
    fork = window.locator("#forks-table tbody tr")
    expect(fork).to_contain_text("open")
    with window.expect_popup() as opened:
        fork.get_by_role("link").click()
    expect(opened.value.locator("tr", has_text="orders").first).to_contain_text("5")
    opened.value.close()
    fork.get_by_role("button", name="delete its file").click()
    expect(fork).to_have_count(0)
