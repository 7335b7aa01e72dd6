"""A small version of the stalls: limits that no attack may exceed, as counts and with wide margins."""

from pathlib import Path

import pytest

from tests.torture.stalls import MEMORY_MIB_MAX, Stall, Waits, run

SMALL = ("20 fetches of 50 MB, unread", "20 connections with 10,000 Metadata each")
SECONDS = 2.0
ACKNOWLEDGED_WITHIN_MS = 15_000
"""Far more than usual, so that the test doesn't fail on a busy machine. Without the limits, it takes longer."""


def test_each_attack_leaves_a_producer_its_acknowledgements(tmp_path: Path) -> None:
    found = run(tmp_path, SECONDS, SMALL, say=lambda text: None, size=(20, 2_000))
    assert [one.attack for one in found] == list(SMALL)
    for one in found:
        assert one.beside.longest < ACKNOWLEDGED_WITHIN_MS, one
        assert one.memory_mib < MEMORY_MIB_MAX, one
        assert one.log_bytes < 100_000, one


@pytest.mark.parametrize(
    ("longest", "memory", "log", "said"),
    [(10_000, 0, 0, "took 10,000 ms"), (0, 250, 0, "250 MiB"), (0, 0, 2_000_000, "2,000,000 bytes of log")],
)
def test_what_is_too_much_is_named(longest: float, memory: float, log: int, said: str) -> None:
    (found,) = Stall("an attack", Waits(0, 0, 0), Waits(0, 0, longest), memory, log).wrong()
    assert said in found
    assert Stall("an attack", Waits(0, 0, 0), Waits(0, 0, 1), 1, 1).wrong() == []


def test_waits_are_told_by_percentiles() -> None:
    assert Waits.of([float(number) for number in range(100, 0, -1)]) == Waits(51, 100, 100)
