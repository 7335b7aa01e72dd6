"""Requests about thousands of partitions are answered in steps, and others are answered between."""

from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.wire import time_slices
from sandbox.wire.apis import configs, log_dirs, log_offsets, metadata, transaction_descriptions
from sandbox.wire.apis.produce import LARGE_EVENTS
from sandbox.wire.connection import Slot
from sandbox.wire.records.batch import encode_batch
from sandbox.wire.time_slices import Steps, TimeSlices
from tests.conftest import Connect
from tests.disk import read_only_disk
from tests.waiting import eventually
from tests.wire.raw_client import (
    API_VERSIONS,
    CREATE_TOPICS,
    LIST_OFFSETS,
    METADATA,
    PRODUCE,
    RawClient,
    produce_body,
    rows,
)

LEADER_EPOCHS, DESCRIBE_CONFIGS, LOG_DIRS, DESCRIBE_PRODUCERS = 23, 32, 35, 61
TOPICS, PARTITIONS = 30, 20
NAMES = [f"topic-{number:02}" for number in range(TOPICS)]
NUMBERS = range(PARTITIONS)
ASKED: dict[str, tuple[int, int, dict[str, Any]]] = {
    "Metadata of everything": (METADATA, 12, {"topics": None}),
    "Metadata of named topics": (METADATA, 12, {"topics": [{"name": name, "topic_id": None} for name in NAMES]}),
    "DescribeConfigs": (
        DESCRIBE_CONFIGS,
        4,
        {"resources": [{"resource_type": 2, "resource_name": name, "configuration_keys": None} for name in NAMES]},
    ),
    "DescribeLogDirs": (LOG_DIRS, 4, {"topics": None}),
    "DescribeProducers": (
        DESCRIBE_PRODUCERS,
        0,
        {"topics": [{"name": name, "partition_indexes": list(NUMBERS)} for name in NAMES]},
    ),
    "ListOffsets": (
        LIST_OFFSETS,
        7,
        {
            "replica_id": -1,
            "topics": [
                {
                    "name": name,
                    "partitions": [
                        {"partition_index": number, "current_leader_epoch": -1, "timestamp": 0} for number in NUMBERS
                    ],
                }
                for name in NAMES
            ],
        },
    ),
    "OffsetForLeaderEpoch": (
        LEADER_EPOCHS,
        4,
        {
            "replica_id": -1,
            "topics": [
                {
                    "topic": name,
                    "partitions": [
                        {"partition": number, "current_leader_epoch": -1, "leader_epoch": 0} for number in NUMBERS
                    ],
                }
                for name in NAMES
            ],
        },
    ),
}
"""Requests about all partitions: API key, version and body."""


