"""Share groups (KIP-932) as confluent-kafka's ShareConsumer and single requests see them, on both brokers."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from confluent_kafka import AcknowledgeType, Consumer, Producer, ShareConsumer
from confluent_kafka.admin import AdminClient, NewTopic

from sandbox.kafka.errors import BY_CODE
from tests.clients.catalogue import ClientUnavailableError, go, java
from tests.clients.conftest import Kafka
from tests.clients.raw_requests import RawClient
from tests.clients.sandbox_process import started_sandbox

pytestmark = [pytest.mark.clients, pytest.mark.timeout(120)]

WITHIN_S = 40
GROUP_CONFIG, SET = 32, 0
GAP, ACCEPT, RELEASE, REJECT, RENEW = range(5)


@pytest.fixture
def raw(kafka: Kafka) -> Iterator[RawClient]:
    with RawClient(kafka.bootstrap) as found:
        yield found


class Queue:
    """One topic of one partition and a share group that reads it from its start."""

    def __init__(self, kafka: Kafka, raw: RawClient, name: str, *, existing: bool = False, **settings: str) -> None:
        self.kafka, self.raw, self.topic, self.group = kafka, raw, name, f"{name}-group"
        if not existing:
            admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
            admin.create_topics([NewTopic(name, 1)])[name].result()
        for setting, value in {"share.auto.offset.reset": "earliest", **settings}.items():
            assert self.set(setting, value).error_code == 0
        self.epoch: dict[str, int] = {}
        self.id = UUID(int=0)

    def set(self, setting: str, value: str) -> SimpleNamespace:
        config = {"name": setting, "config_operation": SET, "value": value}
        resource = {"resource_type": GROUP_CONFIG, "resource_name": self.group, "configs": [config]}
        (found,) = self.raw.ask("IncrementalAlterConfigs", 1, resources=[resource]).responses
        return found  # type: ignore[no-any-return]

    def produce(self, *values: str) -> None:
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap})
        for value in values:
            producer.produce(self.topic, value)
        producer.flush()

    def consumer(self, **more: Any) -> ShareConsumer:
        settings = {"bootstrap.servers": self.kafka.bootstrap, "group.id": self.group}
        consumer = ShareConsumer({**settings, **more})
        consumer.subscribe([self.topic])
        return consumer

    def join(self, member: str) -> SimpleNamespace:
        """Join with heartbeats until the partition is assigned."""
        deadline = time.monotonic() + WITHIN_S
        epoch, topics = 0, [self.topic]
        while time.monotonic() < deadline:
            fields = {"group_id": self.group, "member_id": member, "member_epoch": epoch}
            answer = self.raw.ask("ShareGroupHeartbeat", 1, **fields, subscribed_topic_names=topics)
            assert answer.error_code == 0, answer
            epoch = answer.member_epoch
            if answer.assignment is not None and answer.assignment.topic_partitions:
                self.id = answer.assignment.topic_partitions[0].topic_id
                self.epoch[member] = 0
                return answer
            time.sleep(0.05)  # Between heartbeats, as a client does.
        raise AssertionError("nothing was assigned")

    def fetch(
        self,
        member: str,
        *batches: tuple[int, int, int],
        most: int = 100,
        wait_ms: int = 5_000,
        epoch: int | None = None,
        mode: int = 0,
    ) -> SimpleNamespace:
        """Fetch, and acknowledge (first, last, type) batches."""
        sent = self.epoch[member] if epoch is None else epoch
        found = self.raw.ask(
            "ShareFetch",
            2,
            group_id=self.group,
            member_id=member,
            share_session_epoch=sent,
            max_wait_ms=wait_ms,
            min_bytes=1,
            max_bytes=5_000_000,
            max_records=most,
            batch_size=most,
            share_acquire_mode=mode,
            topics=[self._topic(batches)],
            forgotten_topics_data=[],
        )
        if found.error_code == 0:
            self.epoch[member] = sent + 1
        return found

    def acknowledge(
        self, member: str, *batches: tuple[int, int, int], epoch: int | None = None, renews: bool = False
    ) -> SimpleNamespace:
        sent = self.epoch[member] if epoch is None else epoch
        found = self.raw.ask(
            "ShareAcknowledge",
            2,
            group_id=self.group,
            member_id=member,
            share_session_epoch=sent,
            is_renew_ack=renews,
            topics=[self._topic(batches)],
        )
        if found.error_code == 0:
            self.epoch[member] = sent + 1
        return found

    def _topic(self, batches: tuple[tuple[int, int, int], ...]) -> dict[str, Any]:
        listed = [{"first_offset": a, "last_offset": b, "acknowledge_types": [kind]} for a, b, kind in batches]
        return {"topic_id": self.id, "partitions": [{"partition_index": 0, "acknowledgement_batches": listed}]}

    def acquired(self, member: str, *batches: tuple[int, int, int], **more: Any) -> list[tuple[int, int, int]]:
        answer = self.fetch(member, *batches, **more)
        assert answer.error_code == 0, BY_CODE[answer.error_code].name
        return [
            (one.first_offset, one.last_offset, one.delivery_count)
            for topic in answer.responses
            for partition in topic.partitions
            for one in partition.acquired_records
        ]


Make = Callable[..., Queue]


@pytest.fixture
def make(kafka: Kafka, raw: RawClient, unique: Callable[[str], str]) -> Make:
    return lambda **settings: Queue(kafka, raw, unique("queue"), **settings)


def member_id() -> str:
    return str(uuid4())


def headers_of(message: Any) -> list[tuple[str, bytes | None]]:
    return list(message.headers() or ())


def error_of(answer: SimpleNamespace) -> str:
    """The first error of a ShareAcknowledge answer's partitions."""
    assert answer.error_code == 0, BY_CODE[answer.error_code].name
    return BY_CODE[answer.responses[0].partitions[0].error_code].name


