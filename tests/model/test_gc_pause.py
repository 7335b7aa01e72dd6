"""The garbage collector: paused while many objects are created, and afterwards as before."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.model.gc_pause import freeze_start_up_objects, gc_paused
from sandbox.storage.log import log, message_rows


@pytest.fixture(autouse=True)
def collector_as_it_was() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_it_is_on_again_after_a_block_and_after_an_error_in_it() -> None:
    with gc_paused():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="so"), gc_paused():
        raise ValueError("so")
    assert gc.isenabled()


def test_where_somebody_had_turned_it_off_it_stays_off() -> None:
    gc.disable()
    with gc_paused():
        assert not gc.isenabled()
    assert not gc.isenabled()


@pytest.mark.parametrize(
    ("limit", "rests"), [(message_rows.RESTING_EVENTS_MIN, True), (message_rows.RESTING_EVENTS_MIN - 1, False)]
)
def test_it_rests_while_many_events_are_read(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch, limit: int, rests: bool
) -> None:
    box.append_many("orders", [NewEvent(b"v", b"k")] * 100)
    seen: list[bool] = []
    real = log.read_rows

    def read_rows(*arguments: Any) -> Any:
        seen.append(gc.isenabled())
        return real(*arguments)

    monkeypatch.setattr(message_rows, "read_rows", read_rows)
    assert len(box.read("orders", offset=0, limit=limit)) == 100
    assert seen == [not rests]
    assert gc.isenabled()


def test_it_works_again_after_a_read_that_failed(box: Sandbox) -> None:
    with pytest.raises(Exception, match="UNKNOWN_TOPIC_OR_PARTITION"):
        box.read("nothing", offset=0, limit=message_rows.RESTING_EVENTS_MIN)
    assert gc.isenabled()


def test_the_collector_rests_and_works_again_though_the_start_fails() -> None:
    @gc_paused()
    def start() -> None:
        assert not gc.isenabled()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        start()
    assert gc.isenabled()


def test_what_the_start_made_is_not_gone_through_again() -> None:
    kept: list[list[int]] = [[] for _ in range(100)]
    try:
        freeze_start_up_objects()
        assert gc.get_freeze_count() > len(kept)
        assert not any(one is kept for one in gc.get_objects())
    finally:
        gc.unfreeze()
