"""Events appended without a network: which partition each goes to, and in which batches."""

from collections.abc import Mapping

from sandbox.broker.broker import Broker
from sandbox.broker.log import ProducedBatch
from sandbox.broker.topic import Partition, Topic
from sandbox.errors import BrokerError
from sandbox.event import CREATE_TIME, LOG_APPEND_TIME, Event, Headers, NewEvent
from sandbox.partitioner import DEFAULT_PARTITIONER, PARTITIONERS, StickyPartitioner
from sandbox.storage.log import Record
from sandbox.wire.record_batch import HEADER_BYTES

BATCH_BYTES = 256 * 1024
"""How large a batch of several events grows; an event that is larger has a batch of its own."""

BYTES_OR_NONE = (bytes, type(None))


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
        if not isinstance(name, str):
            raise TypeError(f"a topic is named by text, not by {_kind(name)}")
        for event in events:
            _check_types(event)
        topic = self._broker.topic_for_use(name, now_ms)
        places: list[tuple[Partition, int, int]] = []
        batches: dict[Partition, list[list[Record]]] = {}
        sizes: dict[Partition, list[int]] = {}
        for event in events:
            size = event_size_bytes(event)
            partition = topic.partition(self._choose(topic, event, size))
            if partition not in batches:
                batches[partition], sizes[partition] = [[]], [HEADER_BYTES]
            runs, totals = batches[partition], sizes[partition]
            if runs[-1] and totals[-1] + size > BATCH_BYTES:
                runs.append([])
                totals.append(HEADER_BYTES)
            totals[-1] += size
            run = runs[-1]
            places.append((partition, len(runs) - 1, len(run)))
            stamp = now_ms if event.timestamp_ms is None else event.timestamp_ms
            run.append((len(run), stamp, event.key, event.value, event.headers))
        self._sticky.end_batch(name)
        produced = {
            partition: [ProducedBatch(run, total) for run, total in zip(runs, sizes[partition], strict=True)]
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

    def append_one(self, name: str, new: NewEvent, now_ms: int) -> Event:
        """Append one event; it is given back as stored, also where retention takes it at once."""
        ((partition, offset),) = self.append(name, [new], now_ms)
        stamped = self._broker.topic(name).value("message.timestamp.type", self._broker.config) == "LogAppendTime"
        time_ms = now_ms if stamped or new.timestamp_ms is None else new.timestamp_ms
        stamp_type = LOG_APPEND_TIME if stamped else CREATE_TIME
        return Event(name, partition, offset, time_ms, stamp_type, new.key, new.value, tuple(new.headers))

    def _choose(self, topic: Topic, event: NewEvent, size_bytes: int) -> int:
        if event.partition is not None:
            return event.partition
        count = len(topic.partitions)
        chosen = PARTITIONERS[DEFAULT_PARTITIONER].partition_for(event.key, count)
        return self._sticky.partition_for(topic.name, count, size_bytes) if chosen is None else chosen


def event_size_bytes(event: NewEvent) -> int:
    """About how many bytes an event takes in a batch: its key, value and headers, and their lengths."""
    size = 12
    if event.key:
        size += len(event.key)
    if event.value:
        size += len(event.value)
    for name, content in event.headers:
        size += 4 + len(name) + len(content or b"")
    return size


def _check_types(event: NewEvent) -> None:
    if not isinstance(event, NewEvent):
        raise TypeError(f"append takes events of type NewEvent, not {_kind(event)}")
    if not isinstance(event.value, BYTES_OR_NONE):
        raise TypeError(f"the value of an event is bytes or None, not {_kind(event.value)}")
    if not isinstance(event.key, BYTES_OR_NONE):
        raise TypeError(f"the key of an event is bytes or None, not {_kind(event.key)}")
    for pair in event.headers:
        _check_header(pair)
    if event.partition is not None and not isinstance(event.partition, int):
        raise TypeError(f"a partition is a whole number or None, not {_kind(event.partition)}")
    stamp = event.timestamp_ms
    if stamp is None:
        return
    if not isinstance(stamp, int):
        raise TypeError(f"a timestamp is a whole number of ms since 1970 or None, not {_kind(stamp)}")
    if not -(2**63) <= stamp < 2**63:
        raise BrokerError("INVALID_TIMESTAMP", f"A timestamp is a number of ms since 1970 of 64 bits, not {stamp}.")


def _check_header(pair: object) -> None:
    match pair:
        case (str() as name, bytes() | None):
            try:
                name.encode("utf-8", "surrogateescape")
            except UnicodeEncodeError:
                raise BrokerError("INVALID_RECORD", f"The header name {name!r} cannot be written as UTF-8.") from None
        case _:
            raise TypeError(f"a header is a pair of a name (text) and a value (bytes or None), not {pair!r}")


def _kind(value: object) -> str:
    return type(value).__name__


def new_event(
    value: bytes | str | None,
    key: bytes | str | None,
    headers: Headers | Mapping[str, bytes | str | None],
    timestamp_ms: int | None,
    partition: int | None,
) -> NewEvent:
    """An event to append, text as UTF-8."""
    if not isinstance(headers, Mapping | tuple | list):
        raise TypeError(f"headers are a mapping or pairs of name and value, not {_kind(headers)}")
    pairs = tuple(headers.items() if isinstance(headers, Mapping) else headers)
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"a header is a pair of a name (text) and a value (bytes, text or None), not {pair!r}")
    encoded = tuple((name, _bytes("a header's value", content)) for name, content in pairs)
    return NewEvent(_bytes("the value", value), _bytes("the key", key), encoded, timestamp_ms, partition)


def _bytes(what: str, data: object) -> bytes | None:
    if isinstance(data, str):
        try:
            return data.encode()
        except UnicodeEncodeError as error:
            raise BrokerError("INVALID_RECORD", f"{what} cannot be written as UTF-8: {error}.") from None
    if data is None or isinstance(data, bytes):
        return data
    raise TypeError(f"{what} of an event is bytes, text or None, not {_kind(data)}")
