"""Stops and kills beside slow pages lose nothing, and a stop is clean."""

from pathlib import Path

import pytest

from tests.crash.stops import stops

ENDINGS = 8


@pytest.mark.crash
@pytest.mark.timeout(240)
def test_stops_and_kills_beside_costly_pages_are_clean_and_lose_nothing(file: Path) -> None:
    found = stops(file, ENDINGS, seed=5)
    assert found.wrong == []
    assert found.kills >= 1
    assert len(found.stop_s) >= 3
    assert found.acknowledged > 300
    assert found.asked > 50
