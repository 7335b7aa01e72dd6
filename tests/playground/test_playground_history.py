"""The set of handled offsets, against Python's own."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.playground import playground as playground_history
from sandbox.playground.playground import Handled

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)), max_size=30)


@settings(max_examples=200, deadline=None)
@given(RANGES)
def test_it_is_the_set_of_the_offsets_that_were_added(ranges: list[tuple[int, int]]) -> None:
    handled, model = Handled(), set[int]()
    for first, more in ranges:
        added = set(range(first, first + more + 1))
        assert handled.add(first, first + more) == len(added & model)
        model |= added
    assert [offset for offset in range(75) if offset in handled] == sorted(model)
    between = {offset for first, last in handled.gaps() for offset in range(first, last + 1)}
    assert between == set(range(min(model, default=0), max(model, default=0))) - model


def test_its_size_is_bounded_and_the_newest_gaps_are_kept() -> None:
    handled = Handled()
    for offset in range(playground_history.RANGES_MAX + 10):
        handled.add(2 * offset, 2 * offset)
    assert len(handled.gaps()) == playground_history.RANGES_MAX - 1
    assert handled.gaps()[-1] == (2 * offset - 1, 2 * offset - 1)