def poll(consumer: ShareConsumer, wanted: int) -> list[Any]:
    found: list[Any] = []
    deadline = time.monotonic() + WITHIN_S
    while len(found) < wanted and time.monotonic() < deadline:
        found += [one for one in consumer.poll(0.5) or [] if one.error() is None]
    return found


def test_a_share_consumer_accepts_releases_and_rejects(make: Make) -> None:
    queue = make()
    queue.produce(*map(str, range(6)))
    consumer = queue.consumer(**{"share.acknowledgement.mode": "explicit"})
    for message in poll(consumer, 6):
        kinds = AcknowledgeType.ACCEPT, AcknowledgeType.RELEASE, AcknowledgeType.REJECT
        consumer.acknowledge(message, kinds[message.offset() % 3])
    consumer.commit_sync(10)
    again = poll(consumer, 2)
    assert sorted((one.value(), one.delivery_count()) for one in again) == [(b"1", 2), (b"4", 2)]
    for message in again:
        consumer.acknowledge(message, AcknowledgeType.ACCEPT)
    consumer.commit_sync(10)
    consumer.close()


def test_two_share_consumers_of_one_partition_share_its_records(make: Make) -> None:
    queue = make()
    consumers = [queue.consumer() for _ in range(2)]
    seen: list[set[bytes | None]] = [set(), set()]
    deadline = time.monotonic() + WITHIN_S
    number = 0
    while not all(seen) and time.monotonic() < deadline:
        queue.produce(*(str(number + one) for one in range(5)))
        number += 5
        for consumer, values in zip(consumers, seen, strict=True):
            values.update(one.value() for one in consumer.poll(0.2) or [] if one.error() is None)
    while len(seen[0] | seen[1]) < number and time.monotonic() < deadline:
        for consumer, values in zip(consumers, seen, strict=True):
            values.update(one.value() for one in consumer.poll(0.2) or [] if one.error() is None)
    for consumer in consumers:
        consumer.close()
    assert all(seen)
    assert not seen[0] & seen[1]
    assert len(seen[0] | seen[1]) == number


def test_what_one_member_has_another_does_not_get(make: Make) -> None:
    queue, a, b = make(), member_id(), member_id()
    queue.produce(*"abcdef")
    queue.join(a)
    queue.join(b)
    first = queue.acquired(a, most=2, mode=1)
    assert (first[0][0], first[-1][1]) == (0, 1)
    assert queue.acquired(b) == [(2, 5, 1)]
    assert queue.acquired(b, wait_ms=50) == []


def test_a_released_record_is_delivered_again_and_counted(make: Make) -> None:
    queue, a = make(), member_id()
    queue.produce(*"abc")
    queue.join(a)
    assert queue.acquired(a) == [(0, 2, 1)]
    assert queue.acquired(a, (0, 0, ACCEPT), (1, 1, RELEASE), (2, 2, REJECT)) == [(1, 1, 2)]
    assert error_of(queue.acknowledge(a, (1, 1, ACCEPT))) == "NONE"
    assert queue.acquired(a, wait_ms=50) == []


