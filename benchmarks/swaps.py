"""Measures the server's cost of each update of an open page, at 1,000 events per second."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import percentile
from sandbox.api.sandbox import Sandbox
from sandbox.web.app import create_app
from sandbox.web.live import render_view

EVENTS_PER_S = 1000
SWAPS = 40
GAP_S = 0.05
VALUE = json.dumps({"text": "v" * 100})


def swap_ms(file: Path, topic: str, views: Sequence[str]) -> Mapping[str, tuple[float, float]]:
    """The time to render what an open page gets: the median and the 95th percentile of `SWAPS`, by view, in ms.

    Args:
        file: a sandbox file that is not open; events are added to it.
        topic: where they go.
        views: paths with their query strings.
    """
    with Sandbox(file) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        app: Any = create_app(sandbox)
        ended = threading.Event()
        thread = threading.Thread(target=_trickle, args=(sandbox, topic, ended.is_set))
        thread.start()
        found = {}
        try:
            for view in views:
                render_view(app, view)
                times = [_one_ms(app, view, ended) for _ in range(SWAPS)]
                found[view] = median(times), percentile(times, 0.95)
        finally:
            ended.set()
            thread.join()
    return found


def _one_ms(app: Any, view: str, ended: threading.Event) -> float:
    started = time.perf_counter()
    render_view(app, view)
    took_ms = (time.perf_counter() - started) * 1000
    ended.wait(GAP_S)
    return took_ms


def _trickle(sandbox: Sandbox, topic: str, ended: Callable[[], bool]) -> None:
    """Append one event at a time, at the rate, whatever single ones take."""
    started = time.perf_counter()
    made = 0
    while not ended():
        due = int((time.perf_counter() - started) * EVENTS_PER_S)
        for _ in range(due - made):
            sandbox.append(topic, VALUE, key="trickle")
        made = due
        time.sleep(1 / EVENTS_PER_S)
