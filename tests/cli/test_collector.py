"""The garbage collector during a start."""

import gc

import pytest

from sandbox.cli.collector import leave_out_the_start, resting_collector


def test_the_collector_rests_and_works_again_though_the_start_fails() -> None:
    @resting_collector()
    def start() -> None:
        assert not gc.isenabled()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        start()
    assert gc.isenabled()


def test_what_the_start_made_is_not_gone_through_again() -> None:
    kept: list[list[int]] = [[] for _ in range(100)]
    try:
        leave_out_the_start()
        assert gc.get_freeze_count() > len(kept)
        assert not any(one is kept for one in gc.get_objects())
    finally:
        gc.unfreeze()
