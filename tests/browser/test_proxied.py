"""A browser in front of nginx, with the page under a path of another name: everything is as it is without."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from sandbox import Producer
from tests.clients.processes import ROOT, end
from tests.ports import free_port
from tests.web.test_reverse_proxy import as_written, nginx_conf, program
from tests.web.test_reverse_proxy import running as proxy_running

pytestmark = pytest.mark.browser
TOKEN = "correct-horse-battery"


@pytest.fixture
def behind(chromium: Browser, tmp_path: Path) -> Iterator[tuple[Page, str, str]]:
    """A window, the public address, and the Kafka address."""
    if program("nginx") is None:
        pytest.skip("nginx is not installed: .ci/tools installs it")
    port = free_port()
    public = f"http://kafka.localhost:{port}/sandbox"
    command = [sys.executable, "-m", "sandbox", "up", str(tmp_path / "dev.db"), "--json", "--kafka-port", "0"]
    command += ["--ui-port", "0", "--public-url", public, "--token", TOKEN]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    with ExitStack() as open_ones:
        open_ones.callback(end, process)
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["public_url"] == public
        conf = nginx_conf(tmp_path, port, told["web"].removeprefix("http://"), as_written)
        open_ones.enter_context(proxy_running(conf, port, tmp_path))
        context = chromium.new_context(viewport={"width": 1280, "height": 860})
        open_ones.callback(context.close)
        context.set_default_timeout(15_000)
        page = context.new_page()
        wrong: list[str] = []
        page.on("console", lambda one: wrong.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield page, public, told["kafka"]
        assert wrong == []


def test_a_developers_way_through_the_pages_works_behind_a_proxy(behind: tuple[Page, str, str]) -> None:
    page, public, kafka = behind
    referers: list[str] = []
    page.on("request", lambda request: referers.append(request.headers.get("referer", "")))
    page.goto(f"{public}/?token={TOKEN}")
    expect(page).to_have_url(f"{public}/")
    page.get_by_role("link", name="New topic").first.click() if page.get_by_role(
        "link", name="New topic"
    ).count() else (page.goto(f"{public}/topics/~new"))
    page.locator("input[name=topic]").first.fill("orders")
    page.locator("main form[method=post] button.primary").first.click()
    expect(page).to_have_url(f"{public}/topics/orders")
    page.locator("#theme").click()
    expect(page).to_have_url(f"{public}/topics/orders")
    page.goto(f"{public}/topics/orders/messages")
    expect(page.locator("#pill")).to_have_attribute("data-state", "live")
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce("orders", key="user-42", value='{"a": 1}')
    producer.flush(10)
    row = page.locator("tbody.event").first
    expect(row).to_contain_text("user-42")
    row.locator("a.row").click()
    expect(page.locator("tbody.event .value, tbody.event pre").first).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("g")
    page.keyboard.press("g")
    expect(page).to_have_url(f"{public}/groups")
    page.locator("#search").fill("orders")
    page.locator("#found a", has_text="orders").first.click()
    expect(page).to_have_url(f"{public}/topics/orders")
    page.goto(f"{public}/topics/orders/produce")
    page.locator("#send").click()
    expect(page.locator("#answers")).to_contain_text(re.compile(r"offset \d"))
    assert not [one for one in referers if TOKEN in one]
