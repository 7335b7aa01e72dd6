"""Takes the pictures of the page that README and docs show: `make screenshots`.

Starts a sandbox with the demo in a temporary folder, waits until its groups are at work, and writes docs/images/*.png:
each page at 1280 and 390 px, light and dark.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
CHROMIUM = Path("/usr/bin/chromium")
WIDTHS = {1280: 860, 390: 844}
AT_WORK_S = 60
ALIVE_S = 35
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def _groups(web: str) -> list[dict[str, object]]:
    with urllib.request.urlopen(f"{web}/groups.json") as answer:
        groups: list[dict[str, object]] = json.load(answer)["groups"]
        return groups


def _wait_until_alive(web: str) -> str:
    """Wait for two groups with a lag between them, and return the one that is further behind."""
    time.sleep(ALIVE_S)  # A chart of a few seconds shows nothing.
    deadline = time.monotonic() + AT_WORK_S
    while time.monotonic() < deadline:
        groups = [group for group in _groups(web) if group["lag"] is not None]
        behind = max(groups, key=lambda group: int(str(group["lag"])), default=None)
        if len(groups) > 1 and behind is not None and int(str(behind["lag"])) > 20:
            return str(behind["group"])
        time.sleep(0.5)
    raise SystemExit("the demo's groups did not come to work")


def _open_second_row(page: Page) -> None:
    page.locator("tbody.event a.open").nth(1).click()
    page.locator(".value-body").wait_for()


def _take(browser: Browser, web: str, group: str) -> None:
    pages = {
        "topics": "/",
        "topic": "/topics/payments",
        "messages": "/topics/earthquakes/messages",
        "produce": "/topics/payments/produce",
        "groups": "/groups",
        "group": f"/groups/{group}",
        "cluster": "/cluster",
    }
    for scheme in ("light", "dark"):
        for width, height in WIDTHS.items():
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
                device_scale_factor=1.5,
            )
            page = context.new_page()
            for name, address in pages.items():
                page.goto(web + address)
                page.wait_for_selector('#pill[data-state="live"]')
                if name == "messages":
                    _open_second_row(page)
                if name == "produce":
                    page.locator("#send").click()
                    page.wait_for_selector("#answers li")
                if name == "group":
                    page.wait_for_selector("#lag-chart canvas")
                page.screenshot(path=IMAGES / f"{name}-{scheme}-{width}.png")
            context.close()


def main() -> None:
    """Start, take, stop."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "sandbox", "up", str(Path(folder) / "dev.db"), "--demo", "--json"]
        command += ["--kafka-port", "0", "--ui-port", "0"]
        server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line:
                raise SystemExit("the sandbox did not start")
            web = json.loads(line)["web"]
            group = _wait_until_alive(web)
            with sync_playwright() as playwright:
                own = Path(playwright.chromium.executable_path)
                browser = playwright.chromium.launch(executable_path=None if own.exists() else CHROMIUM, args=ARGUMENTS)
                _take(browser, web, group)
                browser.close()
        finally:
            server.terminate()
            server.wait(20)
    for path in sorted(IMAGES.glob("*.png")):
        print(path.relative_to(ROOT), path.stat().st_size // 1024, "KB")


if __name__ == "__main__":
    main()
