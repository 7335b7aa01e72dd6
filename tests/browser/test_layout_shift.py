"""Nothing on a page moves by itself: the layout shift of every page, on load and over traffic.

SANDBOX_SHIFT_S sets for how many seconds each page is watched.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from playwright.sync_api import Browser, Page

from tests.browser.running import PROGRAMS, Running, program

pytestmark = pytest.mark.browser

WATCH_S = float(os.environ.get("SANDBOX_SHIFT_S", "5"))
SHIFT_MAX = 0.02
PER_S = 50
SIZES = {"desktop": (1280, 860), "phone": (390, 844)}
PAGES = (
    "/", "/topics/orders", "/topics/orders/messages", "/topics/orders/0/3", "/topics/orders/produce", "/topics/~new",
    "/produce", "/produce/many", "/produce/generators", "/groups", "/groups/billing", "/groups/idle", "/playground",
    "/cluster", "/sql", "/snapshots", "/activity", "/help", "/help/settings",
)  # fmt: skip

# Every shift counts, not only those of the worst five seconds; those that follow a click or a key do not.
NOTE_SHIFTS = """() => {
    window.shift = {sum: 0, from: []};
    const place = ({node, previousRect: a, currentRect: b}) =>
        `${node?.parentElement?.nodeName}>${node?.nodeName}.${node?.className ?? node?.textContent?.slice(0, 20)} `
        + `${[a.x, a.y, a.width, a.height].map(Math.round)} to ${[b.x, b.y, b.width, b.height].map(Math.round)}`;
    new PerformanceObserver((list) => {
        for (const one of list.getEntries()) {
            if (one.hadRecentInput) continue;
            window.shift.sum += one.value;
            window.shift.from.push([Math.round(one.startTime), one.value.toFixed(4), ...one.sources.map(place)]);
        }
    }).observe({type: "layout-shift", buffered: true});
}"""


@contextmanager
def traffic(box: Running) -> Iterator[None]:
    """Produce and commit in another process until the block ends."""
    command = [sys.executable, str(PROGRAMS / "steady.py"), box.kafka, str(PER_S), "billing", "orders", "payments"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(15) == 0


def _open(page: Page, address: str) -> None:
    page.add_init_script(f"({NOTE_SHIFTS})()")
    page.goto(address)


@pytest.mark.timeout(60 + 3 * WATCH_S)
@pytest.mark.parametrize("size", SIZES)
def test_nothing_moves_by_itself_on_load_and_over_traffic(chromium: Browser, box: Running, size: str) -> None:
    admin = AdminClient({"bootstrap.servers": box.kafka})
    for done in admin.create_topics([NewTopic(topic, 3) for topic in ("orders", "payments")]).values():
        done.result(10)
    program("produce", box.kafka, "orders", 40, 0, "k")
    program("produce", box.kafka, "payments", 4, 0, "k")
    program("commit", box.kafka, "payments", "idle", 1, 0)
    width, height = SIZES[size]
    context = chromium.new_context(base_url=box.web, viewport={"width": width, "height": height})
    with traffic(box):
        pages = {address: context.new_page() for address in PAGES}
        for address, page in pages.items():
            _open(page, address)
        next(iter(pages.values())).wait_for_timeout(WATCH_S * 1000)
        shifts: dict[str, Any] = {address: page.evaluate("window.shift") for address, page in pages.items()}
    context.close()
    for address, shift in shifts.items():
        print(f"{size} {address}: {shift['sum']:.4f}", *(f"\n    {one}" for one in shift["from"][:40]))
    assert {address: shift["from"] for address, shift in shifts.items() if shift["sum"] > SHIFT_MAX} == {}
