"""Appends events without a network: chooses their partitions and builds their batches."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, count, repeat
from typing import NamedTuple

from sandbox.broker.broker import Broker
from sandbox.broker.logs.log import ProducedBatch
from sandbox.broker.logs.topic import Partition, Topic
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import CREATE_TIME, LOG_APPEND_TIME, Event, Headers, NewEvent
from sandbox.kafka.partitioner import DEFAULT_PARTITIONER, PARTITIONERS, StickyPartitioner
from sandbox.storage.log.log import EventColumns, Record
from sandbox.wire.records.batch import HEADER_BYTES

BATCH_BYTES = 256 * 1024
"""The maximum size of a batch of several events. A larger event has its own batch."""

EVENT_BYTES = 12
"""Approximate bytes of an event in a batch, without key, value and headers."""

BYTES_OR_NONE = (bytes, type(None))
PLAIN = frozenset(BYTES_OR_NONE)
BYTES = {bytes}
PLAIN_MIN = 20
"""Fewer events are appended one by one."""
KEYS_MAX = 8192
"""The number of keys whose partitions are cached."""
KEY_KEPT_BYTES = 100
"""The partitions of longer keys are not cached."""


class Appender:
    """Builds batches of events, as a producer does.

    Args:
        broker: the broker of the topics.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._sticky = StickyPartitioner()
        self._chosen: dict[int, _Chosen] = {}

    def append(self, name: str, events: list[NewEvent], now_ms: int) -> list[tuple[int, int]]:
        """Append events: all of them, or none if one is refused.

        Returns:
            Partition and offset of each event, in the same order.
        """
        return list(self.write(name, events, now_ms))

    def write(self, name: str, events: list[NewEvent], now_ms: int) -> Iterator[tuple[int, int]]:
        """Append events like `append`. The result is computed while it is iterated: not every caller needs it."""
        if not isinstance(name, str):
            raise TypeError(f"a topic is named by text, not by {_kind(name)}")
        plain = _Plain.of(events)
        if plain is None:
            for event in events:
                if not _is_plain(event):
                    _check_types(event)
        topic = self._broker.topic_for_use(name, now_ms)
        if plain is not None:
            return self._append_plain(topic, plain, now_ms)
        filled, places = self._fill(topic, events, now_ms)
        self._sticky.end_batch(name)
        produced = {
            number: [ProducedBatch(EventColumns.of(run), size) for run, size in zip(one.runs, one.sizes, strict=True)]
            for number, one in filled.items()
        }
        for number, batches in produced.items():
            for batch in batches:
                self._broker.log.check(topic.partition(number), batch, now_ms)
        bases = {
            number: [
                self._broker.log.append(filled[number].partition, batch, now_ms, checked=True).base_offset
                for batch in batches
            ]
            for number, batches in produced.items()
        }
        return ((number, bases[number][run] + index) for number, run, index in places)

    def _append_plain(self, topic: Topic, plain: "_Plain", now_ms: int) -> Iterator[tuple[int, int]]:
        """Append events by columns, in the same batches as `_fill`."""
        known = self._chosen.get(len(topic.partitions))
        if known is None or len(known) > KEYS_MAX:
            known = self._chosen[len(topic.partitions)] = _Chosen(len(topic.partitions))
        numbers = list(map(known.__getitem__, plain.keys))
        filled: dict[int, tuple[list[bytes], list[bytes]]] = {number: ([], []) for number in dict.fromkeys(numbers)}
        for number, key, value in zip(numbers, plain.keys, plain.values, strict=True):
            keys, values = filled[number]
            keys.append(key)
            values.append(value)
        produced = {number: _batches(keys, values, now_ms) for number, (keys, values) in filled.items()}
        for number, batches in produced.items():
            for batch in batches:
                self._broker.log.check(topic.partition(number), batch, now_ms)
        log = self._broker.log
        offsets = {}
        for number, batches in produced.items():
            partition = topic.partition(number)
            bases = [log.append(partition, batch, now_ms, checked=True).base_offset for batch in batches]
            # No other call appends meanwhile, so the batches have consecutive offsets.
            offsets[number] = count(bases[0])
        return zip(numbers, map(next, map(offsets.__getitem__, numbers)), strict=True)

    def _fill(
        self, topic: Topic, events: list[NewEvent], now_ms: int
    ) -> tuple[dict[int, "_Filling"], list[tuple[int, int, int]]]:
        """Put events into batches. Returns these, and each event's (partition, batch, place in the batch)."""
        filled: dict[int, _Filling] = {}
        places: list[tuple[int, int, int]] = []
        by_key: dict[bytes | None, int] = {}
        for event in events:
            key, value, headers = event.key, event.value, event.headers
            size = EVENT_BYTES + (len(key) if key else 0) + (len(value) if value else 0)
            if headers:
                size += sum(4 + len(name) + len(content or b"") for name, content in headers)
            number = event.partition
            if number is None:
                number = by_key.get(key)
                if number is None:
                    number = self._choose(topic, key, size)
                    if key is not None:
                        by_key[key] = number
            one = filled.get(number)
            if one is None:
                one = filled[number] = _Filling(topic.partition(number))
            run = one.run
            if one.size + size > BATCH_BYTES and run:
                run = one.turn()
            one.size += size
            index = len(run)
            places.append((number, len(one.runs) - 1, index))
            stamp = event.timestamp_ms
            run.append((index, now_ms if stamp is None else stamp, key, value, headers))
        return filled, places

    def append_one(self, name: str, new: NewEvent, now_ms: int) -> Event:
        """Append one event. Returns it as stored, even if retention deletes it immediately."""
        ((partition, offset),) = self.append(name, [new], now_ms)
        stamped = self._broker.topic(name).value("message.timestamp.type", self._broker.config) == "LogAppendTime"
        time_ms = now_ms if stamped or new.timestamp_ms is None else new.timestamp_ms
        stamp_type = LOG_APPEND_TIME if stamped else CREATE_TIME
        return Event(name, partition, offset, time_ms, stamp_type, new.key, new.value, tuple(new.headers))

    def _choose(self, topic: Topic, key: bytes | None, size_bytes: int) -> int:
        count = len(topic.partitions)
        chosen = PARTITIONERS[DEFAULT_PARTITIONER].partition_for(key, count)
        return self._sticky.partition_for(topic.name, count, size_bytes) if chosen is None else chosen


