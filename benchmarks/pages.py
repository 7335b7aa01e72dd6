"""The pages with a million events in a hundred topics and two hundred groups, and while 1,000 events/s come."""

import json
import time
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import pages_file, tabs
from benchmarks.figures import Figure, at_least, at_most, percentile
from benchmarks.pages_file import AVERAGE, BIG, GROUP, MANY_TOPICS, RARE_KEY
from benchmarks.processes import Server, run_job, sandbox_up
from benchmarks.swaps import swap_ms

PART = "pages"
FIRST_MS, SWAP_MS, KEY_MS = 300, 50, 50
TURNS = 20
PAGES = {
    "topics": "/",
    "a topic": f"/topics/{BIG}",
    "messages": f"/topics/{BIG}/messages",
    "messages, oldest first": f"/topics/{BIG}/messages?order=oldest",
    "one event": f"/topics/{BIG}/0/5",
    "new topic": "/topics/~new",
    "produce": f"/topics/{BIG}/produce",
    "produce many": "/produce/many",
    "generators": "/produce/generators",
    "groups": "/groups",
    "a group": f"/groups/{GROUP}",
    "a reset's preview": f"/groups/{GROUP}/reset?to=earliest",
    "a group's chart": f"/groups/{GROUP}/history.json",
    "playground": "/playground",
    "cluster": "/cluster",
    "SQL": "/sql",
    "snapshots": "/snapshots",
    "activity": "/activity",
    "help": "/help",
    "settings": "/help/settings",
    "search": "/search?q=topic-05",
    "map": "/map",
    "schemas": "/schemas",
    "messages, sorted by a field": f"/topics/{AVERAGE}/messages?col=$.amount&sort=$.amount+desc",
}
LIVE = ("topics", "a topic", "messages", "groups", "a group", "activity", "cluster")
SHOWN = tuple(name for name, path in PAGES.items() if ".json" not in path)
"""The pages that Chromium opens."""


def pages(folder: Path, events: int, seconds: float) -> tuple[list[Figure], list[str]]:
    """Every page, over HTTP and in Chromium.

    Args:
        folder: where the files go.
        events: how many events there are.
        seconds: how long five tabs are looked at.

    Returns:
        The figures, and why some are left out.
    """
    file, many = folder / "pages.db", folder / "topics.db"
    pages_file.make(file, events)
    pages_file.make_many_topics(many)
    figures, left_out = [], []
    with sandbox_up(file) as server:
        figures += _first_views(server, PAGES, events)
        figures += _keys(server)
        figures += _paging(server)
    with sandbox_up(many) as server:
        figures += _first_views(server, {f"topics, {MANY_TOPICS:,} of them": "/"}, 10 * MANY_TOPICS)
    figures += _swaps(file)
    try:
        with tabs.chromium() as browser, sandbox_up(file) as server:
            figures += tabs.first_views(browser, server, {name: PAGES[name] for name in SHOWN}, events)
            figures += tabs.under_load(browser, server, "tabs", "readers", seconds, f"{events:,} events beside")
        with tabs.chromium() as browser, sandbox_up(folder / "new.db") as server:
            figures += tabs.under_load(browser, server, "tabs", "readers", seconds, "a new file")
    except tabs.NoBrowser as reason:
        left_out.append(f"pages in Chromium: {reason}")
    return figures, left_out


def _first_views(server: Server, paths: Mapping[str, str], events: int) -> list[Figure]:
    """The first time that a server which has just started is asked for each page."""
    return [
        at_most(PART, f"{name}, {events:,} events, first view", _get(server, path)[0], "ms", FIRST_MS)
        for name, path in paths.items()
    ]


def _keys(server: Server) -> list[Figure]:
    """The events with one key: its newest fifty, or the only one."""
    asked = {
        "a key's newest 50, half of the events in the topic": f"/topics/{BIG}/messages.json?key=user-0000500&exact=1",
        "a key that is there once, an average topic": f"/topics/{AVERAGE}/messages.json?key={RARE_KEY}&exact=1",
        "a key that is there once, half of the events in the topic": (
            f"/topics/{BIG}/messages.json?key={RARE_KEY}&exact=1"
        ),
    }
    figures = []
    for name, path in asked.items():
        took = median(_get(server, path)[0] for _ in range(7))
        figures.append(at_most(PART, f"look-up of {name}", took, "ms", KEY_MS))
    return figures


def _paging(server: Server) -> list[Figure]:
    """Turn pages towards older events and back again, while others write."""
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(
            run_job, "steady", servers=server.kafka, topic=BIG, group="pagers", events_per_s=1000, seconds=10
        )
        shown, times = [], []
        cursor: str | None = ""
        for _ in range(TURNS + 1):
            took, page = _page(server, cursor)
            times.append(took)
            shown.append(page["events"])
            cursor = page["next"]
        same = 0
        cursor = page["previous"]
        for before in reversed(shown[:-1]):
            took, page = _page(server, cursor)
            times.append(took)
            same += page["events"] == before
            cursor = page["previous"]
        writing.result()
    what = f"pages that are the same on the way back, {TURNS} there and {TURNS} back while others write"
    return [
        at_least(PART, what, same, "pages", TURNS, 1, f"{TURNS} pages"),
        at_most(PART, "turning a page meanwhile, p95", percentile(times, 0.95), "ms", FIRST_MS),
    ]


def _page(server: Server, cursor: str | None) -> tuple[float, Any]:
    took, body = _get(server, f"/topics/{BIG}/messages.json?limit=50&cursor={cursor or ''}")
    return took, json.loads(body)


def _swaps(file: Path) -> list[Figure]:
    names = {PAGES[name]: name for name in LIVE}
    figures = []
    for view, (middle, late) in swap_ms(file, BIG, list(names)).items():
        what = f"a live swap while 1,000 events/s come: {names[view]}, server"
        figures.append(at_most(PART, f"{what}, p50", middle, "ms", SWAP_MS))
        figures.append(Figure(PART, f"{what}, p95", late, "ms"))
    return figures


def _get(server: Server, path: str) -> tuple[float, bytes]:
    """Ask for a page: how long that took in ms, and what came."""
    started = time.perf_counter()
    with urllib.request.urlopen(server.web + path, timeout=60) as answer:
        body = answer.read()
    return (time.perf_counter() - started) * 1000, body
