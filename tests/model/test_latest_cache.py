"""A cached value is reused only if computing it again would give the same."""

import pytest

from sandbox.model.latest_cache import Remembered


def test_what_is_made_from_equal_values_is_made_once() -> None:
    kept: Remembered[object] = Remembered(10)
    first = kept.get("row", (1, "a"), object)
    assert kept.get("row", (1, "a"), object) is first
    assert kept.get("row", (2, "a"), object) is not first
    assert kept.made == 2


def test_what_is_made_anew_takes_the_place_of_what_was_made_before() -> None:
    kept: Remembered[int] = Remembered(10)
    for number in range(100):
        kept.get("row", number, lambda: 1)
    assert len(kept) == 1
    assert kept.get("row", 0, lambda: 2) == 2


def test_it_never_holds_more_than_it_may() -> None:
    kept: Remembered[int] = Remembered(10)
    for number in range(100):
        kept.get(number, 0, lambda: 1, weight=3)
        assert len(kept) <= 3
    kept.get("large", 0, lambda: 1, weight=11)
    assert kept.get("large", 0, lambda: 2, weight=11) == 2
    assert len(kept) == 1


def test_what_cannot_be_made_is_not_kept() -> None:
    kept: Remembered[int] = Remembered(10)

    def fail() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        kept.get("row", 0, fail)
    assert kept.get("row", 0, lambda: 1) == 1
