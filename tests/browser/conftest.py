"""One Chromium for all tests here, one sandbox process and one window for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.running import CHROMIUM, CHROMIUM_ARGS, Running, running

expect.set_options(timeout=15_000)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        browser = playwright.chromium.launch(
            executable_path=None if own.exists() else CHROMIUM, args=list(CHROMIUM_ARGS)
        )
        yield browser
        browser.close()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path / "dev.db") as started:
        yield started


@pytest.fixture
def window(chromium: Browser, box: Running) -> Iterator[Page]:
    """A page that fails its test when anything in it fails."""
    context = chromium.new_context(base_url=box.web, viewport={"width": 1280, "height": 860})
    context.set_default_timeout(15_000)
    page = context.new_page()
    wrong: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        # A lost connection is what some tests bring about, and Chromium logs it as an error.
        if message.type == "error" and "ERR_CONNECTION" not in message.text and "WebSocket" not in message.text:
            wrong.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    context.close()
    assert wrong == []