def test_the_last_delivery_ends_in_the_archive(make: Make) -> None:
    queue, a = make(**{"share.delivery.count.limit": "2"}), member_id()
    queue.produce("a")
    queue.join(a)
    assert queue.acquired(a) == [(0, 0, 1)]
    assert queue.acquired(a, (0, 0, RELEASE)) == [(0, 0, 2)]
    assert queue.acquired(a, (0, 0, RELEASE), wait_ms=50) == []


def test_a_lock_expires(make: Make) -> None:
    queue, a, b = make(**{"share.record.lock.duration.ms": "1000"}), member_id(), member_id()
    queue.produce("a")
    queue.join(a)
    queue.join(b)
    assert queue.acquired(a) == [(0, 0, 1)]
    answer = queue.fetch(b, wait_ms=20_000)
    (one,) = answer.responses[0].partitions[0].acquired_records
    assert (one.first_offset, one.delivery_count) == (0, 2)
    assert error_of(queue.acknowledge(a, (0, 0, ACCEPT))) == "INVALID_RECORD_STATE"


def test_wrong_acknowledgements_are_refused(make: Make) -> None:
    queue, a, b = make(), member_id(), member_id()
    queue.produce(*"abc")
    queue.join(a)
    queue.join(b)
    assert queue.acquired(a) == [(0, 2, 1)]
    assert queue.acquired(b, wait_ms=50) == []
    assert error_of(queue.acknowledge(b, (0, 0, ACCEPT))) == "INVALID_RECORD_STATE"
    assert error_of(queue.acknowledge(a, (0, 9, ACCEPT))) == "INVALID_REQUEST"
    assert error_of(queue.acknowledge(a, (2, 1, ACCEPT))) == "INVALID_REQUEST"
    assert error_of(queue.acknowledge(a, (0, 0, 7))) == "INVALID_REQUEST"
    assert error_of(queue.acknowledge(a, (0, 0, RENEW))) == "INVALID_REQUEST"
    assert error_of(queue.acknowledge(a, (0, 0, RENEW), renews=True)) == "NONE"
    assert error_of(queue.acknowledge(a, (0, 2, ACCEPT))) == "NONE"
    assert error_of(queue.acknowledge(a, (0, 2, ACCEPT))) in ("NONE", "INVALID_RECORD_STATE")


def test_sessions_have_epochs(make: Make) -> None:
    queue, a = make(), member_id()
    queue.produce("a")
    queue.join(a)
    assert BY_CODE[queue.fetch(a, epoch=3).error_code].name == "SHARE_SESSION_NOT_FOUND"
    assert queue.acquired(a) == [(0, 0, 1)]
    assert BY_CODE[queue.fetch(a, epoch=7).error_code].name == "INVALID_SHARE_SESSION_EPOCH"
    assert BY_CODE[queue.acknowledge(a, epoch=0).error_code].name == "INVALID_SHARE_SESSION_EPOCH"
    assert BY_CODE[queue.fetch(a, (0, 0, ACCEPT), epoch=0).error_code].name == "INVALID_REQUEST"


def test_the_end_of_a_session_releases_its_records(make: Make) -> None:
    queue, a, b = make(), member_id(), member_id()
    queue.produce(*"ab")
    queue.join(a)
    queue.join(b)
    assert queue.acquired(a) == [(0, 1, 1)]
    queue.acknowledge(a, (0, 0, ACCEPT), epoch=-1)
    assert queue.acquired(b) == [(1, 1, 2)]


def test_the_end_of_a_connection_releases_its_records(kafka: Kafka, make: Make) -> None:
    queue, a, b = make(), member_id(), member_id()
    queue.produce("a")
    queue.join(a)
    queue.join(b)
    own = queue.raw
    with RawClient(kafka.bootstrap) as other:
        queue.raw = other
        assert queue.acquired(a) == [(0, 0, 1)]
    queue.raw = own
    assert queue.acquired(b, wait_ms=10_000) == [(0, 0, 2)]