@pytest.fixture
def wide(served: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox with 600 partitions, in which each step of a long answer has its own turn."""
    for name in NAMES:
        served.create_topic(name, partitions=PARTITIONS)
    monkeypatch.setattr(time_slices, "TURN_SECONDS", 1e-9)
    monkeypatch.setattr(configs, "RESOURCES_PER_STEP", 1)
    return served


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """API keys in the order in which the requests were answered."""
    keys: dict[Slot, int] = {}
    order: list[int] = []
    asked, answer = Slot.asked, Slot.set

    def seen(slot: Slot, key: int, client_id: str | None) -> Any:
        keys[slot] = key
        return asked(slot, key, client_id)

    def noted(slot: Slot, *given: Any) -> None:
        order.append(keys[slot])
        answer(slot, *given)

    monkeypatch.setattr(Slot, "asked", seen)
    monkeypatch.setattr(Slot, "set", noted)
    return order


def after_the_first_step(monkeypatch: pytest.MonkeyPatch, call: Any) -> None:
    """Call a function when the first step of a long answer is done, in the thread that serves."""
    run = TimeSlices.run

    def then(slices: TimeSlices, steps: Steps, *, from_memory: bool = False) -> bool:
        call()
        return run(slices, steps, from_memory=from_memory)

    monkeypatch.setattr(TimeSlices, "run", then)


@pytest.mark.parametrize("asked", ASKED)
def test_another_client_is_answered_between_the_steps(
    wide: Sandbox, connect: Connect, answered: list[int], monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    key, version, body = ASKED[asked]
    client, other = connect(), connect()
    after_the_first_step(monkeypatch, lambda: other.send(API_VERSIONS, 0, {}))
    client.ask(key, version, body)
    assert len(other.receive().api_keys) > 50
    assert answered == [API_VERSIONS, key]


@pytest.mark.parametrize("asked", ASKED)
def test_an_answer_in_steps_is_the_same_as_one_in_a_single_step(
    wide: Sandbox, client: RawClient, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    client.produce(NAMES[3], rows(b"one", b"two"), partition=7)
    key, version, body = ASKED[asked]
    in_steps = client.ask(key, version, body)
    for module in (metadata, log_dirs, transaction_descriptions):
        monkeypatch.setattr(module, "PARTITIONS_PER_STEP", 10**6)
    monkeypatch.setattr(log_offsets, "LOOK_UPS_PER_STEP", 10**6)
    monkeypatch.setattr(configs, "RESOURCES_PER_STEP", 10**6)
    at_once = client.ask(key, version, body)
    assert without_free_space(in_steps) == without_free_space(at_once)


def without_free_space(answer: SimpleNamespace) -> SimpleNamespace:
    """Remove what differs between two answers anyway."""
    del answer.correlation_id
    for result in getattr(answer, "results", ()):
        vars(result).pop("usable_bytes", None)
    return answer


@pytest.mark.parametrize("version", range(14))
def test_every_version_of_metadata_has_all_partitions(wide: Sandbox, client: RawClient, version: int) -> None:
    found = client.ask(METADATA, version, {"topics": [] if version == 0 else None}).topics
    assert [(one.name, len(one.partitions)) for one in found if not one.is_internal] == [
        (name, PARTITIONS) for name in NAMES
    ]


def many_events(count: int = LARGE_EVENTS + 1, **batch: Any) -> bytes:
    return encode_batch(0, [(number, 1, None, b"x", ()) for number in range(count)], **batch)


def test_another_client_is_answered_while_a_batch_of_many_events_is_decoded(
    wide: Sandbox, connect: Connect, answered: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, other = connect(), connect()
    after_the_first_step(monkeypatch, lambda: other.send(API_VERSIONS, 0, {}))
    assert client.produce(NAMES[0], many_events()).base_offset == 0
    assert len(other.receive().api_keys) > 50
    assert answered == [API_VERSIONS, PRODUCE]
    assert wide.end_offsets(NAMES[0])[0] == LARGE_EVENTS + 1
    assert [event.value for event in wide.read(NAMES[0], partition=0, offset=LARGE_EVENTS)] == [b"x"]


def test_batches_of_many_events_are_appended_in_turns_of_their_own_and_checked_as_others(
    wide: Sandbox, client: RawClient
) -> None:
    large, broken = many_events(compression=4), bytearray(many_events())
    broken[-1] ^= 1
    records = [large, bytes(broken), encode_batch(0, [(0, 1, None, b"one", ())]), large]
    data = [{"index": number, "records": one} for number, one in enumerate(records)]
    asked = [{"name": NAMES[0], "partition_data": data}, {"name": "absent", "partition_data": data[:1]}]
    commits = wide._runtime.database.commits
    body = {"transactional_id": None, "timeout_ms": 9_000, "topic_data": asked, "acks": -1}
    found = [[one.error_code for one in topic.partition_responses] for topic in client.ask(PRODUCE, 11, body).responses]
    assert found == [[0, 2, 0, 0], [3]]
    assert wide._runtime.database.commits >= commits + 2
    assert [wide.end_offsets(NAMES[0])[number] for number in range(4)] == [LARGE_EVENTS + 1, 0, 1, LARGE_EVENTS + 1]


def test_a_batch_of_many_events_without_acknowledgement_is_stored_though_its_client_leaves(
    wide: Sandbox, connect: Connect
) -> None:
    client, other = connect(), connect()
    client.send(PRODUCE, 11, produce_body(NAMES[0], many_events(), acks=0), answered=False)
    client.close()
    eventually(lambda: wide.end_offsets(NAMES[0])[0] == LARGE_EVENTS + 1, 10, "the events are stored")
    other.api_versions()


def test_a_batch_of_many_events_whose_client_was_disconnected_by_a_restore_is_not_stored(
    wide: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, ports = connect(), wide._runtime.kafka
    assert ports is not None
    with monkeypatch.context() as patch:
        after_the_first_step(patch, ports.disconnect)
        client.send(PRODUCE, 11, produce_body(NAMES[0], many_events()))
        with pytest.raises((EOFError, OSError)):
            client.receive()
    assert connect().produce(NAMES[1], many_events()).base_offset == 0
    assert wide.end_offsets(NAMES[0])[0] == 0


def test_a_later_request_of_the_same_connection_is_handled_after_the_answer(
    wide: Sandbox, client: RawClient, answered: list[int]
) -> None:
    client.send(METADATA, 12, {"topics": None})
    fields = {"num_partitions": 1, "replication_factor": 1, "assignments": [], "configs": []}
    client.send(CREATE_TOPICS, 5, {"topics": [{"name": "later", **fields}], "timeout_ms": 9_000})
    assert "later" not in {one.name for one in client.receive().topics}
    assert client.receive().topics[0].error_code == 0
    assert answered == [METADATA, CREATE_TOPICS]


def test_a_topic_that_is_deleted_between_the_steps_is_left_out_and_not_created_again(
    wide: Sandbox, client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = wide._runtime.broker

    def delete() -> None:
        if NAMES[-1] in broker.topics:
            broker.delete_topic(NAMES[-1], 0)

    after_the_first_step(monkeypatch, delete)
    for asked in ("Metadata of everything", "Metadata of named topics"):
        found = client.ask(METADATA, 12, {**ASKED[asked][2], "allow_auto_topic_creation": True}).topics
        assert [one.name for one in found if one.error_code == 0 and not one.is_internal] == NAMES[:-1]
    assert NAMES[-1] not in broker.topics


def test_what_a_long_answer_creates_is_created_in_its_first_step(wide: Sandbox, client: RawClient) -> None:
    asked = [{"name": name, "topic_id": None} for name in (*NAMES, "new", "no name")]
    commits = wide._runtime.database.commits
    found = client.ask(METADATA, 12, {"topics": asked, "allow_auto_topic_creation": True}).topics
    assert [(one.name, one.error_code) for one in found] == [(name, 0) for name in (*NAMES, "new")] + [("no name", 17)]
    assert wide._runtime.database.commits == commits + 1
    assert "new" in {topic.topic for topic in wide.topics()}


def test_hundreds_of_topics_are_created_in_slices_before_they_are_described(wide: Sandbox, client: RawClient) -> None:
    names = [f"new-{number}" for number in range(120)]
    asked = [{"name": name, "topic_id": None} for name in (*names, "no name", NAMES[0])]
    commits = wide._runtime.database.commits
    found = client.ask(METADATA, 12, {"topics": asked, "allow_auto_topic_creation": True}).topics
    errors = {one.name: one.error_code for one in found}
    assert errors == {**dict.fromkeys(names, 0), "no name": 17, NAMES[0]: 0}
    assert wide._runtime.database.commits >= commits + 3
    assert set(names) < {topic.topic for topic in wide.topics()}
    found = client.ask(METADATA, 12, {"topics": [{"name": f"no-{one}"} for one in names]}).topics
    assert {one.error_code for one in found} == {0}
    found = client.ask(
        METADATA, 12, {"topics": [{"name": f"never-{one}"} for one in names], "allow_auto_topic_creation": False}
    ).topics
    assert {one.error_code for one in found} == {3}


def test_a_topic_that_could_not_be_stored_is_not_in_a_long_answer(wide: Sandbox, client: RawClient) -> None:
    asked = [{"name": name, "topic_id": None} for name in (*NAMES, "new")]
    with read_only_disk(wide):
        found = client.ask(METADATA, 12, {"topics": asked, "allow_auto_topic_creation": True}).topics
    assert "new" not in {one.name for one in found if one.error_code == 0}
    assert "new" not in {topic.topic for topic in wide.topics()}


def test_a_client_that_leaves_ends_its_answer(wide: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    described: list[str] = []
    describe = metadata._describe_metadata
    client, other = connect(), connect()

    def counted(request: Any, topic: Any) -> Any:
        described.append(topic.name)
        if len(described) == 1:
            client.close()
        return describe(request, topic)

    monkeypatch.setattr(metadata, "_describe_metadata", counted)
    monkeypatch.setattr(metadata, "PARTITIONS_PER_STEP", 1)
    client.send(METADATA, 12, {"topics": None})
    ports = wide._runtime.kafka
    assert ports is not None
    eventually(lambda: described and not ports._slices.answers, 10, "the answer has ended")
    assert len(described) < TOPICS
    other.api_versions()


def test_a_throttle_time_is_in_an_answer_in_steps_too(wide: Sandbox, client: RawClient) -> None:
    wide.faults.inject(api="Metadata", throttle_ms=70)
    assert client.ask(METADATA, 12, {"topics": None}).throttle_time_ms == 70
