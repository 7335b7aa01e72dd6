"""Open pages in Chromium: when they are there, how late they show what was acknowledged, and what memory they keep."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, at_most, percentile
from benchmarks.processes import Server, run_job

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PART = "the open page, in Chromium"
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
EVENTS_PER_S = 1000
SETTLED_SHARE = 0.2
"""The first part of the time is left out: caches fill."""
LIMIT_MS = 250
LAST_SWAP_MS = 2000
"""So long after the last event the pages are looked at."""
FILLER, FILLER_EVENTS = "filler", 40_000
GROWTH = 1.1
"""How much more memory counts as flat."""

# Notes, for each partition, when a figure on the page had grown: the moment at which the page was changed.
WATCH = """([selector, name]) => {
    window.seen = [];
    const most = {};
    const note = () => {
        for (const one of document.querySelectorAll(selector)) {
            const {partition, [name]: figure} = one.dataset;
            if (figure !== "" && !(Number(figure) <= most[partition])) {
                most[partition] = Number(figure);
                window.seen.push([Number(partition), Number(figure), Date.now()]);
            }
        }
    };
    note();
    const options = {childList: true, subtree: true, attributes: true};
    new MutationObserver(note).observe(document.getElementById("main"), options);
}"""
ROWS, LAG = "tbody.event", "#lag-table tbody tr"

Seen = Sequence[tuple[int, int, float]]


class NoBrowser(Exception):
    """There is no Chromium here, or nothing to drive it."""


@contextmanager
def chromium() -> Iterator["Browser"]:
    """A browser without a window; NoBrowser if none is installed."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise NoBrowser("playwright is not installed") from None
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        try:
            browser = playwright.chromium.launch(
                executable_path=None if own.exists() else CHROMIUM, args=list(ARGUMENTS)
            )
        except Error as error:
            raise NoBrowser(f"Chromium does not start: {error.message.splitlines()[0]}") from None
        yield browser
        browser.close()


def first_views(browser: "Browser", server: Server, paths: Mapping[str, str], events: int) -> list[Figure]:
    """From the click to DOMContentLoaded, in a window that has seen nothing before."""
    figures = []
    for name, path in paths.items():
        times = []
        for _ in range(3):
            context = browser.new_context(base_url=server.web, viewport={"width": 1280, "height": 860})
            page = context.new_page()
            page.goto(path, wait_until="domcontentloaded")
            times.append(page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
            context.close()
        figures.append(at_most(PART, f"{name}, {events:,} events, DOMContentLoaded", median(times), "ms", 300))
    return figures


def under_load(browser: "Browser", server: Server, topic: str, group: str, seconds: float, beside: str) -> list[Figure]:
    """Five tabs, 1,000 events/s and four commits/s from another process.

    Args:
        topic: where they go; it is created.
        group: who commits, in partition 0.
        seconds: for how long.
        beside: what else is in the file, in words.
    """
    run_job("create", servers=server.kafka, topic=topic, partitions=3)
    paths = (f"/topics/{topic}/messages", f"/groups/{group}", f"/groups/{group}", "/", f"/topics/{topic}")
    # The newest batches are kept in memory up to a bound. It is reached now, not in the middle of what is measured.
    run_job("create", servers=server.kafka, topic=FILLER, partitions=1)
    run_job("produce", servers=server.kafka, topic=FILLER, events=FILLER_EVENTS, kind="equal", value_bytes=1000)
    run_job("steady", servers=server.kafka, topic=topic, group=group, events_per_s=100, seconds=2)
    context = browser.new_context(base_url=server.web, viewport={"width": 1280, "height": 860})
    tabs = []
    for path in paths:
        page = context.new_page()
        page.goto(path)
        page.locator("#pill", has_text="Live").wait_for(timeout=20_000)
        tabs.append(page)
    for page, watched in zip(tabs, ((ROWS, "offset"), (LAG, "end"), (LAG, "committed")), strict=False):
        page.evaluate(WATCH, list(watched))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            run_job,
            "steady",
            servers=server.kafka,
            topic=topic,
            group=group,
            events_per_s=EVENTS_PER_S,
            seconds=seconds,
        )
        tabs[0].wait_for_timeout(seconds * 1000 * SETTLED_SHARE)
        from_ms, heaps, memory = time.time() * 1000, [_heap_mib(page) for page in tabs], server.memory_mib()
        tabs[0].wait_for_timeout(seconds * 1000 * (1 - SETTLED_SHARE) - (time.time() * 1000 - from_ms))
        heaps_then, memory_then = [_heap_mib(page) for page in tabs], server.memory_mib()
        done = running.result()
        tabs[0].wait_for_timeout(LAST_SWAP_MS)
    first = [one for one in done["events"] if one["partition"] == 0]
    rows, ends, committed = (page.evaluate("window.seen") for page in tabs[:3])
    context.close()
    figures = [
        *_latency("an event", beside, _waits_ms(rows, done["events"], from_ms, 0)),
        *_latency("the end of a log, beside the lag", beside, _waits_ms(ends, first, from_ms, 1)),
        *_latency("a committed offset, beside the lag", beside, _waits_ms(committed, done["commits"], from_ms, 0)),
        _flat(f"JS heap of the five tabs after {seconds:g} s, {beside}", sum(heaps), sum(heaps_then)),
    ]
    if memory is not None and memory_then is not None:
        figures.append(_flat(f"memory of the server after {seconds:g} s, {beside}", memory, memory_then))
    return figures


def _latency(what: str, beside: str, waits_ms: Sequence[float]) -> list[Figure]:
    name = f"acknowledged to shown, {EVENTS_PER_S:,} events/s, five tabs, {beside}: {what}"
    return [
        Figure(PART, f"{name}, p50", median(waits_ms), "ms"),
        at_most(PART, f"{name}, p95", percentile(waits_ms, 0.95), "ms", LIMIT_MS),
    ]


def _flat(what: str, first: float, last: float) -> Figure:
    note = f"at most {GROWTH:g} x the {first:,.1f} MiB of when it had settled"
    return Figure(PART, what, last, "MiB", first, GROWTH, False, note)


def _waits_ms(seen: Seen, acknowledged: Sequence[Mapping[str, float]], from_ms: float, beyond: int) -> list[float]:
    """How long after its acknowledgement each event, or a later one of its partition, was on the page.

    Args:
        beyond: what is added to an offset to have the figure that shows it.
    """
    waits = []
    for one in acknowledged:
        if one["at_ms"] < from_ms:
            continue
        wanted, partition = one["offset"] + beyond, one.get("partition", 0)
        shown = [at_ms for where, figure, at_ms in seen if where == partition and figure >= wanted]
        if not shown:
            raise RuntimeError(f"offset {one['offset']} of partition {partition} was never shown")
        waits.append(max(0.0, min(shown) - one["at_ms"]))
    return waits


def _heap_mib(page: "Page") -> float:
    """What JavaScript holds in a tab after its garbage was collected."""
    session: Any = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    found = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return float(found["JSHeapUsedSize"]) / 1024 / 1024