class _Chosen(dict[bytes, int]):
    """Partitions by key; a missing key is computed."""

    def __init__(self, partitions: int) -> None:
        super().__init__()
        self._partitions = partitions

    def __missing__(self, key: bytes) -> int:
        chosen = PARTITIONERS[DEFAULT_PARTITIONER].partition_for(key, self._partitions)
        assert chosen is not None, "every key has a partition"
        if len(key) <= KEY_KEPT_BYTES:
            self[key] = chosen
        return chosen


class _Plain(NamedTuple):
    """The columns of events that all have a key and a value, and nothing else."""

    keys: Sequence[bytes]
    values: Sequence[bytes]

    @classmethod
    def of(cls, events: list[NewEvent]) -> "_Plain | None":
        """Return the events' columns, or None for other events."""
        if len(events) < PLAIN_MIN or set(map(type, events)) != {NewEvent}:
            return None
        values, keys, headers, stamps, partitions = zip(*events, strict=True)
        if set(map(type, keys)) != BYTES or set(map(type, values)) != BYTES or any(headers):
            return None
        if stamps.count(None) < len(events) or partitions.count(None) < len(events):
            return None
        return cls(keys, values)


def _batches(keys: list[bytes], values: list[bytes], now_ms: int) -> list[ProducedBatch]:
    """Return the batches of a partition's events, each as large as allowed."""
    number = len(keys)
    size_bytes = HEADER_BYTES + EVENT_BYTES * number + sum(map(len, keys)) + sum(map(len, values))
    if size_bytes <= BATCH_BYTES:
        return [ProducedBatch(EventColumns(range(number), [now_ms] * number, keys, values), size_bytes)]
    sizes = map(sum, zip(map(len, keys), map(len, values), repeat(EVENT_BYTES), strict=False))
    upto = [0, *accumulate(sizes)]
    batches = []
    start = 0
    while start < number:
        room = BATCH_BYTES - HEADER_BYTES + upto[start]
        end = max(start + 1, bisect_right(upto, room) - 1)
        some = end - start
        columns = EventColumns(range(some), [now_ms] * some, keys[start:end], values[start:end])
        batches.append(ProducedBatch(columns, HEADER_BYTES + upto[end] - upto[start]))
        start = end
    return batches


class _Filling:
    """The batches that are being filled for one partition."""

    __slots__ = ("_full", "partition", "run", "runs", "size")

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.run: list[Record] = []
        self.runs = [self.run]
        self.size = HEADER_BYTES
        self._full: list[int] = []

    def turn(self) -> list[Record]:
        """Start the next batch."""
        self._full.append(self.size)
        self.run = []
        self.runs.append(self.run)
        self.size = HEADER_BYTES
        return self.run

    @property
    def sizes(self) -> list[int]:
        """The size of each batch in bytes."""
        return [*self._full, self.size]


def _is_plain(event: NewEvent) -> bool:
    """True if an event needs no further checks: key and value of plain types, and nothing else."""
    return (
        type(event) is NewEvent
        and type(event.value) in PLAIN
        and type(event.key) in PLAIN
        and not (event.headers or event.timestamp_ms is not None or event.partition is not None)
    )


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
    """Return an event to append, with text encoded as UTF-8."""
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
