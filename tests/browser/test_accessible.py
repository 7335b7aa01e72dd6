"""axe-core finds nothing serious on any page, light and dark, wide and narrow; nothing runs over the edge."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.running import Running, program, running

pytestmark = pytest.mark.browser

PAGES = {
    "topics": "/",
    "new topic": "/topics/new",
    "topic": "/topics/orders",
    "delete": "/topics/orders/delete",
    "messages": "/topics/orders/messages",
    "no match": "/topics/orders/messages?key=nothing",
    "bad filter": "/topics/orders/messages?from=x",
    "message": "/topics/orders/0/3",
    "produce": "/topics/orders/produce",
    "groups": "/groups",
    "group": "/groups/billing",
    "preview": "/groups/billing?to=earliest",
    "search": "/search?q=ord",
    "help": "/help",
    "error": "/nowhere",
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("axe") / "dev.db") as box:
        program("produce", box.kafka, "orders", 70, 0, "user-42")
        program("commit", box.kafka, "orders", "billing", 20, 0)
        yield box


def _open_everything(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    row = page.locator("tbody.event a.open").first
    if row.count():
        row.click()
        expect(page.locator(".value-body")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_found_on_any_page(chromium: Browser, filled: Running, scheme: str, width: int) -> None:
    dark = scheme == "dark"
    context = chromium.new_context(
        base_url=filled.web, viewport={"width": width, "height": 844}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    found: list[str] = []
    for name, address in PAGES.items():
        page.goto(address)
        expect(page.locator("#pill")).to_have_text("Live")
        _open_everything(page)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if overflow > 0:
            found.append(f"{name}: {overflow} px over the edge")
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                where = [node["target"] for node in violation["nodes"][:3]]
                found.append(f"{name}: {violation['id']} {where}")
    context.close()
    assert found == []


def test_an_empty_sandbox_is_accessible_too(chromium: Browser, tmp_path: Path) -> None:
    with running(tmp_path / "dev.db") as box:
        page = chromium.new_page(base_url=box.web)
        for address in ("/", "/groups", "/produce"):
            page.goto(address)
            expect(page.locator("#pill")).to_have_text("Live")
            serious = [
                violation["id"]
                for violation in Axe().run(page).response["violations"]
                if violation["impact"] in ("serious", "critical")
            ]
            assert serious == []
        page.close()
