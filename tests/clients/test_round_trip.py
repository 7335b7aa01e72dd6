"""Every client library writes to the sandbox and reads back the same bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import pytest

from tests.clients.catalogue import CLIENTS, CONFLUENT, KCAT, Client
from tests.clients.conftest import Kafka, Start
from tests.clients.events import decode, encode, every_shape, plain, sequence
from tests.clients.offsets import committed_offsets, end_offsets
from tests.clients.programs.lines import Event, Headers, Read
from tests.clients.waiting import eventually
from tests.wire.raw_client import RawClient

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]

PARTITIONS = 3
WAYS = [
    pytest.param(client, way, id=f"{client.name}-{way}")
    for client in CLIENTS
    for way in (*client.compressions, "idempotent")
]
PAIRS = [
    pytest.param(writer, reader, id=f"{writer.name}-to-{reader.name}")
    for writer, reader in zip(CLIENTS, (*CLIENTS[1:], CLIENTS[0]), strict=True)
]


@pytest.mark.parametrize(("client", "way"), WAYS)
def test_a_client_reads_back_the_bytes_it_wrote(
    kafka: Kafka, program: Start, unique: Callable[[str], str], client: Client, way: str
) -> None:
    topic, group = unique("round-trip"), unique("readers")
    events = plain(1000) if client.plain else every_shape(1000, null_headers=client.writes_null_headers)
    program(client if client.creates_topics else CONFLUENT).ask(do="create_topic", topic=topic, partitions=PARTITIONS)
    compression, idempotent = ("none", True) if way == "idempotent" else (way, False)
    produced = program(client).ask(
        do="produce", topic=topic, compression=compression, idempotent=idempotent, events=encode(events)
    )
    assert produced == {"produced": 1000}

    found = decode(program(client).ask(do="read", topic=topic, group=group, count=1000)["events"])

    ends = end_offsets(kafka.bootstrap, topic, PARTITIONS)
    assert sum(ends.values()) == 1000
    assert min(ends.values()) > 0, "the keys did not reach every partition"
    assert _contents(found, client) == _contents(events, client)
    _assert_in_order(found, ends)
    assert committed_offsets(kafka.bootstrap, group) == ends


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
def test_a_client_reads_what_another_one_wrote(
    kafka: Kafka, program: Start, unique: Callable[[str], str], writer: Client, reader: Client
) -> None:
    topic, events = unique("pair"), plain(300)
    compression = [each for each in writer.compressions if each in reader.compressions][-1]
    program(CONFLUENT).ask(do="create_topic", topic=topic, partitions=PARTITIONS)
    _await_leaders(kafka, topic)
    program(writer).ask(do="produce", topic=topic, compression=compression, idempotent=False, events=encode(events))

    found = decode(program(reader).ask(do="read", topic=topic, group=unique("readers"), count=300)["events"])

    assert _contents(found, KCAT) == _contents(events, KCAT)


def _await_leaders(kafka: Kafka, topic: str) -> None:
    """Wait until every partition can be written: a writer without idempotence repeats what failed for some of them."""
    raw = RawClient(kafka.bootstrap)
    for partition in range(PARTITIONS):
        eventually(
            lambda partition=partition: raw.list_offset(topic, -1, partition=partition).error_code == 0,  # type: ignore[misc]
            20,
            lambda: "a partition has no leader",
        )
    raw.close()


def _contents(events: list[Event] | list[Read], client: Client) -> list[tuple[object, ...]]:
    """What must survive, in the order of producing; a plain client chooses its own timestamps."""
    ordered: list[Event | Read] = sorted(events, key=sequence)
    return [
        (
            None if client.plain else event.timestamp_ms,
            event.key,
            event.value,
            event.headers if client.keeps_header_order else _by_name(event.headers),
        )
        for event in ordered
    ]


def _by_name(headers: Headers) -> Headers:
    return sorted(headers, key=lambda pair: pair[0])


def _assert_in_order(found: list[Read], ends: dict[int, int]) -> None:
    partitions: dict[int, list[Read]] = defaultdict(list)
    for event in found:
        partitions[event.partition].append(event)
    for number, events in partitions.items():
        assert [event.offset for event in events] == list(range(ends[number]))
        sequences = [sequence(event) for event in events]
        assert sequences == sorted(sequences)