def test_read_committed_skips_aborted_records_and_waits_for_open_ones(kafka: Kafka, make: Make) -> None:
    queue, a = make(**{"share.isolation.level": "read_committed"}), member_id()
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": queue.topic})
    producer.init_transactions()
    for number, value in enumerate(("aborted", "committed")):
        producer.begin_transaction()
        producer.produce(queue.topic, value)
        producer.flush()
        (producer.abort_transaction, producer.commit_transaction)[number]()
    producer.begin_transaction()
    producer.produce(queue.topic, "open")
    producer.flush()
    queue.join(a)
    taken = {one for first, last, _ in queue.acquired(a) for one in range(first, last + 1)}
    assert 2 in taken
    assert not {0, 4} & taken
    producer.commit_transaction()
    taken = {one for first, last, _ in queue.acquired(a, wait_ms=10_000) for one in range(first, last + 1)}
    assert 4 in taken


def test_a_group_is_described_with_its_offsets(raw: RawClient, make: Make) -> None:
    queue, a = make(), member_id()
    queue.produce(*"abcd")
    queue.join(a)
    assert queue.acquired(a) == [(0, 3, 1)]
    assert error_of(queue.acknowledge(a, (0, 1, ACCEPT))) == "NONE"
    (group,) = raw.ask("ShareGroupDescribe", 1, group_ids=[queue.group]).groups
    assert (group.error_code, group.group_state, group.assignor_name) == (0, "Stable", "simple")
    assert [one.member_id for one in group.members] == [a]
    assert group.members[0].subscribed_topic_names == [queue.topic]
    listed = raw.ask("ListGroups", 5, types_filter=["share"]).groups
    assert (queue.group, "share", "share", "Stable") in [
        (one.group_id, one.protocol_type, one.group_type, one.group_state) for one in listed
    ]
    wanted = [{"group_id": queue.group, "topics": None}]
    (offsets,) = raw.ask("DescribeShareGroupOffsets", 1, groups=wanted).groups
    (found,) = offsets.topics[0].partitions
    assert (offsets.topics[0].topic_name, found.lag) == (queue.topic, 2)
    # Apache Kafka stores a moved start offset with the next change.
    assert found.start_offset in (0, 2)


def test_offsets_are_altered_and_deleted_of_an_empty_group_only(raw: RawClient, make: Make) -> None:
    queue, a = make(), member_id()
    queue.produce(*"abcd")
    queue.join(a)
    topic = {"topic_name": queue.topic, "partitions": [{"partition_index": 0, "start_offset": 3}]}
    refused = raw.ask("AlterShareGroupOffsets", 0, group_id=queue.group, topics=[topic])
    assert BY_CODE[refused.error_code].name == "NON_EMPTY_GROUP"
    raw.ask("ShareGroupHeartbeat", 1, group_id=queue.group, member_id=a, member_epoch=-1)
    altered = raw.ask("AlterShareGroupOffsets", 0, group_id=queue.group, topics=[topic])
    assert (altered.error_code, altered.responses[0].partitions[0].error_code) == (0, 0)
    queue.join(a)
    assert queue.acquired(a) == [(3, 3, 1)]
    raw.ask("ShareGroupHeartbeat", 1, group_id=queue.group, member_id=a, member_epoch=-1)
    deleted = raw.ask("DeleteShareGroupOffsets", 0, group_id=queue.group, topics=[{"topic_name": queue.topic}])
    assert (deleted.error_code, deleted.responses[0].error_code) == (0, 0)
    (result,) = raw.ask("DeleteGroups", 2, groups_names=[queue.group]).results
    assert result.error_code == 0
    (group,) = raw.ask("ShareGroupDescribe", 1, group_ids=[queue.group]).groups
    assert BY_CODE[group.error_code].name == "GROUP_ID_NOT_FOUND"


