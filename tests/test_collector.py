"""The garbage collector: at rest while many objects are made, and afterwards as it was."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.collector import resting_collector
from sandbox.event import NewEvent
from sandbox.sandbox import Sandbox
from sandbox.storage import log_columns, message_rows


@pytest.fixture(autouse=True)
def collector_as_it_was() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_it_is_on_again_after_a_block_and_after_an_error_in_it() -> None:
    with resting_collector():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="so"), resting_collector():
        raise ValueError("so")
    assert gc.isenabled()


def test_where_somebody_had_turned_it_off_it_stays_off() -> None:
    gc.disable()
    with resting_collector():
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
    real = log_columns.read_run

    def read_run(*arguments: Any) -> Any:
        seen.append(gc.isenabled())
        return real(*arguments)

    monkeypatch.setattr(message_rows, "read_run", read_run)
    assert len(box.read("orders", offset=0, limit=limit)) == 100
    assert seen == [not rests]
    assert gc.isenabled()


def test_it_works_again_after_a_read_that_failed(box: Sandbox) -> None:
    with pytest.raises(Exception, match="UNKNOWN_TOPIC_OR_PARTITION"):
        box.read("nothing", offset=0, limit=message_rows.RESTING_EVENTS_MIN)
    assert gc.isenabled()
