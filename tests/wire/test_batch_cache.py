"""The cache of recent batches against a list that keeps them all."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.wire.batch_cache import OVERHEAD_BYTES, BatchCache


@dataclass
class Model:
    """One partition's batches: (base offset, last offset, bytes)."""

    batches: list[tuple[int, int, bytes]] = field(default_factory=list)

    @property
    def next(self) -> int:
        return self.batches[-1][1] + 1 if self.batches else 0


moves = st.lists(
    st.tuples(st.sampled_from(("put", "put", "put", "put", "skip", "clear")), st.integers(1, 2), st.integers(1, 9)),
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(moves, st.integers(0, 3_000), st.data())
def test_what_is_read_is_what_was_put_and_never_at_or_past_the_end_asked_for(
    steps: list[tuple[str, int, int]], bytes_max: int, data: st.DataObject
) -> None:
    cache = BatchCache(bytes_max)
    models = {1: Model(), 2: Model()}
    for number, (step, partition, count) in enumerate(steps):
        model = models[partition]
        if step == "clear":
            cache.clear()
            continue
        batch = (model.next, model.next + count - 1, b"%d" % number * count)
        model.batches.append(batch)
        if step == "put":
            cache.put(partition, *batch)
        else:
            cache.skip(partition)
        assert 0 <= cache.size_bytes <= bytes_max
    for partition, model in models.items():
        offset = data.draw(st.integers(0, model.next + 1))
        end = data.draw(st.integers(0, model.next))
        limit = data.draw(st.integers(0, 50))
        found = cache.read(partition, offset, end, limit)
        if found is None:
            continue
        at = next(index for index, one in enumerate(model.batches) if one[0] <= offset <= one[1])
        wanted = [raw for base, _, raw in model.batches[at:] if base < end]
        assert found == wanted[: len(found)]
        assert len(found) == 1 or sum(map(len, found)) <= limit
        if len(found) < len(wanted):
            assert sum(map(len, wanted[: len(found) + 1])) > limit


def test_the_newest_batches_are_kept_over_all_partitions() -> None:
    cache = BatchCache(3 * (10 + OVERHEAD_BYTES))
    for offset in range(3):
        cache.put(offset % 2, offset // 2, offset // 2, b"%010d" % offset)
    cache.put(1, 1, 1, b"newest....")
    assert cache.read(0, 0, 9, 100) is None
    assert cache.read(0, 1, 9, 100) == [b"%010d" % 2]
    assert cache.read(1, 0, 9, 100) == [b"%010d" % 1, b"newest...."]


def test_partitions_that_are_forgotten_over_and_over_leave_nothing_behind() -> None:
    cache = BatchCache()
    cache.put(2, 0, 0, b"kept")
    for offset in range(20_000):
        cache.put(1, 2 * offset, 2 * offset, b"batch")
        cache.skip(1)
    assert len(cache._order) < 5_000
    assert cache.read(2, 0, 1, 100) == [b"kept"]


def test_partitions_whose_batches_went_to_make_room_leave_nothing_behind() -> None:
    cache = BatchCache(100 * (5 + OVERHEAD_BYTES))
    for partition in range(20_000):
        cache.put(partition, 0, 0, b"batch")
    assert len(cache._tails) == len(cache._order) == 100
    cache.skip(19_999)
    assert len(cache._tails) == 99