def test_offsets_of_a_group_that_does_not_exist_are_described_as_unset_and_altered(raw: RawClient, make: Make) -> None:
    queue = make()
    wanted = [
        {"topic_name": queue.topic, "partitions": [0]},
        {"topic_name": f"{queue.topic}.none", "partitions": [0]},
    ]
    groups = [{"group_id": queue.group, "topics": wanted}, {"group_id": queue.group, "topics": None}]
    named, all_topics = raw.ask("DescribeShareGroupOffsets", 1, groups=groups).groups
    assert [
        (named.error_code, one.topic_name, part.error_code, part.start_offset, part.leader_epoch, part.lag)
        for one in named.topics
        for part in one.partitions
    ] == [(0, one["topic_name"], 0, -1, 0, -1) for one in wanted]
    assert (all_topics.error_code, all_topics.error_message, all_topics.topics) == (0, None, [])
    refused = raw.ask("DeleteShareGroupOffsets", 0, group_id=queue.group, topics=[{"topic_name": queue.topic}])
    assert BY_CODE[refused.error_code].name == "GROUP_ID_NOT_FOUND"
    partitions = [{"partition_index": 0, "start_offset": 0}]
    altered = raw.ask(
        "AlterShareGroupOffsets",
        0,
        group_id=queue.group,
        topics=[{"topic_name": one["topic_name"], "partitions": partitions} for one in wanted],
    )
    assert altered.error_code == 0
    assert {
        (one.topic_name, part.error_code, part.error_message) for one in altered.responses for part in one.partitions
    } == {(queue.topic, 0, None), (f"{queue.topic}.none", 3, "This server does not host this topic-partition.")}
    (group,) = raw.ask("ShareGroupDescribe", 1, group_ids=[queue.group]).groups
    assert (group.error_code, group.group_state, group.group_epoch, group.assignment_epoch) == (0, "Empty", 1, 1)


def test_refusals_have_the_texts_of_kafka(raw: RawClient) -> None:
    malformed = "This most likely occurs because of a request being malformed by the client library"
    for version in (1, 3):
        place = raw.ask("FindCoordinator", version, key="a", key_type=3)
        assert (BY_CODE[place.error_code].name, place.error_message[: len(malformed)]) == ("INVALID_REQUEST", malformed)
    for key_type, text in ((2, ""), (3, malformed)):
        (place,) = raw.ask("FindCoordinator", 4, coordinator_keys=["a"], key_type=key_type).coordinators
        assert (BY_CODE[place.error_code].name, place.error_message[: len(malformed)]) == ("INVALID_REQUEST", text)
    for kind, name, error, text in (
        (2, "none", "UNKNOWN_TOPIC_OR_PARTITION", ""),
        (99, "x", "INVALID_REQUEST", malformed),
    ):
        wanted = {"resource_type": kind, "resource_name": name, "configuration_keys": None}
        (found,) = raw.ask("DescribeConfigs", 4, resources=[wanted]).results
        assert (BY_CODE[found.error_code].name, found.error_message[: len(malformed)]) == (error, text)


def test_rejected_and_used_up_records_become_dead_letters(kafka: Kafka, raw: RawClient, make: Make) -> None:
    queue, a = make(**{"share.delivery.count.limit": "2"}), member_id()
    letters = f"dlq.{queue.topic}"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    wanted = NewTopic(letters, 1, config={"errors.deadletterqueue.group.enable": "true"})
    admin.create_topics([wanted])[letters].result()
    assert queue.set("errors.deadletterqueue.topic.name", letters).error_code == 0
    assert queue.set("errors.deadletterqueue.copy.record.enable", "true").error_code == 0
    queue.produce("rejected", "used up", "accepted")
    queue.join(a)
    assert queue.acquired(a) == [(0, 2, 1)]
    assert queue.acquired(a, (0, 0, REJECT), (1, 1, RELEASE), (2, 2, ACCEPT)) == [(1, 1, 2)]
    assert error_of(queue.acknowledge(a, (1, 1, RELEASE))) == "NONE"
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": letters, "auto.offset.reset": "earliest"})
    consumer.subscribe([letters])
    found = [message for message in (consumer.poll(WITHIN_S), consumer.poll(WITHIN_S)) if message is not None]
    consumer.close()
    headers = [
        {name.removeprefix("__dlq.errors."): bytes(value or b"").decode() for name, value in headers_of(one)}
        for one in found
    ]
    assert [one.value() for one in found] == [b"rejected", b"used up"]
    common = {"topic": queue.topic, "partition": "0", "group": queue.group}
    assert headers == [
        {**common, "offset": "0", "delivery.count": "1", "message": "Offset rejected by client."},
        {**common, "offset": "1", "delivery.count": "2", "message": "Offset delivery count exceeded the threshold."},
    ]


