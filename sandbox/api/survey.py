"""Statistics over many events of one file (`Sandbox.survey`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from sandbox.kafka.event import Event
from sandbox.model.messages import MessageQuery, Neighbours, Volume
from sandbox.runtime.runtime import Runtime
from sandbox.storage.log import message_rows
from sandbox.storage.search import messages
from sandbox.storage.search.search_memory import SearchMemory

if TYPE_CHECKING:
    from sandbox.schemas.decoding import EventDecoder


class SandboxSurvey:
    """Histograms and neighbors of events. All methods are thread-safe.

    Args:
        runtime: the open file.
        memory: cached results of searches.
        decoder: returns a decoder of keys and values for one task.
    """

    def __init__(self, runtime: Runtime, memory: SearchMemory, decoder: "Callable[[], EventDecoder]") -> None:
        self._database = runtime.database
        self._memory = memory
        self._decoder = decoder

    def volume(self, query: MessageQuery, *, budget_ms: int = 150) -> Volume:
        """Return the distribution over time of a query's events. Its order, cursor and limit are ignored.

        Args:
            budget_ms: time limit for reading events, if a filter needs the events themselves.
        """
        with self._database.reader() as reader:
            return self._memory.volume(reader, query, budget_ms, self._decoder())

    def events(self, topic: str, offsets: Mapping[int, Sequence[int]]) -> list[Event]:
        """Return the events at some offsets of each partition, if they are in the log: by partition, then offset."""
        with self._database.reader() as reader:
            return message_rows.read_places(reader, topic, offsets)

    def committed(self, topic: str) -> dict[str, dict[int, int]]:
        """Return group to partition to committed offset, for groups that have committed in a topic."""
        with self._database.reader() as reader:
            return messages.committed_in(reader, topic)

    def neighbours(self, topic: str, partition: int, offset: int) -> Neighbours:
        """Return an event's neighbors in its partition: the adjacent events, and the nearest with the same key."""
        with self._database.reader() as reader:
            return messages.neighbours(reader, topic, partition, offset)
