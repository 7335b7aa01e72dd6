"""Events appended without a network: which partition each goes to, and in which batches."""

from collections.abc import Mapping

from sandbox.broker.broker import Broker
from sandbox.broker.log import ProducedBatch
from sandbox.broker.topic import Partition, Topic
from sandbox.errors import BrokerError
from sandbox.event import Headers, NewEvent
from sandbox.partitioner import DEFAULT_PARTITIONER, PARTITIONERS, StickyPartitioner
from sandbox.storage.log import Record
from sandbox.wire.record_batch import HEADER_BYTES

BATCH_BYTES = 256 * 1024
"""How large a batch of several events grows; an event that is larger has a batch of its own."""


class Appender:
    """Puts events into batches, as a producer does.

    Args:
        broker: whose topics they go to.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._sticky = StickyPartitioner()

    def append(self, name: str, events: list[NewEvent], now_ms: int) -> list[tuple[int, int]]:
        """Append events: all of them, or none where one is refused.

        Returns:
            Partition and offset of each, in the order of the events.
        """
        for event in events:
            _check_types(event)
        topic = self._broker.topic_for_use(name, now_ms)
        places: list[tuple[Partition, int, int]] = []
        batches: dict[Partition, list[list[Record]]] = {}
        sizes: dict[Partition, int] = {}
        for event in events:
            size = event_size_bytes(event)
            partition = topic.partition(self._choose(topic, event, size))
            runs = batches.setdefault(partition, [[]])
            if runs[-1] and sizes[partition] + size > BATCH_BYTES:
                runs.append([])
            sizes[partition] = size + (sizes[partition] if runs[-1] else HEADER_BYTES)
            run = runs[-1]
            places.append((partition, len(runs) - 1, len(run)))
            stamp = now_ms if event.timestamp_ms is None else event.timestamp_ms
            run.append((len(run), stamp, event.key, event.value, event.headers))
        self._sticky.end_batch(name)
        produced = {
            partition: [ProducedBatch(run, HEADER_BYTES + sum(map(record_size_bytes, run))) for run in runs]
            for partition, runs in batches.items()
        }
        for partition, made in produced.items():
            for batch in made:
                self._broker.log.check(partition.topic, batch, now_ms)
        bases = {
            partition: [self._broker.log.append(partition, batch, now_ms).base_offset for batch in made]
            for partition, made in produced.items()
        }
        return [(partition.partition, bases[partition][run] + index) for partition, run, index in places]

    def _choose(self, topic: Topic, event: NewEvent, size_bytes: int) -> int:
        if event.partition is not None:
            return event.partition
        count = len(topic.partitions)
        chosen = PARTITIONERS[DEFAULT_PARTITIONER].partition_for(event.key, count)
        return self._sticky.partition_for(topic.name, count, size_bytes) if chosen is None else chosen


def event_size_bytes(event: NewEvent) -> int:
    """About how many bytes an event takes in a batch."""
    return record_size_bytes((0, 0, event.key, event.value, event.headers))


def record_size_bytes(record: Record) -> int:
    """About how many bytes a record takes: its key, value and headers, and their lengths."""
    _, _, key, value, headers = record
    size = 12 + len(key or b"") + len(value or b"")
    for name, content in headers:
        size += 4 + len(name) + len(content or b"")
    return size


def _check_types(event: NewEvent) -> None:
    for what, data in (("value", event.value), ("key", event.key)):
        if data is not None and not isinstance(data, bytes):
            raise TypeError(f"the {what} of an event is bytes, text or None, not {type(data).__name__}")
    for name, content in event.headers:
        if not isinstance(name, str) or not (content is None or isinstance(content, bytes)):
            raise BrokerError("INVALID_RECORD", "A header is a name (text) and a value (bytes, text or None).")
    stamp = event.timestamp_ms
    if stamp is not None and (not isinstance(stamp, int) or not -1 <= stamp < 2**63):
        raise BrokerError("INVALID_TIMESTAMP", f"A timestamp is a whole number of ms since 1970, not {stamp!r}.")


def new_event(
    value: bytes | str | None,
    key: bytes | str | None,
    headers: Headers | Mapping[str, bytes | str | None],
    timestamp_ms: int | None,
    partition: int | None,
) -> NewEvent:
    """An event to append, text as UTF-8."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    encoded = tuple((name, _bytes(content)) for name, content in pairs)
    return NewEvent(_bytes(value), _bytes(key), encoded, timestamp_ms, partition)


def _bytes(data: bytes | str | None) -> bytes | None:
    return data.encode() if isinstance(data, str) else data
