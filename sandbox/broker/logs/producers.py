"""State of idempotent producers: duplicates get their original offset, gaps are refused (KIP-98).

Like Kafka, the sandbox remembers the last five batches of each producer in each partition, because a producer has at
most five requests in flight. If a producer isn't in memory, its state is read from the `batches` table, so it survives
a restart.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from sandbox.kafka.errors import BrokerError

BATCHES_REMEMBERED = 5
STATES_MAX = 4_096
"""The maximum number of states in memory, about 2 KB each. Every producer that starts gets a new producer id."""
SEQUENCE_LIMIT = 2**31


class WrittenBatch(NamedTuple):
    """Sequence numbers and position of an appended batch."""

    first_sequence: int
    last_sequence: int
    base_offset: int
    appended_ms: int


@dataclass(slots=True)
class ProducerState:
    """The state of one producer in one partition.

    Attributes:
        epoch: its current epoch; -1 if it has written nothing to this partition.
        batches: the newest batches of that epoch, at most five, oldest first; empty if only a marker has the epoch.
    """

    epoch: int = -1
    batches: deque[WrittenBatch] = field(default_factory=lambda: deque(maxlen=BATCHES_REMEMBERED))


class ProducerStates:
    """Caches producer states. The oldest entry is dropped first and read again from the rows when needed.

    Args:
        load: reads the state of (producer id, partition id) from the rows.
        states_max: maximum number of states in memory, 1 or more.
    """

    def __init__(self, load: Callable[[int, int], ProducerState], states_max: int = STATES_MAX) -> None:
        self._load = load
        self._states_max = states_max
        self._states: dict[tuple[int, int], ProducerState] = {}

    def __len__(self) -> int:
        """Return the number of states in memory."""
        return len(self._states)

    def state(self, producer_id: int, partition_id: int) -> ProducerState:
        """Return the state of one producer in one partition."""
        key = (producer_id, partition_id)
        state = self._states.get(key)
        if state is None:
            state = self._load(producer_id, partition_id)
            while len(self._states) >= self._states_max:
                del self._states[next(iter(self._states))]
            self._states[key] = state
        return state

    def check(
        self, producer_id: int, epoch: int, first_sequence: int, count: int, partition_id: int
    ) -> WrittenBatch | None:
        """Check a batch's epoch and sequence number.

        Returns:
            None if the batch may be appended; the original batch if it is a duplicate.

        Raises:
            BrokerError: INVALID_PRODUCER_EPOCH for an older epoch, OUT_OF_ORDER_SEQUENCE_NUMBER for a gap.
        """
        state = self.state(producer_id, partition_id)
        if epoch < state.epoch:
            raise BrokerError(
                "INVALID_PRODUCER_EPOCH", f"Epoch {epoch} of producer {producer_id} is older than {state.epoch}."
            )
        last_sequence = (first_sequence + count - 1) % SEQUENCE_LIMIT
        if epoch > state.epoch:
            if first_sequence != 0 and state.epoch != -1:
                raise self._gap(producer_id, first_sequence, 0)
            return None
        for batch in state.batches:
            if batch.first_sequence == first_sequence and batch.last_sequence == last_sequence:
                return batch
        expected = (state.batches[-1].last_sequence + 1) % SEQUENCE_LIMIT if state.batches else 0
        if first_sequence != expected and state.epoch != -1:
            raise self._gap(producer_id, first_sequence, expected)
        return None

    def _gap(self, producer_id: int, found: int, expected: int) -> BrokerError:
        return BrokerError(
            "OUT_OF_ORDER_SEQUENCE_NUMBER",
            f"Producer {producer_id} sent sequence number {found} where {expected} is next.",
        )

    def written(
        self, producer_id: int, epoch: int, first_sequence: int, count: int, partition_id: int, place: tuple[int, int]
    ) -> None:
        """Remember a batch that was appended at `place` (base offset, append time in ms)."""
        state = self.state(producer_id, partition_id)
        if epoch != state.epoch:
            state.epoch = epoch
            state.batches.clear()
        last_sequence = (first_sequence + count - 1) % SEQUENCE_LIMIT
        state.batches.append(WrittenBatch(first_sequence, last_sequence, *place))

    def marked(self, producer_id: int, epoch: int, partition_id: int) -> None:
        """Remember a transaction marker's epoch. A higher epoch fences the producer and starts a new sequence."""
        state = self.state(producer_id, partition_id)
        if epoch > state.epoch:
            state.epoch = epoch
            state.batches.clear()

    def forget(self) -> None:
        """Clear the cache; states are read from the rows again."""
        self._states.clear()
