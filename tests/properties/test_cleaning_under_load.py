"""100,000 events are compacted and cut, now and by direct calls, while threads read pages of them.

What a real consumer sees meanwhile is in `tests/clients/test_cleaning.py`.
"""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.kafka.event import Event, NewEvent
from tests.clock import START_MS, Clock

pytestmark = pytest.mark.timeout(120)

EVENTS, KEYS, HALF = 100_000, 500, 50_000
DAY_MS = 86_400_000


class Reader(threading.Thread):
    """Reads a partition from its start to its end again and again; `passes` holds the offsets of each time."""

    def __init__(self, box: Sandbox) -> None:
        super().__init__(name="reader", daemon=True)
        self.box = box
        self.passes: list[list[int]] = []
        self.wrong: list[Event | BaseException] = []
        self._enough = threading.Event()
        self._began = threading.Event()

    def start(self) -> None:
        """Start, and return when it has read its first page."""
        super().start()
        assert self._began.wait(30)

    def run(self) -> None:
        try:
            while not self._enough.is_set():
                self.passes.append(list(self._one_pass()))
        except BaseException as error:
            self.wrong.append(error)

    def _one_pass(self) -> Iterator[int]:
        offset = 0
        while events := self.box.read("orders", partition=0, offset=offset, limit=5_000):
            for event in events:
                if event.value != str(event.offset).encode() or event.key != str(event.offset % KEYS).encode():
                    self.wrong.append(event)
                yield event.offset
            offset = events[-1].offset + 1
            self._began.set()

    def end(self) -> list[list[int]]:
        """Stop after the pass at hand, and give all passes."""
        self._enough.set()
        self.join(60)
        assert not self.is_alive()
        assert self.wrong == []
        return self.passes


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    """A topic of 100,000 events, the second half a day younger; each value is its offset."""
    clock = Clock(START_MS + DAY_MS)
    with Sandbox(tmp_path / "dev.db", clock=clock) as sandbox:
        sandbox.create_topic("orders", partitions=1, settings={"retention.ms": "-1"})
        sandbox.append_many(
            "orders",
            (
                NewEvent(
                    str(index).encode(),
                    str(index % KEYS).encode(),
                    timestamp_ms=START_MS + (DAY_MS if index >= HALF else 0),
                )
                for index in range(EVENTS)
            ),
            chunk=KEYS,
        )
        yield sandbox


def test_readers_lose_no_newest_value_while_a_log_is_compacted(box: Sandbox) -> None:
    reader = Reader(box)
    reader.start()
    box.alter_topic("orders", {"cleanup.policy": "compact"})
    removed = box.compact("orders")
    passes = [*reader.end(), [event.offset for event in box.read("orders", offset=0, limit=EVENTS)]]
    newest = set(range(EVENTS - KEYS, EVENTS))
    assert removed == EVENTS - KEYS
    for offsets in passes:
        assert all(before < after for before, after in itertools.pairwise(offsets))
        assert newest <= set(offsets)
    assert set(passes[-1]) == newest
    assert box.end_offsets("orders") == {0: EVENTS}


def test_readers_see_the_start_move_and_nothing_else_go_while_a_log_is_cut(box: Sandbox) -> None:
    reader = Reader(box)
    reader.start()
    box.alter_topic("orders", {"retention.ms": str(DAY_MS // 2)})
    assert box.apply_retention() == HALF
    assert box.start_offsets("orders") == {0: HALF}
    assert box.delete_records("orders", {0: EVENTS - 10}) == {0: EVENTS - 10}
    passes = reader.end()
    for offsets in passes:
        assert all(before < after for before, after in itertools.pairwise(offsets))
        assert set(range(EVENTS - 10, EVENTS)) <= set(offsets)
    assert [event.offset for event in box.read("orders", offset=0)] == list(range(EVENTS - 10, EVENTS))
    assert box.append("orders", "next").offset == EVENTS