def test_kinds_of_groups_do_not_mix(raw: RawClient, make: Make) -> None:
    queue, a = make(), member_id()
    queue.join(a)
    refused = raw.ask(
        "ConsumerGroupHeartbeat",
        1,
        group_id=queue.group,
        member_id=member_id(),
        rebalance_timeout_ms=1_000,
        subscribed_topic_names=[queue.topic],
        topic_partitions=[],
    )
    assert BY_CODE[refused.error_code].name == "GROUP_ID_NOT_FOUND"
    assert refused.error_message == f"Group {queue.group} is not a consumer group."
    (described,) = raw.ask("DescribeGroups", 6, groups=[queue.group]).groups
    assert BY_CODE[described.error_code].name == "GROUP_ID_NOT_FOUND"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("share.auto.offset.reset", "never"),
        ("share.isolation.level", "never"),
        ("share.session.timeout.ms", "x"),
        ("share.record.lock.duration.ms", "1"),
        ("share.delivery.count.limit", "99"),
    ],
)
def test_an_invalid_setting_is_refused(make: Make, name: str, value: str) -> None:
    assert BY_CODE[make().set(name, value).error_code].name == "INVALID_CONFIG"


def test_the_feature_is_in_effect(raw: RawClient) -> None:
    answer = raw.ask("ApiVersions", 3, client_software_name="raw", client_software_version="1")
    assert {one.name: one.max_version_level for one in answer.finalized_features}["share.version"] == 2


JAVA_OUTCOMES = """\
first 9 again {v1=2, v4=2, v7=2}
renewed 0
accepted true 0
implicit 3
state Empty members 0
listed [Optional[Share] share]
lag 0
altered to 4
deleted
"""


@pytest.mark.timeout(240)
def test_javas_share_consumer_and_admin_client(kafka: Kafka, unique: Callable[[str], str]) -> None:
    try:
        command = java("ShareProgram")
    except ClientUnavailableError as missing:
        pytest.skip(f"no Java: {missing}")
    done = subprocess.run(
        [*command, unique("java"), kafka.bootstrap], capture_output=True, text=True, timeout=200, check=False
    )
    assert (done.stdout, done.returncode) == (JAVA_OUTCOMES, 0), done.stderr[-2_000:]


GO_OUTCOMES = """\
accepted v0 delivery 1
released v1 delivery 1
accepted v2 delivery 1
rejected v3 delivery 1
accepted v4 delivery 1
accepted v5 delivery 1
renewed v1 delivery 2
accepted by another member v1 delivery 3
then 0 records
"""


@pytest.mark.timeout(240)
def test_gos_share_consumer(make: Make, kafka: Kafka) -> None:
    try:
        command = go("franz_share")()
    except ClientUnavailableError as missing:
        pytest.skip(f"no Go: {missing}")
    queue = make()
    queue.produce(*(f"v{number}" for number in range(6)))
    done = subprocess.run(
        [*command, queue.topic, queue.group, kafka.bootstrap], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == (GO_OUTCOMES, 0), done.stderr[-2_000:]


@pytest.mark.crash
def test_an_acknowledged_record_never_comes_again_after_a_kill(tmp_path: Path) -> None:
    """The sandbox alone: 5 times it is killed while two members acknowledge; no test can kill Apache Kafka as fast."""
    file = tmp_path / "dev.db"
    done: set[int] = set()
    counts: dict[int, int] = {}
    for life in range(5):
        with started_sandbox(file) as (process, bootstrap), RawClient(bootstrap) as raw:
            queue = Queue(Kafka("sandbox", bootstrap), raw, "jobs", existing=life > 0)
            queue.produce(*(str(number) for number in range(20)))
            for member in (member_id(), member_id()):
                queue.join(member)
                taken = [
                    (offset, deliveries)
                    for first, last, deliveries in queue.acquired(member, most=15, mode=1)
                    for offset in range(first, last + 1)
                ]
                for offset, deliveries in taken:
                    assert offset not in done, f"{offset} was acknowledged before kill {life}"
                    assert deliveries == counts.get(offset, 0) + 1
                    counts[offset] = deliveries
                accepted = [offset for offset, _ in taken[::2]]
                assert error_of(queue.acknowledge(member, *((one, one, ACCEPT) for one in accepted))) == "NONE"
                done.update(accepted)
            process.kill()
            process.wait(10)
    with started_sandbox(file) as (_, bootstrap), RawClient(bootstrap) as raw:
        queue, member = Queue(Kafka("sandbox", bootstrap), raw, "jobs", existing=True), member_id()
        queue.join(member)
        left: set[int] = set()
        while again := queue.acquired(
            member, *((one, one, ACCEPT) for one in sorted(left)[-500:] if one not in done), wait_ms=200
        ):
            done.update(left)
            left = {offset for first, last, _ in again for offset in range(first, last + 1)}
            assert not left & done
        assert done | left == set(range(100)), "none is lost"
