"""Sequences of idempotent producers (KIP-98), against the log that a perfect producer would write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.broker.logs.producers import SEQUENCE_LIMIT, ProducerState, ProducerStates
from sandbox.kafka.errors import BrokerError

PRODUCER, PARTITION = 7, 3


def empty() -> ProducerStates:
    return ProducerStates(lambda producer, partition: ProducerState())


def write(states: ProducerStates, sequence: int, count: int, offset: int, epoch: int = 0) -> int:
    """Send one batch: the offset that it has."""
    before = states.check(PRODUCER, epoch, sequence, count, PARTITION)
    if before is not None:
        return before.base_offset
    states.written(PRODUCER, epoch, sequence, count, PARTITION, (offset, 1))
    return offset


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12), st.data())
def test_the_last_five_batches_are_known_again_and_older_ones_are_out_of_order(
    counts: list[int], data: st.DataObject
) -> None:
    states = empty()
    starts = [sum(counts[:number]) for number in range(len(counts))]
    for start, count in zip(starts, counts, strict=True):
        assert write(states, start, count, 1_000 + start) == 1_000 + start
    again = data.draw(st.integers(0, len(counts) - 1))
    if again >= len(counts) - 5:
        assert write(states, starts[again], counts[again], 9_999) == 1_000 + starts[again]
    else:
        with pytest.raises(BrokerError, match="OUT_OF_ORDER_SEQUENCE_NUMBER"):
            write(states, starts[again], counts[again], 9_999)


def test_sequences_go_on_at_0_after_the_largest() -> None:
    states = empty()
    write(states, SEQUENCE_LIMIT - 3, 2, 10)
    assert write(states, SEQUENCE_LIMIT - 1, 3, 12) == 12
    assert write(states, 2, 1, 15) == 15
    assert write(states, SEQUENCE_LIMIT - 1, 3, 99) == 12


def test_a_batch_of_another_length_is_no_duplicate() -> None:
    states = empty()
    write(states, 0, 3, 0)
    with pytest.raises(BrokerError, match="sent sequence number 0 where 3 is next"):
        write(states, 0, 2, 9)


def test_each_partition_and_producer_has_its_own_sequence() -> None:
    states = empty()
    states.written(1, 0, 0, 5, 1, (0, 1))
    assert states.check(1, 0, 0, 5, 2) is None
    assert states.check(2, 0, 0, 5, 1) is None


def test_what_was_forgotten_is_read_from_the_rows_again() -> None:
    loads: list[tuple[int, int]] = []

    def load(producer: int, partition: int) -> ProducerState:
        loads.append((producer, partition))
        return ProducerState()

    states = ProducerStates(load)
    write(states, 0, 1, 0)
    write(states, 1, 1, 1)
    assert loads == [(PRODUCER, PARTITION)]
    states.forget()
    write(states, 0, 1, 0)
    assert loads == [(PRODUCER, PARTITION)] * 2


def test_producers_that_come_and_go_leave_no_more_behind_than_the_bound() -> None:
    rows: dict[tuple[int, int], ProducerState] = {}
    states = ProducerStates(lambda producer, partition: rows.get((producer, partition), ProducerState()), 100)
    for producer in range(1_000):
        assert states.check(producer, 0, 0, 5, PARTITION) is None
        states.written(producer, 0, 0, 5, PARTITION, (5 * producer, 1))
        rows[producer, PARTITION] = states.state(producer, PARTITION)
    assert len(states) == 100
    before = states.check(3, 0, 0, 5, PARTITION)
    assert before is not None
    assert before.base_offset == 15
