"""The pages of a cluster that is not a sandbox's own: `sandbox ui --bootstrap`."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import findings
from tests.browser.running import START_S, Running, program
from tests.clients.processes import ROOT, end

pytestmark = pytest.mark.browser

PAGES = (
    "/",
    "/topics/orders",
    "/topics/orders/messages",
    "/topics/orders/produce",
    "/groups/billing",
    "/cluster",
    "/sql",
)


@pytest.fixture
def looking(box: Running) -> Iterator[str]:
    """The address of the pages, which may change nothing."""
    command = [sys.executable, "-m", "sandbox", "ui", "--bootstrap", box.kafka, "--ui-port", "0", "--json"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        bound = threading.Timer(START_S, process.kill)
        bound.start()
        line = process.stdout.readline()
        bound.cancel()
        yield json.loads(line)["web"]
    finally:
        end(process)


@pytest.fixture
def glass(chromium: Browser, looking: str) -> Iterator[Page]:
    """A browser before those pages."""
    context = chromium.new_context(base_url=looking, viewport={"width": 1280, "height": 860})
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


def test_what_other_programs_do_appears_by_itself(glass: Page, box: Running) -> None:
    program("produce", box.kafka, "orders", 10, 0, "user-42")
    glass.goto("/topics/orders/messages")
    expect(glass.locator("#pill")).to_have_text("Live")
    expect(glass.locator("tbody.event")).to_have_count(10)
    program("produce", box.kafka, "orders", 5, 0, "user-42")
    expect(glass.locator("tbody.event")).to_have_count(15)
    program("commit", box.kafka, "orders", "billing", 12, 0)
    glass.goto("/groups/billing")
    expect(glass.locator("#group-lag")).to_have_text("3")


def test_what_may_not_be_changed_is_off_and_says_why(glass: Page, box: Running) -> None:
    program("produce", box.kafka, "orders", 10, 0, "user-42")
    glass.goto("/topics/orders/produce")
    expect(glass.locator("#send")).to_be_disabled()
    expect(glass.locator(".off-why").first).to_contain_text("--allow-writes")
    glass.goto("/topics/orders/delete")
    expect(glass.locator(".danger-button")).to_be_disabled()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_pages_of_a_cluster_are_accessible(
    chromium: Browser, looking: str, box: Running, scheme: str, width: int
) -> None:
    program("produce", box.kafka, "orders", 30, 0, "user-42")
    program("commit", box.kafka, "orders", "billing", 12, 0)
    context = chromium.new_context(
        base_url=looking,
        viewport={"width": width, "height": 844},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    found: list[str] = []
    for address in PAGES:
        page.goto(address)
        expect(page.locator("#pill")).to_have_text("Live")
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if overflow > 0:
            found.append(f"{address}: {overflow} px over the edge")
        found += [f"{address}: {one}" for one in findings(page)]
    context.close()
    assert found == []
