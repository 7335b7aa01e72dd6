"""Encoding in advance for readers of rows, alone and through the port."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.broker.logs.log import Log
from sandbox.broker.logs.topic import Partition
from sandbox.kafka.errors import CODE
from sandbox.kafka.event import NewEvent
from sandbox.storage.log.log import BatchRow
from sandbox.wire.batch_cache import BatchCache
from sandbox.wire.fetch_records import read_records
from sandbox.wire.node import Node
from sandbox.wire.read_ahead import FORGOTTEN_MS, PIECE_BYTES_MAX, ReadAhead, ReadPosition
from tests.clock import Clock
from tests.storage.damage import damage
from tests.waiting import eventually
from tests.wire.raw_client import RawClient, records_of

BATCHES = 9
EVENTS = 60
LIMIT = 12_000
"""Two batches."""
HERE = ReadPosition(1, 100, False)


@pytest.fixture
def cold(file: Path, clock: Clock) -> Iterator[Sandbox]:
    """A served sandbox whose events are in rows alone."""
    with Sandbox(file, clock=clock) as sandbox:
        sandbox.create_topic("orders", settings={"cleanup.policy": "compact"})
        for _ in range(BATCHES):
            sandbox.append_many("orders", [NewEvent(b"v" * 80, b"key-%d" % at) for at in range(EVENTS)])
    with Sandbox(file, clock=clock) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        yield sandbox


@pytest.fixture
def reader(cold: Sandbox) -> Iterator[RawClient]:
    """A client of `cold`."""
    client = RawClient(cold.kafka_address or "")
    yield client
    client.close()


def ahead_of(sandbox: Sandbox) -> ReadAhead:
    assert sandbox._runtime.kafka is not None
    return sandbox._runtime.kafka._cache.ahead


def is_ready(sandbox: Sandbox) -> bool:
    ahead = ahead_of(sandbox)
    return bool(ahead._pieces) and not ahead.unfinished


def offsets(client: RawClient, offset: int, **limits: int) -> list[int]:
    return [row[0] for row in records_of(client.fetch("orders", offset, **limits))]


def test_the_next_answer_is_made_while_the_client_works_on_this_one(
    cold: Sandbox, reader: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = offsets(reader, 0, max_bytes=LIMIT)
    assert first == list(range(2 * EVENTS))
    eventually(lambda: is_ready(cold), what="nothing was encoded in advance")
    read: list[int] = []
    real = Log.runs

    def runs(self: Log, partition: Partition, offset: int, size_bytes_max: int, end: int) -> list[list[BatchRow]]:
        read.append(offset)
        return real(self, partition, offset, size_bytes_max, end)

    monkeypatch.setattr(Log, "runs", runs)
    assert offsets(reader, 2 * EVENTS, max_bytes=LIMIT) == list(range(2 * EVENTS, 4 * EVENTS))
    eventually(lambda: read, what="the answer after that was not made")
    assert min(read) == 4 * EVENTS, "only the one after it was read"


def test_all_events_come_once_and_in_order(cold: Sandbox, reader: RawClient) -> None:
    found: list[int] = []
    while found[-1:] != [BATCHES * EVENTS - 1]:
        found += offsets(reader, len(found), max_bytes=LIMIT)
        eventually(lambda: not ahead_of(cold).unfinished)
    assert found == list(range(BATCHES * EVENTS))
    assert ahead_of(cold).size_bytes == 0


def test_nothing_is_encoded_for_a_reader_that_has_come_to_the_end(cold: Sandbox, reader: RawClient) -> None:
    offsets(reader, 0)
    offsets(reader, (BATCHES - 1) * EVENTS, max_bytes=LIMIT)
    reader.api_versions()
    eventually(lambda: not ahead_of(cold).unfinished)
    assert ahead_of(cold).size_bytes == 0


def test_what_compaction_took_is_not_given_out_from_what_was_made_before(cold: Sandbox, reader: RawClient) -> None:
    offsets(reader, 0, max_bytes=LIMIT)
    eventually(lambda: is_ready(cold))
    assert cold.logs.compact("orders") > 0
    assert ahead_of(cold).size_bytes == 0
    kept = [event.offset for event in cold.read("orders", offset=0, limit=1000)]
    assert [one for one in offsets(reader, 2 * EVENTS) if one >= 2 * EVENTS] == [
        one for one in kept if one >= 2 * EVENTS
    ]


def test_a_damaged_batch_ahead_is_told_when_it_is_asked_for(file: Path, clock: Clock) -> None:
    with Sandbox(file, clock=clock) as sandbox:
        sandbox.create_topic("orders")
        for batch in range(6):
            sandbox.append_many("orders", [NewEvent(b"%d" % batch * 80) for _ in range(EVENTS)])
    damage(file, f"UPDATE events SET value = 'other' WHERE id % {1 << 40} = {2 * EVENTS + 1}")
    with Sandbox(file, clock=clock) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        client = RawClient(sandbox.kafka_address or "")
        assert offsets(client, 0, max_bytes=LIMIT) == list(range(2 * EVENTS))
        eventually(lambda: not ahead_of(sandbox).unfinished)
        assert client.fetch("orders", 2 * EVENTS, max_bytes=LIMIT).error_code == CODE["CORRUPT_MESSAGE"]
        client.close()


def put(ahead: ReadAhead, place: ReadPosition, *batches: bytes, size_bytes_max: int = 100, now_ms: int = 0) -> bool:
    """Encode batches of one event each for a reader; False if there is no room."""
    piece = ahead.begin(place, size_bytes_max, now_ms)
    if piece is None:
        return False
    for number, batch in enumerate(batches, 1):
        ahead.add(piece, batch, place.offset + number)
    ahead.complete(place, piece)
    return True


def taken(
    ahead: ReadAhead, place: ReadPosition, end: int = 200, size_bytes_max: int = 100, *, first: bool = True
) -> list[bytes]:
    return [batch for batch, _ in ahead.take(place, end, size_bytes_max, first=first)]


def test_what_was_encoded_is_given_out_once_to_a_reader_that_may_read_it() -> None:
    ahead = ReadAhead()
    put(ahead, HERE, b"12345", b"678")
    assert ahead.size_bytes == 8
    assert taken(ahead, HERE._replace(stable=True)) == []
    assert taken(ahead, HERE) == [b"12345", b"678"]
    assert (taken(ahead, HERE), ahead.size_bytes) == ([], 0)


def test_what_a_reader_does_not_take_is_kept_for_its_next_request() -> None:
    ahead = ReadAhead()
    put(ahead, HERE, b"12345", b"678")
    assert taken(ahead, HERE, 100) == [], "it may not read that far yet"
    assert taken(ahead, HERE, size_bytes_max=4, first=False) == []
    assert ahead.size_bytes == 8
    assert taken(ahead, HERE, size_bytes_max=4) == [b"12345"], "the first batch of an answer may be larger"
    assert ahead.size_bytes == 3
    assert taken(ahead, HERE._replace(offset=101)) == [b"678"]
    assert ahead.size_bytes == 0


def test_what_a_reader_leaves_does_not_replace_the_piece_of_a_reader_that_is_there() -> None:
    ahead = ReadAhead()
    there = HERE._replace(offset=101)
    put(ahead, HERE, b"12345", b"678")
    put(ahead, there, b"another")
    assert taken(ahead, HERE, size_bytes_max=5) == [b"12345"]
    assert taken(ahead, there) == [b"another"]
    assert ahead.size_bytes == 0


def test_a_partition_is_forgotten_and_so_is_everything() -> None:
    cache = BatchCache()
    for partition_id in (1, 2):
        put(cache.ahead, HERE._replace(partition_id=partition_id), b"1234")
    cache.skip(1)
    assert cache.ahead.size_bytes == 4
    assert taken(cache.ahead, HERE._replace(partition_id=2)) == [b"1234"]
    piece = cache.ahead.begin(HERE, 100, 0)
    assert piece is not None
    cache.clear()
    assert (cache.ahead.size_bytes, cache.ahead.unfinished) == (0, 0)
    assert piece.dropped, "so that nothing more is encoded for it"
    cache.ahead.complete(HERE, piece)
    assert cache.ahead.size_bytes == 0


def test_no_more_is_encoded_than_there_is_room_for_until_it_is_forgotten() -> None:
    ahead = ReadAhead(bytes_max=10)
    there = [HERE._replace(offset=one) for one in range(3)]
    first = ahead.begin(there[0], 5, 0)
    assert first is not None
    assert not put(ahead, there[0], size_bytes_max=5), "it is being encoded already"
    assert ahead.begin(there[1], 5, 0) is not None
    assert not put(ahead, there[2], size_bytes_max=1)
    assert ahead.size_bytes == 10
    ahead.complete(there[0], first)
    assert ahead.size_bytes == 5, "nothing came of it"
    assert put(ahead, there[0], b"1234", size_bytes_max=5)
    assert ahead.size_bytes == 9
    assert not put(ahead, there[2], size_bytes_max=3, now_ms=FORGOTTEN_MS)
    assert put(ahead, there[2], b"1", size_bytes_max=3, now_ms=FORGOTTEN_MS + 1)
    assert taken(ahead, there[0]) == []


def test_a_reader_gets_at_most_one_piece_of_bounded_size() -> None:
    piece = ReadAhead().begin(HERE, 50 * PIECE_BYTES_MAX, 0)
    assert piece is not None
    assert piece.reserved_bytes == PIECE_BYTES_MAX


def test_forty_readers_have_no_more_made_than_there_is_room_for(file: Path, clock: Clock) -> None:
    with Sandbox(file, clock=clock) as sandbox:
        sandbox.create_topic("orders", partitions=40)
        for partition in range(40):
            sandbox.append_many("orders", [NewEvent(b"v" * 80, partition=partition) for _ in range(4 * EVENTS)])
    with Sandbox(file, clock=clock) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        ahead_of(sandbox).bytes_max = 3 * LIMIT
        client = RawClient(sandbox.kafka_address or "")
        for partition in range(40):
            client.fetch("orders", 0, partition=partition, max_bytes=LIMIT)
            assert ahead_of(sandbox).size_bytes <= 3 * LIMIT
        client.close()


def read_whole(node: Node, partition: Partition, size_bytes_max: int) -> list[bytes]:
    steps = read_records(node, partition, 0, size_bytes_max)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: list[bytes] = end.value
            return found


def test_an_answer_without_events_is_one(file: Path, clock: Clock) -> None:
    """Compaction took all that was before an open transaction."""
    with Sandbox(file, clock=clock) as sandbox:
        sandbox.create_topic("orders", settings={"cleanup.policy": "compact"})
        sandbox.append_many("orders", [NewEvent(b"v" * 80, b"key") for _ in range(2 * EVENTS)])
        sandbox.append("orders", b"last", key=b"key")
        sandbox.logs.compact("orders")
        sandbox.append("orders", b"later", key=b"other")
    with Sandbox(file, clock=clock) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        client = RawClient(sandbox.kafka_address or "")
        partition = sandbox._broker.topic("orders").partitions[0]
        node = sandbox._runtime.kafka._doors["PLAINTEXT"].servers[1].node  # type: ignore[union-attr]
        partition.high_watermark, there = 5, partition.high_watermark
        assert read_whole(node, partition, LIMIT) == []
        partition.high_watermark = there
        client.close()


def test_what_is_compacted_while_every_port_is_closed_is_not_given_out(file: Path, clock: Clock) -> None:
    with Sandbox(file, clock=clock, brokers=2) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        cache = sandbox._runtime.kafka._cache  # type: ignore[union-attr]
        sandbox.create_topic("orders", replication_factor=2, settings={"cleanup.policy": "compact"})
        sandbox.append_many("orders", [NewEvent(b"v" * 80, b"key") for _ in range(EVENTS)])
        for _ in range(2):
            sandbox.append("orders", b"later", key=b"key")
        partition = sandbox._broker.topic("orders").partitions[0]
        put(cache.ahead, ReadPosition(partition.id, 0, False), b"old")
        for broker in (1, 2):
            sandbox.brokers.stop(broker)
        assert sandbox.logs.compact("orders") > 0
        assert cache.ahead.size_bytes == 0
