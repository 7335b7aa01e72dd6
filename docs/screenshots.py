"""Takes the pictures of the page that README and docs show: `make screenshots`.

Starts a sandbox with the demo in a temporary folder, waits until its groups are running, and writes docs/images/*.png:
each page at 1280 and 390 px, light and dark. `docs/gallery.md` shows them all. Then it films the lag of a group that
rests, falls behind and catches up: docs/images/lag.gif.
"""

import io
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
CHROMIUM = Path("/usr/bin/chromium")
WIDTHS = {1280: 860, 390: 844}
AT_WORK_S = 60
ALIVE_S = 35
FILM_FRAMES = 60
FILM_FRAMES_PER_S = 2
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


def _make_something_to_see(page: Page, web: str) -> None:
    """A snapshot, a generator and two consumers, all by the page's own buttons."""
    page.goto(f"{web}/snapshots")
    page.locator("form[action='/snapshots'] button").first.click()
    page.goto(f"{web}/playground")
    page.locator("#start input[name=group], form[action='/playground/start'] input[name=group]").first.fill("billing")
    page.locator("form[action='/playground/start'] input[name=count]").fill("2")
    page.locator("form[action='/playground/start'] button").first.click()


def _pages(group: str) -> dict[str, str]:
    query = "SELECT partition, count(*) AS events FROM messages WHERE topic = 'payments' GROUP BY partition"
    return {
        "topics": "/",
        "topic": "/topics/payments",
        "messages": "/topics/earthquakes/messages",
        "message": "/topics/earthquakes/0/3",
        "produce": "/topics/payments/produce",
        "generators": "/topics/payments/produce/generators",
        "groups": "/groups",
        "group": f"/groups/{group}",
        "playground": "/playground",
        "scenario": "/playground/scenarios/why-twice",
        "cluster": "/cluster",
        "map": "/map",
        "schemas": "/schemas",
        "sql": "/sql?" + urlencode({"q": query}),
        "snapshots": "/snapshots",
        "activity": "/activity",
        "help": "/help",
    }


def _take(browser: Browser, web: str, group: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    _make_something_to_see(context.new_page(), web)
    context.close()
    for scheme in ("light", "dark"):
        for width, height in WIDTHS.items():
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
                device_scale_factor=1.5,
            )
            page = context.new_page()
            for name, address in _pages(group).items():
                page.goto(web + address)
                if page.locator("#socket").count():
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


def _film(browser: Browser, web: str, group: str) -> None:
    """The lag of a group as it rises and drains, twice as fast as it was."""
    context = browser.new_context(viewport={"width": 960, "height": 560}, color_scheme="light")
    page = context.new_page()
    page.goto(f"{web}/groups/{group}?range=1m")
    page.wait_for_selector("#lag-chart canvas")
    page.evaluate("document.querySelector('#lag-table').scrollIntoView()")
    frames = []
    for _ in range(FILM_FRAMES):
        frames.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(64))
        page.wait_for_timeout(1000 / FILM_FRAMES_PER_S)
    context.close()
    frames[0].save(
        IMAGES / "lag.gif",
        save_all=True,
        append_images=frames[1:],
        duration=500 / FILM_FRAMES_PER_S,
        loop=0,
        optimize=True,
    )


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
                _film(browser, web, group)
                browser.close()
        finally:
            server.terminate()
            server.wait(20)
    for path in sorted((*IMAGES.glob("*.png"), IMAGES / "lag.gif")):
        print(path.relative_to(ROOT), path.stat().st_size // 1024, "KB")


if __name__ == "__main__":
    main()
