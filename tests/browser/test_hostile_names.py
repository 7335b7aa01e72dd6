"""In a real browser, no name and no value runs on any page, at first sight or when the page changes by itself."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, expect

from sandbox.api.sandbox import Sandbox
from tests.web.hostile_names import HOSTILE, SLASHLESS, SNAPSHOT, TOPIC, filled

pytestmark = pytest.mark.browser
WATCH = "document.addEventListener('securitypolicyviolation', event => console.error('CSP ' + event.blockedURI))"
QUOTED = "%27%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
SHOWN = (
    "/",
    "/groups",
    "/group",
    "/group/delete",
    "/cluster",
    "/activity",
    "/search",
    "/sql",
    "/playground",
    "/produce",
    f"/topics/{TOPIC}",
    f"/topics/{TOPIC}/0/0",
    f"/topics/{TOPIC}/messages",
    f"/topics/{TOPIC}/produce",
    f"/topics/{TOPIC}/produce/generators",
    f"/snapshots/{SNAPSHOT}",
    f"/nowhere/{QUOTED}",
)
"""The others are looked at by their text: tests/web/test_hostile_names.py."""


def test_nothing_runs_on_any_page(chromium: Browser, tmp_path: Path) -> None:
    wrong: list[str] = []

    def dismissed(dialog: Dialog) -> None:
        wrong.append(f"{dialog.type}: {dialog.message}")
        dialog.dismiss()

    with Sandbox(tmp_path / "dev.db") as box:
        box.serve(kafka_port=0, web_port=0)
        with filled(box):
            context = chromium.new_context(base_url=box.web_address)
            context.add_init_script(WATCH)
            page = context.new_page()
            page.on("dialog", dismissed)
            page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
            page.on("console", lambda said: wrong.append(f"{page.url}: {said.text}") if "CSP" in said.text else None)
            for address in SHOWN:
                query = "&".join(f"{name}={QUOTED}" for name in ("id", "q", "group", "template"))
                page.goto(f"{address}?{query}", wait_until="load")
                assert page.locator("img, main script").count() == 0, address
            page.goto(f"/topics/{TOPIC}/messages")
            expect(page.locator("#pill")).to_have_text("Live")
            box.append(TOPIC, HOSTILE, key=f"live{HOSTILE}", partition=0)
            expect(page.locator("tbody.event").first).to_contain_text("live'\">")
            assert page.locator("img").count() == 0
            page.locator("tbody.event a.open").first.click()
            expect(page.locator(".value-body")).to_contain_text(SLASHLESS[:20])
            page.locator("#search").press_sequentially("<im", delay=20)
            expect(page.locator("#found")).to_contain_text("<img")
            context.close()
    assert wrong == []
