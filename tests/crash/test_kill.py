"""kill -9 of the owner under all kinds of load. `make torture` does the same several hundred times."""

from pathlib import Path

import pytest

from tests.crash.ordeal import ordeal

KILLS = 9


@pytest.mark.crash
@pytest.mark.timeout(180)
def test_kills_lose_double_reorder_and_tear_nothing(file: Path) -> None:
    report = ordeal(file, KILLS, seed=11)
    assert report.wrong == []
    assert report.kills >= KILLS
    assert report.acknowledged > 1_000
    assert report.read > 1_000
    assert report.counts["transactions committed"] > 3
    assert report.counts["transactions aborted"] > 1
    assert report.counts["page: send"] > 3
    assert report.counts["share group: accepted"] > 100
    assert max(report.start_s) < 10, report.start_s


@pytest.mark.crash
@pytest.mark.timeout(180)
def test_kills_beside_readers_a_second_opener_and_a_deleted_log_lose_nothing(file: Path) -> None:
    report = ordeal(file, KILLS, seed=12, attacked=True)
    assert report.wrong == []
    assert report.kills >= KILLS
    assert report.logs_deleted > 1
    assert report.acknowledged > 1_000
    assert report.counts["other programs that read"] > 10
